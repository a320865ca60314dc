# lib.sh - what the shell tests share; read with `. "$(dirname "$0")/lib.sh"`.
#
# ATOLL is the binary under test and TMPDIR a folder of the test's own; both
# come from ./dev test, and have defaults for a test run by hand. Nodes that
# node_start began end with the test. The test ends with `finish`.

E2E=$(cd "$(dirname "$0")" && pwd)
ATOLL=${ATOLL:-$E2E/../../build/atoll}
work=$(mktemp -d)
node_pids=
failed=0

cleanup() {
    for pid in $node_pids; do kill -9 "$pid" 2>/dev/null || :; done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ok NAME COMMAND... : one result; the command's output is shown if it fails.
ok() {
    name=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        echo "ok $name"
    else
        sed 's/^/# /' "$work/output"
        echo "not ok $name"
        failed=$((failed + 1))
    fi
}

# is NAME WANTED FOUND : one result; two strings must be equal.
is() {
    if [ "$2" = "$3" ]; then
        echo "ok $1"
    else
        printf '# wanted: %s\n# found:  %s\n' "$2" "$3"
        echo "not ok $1"
        failed=$((failed + 1))
    fi
}

skip() {
    echo "skip $1: $2"
}

# eventually SECONDS COMMAND... : run the command until it succeeds.
eventually() {
    tries=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

# node_start PORT DIR [FLAG...] : start a node, wait until /ready is 200; its
# process is $node_pid and its log DIR.log.
node_start() {
    port=$1 dir=$2
    shift 2
    "$ATOLL" serve --port "$port" --dir "$dir" "$@" >>"$dir.log" 2>&1 &
    node_pid=$!
    node_pids="$node_pids $node_pid"
    if ! eventually 10 curl -sf "http://127.0.0.1:$port/ready"; then
        sed 's/^/# /' "$dir.log"
        echo "not ok node on port $port is ready"
        exit 1
    fi
}

# node_stop PID [SIGNAL] : end a node and wait for it.
node_stop() {
    kill "-${2:-TERM}" "$1" 2>/dev/null || :
    wait "$1" 2>/dev/null || :
}

finish() {
    [ "$failed" -eq 0 ]
    exit
}

#!/bin/sh
# What docs/cli.md promises of all commands: exit codes, --json, --progress, and plain text where
# there is no terminal.
set -u
. "$(dirname "$0")/lib.sh"

port=$("$E2E/ports")
dir=$work/data
ATOLL_SERVER=127.0.0.1:$port
export ATOLL_SERVER

# exits CODE COMMAND... : one result; the exit code, and that an error is one line on standard error.
exits() {
    wanted=$1
    shift
    "$ATOLL" "$@" >"$work/out" 2>"$work/err" </dev/null
    is "$wanted: atoll $*" "$wanted" "$?"
    case "$wanted" in
    [2-5]) is "and says why" 1 "$(grep -c '^atoll: .' "$work/err")" ;;
    esac
}

# full COMMAND... : standard output cannot be written to.
full() {
    "$ATOLL" "$@" >/dev/full 2>"$work/err" </dev/null
    is "5: atoll $* >/dev/full" "5 atoll: cannot write to standard output" "$? $(cat "$work/err")"
}

json() {
    "$ATOLL" "$@" 2>"$work/err" </dev/null >"$work/out"
    ok "atoll $* is JSON" python3 -c 'import json, sys
for text in ([sys.stdin.read()] if sys.argv[1] != "dump" else sys.stdin.read().splitlines()): json.loads(text)' "$1" <"$work/out"
}

echo '{"k":"v","l":"w"}' >"$work/keys.json"
echo '{"k":1}' >"$work/bad.json"

# Nobody answers.
for command in "get k" "put k v" "del k" scan export "import $work/keys.json" bench top "cluster status" \
    "cluster leave --node 1" "keyspace list"; do
    # shellcheck disable=SC2086
    exits 3 $command
done
is "the error says what to do next" 1 "$(grep -c 'start one with: atoll serve' "$work/err")"

# The command line is wrong.
for command in get "put k" "del" "scan more" "import" "export more" "bench more" "top more" cluster \
    "cluster more" "cluster leave" "cluster weight 1" "keyspace create" check dump "config --no" "version more" \
    "completion" "serve --port x" "get k --timeout 5" "get --no" "bench --mix get=x" "import a b"; do
    # shellcheck disable=SC2086
    exits 2 $command
done
exits 2 check "$work"
exits 2 dump "$work/nothing"
ATOLL_SERVER=nowhere exits 2 get k
exits 5 import "$work/nothing.json"

node_start "$port" "$dir" --shards 2
node=$node_pid

exits 0 put k v
exits 0 get k
exits 1 get nothing
exits 1 del nothing
exits 1 put k v --if-absent
exits 1 keyspace create default
exits 1 keyspace drop nothing --yes
exits 1 cluster leave --node 77
exits 4 get k --level 9
exits 4 put k v --ttl never
exits 2 import "$work/bad.json"
"$ATOLL" serve --port "$port" --dir "$work/other" >"$work/out" 2>&1
is "2: atoll serve on a port in use" 2 "$?"
ok "and its log says what to do" grep -q 'the port is in use; choose another' "$work/out"
exits 0 cluster status
exits 0 cluster leader
exits 0 top --once
exits 2 check "$dir"
exits 5 get k --output "$work/no/such/folder"

for command in "get k" "put a b" "del a" scan export "import $work/keys.json" "bench --requests 100" "top --once" \
    "cluster status" "cluster leader" "cluster plan" "keyspace list" config version "completion bash" help; do
    # shellcheck disable=SC2086
    full $command
done
for command in "get k" "put a b" "del a" scan export "import $work/keys.json" "bench --requests 100" top \
    "cluster status" "cluster leader" "cluster plan" "cluster join 127.0.0.1:1 --dry-run" "keyspace list" \
    "keyspace alter default --ttl 1h --dry-run" config version "completion zsh"; do
    # shellcheck disable=SC2086
    json $command --json
done

# --progress: whole lines on standard error, no sequences; without it nothing.
rate='^[a-z ,]* [0-9].*/s'
"$ATOLL" bench --seconds 3 --keys 20000 --load --progress >/dev/null 2>"$work/err"
ok "bench tells its rate and what is left" grep -q "$rate.* left" "$work/err"
"$ATOLL" bench --seconds 3 >/dev/null 2>"$work/err"
is "and nothing unless asked" "" "$(cat "$work/err")"
(
    echo '{"first":"x"'
    sleep 2.5
    seq 1 2000 | sed 's/.*/,"key&":"value&"/'
    echo '}'
) | "$ATOLL" import --progress - >/dev/null 2>"$work/err"
ok "import tells how many" grep -q 'keys' "$work/err"
escape=$(printf '\033')
is "without sequences" 0 "$(grep -c "$escape" "$work/err")"
for command in scan "cluster status" "keyspace list" "top --once" config help export; do
    # shellcheck disable=SC2086
    is "atoll $command is plain text in a pipe" 0 "$("$ATOLL" $command </dev/null | grep -c "$escape")"
done

node_stop "$node"
exits 0 check "$dir"
for command in "check $dir" "dump $dir"; do
    # shellcheck disable=SC2086
    full $command
    # shellcheck disable=SC2086
    json $command --json
done
table=$(find "$dir" -name 'table-*' | head -n 1)
printf 'damage' | dd of="$table" bs=1 seek=100 conv=notrunc 2>/dev/null
exits 1 check "$dir"
json check "$dir" --json
exits 1 dump "$dir"
ok "help tells the codes" sh -c "'$ATOLL' help | grep -q 'It exits with 0'"
finish

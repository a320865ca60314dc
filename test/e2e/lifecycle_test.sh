#!/bin/sh
# A node starts, refuses to start and stops as an operator expects: one clear line, the right exit code, the data kept.
. "$(dirname "$0")/lib.sh"

port=$("$E2E/ports")
A=http://127.0.0.1:$port

# refused NAME CODE PATTERN [FLAG...] : `atoll serve` ends with CODE and one line that matches PATTERN, soon.
refused() {
    name=$1 wanted=$2 pattern=$3
    shift 3
    timeout 5 "$ATOLL" serve "$@" >"$work/out" 2>"$work/err" </dev/null
    is "$name: exit code" "$wanted" $?
    is "$name: nothing on standard output" "" "$(cat "$work/out")"
    is "$name: one line" 1 "$(wc -l <"$work/err")"
    ok "$name: it says so" grep -E -e "$pattern" "$work/err"
    grep -qE -e "$pattern" "$work/err" || sed 's/^/# /' "$work/err"
}

# wait_for PID : its exit code is $code; 124 if it does not end within 15 s.
wait_for() {
    code=0
    if eventually 15 ended "$1"; then
        wait "$1" || code=$?
    else
        kill -9 "$1"
        code=124
    fi
}
ended() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status"; }

# ---- help ----

for command in serve get put del scan bench check dump config; do
    "$ATOLL" $command --help >"$work/out" 2>"$work/err"
    is "$command --help: exit code" 0 $?
    ok "$command --help: the usage" grep -q "^usage: atoll $command" "$work/out"
    is "$command --help: no errors" "" "$(cat "$work/err")"
    is "help $command: the same" "$(cat "$work/out")" "$("$ATOLL" help $command)"
    ok "$command is in the list" sh -c "'$ATOLL' | grep -q '^  $command '"
done
ok "version" "$ATOLL" version
is "--version is the same" "$("$ATOLL" version)" "$("$ATOLL" --version)"
"$ATOLL" frobnicate >"$work/out" 2>"$work/err"
is "an unknown command: exit code" 2 $?
is "an unknown command: one line" 1 "$(wc -l <"$work/err")"
"$ATOLL" serv >"$work/out" 2>"$work/err"
ok "a mistyped command: the right one is named" grep -q 'atoll serve' "$work/err"

# ---- flags that cannot be ----

bad() {
    pattern=$1
    shift
    refused "serve $*" 2 "$pattern" --dir "$work/unused" --port "$port" "$@"
}
bad 'unknown.*frobnicate' --frobnicate
bad 'memtable' --memtabel 4MiB
bad 'port.*65535' --port 65536
bad 'port' --port -1
bad 'port' --port http
bad 'shards.*64' --shards 0
bad 'shards.*64' --shards 65
bad 'shards' --shards two
bad 'memtable' --memtable 1KiB
bad 'memtable' --memtable 4GB4
bad 'cache' --cache ''
bad 'sync.*always' --sync sometimes
bad 'sync' --sync interval=0
bad 'sync' --sync interval=-5ms
bad 'compression.*lz4' --compression gzip
bad 'value-max' --value-max 17MiB
bad 'client-wait' --client-wait forever
bad 'log-level.*debug' --log-level loud
bad 'dir' --dir ''
bad 'listen' --listen nonsense
bad 'listen.*insecure' --listen "0.0.0.0:$port"
bad 'peers' --peers nonsense
bad 'config.*no such file|no such file.*config|cannot read' --config "$work/nothing"
bad 'word' stray
bad 'port' --port
printf 'memtabel = 4MiB\n' >"$work/settings"
bad 'settings line 1.*memtabel' --config "$work/settings"
printf '# sizes\ncache = lots\n' >"$work/settings"
bad 'cache' --config "$work/settings"
ATOLL_CACHE=lots
export ATOLL_CACHE
bad 'ATOLL_CACHE'
unset ATOLL_CACHE
ok "none of them made the directory" [ ! -e "$work/unused" ]

# ---- where it cannot start ----

node_start "$port" "$work/node" --shards 2 --sync always
first=$node_pid
refused "a port in use" 2 "cannot listen on 127.0.0.1:$port: the port is in use" --port "$port" --dir "$work/other"
refused "a directory in use" 2 "directory $work/node is in use" --port "$("$E2E/ports")" --dir "$work/node"
is "the running node took no harm" OK "$(curl -sS "$A/health")"
"$ATOLL" check "$work/node" >"$work/out" 2>"$work/err"
is "check of a directory in use: exit code" 2 $?
ok "check of a directory in use: it says so" grep -q 'stop it first' "$work/err"
refused "an address that is not ours" 2 'cannot listen on 192.0.2.1' --listen "192.0.2.1:$port" --insecure --dir "$work/other2"
printf x >"$work/file"
refused "a file as directory" 2 "$work/file" --port "$("$E2E/ports")" --dir "$work/file"
refused "a directory in a file" 2 "$work/file/data" --port "$("$E2E/ports")" --dir "$work/file/data"
mkdir "$work/readonly"
chmod 555 "$work/readonly"
if [ "$(id -u)" -ne 0 ]; then
    refused "an unwritable directory" 2 "$work/readonly" --port "$("$E2E/ports")" --dir "$work/readonly"
    refused "a directory that cannot be made" 2 "$work/readonly/data" --port "$("$E2E/ports")" --dir "$work/readonly/data"
elif command -v setpriv >/dev/null && chmod 755 "$work" && as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups" && $as_nobody test -x "$ATOLL"; then
    # Root may write anywhere, so somebody else must try.
    for dir in readonly readonly/data; do
        timeout 10 $as_nobody "$ATOLL" serve --port "$("$E2E/ports")" --dir "$work/$dir" >"$work/out" 2>"$work/err"
        is "the unwritable directory $dir: exit code" 2 $?
        is "the unwritable directory $dir: one line" 1 "$(wc -l <"$work/err")"
        ok "the unwritable directory $dir: it says so" grep -q "$work/$dir" "$work/err"
    done
else
    skip "an unwritable directory" "root may write anywhere, and nobody cannot run $ATOLL here"
fi
mkdir -p "$work/foreign/shard-00"
printf 'hello\n' >"$work/foreign/node"
refused "a file \`node\` of somebody else" 5 "$work/foreign/node: damaged" --port "$("$E2E/ports")" --dir "$work/foreign"
printf 'atoll 9\nnode 1\nboots 1\nshards 1\ncrc32c 00000000\n' >"$work/foreign/node"
refused "a directory of a newer version" 2 "$work/foreign/node: written by another version" --port "$("$E2E/ports")" --dir "$work/foreign"
rm "$work/foreign/node"
refused "shards without their \`node\`" 5 "$work/foreign/node is missing" --port "$("$E2E/ports")" --dir "$work/foreign"
mkdir "$work/full"
printf 'letters\n' >"$work/full/letters.txt"
refused "a directory full of other things" 2 "$work/full" --port "$("$E2E/ports")" --dir "$work/full"
is "other things stay" letters "$(cat "$work/full/letters.txt")"
mkdir "$work/empty"
"$ATOLL" check "$work/empty" >"$work/out" 2>"$work/err"
is "check of no data directory: exit code" 2 $?
ok "check of no data directory: it says so" grep -q 'is no data directory' "$work/err"

# ---- stop and start ----

curl -sS -X PUT -d kept "$A/v1/kv/kept" >"$work/out"
curl -sS -X PUT -d brief "$A/v1/kv/brief?ttl=2s" >"$work/out"
curl -sS -X PUT -d long "$A/v1/kv/long?ttl=1h" >"$work/out"
expires=$(curl -sS -D - -o "$work/out" "$A/v1/kv/long" | tr -d '\r' | sed -n 's/^Atoll-Expires-At: //p')
version=$(curl -sS -D - -o "$work/out" "$A/v1/kv/kept" | tr -d '\r' | sed -n 's/^ETag: //p')

# Writers are under way when it is told to stop: whoever got an OK must find the value again.
python3 - "$port" >"$work/acknowledged" <<'END' &
import socket, sys, threading
def work(n, out):
    try:
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
        f = s.makefile("rb")
        for i in range(1000000):
            s.sendall(b"".join(b"SET w%d-%d %d\r\n" % (n, i * 10 + k, i) for k in range(10)))
            for k in range(10):
                line = f.readline()
                if not line:
                    return
                if line == b"+OK\r\n":
                    out.append(f"w{n}-{i * 10 + k} {i}")
    except OSError:
        pass
outs = [[] for _ in range(4)]
threads = [threading.Thread(target=work, args=(n, out)) for n, out in enumerate(outs)]
for t in threads: t.start()
for t in threads: t.join()
print("\n".join(line for out in outs for line in out))
END
writers=$!
sleep 0.7
kill -TERM "$first"
wait_for "$first"
is "SIGTERM: exit code" 0 "$code"
wait "$writers"
ok "SIGTERM: there was something to lose" [ "$(wc -l <"$work/acknowledged")" -gt 100 ]
ok "SIGTERM: the log says so" grep -q 'stopped' "$work/node.log"
ok "a stopped directory is clean" "$ATOLL" check "$work/node"
refused "another number of shards" 2 "$work/node was made with 2 shards" --port "$port" --dir "$work/node" --shards 3
node_start "$port" "$work/node"
second=$node_pid
is "the number of shards is kept" 2 "$(curl -sS "$A/v1/cluster" | sed 's/.*"shards":\([0-9]*\).*/\1/')"
is "the data is kept" kept "$(curl -sS "$A/v1/kv/kept")"
is "the version is kept" "$version" "$(curl -sS -D - -o "$work/out" "$A/v1/kv/kept" | tr -d '\r' | sed -n 's/^ETag: //p')"
is "the expiry is kept" "$expires" "$(curl -sS -D - -o "$work/out" "$A/v1/kv/long" | tr -d '\r' | sed -n 's/^Atoll-Expires-At: //p')"
python3 - "$port" "$work/acknowledged" >"$work/out" <<'END'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
f = s.makefile("rb")
lost = 0
lines = [line.split() for line in open(sys.argv[2])]
for i in range(0, len(lines), 500):
    s.sendall(b"".join(b"GET %s\r\n" % key.encode() for key, _ in lines[i:i + 500]))
    for key, value in lines[i:i + 500]:
        head = f.readline()
        lost += head == b"$-1\r\n" or f.readline() != value.encode() + b"\r\n"
print(lost)
END
is "nothing that was acknowledged while it stopped is lost" 0 "$(cat "$work/out")"
sleep 1.5
is "what was to expire did, over the restart" 404 "$(curl -sS -o "$work/out" -w '%{http_code}' "$A/v1/kv/brief")"

# A client that never reads its replies and a half command hold the stop up for its few seconds at most.
python3 - "$port" <<'END' &
import socket, sys, time
half = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
half.sendall(b"*2\r\n$3\r\nGE")
deaf = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
deaf.sendall(b"*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$1000000\r\n" + b"x" * 1000000 + b"\r\n" + b"GET large\r\n" * 50)
time.sleep(14)
END
clients=$!
sleep 0.5
kill -INT "$second"
wait_for "$second"
is "SIGINT with clients that do not leave: exit code" 0 "$code"
kill "$clients"
wait "$clients" 2>/dev/null

# A second signal ends a stop that takes too long; that the data is kept does not depend on patience.
node_start "$port" "$work/node"
third=$node_pid
curl -sS -X PUT -d again "$A/v1/kv/again" >"$work/out"
python3 - "$port" <<'END' &
import socket, sys, time
deaf = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
deaf.sendall(b"GET large\r\n" * 50)
time.sleep(14)
END
clients=$!
sleep 0.3
kill -TERM "$third"
sleep 0.2
kill -TERM "$third" 2>/dev/null
began=$(date +%s)
wait_for "$third"
ok "a second SIGTERM: it ends at once or in time ($code)" [ "$code" -eq 0 -o "$code" -eq 143 -o "$code" -eq 130 ]
ok "a second SIGTERM: within seconds" [ $(($(date +%s) - began)) -le 7 ]
kill "$clients"
wait "$clients" 2>/dev/null
node_start "$port" "$work/node"
is "the data is kept after it" again "$(curl -sS "$A/v1/kv/again")"
is "the boots are counted" 4 "$(curl -sS "$A/v1/cluster" | sed 's/.*"boot_count":\([0-9]*\).*/\1/')"

# Requests while it stops: either answered or refused, never half.
kill -TERM "$node_pid"
wait_for "$node_pid"
is "SIGTERM without clients: exit code" 0 "$code"

# SIGTERM at any moment of a start: by the default action, or an orderly stop. Never a crash.
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$E2E" python3 - "$work/node" >"$work/out" 2>&1 <<'END'
import collections, sys, time
from lib import Node
node, codes = Node(dir=sys.argv[1]), collections.Counter()
node.stop()
for i in range(60):
    node.start(wait=False)
    time.sleep(i * 0.001)
    codes[node.stop()] += 1
print(f"# {dict(codes)}")
print(sum(count for code, count in codes.items() if code not in (0, -15)))
END
is "SIGTERM while it starts: crashes of 60" 0 "$(tail -1 "$work/out")"
head -1 "$work/out"

# ---- settings reach the node ----

printf 'sync = never\nmemtable = 2MiB\n' >"$work/settings"
ATOLL_CACHE=3MiB node_start "$port" "$work/node" --config "$work/settings" --memtable 4MiB
is "flag before file, environment, file" "memtable 4MiB cache 3MiB sync never" \
    "$(printf 'CONFIG GET memtable\r\nCONFIG GET cache\r\nCONFIG GET sync\r\nQUIT\r\n' | redis-cli -p "$port" | head -6 | tr '\n' ' ' | sed 's/ $//')"
node_stop "$node_pid"
finish

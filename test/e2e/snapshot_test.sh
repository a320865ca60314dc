#!/bin/sh
# --snapshot-interval: whole files that another node can import, whenever the node is killed; and
# that the log is reused once what it holds is in tables.
set -u
. "$(dirname "$0")/lib.sh"

port=$("$E2E/ports")
dir=$work/data
ATOLL_SERVER=127.0.0.1:$port
export ATOLL_SERVER

newest() { find "$dir/snapshots" -name 'snapshot-*.json' | sort | tail -n 1; }
count() { find "$dir/snapshots" -name 'snapshot-*.json' | wc -l; }
later_than() { [ "$(newest)" != "$1" ]; }
has() { grep -q "$1" "$(newest)"; }

node_start "$port" "$dir.off" --shards 2
"$ATOLL" put a b >/dev/null
sleep 1.5
ok "without the setting there are none" [ ! -e "$dir.off/snapshots" ]
node_stop "$node_pid"

node_start "$port" "$dir" --shards 2 --memtable 1MiB --snapshot-interval 1s --snapshot-keep 2
node=$node_pid
seq 1 5000 | sed 's/.*/"key&":"value&",/' | tr -d '\n' | sed 's/^/{/; s/,$/}/' >"$work/keys.json"
"$ATOLL" import "$work/keys.json" >/dev/null
head -c 100000 /dev/urandom >"$work/value"
"$ATOLL" put --escaped 'other\xfe' --file "$work/value" >/dev/null
"$ATOLL" put lasting x --ttl 1h >/dev/null
"$ATOLL" put gone x --ttl 10ms >/dev/null
"$ATOLL" put deleted x >/dev/null
"$ATOLL" del deleted >/dev/null
"$ATOLL" put last-word x >/dev/null
ok "a snapshot is written" eventually 10 has '"last-word"'
"$ATOLL" export >"$work/export"
ok "it has what export prints" sh -c "python3 -c '
import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
assert a == b and len(a) > 5000, (len(a), len(b))' '$work/export' '$(newest)'"
before=$(newest)
ok "another follows" eventually 10 later_than "$before"
eventually 10 later_than "$(newest)"
is "and the newest two are kept" 2 "$(count)"

# Writes all the time, killed at a random moment of a round.
"$ATOLL" bench --seconds 3 --keys 20000 --value 500 --mix set=100 >/dev/null 2>&1 &
load=$!
sleep "1.$(($$ % 10))"
kill -9 "$node"
kill "$load" # it would write to the next node at this port
wait "$node" "$load" 2>/dev/null
whole=0
for file in "$dir"/snapshots/snapshot-*.json; do
    python3 -c "import json, sys; json.load(open(sys.argv[1]))" "$file" && whole=$((whole + 1))
done
is "after a kill every snapshot is whole" "$(count)" "$whole"
cp "$(newest)" "$work/copy.json"
touch "$dir/snapshots/snapshot.tmp"
node_start "$port" "$dir" --snapshot-interval 1h
ok "what was half written goes with the next start" [ ! -e "$dir/snapshots/snapshot.tmp" ]
node_stop "$node_pid"
ok "check takes the folder for nothing" "$ATOLL" check "$dir"

node_start "$port" "$work/fresh" --shards 1 --memtable 1MiB
ok "a fresh node imports it" "$ATOLL" import "$work/copy.json"
"$ATOLL" export >"$work/again.json"
ok "and then holds the same" python3 -c '
import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
assert a.keys() == b.keys(), len(a.keys() ^ b.keys())
assert all(a[k] == b[k] for k in a if k != "lasting")' "$work/copy.json" "$work/again.json"
is "with times to live" 1 "$(grep -c '"lasting":.*"expires_at_ms"' "$work/again.json")"

# 150 MB of writes; what the log keeps is a few segments of 17 MiB.
"$ATOLL" bench --requests 150000 --keys 1000 --value 1000 --mix set=100 --pipeline 32 >/dev/null
node_stop "$node_pid"
log_bytes=$(cd "$work/fresh/shard-00" && du -cb wal-* spare-* 2>/dev/null | tail -n 1 | cut -f 1)
ok "the log is reused once it is in tables: $log_bytes bytes" [ "$log_bytes" -lt 100000000 ]

exits() {
    "$ATOLL" config "$@" >/dev/null 2>"$work/err"
    echo $?
}
is "an interval below a second is refused" 2 "$(exits --snapshot-interval 10ms)"
is "so is keeping none" 2 "$(exits --snapshot-keep 0)"
finish

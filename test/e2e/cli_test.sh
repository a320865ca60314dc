#!/bin/sh
# The commands against a real node: what they print, and what they exit with.
set -u
. "$(dirname "$0")/lib.sh"

port=$("$E2E/ports")
dir=$work/data
ATOLL_SERVER=127.0.0.1:$port
export ATOLL_SERVER

# exits NAME CODE COMMAND... : one result; the exit code.
exits() {
    name=$1 wanted=$2
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null
    is "$name" "$wanted" "$?"
}

exits "get without a node exits with 3" 3 "$ATOLL" get greeting
is "it says what to do next" 1 "$(grep -c 'start one with: atoll serve' "$work/err")"

node_start "$port" "$dir" --shards 2
node=$node_pid

exits "put exits with 0" 0 "$ATOLL" put greeting hello
version=$(cat "$work/out")
is "get prints the value and nothing else" "hello." "$("$ATOLL" get greeting; printf .)"
is "get --json" "{\"key\":\"greeting\",\"value\":\"hello\",\"version\":\"$version\"}" \
    "$("$ATOLL" get --json greeting)"
exits "get of nothing exits with 1" 1 "$ATOLL" get nothing
exits "put --if-absent of a present key exits with 1" 1 "$ATOLL" put greeting x --if-absent
exits "put --if-match of another version exits with 1" 1 "$ATOLL" put greeting x --if-match 1.1.1
exits "put --if-match of this version exits with 0" 0 "$ATOLL" put greeting bye --if-match "$version"
exits "put without a value exits with 2" 2 "$ATOLL" put greeting
exits "put with a bad ttl exits with 4" 4 "$ATOLL" put greeting x --ttl never

head -c 3000000 /dev/urandom >"$work/large"
exits "put --file" 0 "$ATOLL" put large --file "$work/large"
exits "get --output" 0 "$ATOLL" get large --output "$work/copy"
ok "a large value comes back as it was" cmp "$work/large" "$work/copy"
"$ATOLL" put --escaped 'bin\x00\xff' - <"$work/large" >/dev/null
"$ATOLL" get --escaped 'bin\x00\xff' >"$work/copy"
ok "standard input and any key" cmp "$work/large" "$work/copy"

"$ATOLL" put tab 'a	b' >/dev/null
is "scan escapes what would break a line" "tab	a\\tb" "$("$ATOLL" scan --prefix tab)"
is "scan --keys-only is in order" "bin\\x00\\xff greeting large tab" \
    "$("$ATOLL" scan --keys-only | tr '\n' ' ' | sed 's/ $//')"
is "scan --start --end --limit" "greeting" \
    "$("$ATOLL" scan --keys-only --start g --end m --limit 1)"
is "scan --json of nothing" "[]" "$("$ATOLL" scan --json --prefix none)"
is "del says how many" "deleted 2 of 3" "$("$ATOLL" del tab large nothing)"
exits "del of nothing exits with 1" 1 "$ATOLL" del nothing

for protocol in resp http; do
    exits "bench over $protocol" 0 "$ATOLL" bench --protocol "$protocol" --requests 5000 \
        --keys 100 --pipeline 4 --mix get=5,set=4,del=1 --json
    is "bench over $protocol sees every reply and no error" "5000 {}" \
        "$(sed -n 's/.*"all": {"count": \([0-9]*\).*/\1/p; s/.*"errors": \(.*\)/\1/p' "$work/out" |
            tr '\n' ' ' | sed 's/ $//')"
done
exits "bench --rate" 0 "$ATOLL" bench --seconds 1 --rate 500 --keys 100 --clients 3 --load

# Without an end by time it would try for ever to reach the node that is stopped below.
"$ATOLL" bench --requests 4000000000 --clients 2 --keys 100 >"$work/lost.out" 2>"$work/lost.err" </dev/null &
lost=$!
node_pids="$node_pids $lost"
sleep 0.5

exits "check refuses a directory in use" 2 "$ATOLL" check "$dir"
node_stop "$node"
exits "check of a good directory" 0 "$ATOLL" check "$dir"
is "dump finds a record" "value" "$("$ATOLL" dump "$dir" --prefix greeting | tail -n 1 | cut -f 5)"
table=$(find "$dir" -name 'table-*' | head -n 1)
if [ -n "$table" ]; then
    printf 'damage' | dd of="$table" bs=1 seek=100 conv=notrunc 2>/dev/null
    exits "check finds damage" 1 "$ATOLL" check "$dir"
else
    skip "check finds damage" "the node left no table"
fi
exits "check of another folder exits with 2" 2 "$ATOLL" check "$work"

exits "an unknown command exits with 2" 2 "$ATOLL" sacn
is "and suggests one" 1 "$(grep -c 'did you mean `atoll scan`' "$work/err")"
exits "an unknown option exits with 2" 2 "$ATOLL" serve --prot 1
exits "a listen for all without --insecure exits with 2" 2 "$ATOLL" serve --listen 0.0.0.0:0
for command in serve get put del scan bench check dump config version; do
    exits "$command --help" 0 "$ATOLL" "$command" --help
done

wait "$lost"
is "bench that has lost its node exits with 3" 3 "$?"
is "and says so" 1 "$(grep -c 'answered nothing for 10 s' "$work/lost.err")"
finish

#!/bin/sh
# The HTTP API keeps what docs/api.md promises: every route, status and limit, with curl and bare sockets.
. "$(dirname "$0")/lib.sh"

node_start "$("$E2E/ports")" "$work/node" --shards 2
A=http://127.0.0.1:$port

# call METHOD PATH [CURL OPTION...] : print the status; body and headers go to files.
call() {
    method=$1 target=$2
    shift 2
    [ "$method" = HEAD ] && method=-I || method="-X$method"
    curl -sS --path-as-is -m 20 -o "$work/body" -D "$work/headers" -w '%{http_code}' "$method" "$@" "$A$target"
}

body() { cat "$work/body"; }
header() { tr -d '\r' <"$work/headers" | sed -n "s/^$1: //ip"; }
version() { sed -n 's/.*"version":"\([^"]*\)".*/\1/p' "$work/body"; }

# gives NAME "STATUS CODE" METHOD PATH [CURL OPTION...] : one result; no CODE for a success. An error must be
# JSON with both members and nothing else but outcome.
gives() {
    name=$1 wanted=$2
    shift 2
    : >"$work/body"
    status=$(call "$@" 2>&1)
    code=$(sed -n 's/^{"error":{"code":"\([a-z_]*\)","message":"[^"].*"}}$/\1/p' "$work/body")
    is "$name" "$wanted" "$status${code:+ $code}"
}

# python SCRIPT [ARGUMENT...] : one result of asserts; $work and $port are there as `work` and `port`.
python() {
    name=$1
    shift
    { printf 'work, port = "%s", %s\n' "$work" "$port"; cat; } >"$work/script.py"
    ok "$name" python3 "$work/script.py" "$@"
}

# ---- one key ----

gives "put a new key" 200 PUT /v1/kv/greeting --data-binary hello
is "put: the ETag is the version" "\"$(version)\"" "$(header ETag)"
first=$(version)
gives "get" 200 GET /v1/kv/greeting
is "get: the bytes" hello "$(body)"
is "get: the version stays" "\"$first\"" "$(header ETag)"
is "get: the type" "text/plain; charset=utf-8" "$(header Content-Type)"
is "get: no sniffing" nosniff "$(header X-Content-Type-Options)"
is "get: not cached unasked" no-cache "$(header Cache-Control)"
is "get: no expiry" "" "$(header Atoll-Expires-At)"
gives "head" 200 HEAD /v1/kv/greeting
is "head: the length" 5 "$(header Content-Length)"
gives "put over it" 200 PUT /v1/kv/greeting --data-binary other
ok "put over it: another version" [ "$(version)" != "$first" ]
gives "put of nothing" 200 PUT /v1/kv/empty
gives "get of nothing" 200 GET /v1/kv/empty
is "get of nothing: no bytes" 0 "$(header Content-Length)"
gives "delete" 200 DELETE /v1/kv/greeting
is "delete: it existed" '{"existed":true}' "$(body)"
gives "delete again" 200 DELETE /v1/kv/greeting
is "delete again: it did not" '{"existed":false}' "$(body)"
gives "get of a deleted key" "404 not_found" GET /v1/kv/greeting
gives "put for a session" 200 PUT /v1/kv/session --data-binary one
seen=$(version)
gives "a session sees its write" 200 GET /v1/kv/session -H "Atoll-Session: $seen"
gives "put of another key" 200 PUT /v1/kv/later --data-binary x
later=$(version)
gives "a session is not shown less" 503 GET /v1/kv/session -H "Atoll-Session: $later"
ok "a session is not shown less: why" grep -q '"quorum_unavailable".* version of Atoll-Session' "$work/body"
gives "a session that has seen what is nowhere" 503 GET /v1/kv/never-put -H "Atoll-Session: $later"
gives "a session that has seen what is forgotten" "404 not_found" GET /v1/kv/never-put -H "Atoll-Session: 1.1.1"
gives "delete in a session" 200 DELETE /v1/kv/session
gives "a session sees the deletion" "404 not_found" GET /v1/kv/session -H "Atoll-Session: $seen"
gives "head of a deleted key" 404 HEAD /v1/kv/greeting
gives "levels and op" 200 PUT "/v1/kv/op?level=quorum&op=000102030405060708090a0b0c0d0e0f&keyspace=default" -d x
gives "get with a level" 200 GET "/v1/kv/op?level=one&keyspace="

# ---- conditions ----

gives "If-None-Match: * on a new key" 200 PUT /v1/kv/lock -H 'If-None-Match: *' -d 1
etag=$(header ETag)
gives "If-None-Match: * on an old one" "412 condition_failed" PUT /v1/kv/lock -H 'If-None-Match: *' -d 2
is "412 shows what is there" "$etag" "$(header ETag)"
gives "If-Match of the version" 200 PUT /v1/kv/lock -H "If-Match: $etag" -d 3
gives "If-Match of an old version" "412 condition_failed" PUT /v1/kv/lock -H "If-Match: $etag" -d 4
gives "delete If-Match of an old version" "412 condition_failed" DELETE /v1/kv/lock -H "If-Match: $etag"
gives "the value is the last that matched" 200 GET /v1/kv/lock
is "the value is 3" 3 "$(body)"
etag=$(header ETag)
gives "get If-None-Match of the version" 304 GET /v1/kv/lock -H "If-None-Match: $etag"
is "304 has no body" "" "$(body)"
gives "get If-None-Match, weak" 304 GET /v1/kv/lock -H "If-None-Match: W/$etag"
gives "get If-None-Match of another" 200 GET /v1/kv/lock -H 'If-None-Match: "1.1.1"'
gives "get If-None-Match: *" 304 GET /v1/kv/lock -H 'If-None-Match: *'
gives "head If-None-Match" 304 HEAD /v1/kv/lock -H "If-None-Match: $etag"
gives "get If-Match" 200 GET /v1/kv/lock -H "If-Match: $etag"
gives "get If-Match of another" "412 condition_failed" GET /v1/kv/lock -H 'If-Match: "1.1.1"'
gives "get If-Match: * of nothing" "412 condition_failed" GET /v1/kv/nothing -H 'If-Match: *'
gives "put If-Match: * of nothing" "412 condition_failed" PUT /v1/kv/nothing -H 'If-Match: *' -d x
is "412 of nothing has no ETag" "" "$(header ETag)"
gives "delete If-Match: *" 200 DELETE /v1/kv/lock -H 'If-Match: *'
gives "delete If-Match: * again" "412 condition_failed" DELETE /v1/kv/lock -H 'If-Match: *'
gives "put If-None-Match of a version" "400 bad_condition" PUT /v1/kv/lock -H "If-None-Match: $etag" -d x
gives "both conditions" "400 bad_condition" PUT /v1/kv/lock -H "If-None-Match: *" -H "If-Match: *" -d x
gives "a list of versions" "400 bad_etag" PUT /v1/kv/lock -H "If-Match: $etag, $etag" -d x
gives "a weak version to match" "400 bad_etag" PUT /v1/kv/lock -H "If-Match: W/$etag" -d x
gives "a version without quotes" "400 bad_etag" PUT /v1/kv/lock -H "If-Match: 1.1.1" -d x

# 20 processes each add 3 to one number; only If-Match keeps them apart.
increment() {
    added=0 tries=0
    while [ $added -lt 3 ] && [ $tries -lt 2000 ]; do
        tries=$((tries + 1))
        answer=$(curl -sS -m 20 -w '\n%header{etag}' "$A/v1/kv/sum")
        number=${answer%%
*} tag=${answer#*
}
        status=$(curl -sS -m 20 -o /dev/null -w '%{http_code}' -X PUT -H "If-Match: $tag" -d $((number + 1)) "$A/v1/kv/sum")
        [ "$status" = 200 ] && added=$((added + 1))
    done
}
gives "a number" 200 PUT /v1/kv/sum -d 0
adders=
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    increment &
    adders="$adders $!"
done
for pid in $adders; do wait "$pid"; done
call GET /v1/kv/sum >"$work/status"
is "20 adders through If-Match" 60 "$(body)"

# ---- expiry ----

now=$(date +%s%3N)
gives "put with a ttl" 200 PUT "/v1/kv/brief?ttl=700ms" -d x
gives "put with a ttl of a second" 200 PUT "/v1/kv/second?ttl=1" -d x
gives "put with a longer ttl" 200 PUT "/v1/kv/hour?ttl=1h30m" -d x
gives "put with a ttl that is taken back" 200 PUT "/v1/kv/kept?ttl=500ms" -d x
gives "put without a ttl" 200 PUT /v1/kv/kept -d y
gives "get before it expires" 200 GET /v1/kv/brief
ok "Atoll-Expires-At is in 0.7 s" [ $(($(header Atoll-Expires-At) - now)) -ge 700 -a $(($(header Atoll-Expires-At) - now)) -lt 2000 ]
gives "get of 1h30m" 200 GET /v1/kv/hour
ok "Atoll-Expires-At is in 90 minutes" [ $((($(header Atoll-Expires-At) - now) / 10000)) -eq 540 ]
sleep 1.2
gives "get after it expired" "404 not_found" GET /v1/kv/brief
gives "get after a second" "404 not_found" GET /v1/kv/second
gives "If-None-Match: * sees no expired value" 200 PUT /v1/kv/brief -H 'If-None-Match: *' -d again
gives "a put without ttl keeps its value" 200 GET /v1/kv/kept
call GET '/v1/scan?prefix=second' >"$work/status"
is "a scan shows no expired value" '{"items":[],"cursor":null}' "$(tr -d '\n' <"$work/body")"

# ---- bytes ----

for key in %00 a%00b a%0Ab a%0D%0Ab 'a&b' a+b a%2Bb2 a%20b a%23b a%25b a%25FF %E2%82%AC %FF %FF%00%FE a/b/c .. ../x %2E%2E . // 'a=b' 'a;b' "%22%27%5C" '~' __DELETED__; do
    printf 'v\000 %s\r\n\377' "$key" >"$work/value"
    one=$(call PUT "/v1/kv/$key" --data-binary "@$work/value")
    two=$(call GET "/v1/kv/$key")
    ok "the key $key and a binary value ($one $two)" cmp "$work/value" "$work/body"
done
gives "a slash may be escaped" 200 GET /v1/kv/a%2Fb%2Fc
gives "a plus is no space in a path" "404 not_found" GET /v1/kv/a%20b%20
call GET '/v1/scan?prefix=a+b&values=0' >"$work/status"
is "a plus is a space in a query" '{"key":"a b"' "$(sed -n '2s/,.*//p' "$work/body")"
call GET '/v1/scan?prefix=a%2Bb&limit=1&values=0' >"$work/status"
is "a plus in a query is %2B" '{"key":"a+b"' "$(sed -n '2s/,.*//p' "$work/body")"
call GET '/v1/scan?start=%FF' >"$work/status"
is "keys that are no text are shown in base64" '{"key_base64":"/w==" {"key_base64":"/wD+"' \
    "$(sed -n 's/,.*//; /key_base64/p' "$work/body" | tr '\n' ' ' | sed 's/ $//')"
gives "the value __DELETED__" 200 PUT /v1/kv/marker -d __DELETED__
gives "the value __DELETED__ is a value" 200 GET /v1/kv/marker
is "the value __DELETED__ comes back" __DELETED__ "$(body)"
call GET '/v1/scan?prefix=marker' >"$work/status"
ok "a scan shows __DELETED__" grep -q '"key":"marker","value":"__DELETED__"' "$work/body"

head -c 16777216 /dev/urandom >"$work/large"
gives "a value of 16 MiB" 200 PUT /v1/kv/large -T "$work/large"
gives "get 16 MiB" 200 GET /v1/kv/large
ok "16 MiB come back" cmp "$work/large" "$work/body"
gives "a chunked value of 16 MiB" 200 PUT /v1/kv/chunked -H 'Transfer-Encoding: chunked' -T "$work/large"
gives "get what came in chunks" 200 GET /v1/kv/chunked
ok "16 MiB in chunks come back" cmp "$work/large" "$work/body"
printf x >>"$work/large"
gives "a byte more than 16 MiB" "413 value_too_large" PUT /v1/kv/large -T "$work/large" -H 'Expect:'
gives "a byte more, asked before it is sent" "413 value_too_large" PUT /v1/kv/large -T "$work/large" -H 'Expect: 100-continue'
gives "a byte more, in chunks" "413 value_too_large" PUT /v1/kv/large -H 'Transfer-Encoding: chunked' -T "$work/large"
head -c 65535 /dev/zero | tr '\0' k >"$work/key"
gives "a key of 65,535 bytes" 200 PUT "/v1/kv/$(cat "$work/key")" -d long
gives "get it" 200 GET "/v1/kv/$(cat "$work/key")"
is "its value" long "$(body)"
gives "a key of 65,536 bytes" "414 key_too_long" PUT "/v1/kv/k$(cat "$work/key")" -d long
gives "a start of 65,536 bytes" "400 key_too_long" GET "/v1/scan?start=k$(cat "$work/key")"
gives "delete the long key" 200 DELETE "/v1/kv/$(cat "$work/key")"

# ---- batch ----

gives "a batch" 200 POST /v1/batch -d '{"items":[{"key":"b1","value":"1","ttl":60},{"key":"b1"},{"op":"delete","key":"b2"},
    {"key_base64":"/wA=","value_base64":"AAEC","if_none_match":"*"},{"key_base64":"/wA=","value":"x","if_none_match":"*"},
    {"key":"none"},{"op":"put","key":"b3","value":"","ttl":"1h"},{"key_base64":"/wA="},{"key":"b1","value":"2","if_match":"1.1.1"}]}'
python "a batch: results in order, each with its status" <<'END'
import json, time
results = json.load(open(f"{work}/body"))["results"]
assert [r["status"] for r in results] == [200, 200, 200, 200, 412, 404, 200, 200, 412], results
assert results[1]["value"] == "1" and results[1]["version"] == results[0]["version"]
assert 55000 < results[1]["expires_at_ms"] - time.time() * 1000 < 65000
assert results[2]["existed"] is False
assert results[4]["error"]["code"] == "condition_failed" and results[4]["version"] == results[3]["version"]
assert results[5]["error"]["code"] == "not_found"
assert results[7]["value"] == "\0\1\2"
END
gives "an empty batch" 200 POST /v1/batch -d '{"items":[]}'
for item in '{}' '{"value":"x"}' '{"key":""}' '{"key":"x","op":"drop"}' '{"key":"x","extra":1}' '{"key":1}' '7' \
    '{"key":"x","value":"y","ttl":0}' '{"key":"x","value":"y","ttl":-1}' '{"key":"x","ttl":5}' \
    '{"key":"x","if_match":"*"}' '{"key":"x","value":"y","if_match":"nonsense"}' '{"key":"x","value":null}' \
    '{"key":"x","key_base64":"eA=="}' '{"key_base64":"e"}' '{"key":"x","op":"put"}' '{"key":"x","op":"get","value":"y"}'; do
    gives "the item $item is refused" "400 bad_item" POST /v1/batch -d "{\"items\":[{\"key\":\"b4\",\"value\":\"1\"},$item]}"
    ok "its index is told" grep -q '\b1\b' "$work/body"
done
gives "a malformed item stops the whole batch" "404 not_found" GET /v1/kv/b4
for text in '' '{' '[]' '{"items":{}}' '{"items":[],"x":1}' '{"items":[{"key":"a","key":"b"}]}' 'null' '{"items":[]}x'; do
    gives "the batch '$text' is refused" "400 bad_json" POST /v1/batch --data-binary "$text"
done
python3 -c 'print("{\"items\":[" + ",".join(["{\"key\":\"b\"}"] * 65537) + "]}")' >"$work/many"
gives "65,537 items" "400 too_many_items" POST /v1/batch --data-binary "@$work/many"
sed 's/{"key":"b"},//' "$work/many" >"$work/fewer"
gives "65,536 items" 200 POST /v1/batch --data-binary "@$work/fewer"
is "65,536 results" 65536 "$(grep -c '"status":404' "$work/body")"
head -c 33554433 /dev/zero >"$work/body32"
gives "a batch of more than 32 MiB" "413 body_too_large" POST /v1/batch -H 'Expect:' --data-binary "@$work/body32"
rm "$work/body32" "$work/many" "$work/fewer"

# ---- scan ----

python "a scan: 5,000 keys of two shards in order, each once, whatever the page" <<'END'
import json, random, urllib.parse, urllib.request
base = f"http://127.0.0.1:{port}"
def call(path, body=None):
    with urllib.request.urlopen(urllib.request.Request(base + path, data=body), timeout=20) as reply:
        return json.load(reply)
keys = sorted({f"scan/{random.Random(i).getrandbits(40):x}" for i in range(5000)})
shuffled = random.Random(1).sample(keys, len(keys))
results = call("/v1/batch", json.dumps({"items": [{"key": k, "value": "v" + k} for k in shuffled]}).encode())["results"]
assert all(r["status"] == 200 for r in results)
def walk(limit, **more):
    found, cursor, pages = [], None, 0
    while True:
        query = dict(more, limit=limit)
        if cursor is not None:
            query["cursor"] = cursor
        answer = call("/v1/scan?" + urllib.parse.urlencode(query))
        assert "error" not in answer and len(answer["items"]) <= limit
        found += answer["items"]
        pages += 1
        cursor = answer["cursor"]
        if cursor is None:
            return found, pages
for limit in (77, 1000, 1024, 1025, 4999, 5000, 5001, 100000):
    items, pages = walk(limit, prefix="scan/")
    assert [i["key"] for i in items] == keys, f"limit {limit}: {len(items)}"
    assert all(i["value"] == "v" + i["key"] for i in items)
    assert pages <= len(keys) // limit + 1, f"limit {limit}: {pages} pages"
items, _ = walk(500, prefix="scan/", values=0)
assert [i["key"] for i in items] == keys and not any("value" in i for i in items)
items, _ = walk(500, start=keys[700], end=keys[2300])
assert [i["key"] for i in items] == keys[700:2300], "start is itself included, end is not"
items, _ = walk(10, start=keys[700], end=keys[700])
assert items == []
some = keys[2500][:7]
items, _ = walk(3, prefix=some)
assert [i["key"] for i in items] == [k for k in keys if k.startswith(some)]
assert len(call("/v1/scan")["items"]) == 1000, "1000 unless given"
END
gives "a limit of nothing" "400 bad_limit" GET '/v1/scan?limit=0'
gives "a limit of too much" "400 bad_limit" GET '/v1/scan?limit=100001'
gives "a limit below nothing" "400 bad_limit" GET '/v1/scan?limit=-1'
gives "a cursor of somebody else" "400 bad_cursor" GET '/v1/scan?cursor=abcdef'
gives "values of neither kind" "400 bad_values" GET '/v1/scan?values=2'
gives "head of a scan" 200 HEAD /v1/scan

# ---- the node ----

gives "health" 200 GET /health
is "health: OK" OK "$(body)"
gives "ready" 200 GET /ready
is "ready: what it says" '{"ready":true,"state":"ready","disk_full":false}' "$(body)"
gives "head of ready" 200 HEAD /ready
gives "the front page" 200 GET /
ok "the front page shows examples" grep -q 'curl -X PUT' "$work/body"
gives "the cluster" 200 GET /v1/cluster
python "the cluster: one node, which leads" <<'END'
import json
c = json.load(open(f"{work}/body"))
assert len(c["nodes"]) == 1 and c["leader"] == c["nodes"][0]["id"] and c["epoch"] == 1 and c["change"] is None
assert c["nodes"][0]["address"] == f"127.0.0.1:{port}" and c["nodes"][0]["state"] == "ready"
END
sleep 0.2
gives "metrics" 200 GET /metrics
python "metrics: JSON counts what was done" <<'END'
import json
m = json.load(open(f"{work}/body"))
for name in ("reads", "writes", "deletes", "scans", "batches", "commands", "bad_requests", "wal_syncs", "hits", "misses", "bytes_in", "bytes_out"):
    assert m[name] > 0, name
assert m["shards"] == 2 and m["ready"] is True and m["disk_full"] is False
assert m["latency_us"]["reads"]["count"] == m["reads"]
END
gives "metrics for Prometheus" 200 GET '/metrics?format=prometheus'
is "metrics for Prometheus: the type" "text/plain; version=0.0.4; charset=utf-8" "$(header Content-Type)"
python "metrics for Prometheus: every line is proper, every metric has a type" <<'END'
import re
typed, last = {}, {}
for line in open(f"{work}/body"):
    match = re.fullmatch(r"# (HELP|TYPE) (atoll_\w+) (.+)\n", line)
    if match:
        if match[1] == "TYPE":
            assert match[2] not in typed, line
            typed[match[2]] = match[3]
        continue
    match = re.fullmatch(r'(atoll_\w+)(\{[\w=".,+:/-]*\})? (-?[0-9.e+]+)\n', line)
    assert match, line
    name = re.sub(r"_(bucket|sum|count)$", "", match[1]) if match[1] not in typed else match[1]
    assert name in typed, line
    if match[1].endswith("_bucket"):
        series = re.sub(r',le="[^"]*"', "", match[2])
        assert float(match[3]) >= last.get(series, 0), f"not cumulative: {line}"
        last[series] = float(match[3])
assert len(typed) > 30
END
gives "metrics as Prometheus asks" 200 GET /metrics -H 'Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5'
is "metrics as Prometheus asks: text" '# HELP' "$(head -c 6 "$work/body")"
gives "metrics in no known format" "400 bad_format" GET '/metrics?format=xml'

# ---- what is refused ----

gives "no such path" "404 no_such_path" GET /v1/nothing
gives "no such keyspace" "404 no_such_keyspace" GET '/v1/kv/x?keyspace=other'
gives "an empty key" "400 empty_key" PUT /v1/kv/ -d x
gives "a wrong escape in a key" "400 bad_escape" GET /v1/kv/%G1
gives "half an escape in a key" "400 bad_escape" GET /v1/kv/x%2
gives "a wrong escape in a query" "400 bad_escape" GET '/v1/scan?prefix=%'
gives "an unknown parameter" "400 unknown_parameter" PUT '/v1/kv/x?tll=60' -d x
ok "an unknown parameter: the known ones are told" grep -q 'ttl' "$work/body"
gives "nothing was stored by it" "404 not_found" GET /v1/kv/x
gives "a repeated parameter" "400 repeated_parameter" PUT '/v1/kv/x?ttl=1&ttl=2' -d x
for ttl in 0 -1 1d x '' 1e9 100y 876001h 0.0 +1 NaN 99999999999999999999; do
    gives "the ttl '$ttl'" "400 bad_ttl" PUT "/v1/kv/x?ttl=$(printf %s "$ttl" | sed 's/+/%2B/')" -d x
done
gives "a ttl on a read" "400 unknown_parameter" GET '/v1/kv/x?ttl=1'
gives "an op of zeros" "400 bad_op" PUT '/v1/kv/x?op=00000000000000000000000000000000' -d x
gives "a short op" "400 bad_op" PUT '/v1/kv/x?op=12' -d x
gives "no such level" "400 bad_level" GET '/v1/kv/x?level=two'
gives "post on a key" "405 method_not_allowed" POST /v1/kv/x -d x
is "405: what is allowed" "GET, HEAD, PUT, DELETE, OPTIONS" "$(header Allow)"
gives "put on a scan" "405 method_not_allowed" PUT /v1/scan -d x
gives "patch on a key" "405 method_not_allowed" PATCH /v1/kv/x -d x
gives "get on the batch" "405 method_not_allowed" GET /v1/batch
gives "options" 204 OPTIONS /v1/kv/x
is "options: what is allowed" "GET, HEAD, PUT, DELETE, OPTIONS" "$(header Allow)"
gives "an unknown method" "501 not_implemented" BREW /v1/kv/x
gives "an unknown encoding" "501 not_implemented" PUT /v1/kv/x -H 'Transfer-Encoding: gzip' -d x
gives "an unknown expectation" "417 expectation_failed" PUT /v1/kv/x -H 'Expect: tea' -d x
head -c 204798 /dev/zero | tr '\0' x >"$work/path"
gives "a path that is too long" "414 target_too_long" GET /v1/scan --url-query "start@$work/path"
gives "a body where none belongs" "413 body_too_large" GET /health -H 'Expect:' --data-binary "@$work/large"

# ---- connections ----

connects=$(curl -sS -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects} ' "$A/v1/kv/kept" "$A/v1/kv/nothing" "$A/v1/nothing")
is "a connection is kept, errors or not" "1 0 0 " "$connects"
connects=$(curl -sS -o /dev/null -o /dev/null -H 'Connection: close' -w '%{num_connects} ' "$A/v1/kv/kept" "$A/v1/kv/kept")
is "Connection: close closes" "1 1 " "$connects"
connects=$(curl -sS -0 -o /dev/null -o /dev/null -w '%{num_connects} ' "$A/v1/kv/kept" "$A/v1/kv/kept")
is "HTTP/1.0 closes" "1 1 " "$connects"
connects=$(curl -sS -0 -o /dev/null -o /dev/null -H 'Connection: keep-alive' -w '%{num_connects} ' "$A/v1/kv/kept" "$A/v1/kv/kept")
is "HTTP/1.0 is kept when asked for" "1 0 " "$connects"
curl -sS -0 "$A/v1/scan?prefix=scan/&limit=3000" >"$work/old"
is "a scan in HTTP/1.0 ends with the connection" 3000 "$(grep -c '"key":"scan/' "$work/old")"

python "300 pipelined requests of both shards are answered in order" <<'END'
import http.client, socket
requests, wanted = [], []
for i in range(100):
    requests.append(b"PUT /v1/kv/pipe%d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n%05d" % (i, i)); wanted.append((200, None))
    requests.append(b"GET /v1/kv/pipe%d HTTP/1.1\r\nHost: x\r\n\r\n" % i); wanted.append((200, b"%05d" % i))
    requests.append(b"GET /v1/kv/absent%d HTTP/1.1\r\nHost: x\r\n\r\n" % i); wanted.append((404, None))
with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
    s.sendall(b"".join(requests))
    file = s.makefile("rb")
    class Reader:
        def makefile(self, mode): return file
    for status, body in wanted:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline(); assert line, "the stream ended"; head += line
        length = int([l for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")][0].split(b":")[1])
        got = file.read(length)
        assert int(head.split()[1]) == status, (head, got)
        assert body is None or got == body, (got, body)
END
python "a half closed connection still gets its answers" <<'END'
import socket
with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
    s.sendall(b"GET /v1/kv/pipe1 HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/kv/pipe2 HTTP/1.1\r\nHost: x\r\n\r\n")
    s.shutdown(socket.SHUT_WR)
    got = b""
    while part := s.recv(65536): got += part
assert got.count(b"HTTP/1.1 200 OK") == 2 and got.endswith(b"00002"), got
END
python "100 Continue comes before the body, once" <<'END'
import socket
with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
    s.sendall(b"PUT /v1/kv/expect HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert s.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    s.sendall(b"bo"); s.sendall(b"dy")
    assert s.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
END
gives "what came after 100 Continue" 200 GET /v1/kv/expect
is "its value" body "$(body)"

# ---- all is there after a restart ----

node_stop "$node_pid"
node_start "$port" "$work/node"
for key in marker kept sum lock_none; do call GET "/v1/kv/$key" >"$work/status"; [ "$(cat "$work/status")" = 200 ] && body; echo; done >"$work/after"
is "after a restart" "__DELETED__ y 60" "$(tr '\n' ' ' <"$work/after" | sed 's/ *$//')"
gives "a key of 0xFF after a restart" 200 GET /v1/kv/%FF%00%FE
gives "16 MiB after a restart" 200 GET /v1/kv/chunked
ok "16 MiB after a restart: the bytes" [ "$(wc -c <"$work/body")" -eq 16777216 ]
gives "the ttl after a restart" 200 GET /v1/kv/hour
ok "the ttl after a restart: the same time" [ $((($(header Atoll-Expires-At) - now) / 10000)) -eq 540 ]
finish

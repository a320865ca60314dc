#!/usr/bin/env python3
"""The commands of the five older stores work as they did: status, headers and body of every row of
docs/compatibility.md, byte for byte as curl shows them, and their settings from .env and the environment."""
import json
import subprocess

from lib import *

NAMED = ("content-type", "x-content-type-options", "allow", "location")
TEXT = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
JSON = {"content-type": "application/json", "x-content-type-options": "nosniff"}
NONE = {}

node = Node("--shards", "2", "--insecure")


def curl(path, *options, port=None):
    """(status line's number, the headers that are promised, body) as curl -i prints them."""
    url = path if path.startswith("http") else f"http://127.0.0.1:{port or node.port}{path}"
    out = subprocess.run(["curl", "-sS", "-i", "-m", "20", "--path-as-is", *options, url], capture_output=True)
    assert out.returncode == 0, out.stderr
    head, _, body = out.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict((n.lower(), v) for n, v in (line.split(": ", 1) for line in lines[1:]))
    return int(lines[0].split(" ")[1]), {n: v for n, v in headers.items() if n in NAMED}, body


def row(name, wanted, path, *options):
    """One request of the table; `wanted` is (status, headers, body)."""
    test(name, lambda: equal(curl(path, *options), wanted))


def allow(headers, methods):
    return {**headers, "allow": methods}


def post(body):
    return ("-d", body)


# ---- 000: /kvstore ----

row("kvstore: POST", (201, NONE, b""), "/kvstore", *post('{"key":"K","value":"V"}'))
row("kvstore: GET", (200, JSON, b'{"key":"K","value":"V"}\n'), "/kvstore?key=K")
row("kvstore: PUT", (201, NONE, b""), "/kvstore", "-X", "PUT", "-H", "Content-Type: application/json",
    *post('{"KEY":"K","Value":"<V>&\u00e9"}'))
row("kvstore: GET escapes as Go does", (200, JSON, '{"key":"K","value":"\\u003cV\\u003e\\u0026\u00e9"}\n'.encode()),
    "/kvstore?key=K")
row("kvstore: POST of a form", (201, NONE, b""), "/kvstore", "-d", "key=form+key", "--data-urlencode", "value=a&b=c")
row("kvstore: GET of what a form wrote", (200, JSON, b'{"key":"form key","value":"a\\u0026b=c"}\n'),
    "/kvstore?key=form%20key")
row("kvstore: GET without a key", (400, TEXT, b"missing key in query\n"), "/kvstore")
row("kvstore: GET of nothing", (404, TEXT, b"key not found\n"), "/kvstore?key=none")
row("kvstore: POST of no JSON", (400, TEXT, b"invalid request body\n"), "/kvstore", *post("rubbish"))
row("kvstore: POST of a number", (400, TEXT, b"invalid request body\n"), "/kvstore", *post('{"key":"K","value":1}'))
row("kvstore: POST without a value", (400, TEXT, b"missing key or value in request body\n"), "/kvstore",
    *post('{"key":"K"}'))
row("kvstore: POST without a key", (400, TEXT, b"missing key or value in request body\n"), "/kvstore",
    *post('{"value":"V"}'))
row("kvstore: DELETE", (204, NONE, b""), "/kvstore?key=K", "-X", "DELETE")
row("kvstore: DELETE again", (204, NONE, b""), "/kvstore?key=K", "-X", "DELETE")
row("kvstore: GET of what was deleted", (404, TEXT, b"key not found\n"), "/kvstore?key=K")
row("kvstore: DELETE without a key", (400, TEXT, b"missing key in query\n"), "/kvstore", "-X", "DELETE")
METHODS = allow(TEXT, "GET, POST, PUT, DELETE")
row("kvstore: PATCH", (405, METHODS, b"unsupported HTTP method\n"), "/kvstore?key=K", "-X", "PATCH")
row("kvstore: HEAD", (405, METHODS, b""), "/kvstore?key=K", "-I")
row("kvstore: OPTIONS", (405, METHODS, b"unsupported HTTP method\n"), "/kvstore", "-X", "OPTIONS")

# ---- 001: /PUT and /GET ----

row("PUT", (200, JSON, b""), "/PUT", "-X", "PUT", *post('{"Key":"k","Value":"v"}'))
row("PUT: any method, any case", (200, JSON, b""), "/PUT", *post('{"key":"k2","VALUE":"<v>"}'))
row("GET with a body", (200, JSON, b'"v"\n'), "/GET", "-X", "GET", *post('{"Key":"k"}'))
row("GET: any method, any case", (200, JSON, b'"\\u003cv\\u003e"\n'), "/GET", "-X", "POST", *post('{"key":"k2"}'))
row("GET of nothing", (404, TEXT, b"key not found\n"), "/GET", "-X", "GET", *post('{"Key":"none"}'))
row("GET without a body", (400, TEXT, b"unable to decode\n"), "/GET")
row("GET of no JSON", (400, TEXT, b"unable to decode\n"), "/GET", "-X", "GET", *post("{"))
row("PUT of nothing", (400, TEXT, b"EOF\n"), "/PUT", "-X", "PUT")
row("PUT of half an object", (400, TEXT, b"unexpected EOF\n"), "/PUT", "-X", "PUT", *post('{"Key":"k"'))
row("PUT of no JSON", (400, TEXT, b"invalid character 'r' looking for beginning of value\n"), "/PUT", "-X", "PUT",
    *post("rubbish"))

# ---- 002 and 003: /set and /get ----

row("set", (200, JSON, b'{"status":"success"}\n'), "/set?key=a+b&value=%3Cv%3E+1")
row("get: raw, and never as HTML", (200, TEXT, b"<v> 1"), "/get?key=a%20b")
row("get: format=json", (200, JSON, b'{"value":"\\u003cv\\u003e 1"}\n'), "/get?key=a%20b&format=json")
row("get: Accept", (200, JSON, b'{"value":"\\u003cv\\u003e 1"}\n'), "/get?key=a+b", "-H", "Accept: application/json")
row("get: any method", (200, TEXT, b"<v> 1"), "/get?key=a+b", *post("key=other"))
row("get: HEAD", (200, TEXT, b""), "/get?key=a+b", "-I")
row("get of nothing", (404, TEXT, b"Key not found\n"), "/get?key=none")
row("get of nothing, as JSON", (404, JSON, b'{"error":"Key not found"}\n'), "/get?key=none&format=json")
row("get without a key", (400, TEXT, b"Key required\n"), "/get")
row("set without a key", (400, TEXT, b"Key required\n"), "/set?value=v")
row("set: any method, the form is ignored", (200, JSON, b'{"status":"success"}\n'), "/set?key=m&value=query",
    *post("value=form"))
row("set: the query counted", (200, TEXT, b"query"), "/get?key=m")
row("set: HEAD does not write", (405, allow(TEXT, "GET, POST, PUT, DELETE, PATCH"), b""), "/set?key=h&value=v", "-I")
row("set: ttl", (200, TEXT, b"OK"), "/set?key=t&value=v&ttl=1h30m")
row("set: ttl, the value is there", (200, TEXT, b"v"), "/get?key=t")
for ttl in ("60s", "1500ms", "1.5h", "90m", "%2B5s", "1h0.5s", "100000us"):
    row(f"set: ttl={ttl}", (200, TEXT, b"OK"), f"/set?key=t&value=v&ttl={ttl}")
for ttl in ("", "60", "1d", "abc", "5%20s", "-", "1h5"):
    row(f"set: ttl={ttl} is refused", (400, TEXT, b"Invalid TTL value\n"), f"/set?key=t&value=w&ttl={ttl}")
for ttl in ("0", "-5s"):
    row(f"set: ttl={ttl} is stored expired", (200, TEXT, b"OK"), f"/set?key=t&value=v&ttl={ttl}")
    row(f"set: ttl={ttl}, nothing is there", (404, TEXT, b"Key not found\n"), "/get?key=t")


def expires():
    equal(curl("/set?key=brief&value=v&ttl=300ms")[2], b"OK")
    eventually(5, lambda: curl("/get?key=brief")[0] == 404)


test("set: a value is gone after its ttl", expires)

# ---- 004 ----

row("put", (200, TEXT, b"OK"), "/put", *post('{"key":"user:1","value":"one"}'))
row("put: any case, unknown members", (200, TEXT, b"OK"), "/put", "-X", "PUT",
    *post('{"Key":"user:2","VALUE":"two","more":[1]}'))
row("put: no JSON", (400, TEXT, b"Bad Request\n"), "/put", *post("{"))
row("put: a number", (400, TEXT, b"Bad Request\n"), "/put", *post('{"key":"k","value":1}'))
row("put: ttl", (200, TEXT, b"OK"), "/put", *post('{"key":"brief:put","value":"v","ttl":"-1s"}'))
row("put: ttl, nothing is there", (404, TEXT, b"Key not found\n"), "/get?key=brief:put")
row("put: a wrong ttl", (400, TEXT, b"Invalid TTL value\n"), "/put", *post('{"key":"k","value":"v","ttl":"60"}'))
row("get of a put", (200, TEXT, b"one"), "/get?key=user:1")
row("batch", (200, TEXT, b"Batch Processed"), "/batch",
    *post('{"items":[{"key":"user:3","value":"<3>"},{"Key":"user:4","Value":"four"}]}'))
row("batch of nothing", (200, TEXT, b"Batch Processed"), "/batch", *post('{"items":[]}'))
row("batch: no JSON", (400, TEXT, b"Bad Request\n"), "/batch", *post("x"))
row("batch: no items", (400, TEXT, b"Bad Request\n"), "/batch", *post('{"items":7}'))
row("scan: both ends belong to it", (200, JSON, b'{"user:2":"two","user:3":"\\u003c3\\u003e"}\n'),
    "/scan?start=user:2&end=user:3")
row("scan: without a start", (200, JSON, b"{}\n"), "/scan?end=A")
row("scan: without an end", (200, JSON, b"{}\n"), "/scan?start=user:1")
row("scan: nothing there", (200, JSON, b"{}\n"), "/scan?start=x&end=y")
row("scan: HEAD", (200, JSON, b""), "/scan?start=user:&end=user:9", "-I")
row("delete", (200, TEXT, b"Deleted"), "/delete?key=user:1", "-X", "POST")
row("delete: it is gone", (404, TEXT, b"Key not found\n"), "/get?key=user:1")
row("delete again", (200, TEXT, b"Deleted"), "/delete?key=user:1", "-X", "DELETE")
row("delete without a key", (400, TEXT, b"Key required\n"), "/delete", "-X", "POST")
row("delete: GET deletes nothing", (405, allow(TEXT, "POST, DELETE"), b"Method Not Allowed\n"), "/delete?key=user:2")
row("delete: the key is still there", (200, TEXT, b"two"), "/get?key=user:2")
row("health", (200, TEXT, b"OK"), "/health")
row("health: HEAD", (200, TEXT, b""), "/health", "-I")


def metrics():
    status, headers, body = curl("/metrics")
    equal((status, headers), (200, JSON))
    figures = json.loads(body)
    for name in ("batches", "compactions", "deletes", "errors", "flushes", "reads", "scans", "wal_syncs", "writes"):
        assert isinstance(figures[name], int), name
    assert figures["writes"] > 10 and figures["deletes"] > 2 and figures["reads"] > 10, figures
    assert figures["batches"] == 1 and figures["scans"] >= 1, figures
    equal(curl("/metrics?format=prometheus")[1]["content-type"], "text/plain; version=0.0.4; charset=utf-8")


test("metrics: the nine names", metrics)


def large_scan():
    """Many pages, over both shards, in one object and in order."""
    for start in range(0, 5000, 1000):
        items = [{"key": f"page:{i:05}", "value": f"value {i}"} for i in range(start, start + 1000)]
        equal(node.http("POST", "/batch", json.dumps({"items": items}).encode())[2], b"Batch Processed")
    found = json.loads(node.http("GET", "/scan?start=page:00001&end=page:04998")[2])
    equal(list(found), [f"page:{i:05}" for i in range(1, 4999)])
    equal(found["page:01234"], "value 1234")


test("scan: many keys", large_scan)


def mixed():
    """A value is the same whichever store's command wrote it."""
    writes = [("/kvstore", post('{"key":"mix","value":"0"}')), ("/PUT", post('{"Key":"mix","Value":"1"}')),
              ("/set?key=mix&value=2", ()), ("/set?key=mix&value=3&ttl=1h", ()), ("/put", post('{"key":"mix","value":"4"}')),
              ("/batch", post('{"items":[{"key":"mix","value":"5"}]}')), ("/v1/kv/mix", ("-X", "PUT", "-d", "6"))]
    for i, (path, options) in enumerate(writes):
        assert curl(path, *options)[0] in (200, 201)
        value = str(i).encode()
        equal(curl("/kvstore?key=mix")[2], b'{"key":"mix","value":"%s"}\n' % value)
        equal(curl("/GET", "-X", "GET", "-d", '{"Key":"mix"}')[2], b'"%s"\n' % value)
        equal(curl("/get?key=mix")[2], value)
        equal(curl("/scan?start=mix&end=mix")[2], b'{"mix":"%s"}\n' % value)
        equal(node.kv("GET", "mix")[2], value)


test("one key through every store's commands", mixed)

# ---- paths ----

row("an unknown path", (404, TEXT, b"404 page not found\n"), "/nothing")
row("paths have a case", (404, TEXT, b"404 page not found\n"), "/Get?key=a")
row("a slash behind a path", (404, TEXT, b"404 page not found\n"), "/get/?key=a")
row("inner routes are not there", (404, TEXT, b"404 page not found\n"), "/internal/get?key=a")


def own_api_errors():
    status, headers, body = curl("/v1/nothing")
    equal((status, headers, json.loads(body)["error"]["code"]), (404, JSON, "no_such_path"))


test("the own API keeps its JSON", own_api_errors)

# ---- members ----

me = f"127.0.0.1:{node.port}"
BEGUN = (b"127.0.0.1:1 becomes a member once it is started there with: atoll serve --listen 127.0.0.1:1 --join "
         + me.encode() + b"%s\n")
LAST = b"no member would be left to keep the data\n"
row("list-nodes", (200, TEXT, f"node: {me}\n".encode()), "/list-nodes")
row("add-node: a member", (200, TEXT, f"node {me} added successfully".encode()), f"/add-node?address={me}")
row("add-node: a member, as a URL", (200, TEXT, f"node {me} added successfully".encode()),
    f"/add-node?address=http://{me}/", "-X", "POST")
row("add-node: another", (202, TEXT, BEGUN % b""), "/add-node?address=127.0.0.1:1")
row("add-node without an address", (400, TEXT, b"missing address\n"), "/add-node")
row("remove-node", (409, TEXT, LAST), f"/remove-node?address={me}")
row("remove-node without an address", (400, TEXT, b"missing address\n"), "/remove-node")
row("AddServer: a member", (200, JSON, b""), "/AddServer", *post(f'{{"url":"http://{me}","weight":1}}'))
row("AddServer: a member, another weight", (202, TEXT, b"node 1 gets weight 5; a change of the ring brings it about\n"), "/AddServer",
    *post(f'{{"url":"{me}","weight":5}}'))
row("AddServer: another", (202, TEXT, BEGUN % b" --weight 1"), "/AddServer", *post('{"url":"http://127.0.0.1:1","weight":1}'))
row("AddServer: no JSON", (400, TEXT, b"unable to decode the serverInfo\n"), "/AddServer", *post("x"))
row("RemoveServer", (409, TEXT, LAST), "/RemoveServer", *post(f'{{"url":"http://{me}"}}'))


def cluster():
    with_peers = Cluster(nodes=3)
    addresses = sorted(f"node: 127.0.0.1:{n.port}" for n in with_peers.nodes)
    for n in with_peers.nodes:
        equal(sorted(curl("/list-nodes", port=n.port)[2].decode().splitlines()), addresses)
        for other in with_peers.nodes:
            equal(curl(f"/add-node?address=localhost:{other.port}", port=n.port)[0], 200)
    equal(curl("/set?key=c&value=v", port=with_peers.nodes[0].port)[2], b'{"status":"success"}\n')
    for n in with_peers.nodes:
        equal(curl("/get?key=c", port=n.port)[2], b"v")
    dashboard = json.loads(curl("/dashboard", port=with_peers.nodes[0].port)[2])
    equal(dashboard["numReplicas"], 3)
    proxy = Node("--role", "proxy", "--peers", with_peers.peers)
    equal(sorted(curl("/list-nodes", port=proxy.port)[2].decode().splitlines()), addresses)
    equal(curl(f"/add-node?address=127.0.0.1:{proxy.port}", port=proxy.port)[0], 202)
    eventually(10, lambda: curl("/set?key=p&value=w", port=proxy.port)[2] == b'{"status":"success"}\n')
    equal(curl("/GET", "-X", "GET", "-d", '{"Key":"p"}', port=proxy.port), (200, JSON, b'"w"\n'))
    equal(json.loads(curl("/scan?start=a&end=z", port=proxy.port)[2]), {"c": "v", "p": "w"})
    proxy.kill()
    with_peers.nodes[1].kill()
    with_peers.nodes[2].kill()
    alone = with_peers.nodes[0].port
    eventually(20, lambda: curl("/put", "-d", '{"key":"k","value":"v"}', port=alone) ==
               (503, TEXT, b"Quorum Failed\n"))
    eventually(5, lambda: curl("/get?key=c", port=alone) == (503, TEXT, b"Read Quorum Not Met\n"))
    eventually(5, lambda: curl("/delete?key=c", "-X", "POST", port=alone) == (503, TEXT, b"Delete Failed\n"))
    equal(curl("/batch", "-d", '{"items":[{"key":"a","value":"1"},{"key":"b","value":"2"}]}', port=alone),
          (500, TEXT, b"Batch finished with 2 failures\n"))
    with_peers.nodes[0].kill()


test("a cluster: members, and the words for a lost quorum", cluster)

# ---- dashboard ----


def dashboard():
    fresh = Node("--shards", "5")
    status, kind, body = curl("/dashboard", port=fresh.port)
    equal((status, kind), (200, JSON))
    equal(body[:body.index(b',"cluster":')],
          b'{"numReplicas":1,"numShards":5,"shards":[{"numKeys":0},{"numKeys":0},{"numKeys":0},'
          b'{"numKeys":0},{"numKeys":0}]')
    more = json.loads(body)
    equal((len(more["cluster"]["nodes"]), more["metrics"]["shards"]), (1, 5))
    for i in range(40):
        curl(f"/set?key=key{i}&value=v&ttl=1h", port=fresh.port)
    wanted = [sum(shard_of(f"key{i}", 5) == s for i in range(40)) for s in range(5)]
    # The other shards tell their figures a moment later.
    eventually(5, lambda: [s["numKeys"] for s in
                           json.loads(curl("/dashboard", port=fresh.port)[2])["shards"]] == wanted)
    fresh.kill()


test("dashboard: the keys of each shard", dashboard)

# ---- settings ----


def config(files=None, env=None, *flags):
    """`atoll config --json` in a folder with these files."""
    folder = tempfile.mkdtemp(dir=work)
    for name, text in (files or {}).items():
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ATOLL")}
    return subprocess.run([os.path.abspath(ATOLL), "config", *(flags or ["--json"])], cwd=folder, env={**clean, **(env or {})},
                          capture_output=True, text=True)


def setting(found, name):
    row = json.loads(found.stdout)[name]
    return row["value"], row["source"]


NAMES = {  # name: (value, option, as it is shown)
    "NODE_ADDRESS": ("localhost:8001", "listen", "localhost:8001"),
    "NET_PORT": ("8123", "port", "8123"),
    "KVSTORE_PEERS": ("localhost:8080,localhost:8081", "peers", "localhost:8080,localhost:8081"),
    "KVSTORE_DIR": ("./other", "dir", "./other"),
    "KVSTORE_GET_FORMAT": ("json", "get-format", "json"),
    "MEMTABLE_SIZE": ("67108864", "memtable", "64MiB"),
    "CLUSTER_REPLICATION_FACTOR": ("5", "replicas", "5"),
    "CLUSTER_WRITE_QUORUM": ("1", "write-quorum", "1"),
    "CLUSTER_READ_QUORUM": ("2", "read-quorum", "2"),
    "NETWORK_TIMEOUT": ("1.5s", "quorum-wait", "1500ms"),
}
INERT = ["MAX_L0_FILES", "SPARSE_INDEX_INTERVAL", "WAL_COMMIT_INTERVAL", "WAL_MAX_BATCH_SIZE", "CLUSTER_VIRTUAL_NODES",
         "BATCH_CONCURRENCY", "BLOOM_SIZE_L0", "BLOOM_SIZE_L1"]


def names_of_options():
    for name, (value, option, shown) in NAMES.items():
        equal(setting(config(env={name: value}), option), (shown, "environment"))
        equal(setting(config({".env": f'{name}="{value}"  # a comment\n'}), option), (shown, ".env"))
        equal(setting(config({".env": f"export {name}={value} # a comment\n"}), option), (shown, ".env"))


def names_without_effect():
    for name in INERT:
        found = json.loads(config(env={name: "128"}).stdout)[name]
        equal((found["value"], found["source"]), ("128", "environment"))
        assert len(found["no_effect"]) > 20
        text = config({".env": f"{name}=2ms # comment\n"}, None, "--log-level", "info").stdout
        contains(text, f"{name}=2ms (.env) has no effect here, because ")


def order():
    env_file = {".env": "NET_PORT=1001\n"}
    equal(setting(config({**env_file, "test.env": "NET_PORT=1000\n"}), "port"), ("1001", ".env"))
    equal(setting(config({"test.env": "NET_PORT=1000 # t\nMAX_L0_FILES=4\n"}), "port"), ("1000", "test.env"))
    equal(setting(config(env_file, {"NET_PORT": "1002"}), "port"), ("1002", "environment"))
    equal(setting(config(env_file, {"NET_PORT": "1002"}, "--json", "-port", "1003"), "port"), ("1003", "flag"))
    equal(setting(config(), "port"), ("8080", "default"))
    # A .env without the name does not let test.env through.
    equal(setting(config({".env": "# nothing\n", "test.env": "NET_PORT=1000\n"}), "port"), ("8080", "default"))


def bad_values():
    for name, value, wanted in [("NET_PORT", "http", "NET_PORT=http (environment) is not allowed; allowed: 0 to 65535"),
                                ("NETWORK_TIMEOUT", "2", "NETWORK_TIMEOUT=2 (environment) is not allowed; allowed: 10ms"),
                                ("KVSTORE_GET_FORMAT", "xml", "allowed: raw, json"),
                                ("MEMTABLE_SIZE", "1.5G", "MEMTABLE_SIZE=1.5G (environment) is not allowed"),
                                ("CLUSTER_WRITE_QUORUM", "0", "CLUSTER_WRITE_QUORUM=0 (environment) is not allowed")]:
        found = config(None, {name: value})
        equal((found.returncode, found.stdout, found.stderr.count("\n")), (2, "", 1))
        contains(found.stderr, wanted)
    found = config({"test.env": "NET_PORT\n"})
    equal(found.returncode, 2)
    contains(found.stderr, "test.env line 1: no NAME=value")


def old_command_line():
    """What the README of 004 says, with its three flags."""
    port = free_port()
    folder = os.path.join(work, "flags")
    process = subprocess.Popen([ATOLL, "serve", f"-port={port}", f"-peers=localhost:{port}", "-dir", folder],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(20, lambda: curl("/ready", port=port)[0] == 200)
        equal(curl("/put", "-d", '{"key":"k","value":"v"}', port=port)[2], b"OK")
        equal(curl("/get?key=k", port=port)[2], b"v")
        assert os.path.isdir(folder)
    finally:
        process.kill()
        process.wait()


def get_format():
    served = Node("-get-format", "json")
    equal(curl("/set?key=a&value=1", port=served.port)[2], b'{"status":"success"}\n')
    equal(curl("/get?key=a", port=served.port), (200, JSON, b'{"value":"1"}\n'))
    equal(curl("/get?key=a&format=raw", port=served.port), (200, TEXT, b"1"))
    equal(curl("/get?key=b", port=served.port), (404, JSON, b'{"error":"Key not found"}\n'))
    served.kill()


# ---- import and export ----


def atoll(*words, port=None, text=None):
    found = subprocess.run([ATOLL, *words, "--server", f"127.0.0.1:{port or node.port}"], input=text, capture_output=True)
    return found.returncode, found.stdout, found.stderr.decode()


def import_kvstore_json():
    """The snapshot that 000 wrote, as it is."""
    path = os.path.join(work, "kvstore.json")
    with open(path, "w") as f:
        json.dump({f"old{i}": f"value <{i}> \u00e9" for i in range(2500)}, f)
    equal(atoll("import", path), (0, b"imported 2500 keys\n", ""))
    equal(curl("/get?key=old2499")[2], "value <2499> \u00e9".encode())
    equal(len(json.loads(curl("/scan?start=old&end=oldz")[2])), 2500)


def round_trip():
    """Any bytes, a large value and an expiry come back through a file."""
    one, two = Node("--shards", "2"), Node("--shards", "3")
    values = {b"plain": b"text", b"\xff\x00key": b"v", b"bin": bytes(range(256)), "\u20ac\n".encode(): b"", b"base64:": b"\"\\",
              b"large": os.urandom(3 << 20), b"long text": b"\x01" * (5 << 20)}
    for key, value in values.items():
        equal(one.kv("PUT", key, value)[0], 200)
    equal(one.kv("PUT", "brief", b"x", ttl="1h")[0], 200)
    equal(one.kv("PUT", "over", b"x", ttl="2s")[0], 200)
    code, exported, error = atoll("export", port=one.port)
    equal((code, error), (0, ""))
    pairs = json.loads(exported)
    equal(len(pairs), 9)
    equal((pairs["plain"], pairs["base64:"]), ("text", "\"\\"))
    time.sleep(2.1)
    equal(atoll("import", "-", port=two.port, text=exported),
          (0, b"imported 8 keys, left out 1 that have expired\n", ""))
    for key, value in values.items():
        equal(two.kv("GET", key)[2], value)
    first, second = (int(n.kv("GET", "brief")[1]["Atoll-Expires-At"]) for n in (one, two))
    assert abs(first - second) < 10000, (first, second)
    equal(atoll("export", port=two.port)[1].count(b"\n"), 10)
    equal(json.loads(atoll("export", "--prefix", "ba", port=two.port)[1]), {"base64:": "\"\\"})
    equal(atoll("export", "--prefix", "none", port=two.port), (0, b"{}\n", ""))
    one.kill()
    two.kill()


def import_stops():
    def refused(text, code, wanted):
        found = atoll("import", "-", text=text)
        equal((found[0], found[1]), (code, b""))
        contains(found[2], wanted)
        equal(found[2].count("\n"), 1)

    refused(b'{"good1":"1",\n"bad":2}', 2, "standard input line 2: a value must be a string; 1 keys were stored")
    equal(curl("/get?key=good1")[2], b"1")
    refused(b"[]", 2, "the text is no JSON object")
    refused(b'{"a":"1"', 2, "the object is not complete")
    refused(b'{"":"1"}', 2, "a key has 1 to 65535 bytes")
    equal(atoll("import", "-", text=b"{}"), (0, b"imported 0 keys\n", ""))
    equal(atoll("import", "-", "--json", text=b'{"a":"1"}'), (0, b'{"stored":1,"expired":0}\n', ""))
    equal(atoll("import", os.path.join(work, "nothing"))[0], 5)
    equal(atoll("import", "-", port=free_port(), text=b'{"a":"1"}')[0], 3)
    small = Node("--value-max", "100")
    found = atoll("import", "-", port=small.port, text=b'{"fine":"1","the key":"%s"}' % (b"x" * 101))
    equal(found[0], 4)
    contains(found[2], "the key: not stored: items[1]: the value is too large")
    small.kill()


test("import: a snapshot of 000", import_kvstore_json)
test("export and import: everything comes back", round_trip)
test("import: what is wrong is named", import_stops)

test("every name that sets an option", names_of_options)
test("every name that has no effect, and why", names_without_effect)
test("which source wins", order)
test("a bad value stops the start with one line", bad_values)
test("the command line of an older store", old_command_line)
test("--get-format json: /get of 002 as it was", get_format)
finish()

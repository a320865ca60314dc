#!/usr/bin/env python3
"""What an operator sees: metrics that promtool accepts and that move with what happens, lines that
nobody can forge, levels that change while a node runs, slow requests with the phase they spent their time in.
"""
import json
import re
import shutil
import subprocess
import threading
import time

from lib import Cluster, Load, Node, RespError, contains, equal, eventually, finish, skip, test

PAUSE_SECONDS = 0.7
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARN|ERROR) [ -~]+$")


def prometheus(node):
    status, headers, body = node.http("GET", "/metrics?format=prometheus")
    equal(status, 200)
    contains(headers["Content-Type"], "version=0.0.4")
    return body.decode()


def samples(node):
    """{name with labels: value}"""
    lines = [line for line in prometheus(node).splitlines() if not line.startswith("#")]
    found = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    equal(len(found), len(lines))
    return found


def total(nodes, name):
    """Over all nodes and all labels that begin like this."""
    return sum(value for node in nodes for key, value in samples(node).items()
               if key == "atoll_" + name or key.startswith("atoll_" + name + "{")
               or ("{" in name and key.startswith("atoll_" + name)))


def moves(nodes, names, action, seconds=15):
    """Each of the figures grows because of the action."""
    before = {name: total(nodes, name) for name in names}
    action()
    for name in names:
        eventually(seconds, lambda: grown(nodes, name, before[name]))


def grown(nodes, name, before):
    now = total(nodes, name)
    assert now > before, f"{name} stays at {now}"


def promtool(node):
    run = subprocess.run(["promtool", "check", "metrics"], input=prometheus(node).encode(), capture_output=True)
    assert run.returncode == 0 and not run.stdout and not run.stderr, run.stdout + run.stderr


def operations(kind, level):
    return f'operation_duration_seconds_count{{class="{kind}",level="{level}"}}'


# ---- figures ----


def figures_of_one_node():
    node = Node("--shards", "2", "--memtable", "1MiB")
    resp = node.resp()

    def write():
        for i in range(3000):
            resp.send("SET", f"key-{i}", b"x" * 1000)
        for i in range(3000):
            equal(resp.read(), "OK")
    moves([node], [operations("write", "quorum"), 'operations_total{class="write"}', "put_bytes_total",
                   "wal_bytes_total", "wal_syncs_total", "wal_sync_duration_seconds_count",
                   "wal_sync_duration_seconds_sum", "received_bytes_total", "sent_bytes_total",
                   "flushes_total", "flush_bytes_total", "level_bytes", "write_amplification_ratio",
                   "commands_total"], write)
    moves([node], [operations("read", "quorum"), "engine_gets_total", "filter_checks_total", "read_hits_total",
                   "cache_hits_total"],
          lambda: [resp("GET", f"key-{i}") for i in range(0, 3000, 3)])
    moves([node], [operations("read", "all"), "read_misses_total"], lambda: node.kv("GET", "none", level="all"))
    moves([node], [operations("read", "one")], lambda: node.kv("GET", "none", level="one"))
    moves([node], [operations("read", "number")], lambda: node.kv("GET", "none", level="2"))
    moves([node], [operations("delete", "quorum")], lambda: resp("DEL", "key-0"))
    moves([node], [operations("batch", "quorum")], lambda: resp("MGET", "key-1", "key-2"))
    moves([node], [operations("scan", "quorum")], lambda: node.http("GET", "/v1/scan?limit=5"))
    moves([node], ["bad_requests_total"], lambda: node.raw(b"*1\r\n$x\r\n", until=b"\r\n"))
    moves([node], ["connections_opened_total"], lambda: node.resp().close())
    found = samples(node)
    for name in ("resident_bytes", "connections", "memtables", "cache_limit_bytes", "space_amplification_ratio"):
        assert found["atoll_" + name] > 0, name
    agrees(found)
    equal(node.stop(), 0)


def agrees(found):
    """Buckets of a histogram grow, and the last is the count."""
    last = {}
    for name, value in found.items():
        series, is_bucket, _ = name.partition("_bucket{")
        if not is_bucket:
            continue
        series += re.sub(r',?le="[^"]*"', "", name)
        assert value >= last.get(series, 0), name
        last[series] = value
        if 'le="+Inf"' in name:
            equal(found[name.replace("_bucket", "_count").replace(',le="+Inf"', "").replace('{le="+Inf"}', "")], value)
    assert len(last) == 21, last.keys()


def nine_names():
    node = Node()
    node.kv("PUT", "a", b"1")
    node.kv("GET", "a")
    found = eventually(5, lambda: (m := node.json("/metrics"))["reads"] == 1 and m["writes"] == 1 and m)
    for name in ("batches", "compactions", "deletes", "errors", "flushes", "reads", "scans", "wal_syncs", "writes"):
        assert isinstance(found[name], int), name
    equal((found["deletes"], found["scans"], found["batches"]), (0, 0, 0))
    assert {"quorum_failures_timeout", "records_sent_hint", "write_amplification"} <= found.keys()
    equal(node.stop(), 0)


def figures_of_a_cluster():
    cluster = Cluster("--quorum-wait", "1s")
    nodes = cluster.nodes
    moves(nodes, [operations("write", "quorum"), 'peer_records_sent_total{cause="write"}',
                  'peer_records_taken_total{cause="write"}', "peer_received_bytes_total", "peer_sent_bytes_total",
                  "coordinated_operations_total"],
          lambda: [nodes[i % 3].kv("PUT", f"k{i}", b"v") for i in range(60)])
    moves(nodes, [operations("read", "all"), "peer_queries_total", "read_hits_total"],
          lambda: [nodes[i % 3].kv("GET", f"k{i}", level="all") for i in range(30)])
    eventually(10, lambda: samples(nodes[0])["atoll_peer_links_up"] == 2)
    eventually(30, lambda: total(nodes, 'repair_passes_total{result="clean"}') > 0)
    if shutil.which("promtool"):
        with Load(nodes) as load:
            time.sleep(1)
            for node in nodes:
                promtool(node)
        load.check()
    away(cluster)
    equal(cluster.stop(), [0, 0, 0])


def away(cluster):
    """A node is killed: hints are kept and replayed; then two are, and there is no quorum."""
    two = cluster.others(2)
    before = total(two, "peer_links_lost_total")
    cluster.kill(2)
    cluster.wait_seen_down(2)
    assert total(two, "peer_links_lost_total") > before
    equal(samples(two[0])["atoll_peer_links_up"], 1)
    moves(two, ["hints_stored_total", "hints_waiting", "hints_waiting_bytes"],
          lambda: [two[i % 2].kv("PUT", f"h{i}", b"v") for i in range(50)])
    moves(two, ['quorum_failures_total{reason="replicas"}'],
          lambda: equal(two[0].kv("PUT", "all", b"v", level="all")[0], 503))
    moves(two, ["hints_replayed_total", 'peer_records_sent_total{cause="hint"}'], lambda: cluster.restart(2))
    eventually(15, lambda: total(two, "hints_waiting") == 0)
    eventually(15, lambda: samples(cluster[2])['atoll_peer_records_taken_total{cause="hint"}'] > 0)
    # What another does not answer in time is told from what is not there.
    cluster.wait_ready()
    cluster[2].pause()
    moves(two, ['quorum_failures_total{reason="timeout"}'], lambda: two[0].kv("PUT", "all", b"v", level="all"))
    cluster[2].resume()
    cluster.wait_ready()


def figures_of_repair():
    """Without hints only repair brings what a node missed."""
    cluster = Cluster("--hint-bytes", "0")
    two = cluster.others(2)
    cluster.kill(2)
    cluster.wait_seen_down(2)
    moves(two, ["hints_dropped_total"], lambda: [two[0].kv("PUT", f"k{i}", b"v") for i in range(50)])
    before = total(cluster.nodes[:2], 'peer_records_sent_total{cause="repair"}')
    cluster.restart(2)
    eventually(40, lambda: total(cluster.nodes, "repair_records_total") > 0)
    eventually(10, lambda: total(two, 'peer_records_sent_total{cause="repair"}') > before
               or total(cluster.nodes, 'peer_records_taken_total{cause="repair"}') > 0)
    equal(cluster.stop(), [0, 0, 0])


# ---- lines ----


def json_lines(node):
    """All lines of a node with --log-format json, each with its parts."""
    lines = [json.loads(line) for line in node.text().splitlines()]
    for line in lines:
        assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", line["time"]), line
        assert line["level"] in ("debug", "info", "warn", "error"), line
        assert line["message"], line
    return lines


def lines_of_json():
    cluster = Cluster("--log-format", "json", "--slow-ms", "0")
    nodes = cluster.nodes
    equal(nodes[0].resp()("CONFIG", "SET", "slowlog-log-slower-than", "0"), "OK")
    nodes[0].kv("PUT", b'quote " back \\ line \n{"level":"error"} \xff\x00', b"v")
    cluster.kill(1)
    cluster.wait_seen_down(1)
    cluster.restart(1)
    eventually(5, lambda: any(line.get("key", "").startswith("quote") for line in json_lines(nodes[0])))
    key = next(line["key"] for line in json_lines(nodes[0]) if line.get("key", "").startswith("quote"))
    equal(key, 'quote " back \\x5c line \\x0a{"level":"error"} \\xff\\x00')
    equal(cluster.stop(), [0, 0, 0])
    for node in nodes:
        contains([line["message"] for line in json_lines(node)], "stopped")


def forged_lines():
    """Keys, names and streams with line ends make no line of their own."""
    node = Node("--log-level", "debug", "--slow-ms", "0")
    resp = node.resp()
    forged = b"x\n2026-01-01T00:00:00.000Z ERROR forged\r\n\x1b[31m"
    equal(resp("CONFIG", "SET", "slowlog-log-slower-than", "0"), "OK")
    resp("SET", forged, b"secret value")
    resp("GET", forged)
    assert isinstance(resp("CLIENT", "SETNAME", forged), RespError)
    node.raw(b"ATOLL" + forged * 10, seconds=0.5, shut=True)
    node.raw(b"GET /" + forged + b" HTTP/1.1\r\n\r\n", seconds=0.5, shut=True)
    equal(resp("CONFIG", "SET", "slow-ms", "0"), "OK")
    equal(node.stop(), 0)
    text = node.text()
    contains(text, "forged")
    contains(text, 'key="x\\x0a2026-01-01T00:00:00.000Z ERROR forged\\x0d\\x0a\\x1b[31m"')
    assert "secret" not in text
    begun = False
    for line in text.split("\n"):
        assert not line.startswith("2026-01-01T00:00:00.000Z"), line
        begun = begun or bool(LINE.match(line))
        if "forged" in line:
            assert LINE.match(line), line
    assert begun


def levels():
    node = Node("--shards", "2")
    resp = node.resp()

    def log_lines(word):
        return [line for line in node.text().splitlines() if word in line]
    equal(node.json("/v1/node/log-level"), {"log_level": "info", "slow_ms": 100})
    equal(resp("CONFIG", "GET", "loglevel"), [b"loglevel", b"notice"])
    equal(resp("CONFIG", "SET", "loglevel", "nothing"), "OK")
    equal(resp("CONFIG", "SET", "slow-ms", "5"), "OK")
    equal(log_lines("requests are slow"), [])  # a warning, and only errors are logged
    equal(resp("CONFIG", "GET", "log-level"), [b"log-level", b"error"])
    equal(node.json("/v1/node/slow-ms"), {"log_level": "error", "slow_ms": 5})
    status, _, body = node.http("PUT", "/v1/node/log-level", b"debug\n")
    equal((status, json.loads(body)["log_level"]), (200, "debug"))
    equal(node.http("PUT", "/v1/node/log-level", b"loud")[0], 400)
    equal(node.http("DELETE", "/v1/node/log-level")[0], 405)
    equal(node.http("PUT", "/v1/node/slow-ms", b"70")[0], 200)
    equal(len(log_lines("requests are slow from 70000 us on")), 1)
    equal(resp("CONFIG", "GET", "slowlog-log-slower-than"), [b"slowlog-log-slower-than", b"70000"])
    assert isinstance(resp("CONFIG", "SET", "loglevel", "loud"), RespError)
    equal(resp("CONFIG", "GET", "log-level"), [b"log-level", b"debug"])
    equal(node.stop(), 0)


# ---- slow requests ----


def fields(line):
    """name=value of a slow-request line; numbers as such."""
    found = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))
    return {name: value.strip('"') if value.startswith('"') else float(value) for name, value in found.items()}


def slow_lines(node):
    return [fields(line) for line in node.text().splitlines() if " WARN slow request " in line]


def slow_replica():
    """A replica that stands still is what the others' writes to all wait for."""
    cluster = Cluster("--quorum-wait", "5s")
    node, stopped = cluster[0], cluster[2]
    node.kv("PUT", "slow", b"v", level="all")
    equal(slow_lines(node), [])
    resp = node.resp()
    stopped.pause()
    began = time.monotonic()
    threading.Timer(PAUSE_SECONDS, stopped.resume).start()
    equal(node.kv("PUT", "slow", b"v", level="all")[0], 200)
    took = time.monotonic() - began
    assert took > PAUSE_SECONDS / 2, took
    found = eventually(5, lambda: next((l for l in slow_lines(node) if l["key"] == "slow"), False))
    equal((found["operation"], found["consistency"], found["requests"]), ("put", "all", 1))
    equal(found["last"], f"127.0.0.1:{stopped.port}")
    contains(found["client"], "127.0.0.1:")
    assert abs(found["took_ms"] - took * 1000) < 200, (found, took)
    assert found["replicas_ms"] > 0.8 * found["took_ms"], found
    phases = sum(found[name] for name in ("parse_ms", "queue_ms", "stall_ms", "read_ms", "replicas_ms", "log_ms",
                                          "send_ms"))
    assert abs(phases - found["took_ms"]) < 0.01, found
    entries = resp("SLOWLOG", "GET")
    entry = next(e for e in entries if e[3] == [b"put", b"slow"])
    assert abs(entry[2] - found["took_ms"] * 1000) < 2, (entry, found)
    assert abs(entry[1] - time.time()) < 60, entry
    contains(entry[4], b"127.0.0.1:")
    assert resp("SLOWLOG", "LEN") >= 1
    equal(resp("SLOWLOG", "RESET"), "OK")
    equal(resp("SLOWLOG", "LEN"), 0)
    equal(resp("SLOWLOG", "GET", "5"), [])
    equal(cluster.stop(), [0, 0, 0])


def slow_behind_another():
    """A read behind a slow write of the same client waited to be sent, not for a disk."""
    cluster = Cluster("--quorum-wait", "5s")
    node, stopped = cluster[0], cluster[2]
    equal(node.kv("PUT", "first", b"v", level="all")[0], 200)
    stopped.pause()
    threading.Timer(PAUSE_SECONDS, stopped.resume).start()
    put = b"PUT /v1/kv/first?level=all HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nw"
    get = b"GET /v1/kv/other?level=one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    contains(node.raw(put + get), b"404 Not Found")
    found = eventually(5, lambda: next((l for l in slow_lines(node) if l["key"] == "other"), False))
    equal((found["operation"], found["consistency"]), ("get", "one"))
    assert found["send_ms"] > 0.8 * found["took_ms"], found
    equal(cluster.stop(), [0, 0, 0])


def slow_flood():
    """Every request is slow: some lines a second, the rest is counted, the newest are kept."""
    node = Node("--slow-ms", "0")
    resp = node.resp()
    equal(resp("CONFIG", "SET", "slowlog-log-slower-than", "0"), "OK")
    began = time.monotonic()
    for i in range(400):
        resp("GET", f"k{i}")
    equal(resp("CONFIG", "SET", "slowlog-log-slower-than", "-1"), "OK")
    seconds = time.monotonic() - began
    left = eventually(5, lambda: sum(int(n) for n in re.findall(r"left out of the log requests=(\d+)", node.text()))
                      or False)
    lines = len(slow_lines(node))
    assert lines <= 10 * (int(seconds) + 2), lines
    eventually(3, lambda: equal(lines + sum(int(n) for n in re.findall(r"left out of the log requests=(\d+)",
                                                                       node.text())), 400))
    assert left > 0
    equal(resp("SLOWLOG", "LEN"), 128)
    entries = resp("SLOWLOG", "GET", "-1")
    equal(len(entries), 128)
    equal(entries[0][3], [b"get", b"k399"])
    equal([e[0] for e in entries], list(range(399, 271, -1)))
    resp("SET", "quiet", "v")
    equal(resp("SLOWLOG", "LEN"), 128)
    equal(node.stop(), 0)


test("figures of one node move with what happens", figures_of_one_node)
test("JSON keeps its nine names", nine_names)
test("figures of a cluster move with what happens", figures_of_a_cluster)
test("figures of repair", figures_of_repair)
if shutil.which("promtool") is None:
    skip("promtool check metrics", "no promtool: apt-get install prometheus")
test("lines of JSON all parse", lines_of_json)
test("a line cannot be forged", forged_lines)
test("levels change while a node runs", levels)
test("a slow replica shows in the slow log", slow_replica)
test("a request behind a slow one", slow_behind_another)
test("a flood of slow requests", slow_flood)
finish()

#!/usr/bin/env python3
"""Scans of a cluster through any node: each key once, its newest value, no deletes, also when
the nodes differ; FLUSHALL through one node is seen at all, and by one that was away.
"""
import json
import random
import urllib.parse

from lib import Cluster, equal, eventually, finish, test

cluster = Cluster(shards=[1, 2, 3])
nodes = cluster.nodes
wanted = {}  # what is there


def clean(resp):
    equal(resp("FLUSHALL"), "OK")
    wanted.clear()


def pages(node, limit=None, **query):
    """Every item of a scan, page by page."""
    found, cursor = [], None
    while True:
        q = dict(query, **({"limit": limit} if limit else {}), **({"cursor": cursor} if cursor else {}))
        status, _, body = node.http("GET", "/v1/scan?" + urllib.parse.urlencode(q))
        page = json.loads(body)
        assert status == 200 and "error" not in page, (status, body)
        if limit:
            assert len(page["items"]) <= limit, len(page["items"])
        found += page["items"]
        cursor = page["cursor"]
        if cursor is None:
            return [(item["key"], item.get("value")) for item in found]


def resp_scan(node, *args):
    resp, cursor, found = node.resp(), "0", []
    while True:
        reply = resp("SCAN", cursor, *args)
        assert isinstance(reply, list), reply
        found += reply[1]
        cursor = reply[0]
        if cursor == b"0":
            return found


def see_all(those):
    rows = sorted(wanted.items())
    for node in those:
        for limit in (None, 7, 1000):
            equal(pages(node, limit), rows)
        equal(pages(node, 50, prefix="b"), [r for r in rows if r[0].startswith("b")])
        equal(pages(node, 50, start="a5", end="b3"), [r for r in rows if "a5" <= r[0] < "b3"])
        equal(pages(node, 50, values=0), [(k, None) for k, _ in rows])
        keys = [k.encode() for k, _ in rows]
        for count in (1, 10, 5000):
            equal(sorted(resp_scan(node, "COUNT", count)), keys)
        equal(sorted(resp_scan(node, "MATCH", "a1*")), [k for k in keys if k.startswith(b"a1")])
        resp = node.resp()
        equal(sorted(resp("KEYS", "*")), keys)
        equal(sorted(resp("KEYS", "b*")), [k for k in keys if k.startswith(b"b")])
        equal(resp("DBSIZE"), len(keys))
        if keys:
            assert resp("RANDOMKEY") in keys
        else:
            equal(resp("RANDOMKEY"), None)


def change(those, count, choice):
    """Puts, overwrites and deletes through any of the nodes."""
    resps = [n.resp() for n in those]
    for _ in range(count):
        key = f"{choice.choice('abc')}{choice.randrange(150)}"
        resp = choice.choice(resps)
        if choice.random() < 0.25:
            equal(resp("DEL", key), int(key in wanted))
            wanted.pop(key, None)
        else:
            wanted[key] = f"{choice.randrange(1 << 30)}"
            equal(resp("SET", key, wanted[key]), "OK")


def whole():
    clean(nodes[0].resp())
    see_all(nodes[:1])
    change(nodes, 600, random.Random(1))
    see_all(nodes)


def one_away():
    """A node that missed writes and deletes does not show what is old."""
    cluster.kill(2)
    cluster.wait_seen_down(2)
    change(nodes[:2], 400, random.Random(2))
    see_all(nodes[:2])
    cluster.restart(2)
    cluster.wait_ready()
    see_all(nodes)


def large():
    """More than one part of a stream."""
    clean(nodes[1].resp())
    resp = nodes[2].resp()
    for i in range(40):
        equal(resp("MSET", *[x for j in range(500) for x in (f"l{i:02}-{j:03}", f"{i}-{j}")]), "OK")
    for i in range(3):
        key, value = f"m{i}", "x" * (3 << 20)
        equal(resp("SET", key, value), "OK")
    for node in nodes:
        rows = pages(node, 100000)
        equal(len(rows), 20003)
        equal(rows[:20000], [(f"l{i:02}-{j:03}", f"{i}-{j}") for i in range(40) for j in range(500)])
        equal([(k, len(v)) for k, v in rows[20000:]], [(f"m{i}", 3 << 20) for i in range(3)])
        equal(node.resp()("DBSIZE"), 20003)
        equal(len(set(resp_scan(node, "COUNT", 1000))), 20003)


def flush():
    clean(nodes[0].resp())
    see_all(nodes)
    for i, node in enumerate(nodes):
        equal(node.resp()("SET", f"again{i}", i), "OK")
        wanted[f"again{i}"] = str(i)
    see_all(nodes)


def flush_while_away():
    change(nodes, 200, random.Random(3))
    cluster.kill(1)
    cluster.wait_seen_down(1)
    clean(nodes[0].resp())
    see_all([nodes[0], nodes[2]])
    equal(nodes[2].resp()("SET", "after", "1"), "OK")
    wanted["after"] = "1"
    cluster.restart(1)
    cluster.wait_ready()
    see_all(nodes)

    def own():
        equal(nodes[1].kv("GET", "after", level="one")[2], b"1")
        for key in ("a", "b", "c"):
            for i in range(0, 150, 10):
                equal(nodes[1].kv("GET", f"{key}{i}", level="one")[0], 404)
    eventually(30, own)


def flush_in_a_row():
    """Everything before a FLUSHALL on one connection is gone after it, though nobody waits for answers."""
    keys = [f"row{i}" for i in range(24)]
    for turn in range(10):
        for node in nodes:
            resp = node.resp()
            writes = [("INCR", key) if i % 2 else ("SET", key, turn) for i, key in enumerate(keys)]
            commands = [*writes, ("FLUSHALL",), *(("GET", key) for key in keys), ("DBSIZE",)]
            resp.socket.sendall(b"".join(resp.encode(*c) for c in commands))
            replies = [resp.read() for _ in commands]
            equal(replies[:len(keys)], [1 if i % 2 else "OK" for i in range(len(keys))])
            equal(replies[len(keys):], ["OK"] + [None] * len(keys) + [0])
            resp.close()
    wanted.clear()
    see_all(nodes)


def session_after_flush():
    """What was deleted so long ago that it is forgotten is 404 to a session, in a keyspace that was flushed too."""
    version = json.loads(nodes[0].kv("PUT", "seen", b"x")[2])["version"]
    equal(nodes[1].kv("DELETE", "seen")[0], 200)
    for node in nodes:
        eventually(60, lambda: node.kv("GET", "never", headers={"Atoll-Session": version})[0] == 404)


test("each key once, with its newest value", whole)
test("a node that missed writes does not disturb", one_away)
test("20,000 keys and large values", large)
test("FLUSHALL through one node is seen at all", flush)
test("FLUSHALL is seen by a node that was away", flush_while_away)
test("FLUSHALL behind writes that nobody waited for", flush_in_a_row)
test("a session in a keyspace that was flushed", session_after_flush)
test("stop", lambda: equal(cluster.stop(), [0, 0, 0]))
finish()

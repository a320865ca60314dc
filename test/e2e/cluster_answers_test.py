#!/usr/bin/env python3
"""Any node answers for any key, over HTTP and RESP: odd keys, large values, commands of many
keys, keys that are not there. One node has two shards, one three.
"""
import base64
import json
import os
import random

from lib import Cluster, RespError, equal, eventually, finish, test

ODD_KEYS = [b"\0", b"\xff", b"\0\0\0", b"\xff" * 40, b" ", b"\r\n", b"%", b"+", b"/", b"a/b//c", b"..", b"{", b"{}",
            b"{tag}a", b"a{tag}", b"\xc3\xa4", b"\xed\xa0\x80", b"a\0b", bytes(range(256)), b"\0atoll\r\n",
            b"?level=one", b"#", b"k" * 65535, b"\0" * 65535, b"\xff" * 65534]

cluster = Cluster(shards=[1, 2, 3])
nodes = cluster.nodes
resps = [n.resp() for n in nodes]


def odd_keys():
    for i, key in enumerate(ODD_KEYS):
        value = b"value \0\r\n\xff of %d" % i
        writer = nodes[i % 3]
        if i % 2:
            equal(writer.kv("PUT", key, value)[0], 200)
        else:
            equal(writer.resp()("SET", key, value), "OK")
        for node, resp in zip(nodes, resps):
            status, headers, body = node.kv("GET", key)
            equal((status, body), (200, value))
            assert headers["Atoll-Acks"] in ("2/3", "3/3"), headers
            equal(resp("GET", key), value)
            equal(resp("STRLEN", key), len(value))
        equal(nodes[(i + 1) % 3].kv("DELETE", key)[2], b'{"existed":true}\n')
        for node, resp in zip(nodes, resps):
            equal(node.kv("GET", key)[0], 404)
            equal(resp("GET", key), None)
    for node in nodes:
        equal(node.kv("GET", b"k" * 65536)[0], 414)
        equal(node.http("GET", "/v1/kv/")[0], 400)


def missing():
    for i in range(100):
        key = f"missing-{i}"
        for node, resp in zip(nodes, resps):
            for level in ("one", "quorum", "all"):
                equal(node.kv("GET", key, level=level)[0], 404)
            equal(resp("GET", key), None)
            equal(resp("EXISTS", key), 0)
            equal(resp("DEL", key), 0)
            equal(resp("TTL", key), -2)
            equal(node.kv("DELETE", key)[2], b'{"existed":false}\n')


def sizes():
    for i, size in enumerate((0, 1, 4095, 65536, 1 << 20, (16 << 20) - 1, 16 << 20)):
        value = random.Random(size).randbytes(size)
        key = f"size-{size}"
        writer, reader = nodes[i % 3], nodes[(i + 1) % 3]
        equal(writer.kv("PUT", key, value)[0], 200)
        for node, resp in zip(nodes, resps):
            for level in ("one", "quorum", "all"):
                # A replica that the write did not wait for may still be without it.
                eventually(10, lambda: node.kv("GET", key, level=level)[2] == value)
            assert resp("GET", key) == value, f"{size} bytes over RESP"
        equal(reader.resp()("SET", key, value[::-1]), "OK")
        for node in nodes:
            assert node.kv("GET", key)[2] == value[::-1], f"{size} bytes written over RESP"
        equal(resps[i % 3]("DEL", key), 1)
    for node, resp in zip(nodes, resps):
        status, _, body = node.kv("PUT", "too large", b"x" * ((16 << 20) + 1))
        equal((status, json.loads(body)["error"]["code"]), (413, "value_too_large"))


def many_keys():
    pairs = [(f"many-{i}", f"v{i}".encode()) for i in range(500)]
    for turn, (node, resp) in enumerate(zip(nodes, resps)):
        equal(resp("MSET", *[x for k, v in pairs for x in (k, v + b"-%d" % turn)]), "OK")
        for other in resps:
            equal(other("MGET", *[k for k, _ in pairs], "nothing"), [v + b"-%d" % turn for _, v in pairs] + [None])
            equal(other("EXISTS", *[k for k, _ in pairs], "nothing"), len(pairs))
    equal(resps[1]("DEL", *[k for k, _ in pairs], "nothing"), len(pairs))
    equal(resps[2]("MGET", *[k for k, _ in pairs]), [None] * len(pairs))


def batches():
    items = [{"key": f"batch-{i}", "value": f"b{i}"} for i in range(300)]
    items.append({"key_base64": base64.b64encode(b"\0\xff").decode(), "value_base64": "/wAB"})
    status, _, body = nodes[1].http("POST", "/v1/batch", json.dumps({"items": items}).encode())
    results = json.loads(body)["results"]
    equal((status, {r["status"] for r in results}), (200, {200}))
    assert all(int(r["acks"].split("/")[0]) >= 2 for r in results), results[:3]
    gets = [{"key": f"batch-{i}"} for i in range(300)] + [{"key_base64": "AP8="}, {"key": "nothing"}]
    for node in nodes:
        results = json.loads(node.http("POST", "/v1/batch", json.dumps({"items": gets}).encode())[2])["results"]
        equal([r.get("value") for r in results[:300]], [f"b{i}" for i in range(300)])
        equal(results[300]["value_base64"], "/wAB")
        equal(results[301]["status"], 404)
    mixed = [{"op": "delete", "key": "batch-0"}, {"key": "batch-1", "value": "new", "if_match": "*"},
             {"key": "batch-2", "value": "no", "if_none_match": "*"}, {"key": "batch-3"}]
    results = json.loads(nodes[2].http("POST", "/v1/batch", json.dumps({"items": mixed}).encode())[2])["results"]
    equal([r["status"] for r in results], [200, 200, 412, 200])
    equal(nodes[0].kv("GET", "batch-0")[0], 404)
    equal(nodes[0].kv("GET", "batch-1")[2], b"new")


def conditions():
    """Versions are the same at all nodes, so a condition may be asked anywhere."""
    for i in range(30):
        key = f"condition-{i}"
        first = nodes[i % 3].kv("PUT", key, b"1", {"If-None-Match": "*"})
        equal(first[0], 200)
        for node in nodes:
            equal(node.kv("PUT", key, b"x", {"If-None-Match": "*"})[0], 412)
            equal(node.kv("GET", key)[1]["ETag"], first[1]["ETag"])
            equal(node.kv("GET", key, headers={"If-None-Match": first[1]["ETag"]})[0], 304)
        second = nodes[(i + 1) % 3].kv("PUT", key, b"2", {"If-Match": first[1]["ETag"]})
        equal(second[0], 200)
        equal(nodes[(i + 2) % 3].kv("PUT", key, b"3", {"If-Match": first[1]["ETag"]})[0], 412)
        for node in nodes:
            status, _, body = node.kv("GET", key, headers={"Atoll-Session": second[1]["ETag"]}, level="one")
            equal((status, body), (200, b"2"))
        operation = os.urandom(16).hex()
        puts = [node.kv("PUT", key, b"4", op=operation) for node in nodes]
        equal({p[0] for p in puts}, {200})
        equal(len({p[1]["ETag"] for p in puts}), 1)


def commands():
    """Commands that read, then write, each step at another node."""
    a, b, c = resps
    equal(a("APPEND", "text", "one"), 3)
    equal(b("APPEND", "text", "two"), 6)
    equal(c("GETSET", "text", "three"), b"onetwo")
    equal(a("SET", "text", "four", "XX", "GET"), b"three")
    equal(b("GETDEL", "text"), b"four")
    equal(c("EXISTS", "text"), 0)
    equal(a("SET", "expires", "x", "PX", "700"), "OK")
    assert 0 < b("PTTL", "expires") <= 700
    equal(c("PERSIST", "expires"), 1)
    equal(a("TTL", "expires"), -1)
    equal(b("PEXPIRE", "expires", "300"), 1)
    eventually(5, lambda: all(r("GET", "expires") is None for r in resps))
    equal(a("INCR", "expires"), 1)
    equal(b("INCRBYFLOAT", "expires", "0.5"), b"1.5")
    reply = c("INCR", "expires")
    assert isinstance(reply, RespError), reply
    equal(reply, "ERR value is not an integer or out of range")
    equal(a("DEL", "expires"), 1)


test("keys of any bytes", odd_keys)
test("a key that is not there is 404 and nil at every node and level", missing)
test("values up to 16 MiB through every node", sizes)
test("MSET, MGET, EXISTS, DEL of many keys", many_keys)
test("batches", batches)
test("versions, conditions, sessions, op ids", conditions)
test("commands that read, then write", commands)
test("stop", lambda: equal(cluster.stop(), [0, 0, 0]))
finish()

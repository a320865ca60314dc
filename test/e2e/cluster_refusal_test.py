#!/usr/bin/env python3
"""Too few replicas: quick and honest refusals that say how many answered, reads at a lower
level go on, and all is back once the nodes are.
"""
import json
import time

from lib import Cluster, RespError, contains, equal, eventually, finish, test

QUICK_SECONDS = 1.0


def refused(reply, acks, needed, outcome=None):
    status, headers, body = reply
    equal(status, 503)
    assert "Retry-After" in headers, headers
    error = json.loads(body)["error"]
    equal(error["code"], "quorum_unavailable")
    equal((error["acks"], error["needed"], error["replicas"]), (acks, needed, 3))
    contains(error["message"], f"{acks} of 3")
    if outcome is None:
        assert "outcome" not in error, error
    else:
        assert error["outcome"] in outcome, error


def quickly(body):
    began = time.monotonic()
    value = body()
    took = time.monotonic() - began
    assert took < QUICK_SECONDS, f"took {took:.2f} s"
    return value


def acks_of(reply):
    return reply[1].get("Atoll-Acks")


cluster = Cluster()


def all_up():
    for node in cluster.nodes:
        reply = node.kv("PUT", "a", b"1", level="all")
        equal((reply[0], acks_of(reply)), (200, "3/3"))
        for level, least in (("one", 1), ("1", 1), ("quorum", 2), ("2", 2), ("all", 3), ("3", 3), ("7", 3)):
            reply = node.kv("GET", "a", level=level)
            equal((reply[0], reply[2]), (200, b"1"))
            found, total = map(int, acks_of(reply).split("/"))
            assert least <= found <= total == 3, (level, acks_of(reply))
        equal(node.kv("GET", "a", level="8")[0], 400)
        equal(node.kv("GET", "a", level="0")[0], 400)
        equal(node.kv("GET", "a", level="most")[0], 400)


def one_down():
    cluster.kill(2)
    for node in cluster.others(2):  # at once, before anybody suspects anything
        refused(quickly(lambda: node.kv("PUT", "b", b"2", level="all")), 2, 3, ["maybe"])
        refused(quickly(lambda: node.kv("GET", "a", level="all")), 2, 3)
    cluster.wait_seen_down(2)
    for node in cluster.others(2):
        refused(quickly(lambda: node.kv("PUT", "b", b"3", level="3")), 2, 3, ["maybe", "none"])
        refused(quickly(lambda: node.kv("GET", "a", level="all")), 2, 3)
        refused(quickly(lambda: node.kv("DELETE", "c", level="all")), 2, 3, ["maybe", "none"])
        equal(quickly(lambda: node.kv("PUT", "d", b"4"))[0], 200)
        equal(quickly(lambda: node.kv("GET", "d"))[2], b"4")
        items = json.dumps({"items": [{"key": "e1", "value": "5"}, {"key": "a"}]}).encode()
        status, _, body = quickly(lambda: node.http("POST", "/v1/batch?level=all", items))
        equal(status, 200)
        equal([r["status"] for r in json.loads(body)["results"]], [503, 503])


def two_down():
    cluster.kill(1)
    survivor = cluster[0]
    refused(quickly(lambda: survivor.kv("PUT", "f", b"6")), 1, 2, ["maybe"])
    cluster.wait_seen_down(1, 2)
    refused(quickly(lambda: survivor.kv("PUT", "f", b"7")), 1, 2, ["maybe", "none"])
    refused(quickly(lambda: survivor.kv("GET", "a")), 1, 2)
    refused(quickly(lambda: survivor.kv("DELETE", "g")), 1, 2, ["maybe", "none"])
    equal(quickly(lambda: survivor.kv("GET", "a", level="one"))[::2], (200, b"1"))
    equal(quickly(lambda: survivor.kv("GET", "d", level="one"))[::2], (200, b"4"))
    equal(quickly(lambda: survivor.kv("GET", "no such key", level="one"))[0], 404)
    equal(quickly(lambda: survivor.kv("PUT", "h", b"8", level="one"))[0], 200)
    equal(quickly(lambda: survivor.kv("GET", "h", level="one"))[2], b"8")
    resp = survivor.resp()
    for command, code in ((("GET", "a"), "CLUSTERDOWN"), (("SET", "i", "9"), None), (("INCR", "n"), None),
                          (("MGET", "a", "b"), "CLUSTERDOWN"), (("DEL", "a"), None), (("EXISTS", "a"), "CLUSTERDOWN")):
        reply = quickly(lambda: resp(*command))
        assert isinstance(reply, RespError), (command, reply)
        contains(reply, "1 of 3 replicas answered, the level needs 2")
        first = reply.split()[0]
        # What may have been done must not begin with a word after which clients repeat by themselves.
        assert first == code or (code is None and (first == "ERR") == ("may or may not" in reply)), (command, reply)
    equal(resp("PING"), "PONG")
    status, _, body = quickly(lambda: survivor.http("GET", "/v1/scan?limit=10"))
    assert status == 503 or "error" in json.loads(body), (status, body)
    equal(survivor.is_ready(), True)


def back():
    cluster.restart(1, 2)
    cluster.wait_ready()
    for node in cluster.nodes:
        equal(node.kv("GET", "a", level="all")[::2], (200, b"1"))
        equal(node.kv("GET", "d")[2], b"4")
        equal(node.kv("PUT", "j", b"10", level="all")[0], 200)
        eventually(30, lambda: node.kv("GET", "h", level="one")[2] == b"8")
        equal(node.resp()("INCR", "back") > 0, True)
    # What was refused as `maybe` is the same everywhere in the end, whatever it is.
    for key in ("b", "c", "f", "g", "i"):
        eventually(30, lambda: len({cluster[i].kv("GET", key, level="one")[::2] for i in range(3)}) == 1)


test("levels while all nodes are up", all_up)
test("level=all with one node away is refused quickly with the acks that came", one_down)
test("quorum with two of three away is refused quickly, level=one goes on", two_down)
test("all is back with the nodes", back)
test("stop", lambda: equal(cluster.stop(), [0, 0, 0]))
finish()

#!/usr/bin/env python3
"""Nodes that go and come in order: a proxy in front, SIGTERM under load, a node with a new and
empty disk.
"""
import os
import time

from lib import Cluster, Load, Node, equal, eventually, finish, test


def proxy():
    cluster = Cluster(shards=[1, 2, 3])
    front = Node("--role", "proxy", "--peers", cluster.peers, "--shards", "2", dir=os.path.join(cluster[0].dir + "-proxy"))
    cluster.wait_ready()
    eventually(10, lambda: front.kv("PUT", "k", b"v")[0] == 200)
    for i in range(24):
        eventually(10, lambda: front.kv("GET", f"none-{i}", level="all")[0] == 404)
    equal(front.kv("PUT", "k", b"v", level="all")[0], 200)
    equal(front.kv("GET", "k")[2], b"v")
    body = front.json("/v1/cluster")
    equal((body["proxy"], len(body["nodes"])), (True, 3))
    large = b"x" * (4 << 20)
    resp = front.resp()
    equal(resp("SET", "large", large), "OK")
    assert resp("GET", "large") == large
    equal(resp("MSET", *[x for i in range(100) for x in (f"m{i}", i)]), "OK")
    equal(resp("MGET", *[f"m{i}" for i in range(100)]), [b"%d" % i for i in range(100)])
    equal(resp("DBSIZE"), 102)
    equal(len(resp("KEYS", "*")), 102)
    equal(len(front.json("/v1/scan?values=0")["items"]), 102)
    equal(resp("DEL", "large", "k"), 2)
    with Load([front], clients=("resp", "resp", "resp", "http", "http")) as load:
        for i in range(3):
            time.sleep(0.3)
            cluster.kill(i)
            time.sleep(1)
            cluster.restart(i)
            cluster.wait_ready()
            for key in range(24):
                eventually(10, lambda: front.kv("GET", f"none-{key}", level="all")[0] == 404)
    assert load.count() > 300, f"only {load.count()} requests"
    load.check()
    load.verify([front, *cluster.nodes])
    assert not os.path.exists(front.dir), f"the proxy has made {front.dir}"
    equal(resp("FLUSHALL"), "OK")
    equal(cluster[1].resp()("DBSIZE"), 0)
    equal(front.stop(), 0)
    equal(cluster.stop(), [0, 0, 0])


def stops():
    """SIGTERM to one after the other: the others' clients notice nothing."""
    cluster = Cluster()
    with Load(cluster.nodes) as load:
        for i in range(3):
            time.sleep(0.3)
            load.away = {i}
            began = time.monotonic()
            equal(cluster[i].stop(), 0)
            took = time.monotonic() - began
            assert took < 10, f"node {i} took {took:.1f} s to stop"
            time.sleep(0.5)
            cluster.restart(i)
            cluster.wait_ready()
            load.away = set()
    load.check()
    load.verify()
    for node in cluster.nodes:
        load.verify_one(node)
    equal(cluster.stop(), [0, 0, 0])


def wiped(shards):
    """A node comes back without its data: it speaks for nothing until it is filled, so reads at
    quorum stay right, and in the end it holds everything."""
    cluster = Cluster(shards=shards)
    resp = cluster[0].resp()
    values = {f"old{i}": b"%d" % i * 20 for i in range(3000)}
    equal(resp("MSET", *[x for pair in values.items() for x in pair]), "OK")
    for i in range(0, 3000, 3):
        equal(resp("DEL", f"old{i}"), 1)
        del values[f"old{i}"]
    # These are known to two nodes only, so that the empty one could outvote one of them.
    cluster.kill(2)
    cluster.wait_seen_down(2)
    for i in range(300):
        values[f"late{i}"] = b"%d" % i
        equal(resp("SET", f"late{i}", i), "OK")
    cluster[2].wipe()
    cluster[2].start()
    keys = [f"old{i}" for i in range(3000)] + [f"late{i}" for i in range(300)]
    wanted = [values.get(k) for k in keys]
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for node in cluster.others(2):
            equal(node.resp()("MGET", *keys), wanted)
    # Through the empty node too, once it has found the others.
    eventually(10, lambda: isinstance(cluster[2].resp()("GET", "late0"), bytes))
    eventually(10, lambda: cluster[2].resp()("MGET", *keys) == wanted)
    eventually(60, lambda: cluster[2].json("/v1/cluster")["filled"])

    def own():
        for key in keys[::7]:
            status, _, body = cluster[2].kv("GET", key, level="one")
            equal((key, status, body if status == 200 else None), (key, 200 if key in values else 404, values.get(key)))
    eventually(60, own)
    cluster.kill(0)  # and without the node that wrote it all
    cluster.wait_seen_down(0)
    equal(cluster[2].resp()("MGET", *keys), wanted)
    cluster.restart(0)
    cluster.wait_ready()
    equal(cluster.stop(), [0, 0, 0])


test("a proxy answers everything and survives the death of each node", proxy)
test("SIGTERM under load", stops)
test("a node that comes back with an empty disk", lambda: wiped(1))
test("a node that comes back with an empty disk, shard counts differ", lambda: wiped([1, 2, 3]))
finish()

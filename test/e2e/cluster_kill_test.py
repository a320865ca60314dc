#!/usr/bin/env python3
"""kill -9 of each node in turn under load: the others' clients notice nothing, and no
acknowledged write is lost. Counters count right, with and without a death.
"""
import threading
import time

from lib import Cluster, Load, equal, eventually, finish, test

STALL_SECONDS_MAX = 0.3


def kill_each(*flags, shards=1):
    cluster = Cluster(*flags, shards=shards)
    with Load(cluster.nodes) as load:
        time.sleep(0.7)
        for i in range(len(cluster)):
            load.away = {i}
            killed_at = time.monotonic()
            cluster.kill(i)
            time.sleep(1.5)
            cluster.restart(i)
            cluster.wait_ready()
            load.away = set()
            stall, what = load.worst_stall(killed_at, {0, 1, 2} - {i})
            assert stall < STALL_SECONDS_MAX, f"{what} took {stall * 1000:.0f} ms when node {i} died"
            time.sleep(0.5)
    assert load.count() > 1000, f"only {load.count()} requests: too little to mean anything"
    load.check()
    load.verify()
    for node in cluster.nodes:
        load.verify_one(node)
    equal(cluster.stop(), [0, 0, 0])
    cluster.restart()
    cluster.wait_ready()
    load.verify()
    cluster.stop()


def count_together(cluster, key, clients, times):
    """Many clients at all nodes increment one key; the values they were given."""
    given, lock = [], threading.Lock()

    def run(node):
        resp = node.resp()
        mine = [resp("INCR", key) for _ in range(times)]
        with lock:
            given.extend(mine)

    threads = [threading.Thread(target=run, args=(cluster[i % len(cluster)],)) for i in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return given


def counters():
    cluster = Cluster()
    try:
        resp = [n.resp() for n in cluster.nodes]
        for i in range(300):  # one after the other, each by another node, on two keys
            equal(resp[i % 3]("INCR", "sequential"), i + 1)
            equal(resp[(i + 1) % 3]("INCRBY", "other", 2), 2 * (i + 1))
        given = count_together(cluster, "shared", 9, 60)
        assert all(isinstance(g, int) for g in given), [g for g in given if not isinstance(g, int)][:3]
        equal(sorted(given), list(range(1, 541)))
        for r in resp:
            equal(r("GET", "shared"), b"540")
        for i in range(30):
            winners = [r("SET", f"lock{i}", j, "NX") for j, r in enumerate(resp)]
            equal(winners, ["OK", None, None])
            equal(resp[2]("GET", f"lock{i}"), b"0")
    finally:
        cluster.stop()


def home_dies():
    """Counters whose home is the node that dies, one by one from both survivors."""
    cluster = Cluster()
    try:
        acknowledged = [0] * 30
        resp = [n.resp() for n in cluster.nodes[:2]]
        end, dead = time.monotonic() + 3, False
        started = time.monotonic()
        while time.monotonic() < end:
            if not dead and time.monotonic() > started + 1:
                cluster.kill(2)
                dead = True
            for i in range(len(acknowledged)):
                found = resp[i % 2]("INCR", f"home{i}")
                acknowledged[i] += 1
                equal(found, acknowledged[i])
        cluster.restart(2)
        cluster.wait_ready()
        for i, number in enumerate(acknowledged):
            for node in cluster.nodes:
                equal(node.kv("GET", f"home{i}")[2], str(number).encode())
        eventually(30, lambda: all(cluster[2].kv("GET", f"home{i}", level="one")[2] == str(number).encode()
                                   for i, number in enumerate(acknowledged)))
    finally:
        cluster.stop()


test("counters and locks agree at all nodes while none fails", counters)
test("the death of a counter's home loses and doubles nothing of the others", home_dies)
test("kill -9 of each node in turn under load", kill_each)
test("kill -9 of each node in turn, shard counts differ", lambda: kill_each("--memtable", "1MiB", shards=[2, 3, 1]))
finish()

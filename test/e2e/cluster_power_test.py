#!/usr/bin/env python3
"""kill -9 of all nodes at once under load, again and again: every acknowledged write is
there afterwards, at every node.
"""
import random
import time

from lib import Cluster, Load, equal, finish, test

ROUNDS = 4


def power_loss(*flags, shards=1):
    cluster = Cluster(*flags, shards=shards)
    loads = []
    for i in range(ROUNDS):
        with Load(cluster.nodes, prefix=f"r{i}-") as load:
            time.sleep(0.5 + random.random() * 0.7)
            load.away = {0, 1, 2}
            cluster.kill()
        loads.append(load)
        cluster.restart()
        cluster.wait_ready()
        for old in loads:  # what was seen once must stay, so the early rounds are read again
            old.verify()
    assert sum(load.count() for load in loads) > 1000, "too little was done to mean anything"
    for load in loads:
        load.check()
        for node in cluster.nodes:
            load.verify_one(node)
    equal(cluster.stop(), [0, 0, 0])
    cluster.restart()
    cluster.wait_ready()
    for load in loads:
        load.verify()
    cluster.stop()


test("kill -9 of all nodes at once loses no acknowledged write", power_loss)
test("the same during flush and compaction, shard counts differ",
     lambda: power_loss("--memtable", "1MiB", shards=[1, 2, 3]))
finish()

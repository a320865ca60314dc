#!/usr/bin/env python3
"""A node that is paused for a while under load: the others' clients notice a short stall and
no failure, and afterwards it goes on and gets what it missed.
"""
import time

from lib import Cluster, Load, equal, finish, test

PAUSE_SECONDS = 3
STALL_SECONDS_MAX = 1.5


def pause_each(shards):
    cluster = Cluster(shards=shards)
    with Load(cluster.nodes) as load:
        time.sleep(0.5)
        for i in range(len(cluster)):
            load.away = {i}
            paused_at = time.monotonic()
            done = sum(c.done for c in load.clients if c.place != i)
            cluster[i].pause()
            time.sleep(PAUSE_SECONDS)
            done = sum(c.done for c in load.clients if c.place != i) - done
            cluster[i].resume()
            cluster.wait_ready()
            time.sleep(0.3)  # what its own clients had asked is answered, or has failed
            load.away = set()
            stall, what = load.worst_stall(paused_at, {0, 1, 2} - {i})
            assert stall < STALL_SECONDS_MAX, f"{what} took {stall * 1000:.0f} ms when node {i} was paused"
            assert done > 500, f"only {done} requests at the others while node {i} was paused"
    load.check()
    load.verify()
    for node in cluster.nodes:
        load.verify_one(node)
    equal(cluster.stop(), [0, 0, 0])


test("a node paused under load, each in turn", lambda: pause_each(1))
test("a node paused under load, shard counts differ", lambda: pause_each([2, 1, 3]))
finish()

#!/usr/bin/env python3
"""How long a cluster is without a leader when it dies, and what clients of the other nodes notice.

    bench/leader.py --nodes 3 --rounds 5        the rows of bench/README.md

In turns the leader and a follower are killed (kill -9), and the leader is told to stop (SIGTERM), under load
at all nodes; each comes back before the next. Time to a leader: until a node that lives names another one.
Longest: of the requests sent to the other nodes from then until two seconds later; what the driving process
was held up itself is taken off. Run it with ATOLL set or after ./dev build.
"""
import argparse
import os
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("ATOLL", os.path.join(ROOT, "build", "atoll"))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
from lib import Cluster, Load, eventually  # noqa: E402

LEADER_SECONDS_MAX = 20
AFTER_SECONDS = 2.0
EVENTS = ("kill leader", "kill follower", "stop leader")


def leader_of(node):
    """Its address's port, as the node says; None: it knows none."""
    view = node.json("/v1/cluster")
    return next((int(n["address"].rsplit(":", 1)[1]) for n in view["nodes"] if n["id"] == view["leader"]), None)


class Row:
    def __init__(self):
        self.leaderless, self.stalls, self.failures, self.requests = [], [], [], 0

    def print(self, event, load):
        worst = max(self.stalls) * 1000
        none = event == "kill follower"
        to_leader = "none lost" if none else f"{statistics.median(self.leaderless) * 1000:.0f} ms, " \
            f"{min(self.leaderless) * 1000:.0f} to {max(self.leaderless) * 1000:.0f}"
        print(f"| {len(load.nodes)} | {event} | {to_leader} | {self.requests:,} | {len(self.failures)} "
              f"| {statistics.median(self.stalls) * 1000:.0f} | {worst:.0f} |", flush=True)
        for failure in self.failures[:3]:
            print(f"#   {failure}", flush=True)


def once(cluster, load, event, row):
    nodes = cluster.nodes
    leader = leader_of(nodes[0])
    at = next(i for i, n in enumerate(nodes) if (n.port == leader) == (event != "kill follower"))
    others = cluster.others(at)
    load.away = {at}
    failed, began = len(load.failures), time.monotonic()
    if event == "stop leader":
        nodes[at].process.terminate()
    else:
        cluster.kill(at)
    while event != "kill follower" and leader_of(others[0]) in (leader, None):
        assert time.monotonic() - began < LEADER_SECONDS_MAX, "no leader"
        time.sleep(0.005)
    row.leaderless.append(time.monotonic() - began)
    nodes[at].process.wait(timeout=LEADER_SECONDS_MAX)
    time.sleep(max(0.0, began + AFTER_SECONDS - time.monotonic()))
    ended = time.monotonic()
    cluster.restart(at)
    cluster.wait_ready()
    load.away = set()
    spans = [end - start - load.control.within(start, end) for start, end, place, _ in list(load.durations)
             if place != at and began - 0.5 <= start < ended]
    row.stalls.append(max(spans))
    row.requests += len(spans)
    row.failures += load.failures[failed:]
    time.sleep(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = {event: Row() for event in EVENTS}
    cluster = Cluster(nodes=options.nodes)
    try:
        eventually(LEADER_SECONDS_MAX, lambda: leader_of(cluster[0]) is not None)
        time.sleep(3)  # the first leader has made all of them voters
        with Load(cluster.nodes) as load:
            time.sleep(1)
            for _ in range(options.rounds):
                for event, row in rows.items():
                    once(cluster, load, event, row)
        assert not load.wrong, load.wrong[:3]
        print("| nodes | event | time to a leader | requests at others | failed | longest ms, median | worst |")
        print("|---:|---|---|---:|---:|---:|---:|")
        for event, row in rows.items():
            row.print(event, load)
    finally:
        cluster.stop()


main()

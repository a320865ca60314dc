#!/usr/bin/env python3
"""A node joins a cluster on this machine while clients work: how long it takes, and what clients feel.

    bench/move.py                                  5 GiB to a second node, at 64 MiB a second
    bench/move.py --nodes 3 --data 1GiB            a fourth node, under load

The nodes are filled, then `atoll bench` sends a steady stream of commands (latency counts from when each was
due) in windows: some before the node joins, then until the last slot has moved. A plain copy is the bytes
sent, divided by what the nodes that were there may send a second. Loopback only; data in a folder of its own.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
START_SECONDS_MAX = 30


def size(text):
    match = re.fullmatch(r"(\d+)(KiB|MiB|GiB)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 64MiB or 5GiB")
    return int(match[1]) * SIZES[match[2]]


class Node:
    def __init__(self, args, folder, port, *flags):
        self.port = port
        self.log = f"{folder}/{port}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [args.atoll, "serve", "--port", str(port), "--dir", f"{folder}/{port}", "--shards", str(args.shards),
                 "--move-rate", str(args.rate), *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as reply:
            return json.load(reply)

    def await_members(self, count):
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if sum(n["alive"] for n in self.get("/v1/cluster")["nodes"]) == count:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        sys.exit(f"the node did not start; see {self.log}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def bench(args, node, *flags):
    """What `atoll bench` tells."""
    out = subprocess.run([args.atoll, "bench", "--server", f"127.0.0.1:{node.port}", "--keys", str(args.keys),
                          "--value", str(args.value), "--clients", str(args.clients), "--json", *flags],
                         capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(f"atoll bench ended with {out.returncode}: {out.stderr}")
    return json.loads(out.stdout)


def window(args, node, seed):
    return bench(args, node, "--rate", str(args.commands), "--seconds", str(args.window), "--seed", str(seed),
                 "--mix", "get=50,set=50")


class Change:
    """Follows the change from another thread, until it has come and gone."""

    def __init__(self, node):
        self.node = node
        self.figures = None
        self.begun = self.ended = None
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        while self.ended is None:
            change = self.node.get("/v1/cluster").get("change")
            now = time.monotonic()
            if change is not None:
                self.begun = self.begun or now
                self.figures = change
            elif self.begun is not None:
                self.ended = now
            time.sleep(0.1)


def p99_ms(result):
    return result["operations"]["all"]["latency_ms"]["p99"]


def commands(results):
    return sum(r["operations"]["all"]["count"] for r in results)


def errors(results):
    return sum(sum(r["errors"].values()) for r in results)


def run(args, folder):
    ports = [int(p) for p in subprocess.check_output([f"{ROOT}/test/e2e/ports", str(args.nodes + 1)]).split()]
    peers = ["--peers", ",".join(f"127.0.0.1:{p}" for p in ports[:-1])] if args.nodes > 1 else []
    nodes = [Node(args, folder, p, *peers) for p in ports[:-1]]
    try:
        for node in nodes:
            node.await_members(args.nodes)
        bench(args, nodes[0], "--load", "--requests", str(args.keys), "--pipeline", "16", "--mix", "get=1")
        time.sleep(args.settle)  # compaction of the fill
        before = [window(args, nodes[0], i) for i in range(args.windows)]
        nodes.append(Node(args, folder, ports[-1], "--join", f"127.0.0.1:{ports[0]}"))
        change = Change(nodes[0])
        during = []
        while change.ended is None and change.thread.is_alive():
            during.append(window(args, nodes[0], args.windows + len(during)))
        if change.ended is None:
            sys.exit("the cluster could not be asked about its change")
        return before, during[:-1] or during, change
    finally:
        for node in nodes:
            node.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoll", default=f"{ROOT}/build/atoll")
    parser.add_argument("--nodes", type=int, default=1, help="before the one that joins")
    parser.add_argument("--data", type=size, default=5 * SIZES["GiB"], help="in values, each counted once")
    parser.add_argument("--value", type=int, default=4096)
    parser.add_argument("--rate", type=size, default=64 * SIZES["MiB"], help="--move-rate of every node")
    parser.add_argument("--commands", type=int, default=2000, help="a second, half of them writes; of the load")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--window", type=int, default=5, help="seconds")
    parser.add_argument("--settle", type=int, default=20, help="seconds between the fill and the first window")
    parser.add_argument("--windows", type=int, default=6, help="before the node joins")
    parser.add_argument("--dir", default=ROOT, help="file system for the data")
    args = parser.parse_args()
    if args.nodes < 1 or args.data < args.value or args.windows < 1 or args.window < 1:
        parser.error("at least one node, one value, one window and one second")
    args.keys = args.data // args.value
    folder = tempfile.mkdtemp(prefix="bench-", dir=args.dir)
    try:
        before, during, change = run(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    seconds = change.ended - change.begun
    sent = change.figures["bytes_done"]
    copy = sent / (args.rate * args.nodes)
    old, new = ([p99_ms(r) for r in results] for results in (before, during))
    print(f"moved {sent / SIZES['GiB']:.2f} GiB and {change.figures['slots_total']} slots in {seconds:.1f} s; "
          f"a plain copy at {args.rate >> 20} MiB/s a node takes {copy:.1f} s: {seconds / copy:.2f} times")
    print(f"p99 before {statistics.median(old):.2f} ms (median of {len(old)} windows, {min(old):.2f} to {max(old):.2f}), during "
          f"{statistics.median(new):.2f} ms ({len(new)} windows, {min(new):.2f} to {max(new):.2f}): "
          f"{statistics.median(new) / statistics.median(old):.2f} times")
    print(f"commands before {commands(before):,}, during {commands(during):,}; errors {errors(before + during)}")


main()

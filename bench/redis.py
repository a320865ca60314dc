#!/usr/bin/env python3
"""Atoll beside redis-server, both driven by redis-benchmark, in turns (A B A B ..).

    ./dev bench BENCH=redis                     the tables of bench/README.md
    bench/redis.py --rounds 3 --requests 200000 --rows sync

Each server has one processor (0), redis-benchmark the other (1). Every figure is the
median over the rounds; the ratio is the median of the rounds' ratios, so that a
machine that drifts does not favour one side. Loopback only; data in a folder of its own.
"""
import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# name, test, pipeline, redis options, atoll options, share of the requests
ROWS = {
    "plain": [("GET, one at a time", "get", 1, [], ["--sync", "never"], 0.3),
              ("SET, one at a time", "set", 1, [], ["--sync", "never"], 0.3),
              ("GET, 16 at a time", "get", 16, [], ["--sync", "never"], 1),
              ("SET, 16 at a time", "set", 16, [], ["--sync", "never"], 1)],
    "sync": [("SET, synced, one at a time", "set", 1, ["--appendonly", "yes", "--appendfsync", "always"],
              ["--sync", "always"], 0.1),
             ("SET, synced, 16 at a time", "set", 16, ["--appendonly", "yes", "--appendfsync", "always"],
              ["--sync", "always"], 0.3)],
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    sys.exit(f"{name} did not start")
                time.sleep(0.05)

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def measure(server, test, pipeline, requests, args):
    """(requests a second, p99 ms, CPU us of the server a request)"""
    before = server.cpu_s()
    out = subprocess.run(
        [*args.pin(1), "redis-benchmark", "-p", str(server.port), "-t", test, "-n", str(requests), "-P", str(pipeline),
         "-c", str(args.clients), "-r", str(args.keys), "-d", str(args.value), "--csv"],
        capture_output=True, text=True, timeout=600, check=True).stdout
    fields = re.findall(r'"([^"]*)"', out.strip().splitlines()[-1])
    return float(fields[1]), float(fields[6]), (server.cpu_s() - before) * 1e6 / requests


def row(spec, folder, args):
    name, test, pipeline, redis_options, atoll_options, share = spec
    requests = int(args.requests * share)
    ports = [free_port(), free_port()]
    os.makedirs(f"{folder}/redis")
    servers = [
        Server("redis", [*args.pin(0), "redis-server", "--port", str(ports[0]), "--save", "", "--dir",
                         f"{folder}/redis", *redis_options], ports[0]),
        Server("atoll", [*args.pin(0), args.atoll, "serve", "--port", str(ports[1]), "--dir", f"{folder}/atoll",
                         "--shards", "1", *atoll_options], ports[1])]
    rounds = []
    try:
        for server in servers:  # the keys are there, the code is warm
            measure(server, "set", 16, args.keys * 2, args)
        for _ in range(args.rounds):
            rounds.append([measure(server, test, pipeline, requests, args) for server in servers])
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(f"{folder}/redis", ignore_errors=True)
        shutil.rmtree(f"{folder}/atoll", ignore_errors=True)
    redis, atoll = ([statistics.median(r[side][i] for r in rounds) for i in range(3)] for side in (0, 1))
    ratio = statistics.median(r[1][0] / r[0][0] for r in rounds)
    cpu = statistics.median(r[0][2] / r[1][2] for r in rounds if r[1][2] > 0)
    print(f"| {name} | {redis[0]:,.0f} | {atoll[0]:,.0f} | {ratio:.2f} | {redis[2]:.2f} | {atoll[2]:.2f} | {cpu:.2f} | "
          f"{redis[1]:.2f} | {atoll[1]:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoll", default=f"{ROOT}/build/atoll")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000000, help="of the fastest rows; others take a share")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--keys", type=int, default=100000)
    parser.add_argument("--value", type=int, default=100)
    parser.add_argument("--rows", choices=[*ROWS, "all"], default="all")
    parser.add_argument("--dir", default=ROOT, help="file system for the data")
    args = parser.parse_args()
    args.pin = lambda cpu: ["taskset", "-c", str(cpu)] if os.cpu_count() > 1 else []
    print(f"{args.rounds} rounds, {args.clients} clients, {args.keys:,} keys, values of {args.value} B; "
          f"load before: {os.getloadavg()[0]:.1f}\n")
    print("| | Redis /s | Atoll /s | ratio | Redis CPU us | Atoll CPU us | CPU ratio | Redis p99 ms | Atoll p99 ms |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    folder = tempfile.mkdtemp(prefix="bench-", dir=args.dir)
    try:
        for name, specs in ROWS.items():
            for spec in specs if args.rows in ("all", name) else []:
                row(spec, folder, args)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()

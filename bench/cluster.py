#!/usr/bin/env python3
"""Three nodes on this machine: RESP by redis-benchmark, HTTP by hey, at W=R=1 and at quorum.

    ./dev bench-cluster                            the table of bench/README.md
    bench/cluster.py --rounds 1 --rows http --json
    bench/cluster.py --rounds 1 --perf             and where the nodes' time goes, by function

Every row has a cluster of its own; its rounds follow each other, and each figure is their
median. The load goes to one node, or to all in turn with --spread. CPU is that of all three
nodes a request. Loopback only; data in a folder of its own.
"""
import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NODES = 3
QUORUMS = {"1": ["--write-quorum", "1", "--read-quorum", "1"], "quorum": []}
# kind, test, quorum, pipeline, share of the requests. A read row finds the keys of a write row.
ROWS = {"resp": [("SET", "1", 1, 1), ("GET", "1", 1, 1), ("SET", "quorum", 1, 1), ("GET", "quorum", 1, 1),
                 ("SET", "1", 16, 4), ("GET", "1", 16, 4), ("SET", "quorum", 16, 4), ("GET", "quorum", 16, 4)],
        "http": [("PUT", "1", 1, 1), ("GET", "1", 1, 1), ("PUT", "quorum", 1, 1), ("GET", "quorum", 1, 1)]}
# Writes and reads a second of the predecessor, as recorded: W=R=1, hey -n 20000 -c 50.
PREDECESSOR = {"PUT": 9500, "GET": 15500}
PERF_ROWS = 25


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """Nodes with the same options, gone with the `with`."""

    def __init__(self, args, quorum, folder):
        self.ports = free_ports(NODES)
        self.folder = folder
        peers = ",".join(f"127.0.0.1:{p}" for p in self.ports)
        self.processes = []
        for port in self.ports:
            with open(f"{folder}/{port}.log", "wb") as log:
                self.processes.append(subprocess.Popen(
                    [args.atoll, "serve", "--port", str(port), "--peers", peers, "--dir", f"{folder}/{port}",
                     "--shards", str(args.shards), "--sync", args.sync, *QUORUMS[quorum]],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def __enter__(self):
        try:
            self.await_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for port in self.ports:
            shutil.rmtree(f"{self.folder}/{port}", ignore_errors=True)

    def await_all(self):
        """Until every node answers for all replicas."""
        end = time.monotonic() + 30
        for port in self.ports:
            for i in range(20):
                while not self.has_all(port, i):
                    if time.monotonic() > end or any(p.poll() is not None for p in self.processes):
                        sys.exit(f"the cluster did not start; see {self.folder}")
                    time.sleep(0.05)

    @staticmethod
    def has_all(port, i):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/kv/none-{i}?level=all", timeout=5).close()
        except urllib.error.HTTPError as e:
            return e.code == 404
        except OSError:
            pass
        return False

    def cpu_s(self):
        """Of all nodes so far."""
        total = 0
        for process in self.processes:
            with open(f"/proc/{process.pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")


def run(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout


def redis_benchmark(port, test, pipeline, requests, args):
    """(requests a second, p99 ms)"""
    out = run(["redis-benchmark", "-p", str(port), "-t", test.lower(), "-n", str(requests), "-P", str(pipeline),
               "-c", str(args.clients), "-r", str(args.keys), "-d", str(args.value), "--csv"])
    fields = re.findall(r'"([^"]*)"', out.strip().splitlines()[-1])
    return float(fields[1]), float(fields[6])


def hey(port, test, _, requests, args):
    """One key, as the predecessor was measured. Fails unless every answer was a 200."""
    body = ["-d", "x" * args.value] if test == "PUT" else []
    out = run(["hey", "-n", str(requests), "-c", str(args.clients), "-m", test, *body,
               f"http://127.0.0.1:{port}/v1/kv/bench"])
    answers = {int(code): int(count) for code, count in re.findall(r"\[(\d+)\]\s+(\d+) responses", out)}
    wanted = requests // args.clients * args.clients  # hey gives each client the same whole number
    if answers != {200: wanted}:
        sys.exit(f"hey: answers {answers} instead of {wanted} times 200\n{out}")
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
            float(re.search(r"99%\s+in\s+([\d.]+) secs", out).group(1)) * 1000)


class Perf:
    """perf record of all nodes while the measured rounds run."""

    def __init__(self, cluster, folder):
        self.file = f"{folder}/perf.data"
        pids = ",".join(str(p.pid) for p in cluster.processes)
        self.process = subprocess.Popen(["perf", "record", "-F", "499", "-g", "-o", self.file, "-p", pids],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 5
        while not (os.path.exists(self.file) and self.process.poll() is None) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.3)  # it has its file before it counts

    def rows(self):
        """(percent, function) of those with the most time of their own."""
        self.process.send_signal(2)
        self.process.wait(timeout=60)
        out = run(["perf", "report", "-i", self.file, "--no-children", "-g", "none", "--stdio", "--sort", "sym"])
        os.remove(self.file)
        found = re.findall(r"^\s+([\d.]+)%\s+\[(.)\]\s+(\S+)", out, re.MULTILINE)
        return [(float(share), f"{name} (kernel)" if where == "k" else name) for share, where, name in found[:PERF_ROWS]]


def measure(kind, spec, folder, args):
    """The medians of one row."""
    test, quorum, pipeline, share = spec
    tool = redis_benchmark if kind == "resp" else hey
    requests = (args.requests or 20000) * share
    rounds = []
    with Cluster(args, quorum, folder) as cluster:
        # The keys are there, the code is warm.
        if kind == "resp":
            redis_benchmark(cluster.ports[0], "SET", 16, args.keys * 2, args)
        else:
            hey(cluster.ports[0], "PUT", 1, requests, args)
            hey(cluster.ports[0], test, 1, requests, args)
        perf = Perf(cluster, folder) if args.perf else None
        for i in range(args.rounds):
            before = cluster.cpu_s()
            rate, p99 = tool(cluster.ports[i % NODES if args.spread else 0], test, pipeline, requests, args)
            rounds.append((rate, p99, (cluster.cpu_s() - before) * 1e6 / requests))
        functions = perf.rows() if perf else []
    rate, p99, cpu = (statistics.median(r[i] for r in rounds) for i in range(3))
    return {"protocol": kind, "test": test, "quorum": quorum, "pipeline": pipeline, "requests": requests,
            "rounds": args.rounds, "per_second": round(rate), "lowest": round(min(r[0] for r in rounds)),
            "highest": round(max(r[0] for r in rounds)), "p99_ms": round(p99, 2), "cpu_us": round(cpu, 1),
            "predecessor": PREDECESSOR[test] if kind == "http" and quorum == "1" else None,
            "functions": [{"percent": p, "function": f} for p, f in functions]}


def print_row(row):
    name = f"{row['protocol'].upper()} {row['test']}, {'W=R=1' if row['quorum'] == '1' else 'quorum'}"
    name += f", {row['pipeline']} at a time" if row["pipeline"] > 1 else ""
    before = row["predecessor"]
    ratio = f"{before:,} | {row['per_second'] / before:.2f}" if before else "| "
    print(f"| {name} | {row['per_second']:,} | {row['lowest']:,} to {row['highest']:,} | {row['p99_ms']:.2f} | "
          f"{row['cpu_us']:.1f} | {ratio} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoll", default=f"{ROOT}/build/atoll")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, help="of a round; 20000 unless given, four times as many in a pipeline")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--keys", type=int, default=100000, help="of redis-benchmark; hey uses one")
    parser.add_argument("--value", type=int, default=100)
    parser.add_argument("--shards", type=int, default=1, help="of each node")
    parser.add_argument("--sync", default="always")
    parser.add_argument("--rows", choices=[*ROWS, "all"], default="all")
    parser.add_argument("--spread", action="store_true", help="each round at the next node")
    parser.add_argument("--perf", action="store_true", help="where the nodes' time goes; slows them a little")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dir", default=ROOT, help="file system for the data")
    args = parser.parse_args()
    if args.rounds < 1 or args.clients < 1 or (args.requests is not None and args.requests < args.clients):
        parser.error("at least one round, one client and a request for each client")
    for tool in ["redis-benchmark", "hey"] + (["perf"] if args.perf else []):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed; ./dev bench-cluster installs redis-tools and hey")
    if not args.json:
        print(f"{args.rounds} rounds, {args.clients} clients, values of {args.value} B, sync {args.sync}, {args.shards} shards "
              f"a node; load before: {os.getloadavg()[0]:.1f}\n")
        print("| | /s, median | /s, range | p99 ms | CPU us of all nodes | predecessor /s | ratio |")
        print("|---|---:|---:|---:|---:|---:|---:|")
    folder = tempfile.mkdtemp(prefix="bench-", dir=args.dir)
    rows = []
    try:
        for kind, specs in ROWS.items():
            for spec in specs if args.rows in ("all", kind) else []:
                rows.append(measure(kind, spec, folder, args))
                if not args.json:
                    print_row(rows[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        if row["functions"]:
            print(f"\n{row['protocol'].upper()} {row['test']}, {row['quorum']}, {row['pipeline']} at a time: own time by function")
        for f in row["functions"]:
            print(f"  {f['percent']:6.2f} %  {f['function']}")


main()

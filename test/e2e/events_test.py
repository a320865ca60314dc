#!/usr/bin/env python3
"""What the dashboard asks for, as bytes: the stream of events, its limits and its end, what each
replica of a key holds, who keeps which slots, what every node says of itself."""
import json
import socket
import time

from lib import Cluster, Node, contains, equal, eventually, finish, read_until, test

ASK = b"GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n"
SUBSCRIBERS_MAX = 64  # of a shard
DOWN_SECONDS = 3


class Stream:
    """A subscriber."""

    def __init__(self, node, ask=ASK, small=False):
        self.socket = socket.socket()
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(5)
        self.socket.connect(("127.0.0.1", node.port))
        self.socket.sendall(ask)
        self.rest = b""
        self.head = None

    def until(self, mark, seconds=5):
        end = time.monotonic() + seconds
        while mark not in self.rest:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            part = self.socket.recv(65536)
            if not part:
                raise EOFError(self.rest)
            self.rest += part
        found, _, self.rest = self.rest.partition(mark)
        return found

    def begin(self):
        self.head = self.until(b"\r\n\r\n")
        return self

    def event(self, seconds=5):
        """(name, JSON) of the next."""
        while True:
            lines = self.until(b"\n\n", seconds).decode().split("\n")
            fields = dict(line.split(": ", 1) for line in lines)
            if "event" in fields:
                return fields["event"], json.loads(fields["data"])

    def next(self, name, seconds=5):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found, data = self.event(max(0.01, end - time.monotonic()))
            if found == name:
                return data
        raise AssertionError(f"no {name} within {seconds} s")

    def close(self):
        self.socket.close()


node = Node("--shards", "1")


def stream():
    s = Stream(node).begin()
    contains(s.head, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    name, cluster = s.event()
    equal(name, "cluster")
    equal(cluster, node.json("/v1/cluster"))
    s.next("figures")
    for i in range(50):
        node.kv("PUT", f"k{i}", b"v")
    told = [s.next("figures")]
    while sum(f["moment"]["write"]["operations"] for f in told) < 50 and len(told) < 20:
        told.append(s.next("figures"))
    equal(sum(f["moment"]["write"]["operations"] for f in told), 50)
    busiest = max((f["moment"] for f in told), key=lambda m: m["write"]["operations"])
    assert 0 < busiest["write"]["p50_us"] <= busiest["write"]["p99_us"] < 5e6, busiest
    assert 0.9 < busiest["seconds"] < 3, busiest
    equal(told[-1]["metrics"]["writes"], node.json("/metrics")["writes"])
    s.close()


test("events: begins with the cluster, then figures each second", stream)


def nothing_behind():
    """What follows on the connection is not answered; earlier replies come first."""
    get = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    got = node.raw(get + ASK + get, seconds=1.5)
    equal(got.count(b"HTTP/1.1 200 OK"), 2)
    assert got.index(b"OK\r\nContent-Type: text/plain") < got.index(b"text/event-stream"), got
    contains(got, b"event: figures\n")
    contains(node.raw(b"GET /v1/events HTTP/1.0\r\n\r\n", seconds=1.5), b"event: figures\n")


test("events: the stream is the connection's last reply", nothing_behind)


def limit():
    streams = [Stream(node).begin() for _ in range(SUBSCRIBERS_MAX)]
    status, headers, body = node.http("GET", "/v1/events")
    equal((status, json.loads(body)["error"]["code"], headers["Retry-After"]), (503, "busy", "1"))
    equal(node.kv("GET", "k1")[2], b"v")
    for s in streams:
        s.next("figures")
    for s in streams:
        s.close()

    def free():
        s = Stream(node).begin()
        equal(s.head[:15], b"HTTP/1.1 200 OK")
        s.close()
    eventually(5, free)
    eventually(5, lambda: node.json("/metrics")["connections"] == 1)


test("events: so many and no more; who leaves makes room", limit)


def slow():
    lazy = [Stream(node, small=True) for _ in range(8)]
    quick = Stream(node).begin()
    for _ in range(3):
        began = time.monotonic()
        quick.next("figures")
        assert time.monotonic() - began < 2
    assert node.json("/metrics")["output_bytes"] < 8 * 200 * 1024
    for s in lazy:
        s.close()
    quick.close()


test("events: one who does not read holds up nobody", slow)


def stop():
    s, unread = Stream(node).begin(), Stream(node, small=True)
    s.event()
    began = time.monotonic()
    equal(node.stop(), 0)
    assert time.monotonic() - began < 4, "subscribers hold up the stop"
    read_until(s.socket, 2)
    equal(s.socket.recv(1), b"")
    unread.close()


test("events: a node that stops ends the stream", stop)

cluster = Cluster(shards=[1, 2, 3])
nodes = cluster.nodes


def states(asked, key):
    told = json.loads(asked.kv("GET", key, replicas="true")[2])
    return told, [r["state"] for r in told["replicas"]]


def replicas():
    version = json.loads(nodes[0].kv("PUT", "held", b"12345", level="all")[2])["version"]
    for asked in nodes:
        told, found = states(asked, "held")
        equal(found, ["value"] * 3)
        equal({r["version"] for r in told["replicas"]}, {version})
        equal({r["value_bytes"] for r in told["replicas"]}, {5})
        equal({r["address"] for r in told["replicas"]}, {f"127.0.0.1:{n.port}" for n in nodes})
        equal([r["address"] for r in told["replicas"] if r["self"]], [f"127.0.0.1:{asked.port}"])
        equal(states(asked, "never")[1], ["nothing"] * 3)
    nodes[0].kv("DELETE", "held", level="all")
    equal(states(nodes[1], "held")[1], ["tombstone"] * 3)
    nodes[0].kv("PUT", "brief", b"v", ttl="100ms", level="all")
    eventually(5, lambda: states(nodes[2], "brief")[1] == ["expired"] * 3)
    equal(nodes[0].http("HEAD", "/v1/kv/held?replicas=true")[0], 200)


test("replicas: what each holds, whoever is asked", replicas)


def slots():
    told = nodes[0].json("/v1/cluster/slots")
    equal(told["runs"], nodes[2].json("/v1/cluster/slots")["runs"])
    at, owned, kept = 0, {}, {}
    for first, last, *places in told["runs"]:
        equal(first, at)
        at = last + 1
        equal(len(set(places)), 3)
        owned[told["nodes"][places[0]]] = owned.get(told["nodes"][places[0]], 0) + at - first
        for place in places:
            kept[told["nodes"][place]] = kept.get(told["nodes"][place], 0) + at - first
    equal(at, 16384)
    for member in nodes[0].json("/v1/cluster")["nodes"]:
        equal((owned[member["id"]], kept[member["id"]]), (member["slots_owned"], member["slots_kept"]))


test("slots: every slot, as many as each member is said to have", slots)


def figures():
    told = nodes[1].json("/v1/cluster/figures")["nodes"]
    ids = {n["id"] for n in nodes[0].json("/v1/cluster")["nodes"]}
    equal({n["id"] for n in told}, ids)
    own = nodes[1].json("/v1/cluster")["nodes"]
    me = next(n for n in own if n["self"])
    mine = next(n for n in told if n["id"] == me["id"])
    equal(mine["started_ms"], me["started_ms"])
    for n in told:
        assert n["resident_bytes"] > 1 << 20 and n["disk_free_bytes"] > 0 and n["disk_bytes"] > 0, n
    before = sum(n["operations"]["write"] for n in told)
    nodes[2].kv("PUT", "one", b"more")
    eventually(5, lambda: sum(n["operations"]["write"] for n in
                              nodes[1].json("/v1/cluster/figures")["nodes"]) == before + 1)
    # Looking is no operation of a client.
    equal(nodes[1].json("/metrics")["scans"], 0)


test("figures: every node tells its own", figures)


def death():
    s = Stream(nodes[0]).begin()
    nodes[0].kv("PUT", "missed", b"1", level="all")
    cluster.kill(2)
    began = time.monotonic()
    while True:
        told = s.next("cluster", DOWN_SECONDS + 1)
        down = [n["address"] for n in told["nodes"] if n["state"] == "down"]
        if down:
            break
    assert time.monotonic() - began < DOWN_SECONDS, time.monotonic() - began
    equal(down, [f"127.0.0.1:{nodes[2].port}"])
    equal(sorted(states(nodes[0], "missed")[1]), ["unreachable", "value", "value"])
    equal(len(nodes[0].json("/v1/cluster/figures")["nodes"]), 2)
    equal(nodes[0].json("/metrics")["errors"], 0)
    nodes[0].kv("PUT", "missed", b"22")
    s.close()
    nodes[2].start()
    eventually(10, lambda: sorted(r.get("value_bytes", 0) for r in
                                  states(nodes[1], "missed")[0]["replicas"]) == [2, 2, 2])


test("events: a death is told in time", death)

finish()

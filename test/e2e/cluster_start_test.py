#!/usr/bin/env python3
"""How a cluster begins: lists of peers in all their spellings, small clusters, nodes that start
one by one, lists that do not agree.
"""
import json
import os
import subprocess
import time

from lib import ATOLL, Cluster, Node, contains, equal, eventually, finish, free_ports, test, work


def members(node):
    return sorted(n["address"] for n in node.json("/v1/cluster")["nodes"])


def addresses(ports):
    return sorted(f"127.0.0.1:{p}" for p in ports)


def works(nodes):
    for i, writer in enumerate(nodes):
        eventually(10, lambda: writer.kv("PUT", f"works{i}", b"%d" % i, level="all")[0] == 200)
        for reader in nodes:  # a new cluster answers reads once its nodes have agreed that it is new
            eventually(10, lambda: reader.kv("GET", f"works{i}")[2] == b"%d" % i)


def stop(nodes):
    equal([n.stop() for n in nodes], [0] * len(nodes))


def spellings():
    """Each node is given the same three in another way."""
    a, b, c = ports = free_ports(3)
    lists = [f"localhost:{b},localhost:{c}",                                             # without itself
             f" http://localhost:{a} , http://127.0.0.1:{b},, localhost:{c} ,",           # blanks, prefix, with itself
             f"127.0.0.1:{a},localhost:{a},127.0.0.1:{c},localhost:{b},localhost:{c}"]   # doubles
    nodes = [Node("--peers", peers, "--shards", "1", port=p, wait=False) for p, peers in zip(ports, lists)]
    for node in nodes:
        eventually(20, node.is_ready)
        equal(members(node), addresses(ports))
        eventually(10, lambda: node.sees_up() == 3)
    works(nodes)
    equal(len({n.json("/v1/cluster")["nodes"][0]["id"] for n in nodes}), 1)
    stop(nodes)


def short_options():
    """-port, -peers, -dir with one dash, and the environment."""
    a, b = free_ports(2)
    environment = dict(os.environ, ATOLL_PEERS=f"localhost:{a}")
    folder = os.path.join(work, "short")
    first = Node("-peers", f"localhost:{b}", "-shards", "1", port=a, wait=False)
    second = subprocess.Popen([ATOLL, "serve", "-port", str(b), "-dir", folder, "-shards", "1"], env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(20, first.is_ready)
        eventually(20, lambda: first.sees_up() == 2)
        equal(members(first), addresses([a, b]))
        eventually(10, lambda: first.kv("PUT", "k", b"v", level="2")[0] == 200)
    finally:
        second.terminate()
        equal(second.wait(timeout=20), 0)
    stop([first])


def two_nodes():
    """With N = 3 each key is on both; a majority of two is both."""
    cluster = Cluster(nodes=2, shards=[1, 2])
    works(cluster.nodes)
    body = cluster[0].json("/v1/cluster")
    equal((body["replicas"], body["write_quorum"], body["read_quorum"]), (3, 2, 2))
    cluster.kill(1)
    equal(cluster[0].kv("PUT", "k", b"v")[0], 503)
    equal(cluster[0].kv("PUT", "k", b"v", level="one")[0], 200)
    equal(cluster[0].kv("GET", "k", level="one")[2], b"v")
    cluster.restart(1)
    cluster.wait_ready()
    eventually(30, lambda: cluster[1].kv("GET", "k", level="one")[2] == b"v")
    equal(cluster.stop(), [0, 0])


def five_nodes():
    """More nodes than copies: those that keep none of a key answer for it all the same."""
    cluster = Cluster(nodes=5, wait=False)
    for node in cluster.nodes:
        eventually(20, node.is_ready)
        eventually(20, lambda: node.sees_up() == 5)
    for node in cluster.nodes:
        for i in range(24):
            eventually(20, lambda: node.kv("GET", f"none-{i}", level="all")[0] == 404)
    resps = [n.resp() for n in cluster.nodes]
    for i in range(100):
        equal(resps[i % 5]("SET", f"k{i}", i), "OK")
        for resp in resps:
            equal(resp("GET", f"k{i}"), b"%d" % i)
        equal(resps[(i + 1) % 5]("INCR", f"k{i}"), i + 1)
    for node, resp in zip(cluster.nodes, resps):
        equal(resp("DBSIZE"), 100)
        equal(len(resp("KEYS", "*")), 100)
        kept = [n["slots_kept"] for n in node.json("/v1/cluster")["nodes"]]
        equal(sum(kept), 3 * 16384)
    cluster.kill(3)
    for i in range(100):
        for place in (0, 1, 2, 4):
            equal(resps[place]("GET", f"k{i}"), b"%d" % (i + 1))
        equal(resps[(0, 1, 2, 4)[i % 4]]("SET", f"k{i}", "new"), "OK")
    cluster.restart(3)
    resp = cluster[3].resp()
    eventually(10, lambda: all(resp("GET", f"k{i}") == b"new" for i in range(100)))
    equal(cluster.stop(), [0] * 5)


def one_alone():
    """One of three starts first: there is no cluster without a majority of the list. It says so, refuses at once
    what it is asked, and begins the cluster when the others come."""
    cluster = Cluster()
    cluster.kill()
    for node in cluster.nodes:
        node.wipe()
    node = cluster[0]
    node.start(wait=False)
    eventually(20, lambda: contains(json.dumps(node.json("/ready")), "1 of 3 are there"))
    eventually(10, lambda: contains(node.text(), "no cluster yet: waits for a majority of its list"))
    for _ in range(3):
        began = time.monotonic()
        equal(node.kv("PUT", "k", b"v")[0], 503)
        equal(node.kv("GET", "k", level="one")[0], 503)
        assert time.monotonic() - began < 2, "refusals are slow"
    cluster.restart(1, 2)
    cluster.wait_ready()
    equal(cluster[1].kv("PUT", "k", b"v")[0], 200)
    for node in cluster.nodes:
        eventually(10, lambda: node.kv("GET", "k")[2] == b"v")
    equal(cluster.stop(), [0, 0, 0])


def lone_again():
    """A node that was filled serves level=one alone after a restart."""
    cluster = Cluster()
    equal(cluster[1].kv("PUT", "k", b"v", level="all")[0], 200)
    equal(cluster.stop(), [0, 0, 0])
    cluster[0].start()
    equal(cluster[0].kv("GET", "k", level="one")[2], b"v")
    equal(cluster[0].kv("GET", "k")[0], 503)
    equal(cluster[0].stop(), 0)


def ready_means_ready(shards):
    """From the moment that /ready is 200 on, a node whose fellows are there answers at quorum: of a
    new cluster, and after a restart."""
    cluster = Cluster(shards=shards, wait=False)
    refused = []

    def ask(node, when):
        for i in range(24):
            for method, body in (("PUT", b"x"), ("GET", None)):
                status, _, reply = node.kv(method, f"ready{i}", body)
                if status != 200:
                    refused.append(f"{when}: {method}: {status} {reply.decode(errors='replace')}")

    for node in cluster.nodes:
        eventually(20, node.is_ready)
    for node in cluster.nodes:
        ask(node, "new cluster")
    cluster.wait_ready()
    for i, node in enumerate(cluster.nodes):
        cluster.kill(i)
        cluster.wait_seen_down(i)
        node.start()
        ask(node, f"restart of node {i}")
        cluster.wait_ready()
    equal(cluster.stop(), [0, 0, 0])
    assert not refused, f"{len(refused)} refusals, as {refused[0]} and {refused[-1]}"


def disagreement():
    """Two lists: both nodes say so, neither takes a thing from the other, and there is no cluster."""
    a, b, c = free_ports(3)
    nodes = [Node("--peers", f"localhost:{b}", "--shards", "1", port=a, wait=False),
             Node("--peers", f"localhost:{a},localhost:{c}", "--shards", "1", port=b, wait=False)]
    for node in nodes:
        eventually(20, lambda: contains(node.text(), "1 have another list"))
        contains(json.dumps(node.json("/ready")), "1 have another list")
    time.sleep(1)
    for node in nodes:
        equal(node.kv("PUT", "k", b"1", level="one")[0], 503)
        lines = node.text().count("another list")
        assert 1 <= lines <= 4, f"said {lines} times"
    stop(nodes)


def bad_lists():
    for flags, part in ((["--peers", "localhost"], "peers"), (["--peers", "localhost:99999"], "peers"),
                        (["--peers", "no.such.host.invalid:8080"], "no.such.host.invalid"),
                        (["--peers", "localhost:1", "--write-quorum", "3"], "write-quorum"),
                        (["--peers", "0.0.0.0:1"], "peers"), (["--role", "proxy"], "proxy"),
                        (["--peers", "192.0.2.1:8080"], "192.0.2.1")):
        done = subprocess.run([ATOLL, "serve", "--port", str(free_ports(1)[0]), "--dir", os.path.join(work, "bad"), *flags],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        equal((flags, done.returncode), (flags, 2))
        contains(done.stderr, part)


test("lists with and without itself, doubles, blanks, prefixes, names", spellings)
test("single dashes and the environment", short_options)
test("two nodes", two_nodes)
test("five nodes, three copies", five_nodes)
test("one of three alone at first", one_alone)
test("one of three alone after a restart", lone_again)
test("a node that is ready answers", lambda: ready_means_ready(1))
test("a node that is ready answers, shard counts differ", lambda: ready_means_ready([1, 2, 3]))
test("lists that do not agree are refused by both", disagreement)
test("lists that cannot be", bad_lists)
finish()

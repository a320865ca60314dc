#!/usr/bin/env python3
"""A cluster of three copies becomes one of five while clients work, and one of three again: the change is held up
by a node that is away, steered, cancelled, begun again by a keyspace, and goes on when its leader dies. In the end
every node holds what it should, and nothing else.
"""
import json
import subprocess

from lib import ATOLL, Cluster, Load, contains, equal, eventually, finish, test

KEYS = 400
SLOTS = 16384

cluster = Cluster(nodes=5)
first, last = cluster[0], cluster[4]


def ask(node, method, path, body=None):
    """(status, decoded body)"""
    status, _, text = node.http(method, path, json.dumps(body).encode() if body is not None else None)
    return status, json.loads(text)


def view(node=first):
    return node.json("/v1/cluster")


def place(number):
    """Of the node that is this member."""
    address = next(n["address"] for n in view()["nodes"] if n["id"] == number)
    return next(i for i, node in enumerate(cluster.nodes) if address.endswith(f":{node.port}"))


def slots_kept(node=first):
    return [n["slots_kept"] for n in view(node)["nodes"]]


def tool(*words):
    """(exit code, standard output, standard error)"""
    done = subprocess.run([ATOLL, *words, "--server", f"127.0.0.1:{first.port}"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


def alter(replicas, node=first):
    return ask(node, "PUT", "/v1/keyspaces/default", {"replicas": replicas})


def is_over(replicas):
    """All nodes know that slots have so many copies, and of no change."""
    views = [view(node) for node in cluster.nodes]
    return all((v["slot_replicas"], v["slot_replicas_next"], v["change"]) == (replicas, None, None) for v in views)


def refusals():
    """What has to come first is said, and nothing is done."""
    before = view()["revision"]
    status, body = ask(first, "PUT", "/v1/keyspaces/wide", {"replicas": 5})
    equal((status, body["error"]["code"]), (409, "copies"))
    contains(body["error"]["message"], "atoll cluster replicas 5")
    status, body = ask(first, "PUT", "/v1/cluster/replicas", {"replicas": 2})
    equal((status, body["error"]["code"]), (409, "copies"))
    contains(body["error"]["message"], "keyspace default has 3 replicas")
    equal(ask(first, "PUT", "/v1/cluster/replicas", {"replicas": 8})[0], 400)
    equal(ask(first, "PUT", "/v1/cluster/replicas", {"replicas": 3}), (200, {
        "status": "done", "message": "slots have 3 copies", "epoch": view()["epoch"]}))
    status, body = ask(last, "GET", "/v1/cluster/plan?replicas=5&bytes_per_second=1000")
    equal((status, body["plan"]["copies_moved"], body["plan"]["owners_moved"]), (200, 2 * SLOTS, 0))
    equal([n["kept_after"] for n in body["plan"]["nodes"]], [SLOTS] * 5)
    assert body["plan"]["bytes"] > KEYS * 1000, body["plan"]["bytes"]
    code, out, _ = tool("cluster", "replicas", "5", "--dry-run")
    equal(code, 0)
    contains(out, f"{SLOTS} slots change; {2 * SLOTS} copies of slots move, at least {2 * SLOTS} have to")
    code, out, _ = tool("keyspace", "alter", "default", "--replicas", "5", "--dry-run")
    equal(code, 0)
    contains(out, f"{SLOTS} slots change; {2 * SLOTS} copies of slots move")
    equal(view()["revision"], before)


def held_up():
    """With a node away slots stay on their way: quorums of both lists serve, people steer, a leader may die."""
    away = next(n["id"] for n in view()["nodes"] if n["address"].endswith(f":{last.port}"))
    cluster.kill(4)
    cluster.wait_seen_down(4)
    eventually(10, lambda: view()["leader"] not in (None, away))
    with Load(cluster.nodes[:4], prefix="held") as load:
        equal(ask(first, "PUT", "/v1/cluster/replicas", {"replicas": 5})[0], 202)
        eventually(10, lambda: away in (view()["change"] or {"waits_for": []})["waits_for"])
        change = view()["change"]
        equal((change["reason"], change["slots_total"], change["slots_done"]), ("replicas", SLOTS, 0))
        equal((view()["slot_replicas"], view()["slot_replicas_next"]), (3, 5))
        contains(tool("cluster", "status")[1], "replicas 3, write quorum 2, read quorum 2; slot replicas 3, to be 5\n")
        equal(alter(5)[0], 409)  # not in its midst
        contains(alter(5)[1]["error"]["message"], "are given another number of them just now: ask again")
        equal(ask(first, "POST", "/v1/cluster/change", {"action": "pause"})[0], 200)
        equal(ask(first, "POST", "/v1/cluster/change", {"action": "resume"})[0], 200)
        equal(ask(first, "POST", "/v1/cluster/change", {"action": "cancel"})[0], 200)
        eventually(10, lambda: view()["change"] is None and view()["slot_replicas_next"] is None)
        equal(sum(slots_kept()), 3 * SLOTS)
        done = load.count()
        eventually(10, lambda: load.count() > done + 200)
        status, body = alter(5)  # the keyspace has slots get more
        equal((status, body["keyspace"]["replicas"]), (202, 5))
        eventually(10, lambda: away in (view()["change"] or {"waits_for": []})["waits_for"])
        now = view()
        equal((now["replicas"], now["write_quorum"], now["slot_replicas"], now["slot_replicas_next"]), (5, 2, 3, 5))
        status, body = ask(first, "POST", "/v1/cluster/change", {"action": "cancel"})
        equal((status, body["error"]["code"]), (409, "copies"))
        contains(body["error"]["message"], "the change gives keyspace default its 5 replicas")
        equal(ask(first, "PUT", "/v1/cluster/replicas", {"replicas": 4})[1]["error"]["code"], "copies")
        done = load.count()
        eventually(10, lambda: load.count() > done + 200)
    load.check()
    leader = place(view()["leader"])
    cluster.kill(leader)
    cluster.restart(leader)
    cluster.restart(4)
    eventually(60, lambda: is_over(5))
    equal(slots_kept(), [SLOTS] * 5)
    load.verify()


def raised():
    """Each node holds all, and two may be lost."""
    for node in cluster.nodes:
        eventually(5, lambda: view(node)["write_quorum"] == 3)
        for i in range(KEYS):  # written long before: they were copied, and not only repaired
            equal(node.kv("GET", f"early{i}", level="one")[2], b"%d" % i * 400)
    status, headers, _ = first.kv("PUT", "five", b"x", level="all")
    equal((status, headers["Atoll-Acks"]), (200, "5/5"))
    with Load(cluster.nodes[:3], prefix="raised") as load:
        cluster.kill(3, 4)
        done = load.count()
        eventually(30, lambda: load.count() > done + 500)
        load.failures.clear()  # of the moment that it took to notice
        done = load.count()
        eventually(30, lambda: load.count() > done + 500)
    load.check()
    cluster.restart(3, 4)
    cluster.wait_ready()
    for node in cluster.nodes:
        load.verify_one(node)


def under_load():
    """Nothing fails at any node, and nothing old is read, while copies are taken away and made again."""
    equal(ask(first, "PUT", "/v1/cluster/replicas", {"replicas": 3})[1]["error"]["code"], "copies")
    equal(alter(3)[0], 200)
    with Load(cluster.nodes, prefix="again") as load:
        for replicas in (3, 4, 3):
            code, out, err = tool("cluster", "replicas", str(replicas), "--wait")
            equal((code, err), (0, ""))
            contains(out, f"slots get {replicas} copies; a change of the ring brings it about\n")
            eventually(5, lambda: is_over(replicas))
            equal(sum(slots_kept()), replicas * SLOTS)
        equal(tool("keyspace", "alter", "default", "--replicas", "5", "--wait"), (
            0, "keyspace default is altered; slots get 5 copies, a change of the ring brings it about\n", ""))
        eventually(5, lambda: is_over(5))
    load.check()
    load.verify()
    for node in cluster.nodes:
        load.verify_one(node)
    equal(alter(3)[0], 200)
    equal(tool("cluster", "replicas", "3", "--wait")[0], 0)
    eventually(5, lambda: is_over(3))


def dropped():
    """Old copies are gone from the disks."""
    homes = {key: {r["address"] for r in first.json(f"/v1/kv/{key}?replicas=true")["replicas"]}
             for key in (f"early{i}" for i in range(KEYS))}
    equal({len(nodes) for nodes in homes.values()}, {3})
    equal(cluster.stop(), [0] * 5)
    for node in cluster.nodes:
        out = subprocess.run([ATOLL, "dump", node.dir, "--prefix", "early"], capture_output=True, text=True, timeout=60)
        equal(out.returncode, 0)
        held = {line.split("\t")[2] for line in out.stdout.splitlines() if line.count("\t") > 3}
        equal(held - {"key"}, {key for key, nodes in homes.items() if f"127.0.0.1:{node.port}" in nodes})


for number in range(KEYS):
    equal(cluster[number % 5].kv("PUT", f"early{number}", b"%d" % number * 400)[0], 200)
eventually(20, lambda: ask(first, "GET", "/v1/cluster/plan?replicas=5")[1]["plan"]["bytes"] > KEYS * 1000)
test("what has to come first is said", refusals)
test("a change to more copies is held up, steered and cancelled, and survives its leader", held_up)
test("every node has a copy of all", raised)
test("copies are taken away and made while clients work", under_load)
test("old copies are dropped", dropped)
finish()

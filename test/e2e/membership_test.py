#!/usr/bin/env python3
"""The members of a real cluster as an operator changes them: requests to any node, over HTTP and
with the tool; keyspaces; nodes that join, and those that are not let in."""
import json
import os
import re
import subprocess
import time

from lib import ATOLL, Cluster, Node, contains, equal, eventually, finish, free_port, test, work


def ask(node, method, path, body=None, headers=None):
    """(status, decoded body)"""
    status, _, text = node.http(method, path, json.dumps(body).encode() if body is not None else None, headers)
    return status, json.loads(text)


def code(answer):
    return answer[0], answer[1]["error"]["code"]


def tool(*words):
    """(exit code, standard output, standard error)"""
    done = subprocess.run([ATOLL, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def server(node):
    return "--server", f"127.0.0.1:{node.port}"


def member(node, address):
    found = [n for n in node.json("/v1/cluster")["nodes"] if n["address"] == address]
    return found[0] if found else None


def address(node):
    return f"127.0.0.1:{node.port}"


def views_agree(nodes):
    views = [n.json("/v1/cluster") for n in nodes]
    return all(len({str(v[name]) for v in views}) == 1 for name in ("cluster_id", "leader", "term", "revision", "epoch"))


cluster = Cluster(nodes=3, shards=[1, 2, 1])
a, b, c = cluster.nodes


def one_view():
    """All nodes tell of one cluster, one leader, and of each other."""
    eventually(10, lambda: views_agree(cluster.nodes))
    view = b.json("/v1/cluster")
    equal(view["stage"], "member")
    equal(bool(re.fullmatch("[0-9a-f]{32}", view["cluster_id"])), True)
    equal(sorted(n["id"] for n in view["nodes"]), [1, 2, 3])
    equal([n["voter"] for n in view["nodes"]], [True] * 3)
    leader = next(n for n in view["nodes"] if n["id"] == view["leader"])
    equal(view["leader_address"], leader["address"])
    for node in cluster.nodes:
        eventually(10, lambda: all(n["boot_count"] == 1 and n["keys"] is not None
                                   for n in node.json("/v1/cluster")["nodes"]))
        contains(node.text(), f"Leader elected: {view['leader']}")


def leader_moves():
    for target in (1, 2, 3):
        asked = cluster[target % 3]
        status, body = ask(asked, "POST", "/v1/cluster/leader", {"node": str(target)})
        equal((status, body["node"]), (200, target))
        for node in cluster.nodes:
            eventually(5, lambda: node.json("/v1/cluster")["leader"] == target)
            eventually(5, lambda: f"Leader elected: {target}" in node.text())
    equal(ask(a, "POST", "/v1/cluster/leader", {"node": "3"})[0], 200)  # it leads already
    equal(code(ask(a, "POST", "/v1/cluster/leader", {"node": "9"})), (404, "no_such_node"))
    equal(tool("cluster", "leader", address(b), *server(c))[0], 0)
    eventually(5, lambda: tool("cluster", "leader", *server(a))[1].strip() == address(b))


def refusals():
    """What cannot be done is said, and nothing is done."""
    before = a.json("/v1/cluster")["revision"]
    for weight in (0, -1, 1000001, "two"):
        equal(code(ask(a, "PUT", "/v1/cluster/nodes/1", {"weight": weight})), (400, "bad_weight"))
    equal(code(ask(b, "PUT", "/v1/cluster/nodes/9", {"weight": 2})), (404, "no_such_node"))
    equal(code(ask(b, "DELETE", "/v1/cluster/nodes/127.0.0.1:1")), (404, "no_such_node"))
    status, body = ask(c, "DELETE", "/v1/cluster/nodes/1")  # 2 nodes cannot keep 3 copies
    equal((status, body["error"]["code"], body["at_risk"]), (409, "at_risk", {"slots_short": 16384, "slots_lost": 0}))
    equal(code(ask(c, "DELETE", "/v1/cluster/nodes/1?force=true")), (409, "conflict"))  # it answers
    for action in ("pause", "resume", "cancel"):
        equal(code(ask(a, "POST", "/v1/cluster/change", {"action": action})), (409, "no_change"))
    equal(tool("cluster", "weight", "9", "2", *server(a))[0], 1)
    equal(tool("cluster", "leave", "1", *server(a))[0], 4)
    equal(a.json("/v1/cluster")["revision"], before)


def plans():
    """Nothing moves, and a join takes no more copies than it must."""
    for i in range(200):
        equal(cluster[i % 3].kv("PUT", f"plan{i}", b"x" * 1000)[0], 200)
    eventually(10, lambda: ask(a, "GET", "/v1/cluster/plan?join=10.0.0.9:8080")[1]["plan"]["bytes"] > 50000)
    status, body = ask(b, "GET", "/v1/cluster/plan?join=10.0.0.9:8080&weight=1&bytes_per_second=1000")
    plan = body["plan"]
    equal((status, plan["copies_moved"], plan["bytes_per_second"]), (200, plan["copies_least"], 1000))
    equal(plan["time_ms"] > 10000, True)
    joined = next(n for n in plan["nodes"] if n["id"] is None)
    equal((joined["address"], joined["kept_before"], joined["kept_after"]), ("10.0.0.9:8080", 0, 12288))
    status, body = ask(c, "GET", "/v1/cluster/plan?leave=2")
    equal([(n["id"], n["weight"], n["kept_after"]) for n in body["plan"]["nodes"]],
          [(1, 1, 16384), (2, 0, 0), (3, 1, 16384)])
    equal(ask(c, "GET", "/v1/cluster/plan")[1]["plan"]["slots_changed"], 0)
    status, body = ask(a, "PUT", "/v1/cluster/nodes/2?dry_run=true", {"weight": 3})
    equal((status, body["status"], body["plan"]["owners_moved"] > 0), (202, "accepted", True))
    equal(member(a, address(b))["weight"], 1)
    equal(tool("cluster", "plan", "--leave", "3", *server(a))[0], 0)


def keyspaces():
    """Made on one node, altered on the next, used on all, dropped on the third."""
    status, body = ask(a, "PUT", "/v1/keyspaces/jobs", {"replicas": 2, "ttl": "1h"}, {"If-None-Match": "*"})
    equal((status, body["keyspace"]["replicas"], body["keyspace"]["ttl_ms"]), (201, 2, 3600000))
    equal(code(ask(a, "PUT", "/v1/keyspaces/jobs", {"replicas": 2}, {"If-None-Match": "*"})), (412, "condition_failed"))
    equal(code(ask(b, "PUT", "/v1/keyspaces/none", {}, {"If-Match": "*"})), (412, "condition_failed"))
    for node in cluster.nodes:
        eventually(5, lambda: ask(node, "GET", "/v1/keyspaces/jobs")[0] == 200)
        eventually(5, lambda: node.kv("GET", "k", keyspace="jobs")[0] == 404)
    equal(ask(b, "PUT", "/v1/keyspaces/jobs", {"replicas": 3})[1]["keyspace"]["ttl_ms"], 3600000)
    equal(code(ask(c, "PUT", "/v1/keyspaces/wide", {"replicas": 4})), (409, "copies"))
    equal(code(ask(c, "PUT", "/v1/keyspaces/jobs", {"discipline": "strict"})), (400, "discipline"))
    status, body = ask(c, "PUT", "/v1/keyspaces/exact", {"discipline": "strict"})
    equal((status, body["error"]["message"]), (501, "strict keyspaces are not built yet"))
    equal([k["name"] for k in ask(c, "GET", "/v1/keyspaces")[1]["keyspaces"]], ["default", "jobs"])

    equal(a.kv("PUT", "k", b"of jobs", keyspace="jobs")[0], 200)
    equal(b.kv("PUT", "k", b"of default")[0], 200)
    for node in cluster.nodes:
        status, headers, body = node.kv("GET", "k", keyspace="jobs")
        equal((status, body), (200, b"of jobs"))
        left = int(headers["Atoll-Expires"]) - time.time() * 1000 if "Atoll-Expires" in headers else 3600000
        equal(0 < left <= 3600000, True)
        equal(node.kv("GET", "k")[2], b"of default")
        items = [i["key"] for i in node.json("/v1/scan?keyspace=jobs")["items"]]
        equal(items, ["k"])
        equal(node.json("/v1/scan?keyspace=jobs")["items"][0]["expires_at_ms"] > time.time() * 1000, True)
    equal(ask(b, "POST", "/v1/batch?keyspace=jobs", {"items": [{"key": "k"}]})[1]["results"][0]["value"], "of jobs")
    equal(code(ask(a, "GET", "/v1/kv/k?keyspace=nope")), (404, "no_such_keyspace"))
    equal(code(ask(a, "GET", "/v1/scan?keyspace=nope")), (404, "no_such_keyspace"))

    equal(code(ask(a, "DELETE", "/v1/keyspaces/default")), (400, "default_keyspace"))
    equal(tool("keyspace", "create", "more", "--replicas", "1", *server(b))[0], 0)
    equal(tool("keyspace", "create", "more", *server(b))[0], 1)
    contains(tool("keyspace", "list", *server(c))[1], "more")
    equal(tool("keyspace", "drop", "more", "--yes", *server(a))[0], 0)
    equal(ask(c, "DELETE", "/v1/keyspaces/jobs")[0], 200)
    equal(code(ask(c, "DELETE", "/v1/keyspaces/jobs")), (404, "no_such_keyspace"))
    for node in cluster.nodes:
        eventually(5, lambda: node.kv("GET", "k", keyspace="jobs")[0] == 404)
        equal(code(ask(node, "PUT", "/v1/kv/k?keyspace=jobs")), (404, "no_such_keyspace"))


def table_bytes(node):
    return sum(os.path.getsize(os.path.join(folder, f)) for folder, _, files in os.walk(node.dir)
               for f in files if f.startswith("table"))


def dropped_bytes():
    """What a dropped keyspace held is freed, by a node that was away meanwhile too; others keep theirs."""
    own = Cluster("--memtable", "1MiB")
    equal(ask(own[0], "PUT", "/v1/keyspaces/big", {})[0], 201)
    eventually(5, lambda: own[1].kv("GET", "k", keyspace="big")[0] == 404)
    value = os.urandom(64 << 10)
    for i in range(160):
        equal(own[1].kv("PUT", f"k{i}", value, keyspace="big", level="all")[0], 200)
    for i in range(8):
        equal(own[1].kv("PUT", f"k{i}", value)[0], 200)
    for node in own.nodes:
        eventually(10, lambda: table_bytes(node) > 6 << 20)
    own.kill(2)
    equal(ask(own[0], "DELETE", "/v1/keyspaces/big")[0], 200)
    for node in own.nodes[:2]:
        eventually(30, lambda: table_bytes(node) < 4 << 20)
    equal(table_bytes(own[2]) > 6 << 20, True)
    own.restart(2)
    eventually(30, lambda: table_bytes(own[2]) < 4 << 20)
    equal(ask(own[0], "PUT", "/v1/keyspaces/big", {})[0], 201)
    for node in own.nodes:
        eventually(5, lambda: node.kv("GET", "k9", keyspace="big")[0] == 404 and ask(node, "GET", "/v1/keyspaces/big")[0] == 200)
        equal(node.kv("GET", "k7")[2], value)
    equal(own[0].kv("PUT", "k9", b"anew", keyspace="big", level="all")[0], 200)
    own.kill(0, 1, 2)
    own.restart(0, 1, 2)
    for node in own.nodes:
        eventually(20, lambda: node.kv("GET", "k9", keyspace="big")[2] == b"anew")
    own.stop()


def many_at_once():
    """Requests of several clients at all nodes are carried out one by one, and each is answered."""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda i: ask(cluster[i % 3], "PUT", f"/v1/keyspaces/n{i}", {"replicas": 1})[0], range(24)))
        equal(made, [201] * 24)
        dropped = list(pool.map(lambda i: ask(cluster[(i + 1) % 3], "DELETE", f"/v1/keyspaces/n{i}")[0], range(24)))
        equal(set(dropped) <= {200, 404}, True)  # the asked node may not have heard of it yet
    for i in range(24):
        ask(a, "DELETE", f"/v1/keyspaces/n{i}")
    equal([k["name"] for k in ask(a, "GET", "/v1/keyspaces")[1]["keyspaces"]], ["default"])


def client_leaves():
    """A client that hangs up before the answer leaves nothing behind."""
    import socket
    for i in range(30):
        with socket.create_connection(("127.0.0.1", cluster[i % 3].port)) as s:
            s.sendall(b"PUT /v1/keyspaces/gone HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{\"replicas\":1}")
    eventually(5, lambda: ask(a, "GET", "/v1/keyspaces/gone")[0] == 200)
    equal(ask(a, "DELETE", "/v1/keyspaces/gone")[0], 200)


def fourth_joins():
    port = free_port()
    status, body = ask(a, "POST", "/v1/cluster/nodes", {"address": f"127.0.0.1:{port}", "weight": 2})
    equal((status, f"--join {address(a)} --weight 2" in body["command"]), (202, True))
    d = Node("--join", f"127.0.0.1:{b.port}", "--weight", "2", "--shards", "1", port=port, wait=False)
    for node in (a, b, c, d):
        eventually(20, lambda: member(node, address(d)) is not None and member(node, address(d))["boot_count"] == 1)
        seen = member(node, address(d))
        equal((seen["id"], seen["weight"], seen["membership"] in ("joining", "active")), (4, 2, True))
    equal(ask(c, "POST", "/v1/cluster/nodes", {"address": address(d), "weight": 2})[0], 200)
    cluster.nodes.append(d)


def fourth_leaves():
    """It hands its slots over, is told that it is no member any more, and ends."""
    d = cluster.nodes[3]
    eventually(60, lambda: member(a, address(d))["membership"] == "active" and a.json("/v1/cluster")["change"] is None)
    equal(sum(n["slots_kept"] for n in b.json("/v1/cluster")["nodes"]), 3 * 16384)
    equal(ask(c, "DELETE", "/v1/cluster/nodes/4")[0], 202)
    eventually(10, lambda: member(b, address(d))["membership"] == "leaving")
    equal(ask(b, "DELETE", f"/v1/cluster/nodes/{address(d)}")[0], 202)  # it is on its way
    equal(code(ask(c, "PUT", "/v1/cluster/nodes/4", {"weight": 7})), (409, "conflict"))
    equal(d.process.wait(timeout=60), 2)
    contains(d.text(), "member 4 was removed from the cluster")
    for node in (a, b, c):
        eventually(10, lambda: len(node.json("/v1/cluster")["nodes"]) == 3)
        for i in range(200):
            equal(node.kv("GET", f"plan{i}")[0], 200)
    equal(code(ask(c, "PUT", "/v1/cluster/nodes/4", {"weight": 7})), (404, "no_such_node"))
    cluster.nodes.pop()


def dead_one_is_given_up():
    """Two cannot keep three copies: that takes a word more."""
    gone = member(a, address(c))["id"]
    cluster.kill(2)
    eventually(20, lambda: a.sees_up() == 2 and a.json("/v1/cluster")["leader"] not in (None, gone))
    path = f"/v1/cluster/nodes/{gone}"
    eventually(5, lambda: code(ask(a, "DELETE", path)) == (409, "conflict"))
    equal(code(ask(a, "DELETE", path + "?force=true")), (409, "at_risk"))
    status, body = ask(b, "DELETE", path + "?force=true&accept_loss=true")
    equal((status, body["change"] > 0), (202, True))
    eventually(30, lambda: len(a.json("/v1/cluster")["nodes"]) == 2 and a.json("/v1/cluster")["change"] is None)
    for i in range(200):
        equal(b.kv("GET", f"plan{i}")[0], 200)
    cluster.nodes.pop()


def bad_joins():
    nowhere = Node("--join", f"127.0.0.1:{free_port()}", "--shards", "1", wait=False)
    eventually(10, lambda: "waits_for" in nowhere.json("/ready"))
    equal(nowhere.http("GET", "/ready")[0], 503)
    eventually(5, lambda: "no cluster yet: waits for " in nowhere.text())
    equal(code(ask(nowhere, "GET", "/v1/keyspaces")), (503, "no_cluster"))
    equal(code(ask(nowhere, "POST", "/v1/cluster/nodes", {"address": "127.0.0.1:9"})), (503, "no_cluster"))
    equal(nowhere.stop(), 0)
    # a member of one cluster stays that, whatever it is told
    other = Node("--shards", "1")
    mine = other.json("/v1/cluster")["cluster_id"]
    equal(other.stop(), 0)
    other.flags = ("--join", address(a), "--shards", "1")
    other.start()
    equal(other.json("/v1/cluster")["cluster_id"], mine)
    equal(member(a, address(other)), None)
    equal(other.stop(), 0)


def leaderless():
    """Without a majority nobody leads, and it is said that nothing was done."""
    lone = Cluster(nodes=3)
    lone.kill(1, 2)
    eventually(10, lambda: lone[0].json("/v1/cluster")["leader"] is None)
    began = time.monotonic()
    equal(code(ask(lone[0], "PUT", "/v1/keyspaces/late", {"replicas": 1})), (503, "no_leader"))
    equal(time.monotonic() - began < 8, True)
    equal(ask(lone[0], "GET", "/v1/keyspaces")[0], 200)
    equal(lone.stop(), [0])


def stops_while_asked():
    """A node that stops with requests under way answers or hangs up, and ends in time."""
    lone = Cluster(nodes=3)
    lone.kill(1, 2)
    waiting = [subprocess.Popen(["curl", "-s", "-m", "20", "-X", "PUT", "-d", "{}", f"http://{address(lone[0])}/v1/keyspaces/w{i}"],
                                stdout=subprocess.PIPE) for i in range(8)]
    time.sleep(0.5)
    equal(lone[0].stop(), 0)
    for w in waiting:
        w.communicate(timeout=20)


def ends():
    equal(cluster.stop(), [0] * len(cluster.nodes))


test("all nodes tell of one cluster", one_view)
test("leader transfer", leader_moves)
test("refusals", refusals)
test("plans", plans)
test("keyspaces", keyspaces)
test("bytes of a dropped keyspace", dropped_bytes)
test("requests at once", many_at_once)
test("client leaves", client_leaves)
test("a fourth node joins", fourth_joins)
test("a node leaves", fourth_leaves)
test("bad joins", bad_joins)
test("a dead node is given up", dead_one_is_given_up)
test("no leader", leaderless)
test("stop while asked", stops_while_asked)
test("all end", ends)
finish()

#!/usr/bin/env python3
"""What one client can make a node do, hold or wait for ends somewhere.

Each of these once did not: the node aborted, grew without bound, went on for ever, or
could not be stopped.
"""
import os
import signal
import subprocess
import time

from lib import ATOLL, Node, Resp, RespError, contains, equal, finish, test, work

MIB = 1024 * 1024


def long_patterns(node):
    """No key is as long as the pattern's literal beginning, so nothing matches."""
    client = node.resp()
    equal(client("KEYS", b"k" * 100000), [])
    equal(client("SCAN", 0, "MATCH", b"k" * 70000 + b"*"), [b"0", []])
    equal(client("PING"), "PONG")


def nothing_behind_quit(node):
    """Commands behind QUIT, or behind a protocol error, are not run, even while replies
    before it wait for another shard."""
    for i in range(50):
        for end in (Resp.encode("QUIT"), b"*1\r\n!x\r\n"):
            client = node.resp()
            data = b"".join(Resp.encode("GET", f"far{n}") for n in range(8))
            client.socket.sendall(data + end + Resp.encode("SET", f"behind{i}", "x"))
            while client.file.read(4096):
                pass
            client.close()
    client = node.resp()
    equal(client("EXISTS", *[f"behind{i}" for i in range(50)]), 0)


def large_answers(node):
    """An answer of many large values is refused; one of a few is given; memory stays bounded."""
    client = node.resp()
    equal(client("SET", "big", b"v" * (4 * MIB)), "OK")
    before = node.resident_bytes()
    reply = client("MGET", *["big"] * 500)
    assert isinstance(reply, RespError), "500 values of 4 MiB in one answer"
    contains(reply, "too large")
    equal([len(v) for v in client("MGET", "big", "big")], [4 * MIB] * 2)
    clients = []
    for _ in range(8):
        other = node.resp()
        other.socket.sendall(Resp.encode("GET", "big") * 17)
        clients.append(other)
    equal(client("PING"), "PONG")
    time.sleep(0.5)
    grown = (node.resident_bytes() - before) / MIB
    for other in clients:
        other.close()
    assert grown < 700, f"grown by {grown:.0f} MiB"


def many_keys(node):
    """Commands of 65,000 keys are run or refused as busy, never kept without bound."""
    before = node.resident_bytes()
    command = Resp.encode("EXISTS", *[f"many{i}" for i in range(65000)])
    clients = [node.resp() for _ in range(20)]
    for client in clients:
        client.socket.sendall(command)
    replies = [client.read() for client in clients]
    assert all(r == 0 or isinstance(r, RespError) for r in replies), replies
    grown = (node.resident_bytes() - before) / MIB
    assert grown < 700, f"grown by {grown:.0f} MiB"
    for client in clients:
        client.close()


def scans_without_cache():
    """Range commands end although no block stays in the cache; and so does the node."""
    node = Node("--cache", "1MiB", "--memtable", "4MiB")
    client = node.resp()
    for i in range(12):
        equal(client("SET", f"large{i}", os.urandom(2 * MIB)), "OK")
    for first in range(0, 20000, 1000):
        client.socket.sendall(b"".join(Resp.encode("SET", f"small{i}", b"v" * 100) for i in range(first, first + 1000)))
        for _ in range(1000):
            equal(client.read(), "OK")
    equal(client("DBSIZE"), 20012)
    equal(len(client("KEYS", "large*")), 12)
    assert client("RANDOMKEY") is not None
    equal(node.stop(), 0)


def stops_with_walks_under_way():
    node = Node()
    client = node.resp()
    for first in range(0, 200000, 10000):
        client.socket.sendall(Resp.encode("MSET", *[x for i in range(first, first + 10000) for x in (f"key{i}", "v")]))
        equal(client.read(), "OK")
    clients = [node.resp() for _ in range(10)]
    for c in clients:
        c.socket.sendall(Resp.encode("DBSIZE") * 50)
    began = time.monotonic()
    equal(node.stop(), 0)
    assert time.monotonic() - began < 15, "the node took too long to stop"


def stops_while_it_starts():
    """A stop signal at any moment of the start ends the node orderly."""
    for i in range(40):
        node = Node("--shards", "8", dir=os.path.join(work, "starting"), wait=False)
        time.sleep(i * 0.003)
        node.process.send_signal(signal.SIGTERM)
        code = node.process.wait(timeout=20)
        # Before the program has asked for the signal, it ends by it.
        assert code in (0, -signal.SIGTERM), f"ended with {code}: {node.text()[-500:]}"


def second_on_the_port(node):
    """The shards of a node share its port; another node may not join in."""
    ended = subprocess.run([ATOLL, "serve", "--port", str(node.port), "--dir", os.path.join(work, "second")],
                           capture_output=True, timeout=20, text=True)
    equal(ended.returncode, 2)
    contains(ended.stderr, "in use")


node = Node()
test("patterns longer than any key", lambda: long_patterns(node))
test("nothing is run behind QUIT or a protocol error", lambda: nothing_behind_quit(node))
test("large answers", lambda: large_answers(node))
test("commands of very many keys", lambda: many_keys(node))
test("a second node on the port", lambda: second_on_the_port(node))
test("the node stops", lambda: equal(node.stop(), 0))
test("range commands without a cache", scans_without_cache)
test("a stop while scans are under way", stops_with_walks_under_way)
test("a stop while it starts", stops_while_it_starts)
finish()

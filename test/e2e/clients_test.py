#!/usr/bin/env python3
"""Many idle, slow, greedy and vanishing clients do not hurt others, and memory stays bounded."""
import os
import resource
import socket
import time

from lib import Node, RespError, equal, finish, skip, test

IDLE = 10000
MIB = 1024 * 1024


def answers_quickly(node, seconds=1.0):
    client = node.resp()
    began = time.monotonic()
    for i in range(200):
        equal(client("SET", f"quick{i}", "v"), "OK")
        equal(client("GET", f"quick{i}"), b"v")
    took = time.monotonic() - began
    client.close()
    assert took < seconds * 10, f"200 writes and reads took {took:.1f} s"


def connect(node):
    return socket.create_connection(("127.0.0.1", node.port), timeout=10)


def idle(node):
    before = node.resident_bytes()
    sockets = []
    for i in range(IDLE):
        s = connect(node)
        # A third says nothing, a third begins a command, a third has had an answer.
        if i % 3 == 1:
            s.sendall(b"*2\r\n$3\r\nGE")
        if i % 3 == 2:
            s.sendall(b"PING\r\n")
        sockets.append(s)
    answers_quickly(node)
    grown = node.resident_bytes() - before
    for s in sockets:
        s.close()
    assert grown < IDLE * 16384, f"{IDLE} idle clients took {grown / MIB:.0f} MiB"
    answers_quickly(node)


def unread_replies(node):
    client = node.resp()
    equal(client("SET", "large", b"x" * MIB), "OK")
    before = node.resident_bytes()
    sockets = []
    for _ in range(20):
        s = connect(node)
        s.settimeout(0.2)
        try:
            for _ in range(2000):
                s.sendall(b"GET large\r\n" * 10)
        except (TimeoutError, socket.timeout):
            pass  # the node stopped reading: as it should
        sockets.append(s)
    answers_quickly(node)
    grown = node.resident_bytes() - before
    for s in sockets:
        s.close()
    assert grown < 20 * 8 * MIB, f"20 clients that do not read took {grown / MIB:.0f} MiB"


def half_values(node):
    """Values that are announced and never finished stay within --input-max."""
    before = node.resident_bytes()
    sockets = []
    for _ in range(40):
        s = connect(node)
        try:
            s.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8388608\r\n" + b"y" * (4 * MIB))
        except OSError:
            pass  # refused: over the limit
        sockets.append(s)
    answers_quickly(node)
    grown = node.resident_bytes() - before
    for s in sockets:
        s.close()
    assert grown < 120 * MIB, f"half values took {grown / MIB:.0f} MiB, the limit is 64"


def vanishing(node):
    for i in range(300):
        s = connect(node)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.sendall(b"SET vanish v\r\nGET vanish\r\nSCAN 0\r\n" * 50)
        s.close()  # resets the connection
    answers_quickly(node)


def one_byte_at_a_time(node):
    with connect(node) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$2\r\nab\r\n*2\r\n$3\r\nGET\r\n$4\r\nslow\r\n":
            s.sendall(bytes([byte]))
        got = b""
        while len(got) < len(b"+OK\r\n$2\r\nab\r\n"):
            got += s.recv(100)
        equal(got, b"+OK\r\n$2\r\nab\r\n")
    with connect(node) as s:
        for byte in b"GET /v1/kv/slow HTTP/1.1\r\nHost: x\r\n\r\n":
            s.sendall(bytes([byte]))
        assert s.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def too_many(node):
    """Connections past the limit are refused; those that are there go on."""
    first = node.resp()
    sockets = [connect(node) for _ in range(100)]
    equal(first("PING"), "PONG")
    for s in sockets:
        s.close()
    time.sleep(0.2)
    answers_quickly(node)


def stuck(node):
    """A half command is given up after --client-wait; an idle client is not."""
    quiet = node.resp()
    with connect(node) as s:
        s.sendall(b"GET /v1/kv/x HTTP/1.1\r\nHos")
        s.settimeout(10)
        while s.recv(1000):
            pass
    equal(quiet("PING"), "PONG")


node = Node("--connections-max", "40000", "--input-max", "64MiB")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if hard == resource.RLIM_INFINITY or hard > IDLE + 200:
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, IDLE + 1000) if hard > 0 else IDLE + 1000, hard))
    test(f"{IDLE} idle clients", lambda: idle(node))
else:
    skip(f"{IDLE} idle clients", f"this process may open {hard} files only")
test("clients that do not read their replies", lambda: unread_replies(node))
test("half values stay within their limit", lambda: half_values(node))
test("clients that vanish", lambda: vanishing(node))
test("one byte at a time", lambda: one_byte_at_a_time(node))
equal(node.stop(), 0)
node = Node("--connections-max", "50", "--client-wait", "1s")
test("more clients than allowed", lambda: too_many(node))
test("half a command is given up in time", lambda: stuck(node))
equal(node.stop(), 0)
finish()

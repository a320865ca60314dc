#!/usr/bin/env python3
"""Streams that claim to be a node and are none: each is dropped, memory stays bounded, the
log is not flooded, and clients notice nothing.
"""
import random
import socket
import struct
import time

from lib import Cluster, Load, equal, finish, read_until, test

MAGIC = b"\0atoll\r\n"
HELLO, REFUSE, PING, ACCEPT, QUERY, FORWARD = 1, 2, 3, 5, 7, 9
VERSION = 2
TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = c >> 8 ^ TABLE[(c ^ byte) & 0xFF]
    return c ^ 0xFFFFFFFF


def frame(kind, payload=b"", identity=0, length=None, crc=None):
    size = struct.pack("<I", len(payload) if length is None else length)
    kinds, ids = struct.pack("<BBH", kind, 0, 0), struct.pack("<QQ", identity, 0)
    rest = kinds + struct.pack("<I", crc32c(size + kinds + ids)) + ids + payload
    return size + struct.pack("<I", crc32c(rest) if crc is None else crc) + rest


def hello(version=VERSION, shards=1, from_shard=0, to_shard=0, member=0, node_id=0, boot=0, flags=1, cluster=b"?" * 16,
          address=b"127.0.0.1:1", release=b"test"):
    return frame(HELLO, struct.pack("<HHHHIIII16sQ", version, shards, from_shard, to_shard, member, node_id, boot, flags,
                                    cluster, int(time.time() * 1000))
                 + bytes([len(address)]) + address + bytes([len(release)]) + release)


cluster = Cluster()
node = cluster[0]


def ends(data, then=None, seconds=10):
    """Send, and what comes back until the node ends the stream; `then` is sent behind its first words."""
    got, end = b"", time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", node.port), timeout=seconds) as s:
        try:
            s.sendall(data)
            while time.monotonic() < end:
                s.settimeout(max(0.01, end - time.monotonic()))
                part = s.recv(65536)
                if not part:
                    return got
                got += part
                if then is not None:
                    s.sendall(then)
                    then = None
        except (ConnectionResetError, BrokenPipeError):
            return got
        except TimeoutError:
            pass
    raise AssertionError(f"not ended after {seconds} s; sent {data[:80]!r}, it said {got[:200]!r}")


def refusal(data):
    """The text of the REFUSE that ends the stream."""
    got = ends(data)
    length = struct.unpack("<I", got[:4])[0]
    equal((got[8], len(got)), (REFUSE, 32 + length))
    equal(struct.unpack("<I", got[4:8])[0], crc32c(got[8:]))
    return got[32:].decode()


def well():
    """Clients are served by every node."""
    for i, n in enumerate(cluster.nodes):
        equal(n.kv("PUT", f"well{i}", b"x", level="all")[0], 200)


def warnings():
    return node.text().count(" WARN ")


def garbage():
    choice = random.Random(1)
    for size in (32, 33, 100, 5000, 100000):
        equal(ends(MAGIC + b"\xff" * size), b"")
        equal(ends(MAGIC + choice.randbytes(size)), b"")
    good = hello()
    for at in range(len(good)):  # one bit of a greeting is wrong
        bad = bytearray(good)
        bad[at] ^= 1 << choice.randrange(8)
        equal(ends(MAGIC + bytes(bad)), b"")
    well()


def first_frames():
    """What is no greeting, or none that can be."""
    for kind in range(2, 14):
        equal(ends(MAGIC + frame(kind, b"text")), b"")
    equal(ends(MAGIC + frame(HELLO, b"")), b"")
    equal(ends(MAGIC + frame(HELLO, b"\1")), b"")
    for kind, length in ((HELLO, 1 << 20), (ACCEPT, 0xFFFFFFFF), (FORWARD, 0x7FFFFFFF), (PING, 33)):
        equal(ends(MAGIC + frame(kind, b"", length=length)), b"")
    well()


def greetings():
    refusal(MAGIC + hello(version=1))
    refusal(MAGIC + hello(version=65535))
    refusal(MAGIC + hello())  # the cluster is another
    refusal(MAGIC + hello(flags=0, member=1, node_id=5, boot=1))
    refusal(MAGIC + hello(cluster=b"\xff" * 16, address=b"x" * 255, release=b"y" * 255))
    for bad in (hello(shards=0), hello(shards=65), hello(from_shard=1), hello(member=7), hello(node_id=7),
                hello(flags=0), hello(flags=0x81), hello(address=b"\n\0"), hello(to_shard=65535)):
        equal(ends(MAGIC + bad), b"")
    well()


def half():
    """Half a frame and then nothing: the node waits for a while, not for ever, and for few bytes."""
    parts = [b"", MAGIC[:1], MAGIC[:7], MAGIC, MAGIC + hello()[:3], MAGIC + hello()[:31], MAGIC + hello()[:-1]]
    before = node.resident_bytes()
    streams = []
    for i in range(200):
        s = socket.create_connection(("127.0.0.1", node.port), timeout=10)
        s.sendall(parts[i % len(parts)])
        streams.append(s)
    well()
    grown = node.resident_bytes() - before
    assert grown < 20 << 20, f"{grown >> 20} MiB for 200 silent streams"
    end = time.monotonic() + 15
    for i, s in enumerate(streams):
        if len(parts[i % len(parts)]) < len(MAGIC):
            continue  # a client might still begin so; --client-wait is for those
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            equal(s.recv(100), b"")
        except ConnectionResetError:
            pass
    for s in streams:
        s.close()
    well()


def flood():
    """Many at once, with clients at all nodes."""
    before, lines = node.resident_bytes(), warnings()
    choice = random.Random(2)
    began = time.monotonic()
    with Load(cluster.nodes) as load:
        for turn in range(5):
            streams = []
            for i in range(200):
                s = socket.create_connection(("127.0.0.1", node.port), timeout=10)
                data = choice.choice([MAGIC + choice.randbytes(200), MAGIC + hello(version=9), MAGIC + hello(),
                                      MAGIC + frame(FORWARD, length=30 << 20), MAGIC, hello()])
                try:
                    s.sendall(data)
                except OSError:
                    pass
                streams.append(s)
            for s in streams:
                s.close()
        time.sleep(0.5)
    load.check()
    load.verify()
    grown = node.resident_bytes() - before
    assert grown < 64 << 20, f"{grown >> 20} MiB more after 1000 bad streams"
    seconds = time.monotonic() - began
    new = warnings() - lines
    assert new <= 10 + 2 * seconds, f"{new} warnings in {seconds:.0f} s for 1000 bad streams"


def member_stream():
    """A stream with the right greeting of a proxy, which then speaks nonsense. The cluster is
    what the node itself sends when it dials."""
    choice = random.Random(3)
    right = own_cluster()
    for tail in (choice.randbytes(300), b"\xff" * 300, frame(QUERY, b"\0\0k", identity=1), frame(ACCEPT, b"\0" * 60, identity=2),
                 frame(FORWARD, b"", identity=3), frame(FORWARD, choice.randbytes(200), identity=4), frame(PING, b"x"),
                 frame(HELLO, b"again"), frame(REFUSE, b"no"), frame(FORWARD, b"", length=0xFFFFFFFF),
                 frame(PING, b"\0" * 40, crc=1)):
        got = ends(MAGIC + hello(cluster=right), tail)
        equal(got[8], HELLO)
    # A whole frame is announced and only a part of it comes: no more is kept than came.
    before = node.resident_bytes()
    streams = []
    for _ in range(50):
        s = socket.create_connection(("127.0.0.1", node.port), timeout=10)
        s.sendall(MAGIC + hello(cluster=right) + frame(FORWARD, b"x" * 1000, length=30 << 20))
        streams.append(s)
    well()
    grown = node.resident_bytes() - before
    assert grown < 64 << 20, f"{grown >> 20} MiB for 50 streams that announce 30 MiB each"
    end = time.monotonic() + 15
    for s in streams:  # silent ones are cut off; heartbeats come until then
        while True:
            s.settimeout(max(0.01, end - time.monotonic()))
            try:
                if not s.recv(65536):
                    break
            except ConnectionResetError:
                break
        s.close()
    well()


def own_cluster():
    """The id of the cluster: take the place of a member that is away, and be dialled."""
    for i in (2, 1, 0):
        cluster.kill(i)
        try:
            with socket.create_server(("127.0.0.1", cluster[i].port)) as server:
                server.settimeout(3)
                stream, _ = server.accept()
                with stream:
                    got = read_until(stream, 3, b"127.0.0.1:")
                    equal(got[:8], MAGIC)
                    equal(got[16], HELLO)
                    return got[8 + 32 + 24:8 + 32 + 40]
        except TimeoutError:
            continue  # the one with the lowest id is not dialled by anybody
        finally:
            cluster.restart(i)
            cluster.wait_ready()
    raise AssertionError("nobody was dialled")


test("garbage behind the magic", garbage)
test("first frames that are no greeting", first_frames)
test("greetings that are refused", greetings)
test("half a frame and then nothing", half)
test("nonsense behind a right greeting", member_stream)
test("a thousand bad streams under load", flood)
test("stop", lambda: equal(cluster.stop(), [0, 0, 0]))
finish()

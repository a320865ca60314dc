#!/usr/bin/env python3
"""On a full disk writes are refused clearly, reads go on, writes return by themselves with the space, and nothing
acknowledged is lost; nothing refused is done."""
import os
import subprocess
import sys
import time

# A small file system needs a mount: in a mount namespace of our own, which ends with the test.
if os.environ.get("DISK_FULL_NAMESPACE") is None:
    for unshare in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        if subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0:
            os.environ["DISK_FULL_NAMESPACE"] = "1"
            os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])
    print("skip a full disk: neither root nor a user namespace may mount a small file system here")
    sys.exit(0)

from lib import Node, RespError, contains, equal, eventually, finish, key_on, test, work

MIB = 1024 * 1024
SHARDS = 2
FULL = "MISCONF the disk is full: writes are refused until there is room, reads go on"
small = os.path.join(work, "small")
filler = os.path.join(small, "filler")
os.mkdir(small)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=240m", "none", small], check=True)

# The data directory is the file system itself, so that the log, which lies beside it, is not cut off.
acknowledged = {}  # key -> value
refused = {}       # key -> what it held when a write to it was refused
node = Node("--shards", str(SHARDS), "--memtable", "1MiB", "--cache", "1MiB", "--write-wait", "500ms", dir=small)


def fill_disk():
    with open(filler, "ab", buffering=0) as f:
        for size in (MIB, 4096):
            try:
                while True:
                    f.write(b"\xff" * size)
            except OSError:
                pass


def write(client, key, value):
    reply = client("SET", key, value)
    if reply == "OK":
        acknowledged[key] = value
    else:
        assert isinstance(reply, RespError), reply
        assert reply == FULL or reply.startswith("TRYAGAIN "), reply
        refused[key] = acknowledged.get(key)
    return reply


def write_until_full(round_name):
    """Both shards, until each refuses three writes in a row as the disk is full."""
    client = node.resp()
    began = time.monotonic()
    for shard in range(SHARDS):
        in_row, i = 0, 0
        while in_row < 3:
            assert time.monotonic() - began < 60, "the disk does not get full"
            i += 1
            value = f"{round_name} {i} ".encode() + os.urandom(20000)
            in_row = in_row + 1 if write(client, key_on(shard, SHARDS, f"w{i % 300}-"), value) == FULL else 0
    client.close()


def all_there():
    client = node.resp()
    for key, value in acknowledged.items():
        found = client("GET", key)
        assert found == value, f"{key}: {str(found):.80}, acknowledged {value[:40]!r}"
    for key, value in refused.items():
        equal(client("GET", key), acknowledged.get(key))
    client.close()


def becomes_full():
    client = node.resp()
    for i in range(3000):
        write(client, f"early{i}", b"%d " % i + b"e" * 1000)
    equal(client("SET", "counter", 5), "OK")
    client.close()
    equal(len(acknowledged), 3000)
    fill_disk()
    write_until_full("first")


def refusals():
    """Each kind of write is refused, on both shards and in both protocols, and does nothing."""
    client = node.resp()
    for shard in range(SHARDS):
        key = key_on(shard, SHARDS, "fresh")
        for command in (("SET", key, "v"), ("SETEX", key, 10, "v"), ("INCR", key), ("APPEND", key, "v"), ("MSET", key, "v")):
            equal(client(*command), FULL)
        status, _, body = node.http("PUT", f"/v1/kv/{key}", b"v")
        equal(status, 507)
        contains(body, b'"code":"disk_full"')
        status, _, body = node.http("POST", "/v1/batch", b'{"items":[{"key":"%s","value":"v"}]}' % key.encode())
        contains(body, b'"status":507')
        equal(client("GET", key), None)
    equal(client("INCR", "counter"), FULL)
    equal(client("GET", "counter"), b"5")
    client.close()


def reads_go_on():
    all_there()
    client = node.resp()
    equal(client("MGET", "early1", "early2", "none"), [acknowledged["early1"], acknowledged["early2"], None])
    equal(client("DBSIZE"), len(acknowledged) + 1)
    status, _, body = node.http("GET", "/v1/scan?prefix=early1&limit=3")
    equal(status, 200)
    contains(body, b'"key":"early1"')
    client.close()


def says_so():
    eventually(2, lambda: contains(node.http("GET", "/ready")[2], b'"disk_full":true'))
    equal(node.http("GET", "/ready")[0], 200)
    contains(node.http("GET", "/metrics")[2], b'"disk_full":true')
    contains(node.text(), "space")
    assert len(node.text().splitlines()) < 60, "the log must not be full of it too"
    equal(node.process.poll(), None)


def returns():
    """Within seconds, without a restart."""
    os.remove(filler)
    client = node.resp()
    for shard in range(SHARDS):
        key = key_on(shard, SHARDS, "back")
        eventually(10, lambda: equal(write(client, key, b"again"), "OK"))
    equal(client("INCR", "counter"), 6)
    eventually(5, lambda: contains(node.http("GET", "/ready")[2], b'"disk_full":false'))
    for i in range(2000):
        equal(write(client, f"early{i}", b"new %d " % i + b"n" * 1000), "OK")
    equal(node.http("PUT", "/v1/kv/back", b"v")[0], 200)
    client.close()
    all_there()


def restart():
    equal(node.stop(), 0)
    node.start()
    all_there()


def killed_when_full():
    """kill -9 on a full disk; the start there works or says why not in a line; with space all is there."""
    fill_disk()
    write_until_full("second")
    node.kill()
    length = len(node.text())
    node.start(wait=False)
    eventually(20, lambda: node.process.poll() is not None or node.http("GET", "/ready")[0] == 200)
    if node.process.poll() is None:
        all_there()
        node.kill()
    else:
        equal(node.process.returncode, 5)
        contains(node.text()[length:], "no space left on the file system of")
    os.remove(filler)
    node.start()
    all_there()


def stopped_when_full():
    """SIGTERM on a full disk ends the node in time, and loses nothing."""
    fill_disk()
    write_until_full("third")
    node.process.terminate()
    equal(node.process.wait(timeout=20), 0)
    os.remove(filler)
    node.start()
    all_there()


test("writes until the disk is full", becomes_full)
test("every write is refused, and does nothing", refusals)
test("reads go on", reads_go_on)
test("/ready, /metrics and the log say so", says_so)
test("writes return with the space", returns)
test("all is there after a restart", restart)
test("all is there after kill -9 on a full disk", killed_when_full)
test("all is there after a stop on a full disk", stopped_when_full)
test("the node ends well", lambda: equal(node.stop(), 0))
subprocess.run(["umount", "--lazy", small], check=False)
finish()

#!/usr/bin/env python3
"""A member whose disk damages a table, or cannot read a sector of it, gives the table up and has all of it back from the
others by itself: clients of any node get right answers all the while, and in the end it holds everything alone.
"""
import glob
import os
import random
import subprocess

from lib import ATOLL, HERE, Cluster, contains, equal, eventually, finish, skip, test, work

KEYS = 6000
FLAGS = ("--memtable", "1MiB", "--cache", "1MiB", "--compression", "none")
BAD_SECTORS = os.path.join(work, "bad-sectors")
SHIM = os.path.join(work, "bad_sector.so")

rng = random.Random(1)


def values_of(seed):
    values = {f"key{i}": f"{seed} {i} ".encode() + rng.randbytes(500) for i in range(KEYS)}
    values.update({key: None for key in list(values)[::50]})
    return values


def ask_all(client, commands):
    """The replies to the commands, a few hundred at a time."""
    replies = []
    for i in range(0, len(commands), 300):
        part = commands[i:i + 300]
        client.socket.sendall(b"".join(client.encode(*c) for c in part))
        replies += [client.read() for _ in part]
    return replies


def put_all(node, values):
    client = node.resp()
    equal(set(ask_all(client, [("SET", key, value or b"deleted") for key, value in values.items()])), {"OK"})
    gone = [("DEL", key) for key, value in values.items() if value is None]
    equal(set(ask_all(client, gone)), {1})
    client.close()


def check_all(node, values):
    client = node.resp()
    for (key, value), found in zip(values.items(), ask_all(client, [("GET", key) for key in values])):
        assert found == value, f"{key}: found {str(found):.60}, wanted {str(value):.40}"
    client.close()


def tables(node):
    return sorted(glob.glob(os.path.join(node.dir, "shard-*/table-*")), key=os.path.getsize)


def flip(path, offset):
    with open(path, "r+b", buffering=0) as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1]))


def spoil(path, offset):
    with open(BAD_SECTORS, "w") as f:
        f.write(f"{os.path.realpath(path)} {offset}\n")


def heals(damage):
    cluster = Cluster(*FLAGS)
    node = cluster[0]
    values = values_of(damage.__name__)
    put_all(cluster[1], values)
    eventually(20, lambda: len(tables(node)) >= 1)
    path = tables(node)[-1]
    damage(path, os.path.getsize(path) // 2)
    # Its tables are read while clients ask; whoever is asked answers right before, while and after it abstains.
    def healed():
        check_all(node, values)
        check_all(cluster[2], values)
        return "it answers reads from now on" in node.text().partition("given up, kept as")[2]
    eventually(90, healed)
    contains(node.text(), "damaged: ")
    contains(node.text(), "gives up its damaged tables")
    assert not os.path.exists(path), f"{path} is still there"
    assert glob.glob(os.path.join(node.dir, "shard-*/damaged-0")), "the table was not kept for a look at it"
    for other in cluster.others(0):
        assert "given up" not in other.text(), other.text()
    cluster.kill(1, 2)
    for key, value in list(values.items())[::7]:
        status, _, body = node.kv("GET", key, level="one")
        equal((status, body if status == 200 else None), (404, None) if value is None else (200, value))
    cluster.stop()
    equal(subprocess.run([ATOLL, "check", node.dir], capture_output=True, timeout=30).returncode, 0)


test("a table with a flipped bit is healed", lambda: heals(flip))
if os.environ.get("SANITIZE"):
    skip("a table with a sector that cannot be read is healed", "sanitizers come first among what is preloaded")
else:
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", SHIM, os.path.join(HERE, "bad_sector.c"), "-ldl"],
                   check=True)
    os.environ.update(LD_PRELOAD=SHIM, BAD_SECTORS=BAD_SECTORS)
    test("a table with a sector that cannot be read is healed", lambda: heals(spoil))
finish()

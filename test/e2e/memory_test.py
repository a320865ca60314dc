#!/usr/bin/env python3
"""A data set far larger than memory is served within a bound that the settings give, and what was overwritten,
deleted or has expired leaves the disk."""
import os
import random
import threading
import time

from lib import Node, equal, eventually, finish, test

SEED = int(os.environ.get("SEED", "1"), 0)
MIB = 1024 * 1024
SHARDS, MEMTABLE, MEMTABLES, CACHE = 2, 4 * MIB, 3, 8 * MIB
# Beside memtables and cache: the program, its threads, the log's buffers, what compactions hold and what the
# allocator keeps for later. It does not depend on the data, but on how many compactions a busy machine has run at
# once: 43 to 68 MiB were seen.
REST = 80 * MIB
BOUND = SHARDS * MEMTABLES * MEMTABLE + CACHE + REST
KEYS, VALUE = 75000, 4096
LIVE = KEYS // 3 * VALUE  # bytes after the deletes
# Files of a shard's log have 17 MiB: one in use, two ready or still needed by a flush each, four to be used again.
LOG = SHARDS * (1 + 2 + MEMTABLES + 4) * 17 * MIB

noise = random.Random(SEED).randbytes(2 * MIB)
node = Node("--shards", str(SHARDS), "--memtable", "4MiB", "--memtables-max", str(MEMTABLES), "--cache", "8MiB", "--sync", "never")
peak = node.resident_bytes()


def value(i, generation=0):
    """Does not compress, and is another for each key and generation."""
    head = b"%d.%d:" % (i, generation)
    start = (i * 7919 + generation * 104729) % MIB
    return head + noise[start:start + VALUE - len(head)]


def watch():
    global peak
    peak = max(peak, node.resident_bytes())


def run(client, ids, command, wanted, at_once=200):
    """Pipelined `command(i)` for all ids; `wanted(i)` is each reply."""
    for n in range(0, len(ids), at_once):
        part = ids[n:n + at_once]
        client.socket.sendall(b"".join(client.encode(*command(i)) for i in part))
        for i in part:
            reply = client.read()
            assert reply == wanted(i), f"{command(i)[:2]}: {reply!r:.60}, wanted {wanted(i)!r:.60}"
        watch()


def put(ids, generation):
    client = node.resp()
    run(client, ids, lambda i: ("SET", f"k{i}", value(i, generation)), lambda i: "OK")
    client.close()


def expected(i):
    return value(i, 1) if i % 3 == 0 else None


def get_all(wanted):
    client = node.resp()
    ids = random.Random(SEED).sample(range(KEYS), KEYS)
    run(client, ids, lambda i: ("GET", f"k{i}"), wanted)
    client.close()


def within_bound():
    watch()
    assert peak <= BOUND, f"{peak / MIB:.0f} MiB resident, the bound is {BOUND / MIB:.0f}"


def load():
    put(range(KEYS), 0)
    within_bound()
    assert disk("table-") > 10 * (CACHE + SHARDS * MEMTABLES * MEMTABLE) * 0.9, disk("table-")


def read():
    get_all(value)
    within_bound()


def read_by_many():
    """64 clients at once, each with 100 cold reads under way."""
    def client_reads(n):
        try:
            client = node.resp()
            ids = random.Random(n).sample(range(KEYS), 300)
            run(client, ids, lambda i: ("GET", f"k{i}"), value, 100)
            done.append(n)
        except Exception as e:
            done.append(e)
    done = []
    threads = [threading.Thread(target=client_reads, args=(n,)) for n in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal([d for d in done if isinstance(d, Exception)], [])
    # Replies under way are the clients', not the data's: at most what 64 have asked for.
    watch()
    assert peak <= BOUND + 64 * 100 * VALUE, f"{peak / MIB:.0f} MiB resident"


def disk(*prefixes):
    total = 0
    for folder, _, names in os.walk(node.dir):
        for name in names:
            if name.startswith(prefixes):
                try:
                    total += os.stat(os.path.join(folder, name)).st_blocks * 512
                except FileNotFoundError:
                    pass
    return total


def discard():
    """A third is overwritten, a third deleted, a third expires."""
    client = node.resp()
    put(range(0, KEYS, 3), 1)
    run(client, range(1, KEYS, 3), lambda i: ("DEL", f"k{i}"), lambda i: 1)
    run(client, range(2, KEYS, 3), lambda i: ("PEXPIRE", f"k{i}", 500), lambda i: 1)
    client.close()
    time.sleep(0.6)
    get_all(expected)


def reclaimed():
    began = time.monotonic()
    while disk("table-") > 2 * LIVE:
        assert time.monotonic() - began < 30, f"{disk('table-') / MIB:.0f} MiB of tables hold {LIVE / MIB:.0f} MiB of data"
        time.sleep(0.1)
    assert disk("wal-", "spare-") <= LOG, f"{disk('wal-', 'spare-') / MIB:.0f} MiB of logs"
    get_all(expected)


def after_restart():
    equal(node.stop(), 0)
    node.start()
    get_all(expected)
    within_bound()
    client = node.resp()
    equal(client("DBSIZE"), KEYS // 3)
    client.close()


def flush():
    """FLUSHALL gives nearly all of it back."""
    client = node.resp()
    equal(client("FLUSHALL"), "OK")
    eventually(30, lambda: disk("table-") < 16 * MIB)
    equal(client("DBSIZE"), 0)
    client.close()


def large_values():
    """Values of 16 MiB, four times a memtable, one after the other: memory is for a few, not for all."""
    big = random.Random(SEED).randbytes(16 * MIB)
    client = node.resp()
    for i in range(20):
        equal(client("SET", f"big{i}", big[i:] + big[:i]), "OK")
        watch()
    for i in range(20):
        assert client("GET", f"big{i}") == big[i:] + big[:i], i
        watch()
    client.close()
    # Each shard may hold one in each memtable, two under way to the log, and one in a flush; replies come on top.
    assert peak < BOUND + SHARDS * (MEMTABLES + 3) * 16 * MIB, f"{peak / MIB:.0f} MiB resident"


test("300 MB are taken within the bound", load)
test("every key is read within the bound", read)
test("64 clients read at once", read_by_many)
peak = 0
test("what is overwritten, deleted or expired is gone", discard)
test("its space is given back", reclaimed)
test("all is as before after a restart", after_restart)
test("FLUSHALL gives the space back", flush)
test("20 values of 16 MiB", large_values)
test("the node ends well", lambda: equal(node.stop(), 0))
finish()

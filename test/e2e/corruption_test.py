#!/usr/bin/env python3
"""A flipped bit anywhere in a data directory is found: wrong or stale data is never served, the file and the offset
are named, other keys go on; and what a crash may have torn is no damage."""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import time

from lib import ATOLL, Node, RespError, contains, equal, eventually, finish, shard_of, test, work

SEED = int(os.environ.get("SEED", "1"), 0)
SHARDS = 2
KEYS = 12000
FLAGS = ("--shards", str(SHARDS), "--memtable", "1MiB", "--cache", "1MiB", "--compression", "none")
CORRUPT = "ERR corrupt data: what is stored of this key fails its checksum and is not served"
EXIT_STORAGE = 5

rng = random.Random(SEED)
base = os.path.join(work, "base")
values = {}  # key -> the only right value
order = []   # keys in the order of their last write


def put_all(client, keys, generation):
    for i in range(0, len(keys), 500):
        part = keys[i:i + 500]
        for key in part:
            values[key] = f"{key} {generation} ".encode() + rng.randbytes(500)
        client.socket.sendall(b"".join(client.encode("SET", k, values[k]) for k in part))
        for key in part:
            equal(client.read(), "OK")


def make_base():
    """Two versions of every key, most in tables of several levels, the last few in the log; ended by kill -9."""
    node = Node(*FLAGS, dir=base)
    client = node.resp()
    keys = [f"key{i}" for i in range(KEYS)]
    put_all(client, keys, "old")
    put_all(client, rng.sample(keys, KEYS), "new")
    deleted = keys[::50]
    for key in deleted:
        equal(client("DEL", key), 1)
        values[key] = None
    order.extend(k for k in keys[1::40] if values[k] is not None)
    put_all(client, order, "last")
    time.sleep(0.5)  # flushes and compactions end, and an idle log writes its mark
    node.kill()
    for shard in range(SHARDS):
        for name in os.listdir(shard_folder(base, shard)):
            if name.startswith("spare-"):
                os.remove(os.path.join(shard_folder(base, shard), name))


def shard_folder(folder, shard):
    return os.path.join(folder, f"shard-{shard:02}")


def files(folder, prefix):
    return sorted(os.path.join(root, name) for root, _, names in os.walk(folder) for name in names if name.startswith(prefix))


def copy():
    folder = os.path.join(work, f"copy-{rng.getrandbits(32):x}")
    shutil.copytree(base, folder)
    return folder


def flip(path, offset, bit=None):
    with open(path, "r+b", buffering=0) as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1 << (rng.randrange(8) if bit is None else bit)]))


def check(folder):
    """Exit code and all lines of `atoll check`."""
    done = subprocess.run([ATOLL, "check", folder], capture_output=True, timeout=30)
    return done.returncode, (done.stdout + done.stderr).decode()


def check_finds(folder, path, offset, exact=True):
    """Damage at `offset` of `path` gives exit code 1 and a line with the file and an offset at or before it."""
    code, text = check(folder)
    where = f"{os.path.relpath(path, folder)} at {offset}"
    assert code == 1, f"exit code {code} for a bit flipped in {where}: {text}"
    found = [int(n) for n in re.findall(re.escape(path) + r": offset (\d+)", text)]
    assert found, f"{where} is not named: {text}"
    assert not exact or min(found) <= offset, f"{where}: {text}"


def refuses(folder, path):
    """The node ends with 5 and names the file and an offset; it is never ready."""
    node = Node(*FLAGS, dir=folder, wait=False)
    equal(node.process.wait(timeout=20), EXIT_STORAGE)
    lines = node.text().splitlines()
    assert any(re.search(re.escape(path) + r": offset \d+", line) for line in lines), node.text()
    assert not any("serves" in line for line in lines)
    return node.text()


def get_all(client, keys):
    replies = []
    for i in range(0, len(keys), 500):
        part = keys[i:i + 500]
        client.socket.sendall(b"".join(client.encode("GET", k) for k in part))
        replies += [client.read() for _ in part]
    return dict(zip(keys, replies))


def bad_keys(node):
    """The keys that are answered with an error; every other one has the right value."""
    client = node.resp()
    bad = set()
    for key, reply in get_all(client, list(values)).items():
        if isinstance(reply, RespError):
            equal(reply, CORRUPT)
            bad.add(key)
        else:
            assert reply == values[key], f"{key}: served {str(reply):.40}, right is {str(values[key]):.40}"
    client.close()
    return bad


def clean():
    equal(check(base)[0], 0)
    contains(check(base)[1], "no damage")
    assert len(files(base, "table-")) >= 4, "too few tables to mean anything"
    folder = copy()
    node = Node(*FLAGS, dir=folder)
    equal(bad_keys(node), set())
    equal(node.stop(), 0)
    code, text = check(folder)
    assert code == 0, text
    done = subprocess.run([ATOLL, "check", folder, "--json"], capture_output=True, timeout=30)
    equal(json.loads(done.stdout)["bad"], 0)


def tables_offline():
    """Any bit of any table: blocks, filter, index, properties, footer."""
    for path in files(base, "table-"):
        size = os.path.getsize(path)
        for offset in [0, size // 2, size - 1] + [rng.randrange(size) for _ in range(4)] + [size - 1 - rng.randrange(400) for _ in range(4)]:
            bit = rng.randrange(8)
            flip(path, offset, bit)
            try:
                check_finds(base, path, offset, exact=False)
            finally:
                flip(path, offset, bit)
    equal(check(base)[0], 0)


def damage_middle(folder):
    """A bit in the middle of the data of every table; how many tables."""
    tables = files(folder, "table-")
    for path in tables:
        flip(path, os.path.getsize(path) // 2)
    return tables


def hurts_few(node, tables):
    """Errors for the keys of a few blocks, in each protocol; the rest goes on, also through compactions."""
    bad = bad_keys(node)
    assert 1 <= len(bad) <= 25 * len(tables), f"{len(bad)} bad keys in {len(tables)} tables"
    key = sorted(bad)[0]
    status, _, body = node.http("GET", f"/v1/kv/{key}")
    equal(status, 500)
    contains(body, b'"code":"corrupt"')
    client = node.resp()
    equal(client("INCR", key), CORRUPT)
    equal(client("SET", key, "x", "NX"), CORRUPT)
    equal(client("STRLEN", key), CORRUPT)
    # A scan that was not complete says so, and shows nothing wrong.
    status, _, body = node.http("GET", "/v1/scan?limit=100000")
    answer = json.loads(body)
    assert "error" in answer and answer["cursor"] is None, str(answer)[-200:]
    equal(answer["error"]["code"], "corrupt")
    for item in answer["items"]:
        # Values hold bytes that are no text, so they come in base64 or not at all: keys suffice here.
        assert values[item["key"]] is not None, item["key"]
    for path in {p for p in tables if re.search(re.escape(p) + r": offset \d+", node.text())}:
        break
    else:
        raise AssertionError(f"no table is named with an offset: {node.text()}")

    # New writes bring flushes and compactions, which meet the bad blocks and must neither drop nor revive anything.
    fresh = [f"fresh{i}" for i in range(9000)]
    for i in range(0, len(fresh), 500):
        client.socket.sendall(b"".join(client.encode("SET", k, b"f" * 800) for k in fresh[i:i + 500]))
        equal([client.read() for _ in fresh[i:i + 500]], ["OK"] * 500)
    time.sleep(1)
    equal(bad_keys(node), bad)
    equal(set(get_all(client, fresh).values()), {b"f" * 800})

    # What is written anew is whole again.
    for key in bad:
        equal(client("SET", key, "mended"), "OK")
        equal(client("GET", key), b"mended")
    equal(node.process.poll(), None)
    client.close()
    return bad


def tables_online():
    folder = copy()
    tables = damage_middle(folder)
    node = Node(*FLAGS, dir=folder)
    bad = hurts_few(node, tables)
    equal(node.stop(), 0)
    node.start()
    after = bad_keys_but(node, bad)
    equal(after, set())
    equal(node.stop(), 0)


def tables_counted():
    """/metrics counts the reads that met a bad block."""
    folder = copy()
    damage_middle(folder)
    node = Node(*FLAGS, dir=folder)
    bad = bad_keys(node)
    assert len(bad) > 0
    eventually(2, lambda: json.loads(node.http("GET", "/metrics")[2])["corruptions"] >= 1)
    equal(node.stop(), 0)


def bad_keys_but(node, mended):
    """Those that are bad, where `mended` keys must have their new value."""
    client = node.resp()
    for key in mended:
        equal(client("GET", key), b"mended")
    client.close()
    right = {key: values[key] for key in mended}
    values.update({key: b"mended" for key in mended})
    try:
        return bad_keys(node)
    finally:
        values.update(right)


def tables_while_running():
    """Bits that rot under a running node."""
    folder = copy()
    node = Node(*FLAGS, dir=folder)
    equal(bad_keys(node), set())
    time.sleep(0.5)
    tables = damage_middle(folder)
    bad = bad_keys(node)
    assert len(bad) <= 25 * len(tables), len(bad)
    equal(node.process.poll(), None)
    node.kill()
    equal(check(folder)[0], 1)


def table_ends():
    """A table whose footer, or whose file, is gone or another one keeps the node from starting."""
    for damage in ("footer", "gone", "short", "other"):
        folder = copy()
        tables = files(shard_folder(folder, 0), "table-")
        path = tables[0]
        if damage == "footer":
            flip(path, os.path.getsize(path) - 3)
        elif damage == "gone":
            os.remove(path)
        elif damage == "short":
            os.truncate(path, os.path.getsize(path) - 100)
        else:
            shutil.copyfile(tables[1], path)
        equal(check(folder)[0], 1)
        node = Node(*FLAGS, dir=folder, wait=False)
        equal(node.process.wait(timeout=20), EXIT_STORAGE)
        contains(node.text(), path)
        contains(node.text(), "atoll check")
        assert os.path.exists(path) or damage == "gone", "nothing may be removed"


def records_of(path):
    """Offsets of the records in a WAL file, and where they end; wal_record.h draws them."""
    with open(path, "rb") as f:
        data = f.read()
    number = struct.unpack_from("<Q", data, 8)[0] & 0xffffffff
    offsets, at = [], 40
    while at + 16 <= len(data):
        length, low = struct.unpack_from("<II", data, at + 4)
        if length == 0 or low != number:
            break
        offsets.append(at)
        at += 16 + length
    return offsets, at


def wal_of(folder, shard):
    """The newest segment that holds records."""
    return [p for p in files(shard_folder(folder, shard), "wal-") if records_of(p)[0]][-1]


def wal_offline():
    """Any bit of the log that a later write proves to have been durable."""
    for shard in range(SHARDS):
        path = wal_of(base, shard)
        offsets, end = records_of(path)
        assert len(offsets) > 50, len(offsets)
        for offset in [0, 20, 39, 40, 44, offsets[len(offsets) // 2] + 3] + [rng.randrange(40, offsets[-1]) for _ in range(30)]:
            bit = rng.randrange(8)
            flip(path, offset, bit)
            try:
                check_finds(base, path, offset)
            finally:
                flip(path, offset, bit)
    equal(check(base)[0], 0)


def wal_online():
    for place in (0.1, 0.5, 0.99):
        folder = copy()
        path = wal_of(folder, 1)
        offsets, end = records_of(path)
        flip(path, offsets[int(len(offsets) * place)] + 18)
        before = open(path, "rb").read()
        refuses(folder, path)
        equal(open(path, "rb").read(), before)
        check_finds(folder, path, end)


def wal_gone():
    folder = copy()
    path = wal_of(folder, 0)
    os.remove(path)
    equal(check(folder)[0], 1)
    contains(check(folder)[1], path)
    node = Node(*FLAGS, dir=folder, wait=False)
    equal(node.process.wait(timeout=20), EXIT_STORAGE)
    contains(node.text(), path)


def wal_cut():
    """A file of the log has its whole size, synced, before its first record: no crash can leave it shorter."""
    for size in (lambda offsets, end: end + 1, lambda offsets, end: offsets[-1] + 9, lambda offsets, end: 39):
        folder = copy()
        path = wal_of(folder, 0)
        os.truncate(path, size(*records_of(path)))
        check_finds(folder, path, 0, exact=False)
        refuses(folder, path)


def torn(tear):
    """A log that `tear(path, offsets, end)` cut is replayed up to there: a run of what was written, without a gap."""
    folder = copy()
    path = wal_of(folder, 0)
    tear(path, *records_of(path))
    equal(check(folder)[0], 0)
    node = Node(*FLAGS, dir=folder)
    client = node.resp()
    missing = False
    written = [k for k in order if shard_of(k, SHARDS) == 0]
    for key in written:
        whole = client("GET", key) == values[key]
        assert not (whole and missing), f"{key} is there, an earlier one is not"
        missing = missing or not whole
    client.close()
    equal(node.stop(), 0)
    node.start()
    equal(node.stop(), 0)
    equal(check(folder)[0], 0)


def zero(path, start):
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        f.seek(start)
        f.write(b"\0" * (size - start))


def scribble(path, start):
    with open(path, "r+b") as f:
        f.seek(start)
        f.write(rng.randbytes(3000))


def manifests():
    for shard in range(SHARDS):
        path = files(shard_folder(base, shard), "manifest-")[0]
        # Behind the last edit comes its seal, and the seal of the edits before is what proves them.
        size = os.path.getsize(path) - 17
        for offset in [0, 5, size // 2] + [rng.randrange(size) for _ in range(15)]:
            bit = rng.randrange(8)
            flip(path, offset, bit)
            try:
                check_finds(base, path, offset)
            finally:
                flip(path, offset, bit)
    folder = copy()
    path = files(shard_folder(folder, 0), "manifest-")[0]
    flip(path, (os.path.getsize(path) - 17) // 2)
    refuses(folder, path)
    for damage in ("flip", "gone", "empty"):
        folder = copy()
        path = os.path.join(shard_folder(folder, 1), "current")
        if damage == "flip":
            flip(path, 12)
        elif damage == "gone":
            os.remove(path)
        else:
            os.truncate(path, 0)
        before = sorted(os.listdir(shard_folder(folder, 1)))
        code, text = check(folder)
        assert code == 1, f"current, {damage}: exit code {code}: {text}"
        contains(text, shard_folder(folder, 1))
        node = Node(*FLAGS, dir=folder, wait=False)
        equal(node.process.wait(timeout=20), EXIT_STORAGE)
        contains(node.text(), "current")
        equal(sorted(os.listdir(shard_folder(folder, 1))), before)


def identity():
    path = os.path.join(base, "node")
    for offset in range(0, os.path.getsize(path), 3):
        bit = rng.randrange(7)
        flip(path, offset, bit)
        try:
            node = Node(*FLAGS, dir=base, wait=False)
            code = node.process.wait(timeout=20)
            assert code in (2, EXIT_STORAGE), f"offset {offset}: exit code {code}: {node.text()}"
            last = node.text().splitlines()[-1]
            assert path in last and ("damaged" in last or "another version" in last), f"offset {offset}: {last}"
        finally:
            flip(path, offset, bit)
    folder = copy()
    os.remove(os.path.join(folder, "node"))
    node = Node(dir=folder, wait=False)
    equal(node.process.wait(timeout=20), EXIT_STORAGE)
    contains(node.text(), "is missing")


def identity_offline():
    path = os.path.join(base, "node")
    with open(path, "rb") as f:
        text = f.read()
    for offset in range(len(text)):
        bit = rng.randrange(7)
        flip(path, offset, bit)
        try:
            code, found = check(base)
            assert code == 1, f"exit code {code} for a bit flipped at {offset} of {text!r}: {found}"
            contains(found, path)
        finally:
            flip(path, offset, bit)
    equal(check(base)[0], 0)


make_base()
test("an undamaged directory is clean, and all is there", clean)
test("check: any bit of a table", tables_offline)
test("a bit in the middle of each table hurts few keys", tables_online)
test("/metrics counts bad blocks", tables_counted)
test("a bit in each table of a running node", tables_while_running)
test("a table without its end, its file or itself", table_ends)
test("check: any bit of the log", wal_offline)
test("a bit in the log keeps the node from starting", wal_online)
test("a missing file of the log", wal_gone)
for back in (1, 2, 30):
    test(f"a torn log: zeros from the last {back} records", lambda: torn(lambda path, offsets, end: zero(path, offsets[-back])))
    test(f"a torn log: zeros in the last {back} records", lambda: torn(lambda path, offsets, end: zero(path, offsets[-back] + 9)))
test("a log file that was cut is noticed", wal_cut)
test("a torn log: garbage at its end", lambda: torn(lambda path, offsets, end: scribble(path, end)))
test("a torn log: garbage in its last record", lambda: torn(lambda path, offsets, end: scribble(path, offsets[-1] + 5)))
test("any bit of a manifest, and what `current` says", manifests)
test("any bit of the identity", identity)
test("check: any bit of the identity", identity_offline)
finish()

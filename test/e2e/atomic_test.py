#!/usr/bin/env python3
"""Each operation on a key is one step, whoever races for it, and a connection's commands happen in their order.

All of it on two shards, so that most clients reach keys through another shard; once in memory, and once
with so small a memtable and cache that flushes are always under way and most reads go to disk.
"""
import http.client
import json
import os
import random
import threading

from lib import Node, equal, finish, key_on, test

SEED = int(os.environ.get("SEED", "1"), 0)
CLIENTS = 16
SHARDS = 2
COLD_KEYS = 12000


class Client(threading.Thread):
    """Runs `body(number)` and keeps what it gives or raises."""

    def __init__(self, body, number):
        super().__init__()
        self.body, self.number, self.result, self.error = body, number, None, None
        self.start()

    def run(self):
        try:
            self.result = self.body(self.number)
        except Exception as e:
            self.error = e


def race(body):
    """The results of CLIENTS threads that run `body(number)` side by side."""
    clients = [Client(body, n) for n in range(CLIENTS)]
    for c in clients:
        c.join()
    for c in clients:
        if c.error is not None:
            raise c.error
    return [c.result for c in clients]


def hot_keys(prefix):
    return [key_on(shard, SHARDS, f"{prefix}{i}-") for shard in range(SHARDS) for i in range(2)]


def pipelined(client, commands, at_once):
    """The replies to `commands`, sent so many at a time."""
    replies = []
    for i in range(0, len(commands), at_once):
        part = commands[i:i + at_once]
        client.socket.sendall(b"".join(client.encode(*c) for c in part))
        replies += [client.read() for _ in part]
    return replies


def increments(node, times=300):
    """Every number from 1 up is given out exactly once."""
    keys = hot_keys("incr")

    def body(n):
        client = node.resp()
        commands = [("INCR", keys[i % len(keys)]) for i in range(times)]
        return pipelined(client, commands, 1 if n % 2 else 20)
    results = race(body)
    for k, key in enumerate(keys):
        numbers = [r for result in results for r in result[k::len(keys)]]
        equal(sorted(numbers), list(range(1, CLIENTS * times // len(keys) + 1)))
        equal(node.resp()("GET", key), str(len(numbers)).encode())


def appends(node, times=100):
    """Every piece is in the value, whole, where its reply said, and each client's in its order."""
    keys = hot_keys("append")
    pieces = [[[b"<%d,%d>" % (n, i) for i in range(times) if i % len(keys) == k] for k in range(len(keys))] for n in range(CLIENTS)]

    def body(n):
        client = node.resp()
        commands = [("APPEND", keys[i % len(keys)], b"<%d,%d>" % (n, i)) for i in range(times)]
        return pipelined(client, commands, 1 if n % 2 else 10)
    results = race(body)
    for k, key in enumerate(keys):
        value = node.resp()("GET", key)
        equal(len(value), sum(len(p) for client in pieces for p in client[k]))
        for n in range(CLIENTS):
            ends = results[n][k::len(keys)]
            equal(ends, sorted(ends))
            for piece, end in zip(pieces[n][k], ends):
                equal(value[end - len(piece):end], piece)


def first_come(node, keys_count=150):
    """Of all that SET NX a key exactly one succeeds, and its value stays; of all that delete it exactly one did."""
    keys = [f"nx{i}" for i in range(keys_count)]

    def put(n):
        client = node.resp()
        order = random.Random(n).sample(range(keys_count), keys_count)
        replies = pipelined(client, [("SET", keys[i], n, "NX") for i in order], 10)
        return {i for i, reply in zip(order, replies) if reply == "OK"}
    winners = race(put)
    equal(sorted(i for won in winners for i in won), list(range(keys_count)))
    values = node.resp()("MGET", *keys)
    for n, won in enumerate(winners):
        assert all(values[i] == str(n).encode() for i in won)

    def delete(n):
        client = node.resp()
        order = random.Random(n).sample(range(keys_count), keys_count)
        replies = pipelined(client, [("GETDEL" if (i + n) % 2 else "DEL", keys[i]) for i in order], 10)
        return [i for i, reply in zip(order, replies) if reply not in (0, None)]
    equal(sorted(i for won in race(delete) for i in won), list(range(keys_count)))


def exchanges(node, times=150):
    """What GETSET gives back is what another wrote, each once: a chain from the first value to the last."""
    keys = hot_keys("getset")

    def body(n):
        client = node.resp()
        commands = [("GETSET", keys[i % len(keys)], f"{n}.{i}") if i % 8 < 4 else ("SET", keys[i % len(keys)], f"{n}.{i}", "GET")
                    for i in range(times)]
        return pipelined(client, commands, 1 if n % 2 else 10)
    results = race(body)
    for k, key in enumerate(keys):
        given = [r for result in results for r in result[k::len(keys)]] + [node.resp()("GET", key)]
        written = [None] + [f"{n}.{i}".encode() for n in range(CLIENTS) for i in range(k, times, len(keys))]
        equal(sorted(given, key=str), sorted(written, key=str))


def compare_values(node, times=25):
    """A number that is only raised by SET IFEQ counts its successes."""
    keys = hot_keys("ifeq")
    for key in keys:
        node.resp()("SET", key, 0)

    def body(n):
        client, done = node.resp(), 0
        key = keys[n % len(keys)]
        while done < times:
            value = int(client("GET", key))
            reply = client("SET", key, value + 1, "IFEQ", value)
            assert reply in ("OK", None), reply
            done += reply == "OK"
    race(body)
    for key in keys:
        equal(node.resp()("GET", key), str(times * CLIENTS // len(keys)).encode())


def compare_versions(node, times=25):
    """The same through ETag and If-Match, where two clients in four use Redis' INCR on the same keys."""
    keys = hot_keys("etag")
    for key in keys:
        node.resp()("SET", key, 0)

    def by_http(key):
        done = 0
        http_client = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
        while done < times:
            http_client.request("GET", f"/v1/kv/{key}")
            reply = http_client.getresponse()
            value, tag = int(reply.read()), reply.getheader("ETag")
            http_client.request("PUT", f"/v1/kv/{key}", body=str(value + 1), headers={"If-Match": tag})
            reply = http_client.getresponse()
            reply.read()
            assert reply.status in (200, 412), reply.status
            done += reply.status == 200

    def body(n):
        key = keys[n % len(keys)]
        if n % 8 < 4:
            by_http(key)
        else:
            client = node.resp()
            for _ in range(times):
                assert isinstance(client("INCR", key), int)
    race(body)
    for key in keys:
        equal(node.resp()("GET", key), str(times * CLIENTS // len(keys)).encode())


class Model:
    """What one connection must see of keys that it alone writes."""

    def __init__(self, rng, keys, values):
        self.random, self.keys, self.values = rng, keys, values

    def key(self):
        # Often the same few, so that commands on one key meet; else any, most of them on disk.
        return self.keys[self.random.randrange(8 if self.random.random() < 0.5 else len(self.keys))]

    def step(self):
        """(command, reply)"""
        key, kind = self.key(), self.random.randrange(12)
        old = self.values.get(key)
        text = str(self.random.randrange(10 ** 6)).encode()
        if kind < 3:
            self.values[key] = text + b"." * self.random.choice((0, 10, 900))
            return ("SET", key, self.values[key]), "OK"
        if kind < 6:
            return ("GET", key), old
        if kind == 6:
            self.values[key] = (old or b"") + b"+"
            return ("APPEND", key, "+"), len(self.values[key])
        if kind == 7:
            self.values.pop(key, None)
            return ("DEL", key), int(old is not None)
        if kind == 8:
            keys = [self.key() for _ in range(self.random.choice((2, 5, 20)))]
            return ("MGET", *keys), [self.values.get(k) for k in keys]
        if kind == 9:
            pairs = {self.key(): b"m" + text for _ in range(5)}
            self.values.update(pairs)
            return ("MSET", *[part for pair in pairs.items() for part in pair]), "OK"
        if kind == 10:
            self.values[key] = text
            return ("GETSET", key, text), old
        if old is None:
            self.values[key] = text
        return ("SET", key, text, "NX"), "OK" if old is None else None


def in_order(node, times=600):
    """Pipelines of mixed commands on keys of both shards give what a single thread would have."""
    client = node.resp()
    base = [f"cold{i}" for i in range(COLD_KEYS)]

    def body(n):
        client = node.resp()
        keys = base[n::CLIENTS]
        values = dict(zip(keys, client("MGET", *keys)))
        model = Model(random.Random(SEED * 1000 + n), keys, {k: v for k, v in values.items() if v is not None})
        steps = [model.step() for _ in range(times)]
        replies = pipelined(client, [command for command, _ in steps], model.random.choice((1, 30, 600)))
        for i, ((command, wanted), reply) in enumerate(zip(steps, replies)):
            assert reply == wanted, f"SEED={SEED}, client {n}, {i}: {str(command):.100} gave {reply!r:.60}, wanted {wanted!r:.60}"
        equal(client("MGET", *keys), [model.values.get(k) for k in keys])
    race(body)
    client.close()


def one_key_in_order(node, count=2000):
    """SET k 1..n, GET after each, in one go, one key on each shard."""
    client = node.resp()
    keys = [key_on(shard, SHARDS, "order") for shard in range(SHARDS)]
    commands = [c for i in range(count) for key in keys for c in (("SET", key, i), ("GET", key))]
    replies = pipelined(client, commands, len(commands))
    equal(replies, [r for i in range(count) for _ in keys for r in ("OK", str(i).encode())])


def ranges_in_order(node):
    """A range command sees all that the connection sent before, and nothing of what it sent after."""
    client = node.resp()
    keys = sorted(f"range{i}".encode() for i in range(40))
    commands = []
    for _ in range(5):
        commands += [("MSET", *[p for k in keys for p in (k, "v")]), ("KEYS", "range*"), ("DEL", *keys), ("KEYS", "range*"),
                     ("SCAN", "0", "MATCH", "range*", "COUNT", "50000"), ("SET", "range-1", "v"), ("SCAN", "0", "MATCH", "range*", "COUNT", "50000"), ("DEL", "range-1")]
    replies = pipelined(client, commands, len(commands))
    equal(replies, ["OK", keys, 40, [], [b"0", []], "OK", [b"0", [b"range-1"]], 1] * 5)


def fill(node):
    """Keys with values of about 1 KiB: much more than the small memtable and cache hold."""
    client = node.resp()
    value = b"c" * 1000
    replies = pipelined(client, [("SET", f"cold{i}", b"%d:" % i + value) for i in range(COLD_KEYS)], 500)
    assert set(replies) == {"OK"}, set(replies)


def all_of(name, *flags):
    node = Node("--shards", str(SHARDS), *flags)
    test(f"{name}: fill", lambda: fill(node))
    for what, body in [("INCR", increments), ("APPEND", appends), ("SET NX, DEL, GETDEL", first_come), ("GETSET", exchanges),
                       ("SET IFEQ", compare_values), ("If-Match", compare_versions), ("pipelines in order", in_order),
                       ("one key in order", one_key_in_order), ("ranges in order", ranges_in_order)]:
        test(f"{name}: {what}", lambda: body(node))
    if "--cache" in flags:
        test(f"{name}: reads did go to disk", lambda: reads_from_disk(node))
    test(f"{name}: the node ends well", lambda: equal(node.stop(), 0))


def reads_from_disk(node):
    metrics = json.loads(node.http("GET", "/metrics")[2])
    assert metrics["flushes"] > 5 and metrics["cache_misses"] > 2000, metrics


all_of("in memory", "--sync", "never")
all_of("on disk", "--sync", "never", "--memtable", "1MiB", "--cache", "1MiB")
all_of("synced", "--memtable", "1MiB", "--cache", "1MiB")
finish()

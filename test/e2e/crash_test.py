#!/usr/bin/env python3
"""kill -9 under load, again and again: every acknowledged write is there after the restart.

Each writer owns keys of its own and counts upwards in them, so what it must find is a
value no lower than the last one that was acknowledged, and no higher than the last sent.
"""
import random
import threading
import time

from lib import Node, Resp, RespError, equal, finish, test

WRITERS = 8
KEYS = 40
ROUNDS = 5


class Writer(threading.Thread):
    def __init__(self, port, number, seed, acknowledged, sent):
        super().__init__()
        self.port, self.number = port, number
        self.random = random.Random(seed)
        self.acknowledged, self.sent = acknowledged, sent

    def run(self):
        try:
            client = Resp(self.port)
            while True:
                batch = []
                for _ in range(self.random.choice((1, 1, 4, 16))):
                    key = f"w{self.number}-{self.random.randrange(KEYS)}"
                    value = self.sent.get(key, 0) + 1
                    self.sent[key] = value
                    batch.append((key, value))
                padding = "x" * self.random.choice((0, 10, 1000))
                client.socket.sendall(b"".join(Resp.encode("SET", k, f"{v}:{padding}") for k, v in batch))
                for key, value in batch:
                    reply = client.read()
                    if reply == "OK":
                        self.acknowledged[key] = value
                    else:
                        assert isinstance(reply, RespError), reply
        except (ConnectionError, OSError):
            pass  # the node was killed


def verify(node, acknowledged, sent):
    client = node.resp()
    for key, value in sent.items():
        found = client("GET", key)
        number = 0 if found is None else int(found.split(b":")[0])
        least = acknowledged.get(key, 0)
        assert least <= number <= value, f"{key}: found {number}, acknowledged {least}, sent {value}"
        if number:
            acknowledged[key] = number  # it was seen, so it must stay
    client.close()


def rounds(*flags):
    acknowledged, sent = {}, {}
    node = Node(*flags)
    for i in range(ROUNDS):
        writers = [Writer(node.port, n, i * 100 + n, acknowledged, sent) for n in range(WRITERS)]
        for w in writers:
            w.start()
        time.sleep(0.2 + random.random() * 0.6)
        node.kill()
        for w in writers:
            w.join()
        node.start()
        verify(node, acknowledged, sent)
    assert len(acknowledged) > WRITERS * KEYS / 2, "too little was written to mean anything"
    equal(node.stop(), 0)
    node.start()
    verify(node, acknowledged, sent)
    node.stop()


test("kill -9 loses no acknowledged write, sync always", lambda: rounds("--sync", "always"))
# Small memtables: flush, compaction and log recycling are under way at every kill.
test("kill -9 during flush and compaction", lambda: rounds("--sync", "always", "--memtable", "1MiB", "--shards", "1"))
test("kill -9 loses nothing handed to the kernel, sync never", lambda: rounds("--sync", "never"))
finish()

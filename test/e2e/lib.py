"""lib.py - what the Python tests share: results, nodes, clusters, a bare RESP client, a load.

ATOLL is the binary under test; it comes from ./dev test, and has a default for a
test run by hand. Nodes end with the test.
"""
import atexit
import binascii
import json
import os
import random
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ATOLL = os.environ.get("ATOLL", os.path.join(HERE, "../../build/atoll"))
work = tempfile.mkdtemp(prefix="e2e-")
_children = []
_failed = 0


@atexit.register
def _cleanup():
    for child in _children:
        if child.poll() is None:
            child.kill()
            child.wait()
    shutil.rmtree(work, ignore_errors=True)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))


def test(name, body):
    """One result: `body` raises, or is fine."""
    global _failed
    try:
        body()
        print(f"ok {name}", flush=True)
    except Exception:
        _failed += 1
        print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
        print(f"not ok {name}", flush=True)


def skip(name, why):
    print(f"skip {name}: {why}", flush=True)


def finish():
    sys.exit(1 if _failed else 0)


def equal(found, wanted):
    assert found == wanted, f"found {found!r:.300}, wanted {wanted!r:.300}"


def contains(found, part):
    assert part in found, f"{part!r} is not in {found!r:.500}"


def eventually(seconds, body):
    """Call `body` until it neither raises nor gives False."""
    end = time.monotonic() + seconds
    while True:
        error = None
        try:
            value = body()
            if value is not False:
                return value
        except Exception as e:
            error = e
        if time.monotonic() > end:
            raise error or AssertionError(f"not so after {seconds} s")
        time.sleep(0.05)


def shard_of(key, shards):
    """The shard that owns the key; CRC-16 as Redis Cluster has it."""
    return binascii.crc_hqx(key.encode(), 0) % 16384 % shards


def key_on(shard, shards, prefix):
    """A key with this prefix that the shard owns."""
    return next(k for k in (f"{prefix}{i}" for i in range(10000)) if shard_of(k, shards) == shard)


def free_ports(count):
    """All different."""
    return [int(p) for p in subprocess.check_output([os.path.join(HERE, "ports"), str(count)]).split()]


def free_port():
    return free_ports(1)[0]


class Node:
    """A running node. `flags` are those of `atoll serve`."""

    host = "127.0.0.1"

    def __init__(self, *flags, dir=None, port=None, wait=True):
        self.port = port or free_port()
        self.dir = dir or os.path.join(work, f"node-{self.port}")
        self.log = self.dir.rstrip("/") + ".log"
        self.flags = flags
        self.start(wait)

    def start(self, wait=True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [ATOLL, "serve", "--port", str(self.port), "--dir", self.dir, *self.flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _children.append(self.process)
        if wait:
            eventually(20, self.is_ready)

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}: {self.text()}")
        return self.http("GET", "/ready")[0] == 200

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=30)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def wipe(self):
        shutil.rmtree(self.dir)

    def text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def http(self, method, path, body=None, headers=None):
        """(status, headers, body)"""
        request = urllib.request.Request(f"http://{self.host}:{self.port}{path}", data=body, method=method,
                                         headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status, dict(reply.headers), reply.read()
        except urllib.error.HTTPError as e:
            return e.code, dict(e.headers), e.read()

    def raw(self, data, seconds=5.0, until=None, shut=False):
        """Send bytes, give back what comes until the end, `until` or the time is over."""
        with socket.create_connection((self.host, self.port), timeout=seconds) as s:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            return read_until(s, seconds, until)

    def resp(self):
        return Resp(self.port, host=self.host)

    def kv(self, method, key, body=None, headers=None, **query):
        """(status, headers, body) of /v1/kv; `key` is bytes or text."""
        return self.http(method, path_of(key, **query), body, headers)

    def json(self, path):
        return json.loads(self.http("GET", path)[2])

    def sees_up(self):
        """How many members the node sees alive, itself included."""
        return sum(n["state"] == "up" for n in self.json("/v1/cluster")["nodes"])


def path_of(key, **query):
    key = key if isinstance(key, bytes) else key.encode()
    return "/v1/kv/" + urllib.parse.quote(key, safe="") + ("?" + urllib.parse.urlencode(query) if query else "")


class Cluster:
    """Nodes on free ports that know each other. `shards` is one number, or one a node."""

    def __init__(self, *flags, nodes=3, shards=1, wait=True):
        ports = free_ports(nodes)
        self.peers = ",".join(f"localhost:{p}" for p in ports)
        counts = shards if isinstance(shards, (list, tuple)) else [shards] * nodes
        self.nodes = [Node("--peers", self.peers, "--shards", str(c), *flags, port=p, wait=False)
                      for p, c in zip(ports, counts)]
        if wait:
            self.wait_ready()

    def __getitem__(self, i):
        return self.nodes[i]

    def __len__(self):
        return len(self.nodes)

    def others(self, *away):
        return [n for i, n in enumerate(self.nodes) if i not in away]

    def wait_ready(self, seconds=60, nodes=None):
        """Each of `nodes` (all unless given) serves, sees each of them, and each pair of shards is linked."""
        nodes = nodes or self.nodes
        for node in nodes:
            eventually(seconds, node.is_ready)
            eventually(seconds, lambda: node.sees_up() >= len(nodes))
        for node in nodes:
            for i in range(24):
                eventually(seconds, lambda: node.kv("GET", f"none-{i}", level=len(nodes))[0] == 404)

    def wait_seen_down(self, *away, seconds=10):
        for node in self.others(*away):
            eventually(seconds, lambda: node.sees_up() == len(self.nodes) - len(away))

    def kill(self, *which):
        """kill -9 of these, or of all at once."""
        doomed = [self.nodes[i] for i in which] or self.nodes
        for node in doomed:
            node.process.kill()
        for node in doomed:
            node.process.wait()

    def restart(self, *which):
        started = [self.nodes[i] for i in which] or self.nodes
        for node in started:
            node.start(wait=False)
        for node in started:
            eventually(20, node.is_ready)

    def stop(self):
        """SIGTERM to all; the exit codes of those that ran."""
        running = [n for n in self.nodes if n.process.poll() is None]
        for node in running:
            node.process.terminate()
        return [node.process.wait(timeout=30) for node in running]


def read_until(s, seconds, until=None):
    got = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            part = s.recv(65536)
        except (TimeoutError, socket.timeout):
            break
        except ConnectionResetError:
            break
        if not part:
            break
        got += part
        if until is not None and until in got:
            break
    return got


class Resp:
    """The Redis protocol, no more than the tests need. Errors are given back as RespError."""

    def __init__(self, port, seconds=60.0, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    @staticmethod
    def encode(*args):
        parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)

    def send(self, *args):
        self.socket.sendall(self.encode(*args))

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"the stream ended: {line!r}")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RespError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"_":
            return None
        if kind == b"$":
            if int(rest) < 0:
                return None
            data = self.file.read(int(rest) + 2)
            if len(data) != int(rest) + 2:
                raise ConnectionError("the stream ended")
            return data[:-2]
        if kind in b"*%":
            count = int(rest) * (2 if kind == b"%" else 1)
            return None if count < 0 else [self.read() for _ in range(count)]
        raise AssertionError(f"unknown reply {line!r}")

    def __call__(self, *args):
        self.send(*args)
        return self.read()

    def close(self):
        self.file.close()
        self.socket.close()


class RespError(str):
    """An error reply."""


class Control(threading.Thread):
    """Notes when the machine itself stalls: sleeps and syncs a small file, over and over.

    A request that took long while this did too says nothing about the nodes."""

    GAP_SECONDS = 0.02

    def __init__(self):
        super().__init__(daemon=True)
        self.gaps = []  # (start, end)
        self.over = threading.Event()

    def run(self):
        with open(os.path.join(work, "control"), "wb", buffering=0) as f:
            last = time.monotonic()
            while not self.over.is_set():
                time.sleep(0.005)
                f.seek(0)
                f.write(b"x")
                os.fdatasync(f.fileno())
                now = time.monotonic()
                if now - last > self.GAP_SECONDS:
                    self.gaps.append((last, now))
                last = now

    def stop(self):
        self.over.set()
        self.join()

    def within(self, start, end):
        """Seconds of a span in which the machine stalled."""
        return sum(max(0.0, min(end, e) - max(start, s)) for s, e in self.gaps)


class Register:
    """What one key may hold: its last acknowledged write, or one after that which may have happened.

    One client writes it, one write at a time; a write is a number, None is a delete."""

    def __init__(self):
        self.possible = {None}
        self.last = 0

    def begin(self, delete=False):
        """What the next write puts there, before it is known whether it happened."""
        self.last += 1
        self.pending = None if delete else self.last
        self.possible.add(self.pending)
        return self.pending

    def acknowledge(self):
        self.possible = {self.pending}

    def judge(self, found):
        """`found` is the value read, or None."""
        number = None if found is None else int(found.split(b":")[0])
        assert number in self.possible, f"found {number}, possible {self.possible}"
        return number


class LoadClient:
    """One connection of a load: one request at a time, on keys of its own."""

    THINK_SECONDS = 0.003

    def __init__(self, load, place, protocol, number):
        self.load, self.place, self.protocol = load, place, protocol
        self.host, self.port = load.nodes[place].host, load.nodes[place].port
        self.random = random.Random(number)
        self.registers = {f"{load.prefix}{number}-{i}": Register() for i in range(load.keys)}
        self.counter, self.acknowledged, self.unknown = f"{load.prefix}{number}-n", 0, 0
        self.socket = None
        self.operation = None  # (name, key, what to do with the reply)
        self.next_at = 0.0
        self.done = 0

    def connect(self):
        self.socket = socket.create_connection((self.host, self.port), timeout=1)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.load.selector.register(self.socket, selectors.EVENT_READ, self)
        self.received = b""

    def disconnect(self):
        if self.socket is not None:
            self.load.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None

    def command(self):
        """The bytes of the next request."""
        name = self.random.choice(("SET", "SET", "GET", "GET", "INCR", "DEL") if self.protocol == "resp"
                                  else ("SET", "SET", "GET", "GET", "DEL"))
        key = self.counter if name == "INCR" else self.random.choice(list(self.registers))
        self.operation = (name, key)
        if name == "INCR":
            self.unknown += 1
            return Resp.encode(name, key)
        register = self.registers[key]
        if name == "SET":
            value = b"%d:%s" % (register.begin(), b"x" * self.random.choice((0, 100, 3000)))
        elif name == "DEL":
            register.begin(delete=True)
        if self.protocol == "resp":
            return Resp.encode(name, key, value) if name == "SET" else Resp.encode(name, key)
        body = value if name == "SET" else b""
        method = {"SET": "PUT", "GET": "GET", "DEL": "DELETE"}[name]
        return b"%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (
            method.encode(), path_of(key).encode(), len(body), body)

    def reply(self):
        """(error or None, value or None) once it is whole, else None."""
        head, found, rest = self.received.partition(b"\r\n" if self.protocol == "resp" else b"\r\n\r\n")
        if not found:
            return None
        if self.protocol == "resp":
            if head[:1] == b"-":
                return head.decode(), None
            if head[:1] != b"$" or head == b"$-1":
                return None, None if head[:1] == b"$" else head[1:]
            size = int(head[1:])
            return (None, rest[:size]) if len(rest) >= size + 2 else None
        status = int(head.split()[1])
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:"))
        if len(rest) < size:
            return None
        if status == 404:
            return None, None
        return (None, rest[:size]) if status == 200 else (f"{status} {rest[:size].decode()}", None)

    def finish(self, value):
        """The reply to `operation` is there and is no error."""
        name, key = self.operation
        if name == "INCR":
            self.unknown -= 1
            self.acknowledged += 1
            number = int(value)
            if not self.acknowledged <= number <= self.acknowledged + self.unknown:
                self.load.wrong.append(f"{key}: INCR gave {number}, {self.acknowledged} acknowledged, "
                                       f"{self.unknown} unknown")
        elif name == "GET":
            try:
                self.registers[key].judge(value)
            except AssertionError as e:
                self.load.wrong.append(f"GET {key} at node {self.place}: {e}")
        else:
            self.registers[key].acknowledge()
        self.done += 1

    def end(self, error, value, now):
        if error is None:
            self.finish(value)
        elif self.place not in self.load.away:
            self.load.note(self, error)
        self.load.durations.append((self.sent_at, now, self.place, self.operation))
        self.operation = None
        self.next_at = now + self.THINK_SECONDS

    def turn(self, now):
        """Send, if nothing is under way."""
        if self.operation is not None or now < self.next_at:
            return
        try:
            if self.socket is None:
                self.connect()
            data = self.command()
            self.sent_at = time.monotonic()
            self.socket.sendall(data)
        except OSError as e:
            self.fail(e)

    def take(self):
        try:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("the stream ended")
        except OSError as e:
            self.fail(e)
            return
        self.received += part
        reply = self.reply()
        if reply is not None:
            self.received = b""
            self.end(*reply, time.monotonic())

    def fail(self, error):
        """The connection is lost, or there is none; what was under way may have happened."""
        if self.place not in self.load.away:
            self.load.note(self, repr(error))
        self.disconnect()
        self.operation = None
        self.next_at = time.monotonic() + 0.05


class Load(threading.Thread):
    """Clients at every node that write, read, count and delete, and check all they read.

    `away` holds the places of nodes whose clients may fail at the moment. One thread drives
    all, so that its own waiting can be told from that of the nodes."""

    def __init__(self, nodes, prefix="k", clients=("resp", "resp", "http"), keys=20):
        super().__init__(daemon=True)
        self.nodes, self.prefix, self.keys = nodes, prefix, keys
        self.selector = selectors.DefaultSelector()
        self.away = set()
        self.failures, self.wrong, self.durations = [], [], []
        self.over = threading.Event()
        self.crash = None
        self.began = time.monotonic()
        places = [(place, protocol) for place in range(len(nodes)) for protocol in clients]
        self.clients = [LoadClient(self, place, protocol, i) for i, (place, protocol) in enumerate(places)]
        self.control = Control()

    def __enter__(self):
        self.control.start()
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
        self.control.stop()
        if self.crash:
            raise self.crash

    def run(self):
        try:
            self.drive()
        except Exception as e:
            self.crash = e

    def drive(self):
        while not self.over.is_set():
            now = time.monotonic()
            for client in self.clients:
                client.turn(now)
            self.wait()
        end = time.monotonic() + 10
        while time.monotonic() < end and any(c.operation for c in self.clients):
            self.wait()
        for client in self.clients:
            if client.operation:
                client.fail(TimeoutError("no reply"))
            client.disconnect()

    def note(self, client, error):
        """A request failed that must not."""
        self.failures.append(f"{time.monotonic() - self.began:.2f} s, away {self.away or 'none'}: node {client.place} "
                             f"{client.protocol} {client.operation}: {error}")

    def wait(self):
        for key, _ in self.selector.select(0.001):
            key.data.take()

    def count(self):
        return sum(c.done for c in self.clients)

    def check(self):
        """Nothing failed where it must not, and nothing read was wrong."""
        assert not self.wrong, f"{len(self.wrong)} wrong, as {self.wrong[:3]}"
        assert not self.failures, f"{len(self.failures)} failures, as {self.failures[:3]}"

    def worst_stall(self, since=0.0, places=None):
        """(seconds, what) of the slowest request, without the time the machine itself stalled."""
        spans = [(end - start - self.control.within(start, end), f"{operation} at node {place}")
                 for start, end, place, operation in self.durations
                 if start >= since and (places is None or place in places)]
        return max(spans, default=(0.0, "nothing"))

    def verify(self, nodes=None):
        """Read everything back through each of `nodes`, at quorum; nothing may be under way."""
        for node in nodes or self.nodes:
            resp = node.resp()
            for client in self.clients:
                for key, register in client.registers.items():
                    found = resp("GET", key)
                    assert not isinstance(found, RespError), f"{key} at {node.port}: {found}"
                    try:
                        register.judge(found)
                    except AssertionError as e:
                        raise AssertionError(f"{key} at {node.port}: {e}") from None
                least = client.acknowledged
                number = int(resp("GET", client.counter) or 0)
                assert least <= number <= least + client.unknown, \
                    f"{client.counter} at {node.port}: {number}, {least} acknowledged, {client.unknown} unknown"
            resp.close()

    def verify_one(self, node, seconds=30):
        """What this node holds itself becomes right in time."""
        def right():
            for client in self.clients:
                for key, register in client.registers.items():
                    status, _, body = node.kv("GET", key, level="one")
                    assert status in (200, 404), (key, status, body)
                    register.judge(body if status == 200 else None)
                if client.acknowledged:
                    body = node.kv("GET", client.counter, level="one")[2]
                    assert int(body) >= client.acknowledged, (client.counter, body, client.acknowledged)
        eventually(seconds, right)

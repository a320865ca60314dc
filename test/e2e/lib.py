"""lib.py - what the Python tests share: results, nodes, a bare RESP client.

ATOLL is the binary under test; it comes from ./dev test, and has a default for a
test run by hand. Nodes end with the test.
"""
import atexit
import binascii
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
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


def free_port():
    return int(subprocess.check_output([os.path.join(HERE, "ports")]))


class Node:
    """A running node. `flags` are those of `atoll serve`."""

    def __init__(self, *flags, dir=None, wait=True):
        self.port = free_port()
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

    def text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def http(self, method, path, body=None, headers=None):
        """(status, headers, body)"""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, method=method,
                                         headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status, dict(reply.headers), reply.read()
        except urllib.error.HTTPError as e:
            return e.code, dict(e.headers), e.read()

    def raw(self, data, seconds=5.0, until=None, shut=False):
        """Send bytes, give back what comes until the end, `until` or the time is over."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as s:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            return read_until(s, seconds, until)

    def resp(self):
        return Resp(self.port)


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

    def __init__(self, port, seconds=20.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
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

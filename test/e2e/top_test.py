#!/usr/bin/env python3
"""`atoll top`: once as text and as JSON, and live on a terminal, of real nodes and of one that lies."""
import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import socketserver
import struct
import subprocess
import termios
import threading
import time

from lib import ATOLL, Node, contains, equal, eventually, finish, free_port, test

CLUSTER = {"nodes": [{"id": 1, "address": "\x1b[2J\x07evil", "state": "\x9bup", "hints_waiting": 0, "latency_us": 0}],
           "leader": 1, "leader_address": "\x1b]0;title\x07", "epoch": 1, "replicas": 1, "write_quorum": 1,
           "read_quorum": 1, "change": {"id": 9, "reason": "\x1bc", "slots_total": 4, "slots_done": 1}}


def top(server, *words, **environment):
    return subprocess.run([ATOLL, "top", "--server", server, *words], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})


class Terminal:
    """The command at a terminal of its own."""

    def __init__(self, *words, rows=30, columns=110, **environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            time.sleep(0.2)  # until the terminal has its size
            os.execve(ATOLL, [ATOLL, "top", *words], {**os.environ, "TERM": "xterm", **environment})
        self.text = ""
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.fd)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode()
                except OSError:
                    return
        return

    def wait_for(self, part, seconds=20):
        until = time.monotonic() + seconds
        while part not in self.text:
            assert time.monotonic() < until, f"no {part!r} in {self.text!r:.2000}"
            self.read(0.1)

    def screens(self):
        return self.text.split("\x1b[H")[1:]

    def end(self, keys):
        """Exit code, after the terminal is seen to be as it was."""
        if isinstance(keys, int):
            os.kill(self.pid, keys)
        else:
            os.write(self.fd, keys.encode())
        self.wait_for("\x1b[?1049l")
        eventually(10, lambda: equal(termios.tcgetattr(self.fd)[3], self.before[3]))
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        assert self.text.rstrip().endswith("\x1b[?25h\x1b[?1049l"), self.text[-80:]
        os.close(self.fd)
        return code


class Liar(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A server whose every text would do something to a terminal."""
    daemon_threads = True
    status = 200

    class RequestHandlerClass(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            if not self.path.startswith("/v1/events"):
                self.wfile.write(b'{"nodes":[{"id":1,"started_ms":"\x1b[31m"}]}')
                return
            for _ in range(20):
                if self.wfile.closed or select.select([self.connection], [], [], 1)[0]:
                    return  # the other side has gone
                for name, data in (("cluster", CLUSTER), ("figures", {"moment": {}, "metrics": {"hints_waiting": "\x1b"}})):
                    self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())

        def log_message(self, *_):
            pass

    def __init__(self, status=200):
        super().__init__(("127.0.0.1", 0), self.RequestHandlerClass)
        self.status = status
        self.address = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


def once():
    done = top(server, "--once")
    equal((done.returncode, done.stderr), (0, ""))
    assert "\x1b" not in done.stdout
    for part in ("1 node, 1 up", f"leader {server}", "OPS/S", "PER SECOND", "write quorum 1", "hints ", "repair ",
                 "compaction ", "cache "):
        contains(done.stdout, part)
    equal(top(server).stdout.splitlines()[0], done.stdout.splitlines()[0])  # no terminal: the same
    own = [line for line in done.stdout.splitlines() if line.startswith(server)][0]
    assert re.search(r" s .* [KMG]iB ", own), own


def as_json():
    done = top(server, "--json")
    equal((done.returncode, done.stderr), (0, ""))
    found = json.loads(done.stdout)
    equal(sorted(found), ["cluster", "metrics", "moment", "nodes"])
    equal(found["cluster"]["nodes"][0]["address"], server)
    equal(found["nodes"][0]["id"], found["cluster"]["nodes"][0]["id"])
    assert found["moment"]["seconds"] > 0.5 and found["metrics"]["ready"] is True


def counts_operations():
    bench = subprocess.Popen([ATOLL, "bench", "--server", server, "--seconds", "5", "--keys", "100", "--clients", "4"],
                             stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        done = top(server, "--once")
        rates = dict(line.split()[:2] for line in done.stdout.splitlines() if line.split()[:1] in (["read"], ["write"]))
        assert int(rates["read"]) > 10 and int(rates["write"]) > 10, done.stdout
        assert all(len(line.split()) == 6 for line in done.stdout.splitlines() if line.split()[:1] == ["read"])
    finally:
        bench.kill()
        bench.wait()


def live():
    for keys in ("q", "\x03", signal.SIGTERM):
        terminal = Terminal("--server", server)
        terminal.wait_for("cache ")
        terminal.read(2.5)
        assert len(terminal.screens()) >= 2, terminal.text
        assert "\x1b[1m" in terminal.text
        equal((keys, terminal.end(keys)), (keys, 0))


def resized():
    terminal = Terminal("--server", server, rows=40, columns=120)
    terminal.wait_for("cache ")
    count = len(terminal.screens())
    terminal.resize(9, 40)
    eventually(5, lambda: terminal.read(0.2) or len(terminal.screens()) > count or 1 / 0)
    terminal.read(1.5)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.screens()[-1]).replace("\r", "")
    lines = last.split("\n")
    assert len(lines) <= 9 and max(map(len, lines)) <= 40, lines
    equal(terminal.end("q"), 0)


def no_colour():
    terminal = Terminal("--server", server, NO_COLOR="1")
    terminal.wait_for("cache ")
    assert not re.search(r"\x1b\[[0-9;]*m", terminal.text), terminal.text
    equal(terminal.end("q"), 0)


def escapes():
    liar = Liar()
    done = top(liar.address, "--once")
    equal(done.returncode, 0)
    assert all(c == "\n" or " " <= c <= "~" for c in done.stdout), repr(done.stdout)
    contains(done.stdout, "\\x1b[2J\\x07evil")
    terminal = Terminal("--server", liar.address)
    terminal.wait_for("cache ")
    sequences = set(re.findall(r"\x1b[^A-Za-z]*[A-Za-z]?", terminal.text))
    assert sequences <= {f"\x1b[{s}" for s in ("H", "K", "J", "1m", "0m", "31m", "32m", "33m", "?1049h", "?25l")}, sequences
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1a\x7f-\x9f]", terminal.text), terminal.text
    equal(terminal.end("q"), 0)


def refusals():
    done = top(f"127.0.0.1:{free_port()}")
    equal((done.returncode, done.stdout), (3, ""))
    contains(done.stderr, "start one with: atoll serve")
    done = top(Liar(503).address, "--once")
    equal(done.returncode, 4)
    contains(done.stderr, "--server")
    equal(top(Liar(404).address, "--json").returncode, 4)
    equal(top(server, "--interval", "10ms").returncode, 2)
    equal(top(server, "more").returncode, 2)


def goes_on():
    other = Node()
    address = f"127.0.0.1:{other.port}"
    terminal = Terminal("--server", address)
    terminal.wait_for("cache ")
    other.kill()
    terminal.wait_for("does not answer")
    other.start()
    count = len(terminal.screens())
    eventually(20, lambda: terminal.read(0.2) or len(terminal.screens()) > count + 2 or 1 / 0)
    assert "does not answer" not in terminal.screens()[-1], terminal.screens()[-1]
    equal(terminal.end("q"), 0)
    other.stop()


node = Node()
server = f"127.0.0.1:{node.port}"
test("once it prints a text, and so it does where there is no terminal", once)
test("--json prints the figures", as_json)
test("it counts what clients do", counts_operations)
test("it redraws, and q, Ctrl-C and SIGTERM leave the terminal as it was", live)
test("it fits a terminal that is resized", resized)
test("NO_COLOR is honoured", no_colour)
test("what a node says cannot reach the terminal", escapes)
test("it says why it cannot", refusals)
test("it goes on when the node is back", goes_on)
node.stop()
finish()

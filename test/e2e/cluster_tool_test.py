#!/usr/bin/env python3
"""./dev cluster: three nodes with one command, and one Ctrl-C ends them all."""
import fcntl
import os
import pty
import signal
import socket
import subprocess
import termios
import time
import urllib.request

from lib import HERE, contains, equal, eventually, finish, free_port, skip, test, work

ROOT = os.path.dirname(os.path.dirname(HERE))
READY_SECONDS = 3


class Tool:
    """tools/cluster on a terminal of its own."""

    def __init__(self, folder, **variables):
        self.port = self.free_ports()
        master, slave = pty.openpty()
        self.terminal, self.text = master, ""
        environment = dict(os.environ, PORT=str(self.port), DIR=os.path.join(work, folder), SHARDS="1", NO_COLOR="1",
                           **variables)
        self.began = time.monotonic()
        self.process = subprocess.Popen(["./dev", "cluster"], cwd=ROOT, env=environment, stdin=slave, stdout=slave,
                                        stderr=slave, preexec_fn=self.own_terminal)
        os.close(slave)
        os.set_blocking(master, False)

    @staticmethod
    def own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    @staticmethod
    def free_ports():
        """The first of three in a row."""
        while True:
            port = free_port()
            try:
                for p in range(port, port + 3):
                    with socket.socket() as s:
                        s.bind(("127.0.0.1", p))
                return port
            except OSError:
                pass

    def read(self):
        try:
            while True:
                part = os.read(self.terminal, 65536)
                if not part:
                    break
                self.text += part.decode(errors="replace")
        except OSError:
            pass
        return self.text

    def ask(self, place, path, method="GET", body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port + place}{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.read()

    def await_ready(self, seconds=60):
        end = time.monotonic() + seconds
        while "Ctrl-C stops all of them" not in self.read():
            assert self.process.poll() is None, f"ended: {self.text[-1000:]}"
            assert time.monotonic() < end, f"not ready after {seconds} s: {self.text[-1000:]}"
            time.sleep(0.02)

    def pids(self):
        return [int(word) for line in self.text.splitlines() if "  pid " in line for word in line.split()[-1:]]

    def wait(self, seconds=20):
        """The exit code; what is printed meanwhile is read, so that nobody waits for us."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.read()
            time.sleep(0.02)
        self.read()
        return self.process.poll()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            if self.wait() is None:
                self.process.kill()
                self.process.wait()
        os.close(self.terminal)


def gone(pid):
    return not os.path.exists(f"/proc/{pid}")


def life(end):
    tool = Tool(f"tool-{end}")
    try:
        tool.await_ready(120)
        pids = tool.pids()
        equal(len(pids), 3)
        eventually(10, lambda: tool.ask(0, "/v1/kv/hello", "PUT", b"world"))
        for place in range(3):
            equal(tool.ask(place, "/v1/kv/hello"), b"world")
        if end == "Ctrl-C":
            os.write(tool.terminal, b"\3")
        else:
            tool.process.send_signal(signal.SIGTERM)
        code = tool.wait()
        assert code in (0, 130), (code, tool.text[-500:])
        eventually(5, lambda: all(gone(pid) for pid in pids))
    finally:
        tool.close()


def quick():
    """The build is up to date after the first test, so this is the start alone."""
    tool = Tool("tool-quick")
    try:
        tool.await_ready()
        after = tool.text.split(" serve, after ")[1].split()[0]
        assert float(after) < READY_SECONDS, f"ready after {after} s"
    finally:
        tool.close()


def death():
    """One node is killed: the others go on, and the way to start it again is shown."""
    tool = Tool("tool-death")
    try:
        tool.await_ready()
        eventually(10, lambda: tool.ask(0, "/v1/kv/hello", "PUT", b"world"))
        os.kill(tool.pids()[2], signal.SIGKILL)
        eventually(5, lambda: contains(tool.read(), "n3 has ended (killed by SIGKILL)"))
        equal(tool.ask(0, "/v1/kv/hello"), b"world")
        equal(tool.ask(1, "/v1/kv/hello"), b"world")
        command = tool.text.split("to start it again:")[1].split("\n")[1].split()
        again = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            eventually(10, lambda: tool.ask(2, "/v1/kv/hello") == b"world")
        finally:
            again.terminate()
            again.wait(timeout=20)
        os.write(tool.terminal, b"\3")
        assert tool.wait() is not None, "it does not end"
    finally:
        tool.close()


def port_taken():
    tool = Tool("tool-first")
    try:
        tool.await_ready()
        environment = dict(os.environ, PORT=str(tool.port), DIR=os.path.join(work, "tool-second"))
        done = subprocess.run(["./dev", "cluster"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        equal(done.returncode, 2)
        contains(done.stderr, f"port {tool.port} is in use")
    finally:
        tool.close()


if os.environ.get("SANITIZE"):
    skip("./dev cluster", "it runs the release build")
else:
    test("three nodes from one command, stopped by Ctrl-C", lambda: life("Ctrl-C"))
    test("stopped by SIGTERM", lambda: life("SIGTERM"))
    test("ready soon once built", quick)
    test("one of its nodes dies", death)
    test("its ports are taken", port_taken)
finish()

#!/usr/bin/env python3
"""`atoll cluster` and `atoll keyspace`: what they ask of a node, print and exit with.

The answers are canned: a small server stands for the node, and notes what it was asked. What a
real node makes of the same requests is at the end."""
import http.server
import json
import os
import pty
import re
import subprocess
import threading
import time

from lib import ATOLL, Node, contains, equal, eventually, finish, free_port, test

PLAN = {"slots_changed": 16384, "owners_moved": 4096, "copies_moved": 12288, "copies_least": 12288, "bytes": 1 << 30,
        "bytes_per_second": 0, "time_ms": None,
        "nodes": [{"id": 1, "address": "127.0.0.1:1", "weight": 1, "owned_before": 16384, "owned_after": 8192,
                   "kept_before": 16384, "kept_after": 8192, "bytes_in": 0, "bytes_out": 1 << 29}]}


def member(number, address, **more):
    return {"id": number, "address": address, "self": number == 1, "state": "up", "weight": 1, "zone": 0,
            "slots_owned": 1, "slots_kept": 1, "hints_waiting": 0, "latency_us": 0, "membership": "active",
            "alive": True, **more}


def view(nodes, change=None, leader="127.0.0.1:1"):
    return {"nodes": nodes, "leader": 1 if leader else None, "leader_address": leader, "epoch": 3, "change": change,
            "replicas": 3, "write_quorum": 2, "read_quorum": 2, "slots": 16384}


def change(done, **more):
    return {"id": 9, "reason": "leave", "slots_total": 100, "slots_joint": 10, "slots_done": done,
            "bytes_done": done << 20, "bytes_total": 100 << 20, "rate_bytes_s": 5 << 20, "eta_ms": 4000, "throttle": 0,
            "paused": False, "started_ms": 1, "waits_for": [], **more}


class Fake:
    """Answers requests in turn; the last answer is given again and again."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                condition = self.headers.get("If-Match"), self.headers.get("If-None-Match")
                fake.asked.append((self.command, self.path, json.loads(body) if body else None, condition))
                status, content = fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0]
                if status is None:  # the node stops
                    self.close_connection = True
                    threading.Thread(target=fake.server.shutdown).start()
                    return
                text = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def run(*words, server=None, stdin=subprocess.DEVNULL):
    environment = {k: v for k, v in os.environ.items() if k != "ATOLL_SERVER"}
    if server:
        environment["ATOLL_SERVER"] = server
    done = subprocess.run([ATOLL, *words], capture_output=True, text=True, timeout=60, env=environment, stdin=stdin)
    return done.returncode, done.stdout, done.stderr


def asks(words, method, path, body=None, condition=(None, None)):
    """The one request that these words make, with a canned success."""
    with Fake((200, {"status": "done", "message": "it is so"})) as fake:
        equal(run(*words, server=fake.address), (0, "it is so\n", ""))
        equal(fake.asked, [(method, path, body, condition)])


def requests():
    asks(["cluster", "join", "h:80"], "POST", "/v1/cluster/nodes", {"address": "h:80"})
    asks(["cluster", "join", "h:80", "--weight", "3", "--zone=2", "--dry-run"], "POST",
         "/v1/cluster/nodes?dry_run=true", {"address": "h:80", "weight": 3, "zone": 2})
    asks(["cluster", "leave", "--node", "7"], "DELETE", "/v1/cluster/nodes/7")
    asks(["cluster", "leave", "h:80", "--accept-loss", "--dry-run"], "DELETE",
         "/v1/cluster/nodes/h%3A80?accept_loss=true&dry_run=true")
    asks(["cluster", "remove", "7", "--yes"], "DELETE", "/v1/cluster/nodes/7?force=true")
    asks(["cluster", "remove", "--node=h:80", "--accept-loss"], "DELETE",
         "/v1/cluster/nodes/h%3A80?force=true&accept_loss=true")
    asks(["cluster", "weight", "7", "4"], "PUT", "/v1/cluster/nodes/7", {"weight": 4})
    asks(["cluster", "weight", "--node", "h:80", "4"], "PUT", "/v1/cluster/nodes/h%3A80", {"weight": 4})
    asks(["cluster", "replicas", "5"], "PUT", "/v1/cluster/replicas", {"replicas": 5})
    asks(["cluster", "replicas", "3", "--dry-run"], "PUT", "/v1/cluster/replicas?dry_run=true", {"replicas": 3})
    asks(["cluster", "plan", "--replicas", "5", "--rate", "1MiB"], "GET",
         "/v1/cluster/plan?replicas=5&bytes_per_second=1048576")
    asks(["cluster", "leader", "7"], "POST", "/v1/cluster/leader", {"node": 7})
    asks(["cluster", "leader", "--node", "h:80"], "POST", "/v1/cluster/leader", {"node": "h:80"})
    asks(["cluster", "plan"], "GET", "/v1/cluster/plan")
    asks(["cluster", "plan", "--join", "h:80", "--weight", "2", "--rate", "1MiB"], "GET",
         "/v1/cluster/plan?join=h%3A80&weight=2&bytes_per_second=1048576")
    asks(["cluster", "plan", "--leave", "7"], "GET", "/v1/cluster/plan?leave=7")
    asks(["cluster", "pause"], "POST", "/v1/cluster/change", {"action": "pause"})
    asks(["cluster", "resume"], "POST", "/v1/cluster/change", {"action": "resume"})
    asks(["cluster", "cancel", "--yes"], "POST", "/v1/cluster/change", {"action": "cancel"})
    asks(["cluster", "throttle", "5MiB"], "POST", "/v1/cluster/change",
         {"action": "throttle", "bytes_per_second": 5 << 20})
    asks(["cluster", "throttle", "none"], "POST", "/v1/cluster/change", {"action": "throttle", "bytes_per_second": 0})
    asks(["keyspace", "create", "k"], "PUT", "/v1/keyspaces/k", None, (None, "*"))
    asks(["keyspace", "create", "k", "--replicas", "5", "--write-quorum", "majority", "--read-quorum", "2",
          "--discipline", "eventual", "--ttl", "1h"], "PUT", "/v1/keyspaces/k",
         {"replicas": 5, "write_quorum": "majority", "read_quorum": 2, "discipline": "eventual", "ttl": "1h"},
         (None, "*"))
    asks(["keyspace", "alter", "k", "--replicas", "5", "--dry-run"], "PUT", "/v1/keyspaces/k?dry_run=true", {"replicas": 5},
         ("*", None))
    asks(["keyspace", "alter", "k", "--ttl=none"], "PUT", "/v1/keyspaces/k", {"ttl": "none"}, ("*", None))
    asks(["keyspace", "drop", "k"], "DELETE", "/v1/keyspaces/k")


test("each word asks for what it says", requests)


def wrong_lines():
    for words, part in [(["cluster"], "too few words"),
                        (["cluster", "lave"], "did you mean `atoll cluster leave`"),
                        (["cluster", "\033[2J"], "unknown word"),
                        (["cluster", "leave"], "name the node"),
                        (["cluster", "leave", "1", "--node", "2"], "named twice"),
                        (["cluster", "leave", "1", "2"], "too many words"),
                        (["cluster", "pause", "--weight", "2"], "unknown option --weight"),
                        (["cluster", "join"], "too few words"),
                        (["cluster", "join", "h:1", "--weight", "0"], "--weight=0"),
                        (["cluster", "weight", "1", "x"], "whole number from 1 to 1000000"),
                        (["cluster", "weight", "1", "1e9"], "whole number from 1 to 1000000"),
                        (["cluster", "weight", "4"], "name the node"),
                        (["cluster", "throttle", "fast"], "bytes a second"),
                        (["cluster", "replicas"], "too few words"),
                        (["cluster", "replicas", "8"], "slots have 1 to 7 copies"),
                        (["cluster", "replicas", "three"], "slots have 1 to 7 copies"),
                        (["cluster", "plan", "--replicas", "0"], "--replicas=0"),
                        (["keyspace", "create"], "too few words"),
                        (["keyspace", "create", "k", "--replicas", "8"], "--replicas=8"),
                        (["keyspace", "alter", "k", "--discipline", "strict"], "unknown option --discipline")]:
        code, out, err = run(*words, server="127.0.0.1:1")
        equal((code, out), (2, ""))
        contains(err, part)
        assert "\033" not in err, words


test("what is wrong on the command line exits with 2", wrong_lines)


def refusals():
    error = {"error": {"code": "at_risk", "message": "copies would be \033[2J lost"},
             "at_risk": {"slots_short": 12, "slots_lost": 3}, "plan": PLAN}
    for status, wanted in ((400, 4), (404, 1), (409, 4), (412, 1), (501, 4), (503, 4), (504, 4)):
        with Fake((status, error)) as fake:
            code, out, err = run("cluster", "remove", "7", server=fake.address)
            equal((code, out), (wanted, ""))
            contains(err, "atoll: cluster remove: copies would be")
            contains(err, "at risk: 12 slots would have fewer full copies than wanted, 3 of them none")
            contains(err, "127.0.0.1:1       1  16384   8192")
            assert "\033" not in err
    for nonsense in ("", "x", "[]", "{}", '{"message":7}', '{"message":"m","plan":7}'):
        for words in (["cluster", "leave", "7"], ["cluster", "status"], ["keyspace", "list"], ["cluster", "leader"]):
            with Fake((200, nonsense)) as fake:
                code, out, err = run(*words, "--json", server=fake.address)
                equal((code, out), (4, ""))
                contains(err, "makes no sense")
    nobody = f"127.0.0.1:{free_port()}"
    code, _, err = run("cluster", "pause", server=nobody)
    equal((code, err.count("\n")), (3, 1))
    contains(err, "start one with: atoll serve")
    code, _, err = run("cluster", "leave", "--node", nobody)
    equal(code, 3)
    contains(err, "--server names another one to ask, and `atoll cluster remove`")


test("what the node refuses", refusals)


def answers():
    reply = {"status": "accepted", "message": "begun", "node": 7, "change": 9, "epoch": 4, "plan": PLAN}
    with Fake((202, reply)) as fake:
        code, out, _ = run("cluster", "leave", "7", server=fake.address)
        equal(code, 0)
        contains(out, "begun\nADDRESS      WEIGHT")
        contains(out, "16384 slots change; 12288 copies of slots move, at least 12288 have to; 1.0 GiB\n")
        contains(out, "change 9 is under way; atoll cluster status --wait shows")
        code, out, _ = run("cluster", "leave", "7", "--json", server=fake.address)
        equal(json.loads(out), reply)
    with Fake((200, view([member(1, "127.0.0.1:1")]))) as fake:
        equal(run("cluster", "leader", server=fake.address), (0, "127.0.0.1:1\n", ""))
        equal(run("cluster", "leader", "--json", server=fake.address), (0, '{"leader":1}\n', ""))
    with Fake((200, view([member(1, "127.0.0.1:1")], leader=None))) as fake:
        equal(run("cluster", "leader", server=fake.address)[0], 1)


test("what was begun is printed, as text and as JSON", answers)


def asks_itself():
    """Without --server a node is asked to leave itself; with it, or to be removed, it is not."""
    with Fake((200, {"status": "done", "message": "m"})) as fake, Fake((200, {"status": "done", "message": "o"})) as other:
        equal(run("cluster", "leave", "--node", fake.address)[:2], (0, "m\n"))
        equal(run("cluster", "leave", fake.address)[:2], (0, "m\n"))
        equal(run("cluster", "weight", fake.address, "2")[:2], (0, "m\n"))
        equal(len(fake.asked), 3)
        equal(run("cluster", "leave", "--node", fake.address, "--server", other.address)[:2], (0, "o\n"))
        equal(run("cluster", "leave", "--node", fake.address, server=other.address)[:2], (0, "o\n"))
        equal(run("cluster", "remove", fake.address, server=other.address)[:2], (0, "o\n"))
        equal(len(fake.asked), 3)


test("a node named by its address is asked itself", asks_itself)


def waits():
    """The node that leaves stops answering; another goes on telling."""
    stays = Fake((200, view([member(1, "a:1"), member(2, "b:1", membership="leaving")], change(70))),
                 (200, view([member(1, "a:1")])))
    both = [member(1, stays.address), member(2, "LEAVES", membership="leaving")]
    with stays, Fake((202, {"status": "accepted", "message": "begun", "node": 2, "change": 9}),
                     (200, view(both, change(10))), (None, None)) as leaves:
        both[1]["address"] = leaves.address
        began = time.monotonic()
        equal(run("cluster", "leave", "--node", leaves.address, "--wait"), (0, "begun\n", ""))
        assert time.monotonic() - began < 20
        equal([path for _, path, *_ in leaves.asked][:2], ["/v1/cluster/nodes/" + leaves.address.replace(":", "%3A"),
                                                           "/v1/cluster"])
        equal({path for _, path, *_ in stays.asked}, {"/v1/cluster"})


def waits_for_a_member():
    """It is not over while the node is unknown or joining."""
    one = member(1, "127.0.0.1:1")
    with Fake((202, {"status": "accepted", "message": "start it", "command": "atoll serve"}),
              (200, view([one])), (200, view([one, member(2, "127.0.0.1:7", membership="joining")], change(5))),
              (200, view([one, member(2, "127.0.0.1:7")], change(90))),
              (200, view([one, member(2, "127.0.0.1:7")]))) as fake:
        equal(run("cluster", "join", "localhost:7", "--wait", server=fake.address), (0, "start it\n", ""))
        equal(len(fake.asked), 5)


def waits_for_quiet():
    """A change that was named is over when it is gone; else there must be none for a moment."""
    one = [member(1, "127.0.0.1:1")]
    with Fake((200, {"status": "accepted", "message": "m", "change": 9}), (200, view(one, change(5))),
              (200, view(one))) as fake:
        equal(run("cluster", "resume", "--wait", server=fake.address)[0], 0)
        equal(len(fake.asked), 3)
    with Fake((200, view(one))) as fake:
        equal(run("cluster", "status", "--wait", server=fake.address)[0], 0)
        assert len(fake.asked) >= 5, fake.asked
    asked_for = dict(view(one), slot_replicas=3, slot_replicas_next=5)
    with Fake((202, {"status": "accepted", "message": "m"}), *[(200, asked_for)] * 6, (200, view(one))) as fake:
        equal(run("cluster", "replicas", "5", "--wait", server=fake.address)[0], 0)
        assert len(fake.asked) >= 11, fake.asked  # it has not begun yet
    with Fake((200, {"status": "accepted", "message": "m"}), (200, "nonsense")) as fake:
        code, _, err = run("cluster", "resume", "--wait", server=fake.address)
        equal(code, 4)
        contains(err, "makes no sense")


test("--wait follows a leaving node to the end, by the others", waits)
test("--wait of join ends when the node keeps slots", waits_for_a_member)
test("--wait ends with the change", waits_for_quiet)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *words, server):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([ATOLL, *words], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        env=dict(os.environ, ATOLL_SERVER=server))
        os.close(slave)
        self.text = ""

    def read_until(self, part, seconds=20):
        end = time.monotonic() + seconds
        while part not in self.text and time.monotonic() < end:
            try:
                self.text += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                break
        contains(self.text, part)

    def finish(self):
        """The exit code."""
        try:
            while True:
                self.text += os.read(self.master, 65536).decode(errors="replace")
        except OSError:
            pass
        os.close(self.master)
        return self.process.wait(timeout=20)


def asks_whether_it_is_meant():
    for reply, code, requests_made in (("y\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0), ("\4", 1, 0)):
        with Fake((200, {"status": "done", "message": "it is gone"})) as fake:
            terminal = Terminal("keyspace", "drop", "k", server=fake.address)
            terminal.read_until("deleted for ever. Go on? [y/N] ")
            equal(fake.asked, [])
            os.write(terminal.master, reply.encode())
            equal(terminal.finish(), code)
            equal(len(fake.asked), requests_made)
            contains(terminal.text, "it is gone" if code == 0 else "nothing was done")
    with Fake((200, {"status": "done", "message": "m"})) as fake:
        equal(Terminal("cluster", "leave", "7", "--yes", server=fake.address).finish(), 0)
        equal(Terminal("cluster", "leave", "7", "--dry-run", server=fake.address).finish(), 0)
        equal(Terminal("cluster", "pause", server=fake.address).finish(), 0)
        equal(len(fake.asked), 3)


def shows_progress():
    one = [member(1, "127.0.0.1:1")]
    with Fake((202, {"status": "accepted", "message": "begun", "change": 9}), (200, view(one, change(50))),
              (200, view(one, change(60, paused=True))), (200, view(one))) as fake:
        terminal = Terminal("cluster", "resume", "--wait", server=fake.address)
        equal(terminal.finish(), 0)
        text = re.sub("\033\\[[0-9]*m", "", terminal.text)
        contains(text, "50 %  50 of 100 slots, 50.0 MiB of 100.0 MiB, 5.0 MiB/s, 4.0 s left")
        contains(text, "60 %  60 of 100 slots, 60.0 MiB of 100.0 MiB, paused")
        contains(text, "[")
        contains(terminal.text, "\033[32m#")


test("on a terminal it asks before it does harm", asks_whether_it_is_meant)
test("on a terminal --wait shows a bar", shows_progress)

# ---- a real node ----

node = Node()
address = f"127.0.0.1:{node.port}"


def real_node():
    def json_of(*words, code=0):
        done = run(*words, "--json", server=address)
        equal(done[0], code)
        return json.loads(done[1])

    eventually(10, lambda: node.json("/v1/cluster")["leader"] is not None)
    body = json_of("cluster", "status")
    equal((body["change"], body["stage"], body["leader"]), (None, "member", body["nodes"][0]["id"]))
    equal(run("cluster", "leader", server=address)[1], address + "\n")
    equal(json_of("cluster", "join", address)["status"], "done")
    equal([k["name"] for k in json_of("keyspace", "list")["keyspaces"]], ["default"])
    contains(json_of("cluster", "join", "127.0.0.1:1")["command"], f"--join {address}")
    stranger = Node()
    ours = body["cluster_id"]
    theirs = eventually(10, lambda: stranger.json("/v1/cluster")["cluster_id"] or False)
    code, out, err = run("cluster", "join", f"127.0.0.1:{stranger.port}", server=address)
    equal((code, out), (4, ""))
    contains(err, f"127.0.0.1:{stranger.port} is a node of cluster {theirs}, and {address} of cluster {ours}; nothing was done")
    stranger.stop()
    equal(json_of("cluster", "plan")["plan"]["slots_changed"], 0)
    equal(json_of("keyspace", "create", "k", "--replicas", "1")["keyspace"]["name"], "k")
    equal(run("keyspace", "create", "k", server=address)[0], 1)
    for words, line in ((["cluster", "leave", address], "no member would be left"),
                        (["cluster", "pause"], "no change of the ring is running"),
                        (["keyspace", "drop", "default"], "the default keyspace cannot be dropped")):
        code, out, err = run(*words, server=address)
        equal((code != 0, out), (True, ""))
        contains(err, line)


def real_paths():
    def ask(method, path, body=None):
        status, _, text = node.http(method, path, body)
        return status, json.loads(text)

    equal(ask("POST", "/v1/cluster/nodes", b'{"address":"%s"}' % address.encode())[0], 200)
    equal(ask("POST", "/v1/cluster/nodes", b'{"address":"127.0.0.1:1"}')[0], 202)
    equal(ask("POST", "/v1/cluster/nodes", b'{"address":"127.0.0.1:1","weight":NaN}')[1]["error"]["code"], "bad_json")
    equal(ask("POST", "/v1/cluster/nodes", b"x" * 70000)[1]["error"]["code"], "body_too_large")
    equal(ask("DELETE", "/v1/cluster/nodes/1?force=true")[0], 409)
    equal(ask("PATCH", "/v1/cluster/nodes/1", b'{"weight":0}')[1]["error"]["code"], "bad_weight")
    equal(ask("GET", "/v1/keyspaces/default")[1]["replicas"], 3)
    equal(ask("GET", "/v1/keyspaces/none")[0], 404)
    # On one connection answers keep the order of the requests, also behind a write that waits for the disk.
    reply = node.raw(b"PUT /v1/kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
                     b"GET /v1/keyspaces HTTP/1.1\r\nHost: a\r\n\r\n"
                     b"GET /v1/kv/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    parts = re.findall(rb'"version"|"keyspaces"|\r\n\r\nx$', reply)
    equal(parts, [b'"version"', b'"keyspaces"', b"\r\n\r\nx"])


test("a real node answers what it can", real_node)
test("the paths of a real node", real_paths)
finish()

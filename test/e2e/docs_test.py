#!/usr/bin/env python3
"""Every example of README.md and docs/*.md is executed, and does and prints what the page says.

A fence says by its first word what it holds:

  console  commands behind `$ `, and below each what it prints; nothing below: what it prints is not looked at
  sh       commands
  text, json, ..  nothing to be run

One without a word is a console. A command must exit with 0, and curl must not be answered with an error
unless the page shows it. Comments stand on lines of their own, are not shown by browsers and hold for what follows:

  <!-- nodes: 1 -->               one node at 8080; 3: three nodes that know each other, at 8081 to 8083; 0: none.
                                  What ran before is ended and forgotten
  <!-- kill: localhost:8083 -->   end this node as power loss would, and wait until the others know
  <!-- start: localhost:8083 -->  start it again, or several, as before, and wait until all is well
  <!-- before: COMMAND -->        run this, but do not show it
  <!-- on: 10.0.0.2 .. -->        the next block is run on this machine, or on each of these
  <!-- not run: WHY -->           the next block is not run
  <!-- numbers vary: WHY -->      in what the next block prints any number may stand where the page has one
  <!-- not compared: WHY -->      the next block is run, and what it prints not looked at

In what is printed `..` stands for anything. A version, a number of nine digits or more, a time with its unit and a
width of blanks vary by themselves, and so do line breaks that the page indents; `2/3` is two or more of three. A
version that a command names is the one that was printed in its place above. `atoll serve` and `./dev` run in the
background, ports and machines are those of the test, nodes leave syncing to the kernel, `--seconds` is 1 and a benchmark takes few keys.
"""
import concurrent.futures
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from lib import ATOLL, contains, eventually, finish, free_ports, test, work

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND_SECONDS_MAX = 60
READY_SECONDS_MAX = 60
PAGES_AT_ONCE = 3  # they mostly wait for nodes
RUN = {"console", "sh", ""}
VERSION = r"[0-9a-f]{12,16}\.[0-9a-f]+\.[0-9a-f]+"
PORTS = [8080, 8081, 8082, 8083, 8084, 8090]
PORT = re.compile(r"(?<![0-9.])(?:" + "|".join(map(str, PORTS)) + r")(?![0-9])")
MACHINE = re.compile(r"10\.0\.0\.(\d+)")
VARIES = re.compile(rf"(?P<rest>\.{{2,}})|(?P<version>{VERSION})|(?P<long>\d{{9,}})|(?P<time>\d+(?:\.\d+)? (?:us|ms|s)\b)|"
                    r"(?P<acks>\b\d/\d\b)|(?P<broken>\n +)|(?P<blanks> +)|(?P<number>\d+)")
ANY = {"rest": ".*?", "version": f"({VERSION})", "long": r"\d+", "time": r"\d+(?:\.\d+)? (?:us|ms|s)", "broken": r"\s*",
       "blanks": " +",
       "number": r"\d+"}

# What stands in for the programs that the pages name.
SERVE = r"""#!/bin/bash
# atoll: `serve` runs in the background until the page ends; it is awaited. `bench` takes few keys.
case " $* " in *" --node "*) ;; *) export ATOLL_SERVER=${ATOLL_SERVER:-localhost:$PORT_8080} ;; esac
case $1 in
serve) ;;
bench) exec "$REAL_ATOLL" "$@" --keys 1000 ;;
*) exec "$REAL_ATOLL" "$@" ;;
esac
shift
log=$(mktemp "$LOGS/node-XXXXXX")
case " $* " in *" --port "* | *" --listen "*) ;; *) set -- --port "$PORT_8080" "$@" ;; esac
ATOLL_SYNC=never "$REAL_ATOLL" serve "$@" </dev/null >"$log" 2>&1 &
command=$(printf '%q ' atoll serve "$@")
address=127.0.0.1:$PORT_8080
while [ $# -gt 0 ]; do
    case $1 in
    --port) address=127.0.0.1:$2 ;;
    --listen) address=${2/#:/127.0.0.1:} ;;
    esac
    shift
done
echo "$! $address" >>"$LOGS/pids"
echo "$command" >"$LOGS/start-$address"
for _ in $(seq 200); do
    case $(<"$log") in *" serves http://"* | *" is a proxy on http://"*) exit 0 ;; esac
    if ! kill -0 $! 2>/dev/null; then cat "$log" && exit 1; fi
    sleep 0.05
done
cat "$log" && exit 1
"""
DEV = r"""#!/bin/bash
# dev: what `run` and `cluster` start, with the program under test.
case $1 in
run) exec atoll serve ;;
cluster)
    peers=127.0.0.1:$PORT_8081,127.0.0.1:$PORT_8082,127.0.0.1:$PORT_8083
    n=0
    for port in $PORT_8081 $PORT_8082 $PORT_8083; do
        n=$((n + 1))
        atoll serve --port $port --peers $peers --dir data/cluster/n$n --shards 1 || exit 1
    done
    for port in $PORT_8081 $PORT_8082 $PORT_8083; do
        until "$REAL_CURL" -sf http://127.0.0.1:$port/ready >"$LOGS/ready"; do sleep 0.05; done
    done ;;
test) ;; # this test is a part of it
*) echo "./dev $1 stands for nothing here" && exit 1 ;;
esac
"""
CURL = r"""#!/bin/bash
# curl: quiet, as on a terminal; notes each status; ends a stream that has no end.
error=$(mktemp)
case " $* " in *"/v1/events"*) set -- --max-time 4 "$@" ;; esac
"$REAL_CURL" -sS -w '%{stderr}@@%{http_code}\n' "$@" 2>"$error"
code=$?
sed -n 's/^@@//p' "$error" >>"$LOGS/statuses"
grep -v '^@@\|^curl: (28)' "$error" >&2
rm -f "$error"
[ $code -ne 28 ] || code=0
exit $code
"""
REDIS_CLI = r"""#!/bin/bash
# redis-cli: prints as on a terminal, where nothing else reads it.
if [ -f /dev/stdout ]; then set -- --no-raw "$@"; fi
exec "$REAL_REDIS_CLI" "$@"
"""


class Block:
    """A fence, or an indented block: where it is, what it is, and what was said in front of it."""

    def __init__(self, line, kind, said):
        self.line, self.kind, self.lines = line, kind, []
        self.said = said  # by word: why, or where

    def commands(self):
        """(line, command, printed or None) of each."""
        number, lines = self.line, list(self.lines)
        prompted = self.kind != "sh"
        while lines:
            number += 1
            line = lines.pop(0)
            if not line.strip() or (not prompted and line.startswith("#")):
                continue
            if prompted and not line.startswith("$ "):
                raise AssertionError(f"line {number}: printed by no command: {line!r}")
            at, command = number, line[2:] if prompted else line
            while lines and is_open(command):
                number += 1
                command += "\n" + lines.pop(0)
            printed = []
            while prompted and lines and not lines[0].startswith("$ "):
                number += 1
                printed.append(lines.pop(0))
            text = "\n".join(printed).strip("\n")
            yield at, command, text if prompted and text else None


def is_open(command):
    """Whether the command goes on in the next line."""
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command, comments=True)
        return False
    except ValueError:
        return True


def parts(path):
    """The blocks of a page and what is said between them: (line, word, argument) or Block."""
    said, block, items, fence = {}, None, [], False
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            if fence:
                items.append(block)
                block, fence = None, False
            else:
                block, fence, said = Block(number, line[3:].strip(), said), True, {}
        elif fence:
            block.lines.append(line)
        elif line.startswith("    ") and not lines[number - 2].strip() and not in_list(lines, number - 1):
            items.append(Block(number, "indented", {}))
        else:
            match = re.fullmatch(r"<!-- ([a-z ]+): (.+) -->", line)
            if match and match[1] in ("not run", "numbers vary", "not compared", "on"):
                said[match[1]] = match[2]
            elif match:
                items.append((number, match[1], match[2]))
            elif line.strip():
                said = {}
    assert not fence, f"{path}: a fence is left open"
    return items


def in_list(lines, index):
    """Whether an indented line goes on with an item of a list: the text before it decides."""
    for line in reversed(lines[:index]):
        if line.strip() and not line.startswith(" "):
            return re.match(r"[-*] |\d+\. ", line) is not None
    return False


class Page:
    """One page: its own folder, ports, shell and nodes."""

    pages = set()  # those that are open
    over = False  # the test is ended early

    def __init__(self, path, ports):
        self.path = path
        self.folder = tempfile.mkdtemp(prefix="page-", dir=work)
        self.logs = os.path.join(self.folder, "logs")
        self.home = os.path.join(self.folder, "home")
        self.ports = dict(zip(PORTS, sorted(ports)))
        self.versions = {}  # by what the page shows: what was printed
        self.machine = "1"
        self.count = 0
        self.write_programs()
        self.shell = None
        self.open_shell()
        self.pages.add(self)

    def write_programs(self):
        programs = os.path.join(self.folder, "bin")
        for folder in (self.logs, programs, os.path.join(self.home, "build")):
            os.makedirs(folder)
        for name, text in ((f"{programs}/atoll", SERVE), (f"{self.home}/build/atoll", SERVE), (f"{self.home}/dev", DEV),
                           (f"{programs}/curl", CURL), (f"{programs}/redis-cli", REDIS_CLI)):
            with open(name, "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(name, 0o755)
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith(("ATOLL", "NET_", "NODE_", "KVSTORE"))},
                            "PATH": programs + ":" + os.environ["PATH"], "REAL_ATOLL": os.path.abspath(ATOLL),
                            "REAL_CURL": shutil.which("curl") or "curl", "REAL_REDIS_CLI": shutil.which("redis-cli") or "redis-cli", "LOGS": self.logs, "LC_ALL": "C.UTF-8",
                            **{f"PORT_{k}": str(v) for k, v in self.ports.items()}}

    def open_shell(self):
        self.shell = subprocess.Popen(["bash", "--norc", "--noprofile"], cwd=self.home, env=self.environment, text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        self.pages.discard(self)
        self.end_nodes()
        self.shell.kill()
        self.shell.wait()
        self.shell.stdin.close()

    def running(self):
        """[(pid, address)] of the nodes that run."""
        lines = [line.split() for line in read_text(f"{self.logs}/pids").splitlines()]
        return [(int(pid), address) for pid, address in lines
                if f"{self.environment['REAL_ATOLL']}\0serve" in read_text(f"/proc/{pid}/cmdline")]

    def members(self):
        return [address for _, address in self.running() if "proxy" not in read_text(f"{self.logs}/start-{address}")]

    def end_nodes(self, which=None):
        for pid, address in self.running():
            if which in (None, address):
                os.kill(pid, 9)
        eventually(10, lambda: not [1 for _, address in self.running() if which in (None, address)])

    def here(self, text):
        """The text of the page with the test's ports, machines and folders."""
        text = PORT.sub(lambda m: str(self.ports[int(m[0])]), text)
        return MACHINE.sub(r"127.0.1.\1", text)

    def run(self, command):
        """(exit code, what it printed, HTTP statuses that curl saw)"""
        assert not self.over, "the test was ended"
        for shown, found in self.versions.items():
            command = command.replace(shown, found)
        command = re.sub(r"--seconds \d+", "--seconds 1", self.here(command))
        command = command.replace("/var/lib/atoll", f"{self.folder}/machine-{self.machine}/atoll")
        assert "/var/" not in command, f"{command}: outside of the folder of the test"
        os.makedirs(f"{self.folder}/machine-{self.machine}/atoll", exist_ok=True)
        self.count += 1
        name = os.path.join(self.logs, f"command-{self.count}")
        with open(name, "w", encoding="utf-8") as f:
            f.write(command + "\n")
        open(f"{self.logs}/statuses", "w").close()
        self.shell.stdin.write(f". {name} </dev/null >{name}.out 2>&1; echo $? >{name}.tmp; mv {name}.tmp {name}.code\n")
        self.shell.stdin.flush()
        end = time.monotonic() + COMMAND_SECONDS_MAX
        while not os.path.exists(f"{name}.code"):
            if time.monotonic() > end or self.shell.poll() is not None:
                self.shell.kill()
                self.shell.wait()
                self.open_shell()
                raise AssertionError(f"no end after {COMMAND_SECONDS_MAX} s: {command}\n{read_text(name + '.out')}")
            time.sleep(0.01)
        return (int(read_text(f"{name}.code")), read_text(f"{name}.out"),
                [int(s) for s in read_text(f"{self.logs}/statuses").split()])

    def example(self, command, printed, said):
        code, out, statuses = self.run(command)
        what = f"{command}\nexited with {code}, printed:\n{out}"
        assert code == 0, what
        if "not compared" in said:
            return
        if printed is None:
            assert not [s for s in statuses if s >= 400], f"{what}\nis answered with {statuses}, which the page does not show"
            return
        self.compare(self.here(printed), out, what, "numbers vary" in said)

    def compare(self, printed, out, what, numbers_vary):
        shown = []

        def varies(match):
            if match.lastgroup == "version":
                shown.append(match[0])
            if match.lastgroup == "acks":
                least, replicas = match[0].split("/")
                return f"[{least}-{replicas}]/{replicas}"
            if match.lastgroup == "number" and not numbers_vary:
                return match[0]
            return ANY[match.lastgroup]

        pattern, at = "", 0
        for match in VARIES.finditer(printed):
            pattern += re.escape(printed[at:match.start()]) + varies(match)
            at = match.end()
        pattern += re.escape(printed[at:])
        found = re.fullmatch(pattern, out.replace("\r\n", "\n").strip("\n"), re.DOTALL)
        assert found, f"{what}\nthe page shows:\n{printed}"
        self.versions.update(zip(shown, found.groups()))

    def nodes(self, count):
        self.end_nodes()
        data = os.path.join(self.folder, "data")
        for folder in (data, self.home + "/data", *glob.glob(self.folder + "/machine-*")):
            shutil.rmtree(folder, ignore_errors=True)
        command = {"0": "true", "1": f"atoll serve --shards 2 --dir {data}", "3": "./dev cluster"}[count]
        self.must(f"{'export ATOLL_SERVER=localhost:8081' if count == '3' else 'unset ATOLL_SERVER'}; {command}")
        self.await_all()

    def must(self, command):
        code, out, _ = self.run(command)
        assert code == 0, f"{command}\nexited with {code}: {out}"

    def address(self, shown):
        return self.here(shown).replace("localhost", "127.0.0.1")

    def kill(self, shown):
        address, before = self.address(shown), len(self.members())
        self.end_nodes(address)
        others = self.members()
        assert len(others) == before - 1, f"no node ran at {shown}"

        def seen():
            views = [self.view(other) for other in others]
            return all(view.count('"alive":true') == len(others) and
                       any(f'"leader_address":"{other}"' in view for other in others) for view in views)
        eventually(READY_SECONDS_MAX, seen)

    def start(self, shown):
        for one in shown.split():
            self.must(read_text(f"{self.logs}/start-{self.address(one)}"))
        self.await_all()

    @staticmethod
    def ask(address, method, path, body=None):
        request = urllib.request.Request(f"http://{address}{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.read().decode()

    def view(self, address):
        return self.ask(address, "GET", "/v1/cluster")

    def await_all(self):
        members = self.members()
        for address in members:
            eventually(READY_SECONDS_MAX, lambda: self.is_well(address, len(members)))

    def is_well(self, address, count):
        """It serves and sees all others, and every level can be reached."""
        view = self.view(address)
        assert view.count('"alive":true') == count and '"leader":null' not in view, view
        self.ask(address, "GET", "/ready")
        self.ask(address, "PUT", "/v1/kv/_?level=all", b"x")
        self.ask(address, "DELETE", "/v1/kv/_?level=all")
        return True

    def prepare(self, word, argument):
        """What the page says to the test alone."""
        if word == "nodes":
            self.nodes(argument)
        elif word == "kill":
            self.kill(argument)
        elif word == "start":
            self.start(argument)
        elif word == "before":
            self.must(argument)
        else:
            raise AssertionError(f"unknown word {word!r}")

    def block(self, block, report):
        assert block.kind != "indented", "is indented: make it a fence, and say what it is"
        if "not run" in block.said or block.kind not in RUN:
            return
        machines = [m.split(".")[-1] for m in block.said.get("on", "10.0.0.1").split()]
        commands = list(block.commands())
        for machine in machines:
            self.machine = machine
            for line, command, printed in commands:
                command = re.sub(rf"(--(listen|advertise) )10\.0\.0\.{machines[0]}:", rf"\g<1>10.0.0.{machine}:", command)
                first = command.split("\n")[0]
                report(f"{self.path}:{line} {first[:70]}", lambda: self.example(command, printed, block.said))

    def examples(self, report):
        for part in parts(os.path.join(ROOT, self.path)):
            if isinstance(part, Block):
                try:
                    self.block(part, report)
                except AssertionError as e:
                    report(f"{self.path}:{part.line} a block", lambda: contains("", str(e)))
            else:
                line, word, argument = part
                try:
                    self.prepare(word, argument)
                except Exception as e:
                    report(f"{self.path}:{line} {word}: {argument[:60]}", lambda: contains("", str(e)))


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def end_early():
    """By a signal: threads are not waited for, and leave nothing behind."""
    Page.over = True
    for page in list(Page.pages):
        page.close()
    shutil.rmtree(work, ignore_errors=True)
    os._exit(130)


def run_page(path, ports):
    """The results of its examples: (name, error or None) of each."""
    results = []

    def report(name, body):
        try:
            body()
            results.append((name, None))
        except Exception as e:
            results.append((name, e))

    page = Page(path, ports)
    try:
        page.examples(report)
    finally:
        page.close()
    return results


FALSE_PAGE = """# A page that is wrong
<!-- nodes: 1 -->
```console
$ curl -X PUT -d hello http://127.0.0.1:8080/v1/kv/k
{"version":"18c2b3a4d5e60001.1.3"}
$ curl -X PUT -H 'If-Match: "18c2b3a4d5e60001.1.3"' -d bye http://127.0.0.1:8080/v1/kv/k
$ curl http://127.0.0.1:8080/v1/kv/k
hello
$ curl http://127.0.0.1:8080/v1/kv/none
$ atoll get none
```

    indented

```
printed by nobody
```
<!-- not run: it is of another machine -->
```sh
false
```
```sh
false
```
```sh
rm -rf /var/tmp/none
```
"""


def notices_what_is_false():
    path = os.path.join(work, "false.md")
    with open(path, "w", encoding="utf-8") as f:
        f.write(FALSE_PAGE)
    results = [str(error or "ok") for _, error in run_page(path, free_ports(len(PORTS)))]
    assert results[:2] == ["ok", "ok"], results
    contains(results[2], "printed:\nbye\nthe page shows:\nhello")
    contains(results[3], "is answered with [404]")
    contains(results[4], "exited with 1")
    contains(results[5], "is indented")
    contains(results[6], "printed by no command")
    contains(results[7], "exited with 1")
    assert len(results) == 9, results
    contains(results[8], "outside of the folder")


def headings(path):
    """The anchors of a page, as browsers of repositories make them."""
    text = re.sub(r"^```.*?^```$", "", read_text(path), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def links():
    wrong = []
    for page in ["README.md", "HACKING.md", "ARCHITECTURE.md", "bench/README.md", *glob.glob("docs/**/*.md", recursive=True)]:
        for target in re.findall(r"\]\(([^)\s]+)\)|^\[\w+\]: (\S+)$", read_text(page), re.MULTILINE):
            name, _, anchor = (target[0] or target[1]).partition("#")
            if ":" in name:
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(page), name)) if name else page
            if not os.path.exists(path) or (anchor and anchor not in headings(path)):
                wrong.append(f"{page}: {target[0] or target[1]}")
    assert not wrong, wrong


def raise_error(error):
    if error is not None:
        raise error


def main():
    os.chdir(ROOT)
    test("every link from page to page leads to one, and to its heading", links)
    test("an example that is false is noticed, and so is a block that is not marked", notices_what_is_false)
    pages = [name for name in ["README.md", *sorted(glob.glob("docs/*.md"))] if not sys.argv[1:] or name in sys.argv[1:]]
    ports = free_ports(len(PORTS) * len(pages)) if pages else []
    with concurrent.futures.ThreadPoolExecutor(PAGES_AT_ONCE) as pool:
        runs = [pool.submit(run_page, path, ports[i::len(pages)]) for i, path in enumerate(pages)]
        try:
            for run in runs:
                for name, error in run.result():
                    test(name, lambda: raise_error(error))
        except SystemExit:
            end_early()
    finish()


main()

#!/usr/bin/env python3
"""`atoll completion`: the scripts, run by the shells themselves."""
import json
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time

from lib import ATOLL, equal, finish, skip, test

work = tempfile.mkdtemp()
os.makedirs(f"{work}/folder")
open(f"{work}/keys.json", "w").close()
ASK = r'''
source <("$ATOLL" completion bash)
while read -r -a COMP_WORDS; do
    [ "${COMP_WORDS[-1]}" = NOTHING ] && COMP_WORDS[-1]=''
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _atoll
    printf '%s ' "${COMPREPLY[@]}"
    echo
done
'''


def bash(*lines):
    """What bash would offer for each line; as it splits words, `=` is one. A line ends where the
    cursor is."""
    text = "".join(re.sub("=", " = ", line + ("NOTHING" if line.endswith((" ", "=")) else "")) + "\n" for line in lines)
    done = subprocess.run(["bash", "--norc", "-c", ASK], input=text, capture_output=True, text=True, cwd=work,
                          env={**os.environ, "ATOLL": ATOLL}, timeout=60)
    assert not done.stderr, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def sorted_bash(*lines):
    return [sorted(offered) for offered in bash(*lines)]


def help_of(*words):
    """Options as --help has them."""
    text = subprocess.run([ATOLL, *words, "--help"], capture_output=True, text=True, check=True, timeout=10).stdout
    return sorted(set(re.findall(r"^  (--[a-z-]+)", text, re.M)))


def commands_of(*words):
    text = subprocess.run([ATOLL, *words, "--help"], capture_output=True, text=True, check=True, timeout=10).stdout
    return re.findall(r"^  ([a-z]+) ", text, re.M)


def case(name):
    return lambda body: test(name, body)


COMMANDS = [word for word in commands_of() if word != "atoll"]


@case("every command has its options, those of its --help, in bash")
def _():
    plain = [c for c in COMMANDS if c not in ("cluster", "keyspace", "config")]
    places = [[c] for c in plain] + [[c, word] for c in ("cluster", "keyspace") for word in commands_of(c)]
    offered = bash(*(f"atoll {' '.join(place)} --" for place in places))
    for place, options in zip(places, offered):
        equal((place, sorted(set(options))), (place, help_of(*place)))


@case("commands and words complete in bash")
def _():
    equal(bash("atoll ", "atoll c", "atoll help ", "atoll cluster p", "atoll keyspace ", "atoll get ",
               "atoll cluster --json sta"),
          [COMMANDS, [c for c in COMMANDS if c.startswith("c")], COMMANDS, ["plan", "pause"],
           ["list", "create", "alter", "drop"], [], ["status"]])


@case("values of options complete in bash")
def _():
    equal(bash("atoll serve --sync ", "atoll serve --sync=", "atoll serve --sync=al", "atoll serve -sync n",
               "atoll bench --protocol h", "atoll get --level ", "atoll get --timeout ", "atoll get --json --lev",
               "atoll keyspace create --discipline s", "atoll cluster throttle ", "atoll completion ",
               "atoll cluster --server 127.0.0.1:1 sta", "atoll serve --log-level=debug --log-f"),
          [["always", "never", "interval="], ["always", "never", "interval="], ["always"], ["never"],
           ["http"], ["one", "quorum", "all"], [], ["--level"],
           ["strict"], ["none"], ["bash", "zsh"],
           ["status"], ["--log-format"]])


@case("files and folders complete in bash")
def _():
    equal(sorted_bash("atoll import ", "atoll import k", "atoll check ", "atoll put key --file k", "atoll serve --dir "),
          [["folder", "keys.json"], ["keys.json"], ["folder"], ["keys.json"], ["folder"]])


class Zsh:
    """An interactive zsh at a terminal of its own."""

    def __init__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(work)
            os.environ.update(TERM="dumb", ZDOTDIR=work, HOME=work, ATOLL=ATOLL, PS1="READY> ",
                              PATH=f"{os.path.dirname(ATOLL)}:{os.environ['PATH']}")
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.lines = 0
        self.ask("PS1='READY> '; autoload -U compinit; compinit -u -D; source <($ATOLL completion zsh)\r", "READY> ")
        self.settle()

    def ask(self, keys, *wanted):
        """Type, and read until all that is wanted has come."""
        os.write(self.fd, keys.encode())
        text, until = "", time.monotonic() + 30
        while not all(part in text for part in wanted):
            assert time.monotonic() < until, (keys, wanted, text)
            if select.select([self.fd], [], [], 0.1)[0]:
                text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\x07\x08]", "", os.read(self.fd, 65536).decode())
        return text

    def settle(self):
        """Take the line back, and read until the shell has done all that was typed."""
        self.lines += 1
        self.ask(f"\x15echo SETT''LED{self.lines}.\r", f"SETTLED{self.lines}.")

    def complete(self, line, *wanted):
        """These are among what is offered for the line, or put into it."""
        text = self.ask(line + "\t", *wanted)
        self.settle()
        return text

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def zsh_completes():
    shell = Zsh()
    try:
        for line, rest in (("atoll expo", "rt"), ("atoll cluster thro", "ttle"), ("atoll bench --proto", "col"),
                           ("atoll bench --protocol h", "ttp"), ("atoll serve --sync=alw", "ays"),
                           ("atoll import ke", "ys.json"), ("atoll check fo", "lder")):
            shell.complete(line, line + rest)
        shell.complete("atoll keyspace ", "create", "Make a keyspace", "drop", "Delete a keyspace with all its keys")
    finally:
        shell.close()


if shutil.which("zsh"):
    test("it completes in zsh", zsh_completes)
else:
    skip("it completes in zsh", "zsh is not installed")


@case("another shell is refused, and --json prints the script")
def _():
    done = subprocess.run([ATOLL, "completion", "fish"], capture_output=True, text=True, timeout=10)
    equal((done.returncode, done.stdout), (2, ""))
    plain = subprocess.run([ATOLL, "completion", "bash"], capture_output=True, text=True, timeout=10).stdout
    done = subprocess.run([ATOLL, "completion", "bash", "--json"], capture_output=True, text=True, timeout=10)
    equal(json.loads(done.stdout), {"script": plain})


shutil.rmtree(work, ignore_errors=True)
finish()

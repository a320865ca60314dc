#!/usr/bin/env python3
"""Whatever bytes a client sends, it gets a clear error in its own protocol, others notice nothing, and no data changes."""
import json
import os
import random
import re
import socket
import time

from lib import Node, Resp, RespError, equal, finish, read_until, test

SEED = int(os.environ.get("SEED", "1"), 0)
GARBAGE = 3000
KIB, MIB = 1024, 1024 * 1024
VALUE_MAX = 16 * MIB
KEPT = {f"keep{i}": f"value of {i}".encode() for i in range(200)}

node = Node("--shards", "2")


def store_kept():
    client = node.resp()
    for key, value in KEPT.items():
        equal(client("SET", key, value), "OK")
    client.close()


def unhurt():
    """The node is the same process, ready, and has all it was given."""
    equal(node.process.poll(), None)
    equal(node.http("GET", "/ready")[0], 200)
    client = node.resp()
    equal(client("MGET", *KEPT), list(KEPT.values()))
    client.close()


def exchange(data, seconds=10.0):
    """Send, say that no more comes, and read all that comes back. A node that refuses may
    stop reading, so what cannot be sent any more is left."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=seconds) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        began = time.monotonic()
        got = read_until(s, seconds)
        assert time.monotonic() - began < seconds, f"no end within {seconds} s after {got!r:.200}"
        return got


# ---- RESP ----

def command(*args):
    return Resp.encode(*args)


def resp_goes_on(name, data, wanted):
    """The error is exactly this, and the next command is served."""
    def body():
        wanted_bytes = b"" if wanted is None else b"-" + wanted.encode() + b"\r\n"
        equal(exchange(data + command("GET", "keep7")), wanted_bytes + b"$10\r\nvalue of 7\r\n")
    test(f"resp: {name}", body)


def resp_ends(name, data, wanted):
    """The error is exactly this, and the connection ends: what follows is not run."""
    test(f"resp: {name}, and the end", lambda: equal(
        exchange(data + command("SET", "keep1", "smuggled")), b"-ERR Protocol error: " + wanted.encode() + b"\r\n"))


def resp_cases():
    integer = "ERR value is not an integer or out of range"
    syntax = "ERR syntax error"
    for name, args, wanted in [
        ("an unknown command", ("FOO", "a", "b"), "ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
        ("a command of another type", ("LPUSH", "k", "v"), "ERR unknown command 'LPUSH', with args beginning with: 'k' 'v' "),
        ("a name with a NUL", (b"P\0NG",), "ERR unknown command 'P NG', with args beginning with: "),
        ("a name with line ends stays one line", (b"F\r\n+OK\r\n",), "ERR unknown command 'F  +OK  ', with args beginning with: "),
        ("an empty name", (b"",), "ERR unknown command '', with args beginning with: "),
        ("too few arguments", ("GET",), "ERR wrong number of arguments for 'get' command"),
        ("too many arguments for get", ("GET", "a", "b"), "ERR wrong number of arguments for 'get' command"),
        ("set without a value", ("SET", "a"), "ERR wrong number of arguments for 'set' command"),
        ("mset with a value missing", ("MSET", "a", "b", "c"), "ERR wrong number of arguments for 'mset' command"),
        ("a container without its command", ("CONFIG",), "ERR wrong number of arguments for 'config' command"),
        ("too few arguments of a child", ("CONFIG", "GET"), "ERR wrong number of arguments for 'config|get' command"),
        ("an unknown child", ("CLIENT", "FOO"), "ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
        ("an empty key", ("SET", "", "v"), "ERR invalid key: length must be 1..65535 bytes, got 0"),
        ("a key that is too long", ("SET", "k" * 65536, "v"), "ERR invalid key: length must be 1..65535 bytes, got 65536"),
        ("a key longer than any value", ("GET", b"k" * (VALUE_MAX + 1)), f"ERR invalid key: length must be 1..65535 bytes, got {VALUE_MAX + 1}"),
        ("a bad key among good ones", ("MSET", "new1", "v", "", "v"), "ERR invalid key: length must be 1..65535 bytes, got 0"),
        ("a value that is too long", ("SET", "new1", b"v" * (VALUE_MAX + 1)), f"ERR value is too large: {VALUE_MAX + 1} bytes, at most {VALUE_MAX} allowed"),
        ("one long value among many", ("MSET", "new1", "v", "new2", b"v" * (VALUE_MAX + 1), "new3", "v"), f"ERR value is too large: {VALUE_MAX + 1} bytes, at most {VALUE_MAX} allowed"),
        ("a command of 40 MiB", ("MSET", "new1", b"v" * VALUE_MAX, "new2", b"v" * VALUE_MAX, "new3", b"v" * 8 * MIB), f"ERR command is too large: at most {33 * MIB} bytes allowed"),
        ("more keys than a command may have", ("MGET", *["k"] * 65537), "ERR too many keys: 65537, at most 65536 allowed"),
        ("more arguments than a command may have", ("MSET", *["k", "v"] * 65537), "ERR too many arguments: 131075, at most 131073 allowed"),
        ("a lifetime of zero", ("SET", "new1", "v", "EX", "0"), "ERR invalid expire time in 'set' command"),
        ("a lifetime below zero", ("SET", "new1", "v", "PX", "-1"), "ERR invalid expire time in 'set' command"),
        ("a lifetime past the end of time", ("SET", "new1", "v", "EX", "9223372036854775807"), "ERR invalid expire time in 'set' command"),
        ("a lifetime that is no number", ("SET", "new1", "v", "EX", "1.5"), integer),
        ("a lifetime with a plus", ("SET", "new1", "v", "EX", "+1"), integer),
        ("a lifetime with a NUL", ("SET", "new1", "v", "EX", b"1\0"), integer),
        ("setex of zero", ("SETEX", "new1", "0", "v"), "ERR invalid expire time in 'setex' command"),
        ("psetex below zero", ("PSETEX", "new1", "-5", "v"), "ERR invalid expire time in 'psetex' command"),
        ("getex of zero", ("GETEX", "keep7", "EX", "0"), "ERR invalid expire time in 'getex' command"),
        ("expire by no number", ("EXPIRE", "keep7", "abc"), integer),
        ("expire past the end of time", ("EXPIRE", "keep7", "9223372036854775807"), "ERR invalid expire time in 'expire' command"),
        ("expire with an unknown option", ("EXPIRE", "keep7", "10", "ZZ"), "ERR Unsupported option ZZ"),
        ("expire with options that exclude each other", ("EXPIRE", "keep7", "10", "GT", "LT"), "ERR GT and LT options at the same time are not compatible"),
        ("set with an unknown option", ("SET", "new1", "v", "ZZ"), syntax),
        ("set NX XX", ("SET", "new1", "v", "NX", "XX"), syntax),
        ("set with half an option", ("SET", "new1", "v", "EX"), syntax),
        ("set with two lifetimes", ("SET", "new1", "v", "EX", "1", "PX", "1"), syntax),
        ("set with a lifetime kept and given", ("SET", "new1", "v", "KEEPTTL", "EX", "1"), syntax),
        ("incr of a text", ("INCR", "keep7"), integer),
        ("incr by a text", ("INCRBY", "new1", "abc"), integer),
        ("incr by too much", ("INCRBY", "new1", "9223372036854775808"), integer),
        ("decr by the least number", ("DECRBY", "new1", "-9223372036854775808"), "ERR decrement would overflow"),
        ("incr by a text, float", ("INCRBYFLOAT", "new1", "abc"), "ERR value is not a valid float"),
        ("incr by nan", ("INCRBYFLOAT", "new1", "nan"), "ERR value is not a valid float"),
        ("incr by inf", ("INCRBYFLOAT", "new1", "inf"), "ERR increment would produce NaN or Infinity"),
        ("another database", ("SELECT", "1"), "ERR DB index is out of range"),
        ("a database that is no number", ("SELECT", "abc"), integer),
        ("a cursor that is no number", ("SCAN", "abc"), "ERR invalid cursor"),
        ("a cursor below zero", ("SCAN", "-1"), "ERR invalid cursor"),
        ("a cursor never given out", ("SCAN", "12345678901"), "ERR invalid cursor: unknown or too old, start again at 0"),
        ("scan of nothing at a time", ("SCAN", "0", "COUNT", "0"), syntax),
        ("scan by no number", ("SCAN", "0", "COUNT", "x"), integer),
        ("scan with half an option", ("SCAN", "0", "MATCH"), syntax),
        ("flush of something else", ("FLUSHALL", "NOW"), syntax),
        ("a protocol that does not exist", ("HELLO", "4"), "NOPROTO unsupported protocol version"),
        ("a protocol that is no number", ("HELLO", "x"), "ERR Protocol version is not an integer or out of range"),
        ("a password where there is none", ("AUTH", "x"), "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"),
        ("a setting while it runs", ("CONFIG", "SET", "dir", "/"), "ERR Unknown option or number of arguments for CONFIG SET - 'dir'; only log-level, loglevel, slow-ms and slowlog-log-slower-than can be set"),
    ]:
        resp_goes_on(name, command(*args), wanted)
    resp_goes_on("inline junk", b"howdy big \t world\r\n", "ERR unknown command 'howdy', with args beginning with: 'big' 'world' ")
    resp_goes_on("blank lines", b"\r\n \t \r\n\n", None)
    resp_goes_on("an empty array", b"*0\r\n", None)
    resp_goes_on("an array of less than nothing", b"*-1\r\n", None)
    resp_goes_on("NULs in a line", b"\0\0\0\r\n", "ERR unknown command '   ', with args beginning with: ")
    resp_ends("quotes that do not match", b'SET "a\r\n', "unbalanced quotes in request")
    resp_ends("a line that does not end", b"x" * (64 * KIB), "too big inline request")
    for text in (b"1048577", b"99999999999999999999", b"2147483648", b"abc", b"1x", b"01", b"+1", b" 1", b"", b"-"):
        resp_ends(f"an array of {text.decode() or 'nothing'} parts", b"*" + text + b"\r\n", "invalid multibulk length")
    for text in (b"-1", b"-2147483648", b"536870913", b"99999999999999999999", b"abc", b"01", b"", b"1\n"):
        resp_ends(f"a string of {text!r} bytes", b"*2\r\n$" + text + b"\r\n", "invalid bulk length")
    resp_ends("an array without strings", b"*1\r\nPING\r\n", "expected '$', got 'P'")
    resp_ends("an integer in a command", b"*1\r\n:1\r\n", "expected '$', got ':'")
    resp_ends("a string longer than it says", b"*1\r\n$4\r\nPINGPING\r\n", "expected CRLF after bulk string")
    resp_ends("a string with a bare line feed", b"*1\r\n$4\r\nPING\n$", "expected CRLF after bulk string")


def resp_pieces():
    """An oversize value that comes in pieces is skipped, not gathered."""
    before = node.resident_bytes()
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as s:
        s.sendall(b"*3\r\n$3\r\nSET\r\n$4\r\nnew1\r\n$%d\r\n" % (200 * MIB))
        for _ in range(200):
            s.sendall(b"x" * MIB)
        grown = node.resident_bytes() - before
        s.sendall(b"\r\n" + command("PING"))
        wanted = f"-ERR value is too large: {200 * MIB} bytes, at most {VALUE_MAX} allowed\r\n+PONG\r\n".encode()
        equal(read_until(s, 10, b"PONG\r\n"), wanted)
    assert grown < 64 * MIB, f"grown by {grown // MIB} MiB"


def resp_halves():
    """Half a command does nothing, wherever it is cut."""
    whole = command("SET", "keep2", "overwritten")
    for cut in range(1, len(whole)):
        got = exchange(whole[:cut])
        equal(got, b"")
    equal(node.resp()("GET", "keep2"), KEPT["keep2"])


def resp_half_behind():
    """A client that leaves in the middle of a command, while others wait for a sync or another shard, is let go
    as soon as those are answered, not after --client-wait."""
    for i in range(300):
        got = exchange(command("SET", f"tail{i}", "v") + command("GET", f"tail{i + 1000}") + b"*2\r\n$3\r\nGE", 5)
        equal(got, b"+OK\r\n$-1\r\n")


def nothing_new():
    client = node.resp()
    equal(client("EXISTS", "new1", "new2", "new3", "smuggled", "half"), 0)
    client.close()


# ---- HTTP ----

GET = b"GET /v1/kv/keep7 HTTP/1.1\r\nHost: x\r\n\r\n"
# What must not run, whichever protocol it is taken for.
SMUGGLED = b"PUT /v1/kv/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx\r\nSET smuggled x\r\n"


def replies(got):
    """[(status, code or body)] of the replies in `got`, which must be nothing else."""
    found = []
    while got:
        head, mark, rest = got.partition(b"\r\n\r\n")
        assert mark and head.startswith(b"HTTP/1.1 "), f"no HTTP reply: {got!r:.300}"
        assert re.fullmatch(rb"HTTP/1.1 \d{3} [\w ]+(\r\n[\w-]+: [^\r\n]*)*", head), f"a malformed head: {head!r}"
        match = re.search(rb"\r\nContent-Length: (\d+)", head)
        length = int(match[1]) if match else 0
        body, got = rest[:length], rest[length:]
        equal(len(body), length)
        status = int(head[9:12])
        if status >= 400:
            error = json.loads(body)["error"]
            assert error["message"]
            body = error["code"]
        found.append((status, body))
    return found


def http_goes_on(name, data, status, code):
    def body():
        equal(replies(exchange(data + GET)), [(status, code), (200, KEPT["keep7"])])
    test(f"http: {name}", body)


def http_ends(name, data, status=400, code="bad_request", first=True):
    """Refused, and nothing that follows is run, neither as the first request nor as a later one."""
    def body():
        if first:
            equal(replies(exchange(data + SMUGGLED)), [(status, code)])
        equal(replies(exchange(GET + data + SMUGGLED)), [(200, KEPT["keep7"]), (status, code)])
    test(f"http: {name}, and the end", body)


def put(headers, body=b"", version=b"1.1"):
    return b"PUT /v1/kv/new1 HTTP/" + version + b"\r\nHost: x\r\n" + headers + b"\r\n" + body


def http_framing():
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    for name, headers, body in [
        ("Content-Length beside Transfer-Encoding", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks),
        ("Transfer-Encoding beside Content-Length", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks),
        ("Content-Length twice", b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
        ("two lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"),
        ("a list of lengths", b"Content-Length: 5, 5\r\n", b"hello"),
        ("a length with a sign", b"Content-Length: +5\r\n", b"hello"),
        ("a length below zero", b"Content-Length: -1\r\n", b""),
        ("a length in hex", b"Content-Length: 0x5\r\n", b"hello"),
        ("a length past 64 bits", b"Content-Length: 18446744073709551621\r\n", b"hello"),
        ("an empty length", b"Content-Length:\r\n", b""),
        ("Transfer-Encoding twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks),
        ("a space before the colon", b"Transfer-Encoding : chunked\r\n", chunks),
        ("a tab before the colon", b"Content-Length\t: 5\r\n", b"hello"),
        ("a folded header", b"X: a\r\n Transfer-Encoding: chunked\r\n", chunks),
        ("a folded header with a tab", b"X: a\r\n\tb\r\n", b""),
        ("a bare line feed after a header", b"X: a\nContent-Length: 5\r\n", b"hello"),
        ("a bare line feed at the end", b"X: a\r\n\n", b""),
        ("a bare carriage return in a value", b"X: a\rTransfer-Encoding: chunked\r\n", chunks),
        ("a NUL in a value", b"X: a\0b\r\n", b""),
        ("a NUL in a name", b"X\0: a\r\n", b""),
        ("a control character in a value", b"X: a\x01b\r\n", b""),
        ("a header without a colon", b"Nonsense\r\n", b""),
        ("a header without a name", b": x\r\n", b""),
        ("a name that is no token", b"X(y): a\r\n", b""),
        ("a name that is no ASCII", b"X\xff: a\r\n", b""),
        ("Host twice", b"Host: y\r\n", b""),
        ("no chunk size", b"Transfer-Encoding: chunked\r\n", b"\r\n\r\n"),
        ("a chunk size that is no hex", b"Transfer-Encoding: chunked\r\n", b"5x\r\nhello\r\n0\r\n\r\n"),
        ("a chunk size with 0x", b"Transfer-Encoding: chunked\r\n", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("a chunk size below zero", b"Transfer-Encoding: chunked\r\n", b"-5\r\nhello\r\n0\r\n\r\n"),
        ("a chunk size with a space", b"Transfer-Encoding: chunked\r\n", b"5 \r\nhello\r\n0\r\n\r\n"),
        ("a chunk size past 64 bits", b"Transfer-Encoding: chunked\r\n", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("a chunk longer than it says", b"Transfer-Encoding: chunked\r\n", b"3\r\nhello\r\n0\r\n\r\n"),
        ("a chunk with a bare line feed", b"Transfer-Encoding: chunked\r\n", b"5\nhello\r\n0\r\n\r\n"),
        ("a chunk that ends with a bare line feed", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\n0\r\n\r\n"),
        ("a chunk extension that never ends", b"Transfer-Encoding: chunked\r\n", b"5;" + b"x" * 300),
        ("a control character in a chunk extension", b"Transfer-Encoding: chunked\r\n", b"5;\0\r\nhello\r\n0\r\n\r\n"),
        ("a malformed trailer", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
        ("too long a trailer", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\nX: " + b"x" * 8192 + b"\r\n\r\n"),
    ]:
        http_ends(name, put(headers, body))
    http_ends("Transfer-Encoding in HTTP/1.0", put(b"Transfer-Encoding: chunked\r\n", chunks, b"1.0"))
    for coding in (b"gzip", b"identity", b"chunked, chunked", b"gzip, chunked", b"xchunked", b"chunked;x=1", b'"chunked"'):
        http_ends(f"Transfer-Encoding: {coding.decode()}", put(b"Transfer-Encoding: " + coding + b"\r\n", chunks), 501, "not_implemented")
    http_ends("no Host", b"GET /v1/kv/keep7 HTTP/1.1\r\n\r\n")
    http_ends("a Host that is none", b"GET /v1/kv/keep7 HTTP/1.1\r\nHost: a b\r\n\r\n")


def http_lines():
    for name, line in [
        ("two spaces before the version", b"GET /v1/kv/keep7  HTTP/1.1\r\n"),
        ("a tab in the request line", b"GET /v1/kv/keep7\tHTTP/1.1\r\n"),
        ("a space in the target", b"GET /v1/kv/a b HTTP/1.1\r\n"),
        ("a fragment", b"GET /v1/kv/a#b HTTP/1.1\r\n"),
        ("a target that is no ASCII", b"GET /v1/kv/\xc3\xa9 HTTP/1.1\r\n"),
        ("a NUL in the target", b"GET /v1/kv/a\0b HTTP/1.1\r\n"),
        ("no version", b"GET /v1/kv/keep7\r\n"),
        ("a version that is none", b"GET /v1/kv/keep7 HTTP/x.y\r\n"),
        ("a version in small letters", b"GET /v1/kv/keep7 http/1.1\r\n"),
        ("a request line with a bare line feed", b"GET /v1/kv/keep7 HTTP/1.1\n"),
        ("a target of another scheme", b"GET https://x/v1/kv/keep7 HTTP/1.1\r\n"),
    ]:
        http_ends(name, line + b"Host: x\r\n\r\n")
    for version in (b"2.0", b"1.2", b"0.9", b"3.0"):
        http_ends(f"HTTP/{version.decode()}", b"GET /v1/kv/keep7 HTTP/" + version + b"\r\nHost: x\r\n\r\n", 505, "version_not_supported")
    http_ends("two spaces before the target", b"GET  /v1/kv/keep7 HTTP/1.1\r\nHost: x\r\n\r\n")
    http_ends("an unknown method", b"BREW /v1/kv/keep7 HTTP/1.1\r\nHost: x\r\n\r\n", 501, "not_implemented")
    http_ends("a method in small letters", b"get /v1/kv/keep7 HTTP/1.1\r\nHost: x\r\n\r\n", 501, "not_implemented", first=False)


def http_bombs():
    many = b"".join(b"X%d: y\r\n" % i for i in range(99))
    equal(replies(exchange(b"GET /v1/kv/keep7 HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")), [(200, KEPT["keep7"])])
    for headers in (many + b"X99: y\r\n", b"X: " + b"y" * (256 * KIB) + b"\r\n", b"x" * (256 * KIB) + b": y\r\n",
                    b"".join(b"Y%d: %s\r\n" % (i, b"y" * 5000) for i in range(60))):
        got = replies(exchange(b"GET /v1/kv/keep7 HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + SMUGGLED))
        equal(got, [(431, "headers_too_large")])
    got = replies(exchange(b"GET /v1/kv/" + b"k" * 300 * KIB + b" HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED))
    equal(got, [(414, "target_too_long")])


def http_endless():
    """Headers, chunks or a body without an end are given up at their limit, and memory with them."""
    before = node.resident_bytes()
    for start, piece, status in [
        (b"GET /v1/kv/keep7 HTTP/1.1\r\nHost: x\r\n", b"X: " + b"y" * 1000 + b"\r\n", 431),
        (put(b"Transfer-Encoding: chunked\r\n"), b"1\r\nx\r\n" * 200, 400),
        (put(b"Transfer-Encoding: chunked\r\n"), b"10000\r\n" + b"x" * 65536 + b"\r\n", 413),
        (put(b"Transfer-Encoding: chunked\r\n", b"0\r\n"), b"X: " + b"y" * 1000 + b"\r\n", 400),
    ]:
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as s:
            s.sendall(start)
            sent = 0
            try:
                while sent < 64 * MIB:
                    s.sendall(piece)
                    sent += len(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass
            got = read_until(s, 10)
            # Where the client goes on sending, the end may come as a reset, which may take the reply along.
            if got:
                equal(replies(got)[0][0], status)
    grown = node.resident_bytes() - before
    assert grown < 128 * MIB, f"grown by {grown // MIB} MiB"


def http_requests():
    for name, data, status, code in [
        ("a wrong escape", b"GET /v1/kv/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_escape"),
        ("half an escape", b"GET /v1/kv/a%4 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_escape"),
        ("a wrong escape in the query", b"GET /v1/scan?prefix=%f HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_escape"),
        ("an empty key", b"GET /v1/kv/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "empty_key"),
        ("a key that is too long", b"GET /v1/kv/" + b"k" * 65536 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "key_too_long"),
        ("a key that is too long, escaped", b"GET /v1/kv/" + b"%00" * 65536 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "key_too_long"),
        ("a ttl below zero", put(b"Content-Length: 1\r\n", b"x").replace(b"new1", b"new1?ttl=-1"), 400, "bad_ttl"),
        ("a ttl that is none", put(b"Content-Length: 1\r\n", b"x").replace(b"new1", b"new1?ttl=%00"), 400, "bad_ttl"),
        ("no such path", b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no_such_path"),
        ("a method that is not allowed", b"TRACE /v1/kv/keep7 HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
    ]:
        http_goes_on(name, data, status, code)
    for name, body in [
        ("nothing", b""), ("half an object", b'{"items":'), ("a NUL", b"\0"), ("no UTF-8", b'{"items":[{"key":"\xff"}]}'),
        ("half a surrogate", b'{"items":[{"key":"\\ud800"}]}'), ("deep nesting", b'{"items":' + b"[" * 60000 + b"]" * 60000 + b"}"),
        ("a huge number", b'{"items":[{"key":"a","value":"b","ttl":1e999}]}'), ("garbage behind", b'{"items":[]} x'),
        ("a member twice", b'{"items":[],"items":[]}'), ("something else", b'"items"'),
    ]:
        http_goes_on(f"JSON: {name}", b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body, 400, "bad_json")
    for name, item in [("a ttl below zero", b'"ttl":-1'), ("a huge ttl", b'"ttl":1e300'), ("a ttl of null", b'"ttl":null')]:
        body = b'{"items":[{"key":"new1","value":"v",%s}]}' % item
        http_goes_on(f"JSON: {name}", b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body, 400, "bad_item")
    http_ends("a value that is too long", put(b"Content-Length: %d\r\n" % (VALUE_MAX + 1)), 413, "value_too_large")
    http_ends("a length that fits nothing", put(b"Content-Length: 9223372036854775807\r\n"), 413, "value_too_large")


def http_halves():
    whole = b"PUT /v1/kv/keep2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nother"
    for cut in range(12, len(whole)):
        equal(exchange(whole[:cut]), b"")
    chunked = b"PUT /v1/kv/keep2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nother\r\n0\r\n\r\n"
    for cut in range(12, len(chunked)):
        equal(exchange(chunked[:cut]), b"")
    equal(node.resp()("GET", "keep2"), KEPT["keep2"])


# ---- garbage ----

CORPUS = [
    command("SET", "g1", "value"), command("GET", "g1"), command("MSET", "g1", "1", "g2", "2"), command("INCR", "g3"),
    command("SCAN", "0", "COUNT", "5"), command("HELLO", "3"), command("SET", "g4", "v", "PX", "50", "NX"), b"SET g5 'a b'\r\nGET g5\r\n",
    command("APPEND", "g6", "x" * 500), command("INFO"), command("COMMAND", "DOCS", "get"), command("GETEX", "g1", "EX", "5"), GET,
    b"PUT /v1/kv/g7?ttl=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /v1/kv/g7 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /v1/scan?prefix=g&limit=3 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b'POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 58\r\n\r\n{"items":[{"key":"g8","value":"1","ttl":60},{"key":"g8"}]}',
]


def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not data:
            break
        at = rng.randrange(len(data))
        kind = rng.randrange(6)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.randrange(256)
        elif kind == 2:
            del data[at:at + rng.randrange(1, 9)]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 4:
            data[at:at] = rng.choice((b"\r\n", b"\n", b"\0", b"$-1\r\n", b"*9\r\n", b" ", b":", b"99999999999"))
        else:
            data[at:at] = data[:rng.randrange(len(data) + 1)]
    return bytes(data)


def garbage():
    rng = random.Random(SEED)
    for i in range(GARBAGE):
        if i % 3 == 0:
            data = rng.randbytes(rng.choice((1, 10, 100, 3000)))
        else:
            data = mutate(rng, b"".join(rng.choice(CORPUS) for _ in range(rng.randrange(1, 4))))
        try:
            exchange(data)
        except AssertionError as e:
            raise AssertionError(f"SEED={SEED:#x}, connection {i}: {data!r}") from e
        if i % 500 == 0:
            equal(node.process.poll(), None)
            equal(node.http("GET", "/ready")[0], 200)


store_kept()
resp_cases()
test("resp: 200 MiB that nobody wants", resp_pieces)
test("resp: half a command does nothing", resp_halves)
test("resp: half a command behind others keeps no connection", resp_half_behind)
test("resp: nothing of it was stored", nothing_new)
test("the node is unhurt by bad RESP", unhurt)
http_framing()
http_lines()
test("http: too many headers, too long ones, too long a path", http_bombs)
test("http: what never ends", http_endless)
http_requests()
test("http: half a request does nothing", http_halves)
test("http: nothing of it was stored", nothing_new)
test("the node is unhurt by bad HTTP", unhurt)
test(f"{GARBAGE} connections with garbage", garbage)
test("the node is unhurt by garbage", unhurt)
equal(node.stop(), 0)
node.start()
test("all is there after a restart", unhurt)
test("the node ends well", lambda: equal(node.stop(), 0))
finish()

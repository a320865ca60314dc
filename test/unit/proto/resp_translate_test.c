/* Commands become the requests they mean, and what is wrong with one is said in the words
 * of Redis 7 (compared with a real one when this was written). */
#include "test/unit/proto/resp_session.h"

#include <stdio.h>

static const struct request *sent(struct session *s, const char *line) {
    session_send(s, line);
    CHECK_EQ(s->plan.kind, PLAN_REQUESTS);
    CHECK_EQ(buffer_len(&s->out), 0);
    CHECK_EQ(s->plan.request_count, 1);
    return s->plan.requests;
}

TEST(resp_translate, set_and_its_options) {
    struct session s;
    session_open(&s);
    const struct request *q = sent(&s, "SET key value");
    CHECK_EQ(q->op, OP_PUT);
    CHECK_EQ(q->condition, COND_NONE);
    CHECK_EQ(q->expiry, EXPIRY_NONE);
    CHECK_BYTES(q->key, BYTES_LIT("key"));
    CHECK_BYTES(q->value, BYTES_LIT("value"));
    q = sent(&s, "set k v ex 10 nx");
    CHECK_EQ(q->condition, COND_ABSENT);
    CHECK_EQ(q->expiry, EXPIRY_AT);
    CHECK_EQ(q->expires_at_ms, SESSION_NOW_MS + 10000);
    q = sent(&s, "SET k v XX GET PX 15");
    CHECK_EQ(q->condition, COND_PRESENT);
    CHECK_EQ(q->flags, REQUEST_RETURN_OLD);
    CHECK_EQ(q->expires_at_ms, SESSION_NOW_MS + 15);
    CHECK_EQ(sent(&s, "SET k v EXAT 5")->expires_at_ms, 5000);
    CHECK_EQ(sent(&s, "SET k v PXAT 5")->expires_at_ms, 5);
    CHECK_EQ(sent(&s, "SET k v KEEPTTL")->expiry, EXPIRY_KEEP);
    q = sent(&s, "SET k v IFEQ old");
    CHECK_EQ(q->condition, COND_VALUE_IS);
    CHECK_BYTES(q->expected, BYTES_LIT("old"));
    CHECK_EQ(sent(&s, "SETNX k v")->condition, COND_ABSENT);
    CHECK_EQ(sent(&s, "SETEX k 2 v")->expires_at_ms, SESSION_NOW_MS + 2000);
    CHECK_EQ(sent(&s, "PSETEX k 2 v")->expires_at_ms, SESSION_NOW_MS + 2);
    CHECK_EQ(sent(&s, "GETSET k v")->flags, REQUEST_RETURN_OLD);
    session_close(&s);
}

TEST(resp_translate, set_refuses) {
    static const char *const lines[] = {
        "SET k v NX XX",        "SET k v EX 1 PX 1",
        "SET k v EX 1 KEEPTTL", "SET k v KEEPTTL EX 1",
        "SET k v foo",          "SET k v EX",
        "SET k v IFEQ",         "SET k v IFEQ a NX",
        "SET k v NX IFEQ a",    "SET k v IFEQ a IFEQ a",
        "GETEX k PERSIST EX 1", "GETEX k EX 1 PERSIST",
        "GETEX k NX",
    };
    struct session s;
    session_open(&s);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        session_replies(&s, lines[i], "-ERR syntax error\r\n");
    session_replies(&s, "SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n");
    session_replies(&s, "SET k v PX -1", "-ERR invalid expire time in 'set' command\r\n");
    session_replies(&s, "SET k v EX 9223372036854775807",
                    "-ERR invalid expire time in 'set' command\r\n");
    session_replies(&s, "SET k v PX 9223372036854775807",
                    "-ERR invalid expire time in 'set' command\r\n");
    session_replies(&s, "SETEX k 0 v", "-ERR invalid expire time in 'setex' command\r\n");
    session_replies(&s, "GETEX k EX 0", "-ERR invalid expire time in 'getex' command\r\n");
    session_replies(&s, "SET k v EX x", "-ERR value is not an integer or out of range\r\n");
    session_replies(&s, "SET k", "-ERR wrong number of arguments for 'set' command\r\n");
    session_replies(&s, "SET \"\" v", "-ERR invalid key: length must be 1..65535 bytes, got 0\r\n");
    session_close(&s);
}

TEST(resp_translate, reads) {
    struct session s;
    session_open(&s);
    CHECK_EQ(sent(&s, "GET k")->op, OP_GET);
    CHECK_EQ(sent(&s, "GETDEL k")->flags, REQUEST_DELETE);
    CHECK_EQ(sent(&s, "GETEX k")->expiry, EXPIRY_NONE);
    CHECK_EQ(sent(&s, "GETEX k PERSIST")->expiry, EXPIRY_CLEAR);
    CHECK_EQ(sent(&s, "GETEX k EX 1")->expires_at_ms, SESSION_NOW_MS + 1000);
    CHECK_EQ(sent(&s, "STRLEN k")->flags, REQUEST_NO_VALUE);
    CHECK_EQ(sent(&s, "TYPE k")->flags, REQUEST_NO_VALUE);
    CHECK_EQ(sent(&s, "PTTL k")->op, OP_GET);
    CHECK_EQ(sent(&s, "RANDOMKEY")->op, OP_RANDOM_KEY);
    CHECK_EQ(sent(&s, "FLUSHALL ASYNC")->op, OP_TRUNCATE);
    session_replies(&s, "FLUSHDB now", "-ERR syntax error\r\n");
    session_close(&s);
}

TEST(resp_translate, numbers) {
    struct session s;
    session_open(&s);
    CHECK_EQ(sent(&s, "INCR k")->increment, 1);
    CHECK_EQ(sent(&s, "DECR k")->increment, -1);
    CHECK_EQ(sent(&s, "INCRBY k -9223372036854775808")->increment, INT64_MIN);
    CHECK_EQ(sent(&s, "DECRBY k 9223372036854775807")->increment, -INT64_MAX);
    CHECK(sent(&s, "INCRBYFLOAT k 0.5")->increment_float == 0.5L);
    CHECK(sent(&s, "INCRBYFLOAT k 1e3")->increment_float == 1000.0L);
    session_replies(&s, "DECRBY k -9223372036854775808", "-ERR decrement would overflow\r\n");
    static const char *const integers[] = { "1.0",  "+1",     "01",     "-0",
                                            "\"\"", "\" 1\"", "\"1 \"", "9223372036854775808",
                                            "-",    "1e3" };
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        char line[64];
        snprintf(line, sizeof line, "INCRBY k %s", integers[i]);
        session_replies(&s, line, "-ERR value is not an integer or out of range\r\n");
    }
    static const char *const floats[] = { "x",      "nan",    "\"\"",      "\" 1\"",
                                          "\"1 \"", "1e5000", "\"1\\x00\"" };
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        char line[64];
        snprintf(line, sizeof line, "INCRBYFLOAT k %s", floats[i]);
        session_replies(&s, line, "-ERR value is not a valid float\r\n");
    }
    session_close(&s);
}

TEST(resp_translate, expire) {
    struct session s;
    session_open(&s);
    CHECK_EQ(sent(&s, "EXPIRE k 10")->expires_at_ms, SESSION_NOW_MS + 10000);
    CHECK_EQ(sent(&s, "PEXPIRE k 10 XX GT")->expire_when, EXPIRE_IF_SOME | EXPIRE_IF_LATER);
    CHECK_EQ(sent(&s, "EXPIREAT k 10 nx")->expire_when, EXPIRE_IF_NONE);
    CHECK_EQ(sent(&s, "PEXPIREAT k 10 LT")->expires_at_ms, 10);
    CHECK_EQ(sent(&s, "EXPIRE k -1")->expires_at_ms, SESSION_NOW_MS - 1000);
    CHECK_EQ(sent(&s, "PEXPIREAT k 0")->expires_at_ms, 1);
    CHECK_EQ(sent(&s, "EXPIRE k -9000000000000000")->expires_at_ms, 1);
    CHECK_EQ(sent(&s, "PERSIST k")->expiry, EXPIRY_CLEAR);
    session_replies(&s, "EXPIRE k 10 FOO", "-ERR Unsupported option FOO\r\n");
    session_replies(&s, "EXPIRE k 10 NX GT",
                    "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
    session_replies(&s, "EXPIRE k 10 GT LT",
                    "-ERR GT and LT options at the same time are not compatible\r\n");
    session_replies(&s, "EXPIRE k 9223372036854775807",
                    "-ERR invalid expire time in 'expire' command\r\n");
    session_replies(&s, "PEXPIRE k 9223372036854775807",
                    "-ERR invalid expire time in 'pexpire' command\r\n");
    session_replies(&s, "EXPIRE k x", "-ERR value is not an integer or out of range\r\n");
    session_close(&s);
}

TEST(resp_translate, several_keys) {
    struct session s;
    session_open(&s);
    session_send(&s, "MSET a 1 b 2 a 3");
    CHECK_EQ(s.plan.request_count, 3);
    CHECK_BYTES(s.plan.requests[2].key, BYTES_LIT("a"));
    CHECK_BYTES(s.plan.requests[2].value, BYTES_LIT("3"));
    session_send(&s, "DEL a b a");
    CHECK_EQ(s.plan.request_count, 3);
    CHECK_EQ(s.plan.requests[1].op, OP_DELETE);
    session_send(&s, "EXISTS a a");
    CHECK_EQ(s.plan.requests[1].flags, REQUEST_NO_VALUE);
    session_replies(&s, "MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
    session_replies(&s, "MGET a \"\"",
                    "-ERR invalid key: length must be 1..65535 bytes, got 0\r\n");
    session_replies(&s, "MSETNX a 1",
                    "-ERR unknown command 'MSETNX', with args beginning with: 'a' '1' \r\n");
    session_close(&s);
}

TEST(resp_translate, scans) {
    struct session s;
    session_open(&s);
    session_send(&s, "SCAN 17 MATCH user:*:x COUNT 100");
    CHECK_EQ(s.plan.kind, PLAN_SCAN);
    CHECK_EQ(s.plan.scan_cursor, 17);
    CHECK(s.plan.scan_by_cursor);
    CHECK_EQ(s.plan.rows_examined, 100);
    CHECK_BYTES(s.plan.requests->prefix, BYTES_LIT("user:"));
    CHECK_BYTES(s.plan.requests->pattern, BYTES_LIT("user:*:x"));
    session_send(&s, "KEYS *");
    CHECK_EQ(s.plan.kind, PLAN_SCAN);
    CHECK_EQ(s.plan.rows_examined, 0);
    CHECK(!s.plan.scan_by_cursor);
    CHECK_EQ(s.plan.requests->pattern.len, 0);
    CHECK(!s.plan.scan_counts);
    session_send(&s, "SCAN 0 COUNT 9223372036854775807 TYPE STRING");
    CHECK(!s.plan.scan_counts);
    CHECK_EQ(s.plan.rows_examined, 65536);
    session_replies(&s, "SCAN 0 TYPE hash", "*2\r\n$1\r\n0\r\n*0\r\n");
    session_replies(&s, "SCAN x", "-ERR invalid cursor\r\n");
    session_replies(&s, "SCAN 18446744073709551616", "-ERR invalid cursor\r\n");
    session_replies(&s, "SCAN 0 COUNT 0", "-ERR syntax error\r\n");
    session_replies(&s, "SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n");
    session_replies(&s, "SCAN 0 MATCH", "-ERR syntax error\r\n");
    session_close(&s);
}

/* DBSIZE is a scan of everything in the largest pages, without values. */
TEST(resp_translate, counts) {
    struct session s;
    session_open(&s);
    session_send(&s, "DBSIZE");
    CHECK_EQ(s.plan.kind, PLAN_SCAN);
    CHECK(s.plan.scan_counts);
    CHECK(!s.plan.scan_by_cursor);
    CHECK_EQ(s.plan.rows_wanted, 0);
    CHECK_EQ(s.plan.rows_examined, 0);
    CHECK_EQ(s.plan.requests->op, OP_SCAN);
    CHECK_EQ(s.plan.requests->flags, REQUEST_NO_VALUE);
    CHECK_EQ(s.plan.requests->rows_max, ROW_PAGE_ROWS_MAX);
    CHECK_EQ(s.plan.requests->prefix.len, 0);
    CHECK_EQ(s.plan.requests->pattern.len, 0);
    session_close(&s);
}

/* Nothing a client sends gets a line end into an error line. */
TEST(resp_translate, unknown_commands) {
    struct session s;
    session_open(&s);
    session_replies(&s, "foo", "-ERR unknown command 'foo', with args beginning with: \r\n");
    session_replies(&s, "\"f\\r\\noo\" \"a\\x00\\nb\"",
                    "-ERR unknown command 'f  oo', with args beginning with: 'a  b' \r\n");
    session_replies(&s, "CLIENT \"k\\nill\"",
                    "-ERR unknown subcommand 'k ill'. Try CLIENT HELP.\r\n");
    session_replies(&s, "CLIENT", "-ERR wrong number of arguments for 'client' command\r\n");
    session_replies(&s, "CLIENT SETNAME",
                    "-ERR wrong number of arguments for 'client|setname' command\r\n");
    session_replies(&s, "CONFIG REWRITE",
                    "-ERR CONFIG REWRITE is not supported: the node does not write its "
                    "configuration\r\n");
    char line[1000], reply[1000], half[257];
    memset(half, 'x', 256);
    half[256] = '\0';
    snprintf(line, sizeof line, "%s %.100s %s c", half, half, half);
    snprintf(reply, sizeof reply,
             "-ERR unknown command '%.128s', with args beginning with: '%.100s' '%.25s' \r\n", half,
             half, half);
    session_replies(&s, line, reply);
    session_close(&s);
}

TEST(resp_translate, connection) {
    struct session s;
    session_open(&s);
    session_replies(&s, "PING", "+PONG\r\n");
    session_replies(&s, "PING hello", "$5\r\nhello\r\n");
    session_replies(&s, "SELECT 0", "+OK\r\n");
    session_replies(&s, "SELECT 1", "-ERR DB index is out of range\r\n");
    session_replies(&s, "TIME", "*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n");
    session_replies(&s, "AUTH default x", "+OK\r\n");
    session_replies(&s, "AUTH other x",
                    "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    session_replies(&s, "CLIENT GETNAME", "$-1\r\n");
    session_replies(&s, "CLIENT SETNAME me", "+OK\r\n");
    session_replies(&s, "CLIENT GETNAME", "$2\r\nme\r\n");
    session_replies(&s, "CLIENT SETNAME \"a b\"",
                    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    session_replies(&s, "CLIENT SETINFO LIB-NAME x", "+OK\r\n");
    session_replies(&s, "CLUSTER KEYSLOT foo", ":12182\r\n");
    session_replies(&s, "CLUSTER KEYSLOT {foo}bar", ":12182\r\n");
    session_replies(&s, "HELLO 4", "-NOPROTO unsupported protocol version\r\n");
    session_replies(&s, "HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n");
    CHECK_EQ(s.resp.version, 2);
    session_send(&s, "HELLO 3 AUTH default x SETNAME you");
    CHECK_EQ(s.plan.kind, PLAN_NODE);
    CHECK_EQ(s.plan.dialect, 3);
    session_replies(&s, "CLIENT GETNAME", "$3\r\nyou\r\n");
    session_replies(&s, "RESET", "+RESET\r\n");
    CHECK_EQ(s.resp.version, 2);
    session_replies(&s, "QUIT", "+OK\r\n");
    CHECK(s.plan.close_after);
    session_close(&s);
}

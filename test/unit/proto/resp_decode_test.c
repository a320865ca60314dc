/* The bytes of a connection become commands whatever way they arrive; what is too large
 * is skipped and what is no RESP ends the connection, with the words of Redis. */
#include "base/mem.h"
#include "test/unit/proto/resp_session.h"

/* Bytes that are no command: the error, and the end. */
static void check_refused(const char *wire, const char *error) {
    struct session s;
    session_open(&s);
    size_t consumed = 7, need = 7;
    CHECK_STATUS(resp_decode(&s.resp, bytes_of_string(wire), &s.out, &consumed, &need), ST_INVALID);
    CHECK_EQ(consumed, 7);
    session_expect(&s, error);
    session_close(&s);
}

TEST(resp_decode, takes_a_command) {
    struct session s;
    session_open(&s);
    const struct bytes wire = BYTES_LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*1\r\n");
    size_t consumed = 0, need = 0;
    CHECK_OK(resp_decode(&s.resp, wire, &s.out, &consumed, &need));
    CHECK_EQ(consumed, wire.len - 4);
    CHECK_EQ(s.resp.argc, 3);
    CHECK_BYTES(s.resp.argv[0], BYTES_LIT("SET"));
    CHECK_BYTES(s.resp.argv[1], BYTES_LIT("k"));
    CHECK_BYTES(s.resp.argv[2], BYTES_LIT("a\r\nb"));
    session_close(&s);
}

/* Every prefix waits, the input moves each time, and nothing is lost. */
TEST(resp_decode, takes_a_command_byte_by_byte) {
    const struct bytes wire = BYTES_LIT("*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$0\r\n\r\n");
    struct session s;
    session_open(&s);
    size_t consumed = 0, need = 0;
    for (size_t len = 0; len < wire.len; len++) {
        uint8_t *const copy = mem_alloc(len + 1);
        memcpy(copy, wire.ptr, len);
        CHECK_STATUS(resp_decode(&s.resp, bytes_of(copy, len), &s.out, &consumed, &need), ST_WAIT);
        CHECK(need > len);
        CHECK(need <= wire.len);
        mem_free(copy);
    }
    CHECK_OK(resp_decode(&s.resp, wire, &s.out, &consumed, &need));
    CHECK_EQ(consumed, wire.len);
    CHECK_BYTES(s.resp.argv[1], BYTES_LIT("key:1"));
    CHECK_EQ(s.resp.argv[2].len, 0);
    session_close(&s);
}

TEST(resp_decode, says_how_much_it_needs) {
    struct session s;
    session_open(&s);
    size_t consumed = 0, need = 0;
    const struct bytes wire = BYTES_LIT("*2\r\n$3\r\nGET\r\n$5000\r\nabc");
    CHECK_STATUS(resp_decode(&s.resp, wire, &s.out, &consumed, &need), ST_WAIT);
    CHECK_EQ(need, wire.len - 3 + 5002);
    session_close(&s);
}

TEST(resp_decode, takes_inline_commands) {
    struct session s;
    session_open(&s);
    session_send_bytes(&s, BYTES_LIT("\r\n"));
    CHECK_EQ(s.resp.argc, 0);
    session_send_bytes(&s, BYTES_LIT("*0\r\n"));
    session_send_bytes(&s, BYTES_LIT("*-1\r\n"));
    CHECK_EQ(s.plan.kind, PLAN_REPLIED);
    session_expect(&s, "");
    session_replies(&s, "  PING  ", "+PONG\r\n");
    session_send_bytes(&s, BYTES_LIT("PING\n"));
    session_expect(&s, "+PONG\r\n");
    session_replies(&s, "ECHO \"a\\x41\\n\\\"\\q\"", "$5\r\naA\n\"q\r\n");
    session_replies(&s, "ECHO 'a\\'b\\n'", "$5\r\na'b\\n\r\n");
    session_replies(&s, "ECHO a\"b c\"", "$4\r\nab c\r\n");
    session_replies(&s, "echo \"\"", "$0\r\n\r\n");
    session_close(&s);
}

TEST(resp_decode, refuses_what_is_no_resp) {
    check_refused("*abc\r\n", "-ERR Protocol error: invalid multibulk length\r\n");
    check_refused("*01\r\n", "-ERR Protocol error: invalid multibulk length\r\n");
    check_refused("*\r\n", "-ERR Protocol error: invalid multibulk length\r\n");
    check_refused("*1\rX", "-ERR Protocol error: invalid multibulk length\r\n");
    check_refused("*1048577\r\n", "-ERR Protocol error: invalid multibulk length\r\n");
    check_refused("*99999999999999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n");
    check_refused("*1\r\nPING\r\n", "-ERR Protocol error: expected '$', got 'P'\r\n");
    check_refused("*1\r\n\r\n", "-ERR Protocol error: expected '$', got ' '\r\n");
    check_refused("*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n");
    check_refused("*1\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\n");
    check_refused("*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n");
    check_refused("*1\r\n$4\r\nPINGX\r\n",
                  "-ERR Protocol error: expected CRLF after bulk string\r\n");
    check_refused("ECHO \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n");
    check_refused("ECHO 'a'b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n");
}

TEST(resp_decode, refuses_an_endless_line) {
    static uint8_t line[RESP_INLINE_BYTES_MAX];
    memset(line, 'a', sizeof line);
    struct session s;
    session_open(&s);
    size_t consumed = 0, need = 0;
    const struct bytes almost = bytes_of(line, sizeof line - 1);
    CHECK_STATUS(resp_decode(&s.resp, almost, &s.out, &consumed, &need), ST_WAIT);
    CHECK_STATUS(resp_decode(&s.resp, bytes_of(line, sizeof line), &s.out, &consumed, &need),
                 ST_INVALID);
    session_expect(&s, "-ERR Protocol error: too big inline request\r\n");
    session_close(&s);
}

/* Feed `wire` in pieces that are consumed as far as they go; never keep more than
 * `kept_max` bytes. Returns how many commands there were. */
static uint32_t feed(struct session *s, struct bytes wire, size_t piece, size_t kept_max) {
    struct buffer in;
    buffer_init(&in, 64u * 1024 * 1024);
    uint32_t commands = 0;
    for (size_t at = 0; at < wire.len; at += piece) {
        const size_t len = wire.len - at < piece ? wire.len - at : piece;
        buffer_append(&in, bytes_of(wire.ptr + at, len));
        while (buffer_len(&in) > 0) {
            size_t consumed = 0, need = 0;
            const struct status st =
                resp_decode(&s->resp, buffer_bytes(&in), &s->out, &consumed, &need);
            if (st.code == ST_WAIT) break;
            CHECK_OK(st);
            if (s->resp.argc > 0) commands++;
            resp_translate(&s->resp, SESSION_NOW_MS, &s->out, &s->plan);
            buffer_consume(&in, consumed);
        }
        CHECK(buffer_len(&in) <= kept_max);
    }
    CHECK_EQ(buffer_len(&in), 0);
    buffer_deinit(&in);
    return commands;
}

/* The wire text of a command whose last argument has `len` bytes, and a PING. */
static void make_large(struct buffer *wire, const char *head, size_t len, const char *tail) {
    buffer_init(wire, 64u * 1024 * 1024);
    buffer_append_string(wire, head);
    buffer_printf(wire, "$%zu\r\n", len);
    uint8_t *const body = buffer_reserve(wire, len);
    memset(body, '$', len);
    buffer_commit(wire, len);
    buffer_append_string(wire, "\r\n");
    buffer_append_string(wire, tail);
    buffer_append_string(wire, "*1\r\n$4\r\nPING\r\n");
}

static void check_skipped(const char *head, size_t len, const char *tail, const char *replies) {
    static const size_t pieces[] = { 1, 1000, 1u << 30 };
    struct buffer wire;
    make_large(&wire, head, len, tail);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct session s;
        session_open(&s);
        CHECK_EQ(feed(&s, buffer_bytes(&wire), pieces[i], 100), 2);
        session_expect(&s, replies);
        session_close(&s);
    }
    buffer_deinit(&wire);
}

TEST(resp_decode, skips_what_is_too_large_and_goes_on) {
    check_skipped("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n", SESSION_VALUE_BYTES_MAX + 1, "",
                  "-ERR value is too large: 100001 bytes, at most 100000 allowed\r\n+PONG\r\n");
    check_skipped("*2\r\n$3\r\nGET\r\n", SESSION_VALUE_BYTES_MAX + 1, "",
                  "-ERR invalid key: length must be 1..65535 bytes, got 100001\r\n+PONG\r\n");
    check_skipped("*5\r\n$4\r\nMSET\r\n$1\r\na\r\n", SESSION_VALUE_BYTES_MAX + 1,
                  "$1\r\nb\r\n$3\r\nxyz\r\n",
                  "-ERR value is too large: 100001 bytes, at most 100000 allowed\r\n+PONG\r\n");
}

TEST(resp_decode, keeps_the_largest_value) {
    struct buffer wire;
    struct session s;
    session_open(&s);
    make_large(&wire, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n", SESSION_VALUE_BYTES_MAX, "");
    CHECK_EQ(feed(&s, buffer_bytes(&wire), 1000, SESSION_VALUE_BYTES_MAX + 100), 2);
    session_expect(&s, "+PONG\r\n");
    buffer_deinit(&wire);
    session_close(&s);
}

TEST(resp_decode, skips_too_many_arguments) {
    struct buffer wire;
    struct session s;
    session_open(&s);
    buffer_init(&wire, 64u * 1024 * 1024);
    buffer_printf(&wire, "*%u\r\n", RESP_ARGS_MAX + 1);
    for (uint32_t i = 0; i <= RESP_ARGS_MAX; i++) buffer_append_string(&wire, "$1\r\na\r\n");
    buffer_append_string(&wire, "PING\r\n");
    CHECK_EQ(feed(&s, buffer_bytes(&wire), 1000, 20), 2);
    session_expect(&s, "-ERR too many arguments: 131074, at most 131073 allowed\r\n+PONG\r\n");
    buffer_deinit(&wire);
    session_close(&s);
}

/* Each value is small enough, all of them are not. */
TEST(resp_decode, skips_a_command_that_is_too_large_in_all) {
    static uint8_t value[65000];
    const uint32_t count = RESP_COMMAND_BYTES_MAX / sizeof value + 1;
    struct buffer wire;
    struct session s;
    session_open(&s);
    buffer_init(&wire, 64u * 1024 * 1024);
    buffer_printf(&wire, "*%u\r\n$4\r\nMGET\r\n", count + 1);
    for (uint32_t i = 0; i < count; i++) {
        buffer_printf(&wire, "$%zu\r\n", sizeof value);
        buffer_append(&wire, bytes_of(value, sizeof value));
        buffer_append_string(&wire, "\r\n");
    }
    buffer_append_string(&wire, "PING\r\n");
    CHECK_EQ(feed(&s, buffer_bytes(&wire), 1u << 20, RESP_COMMAND_BYTES_MAX), 2);
    session_expect(&s, "-ERR command is too large: at most 34603008 bytes allowed\r\n+PONG\r\n");
    buffer_deinit(&wire);
    session_close(&s);
}

TEST(resp_decode, gives_scratch_back) {
    struct buffer wire;
    struct session s;
    session_open(&s);
    buffer_init(&wire, 1u << 20);
    buffer_append_string(&wire, "*5001\r\n$4\r\nMGET\r\n");
    for (int i = 0; i < 5000; i++) buffer_append_string(&wire, "$1\r\na\r\n");
    session_send_bytes(&s, buffer_bytes(&wire));
    CHECK_EQ(s.plan.request_count, 5000);
    CHECK(s.resp.argv_capacity >= 5001);
    session_send(&s, "PING");
    CHECK(s.resp.argv_capacity <= 1024);
    CHECK(s.resp.requests_capacity <= 128);
    buffer_deinit(&wire);
    session_close(&s);
}

/* CONFIG SET of what may change while the node runs, and SLOWLOG, in the words of Redis. */
#include "resp_session.h"

#include <stdio.h>

#include "base/log.h"
#include "proto/resp_internal.h"

static void refused(struct session *s, const char *command, const char *reply) {
    session_replies(s, command, reply);
    CHECK_EQ(s->plan.kind, PLAN_REPLIED);
}

static uint64_t settings(struct session *s, const char *command) {
    session_send(s, command);
    CHECK_EQ(s->plan.kind, PLAN_NODE);
    CHECK_EQ(s->plan.topic, NODE_SET);
    return s->plan.detail_number;
}

TEST(resp_settings, sets_levels) {
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = { { "debug", LOG_DEBUG },
                   { "verbose", LOG_DEBUG },
                   { "notice", LOG_INFO },
                   { "WARNING", LOG_WARN },
                   { "nothing", LOG_ERROR } };
    struct session s;
    session_open(&s);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        char command[64];
        snprintf(command, sizeof command, "CONFIG SET loglevel %s", levels[i].name);
        const uint64_t set = settings(&s, command);
        CHECK_EQ(node_settings_level(set), (int)levels[i].level);
        CHECK_EQ(node_settings_slow(set), UINT64_MAX);
    }
    CHECK_EQ(node_settings_level(settings(&s, "config set LOG-LEVEL error")), LOG_ERROR);
    session_close(&s);
}

TEST(resp_settings, sets_thresholds) {
    struct session s;
    session_open(&s);
    CHECK_EQ(node_settings_slow(settings(&s, "CONFIG SET slowlog-log-slower-than 1500")), 1500000);
    CHECK_EQ(node_settings_slow(settings(&s, "CONFIG SET slowlog-log-slower-than -1")),
             NODE_SLOW_OFF);
    CHECK_EQ(node_settings_slow(settings(&s, "CONFIG SET slowlog-log-slower-than 0")),
             NODE_SLOW_EVERY);
    CHECK_EQ(node_settings_slow(settings(&s, "CONFIG SET slow-ms 250")), 250000000);
    CHECK_EQ(node_settings_slow(settings(&s, "CONFIG SET slow-ms 0")), NODE_SLOW_OFF);
    const uint64_t both = settings(&s, "CONFIG SET slow-ms 7 loglevel debug");
    CHECK_EQ(node_settings_slow(both), 7000000);
    CHECK_EQ(node_settings_level(both), LOG_DEBUG);
    session_close(&s);
}

/* All or nothing, and no byte of the client ends the line of the reply. */
TEST(resp_settings, refuses) {
    struct session s;
    session_open(&s);
    refused(&s, "CONFIG SET loglevel info",
            "-ERR CONFIG SET failed (possibly related to argument 'loglevel') - argument(s) must "
            "be one of the following: debug, verbose, notice, warning, nothing\r\n");
    refused(&s, "CONFIG SET log-level notice",
            "-ERR CONFIG SET failed (possibly related to argument 'log-level') - argument(s) must "
            "be one of the following: debug, info, warn, error\r\n");
    refused(&s, "CONFIG SET slow-ms 5 loglevel",
            "-ERR wrong number of arguments for 'config|set' command\r\n");
    refused(&s, "CONFIG SET slow-ms 5 slowlog-log-slower-than 5",
            "-ERR CONFIG SET failed (possibly related to argument 'slowlog-log-slower-than') - "
            "duplicate parameter\r\n");
    refused(&s, "CONFIG SET slow-ms -1",
            "-ERR CONFIG SET failed (possibly related to argument 'slow-ms') - argument must be "
            "between 0 and 1152921504606 inclusive\r\n");
    refused(&s, "CONFIG SET slowlog-log-slower-than 9223372036854775807",
            "-ERR CONFIG SET failed (possibly related to argument 'slowlog-log-slower-than') - "
            "argument must be between -1 and 1152921504606846 inclusive\r\n");
    refused(&s, "CONFIG SET maxmemory 5",
            "-ERR Unknown option or number of arguments for CONFIG SET - 'maxmemory'; only "
            "log-level, loglevel, slow-ms and slowlog-log-slower-than can be set\r\n");
    session_close(&s);
}

static const struct node_slow kept[] = {
    { .id = 7,
      .at_ms = 1700000000999,
      .took_us = 2500000,
      .operation = "batch",
      .requests = 3,
      .key_len = 70,
      .key = "0123456789012345678901234567890123456789012345678901234567890123",
      .client = "127.0.0.1:5",
      .name = "me" },
    { .id = 6, .at_ms = 5, .took_us = 4, .operation = "scan", .requests = 1 },
};

static void encodes(struct session *s, const char *command, const char *reply) {
    const struct node_view view = { .slow = kept, .slow_count = 2 };
    session_send(s, command);
    CHECK_EQ(s->plan.kind, PLAN_NODE);
    CHECK_EQ(s->plan.topic, NODE_SLOW);
    resp_encode_node(&s->plan, &view, &s->out);
    session_expect(s, reply);
}

TEST(resp_settings, slowlog) {
    struct session s;
    session_open(&s);
    const char *first = "*6\r\n:7\r\n:1700000000\r\n:2500000\r\n"
                        "*3\r\n$5\r\nbatch\r\n$82\r\n"
                        "0123456789012345678901234567890123456789012345678901234567890123"
                        "... (6 more bytes)\r\n$22\r\n... (2 more arguments)\r\n"
                        "$11\r\n127.0.0.1:5\r\n$2\r\nme\r\n";
    const char *second = "*6\r\n:6\r\n:0\r\n:4\r\n*1\r\n$4\r\nscan\r\n$0\r\n\r\n$0\r\n\r\n";
    char all[1024], one[1024];
    snprintf(all, sizeof all, "*2\r\n%s%s", first, second);
    snprintf(one, sizeof one, "*1\r\n%s", first);
    encodes(&s, "SLOWLOG GET", all);
    encodes(&s, "SLOWLOG GET -1", all);
    encodes(&s, "SLOWLOG GET 1", one);
    encodes(&s, "SLOWLOG GET 0", "*0\r\n");
    encodes(&s, "slowlog len", ":2\r\n");
    refused(&s, "SLOWLOG GET -2", "-ERR count should be greater than or equal to -1\r\n");
    refused(&s, "SLOWLOG GET x", "-ERR value is not an integer or out of range\r\n");
    session_send(&s, "SLOWLOG RESET");
    CHECK_EQ(s.plan.topic, NODE_SLOW_RESET);
    session_close(&s);
}

static void shows(uint64_t slow_ns, const char *level, const char *const values[4]) {
    static const char *const names[] = { "slow-ms", "slowlog-log-slower-than", "log-level",
                                         "loglevel" };
    const struct node_view view = { .slow_ns = slow_ns, .log_level = level };
    for (size_t i = 0; i < 4; i++) {
        char text[RESP_SETTING_BYTES];
        CHECK(strcmp(resp_setting(&view, names[i], text), values[i]) == 0);
    }
}

TEST(resp_settings, present_values) {
    char text[RESP_SETTING_BYTES];
    const struct node_view view = { .log_level = "info" };
    CHECK(resp_setting(&view, "port", text) == NULL);
    shows(100000000, "info", (const char *const[]){ "100", "100000", "info", "notice" });
    shows(1500000, "debug", (const char *const[]){ "1.500000", "1500", "debug", "debug" });
    shows(NODE_SLOW_OFF, "warn", (const char *const[]){ "0", "-1", "warn", "warning" });
    shows(NODE_SLOW_EVERY, "error", (const char *const[]){ "0.000001", "0", "error", "nothing" });
}

/* The slow log: a line says where the time went, a flood is cut, the newest are kept. */
#include "shard/slow_log.h"

#include <string.h>

#include "base/log.h"
#include "harness.h"

static char lines[64][LOG_BODY_BYTES_MAX];
static uint32_t lines_count;

static void keep_line(enum log_level level, const char *line) {
    CHECK_EQ(level, LOG_WARN);
    CHECK(lines_count < 64);
    memcpy(lines[lines_count++], line, strlen(line) + 1);
}

static struct slow_log *begin(void) {
    static struct slow_log l;
    slow_log_init(&l, 1000000);
    lines_count = 0;
    log_set_sink(keep_line);
    return &l;
}

static void end(struct slow_log *l) {
    log_set_sink(NULL);
    slow_log_deinit(l);
}

static struct slow_request request(uint64_t took_us) {
    return (struct slow_request){ .operation = "get",
                                  .level = "quorum",
                                  .requests = 1,
                                  .key = BYTES_LIT("k"),
                                  .took_us = took_us,
                                  .client = "127.0.0.1:1",
                                  .name = "" };
}

TEST(slow_log, threshold) {
    struct slow_log *l = begin();
    CHECK(slow_log_is_slow(l, 1000000));
    CHECK(!slow_log_is_slow(l, 999999));
    slow_log_set(l, NODE_SLOW_OFF);
    CHECK(!slow_log_is_slow(l, UINT64_MAX));
    slow_log_set(l, NODE_SLOW_EVERY);
    CHECK(slow_log_is_slow(l, 1));
    end(l);
}

/* What no phase has is waiting; the key is cut and cannot forge anything. */
TEST(slow_log, a_line_says_where_the_time_went) {
    struct slow_log *l = begin();
    struct slow_request r = request(1000500);
    uint8_t key[100];
    memset(key, 'x', sizeof key);
    key[0] = '\n';
    key[1] = '"';
    r.key = bytes_of(key, sizeof key);
    r.phase_us[SLOW_REPLICAS] = 700000;
    r.phase_us[SLOW_LOG] = 200000;
    r.last = "10.0.0.3:8080";
    slow_log_add(l, &r, 5, 10);
    CHECK_EQ(lines_count, 1);
    const char *start =
        "slow request operation=\"get\" consistency=\"quorum\" requests=1 took_ms=1000.500 "
        "parse_ms=0.000 queue_ms=100.500 stall_ms=0.000 read_ms=0.000 replicas_ms=700.000 "
        "log_ms=200.000 send_ms=0.000 last=\"10.0.0.3:8080\" client=\"127.0.0.1:1\" "
        "key_bytes=100 key=\"\\x0a\\x22xx";
    CHECK(strncmp(lines[0], start, strlen(start)) == 0);
    CHECK_EQ(strlen(lines[0]), strlen(start) + 60 + 1);
    end(l);
}

/* Phases that overlap by the length of a turn never make a negative wait. */
TEST(slow_log, phases_longer_than_all) {
    struct slow_log *l = begin();
    struct slow_request r = request(100);
    r.phase_us[SLOW_READ] = 101;
    slow_log_add(l, &r, 5, 10);
    CHECK(strstr(lines[0], "queue_ms=0.000") != NULL);
    end(l);
}

TEST(slow_log, a_flood_is_cut_and_counted) {
    struct slow_log *l = begin();
    const struct slow_request r = request(2000);
    for (uint32_t i = 0; i < 25; i++) slow_log_add(l, &r, 5, 10000);
    CHECK_EQ(lines_count, SLOW_LINES_A_SECOND);
    slow_log_tick(l, 10999);
    CHECK_EQ(lines_count, SLOW_LINES_A_SECOND);
    slow_log_tick(l, 11000);
    CHECK_EQ(lines_count, SLOW_LINES_A_SECOND + 1);
    CHECK(strcmp(lines[SLOW_LINES_A_SECOND], "slow requests left out of the log requests=15") == 0);
    slow_log_tick(l, 20000);
    CHECK_EQ(lines_count, SLOW_LINES_A_SECOND + 1);
    slow_log_add(l, &r, 5, 20000);
    CHECK_EQ(lines_count, SLOW_LINES_A_SECOND + 2);
    CHECK_EQ(slow_log_count(l), 26);
    end(l);
}

/* The newest come first, and no more are kept than there is room. */
TEST(slow_log, keeps_the_newest) {
    static struct node_slow kept[NODE_SLOW_KEPT_MAX];
    struct slow_log *l = begin();
    CHECK_EQ(slow_log_copy(l, kept, NODE_SLOW_KEPT_MAX), 0);
    for (uint32_t i = 0; i < NODE_SLOW_KEPT_MAX + 10; i++) {
        const struct slow_request r = request(i);
        slow_log_add(l, &r, 1000 + i, 10);
    }
    CHECK_EQ(slow_log_copy(l, kept, NODE_SLOW_KEPT_MAX), NODE_SLOW_KEPT_MAX);
    for (uint32_t i = 0; i < NODE_SLOW_KEPT_MAX; i++) {
        const uint64_t id = NODE_SLOW_KEPT_MAX + 9 - i;
        CHECK_EQ(kept[i].id, id);
        CHECK_EQ(kept[i].took_us, id);
        CHECK_EQ(kept[i].at_ms, 1000 + id);
        CHECK_EQ(kept[i].key_len, 1);
        CHECK_EQ(kept[i].key[0], 'k');
        CHECK(strcmp(kept[i].client, "127.0.0.1:1") == 0);
    }
    CHECK_EQ(slow_log_copy(l, kept, 3), 3);
    slow_log_reset(l);
    CHECK_EQ(slow_log_count(l), 0);
    const struct slow_request r = request(1);
    slow_log_add(l, &r, 5, 10);
    CHECK_EQ(slow_log_copy(l, kept, 3), 1);
    CHECK_EQ(kept[0].id, NODE_SLOW_KEPT_MAX + 10);
    end(l);
}

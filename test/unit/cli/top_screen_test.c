/* The screen of `atoll top` shows what the answers say, fits, and lets nothing through that a
 * terminal would obey. */
#include "cli/top_screen.h"

#include "test/unit/harness.h"

#define NODE(id, address, state, more)                                                        \
    "{\"id\":" id ",\"address\":\"" address "\",\"state\":\"" state "\",\"hints_waiting\":3," \
    "\"latency_us\":210,\"membership\":\"active\"" more "}"
#define CLUSTER(nodes, change)                                                  \
    "{\"nodes\":[" nodes                                                        \
    "],\"leader\":1,\"leader_address\":\"n1:1\",\"epoch\":7,\"change\":" change \
    ",\"replicas\":3,\"write_quorum\":2,\"read_quorum\":2}"
#define OWN(id, now, reads)                                                                 \
    "{\"id\":" id ",\"now_ms\":" now ",\"started_ms\":1000,\"resident_bytes\":1048576,"     \
    "\"disk_bytes\":2097152,\"disk_free_bytes\":1073741824,\"operations\":{\"read\":" reads \
    ",\"write\":10}}"

static json_t *json_of(const char *text) {
    json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
    CHECK(json != NULL);
    return json;
}

static struct buffer screen_of(const char *cluster, const struct top_size *size,
                               enum status_code wanted) {
    struct buffer out;
    struct top_figures f = { .server = "n1:1", .cluster = json_of(cluster) };
    json_t *nodes = json_of("{\"nodes\":[" OWN("1", "61000", "110") "]}");
    json_t *before = json_of("{\"nodes\":[" OWN("1", "59000", "10") "]}");
    json_t *moment = json_of("{\"read\":{\"per_second\":50.2,\"p50_us\":80.4,\"p99_us\":1500},"
                             "\"p50_us\":80.4,\"p99_us\":1500}");
    json_t *metrics =
        json_of("{\"now_ms\":61000,\"hints_waiting\":5,\"hints_bytes\":1024,"
                "\"repair_ranges\":300,\"cache_hits\":3,\"cache_misses\":1,"
                "\"cache_bytes\":1024,\"cache_bytes_max\":2048,\"level_bytes\":[1,1023],"
                "\"compaction_bytes_read\":2048,\"pressure_permille\":125}");
    json_t *metrics_before = json_of("{\"now_ms\":60000,\"repair_ranges\":100,\"cache_misses\":0,"
                                     "\"compaction_bytes_read\":1024}");
    f.nodes = nodes;
    f.nodes_before = before;
    f.moment = moment;
    f.metrics = metrics;
    f.metrics_before = metrics_before;
    buffer_init(&out, 1 << 20);
    CHECK_STATUS(top_screen_encode(&f, size, &out), wanted);
    json_decref((json_t *)f.cluster);
    json_decref(nodes);
    json_decref(before);
    json_decref(moment);
    json_decref(metrics);
    json_decref(metrics_before);
    return out;
}

static bool has(const struct buffer *out, const char *text) {
    const struct bytes in = buffer_bytes(out), part = bytes_of_string(text);
    for (size_t i = 0; i + part.len <= in.len; i++)
        if (memcmp(in.ptr + i, part.ptr, part.len) == 0) return true;
    return false;
}

static const struct top_size plain = { .columns = UINT32_MAX };

TEST(top_screen, shows_what_the_answers_say) {
    struct buffer out =
        screen_of(CLUSTER(NODE("1", "n1:1", "up", "") "," NODE("2", "n2:1", "down", ""),
                          "{\"id\":4,\"reason\":\"leave\",\"slots_total\":100,\"slots_done\":25}"),
                  &plain, ST_OK);
    static const char *const parts[] = {
        "atoll top  n1:1  2 nodes, 1 up\n",
        "leader n1:1, epoch 7; replicas 3, write quorum 2, read quorum 2\n",
        "change 4 (leave)\n",
        " 25 %  25 of 100 slots\n",
        "n1:1  up     leader  1 m 00 s     50  1.0 MiB  2.0 MiB  1.0 GiB      3   210 us\n",
        "n2:1  down                  -      -        -        -        -      3   210 us\n",
        "read               50  80 us  1.5 ms\n",
        "all                50  80 us  1.5 ms\n",
        "hints       5 waiting, 1.0 KiB;",
        "repair      200 ranges/s",
        "compaction  reads 1.0 KiB/s, writes -; flushes -; tables 1.0 KiB; pressure 12 %\n",
        "cache       75.0 % found, 1.0 KiB of 2.0 KiB; read from disk 1/s",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) CHECK(has(&out, parts[i]));
    CHECK(!has(&out, "\033"));
    buffer_deinit(&out);
}

/* Names hold sequences that would clear the screen, and bytes that are controls in UTF-8. */
TEST(top_screen, escapes_what_nodes_say) {
    struct buffer out =
        screen_of(CLUSTER(NODE("1", "\\u001b[2Jn1\\u009b\\n", "u\\u0007p", ""),
                          "{\"id\":4,\"reason\":\"\\u001bc\",\"slots_total\":1,\"slots_done\":0}"),
                  &plain, ST_OK);
    const struct bytes text = buffer_bytes(&out);
    for (size_t i = 0; i < text.len; i++)
        CHECK((text.ptr[i] >= ' ' && text.ptr[i] < 0x7f) || text.ptr[i] == '\n');
    CHECK(has(&out, "\\x1b[2Jn1"));
    CHECK(has(&out, "\\x1bc"));
    buffer_deinit(&out);
}

/* Whatever the size, no line is wider and there are no more of them; sequences take no room. */
TEST(top_screen, fits_every_size) {
    struct buffer cluster;
    buffer_init(&cluster, 1 << 20);
    buffer_append_string(&cluster, "{\"leader\":1,\"replicas\":3,\"nodes\":[");
    for (uint32_t i = 1; i <= 64; i++)
        buffer_printf(&cluster,
                      "%s{\"id\":%u,\"address\":\"node-%u.example.org:8080\",\"state\":\"%s\"}",
                      i == 1 ? "" : ",", i, i, i % 3 == 0 ? "down" : "up");
    buffer_append_string(&cluster, "],\"change\":{\"id\":4,\"reason\":\"leave\",\"slots_total\":9,"
                                   "\"slots_done\":1}}");
    buffer_append_u8(&cluster, '\0');
    for (uint32_t columns = 1; columns < 130; columns += 7) {
        for (uint32_t rows = 1; rows < 90; rows += 3) {
            const struct top_size size = { columns, rows, .colour = true, .screen = true };
            struct buffer out = screen_of((const char *)buffer_bytes(&cluster).ptr, &size, ST_OK);
            uint32_t lines = 1, width = 0;
            const struct bytes text = buffer_bytes(&out);
            for (size_t i = 0; i < text.len; i++) {
                if (text.ptr[i] == '\033') {
                    while (text.ptr[i] != 'm' && text.ptr[i] != 'K') i++;
                    continue;
                }
                width = text.ptr[i] == '\n' ? 0 : width + 1;
                lines += text.ptr[i] == '\n';
                CHECK(width <= columns || columns < 6); /* "100 %" of the bar is not cut */
            }
            CHECK(lines <= rows);
            if (rows > 30) CHECK(has(&out, "and ") || columns < 5 || rows > 80);
            buffer_deinit(&out);
        }
    }
    buffer_deinit(&cluster);
}

TEST(top_screen, refuses_other_answers) {
    static const char *const others[] = { "{}", "[]", "{\"nodes\":[]}", "{\"nodes\":{\"a\":1}}",
                                          CLUSTER(NODE("1", "a", "up", ""), "{\"id\":0}") };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct buffer out = screen_of(others[i], &plain, ST_CORRUPT);
        CHECK_EQ(buffer_len(&out), 0);
        buffer_deinit(&out);
    }
}

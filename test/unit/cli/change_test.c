/* A change of the ring is told in a line that fits, and nothing is taken from what is none. */
#include "cli/change.h"

#include "cli/figure.h"
#include "test/unit/harness.h"

#include <string.h>

static struct status decode(const char *text, struct change *ret_change) {
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    const struct status s = change_decode(json, ret_change);
    json_decref(json);
    return s;
}

#define HEAD "{\"id\":9,\"reason\":\"leave\",\"slots_total\":8192,\"slots_done\":4096"

static const char *print(const char *json, uint32_t columns, bool colour, struct buffer *out) {
    struct change c;
    CHECK_OK(decode(json, &c));
    buffer_reset(out);
    if (columns == 0)
        change_append_figures(&c, out);
    else
        change_append_bar(&c, columns, colour, out);
    buffer_append_u8(out, '\0');
    return (const char *)out->ptr + out->start;
}

TEST(change, figures) {
    struct buffer out;
    buffer_init(&out, 4096);
    CHECK(strcmp(print(HEAD "}", 0, false, &out), "4096 of 8192 slots") == 0);
    CHECK(strcmp(print(HEAD ",\"bytes_done\":1024,\"bytes_total\":null,\"rate_bytes_s\":null,"
                            "\"eta_ms\":null,\"throttle\":0,\"waits_for\":[]}",
                       0, false, &out),
                 "4096 of 8192 slots, 1.0 KiB") == 0);
    CHECK(strcmp(print(HEAD ",\"bytes_done\":1024,\"bytes_total\":2048,\"rate_bytes_s\":512,"
                            "\"eta_ms\":2000,\"waits_for\":[7,8]}",
                       0, false, &out),
                 "4096 of 8192 slots, 1.0 KiB of 2.0 KiB, 512 B/s, 2.0 s left, waits for node 7") ==
          0);
    CHECK(strcmp(print(HEAD ",\"rate_bytes_s\":512,\"paused\":true}", 0, false, &out),
                 "4096 of 8192 slots, paused") == 0);
    buffer_deinit(&out);
}

/* The bar gives way first, then the figures; the percentage is always there. */
TEST(change, bar) {
    struct buffer out;
    buffer_init(&out, 4096);
    CHECK(strcmp(print(HEAD "}", 80, false, &out),
                 "[###############---------------]  50 %  4096 of 8192 slots") == 0);
    CHECK(strcmp(print(HEAD "}", 40, false, &out), "[#####------]  50 %  4096 of 8192 slots") == 0);
    CHECK(strcmp(print(HEAD "}", 30, false, &out), " 50 %  4096 of 8192 slots") == 0);
    CHECK(strcmp(print(HEAD "}", 20, false, &out), " 50 %") == 0);
    for (uint32_t columns = 1; columns < 200; columns++) {
        const size_t len = strlen(print(HEAD ",\"bytes_done\":1024}", columns, false, &out));
        CHECK(len < columns || len == sizeof " 50 %" - 1);
    }
    CHECK(strstr(print(HEAD "}", 80, true, &out), "[\033[32m####") != NULL);
    CHECK(strstr(print(HEAD "}", 80, true, &out), "#\033[0m---") != NULL);
    CHECK(strstr(print("{\"id\":1,\"reason\":\"x\",\"slots_total\":0,\"slots_done\":0}", 80, false,
                       &out),
                 "  0 %") != NULL);
    CHECK(strstr(print("{\"id\":1,\"reason\":\"x\",\"slots_total\":7,\"slots_done\":7}", 80, true,
                       &out),
                 "##\033[0m] 100 %") != NULL);
    buffer_deinit(&out);
}

TEST(change, none_and_bad) {
    static const char *const bad[] = {
        "7",
        "[]",
        "\"x\"",
        "{}",
        "{\"id\":0,\"reason\":\"x\",\"slots_total\":1,\"slots_done\":1}",
        "{\"id\":1,\"slots_total\":1,\"slots_done\":1}",
        "{\"id\":1,\"reason\":7,\"slots_total\":1,\"slots_done\":1}",
        "{\"id\":1,\"reason\":\"x\",\"slots_done\":1}",
        "{\"id\":1,\"reason\":\"x\",\"slots_total\":1}",
        "{\"id\":1,\"reason\":\"x\",\"slots_total\":1,\"slots_done\":2}",
        "{\"id\":-1,\"reason\":\"x\",\"slots_total\":1,\"slots_done\":1}",
        "{\"id\":1,\"reason\":\"x\",\"slots_total\":1,\"slots_done\":1,\"eta_ms\":\"5\"}",
        "{\"id\":1,\"reason\":\"x\",\"slots_total\":1,\"slots_done\":1,\"waits_for\":[0]}",
        "{\"id\":1,\"reason\":\"x\",\"slots_total\":1,\"slots_done\":1,\"waits_for\":[\"a\"]}",
    };
    struct change c = { .id = 5 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STATUS(decode(bad[i], &c), ST_CORRUPT);
        CHECK_EQ(c.id, 5);
    }
    CHECK_OK(decode("null", &c));
    CHECK_EQ(c.id, 0);
    CHECK_OK(change_decode(NULL, &c));
    CHECK_OK(decode("{\"id\":1,\"reason\":\"\\u001b[2J\",\"slots_total\":1,\"slots_done\":1}", &c));
    CHECK(strchr(c.reason, '\033') == NULL);
}

/* Plans, risks and keyspaces as tables, and nothing of an answer that is none. */
#include "cli/admin_text.h"

#include "test/unit/harness.h"

#include <string.h>

#define NODE(address, numbers) "{\"id\":1,\"address\":\"" address "\"," numbers "}"
#define PLAN(nodes)                                                                                \
    "{\"slots_changed\":16384,\"owners_moved\":4096,\"copies_moved\":12288,"                       \
    "\"copies_least\":12280,\"bytes\":1073741824,\"bytes_per_second\":52428800,\"time_ms\":20480," \
    "\"nodes\":[" nodes "]}"

TEST(admin_text, a_plan) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
    CHECK_OK(admin_text_encode(
        BYTES_LIT("{\"status\":\"done\",\"message\":\"nothing was done\",\"plan\":" PLAN(NODE(
            "10.0.0.1:80",
            "\"weight\":1,\"owned_before\":16384,\"owned_after\":8192,"
            "\"kept_before\":16384,\"kept_after\":16384,\"bytes_in\":0,"
            "\"bytes_out\":1073741824") "," NODE("h:1",
                                                 "\"weight\":2,\"owned_before\":0,\"owned_after\":8192,\"kept_before\":0,"
                                                 "\"kept_after\":16384,\"bytes_in\":1073741824,\"bytes_out\":null")) "}"),
        false, &out));
    CHECK_BYTES(
        buffer_bytes(&out),
        BYTES_LIT(
            "nothing was done\n"
            "ADDRESS      WEIGHT  SLOTS  AFTER   KEPT  AFTER       IN      OUT\n"
            "10.0.0.1:80       1  16384   8192  16384  16384      0 B  1.0 GiB\n"
            "h:1               2      0   8192      0  16384  1.0 GiB        ?\n"
            "16384 slots change; 12288 copies of slots move, at least 12280 have to; 1.0 GiB, "
            "about 20 s at 50.0 MiB/s\n"));
    buffer_deinit(&out);
}

TEST(admin_text, a_risk) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
    const struct bytes error = BYTES_LIT("{\"error\":{\"code\":\"at_risk\",\"message\":\"no\"},"
                                         "\"at_risk\":{\"slots_short\":12,\"slots_lost\":3}}");
    CHECK_OK(admin_text_encode_details(error, false, &out));
    CHECK_BYTES(buffer_bytes(&out),
                BYTES_LIT("at risk: 12 slots would have fewer full copies than wanted, 3 of them "
                          "none: their data would be gone\n"));
    buffer_reset(&out);
    CHECK_STATUS(admin_text_encode(error, false, &out), ST_CORRUPT);
    CHECK_OK(admin_text_encode_details(BYTES_LIT("{\"error\":{}}"), false, &out));
    CHECK_EQ(buffer_len(&out), 0);
    buffer_deinit(&out);
}

TEST(admin_text, keyspaces) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
    CHECK_OK(admin_text_encode_keyspaces(
        BYTES_LIT("{\"keyspaces\":[{\"name\":\"default\",\"id\":0,\"replicas\":3,\"write_quorum\":"
                  "\"majority\",\"read_quorum\":1,\"discipline\":\"eventual\",\"ttl_ms\":null},"
                  "{\"name\":\"k\",\"replicas\":5,\"write_quorum\":4,\"read_quorum\":2,"
                  "\"discipline\":\"strict\",\"ttl_ms\":90000}]}"),
        true, &out));
    CHECK_BYTES(
        buffer_bytes(&out),
        BYTES_LIT(
            "\033[1mNAME     DISCIPLINE  REPLICAS  WRITE QUORUM  READ QUORUM       TTL\033[0m\n"
            "default  eventual           3      majority            1         -\n"
            "k        strict             5             4            2  1 m 30 s\n"));
    buffer_deinit(&out);
}

TEST(admin_text, refuses_other_answers) {
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "7",
        "{}",
        "{\"message\":7}",
        "{\"message\":\"m\",\"plan\":7}",
        "{\"message\":\"m\",\"plan\":{}}",
        "{\"message\":\"m\",\"plan\":" PLAN("7") "}",
        "{\"message\":\"m\",\"plan\":" PLAN(NODE("a", "\"weight\":-1")) "}",
        "{\"message\":\"m\",\"at_risk\":{\"slots_short\":1}}",
    };
#define FRACTION                                                                     \
    "{\"name\":\"k\",\"discipline\":\"strict\",\"replicas\":1,\"write_quorum\":1.5," \
    "\"read_quorum\":1,\"ttl_ms\":null}"
    static const char *const bad_lists[] = {
        "{}",
        "{\"keyspaces\":{}}",
        "{\"keyspaces\":[7]}",
        "{\"keyspaces\":[" FRACTION "]}",
    };
    struct buffer out;
    buffer_init(&out, 1 << 16);
    buffer_append_string(&out, "before");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_STATUS(admin_text_encode(bytes_of_string(bad[i]), false, &out), ST_CORRUPT);
    for (size_t i = 0; i < sizeof bad_lists / sizeof *bad_lists; i++)
        CHECK_STATUS(admin_text_encode_keyspaces(bytes_of_string(bad_lists[i]), false, &out),
                     ST_CORRUPT);
    CHECK_BYTES(buffer_bytes(&out), BYTES_LIT("before"));
    CHECK_OK(admin_text_encode(BYTES_LIT("{\"message\":\"\\u001b[2J\"}"), true, &out));
    CHECK(memchr(out.ptr, '\033', out.end) == NULL);
    buffer_deinit(&out);
}

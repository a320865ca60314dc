/* What a node says against a request is shown, with how many replicas answered, and what is
 * no answer of ours is not. */
#include "cli/kv.h"

#include "test/unit/harness.h"

#include <string.h>

static char text[512];

static const char *error_of(const char *body) {
    return kv_error_text(bytes_of_string(body), text, sizeof text);
}

TEST(kv, shows_the_nodes_own_words) {
    CHECK(strcmp(error_of("{\"error\":{\"code\":\"busy\",\"message\":\"try again\"}}\n"),
                 "try again") == 0);
    CHECK(strcmp(error_of("{\"error\":{\"code\":\"quorum_unavailable\",\"message\":\"2 of 3 "
                          "replicas answered\",\"acks\":2,\"needed\":3,\"replicas\":3}}"),
                 "2 of 3 replicas answered (acks 2, needed 3)") == 0);
    CHECK(strcmp(error_of("{\"error\":{\"message\":\"m\",\"acks\":\"2\",\"needed\":3}}"), "m") ==
          0);
    CHECK(error_of("") == NULL);
    CHECK(error_of("<html>") == NULL);
    CHECK(error_of("{\"error\":\"x\"}") == NULL);
    CHECK(error_of("{\"error\":{\"message\":7}}") == NULL);
}

/* A message of any length, with any bytes in it, stays one line that fits. */
TEST(kv, bounds_the_nodes_words) {
    char body[4096] = "{\"error\":{\"message\":\"\\u001b[31m";
    const size_t len = strlen(body);
    memset(body + len, 'x', 2000);
    memcpy(body + len + 2000, "\",\"acks\":1,\"needed\":2}}", 24);
    CHECK(error_of(body) != NULL);
    CHECK(strlen(text) < 300);
    CHECK(strchr(text, '\033') == NULL);
    CHECK(strstr(text, " (acks 1, needed 2)") != NULL);
}

/* A level goes into the query as it is, encoded, and is left out if there is none. */
TEST(kv, passes_the_level_on) {
    static const struct {
        const char *level, *target;
    } rows[] = { { "", "/v1/kv/a" },
                 { "quorum", "/v1/kv/a?level=quorum" },
                 { "2&x", "/v1/kv/a?level=2%26x" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_flags flags = { .server = "h:1", .timeout_ms = 1, .level = rows[i].level };
        struct kv k = { .flags = &flags };
        buffer_init(&k.target, 4096);
        CHECK(kv_target_key(&k, "a"));
        kv_target_level(&k);
        CHECK_BYTES(buffer_bytes(&k.target), bytes_of_string(rows[i].target));
        buffer_deinit(&k.target);
    }
}

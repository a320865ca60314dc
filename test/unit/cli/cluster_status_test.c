/* The table of a cluster says what the answer says, and nothing is taken from an answer that
 * is none. */
#include "cli/cluster_status.h"

#include "test/unit/harness.h"

#include <string.h>

#define SELF                                                                                \
    "{\"id\":11,\"address\":\"10.0.0.1:8080\",\"self\":true,\"state\":\"up\",\"weight\":1," \
    "\"zone\":0,\"slots_owned\":5461,\"slots_kept\":16384,\"node_id\":1,\"boot_count\":2,"  \
    "\"latency_us\":0,\"clock_ahead_ms\":0,\"hints_waiting\":0}"
#define OTHER                                                                                    \
    "{\"id\":12,\"address\":\"[fd00::2]:8080\",\"self\":false,\"state\":\"down\",\"weight\":10," \
    "\"zone\":0,\"slots_owned\":10923,\"slots_kept\":16384,\"node_id\":0,\"boot_count\":0,"      \
    "\"latency_us\":1234,\"clock_ahead_ms\":-5,\"hints_waiting\":42}"
#define REST                                                                           \
    "],\"leader\":null,\"epoch\":1,\"change\":null,\"replicas\":3,\"write_quorum\":2," \
    "\"read_quorum\":1,\"slots\":16384"

static const char *text_of(struct buffer *out) {
    buffer_append_u8(out, '\0');
    out->end--;
    return (const char *)out->ptr + out->start;
}

TEST(cluster_status, prints_a_line_a_node) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
    CHECK_OK(cluster_status_encode(
        BYTES_LIT("{\"nodes\":[" SELF "," OTHER REST ",\"proxy\":false,\"filled\":true}\n"), false,
        &out));
    CHECK_BYTES(buffer_bytes(&out),
                BYTES_LIT("ADDRESS         STATE  WEIGHT  SLOTS   KEPT  HINTS  LATENCY\n"
                          "10.0.0.1:8080   up          1   5461  16384      0        -  (asked)\n"
                          "[fd00::2]:8080  down       10  10923  16384     42   1.2 ms\n"
                          "2 nodes, 1 up; replicas 3, write quorum 2, read quorum 1\n"));
    buffer_reset(&out);
    CHECK_OK(cluster_status_encode(BYTES_LIT("{\"nodes\":[" SELF "," OTHER REST
                                             ",\"slot_replicas\":3,\"slot_replicas_next\":null}"),
                                   false, &out));
    CHECK(strstr(text_of(&out), "read quorum 1\n") != NULL);
    buffer_reset(&out);
    CHECK_OK(cluster_status_encode(BYTES_LIT("{\"nodes\":[" SELF "," OTHER REST
                                             ",\"slot_replicas\":5,\"slot_replicas_next\":null}"),
                                   false, &out));
    CHECK(strstr(text_of(&out), "read quorum 1; slot replicas 5\n") != NULL);
    buffer_reset(&out);
    CHECK_OK(cluster_status_encode(BYTES_LIT("{\"nodes\":[" SELF "," OTHER REST
                                             ",\"slot_replicas\":3,\"slot_replicas_next\":5}"),
                                   false, &out));
    CHECK(strstr(text_of(&out), "read quorum 1; slot replicas 3, to be 5\n") != NULL);
    buffer_reset(&out);
    CHECK_OK(cluster_status_encode(
        BYTES_LIT("{\"nodes\":[" OTHER REST ",\"proxy\":true,\"filled\":false}"), true, &out));
    const char *text = text_of(&out);
    CHECK(strstr(text, "\033[1mADDRESS ") == text);
    CHECK(strstr(text, "\033[31m  down \033[0m") != NULL);
    CHECK(strstr(text, "\n1 node, 0 up; ") != NULL);
    CHECK(strstr(text, "\nasked a proxy, which keeps no data\n") != NULL);
    CHECK(strstr(text, "\nthe node asked does not hold yet what it should") != NULL);
    buffer_deinit(&out);
}

/* What the cluster has agreed on, who leads and what moves, where the node tells it. */
TEST(cluster_status, tells_of_a_change) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
#define WITH(state, membership)                                                                \
    "{\"address\":\"a:1\",\"self\":false,\"state\":\"" state                                   \
    "\",\"weight\":1,\"slots_owned\":1,\"slots_kept\":1,\"hints_waiting\":0,\"latency_us\":0," \
    "\"membership\":\"" membership "\"}"
    CHECK_OK(cluster_status_encode(
        BYTES_LIT(
            "{\"nodes\":[" WITH("up", "active") "," WITH("up", "leaving") "," WITH("down", "joining") "," WITH(
                "up",
                "dead") "],\"leader\":1,\"leader_address\":\"a:1\",\"epoch\":6,\"change\":{\"id\":9,"
                        "\"reason\":\"leave\",\"slots_total\":20,\"slots_done\":5},\"replicas\":3,"
                        "\"write_quorum\":2,\"read_quorum\":1}"),
        false, &out));
    CHECK_BYTES(buffer_bytes(&out),
                BYTES_LIT("ADDRESS  STATE    WEIGHT  SLOTS  KEPT  HINTS  LATENCY\n"
                          "a:1      up            1      1     1      0        -\n"
                          "a:1      leaving       1      1     1      0        -\n"
                          "a:1      down          1      1     1      0        -\n"
                          "a:1      dead          1      1     1      0        -\n"
                          "4 nodes, 2 up; replicas 3, write quorum 2, read quorum 1\n"
                          "leader a:1, epoch 6\n"
                          "change 9 (leave): 5 of 20 slots\n"));
    buffer_reset(&out);
    /* A change that makes no sense takes the rest with it. */
    CHECK_STATUS(cluster_status_encode(BYTES_LIT("{\"nodes\":[" WITH(
                                           "up", "active") "],\"change\":{},\"replicas\":3,"
                                                           "\"write_quorum\":2,\"read_quorum\":1}"),
                                       false, &out),
                 ST_CORRUPT);
    CHECK_EQ(buffer_len(&out), 0);
#undef WITH
    buffer_deinit(&out);
}

TEST(cluster_status, says_what_to_do_about_who_is_away) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
#define AWAY(id, state, membership)                                             \
    "{\"id\":" id ",\"address\":\"a:" id "\",\"self\":false,\"state\":\"" state \
    "\",\"weight\":1,\"slots_owned\":1,\"slots_kept\":1,\"hints_waiting\":0,"   \
    "\"latency_us\":0,\"membership\":\"" membership "\"}"
    CHECK_OK(cluster_status_encode(
        BYTES_LIT("{\"nodes\":[" AWAY("1", "up", "active") "," AWAY("2", "down", "joining") "," AWAY(
            "3", "down",
            "active") "," AWAY("4", "up",
                               "joining") "," AWAY("5", "down",
                                                   "joining") "," AWAY("6", "down",
                                                                       "active") "],\"change\":{\"id\":7,\"reason\":\"join\",\"slots_total\":2,\"slots_done\":1,"
                                                                                 "\"waits_for\":[2,3,4]},\"replicas\":3,\"write_quorum\":2,\"read_quorum\":2}"),
        false, &out));
    const char *text = text_of(&out);
    const char *advice = strstr(text, "a:2 is down, and");
    CHECK(advice != NULL);
    CHECK_EQ(strcmp(advice, "a:2 is down, and the change waits for it: start it, or give it up "
                            "with atoll cluster remove 2\n"
                            "a:3 is down, and the change waits for it: start it, or give it up "
                            "with atoll cluster remove 3\n"
                            "a:5 joins, and is down: start it, or give it up "
                            "with atoll cluster remove 5\n"),
             0);
    buffer_deinit(&out);
}

TEST(cluster_status, refuses_other_answers) {
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"nodes\":7" REST,
        "{\"nodes\":[" REST "}",
        "{\"nodes\":[{}" REST "}",
        "{\"nodes\":[" SELF ",7" REST "}",
        "{\"nodes\":[" SELF "],\"replicas\":3}",
        "{\"nodes\":[{\"address\":7,\"self\":true,\"state\":\"up\",\"weight\":1,\"slots_owned\":1,"
        "\"slots_kept\":1,\"hints_waiting\":1,\"latency_us\":1}" REST "}",
        "{\"nodes\":[{\"address\":\"a\",\"self\":true,\"state\":\"up\",\"weight\":-1,"
        "\"slots_owned\":1,\"slots_kept\":1,\"hints_waiting\":1,\"latency_us\":1}" REST "}",
    };
    struct buffer out;
    buffer_init(&out, 1 << 16);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_STATUS(cluster_status_encode(bytes_of_string(bad[i]), false, &out), ST_CORRUPT);
        CHECK_EQ(buffer_len(&out), 0);
    }
    buffer_deinit(&out);
}

/* A name that holds an escape sequence cannot reach the terminal. */
TEST(cluster_status, escapes_what_the_node_says) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
    CHECK_OK(cluster_status_encode(
        BYTES_LIT("{\"nodes\":[{\"address\":\"\\u001b[2J\",\"self\":false,\"state\":\"up\\n\","
                  "\"weight\":1,\"slots_owned\":1,\"slots_kept\":1,\"hints_waiting\":1,"
                  "\"latency_us\":999}" REST "}"),
        false, &out));
    const char *text = text_of(&out);
    CHECK(strchr(text, '\033') == NULL);
    CHECK(strstr(text, "  999 us\n") != NULL);
    CHECK(strstr(text, "up\n") == NULL);
    buffer_deinit(&out);
}

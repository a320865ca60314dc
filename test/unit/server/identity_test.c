#include "server/identity.h"

#include <stdio.h>

#include "harness.h"

/* Every start of a directory counts, and its node id and shards stay. */
TEST(identity, counts_starts) {
    struct os *os = os_create();
    struct identity first, second;
    CHECK_OK(identity_open(os, test_tmpdir(), 0, 3, &first));
    CHECK_OK(identity_open(os, test_tmpdir(), 0, 5, &second));
    CHECK(first.node_id != 0);
    CHECK_EQ(second.node_id, first.node_id);
    CHECK_EQ(first.boot_count, 1);
    CHECK_EQ(second.boot_count, 2);
    CHECK_EQ(second.shards, 3);
    os_destroy(os);
}

/* The number of shards cannot be changed by asking for another. */
TEST(identity, refuses_another_number_of_shards) {
    struct os *os = os_create();
    struct identity id;
    CHECK_OK(identity_open(os, test_tmpdir(), 2, 4, &id));
    CHECK_EQ(identity_open(os, test_tmpdir(), 3, 4, &id).code, ST_INVALID);
    CHECK_EQ(id.boot_count, 1);
    os_destroy(os);
}

/* Any flipped bit of the file is noticed; another format is told apart from damage. */
TEST(identity, notices_damage) {
    const struct identity id = { .node_id = 77, .boot_count = 9, .shards = 2 };
    char text[IDENTITY_BYTES_MAX];
    const size_t len = identity_encode(&id, text);
    struct identity out;
    CHECK_OK(identity_decode(bytes_of(text, len), &out));
    CHECK_EQ(out.boot_count, 9);
    for (size_t i = 0; i < len * 8; i++) {
        text[i / 8] ^= (char)(1 << (i % 8));
        CHECK(!status_ok(identity_decode(bytes_of(text, len), &out)));
        text[i / 8] ^= (char)(1 << (i % 8));
    }
    CHECK_EQ(identity_decode(BYTES_LIT("atoll 2\n"), &out).code, ST_INVALID);
    CHECK_EQ(identity_decode(bytes_of(text, len - 1), &out).code, ST_CORRUPT);
    CHECK_EQ(identity_decode(BYTES_NONE, &out).code, ST_CORRUPT);
}

/* Which keys a set of slots has. */
#include "storage/slot_set.h"

#include "base/limits.h"
#include "storage/record.h"
#include "test/unit/harness.h"

static struct slot_set set_with(uint32_t slot) {
    uint8_t bits[SLOT_SET_BYTES] = { 0 };
    struct slot_set s;
    bits[slot / 8] = (uint8_t)(1u << slot % 8);
    slot_set_of(bits, &s);
    return s;
}

static bool has(const struct slot_set *s, uint16_t keyspace, const char *key) {
    uint8_t space[IKEY_BYTES_MAX];
    return slot_set_has(s, ikey_make(keyspace, bytes_of(key, strlen(key)), space));
}

/* Slots as Redis Cluster gives them: of the tag in braces, if there is one. */
TEST(slot_set, has_the_keys_of_its_slots) {
    const struct slot_set foo = set_with(12182);
    CHECK_EQ(foo.count, 1);
    CHECK(has(&foo, 1, "foo"));
    CHECK(has(&foo, 700, "foo"));
    CHECK(has(&foo, RESERVED_KEYSPACES - 1, "foo"));
    CHECK(has(&foo, 1, "{foo}.bar"));
    CHECK(!has(&foo, 1, "bar"));
    CHECK(!has(&foo, 1, "{bar}.foo"));
    CHECK(!has(&foo, RESERVED_KEYSPACES, "foo"));
    CHECK(!has(&foo, 0xFFFF, "foo"));
    const struct slot_set none = { 0 };
    CHECK(slot_set_check(&none));
    CHECK(!has(&none, 1, "foo"));
}

TEST(slot_set, is_within_another) {
    const struct slot_set none = { 0 };
    const struct slot_set first = set_with(0);
    const struct slot_set last = set_with(SLOTS - 1);
    struct slot_set both;
    uint8_t bits[SLOT_SET_BYTES] = { 0 };
    bits[0] = 0x01;
    bits[SLOT_SET_BYTES - 1] = 0x80;
    slot_set_of(bits, &both);
    CHECK_EQ(both.count, 2);
    CHECK(slot_set_is_within(&none, &none));
    CHECK(slot_set_is_within(&none, &first));
    CHECK(slot_set_is_within(&first, &first));
    CHECK(slot_set_is_within(&first, &both));
    CHECK(slot_set_is_within(&last, &both));
    CHECK(!slot_set_is_within(&first, &none));
    CHECK(!slot_set_is_within(&first, &last));
    CHECK(!slot_set_is_within(&both, &last));
    both.count = 1;
    CHECK(!slot_set_check(&both));
}

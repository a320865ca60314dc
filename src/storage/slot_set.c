#include "storage/slot_set.h"

#include "base/assert.h"
#include "storage/record.h"

static_assert(SLOTS % 8 == 0, "a set of slots fills its bytes");

static uint32_t count_of(const uint8_t bits[SLOT_SET_BYTES]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SLOT_SET_BYTES; i++) count += (uint32_t)__builtin_popcount(bits[i]);
    return count;
}

void slot_set_of(const uint8_t bits[SLOT_SET_BYTES], struct slot_set *ret_set) {
    memcpy(ret_set->bits, bits, SLOT_SET_BYTES);
    ret_set->count = count_of(bits);
    ASSERT(slot_set_check(ret_set));
}

bool slot_set_has(const struct slot_set *s, struct bytes ikey) {
    if (s->count == 0 || ikey_keyspace(ikey) >= RESERVED_KEYSPACES) return false;
    const uint32_t slot = crc16_slot(ikey_key(ikey));
    ASSERT(slot < SLOTS);
    return (s->bits[slot / 8] >> slot % 8 & 1) != 0;
}

bool slot_set_is_within(const struct slot_set *s, const struct slot_set *other) {
    if (s->count > other->count) return false;
    for (uint32_t i = 0; i < SLOT_SET_BYTES; i++) {
        if ((s->bits[i] & ~other->bits[i]) != 0) return false;
    }
    return true;
}

bool slot_set_check(const struct slot_set *s) {
    return s->count == count_of(s->bits);
}

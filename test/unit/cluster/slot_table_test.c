#include "cluster/slot_table.h"

#include "base/mem.h"
#include "harness.h"
#include "sim/random.h"

/* Every slot on members 0 and `second`. */
static struct slot_table *make(uint16_t second) {
    struct slot_table *t = mem_alloc_zeroed(sizeof *t);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++)
        t->lists[slot] = (struct slot_list){ 2, { 0, second } };
    return t;
}

/* Only the moves of a change exist, and with them targets come and go. */
TEST(slot_table, moves) {
    struct slot_table *t = make(1);
    t->targets[5] = (struct slot_list){ 2, { 2, 1 } };
    CHECK_ABORTS(slot_table_move(t, 5, SLOT_JOINT));
    CHECK_ABORTS(slot_table_move(t, 6, SLOT_OLD)); /* no target */
    slot_table_move(t, 5, SLOT_OLD);
    CHECK(slot_table_check(t, 3, 0));
    CHECK_ABORTS(slot_table_move(t, 5, SLOT_NEW));
    slot_table_move(t, 5, SLOT_JOINT);
    CHECK_ABORTS(slot_table_move(t, 5, SLOT_OLD));
    CHECK_EQ(t->targets[5].count, 2);
    slot_table_move(t, 5, SLOT_NEW);
    CHECK_EQ(t->targets[5].count, 0);
    CHECK_EQ(t->lists[5].members[0], 2);
    CHECK_ABORTS(slot_table_move(t, 5, SLOT_JOINT));
    slot_table_move(t, 5, SLOT_SETTLED);
    CHECK(slot_table_check(t, 3, 0));
    mem_free(t);
}

TEST(slot_table, has_and_forget) {
    struct slot_table *t = make(2);
    t->targets[7] = (struct slot_list){ 2, { 3, 0 } };
    slot_table_move(t, 7, SLOT_OLD);
    CHECK(slot_table_has(t, 0));
    CHECK(!slot_table_has(t, 1));
    CHECK(slot_table_has(t, 2));
    CHECK(slot_table_has(t, 3)); /* in one target */
    CHECK(!slot_table_has(t, 4));
    CHECK_ABORTS(slot_table_forget(t, 2));
    slot_table_forget(t, 1);
    CHECK_EQ(t->lists[9].members[0], 0);
    CHECK_EQ(t->lists[9].members[1], 1);
    CHECK_EQ(t->targets[7].members[0], 2);
    CHECK_EQ(t->targets[7].members[1], 0);
    CHECK(slot_table_check(t, 3, 0));
    uint32_t owned[3], kept[3];
    slot_table_count(t, 3, owned, kept);
    CHECK_EQ(owned[0], RING_SLOTS);
    CHECK_EQ(owned[1], 0);
    CHECK_EQ(kept[1], RING_SLOTS);
    CHECK_EQ(kept[2], 0);
    mem_free(t);
}

/* No two slots alike: as long as an encoding gets, and within its bound. */
TEST(slot_table, longest_encoding) {
    struct sim_random r = sim_random_of(test_seed());
    struct slot_table *t = mem_alloc_zeroed(sizeof *t);
    struct slot_table *again = mem_alloc_zeroed(sizeof *again);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        struct slot_list *list = &t->lists[slot];
        list->count = t->targets[slot].count = REPLICAS_MAX;
        const uint16_t base = (uint16_t)(128 + sim_random_below(&r, 700));
        for (uint16_t i = 0; i < REPLICAS_MAX; i++) {
            list->members[i] = (uint16_t)(base + i * 8 + sim_random_below(&r, 8));
            t->targets[slot].members[i] = (uint16_t)(list->members[i] + 1);
        }
        t->phases[slot] = SLOT_OLD + slot % 2;
        t->epochs[slot] = sim_random_next(&r) >> 1;
    }
    CHECK(slot_table_check(t, RING_MEMBERS_MAX, UINT64_MAX));
    struct buffer out;
    buffer_init(&out, SLOT_TABLE_BYTES_MAX);
    slot_table_encode(t, UINT64_MAX, &out);
    CHECK(!out.overflowed);
    struct cursor c = cursor_of(buffer_bytes(&out));
    CHECK_OK(slot_table_decode(&c, UINT64_MAX, again));
    CHECK(cursor_done(&c));
    CHECK(memcmp(t, again, sizeof *t) == 0);
    buffer_deinit(&out);
    mem_free(again);
    mem_free(t);
}

/* Runs that are empty or go past the last slot, and lists that cannot be. */
TEST(slot_table, bad_runs) {
    static const struct bytes bad[] = {
        BYTES_LIT(""),
        BYTES_LIT("\x10"),                     /* the first list by number, before any */
        BYTES_LIT("\x02\x80\x08"),             /* member 1024 */
        BYTES_LIT("\x02\x00\x12"),             /* the second list of one */
        BYTES_LIT("\x03\x00\x00"),             /* a run of none */
        BYTES_LIT("\x03\x81\x80\x01\x00"),     /* a run of 16,385 */
        BYTES_LIT("\x03\x80\x80\x01\x00\x03"), /* all slots, and no targets */
    };
    struct slot_table *t = mem_alloc_zeroed(sizeof *t);
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cursor c = cursor_of(bad[i]);
        CHECK_STATUS(slot_table_decode(&c, 1, t), ST_CORRUPT);
    }
    mem_free(t);
}

TEST(slot_table, check_sees_damage) {
    struct slot_table *t = make(1);
    CHECK(slot_table_check(t, 2, 0));
    CHECK(!slot_table_check(t, 1, 0)); /* no such member */
    CHECK(!slot_table_check(t, 0, 0));
    t->epochs[4] = 1;
    CHECK(!slot_table_check(t, 2, 0));
    CHECK(slot_table_check(t, 2, 1));
    t->lists[4].members[1] = 0; /* twice */
    CHECK(!slot_table_check(t, 2, 1));
    t->lists[4].members[1] = 1, t->lists[4].members[6] = 1; /* behind the end */
    CHECK(!slot_table_check(t, 2, 1));
    t->lists[4].members[6] = 0, t->targets[4] = (struct slot_list){ 1, { 1 } };
    CHECK(!slot_table_check(t, 2, 1)); /* a target without a phase for it */
    t->phases[4] = SLOT_JOINT;
    CHECK(slot_table_check(t, 2, 1));
    t->targets[4] = t->lists[4]; /* nothing to do */
    CHECK(!slot_table_check(t, 2, 1));
    t->targets[4].count = 0, t->phases[4] = SLOT_PHASES;
    CHECK(!slot_table_check(t, 2, 1));
    mem_free(t);
}

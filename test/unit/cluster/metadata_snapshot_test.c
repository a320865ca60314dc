#include "cluster/metadata.h"

#include "metadata_world.h"

#include <stdio.h>

/* A state with something of everything, in the middle of a change. */
static void busy(struct meta_world *w) {
    meta_world_init(w, 5, 3);
    struct metadata_command c = { .kind = METADATA_KEYSPACE_CREATE,
                                  .name = BYTES_LIT("orders"),
                                  .settings = meta_world_settings(3, KEYSPACE_STRICT) };
    CHECK_EQ(meta_world_apply(w, &c).code, META_OK);
    const struct member_wish wish = { .weight = 3, .zone = 2, .address = BYTES_LIT("a:1") };
    (void)meta_world_join(w, wish);
    CHECK_EQ(meta_world_member(w, METADATA_MEMBER_DEAD, (struct member_wish){ .id = 2 }).code,
             META_OK);
    CHECK_EQ(meta_world_begin_now(w).code, META_OK);
    CHECK_EQ(meta_world_advance(w, SLOT_OLD, 900), 900);
    CHECK_EQ(meta_world_advance(w, SLOT_JOINT, 400), 400);
    CHECK_EQ(meta_world_member(w, METADATA_MEMBER_REMOVE, (struct member_wish){ .id = 9 }).code,
             META_NO_MEMBER);
}

static void check_same(const struct metadata *m) {
    struct buffer out;
    struct metadata *again = NULL;
    const struct bytes bytes = meta_world_encode(m, &out);
    CHECK_OK(metadata_decode(bytes, &again));
    CHECK(metadata_check(again));
    CHECK(meta_world_equal(m, again));
    CHECK(memcmp(&m->slots, &again->slots, sizeof m->slots) == 0);
    CHECK_EQ(m->epoch, again->epoch);
    CHECK_EQ(m->revision, again->revision);
    CHECK_EQ(m->change.slots_done, again->change.slots_done);
    metadata_destroy(again);
    buffer_deinit(&out);
}

/* Whatever the state, what is read is what was written. */
TEST(metadata_snapshot, same_after_decode) {
    struct meta_world w;
    meta_world_init_empty(&w);
    check_same(w.m);
    meta_world_deinit(&w);
    meta_world_init(&w, 1, 1);
    check_same(w.m);
    meta_world_deinit(&w);
    meta_world_init(&w, MEMBERS_MAX, 7);
    check_same(w.m);
    meta_world_deinit(&w);
    busy(&w);
    check_same(w.m);
    CHECK_EQ(meta_world_change(&w, METADATA_CHANGE_CANCEL, w.m->change.id).code, META_OK);
    check_same(w.m);
    meta_world_deinit(&w);
}

/* Bytes cut off anywhere, or with more behind them, are refused. */
TEST(metadata_snapshot, cut_off) {
    struct meta_world w;
    struct buffer out;
    struct metadata *m = NULL;
    busy(&w);
    const struct bytes all = meta_world_encode(w.m, &out);
    for (size_t len = 0; len < all.len; len += len < 600 ? 1 : 997) {
        uint8_t *exact = mem_alloc(len + 1);
        memcpy(exact, all.ptr, len);
        CHECK_STATUS(metadata_decode(bytes_of(exact, len), &m), ST_CORRUPT);
        mem_free(exact);
    }
    buffer_append_u8(&out, 0);
    CHECK_STATUS(metadata_decode(buffer_bytes(&out), &m), ST_CORRUPT);
    CHECK(m == NULL);
    buffer_deinit(&out);
    meta_world_deinit(&w);
}

/* A byte that is wrong gives another valid state with those bytes, or is refused. */
TEST(metadata_snapshot, wrong_bytes) {
    struct sim_random r = sim_random_of(test_seed());
    struct meta_world w;
    struct buffer out;
    busy(&w);
    const struct bytes all = meta_world_encode(w.m, &out);
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 1500; i++) {
        const size_t at = i < 700 ? i : (size_t)sim_random_below(&r, all.len);
        const uint8_t kept = out.ptr[at];
        struct metadata *m = NULL;
        out.ptr[at] = (uint8_t)(kept ^ (1 + sim_random_below(&r, 255)));
        const struct status s = metadata_decode(all, &m);
        if (status_ok(s)) {
            struct buffer again;
            CHECK(metadata_check(m));
            CHECK(bytes_equal(meta_world_encode(m, &again), all));
            buffer_deinit(&again);
        } else {
            refused++;
        }
        metadata_destroy(m);
        out.ptr[at] = kept;
    }
    CHECK(refused > 700);
    buffer_deinit(&out);
    meta_world_deinit(&w);
}

/* A format that is not known yet is told from garbage. */
TEST(metadata_snapshot, later_version) {
    struct meta_world w;
    struct buffer out;
    struct metadata *m = NULL;
    meta_world_init(&w, 3, 3);
    const struct bytes all = meta_world_encode(w.m, &out);
    out.ptr[4] = 2;
    CHECK_STATUS(metadata_decode(all, &m), ST_INVALID);
    out.ptr[4] = 1, out.ptr[0] ^= 1;
    CHECK_STATUS(metadata_decode(all, &m), ST_CORRUPT);
    buffer_deinit(&out);
    meta_world_deinit(&w);
}

/* What a fresh placement takes, as docs/internals/metadata.md says: it has long runs of slots
 * with one list. */
TEST(metadata_snapshot, sizes) {
    struct meta_world w;
    struct buffer out;
    meta_world_init(&w, 3, 3);
    CHECK(meta_world_encode(w.m, &out).len < 2 * 1024);
    buffer_deinit(&out);
    meta_world_deinit(&w);
    meta_world_init(&w, FOUNDERS_MAX - 1, 3);
    CHECK(meta_world_encode(w.m, &out).len < 32 * 1024);
    buffer_deinit(&out);
    const struct member_wish wish = { .weight = 1, .address = BYTES_LIT("a:1") };
    (void)meta_world_join(&w, wish);
    CHECK_EQ(meta_world_begin_now(&w).code, META_OK);
    CHECK(meta_world_encode(w.m, &out).len < 64 * 1024);
    buffer_deinit(&out);
    meta_world_deinit(&w);
}

/* Nodes of different releases must agree on the bytes of a state, and on the placement behind
 * them: if this changes, so must the version. */
TEST(metadata_snapshot, golden) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    CHECK_EQ(metadata_hash(w.m), UINT64_C(0x169b306e5af89641));
    meta_world_deinit(&w);
    busy(&w);
    CHECK_EQ(metadata_hash(w.m), UINT64_C(0x31c067d6a4540780));
    meta_world_deinit(&w);
}

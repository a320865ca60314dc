/* tidy: integration of src/shard/catch_up.c with nodes on a simulated network. */
#include "catch_up_world.h"

#include "base/mem.h"
#include "shard/catch_up.h"
#include "shard/repair.h"

#define KEYS 200u
#define SOON_MS 5000u

static const struct bytes value = BYTES_LIT("a value");

/* Begin the change and tell everybody; keys of a test are chosen from its slots, so it puts what
 * was there before between the two. */
static void begin(struct catch_up_world *w, uint32_t gains) {
    catch_up_world_open(w, gains);
    catch_up_world_joint(w);
}

static void fill(uint32_t gains) {
    struct catch_up_world w;
    const uint32_t loses = 2 - gains;
    begin(&w, gains);
    const uint64_t stamp = catch_up_stamp(&w, 60000);
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct bytes key = catch_up_key(&w, loses, i);
        catch_up_put(&w, loses, key, stamp, value);
        catch_up_put(&w, 1, key, stamp, value);
    }
    catch_up_set_floor(&w, gains, catch_up_stamp(&w, 2000));
    CHECK_EQ(node_caught_up_epoch(&w.nodes[gains].node), 1);
    catch_up_world_publish_all(&w);
    for (uint32_t n = 0; n < CATCH_UP_NODES; n++) CHECK(catch_up_world_wait(&w, n, SOON_MS));
    for (uint32_t i = 0; i < KEYS; i++)
        CHECK_EQ(catch_up_stamp_at(&w, gains, catch_up_key(&w, loses, i)), stamp);
    uint64_t bytes_sent = 0;
    for (uint32_t n = 0; n < CATCH_UP_NODES; n++)
        bytes_sent += atomic_load(&catch_up_shard(&w, n)->moved.bytes_sent);
    CHECK(bytes_sent >= KEYS * value.len);
    CHECK(atomic_load(&catch_up_shard(&w, gains)->moved.records_taken) >= KEYS);
    catch_up_world_close(&w);
}

TEST(catch_up, a_new_replica_fills_below_its_floor) {
    fill(CATCH_UP_NEW);
    fill(CATCH_UP_OLD);
}

TEST(catch_up, old_replicas_that_differ_are_made_equal) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    const uint64_t older = catch_up_stamp(&w, 60000);
    const uint64_t newer = catch_up_stamp(&w, 50);
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct bytes key = catch_up_key(&w, i % 2, i / 2);
        catch_up_put(&w, i % 3 % 2, key, i % 2 == 0 ? older : newer, value);
    }
    catch_up_world_publish_all(&w);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) CHECK(catch_up_world_wait(&w, i, SOON_MS));
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct bytes key = catch_up_key(&w, i % 2, i / 2);
        for (uint32_t n = 0; n < CATCH_UP_NODES; n++)
            CHECK_EQ(catch_up_stamp_at(&w, n, key), i % 2 == 0 ? older : newer);
    }
    catch_up_world_close(&w);
}

/* Only the second of the old replicas is there, which begins in the middle of its tables. */
TEST(catch_up, a_pass_that_begins_in_the_middle_goes_round) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    const uint64_t stamp = catch_up_stamp(&w, 60000);
    for (uint32_t i = 0; i < KEYS; i++) catch_up_put(&w, 1, catch_up_key(&w, 0, i), stamp, value);
    engine_flush(catch_up_shard(&w, 1)->engine);
    catch_up_world_pass_ms(&w, 500);
    struct buffer middle;
    buffer_init(&middle, IKEY_BYTES_MAX);
    engine_place(catch_up_shard(&w, 1)->engine, 500, &middle);
    CHECK(buffer_len(&middle) > 2);
    buffer_deinit(&middle);
    catch_up_world_crash(&w, 0);
    catch_up_world_publish(&w, 1);
    catch_up_world_publish(&w, 2);
    catch_up_world_pass_ms(&w, SOON_MS);
    for (uint32_t i = 0; i < KEYS; i++)
        CHECK_EQ(catch_up_stamp_at(&w, 2, catch_up_key(&w, 0, i)), stamp);
    catch_up_world_close(&w);
}

/* Of two versions the newer stays, wherever it is. */
TEST(catch_up, takes_nothing_for_what_is_newer) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    const uint64_t older = catch_up_stamp(&w, 60000);
    const uint64_t newer = catch_up_stamp(&w, 100);
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct bytes key = catch_up_key(&w, 0, i);
        for (uint32_t n = 0; n < CATCH_UP_NODES; n++)
            catch_up_put(&w, n, key, i % CATCH_UP_NODES == n ? newer : older, value);
    }
    catch_up_world_publish_all(&w);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) CHECK(catch_up_world_wait(&w, i, SOON_MS));
    for (uint32_t i = 0; i < KEYS; i++) {
        for (uint32_t n = 0; n < CATCH_UP_NODES; n++)
            CHECK_EQ(catch_up_stamp_at(&w, n, catch_up_key(&w, 0, i)), newer);
    }
    catch_up_world_close(&w);
}

/* Who gains the slots had them before, and still has values whose tombstones are forgotten by all. If
 * it has just started again, it has not heard yet how high the others' floors are. */
static void leave_over(uint32_t gains, bool restarts) {
    struct catch_up_world w;
    begin(&w, gains);
    const uint64_t floor = catch_up_stamp(&w, 2000);
    for (uint32_t i = 0; i < KEYS; i++)
        catch_up_put(&w, gains, catch_up_key(&w, 2 - gains, i), catch_up_stamp(&w, 60000), value);
    for (uint32_t n = 0; n < CATCH_UP_NODES; n++) {
        if (n != gains) catch_up_set_floor(&w, n, floor);
    }
    catch_up_world_pass_ms(&w, 1000); /* the floors are heard */
    if (restarts) catch_up_world_crash(&w, gains);
    catch_up_world_publish_all(&w);
    if (restarts) catch_up_world_boot(&w, gains);
    for (uint32_t n = 0; n < CATCH_UP_NODES; n++) CHECK(catch_up_world_wait(&w, n, SOON_MS));
    for (uint32_t i = 0; i < KEYS; i++) {
        for (uint32_t n = 0; n < CATCH_UP_NODES; n++)
            CHECK(!catch_up_has(&w, n, catch_up_key(&w, 2 - gains, i)));
    }
    catch_up_world_close(&w);
}

TEST(catch_up, a_leftover_of_an_earlier_time_does_not_come_back) {
    leave_over(CATCH_UP_NEW, false);
    leave_over(CATCH_UP_OLD, false);
}

TEST(catch_up, a_leftover_does_not_come_back_with_a_restart) {
    leave_over(CATCH_UP_NEW, true);
    leave_over(CATCH_UP_OLD, true);
}

/* Nor is it shown before it was hidden, and other values of the slot are. */
TEST(catch_up, a_leftover_is_not_shown) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    uint8_t space[32];
    struct shard *s = catch_up_shard(&w, CATCH_UP_NEW);
    struct record r = { .ikey = ikey_make(0, catch_up_key(&w, 0, 0), space),
                        .ballot = { catch_up_stamp(&w, 60000), 100, 1 },
                        .value = value };
    CHECK(!catch_up_hides(s, &r));
    catch_up_world_publish(&w, CATCH_UP_NEW);
    catch_up_world_pass_ms(&w, 100);
    CHECK(catch_up_hides(s, &r));
    r.ballot.stamp = catch_up_stamp(&w, 1000);
    CHECK(!catch_up_hides(s, &r));
    r.ballot.stamp = catch_up_stamp(&w, 60000);
    catch_up_world_publish_all(&w);
    CHECK(catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    CHECK(!catch_up_hides(s, &r));
    catch_up_world_close(&w);
}

/* What is newer than the floor may be a write that only the new replica has. */
TEST(catch_up, what_only_the_new_replica_has_above_the_floor_stays) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    catch_up_world_publish_all(&w);
    for (uint32_t i = 0; i < KEYS; i++)
        catch_up_put(&w, CATCH_UP_NEW, catch_up_key(&w, i % 2, i), catch_up_stamp(&w, 0), value);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) CHECK(catch_up_world_wait(&w, i, SOON_MS));
    for (uint32_t i = 0; i < KEYS; i++) {
        for (uint32_t n = 0; n < CATCH_UP_NODES; n++)
            CHECK(catch_up_has(&w, n, catch_up_key(&w, i % 2, i)));
    }
    catch_up_world_close(&w);
}

/* One old replica has the tombstone, the other and the new one the value. */
TEST(catch_up, a_delete_stays_a_delete) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct bytes key = catch_up_key(&w, 0, i);
        catch_up_put(&w, 0, key, catch_up_stamp(&w, 60000), value);
        catch_up_put(&w, CATCH_UP_NEW, key, catch_up_stamp(&w, 60000), value);
        catch_up_put(&w, 1, key, catch_up_stamp(&w, 50000), BYTES_NONE);
    }
    catch_up_world_publish_all(&w);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) CHECK(catch_up_world_wait(&w, i, SOON_MS));
    for (uint32_t i = 0; i < KEYS; i++) {
        for (uint32_t n = 0; n < CATCH_UP_NODES; n++)
            CHECK(!catch_up_has(&w, n, catch_up_key(&w, 0, i)));
    }
    catch_up_world_close(&w);
}

TEST(catch_up, begins_when_both_have_adopted_the_epoch) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    catch_up_put(&w, 0, catch_up_key(&w, 0, 0), catch_up_stamp(&w, 60000), value);
    catch_up_world_publish(&w, CATCH_UP_NEW);
    catch_up_world_publish(&w, 1);
    CHECK(!catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    CHECK_EQ(node_caught_up_epoch(&w.nodes[0].node), 1); /* with what it has adopted */
    CHECK(!catch_up_has(&w, CATCH_UP_NEW, catch_up_key(&w, 0, 0)));
    catch_up_world_publish(&w, 0);
    CHECK(catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    CHECK(catch_up_has(&w, CATCH_UP_NEW, catch_up_key(&w, 0, 0)));
    catch_up_world_close(&w);
}

/* What is stamped too far ahead of the others' clocks is refused for a while. */
TEST(catch_up, is_not_said_while_something_is_missing) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    const struct bytes late = BYTES_LIT("late");
    catch_up_put(&w, 1, catch_up_key(&w, 0, 1), catch_up_stamp(&w, 60000), value);
    catch_up_put(&w, 1, catch_up_key(&w, 0, 0), catch_up_stamp(&w, 0) + hlc_of_ms(3000), late);
    catch_up_world_publish_all(&w);
    CHECK(!catch_up_world_wait(&w, CATCH_UP_NEW, 1500));
    CHECK(catch_up_has(&w, CATCH_UP_NEW, catch_up_key(&w, 0, 1)));
    CHECK(!catch_up_has(&w, CATCH_UP_NEW, catch_up_key(&w, 0, 0)));
    CHECK(catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    CHECK(catch_up_has(&w, CATCH_UP_NEW, catch_up_key(&w, 0, 0)));
    catch_up_world_close(&w);
}

TEST(catch_up, a_dead_member_is_not_waited_for) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    catch_up_put(&w, 1, catch_up_key(&w, 0, 0), catch_up_stamp(&w, 60000), value);
    catch_up_world_crash(&w, 0);
    catch_up_world_publish_all(&w);
    CHECK(!catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    CHECK(!catch_up_world_wait(&w, 1, 10));
    struct metadata_command c = { .kind = METADATA_MEMBER_DEAD, .member = { .id = 1 } };
    c.proposal.node = 2;
    catch_up_world_apply(&w, &c);
    catch_up_world_publish_all(&w);
    CHECK(catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    CHECK(catch_up_world_wait(&w, 1, SOON_MS));
    CHECK(catch_up_has(&w, CATCH_UP_NEW, catch_up_key(&w, 0, 0)));
    catch_up_world_close(&w);
}

TEST(catch_up, a_restart_in_the_middle_begins_anew) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    const struct bytes large = bytes_of(mem_alloc_zeroed(1000), 1000);
    for (uint32_t i = 0; i < KEYS; i++)
        catch_up_put(&w, i % 2, catch_up_key(&w, 0, i), catch_up_stamp(&w, 60000), large);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) w.nodes[i].move_rate = 50000;
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) atomic_store(&w.nodes[i].node.move_rate, 50000);
    catch_up_world_publish_all(&w);
    CHECK(!catch_up_world_wait(&w, CATCH_UP_NEW, 1000));
    catch_up_world_crash(&w, CATCH_UP_NEW);
    catch_up_world_pass_ms(&w, 1000);
    catch_up_world_boot(&w, CATCH_UP_NEW);
    CHECK_EQ(node_caught_up_epoch(&w.nodes[CATCH_UP_NEW].node), 0);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) CHECK(catch_up_world_wait(&w, i, 60000));
    for (uint32_t i = 0; i < KEYS; i++) {
        for (uint32_t n = 0; n < CATCH_UP_NODES; n++)
            CHECK(catch_up_has(&w, n, catch_up_key(&w, 0, i)));
    }
    mem_free((void *)large.ptr);
    catch_up_world_close(&w);
}

/* Bytes that the three have taken. */
static uint64_t taken(struct catch_up_world *w) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++)
        bytes += atomic_load(&catch_up_shard(w, i)->moved.bytes_taken);
    return bytes;
}

TEST(catch_up, keeps_to_its_rate_and_pauses) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    const struct bytes large = bytes_of(mem_alloc_zeroed(1000), 1000);
    for (uint32_t i = 0; i < KEYS; i++) {
        catch_up_put(&w, 0, catch_up_key(&w, 0, i), catch_up_stamp(&w, 60000), large);
        catch_up_put(&w, 1, catch_up_key(&w, 0, i), catch_up_stamp(&w, 60000), large);
    }
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) {
        atomic_store(&w.nodes[i].node.move_paused, true);
        atomic_store(&w.nodes[i].node.move_rate, 20000);
    }
    catch_up_world_publish_all(&w);
    CHECK(!catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    CHECK_EQ(taken(&w), 0);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) atomic_store(&w.nodes[i].node.move_paused, false);
    catch_up_world_pass_ms(&w, 2000);
    const uint64_t before = taken(&w);
    catch_up_world_pass_ms(&w, 2000);
    CHECK(taken(&w) > before);
    /* Two of them may ask at once. */
    CHECK(taken(&w) - before <= UINT64_C(2) * 2 * 20000 + 10000);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) atomic_store(&w.nodes[i].node.move_rate, 0);
    CHECK(catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    mem_free((void *)large.ptr);
    catch_up_world_close(&w);
}

/* A shard that gains slots forgets no tombstones, until it has compared everything again. */
TEST(catch_up, who_gains_slots_takes_old_versions) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    struct shard *s = catch_up_shard(&w, CATCH_UP_NEW);
    const uint64_t stamp = catch_up_stamp(&w, 60000);
    catch_up_set_floor(&w, CATCH_UP_NEW, catch_up_stamp(&w, 20000));
    s->repair->forgotten_stamp = s->floor_stamp;
    engine_set_gc_floor(s->engine, (struct ballot){ s->floor_stamp, UINT32_MAX, UINT32_MAX });
    catch_up_put(&w, 0, catch_up_key(&w, 0, 0), stamp, value);
    catch_up_world_publish_all(&w);
    CHECK(catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    CHECK_EQ(catch_up_stamp_at(&w, CATCH_UP_NEW, catch_up_key(&w, 0, 0)), stamp);
    CHECK(s->repair->gains && s->repair->gaining);
    const struct bytes key = catch_up_key(&w, 0, 0);
    char kept[16];
    memcpy(kept, key.ptr, key.len);
    catch_up_world_new(&w);
    catch_up_world_publish_all(&w);
    catch_up_world_pass_ms(&w, 1000);
    CHECK(s->repair->gains && !s->repair->gaining);
    catch_up_world_pass_ms(&w, 60000);
    CHECK(!s->repair->gains);
    CHECK(s->floor_stamp > stamp);
    CHECK(catch_up_has(&w, CATCH_UP_NEW, bytes_of(kept, key.len)));
    catch_up_world_close(&w);
}

/* What node 0 gave away goes from its disk, once, and not before the slots are new. */
TEST(catch_up, what_is_left_behind_is_dropped) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    char kept[16];
    const struct bytes key = catch_up_key(&w, 0, 0);
    memcpy(kept, key.ptr, key.len);
    const struct bytes gone = bytes_of(kept, key.len);
    catch_up_put(&w, 0, gone, catch_up_stamp(&w, 60000), value);
    catch_up_put(&w, 1, gone, catch_up_stamp(&w, 60000), value);
    catch_up_world_publish_all(&w);
    for (uint32_t i = 0; i < CATCH_UP_NODES; i++) CHECK(catch_up_world_wait(&w, i, SOON_MS));
    engine_flush(catch_up_shard(&w, 0)->engine);
    engine_compact_all(catch_up_shard(&w, 0)->engine);
    catch_up_world_pass_ms(&w, 2000);
    CHECK(catch_up_has(&w, 0, gone));
    catch_up_world_new(&w);
    catch_up_world_publish_all(&w);
    catch_up_world_pass_ms(&w, 5000);
    CHECK(!catch_up_has(&w, 0, gone));
    CHECK(catch_up_has(&w, 1, gone) && catch_up_has(&w, CATCH_UP_NEW, gone));
    const struct repair_shard *rs = catch_up_shard(&w, 0)->repair;
    CHECK(rs->left != 0);
    CHECK_EQ(rs->left_noted, rs->left);
    const uint64_t left = rs->left;
    catch_up_world_crash(&w, 0);
    catch_up_world_boot(&w, 0);
    CHECK_EQ(catch_up_shard(&w, 0)->repair->left_noted, left);
    CHECK(!engine_is_sweeping(catch_up_shard(&w, 0)->engine));
    catch_up_world_pass_ms(&w, 2000);
    CHECK_EQ(engine_stats(catch_up_shard(&w, 0)->engine).sweep_bytes, 0);
    catch_up_world_close(&w);
}

/* Node 0 gives slots to node 2 and gets them back at once, with what was left over of them. */
TEST(catch_up, slots_come_back) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    char names[2][16];
    struct bytes keys[2];
    const uint64_t newer = catch_up_stamp(&w, 0);
    for (uint32_t i = 0; i < 2; i++) {
        const struct bytes key = catch_up_key(&w, 0, i);
        memcpy(names[i], key.ptr, key.len);
        keys[i] = bytes_of(names[i], key.len);
        for (uint32_t n = 0; n < 2; n++)
            catch_up_put(&w, n, keys[i], catch_up_stamp(&w, 60000), value);
    }
    catch_up_world_publish_all(&w);
    for (uint32_t n = 0; n < CATCH_UP_NODES; n++) CHECK(catch_up_world_wait(&w, n, SOON_MS));
    catch_up_world_new(&w);
    catch_up_world_publish_all(&w);
    catch_up_world_pass_ms(&w, 1);
    for (uint32_t n = 1; n < CATCH_UP_NODES; n++) {
        catch_up_put(&w, n, keys[0], newer, BYTES_NONE);
        catch_up_put(&w, n, keys[1], newer, value);
    }
    CHECK(catch_up_shard(&w, 0)->repair->left != 0);
    w.gains = CATCH_UP_OLD; /* now node 2 leaves */
    catch_up_world_joint(&w);
    catch_up_world_publish_all(&w);
    for (uint32_t n = 0; n < CATCH_UP_NODES; n++) CHECK(catch_up_world_wait(&w, n, SOON_MS));
    CHECK_EQ(catch_up_shard(&w, 0)->repair->left, 0);
    catch_up_world_new(&w);
    catch_up_world_publish_all(&w);
    engine_compact_all(catch_up_shard(&w, 0)->engine);
    catch_up_world_pass_ms(&w, 5000);
    CHECK(!catch_up_has(&w, 0, keys[0]));
    CHECK(catch_up_has(&w, 0, keys[1]));
    CHECK_EQ(catch_up_stamp_at(&w, 0, keys[1]), newer);
    CHECK_EQ(catch_up_stamp_at(&w, CATCH_UP_NEW, keys[1]), 0);
    catch_up_world_close(&w);
}

/* The slots stay where they were: what the new one took is left behind there. */
TEST(catch_up, ends_where_the_change_is_cancelled) {
    struct catch_up_world w;
    begin(&w, CATCH_UP_NEW);
    char name[16];
    const struct bytes first = catch_up_key(&w, 0, 0);
    memcpy(name, first.ptr, first.len);
    const struct bytes key = bytes_of(name, first.len);
    for (uint32_t n = 0; n < 2; n++) catch_up_put(&w, n, key, catch_up_stamp(&w, 60000), value);
    catch_up_world_publish_all(&w);
    CHECK(catch_up_world_wait(&w, CATCH_UP_NEW, SOON_MS));
    CHECK(catch_up_has(&w, CATCH_UP_NEW, key));
    struct metadata_command c = { .kind = METADATA_CHANGE_CANCEL, .change = w.metadata->change.id };
    catch_up_world_apply(&w, &c);
    catch_up_world_publish_all(&w);
    for (uint32_t n = 0; n < CATCH_UP_NODES; n++) CHECK(catch_up_world_wait(&w, n, SOON_MS));
    engine_compact_all(catch_up_shard(&w, 0)->engine);
    catch_up_world_pass_ms(&w, 5000);
    CHECK(catch_up_has(&w, 0, key));
    CHECK(catch_up_has(&w, 1, key));
    CHECK(!catch_up_has(&w, CATCH_UP_NEW, key));
    catch_up_world_close(&w);
}

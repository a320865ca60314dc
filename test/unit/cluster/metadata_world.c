#include "metadata_world.h"

#include <stdio.h>
#include <string.h>

const struct cluster_id meta_world_cluster = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                                 15 } };

struct keyspace_settings meta_world_settings(uint8_t replicas,
                                             enum keyspace_discipline discipline) {
    return (struct keyspace_settings){ .replication = { .replicas = replicas },
                                       .discipline = discipline };
}

void meta_world_bootstrap(struct metadata_command *c, uint32_t members, uint32_t replicas) {
    static char addresses[FOUNDERS_MAX][24];
    *c = (struct metadata_command){ .kind = METADATA_BOOTSTRAP, .cluster = meta_world_cluster };
    c->proposal = (struct proposal){ .node = 1, .sequence = 1 };
    c->settings = meta_world_settings((uint8_t)replicas, KEYSPACE_EVENTUAL);
    c->replicas = replicas;
    c->first_count = members;
    for (uint32_t i = 0; i < members; i++) {
        (void)snprintf(addresses[i], sizeof addresses[i], "10.0.0.%u:7000", i + 1);
        c->first[i] = (struct member_wish){ .id = i + 1, .weight = 1 };
        c->first[i].address = bytes_of_string(addresses[i]);
    }
}

void meta_world_init_empty(struct meta_world *w) {
    *w = (struct meta_world){ .m = metadata_create() };
    CHECK(metadata_check(w->m));
}

/* Without the checks of meta_world_apply, which look at all members each time. */
static void add_member(struct meta_world *w, uint32_t id) {
    static struct metadata_command c;
    char address[24];
    (void)snprintf(address, sizeof address, "10.0.%u.%u:7000", id / 256, id % 256);
    c = (struct metadata_command){ .kind = METADATA_MEMBER_ADD, .cluster = meta_world_cluster };
    c.proposal = (struct proposal){ .node = 1, .sequence = ++w->sequence };
    c.member = (struct member_wish){ .weight = 1, .address = bytes_of_string(address) };
    CHECK_EQ(metadata_apply(w->m, &c).value, id);
    c.kind = METADATA_MEMBER_BOOT;
    c.proposal.sequence = ++w->sequence;
    c.member = (struct member_wish){ .id = id, .boot = 1 };
    CHECK_EQ(metadata_apply(w->m, &c).code, META_OK);
}

void meta_world_init(struct meta_world *w, uint32_t members, uint32_t replicas) {
    const uint32_t founders = members < FOUNDERS_MAX ? members : FOUNDERS_MAX;
    struct metadata_command c;
    meta_world_init_empty(w);
    meta_world_bootstrap(&c, founders, replicas);
    CHECK_EQ(meta_world_apply(w, &c).code, META_OK);
    if (members == founders) return;
    for (uint32_t id = founders + 1; id <= members; id++) add_member(w, id);
    CHECK_EQ(meta_world_begin_now(w).code, META_OK);
    meta_world_finish(w);
}

void meta_world_deinit(struct meta_world *w) {
    metadata_destroy(w->m);
    w->m = NULL;
}

struct bytes meta_world_encode(const struct metadata *m, struct buffer *out) {
    buffer_init(out, METADATA_SNAPSHOT_BYTES_MAX);
    metadata_encode(m, out);
    CHECK(!out->overflowed);
    return buffer_bytes(out);
}

bool meta_world_equal(const struct metadata *a, const struct metadata *b) {
    struct buffer x, y;
    const bool equal = bytes_equal(meta_world_encode(a, &x), meta_world_encode(b, &y));
    buffer_deinit(&x);
    buffer_deinit(&y);
    return equal;
}

/* All but what is remembered of the proposer is as before. */
static void check_unchanged(struct metadata *before, const struct metadata *after, uint32_t node) {
    const uint32_t at = metadata_find_member(before, node);
    if (at != MEMBER_NONE) {
        before->members[at].sequence = after->members[at].sequence;
        before->members[at].result = after->members[at].result;
    }
    CHECK(meta_world_equal(before, after));
}

struct metadata_result meta_world_apply(struct meta_world *w, struct metadata_command *c) {
    c->cluster = meta_world_cluster;
    c->proposal.sequence = ++w->sequence;
    c->proposal.node = w->proposer;
    if (w->proposer == 0) c->proposal.node = w->m->members_count > 0 ? w->m->members[0].id : 1;

    struct buffer entry;
    static struct metadata_command decoded;
    buffer_init(&entry, METADATA_COMMAND_BYTES_MAX);
    metadata_command_encode(c, &entry);
    CHECK(!entry.overflowed);
    CHECK_OK(metadata_command_decode(buffer_bytes(&entry), &decoded));
    struct metadata *before = metadata_clone(w->m);
    const struct metadata_result result = metadata_apply(w->m, &decoded);
    CHECK(metadata_check(w->m));
    if (metadata_result_ok(result)) {
        CHECK_EQ(w->m->revision, before->revision + 1);
        CHECK(w->m->epoch == before->epoch || w->m->epoch == before->epoch + 1);
    } else {
        CHECK_EQ(result.value, 0);
        check_unchanged(before, w->m, c->proposal.node);
    }
    metadata_destroy(before);
    buffer_deinit(&entry);
    return result;
}

struct metadata_result meta_world_member(struct meta_world *w, enum metadata_kind kind,
                                         struct member_wish wish) {
    struct metadata_command c = { .kind = kind, .member = wish };
    return meta_world_apply(w, &c);
}

struct metadata_result meta_world_join(struct meta_world *w, struct member_wish wish) {
    const struct metadata_result added = meta_world_member(w, METADATA_MEMBER_ADD, wish);
    const struct member_wish started = { .id = (uint32_t)added.value, .boot = 1 };
    CHECK_EQ(added.code, META_OK);
    CHECK_EQ(meta_world_member(w, METADATA_MEMBER_BOOT, started).code, META_OK);
    return added;
}

struct metadata_result meta_world_begin(struct meta_world *w, const struct ring_inputs *target) {
    struct metadata_command c = { .kind = METADATA_CHANGE_BEGIN, .target = *target };
    return meta_world_apply(w, &c);
}

struct metadata_result meta_world_begin_now(struct meta_world *w) {
    struct ring_inputs inputs;
    metadata_inputs(w->m, &inputs);
    return meta_world_begin(w, &inputs);
}

struct metadata_result meta_world_change(struct meta_world *w, enum metadata_kind kind,
                                         uint64_t change) {
    struct metadata_command c = { .kind = kind, .change = change };
    return meta_world_apply(w, &c);
}

struct metadata_result meta_world_step(struct meta_world *w, enum metadata_kind kind,
                                       uint32_t first, uint32_t last) {
    uint8_t packed[4];
    put_u16_le(packed, (uint16_t)first);
    put_u16_le(packed + 2, (uint16_t)last);
    struct metadata_command c = { .kind = kind,
                                  .change = w->m->change.id,
                                  .ranges = { 1, bytes_of(packed, sizeof packed) } };
    return meta_world_apply(w, &c);
}

uint32_t meta_world_advance(struct meta_world *w, enum slot_phase from, uint32_t slots_max) {
    static uint8_t packed[SLOT_RANGES_MAX * 4];
    struct metadata_command c = { .change = w->m->change.id };
    c.kind = from == SLOT_OLD ? METADATA_SLOTS_JOINT : METADATA_SLOTS_NEW;
    uint32_t slots = 0;
    for (uint32_t slot = 0; slot < RING_SLOTS && slots < slots_max; slot++) {
        if (w->m->slots.phases[slot] != from) continue;
        const bool extends =
            c.ranges.count > 0 && get_u16_le(packed + c.ranges.count * 4 - 2) + 1u == slot;
        if (!extends) put_u16_le(packed + c.ranges.count++ * 4, (uint16_t)slot);
        put_u16_le(packed + c.ranges.count * 4 - 2, (uint16_t)slot);
        slots++;
    }
    c.ranges.packed = bytes_of(packed, c.ranges.count * UINT64_C(4));
    if (slots > 0) CHECK_EQ(meta_world_apply(w, &c).code, META_OK);
    return slots;
}

void meta_world_finish(struct meta_world *w) {
    CHECK(w->m->change.id != 0);
    (void)meta_world_advance(w, SLOT_OLD, RING_SLOTS);
    (void)meta_world_advance(w, SLOT_JOINT, RING_SLOTS);
    CHECK_EQ(w->m->change.id, 0);
}

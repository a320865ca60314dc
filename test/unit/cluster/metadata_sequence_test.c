/* tidy: integration - random commands against all files of the metadata. */
#include "metadata_world.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMANDS 700u

/* What is known of the state from outside it. */
struct watch {
    uint32_t member_last;  /* highest id ever seen */
    uint32_t target_count; /* members of the last change that ended whole, or of bootstrap */
    uint32_t begun_count;  /* members of the last change begun */
    bool mixed;            /* a cancelled change may have left lists of two lengths */
    uint32_t code_counts[META_CODES];
};

static uint32_t below(struct sim_random *r, uint32_t bound) {
    return (uint32_t)sim_random_below(r, bound);
}

/* Most often a member that is there. */
static uint32_t draw_id(const struct metadata *m, struct sim_random *r) {
    if (sim_random_chance(r, 1, 20)) return below(r, m->member_last + 3);
    return m->members[below(r, m->members_count)].id;
}

static uint32_t draw_weight(struct sim_random *r) {
    if (sim_random_chance(r, 1, 20)) return sim_random_chance(r, 1, 2) ? 0 : RING_WEIGHT_MAX + 1;
    return 1 + below(r, 10);
}

static void draw_member(struct metadata_command *c, const struct metadata *m,
                        struct sim_random *r) {
    static char address[24];
    (void)snprintf(address, sizeof address, "h%u:%u", below(r, 12),
                   sim_random_chance(r, 1, 20) ? 0 : 80);
    const bool adds = c->kind == METADATA_MEMBER_ADD;
    c->member = (struct member_wish){ .id = draw_id(m, r) };
    if (adds) c->member.id = sim_random_chance(r, 1, 4) ? m->member_last + below(r, 4) : 0;
    c->member.weight = adds || c->kind == METADATA_MEMBER_WEIGHT ? draw_weight(r) : 0;
    c->member.zone = adds ? below(r, 3) : 0;
    c->member.boot = c->kind == METADATA_MEMBER_BOOT ? 1 + below(r, 30) : 0;
    if (adds || (c->kind == METADATA_MEMBER_BOOT && sim_random_chance(r, 1, 2)))
        c->member.address = bytes_of_string(address);
    c->accept_loss = c->kind == METADATA_MEMBER_LEAVE && sim_random_chance(r, 1, 2);
}

static void draw_keyspace(struct metadata_command *c, const struct metadata *m,
                          struct sim_random *r) {
    static const char *const names[] = { "a", "b", "c-1", "d_2", "default", "No", "" };
    c->keyspace = (uint16_t)below(r, m->keyspace_last + 2u);
    c->name = bytes_of_string(names[below(r, 7)]);
    if (c->kind != METADATA_KEYSPACE_CREATE) c->name = BYTES_NONE;
    if (c->kind == METADATA_KEYSPACE_DROP) return;
    c->settings.replication.replicas = (uint8_t)below(r, 7);
    c->settings.replication.write_quorum = (uint8_t)below(r, 3) / 2;
    c->settings.discipline = sim_random_chance(r, 1, 3) ? KEYSPACE_STRICT : KEYSPACE_EVENTUAL;
    c->settings.ttl_ms = below(r, 1000);
}

static void draw_begin(struct metadata_command *c, const struct metadata *m, struct sim_random *r) {
    metadata_inputs(m, &c->target);
    if (c->target.count == 0) c->target.members[c->target.count++].id = 1;
    if (below(r, 3) == 0) c->target.replicas = 1 + below(r, 6);
    c->accept_loss = sim_random_chance(r, 1, 2);
    if (sim_random_chance(r, 1, 10)) c->target.members[0].weight++;
    if (sim_random_chance(r, 1, 10) && c->target.count > 1) c->target.count--;
}

/* Slots in one phase, up to some; now and then any slots. */
static void draw_ranges(struct metadata_command *c, const struct metadata *m,
                        struct sim_random *r) {
    static uint8_t packed[SLOT_RANGES_MAX * 4];
    const uint8_t wanted = c->kind == METADATA_SLOTS_JOINT ? SLOT_OLD : SLOT_JOINT;
    const uint32_t most = 1 + below(r, sim_random_chance(r, 1, 2) ? RING_SLOTS : 200);
    uint32_t slots = 0;
    for (uint32_t slot = 0; slot < RING_SLOTS && slots < most; slot++) {
        if (m->slots.phases[slot] != wanted) continue;
        const bool extends =
            c->ranges.count > 0 && get_u16_le(packed + c->ranges.count * 4 - 2) + 1u == slot;
        if (!extends) put_u16_le(packed + c->ranges.count++ * 4, (uint16_t)slot);
        put_u16_le(packed + c->ranges.count * 4 - 2, (uint16_t)slot);
        slots++;
    }
    if (slots == 0 || sim_random_chance(r, 1, 20)) {
        c->ranges.count = 1;
        put_u16_le(packed, (uint16_t)below(r, 100));
        put_u16_le(packed + 2, (uint16_t)(100 + below(r, 100)));
    }
    c->ranges.packed = bytes_of(packed, c->ranges.count * UINT64_C(4));
}

static void draw(struct metadata_command *c, const struct metadata *m, struct sim_random *r) {
    static const uint8_t often[] = { METADATA_CHANGE_BEGIN, METADATA_SLOTS_JOINT,
                                     METADATA_SLOTS_JOINT,  METADATA_SLOTS_NEW,
                                     METADATA_SLOTS_NEW,    METADATA_MEMBER_ADD,
                                     METADATA_MEMBER_REMOVE };
    *c = (struct metadata_command){ .kind = METADATA_MEMBER_ADD + below(r, METADATA_KINDS - 2u) };
    if (sim_random_chance(r, 1, 2)) c->kind = often[below(r, sizeof often)];
    if (c->kind <= METADATA_MEMBER_REMOVE) {
        draw_member(c, m, r);
    } else if (c->kind <= METADATA_KEYSPACE_DROP || c->kind == METADATA_KEYSPACE_WIDEN) {
        draw_keyspace(c, m, r);
    } else if (c->kind == METADATA_CHANGE_BEGIN) {
        draw_begin(c, m, r);
    } else if (c->kind == METADATA_REPLICAS) {
        c->replicas = below(r, REPLICAS_MAX + 2);
    } else {
        c->change = sim_random_chance(r, 1, 20) ? below(r, 9) : m->change.id;
        /* Rarely enough for changes to come to their ends. */
        const bool cancels = c->kind == METADATA_CHANGE_CANCEL && sim_random_chance(r, 1, 2);
        if (c->kind == METADATA_CHANGE_CANCEL && !cancels) c->kind = METADATA_SLOTS_NEW;
        if (c->kind == METADATA_SLOTS_JOINT || c->kind == METADATA_SLOTS_NEW) draw_ranges(c, m, r);
        if (c->kind == METADATA_CHANGE_THROTTLE) c->throttle = below(r, 1000);
    }
}

/* One slot made a move that this kind of command makes, or none. */
static void check_move(enum metadata_kind kind, enum slot_phase was, enum slot_phase is,
                       bool ended) {
    if (was == is) return;
    const bool settles = ended && is == SLOT_SETTLED;
    switch (kind) {
    case METADATA_CHANGE_BEGIN: CHECK(was == SLOT_SETTLED && is == SLOT_OLD); break;
    case METADATA_SLOTS_JOINT: CHECK(was == SLOT_OLD && is == SLOT_JOINT); break;
    case METADATA_SLOTS_NEW:
        CHECK((was == SLOT_JOINT && (is == SLOT_NEW || settles)) || (was == SLOT_NEW && settles));
        break;
    default: CHECK(kind == METADATA_CHANGE_CANCEL && settles);
    }
}

static void check_slots(const struct metadata *a, const struct metadata *b,
                        const struct metadata_command *c) {
    const bool ended = b->change.id == 0;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        check_move(c->kind, a->slots.phases[slot], b->slots.phases[slot], ended);
        CHECK(b->slots.epochs[slot] >= a->slots.epochs[slot]);
        /* The members of a list are those that were meant, whatever their indexes are. */
        const struct slot_list *old = &a->slots.lists[slot];
        const struct slot_list *new = &b->slots.lists[slot];
        const struct slot_list *meant = c->kind == METADATA_SLOTS_NEW &&
                                                a->slots.phases[slot] == SLOT_JOINT &&
                                                b->slots.phases[slot] != SLOT_JOINT
                                            ? &a->slots.targets[slot]
                                            : old;
        CHECK_EQ(new->count, meant->count);
        for (uint32_t i = 0; i < new->count; i++)
            CHECK_EQ(b->members[new->members[i]].id, a->members[meant->members[i]].id);
    }
}

static void check_lengths(const struct metadata *m, const struct watch *watch) {
    const uint32_t placed = watch->target_count;
    const uint32_t copies = m->replicas < placed ? m->replicas : placed;
    if (watch->mixed || m->change.id != 0) return;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) CHECK_EQ(m->slots.lists[slot].count, copies);
}

/* Another N is asked for by one command, and stays so until a change brings it or is cancelled. */
static void check_next(const struct metadata *a, const struct metadata *b,
                       const struct metadata_command *c) {
    const bool ends = a->change.id != b->change.id || c->kind == METADATA_CHANGE_BEGIN;
    const uint32_t wider = c->settings.replication.replicas;
    if (c->kind == METADATA_REPLICAS)
        CHECK_EQ(b->replicas_next, c->replicas);
    else if (c->kind == METADATA_KEYSPACE_WIDEN)
        CHECK(b->replicas_next == a->replicas_next || b->replicas_next == wider);
    else if (!ends)
        CHECK_EQ(b->replicas_next, a->replicas_next);
    else
        CHECK(b->replicas_next == a->replicas_next || b->replicas_next == 0);
    if (!ends) CHECK_EQ(b->replicas, a->replicas);
}

/* What a command has done to the state, seen from outside. */
static void look(struct watch *watch, const struct metadata *a, const struct metadata *b,
                 const struct metadata_command *c, struct metadata_result result) {
    watch->code_counts[result.code]++;
    if (!metadata_result_ok(result)) return;
    const bool turns = c->kind == METADATA_CHANGE_BEGIN || c->kind == METADATA_SLOTS_JOINT ||
                       c->kind == METADATA_SLOTS_NEW || c->kind == METADATA_CHANGE_CANCEL;
    CHECK_EQ(b->epoch, a->epoch + turns);
    if (c->kind == METADATA_MEMBER_ADD) CHECK(result.value > watch->member_last);
    if (c->kind == METADATA_MEMBER_ADD) watch->member_last = (uint32_t)result.value;
    CHECK_EQ(b->member_last, watch->member_last);
    if (c->kind == METADATA_KEYSPACE_CREATE) CHECK_EQ(result.value, a->keyspace_last + 1u);
    if (c->kind == METADATA_CHANGE_BEGIN) watch->begun_count = c->target.count;
    if (c->kind == METADATA_CHANGE_CANCEL) watch->mixed |= a->change.slots_done > 0;
    const bool whole = c->kind == METADATA_CHANGE_BEGIN || c->kind == METADATA_SLOTS_NEW;
    if (whole && b->change.id == 0) {
        watch->target_count = watch->begun_count;
        watch->mixed = false;
    }
    check_next(a, b, c);
    check_slots(a, b, c);
    check_lengths(b, watch);
}

/* The twin is made anew from a snapshot. */
static void restore(struct metadata **twin, const struct metadata *m) {
    struct buffer out;
    struct metadata *restored = NULL;
    CHECK_OK(metadata_decode(meta_world_encode(m, &out), &restored));
    metadata_destroy(*twin);
    *twin = restored;
    buffer_deinit(&out);
}

static void run(struct sim_random *r, uint32_t members, uint32_t replicas,
                uint32_t code_counts[META_CODES]) {
    struct meta_world w;
    struct watch watch = { .member_last = members, .target_count = members };
    meta_world_init(&w, members, replicas);
    struct metadata *twin = metadata_clone(w.m);
    static struct metadata_command c;
    for (uint32_t i = 0; i < COMMANDS; i++) {
        struct metadata *before = metadata_clone(w.m);
        draw(&c, w.m, r);
        w.proposer = w.m->members[below(r, w.m->members_count)].id;
        const struct metadata_result result = meta_world_apply(&w, &c);
        look(&watch, before, w.m, &c, result);
        const struct metadata_result other = metadata_apply(twin, &c);
        CHECK_EQ(other.code, result.code);
        CHECK_EQ(other.value, result.value);
        CHECK_EQ(metadata_hash(twin), metadata_hash(w.m));
        CHECK(meta_world_equal(twin, w.m));
        if (sim_random_chance(r, 1, 50) || i == COMMANDS / 2) restore(&twin, w.m);
        metadata_destroy(before);
    }
    for (uint32_t i = 0; i < META_CODES; i++) code_counts[i] += watch.code_counts[i];
    metadata_destroy(twin);
    meta_world_deinit(&w);
}

/* Two nodes that apply the same commands, one of them restored from a snapshot now and then,
 * stay equal, and after every command all that must hold does. */
TEST(metadata_sequence, equal_states) {
    struct sim_random r = sim_random_of(test_seed());
    uint32_t code_counts[META_CODES] = { 0 };
    run(&r, 1, 3, code_counts);
    run(&r, 5, 3, code_counts);
    run(&r, 9, 5, code_counts);

    /* The commands were not all refused, and not all for one reason. */
    uint32_t reasons = 0, refused = 0;
    for (uint32_t i = 1; i < META_CODES; i++) {
        reasons += code_counts[i] > 0;
        refused += code_counts[i];
    }
    CHECK(code_counts[META_OK] > refused / 4);
    CHECK(reasons >= 17);
}

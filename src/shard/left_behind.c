/* left_behind.c - slots that this node keeps no more: their records are dropped. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "shard/catch_up.h"
#include "shard/repair_internal.h"

/* Lists of this epoch are those the cluster began with: nothing was ever moved. */
#define EPOCH_FIRST 1u

/* A slot that is not this node's was given up for good: a change can be cancelled only for slots
 * that still have their old list. What was never moved is not this change's to drop. */
static bool is_left(const struct membership *m, uint32_t slot) {
    if (MUTANT("data_dropped_early") && m->slots.phases[slot] == SLOT_JOINT)
        return slot_list_place(&m->slots.targets[slot], (uint16_t)m->self) < 0;
    return m->slots.epochs[slot] > EPOCH_FIRST && !membership_keeps(m, slot, m->self);
}

/* Returns a hash of the set; 0 = it is empty. */
static uint64_t left_of(const struct shard *s, uint8_t ret_slots[SLOTS / 8]) {
    const struct membership *m = s->members;
    bool any = false;
    ASSERT(m->self != MEMBER_NONE);
    memset(ret_slots, 0, SLOTS / 8);
    for (uint32_t slot = s->id; slot < RING_SLOTS; slot += s->node->shards_count) {
        if (!is_left(m, slot)) continue;
        ret_slots[slot / 8] |= (uint8_t)(1u << slot % 8);
        any = true;
    }
    return any ? hash_seeded(bytes_of(ret_slots, SLOTS / 8), 0) | 1 : 0;
}

/* The next tick tries again if it fails. */
static void note(struct shard *s, uint64_t left) {
    struct repair_shard *rs = s->repair;
    uint64_t sequence = 0;
    uint8_t value[sizeof left];
    put_u64_le(value, left);
    const struct status st =
        repair_note_write(s, BYTES_LIT(NOTE_LEFT), bytes_of(value, sizeof value), &sequence);
    if (status_ok(st)) rs->left_noted = left;
}

/* The first view that the node is a member in. */
static void begin(struct shard *s) {
    uint8_t slots[SLOTS / 8];
    struct repair_shard *rs = s->repair;
    rs->left_known = true;
    rs->left = left_of(s, slots);
    if (rs->left == rs->left_noted) return;
    engine_set_dropped_slots(s->engine, slots);
    if (rs->left_noted != 0) note(s, 0);
}

void left_behind_open(struct shard *s, uint64_t noted) {
    ASSERT(s->repair != NULL);
    s->repair->left_noted = noted;
    if (s->members->self != MEMBER_NONE) begin(s);
}

/* A member of nothing gives up nothing. What comes back is put behind the note's end in the log: so
 * no start takes an old note for the truth about it. */
void left_behind_adopt(struct shard *s) {
    uint8_t slots[SLOTS / 8];
    struct repair_shard *rs = s->repair;
    ASSERT(rs != NULL);
    if (s->members->self == MEMBER_NONE) return;
    if (!rs->left_known) {
        begin(s);
        return;
    }
    const uint64_t left = left_of(s, slots);
    if (left == rs->left) return;
    rs->left = left;
    engine_set_dropped_slots(s->engine, slots);
    if (rs->left_noted != 0) note(s, 0);
}

void left_behind_tick(struct shard *s) {
    struct repair_shard *rs = s->repair;
    ASSERT(rs != NULL);
    if (!rs->left_known) return;
    const uint64_t gone = engine_is_sweeping(s->engine) ? 0 : rs->left;
    if (gone != rs->left_noted) note(s, gone);
}

/* slot_table.h - who keeps each slot now, and who will once the running change is through.
 *
 * A slot has a list and, while it is being changed, a target. Lists hold indexes into the
 * members of the metadata, owner first; what is not used of one is zero, so that equal lists
 * are equal bytes. A slot's epoch is that of the last step that changed whose answers count
 * for it: messages that know an older one are refused for this slot and no other.
 *
 * Pure. Owner  the metadata it is part of
 * Memory  in the struct, 672 KiB
 * Failure  decode gives ST_CORRUPT and leaves the table undefined
 */
#ifndef ATOLL_CLUSTER_SLOT_TABLE_H
#define ATOLL_CLUSTER_SLOT_TABLE_H

#include "base/assert.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "cluster/place_set.h"
#include "ring/ring.h"

struct slot_list {
    uint16_t count;                 /* 0..REPLICAS_MAX */
    uint16_t members[REPLICAS_MAX]; /* indexes, owner first; zeros from `count` on */
};

static_assert(sizeof(struct slot_list) == 16, "compared and hashed as bytes, without gaps");

enum slot_phase {
    SLOT_SETTLED, /* no change, or none for this slot: the list counts */
    SLOT_OLD,     /* has a target that does not count yet */
    SLOT_JOINT,   /* majorities of the list and of the target are needed */
    SLOT_NEW,     /* the target has become the list; the change is still running */
    SLOT_PHASES,
};

struct slot_table {
    struct slot_list lists[RING_SLOTS];   /* who keeps it */
    struct slot_list targets[RING_SLOTS]; /* OLD, JOINT: who will; else empty */
    uint64_t epochs[RING_SLOTS];          /* when who counts last changed */
    uint8_t phases[RING_SLOTS];           /* enum slot_phase */
};

/* Longest encoding: every slot with a list, a target, an epoch and a phase of its own. */
#define SLOT_TABLE_LISTS_BYTES_MAX (RING_SLOTS * (1u + 2 * REPLICAS_MAX))
#define SLOT_TABLE_BYTES_MAX (2 * SLOT_TABLE_LISTS_BYTES_MAX + RING_SLOTS * (10u + 1u + 2u))

static inline bool slot_list_equal(const struct slot_list *a, const struct slot_list *b) {
    return memcmp(a, b, sizeof *a) == 0;
}
/* Add the members in the list to `members`. */
static inline void slot_list_collect(const struct slot_list *list, struct place_set *members) {
    ASSERT(list->count <= REPLICAS_MAX);
    for (uint32_t i = 0; i < list->count; i++) place_set_add(members, list->members[i]);
}
/* Whether any of the members is in the list. */
static inline bool slot_list_meets(const struct slot_list *list, const struct place_set *members) {
    ASSERT(list->count <= REPLICAS_MAX);
    for (uint32_t i = 0; i < list->count; i++) {
        if (place_set_has(members, list->members[i])) return true;
    }
    return false;
}
/* The first slot of the phase from `slot` on, or RING_SLOTS. */
static inline uint32_t slot_table_next(const struct slot_table *t, enum slot_phase phase,
                                       uint32_t slot) {
    if (slot >= RING_SLOTS) return RING_SLOTS;
    const uint8_t *at = memchr(t->phases + slot, (int)phase, RING_SLOTS - slot);
    return at == NULL ? RING_SLOTS : (uint32_t)(at - t->phases);
}
/* Where `member` is in the list, or -1. */
static inline int slot_list_place(const struct slot_list *list, uint16_t member) {
    ASSERT(list->count <= REPLICAS_MAX);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->members[i] == member) return (int)i;
    }
    return -1;
}

/* Move a slot to another phase; only the moves of a change exist. */
void slot_table_move(struct slot_table *t, uint32_t slot, enum slot_phase next);
/* How many slots a member owns and keeps now; arrays of `members_count`. */
void slot_table_count(const struct slot_table *t, uint32_t members_count, uint32_t *ret_owned,
                      uint32_t *ret_kept);
/* Whether any list or target has the member. */
bool slot_table_has(const struct slot_table *t, uint16_t member);
/* The member at `member` goes and those behind it move up.
 * Requires  no list and no target has it */
void slot_table_forget(struct slot_table *t, uint16_t member);
/* Whether lists and targets are distinct members below `members_count`, phases have what they
 * need, and no slot's epoch is above `epoch`. No members: no lists. */
bool slot_table_check(const struct slot_table *t, uint32_t members_count, uint64_t epoch);

/* Equal tables give equal bytes. `epoch` is that of the metadata: the slots' are told from it. */
void slot_table_encode(const struct slot_table *t, uint64_t epoch, struct buffer *out);
/* Every count and index that memory depends on is checked here, the rest by slot_table_check.
 * Bytes that encode would not give are not all found: compare with a new encoding.
 * Errors  ST_CORRUPT */
STATUS slot_table_decode(struct cursor *c, uint64_t epoch, struct slot_table *t);

#endif

/* How a slot table is written: runs of slots with one list, which is told where it first comes
 * and named by its number afterwards; epochs and phases as runs.
 * docs/internals/metadata.md draws it. */
#include "cluster/slot_table.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

#define BUCKETS (2 * RING_SLOTS) /* half full at most: a probe is short */
/* What a run begins with: the length of a list that is new, or from here on a number. */
#define NAMES (REPLICAS_MAX + UINT32_C(1))

static_assert(RING_SLOTS < UINT16_MAX, "a number in the palette, and one more, fits 16 bits");
static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a bucket is some bits of the hash");

/* The lists that are there, numbered as they first appear. */
struct palette {
    uint32_t count;             /* of `first` */
    uint16_t first[RING_SLOTS]; /* the first slot with this list */
    uint16_t of[RING_SLOTS];    /* number of the slot's list */
    uint16_t buckets[BUCKETS];  /* by hash: a number plus one; 0 = empty */
};

static uint16_t palette_add(struct palette *p, const struct slot_list *lists, uint32_t slot) {
    ASSERT(p->count <= slot);
    uint32_t at = (uint32_t)hash_xxh3(bytes_of(&lists[slot], sizeof *lists)) % BUCKETS;
    for (; p->buckets[at] != 0; at = (at + 1) % BUCKETS) {
        const uint16_t known = p->buckets[at] - 1;
        if (slot_list_equal(&lists[p->first[known]], &lists[slot])) return known;
    }
    p->first[p->count] = (uint16_t)slot;
    p->buckets[at] = (uint16_t)++p->count;
    return (uint16_t)(p->count - 1);
}

static void encode_lists(const struct slot_list *lists, struct buffer *out) {
    struct palette *p = mem_alloc_zeroed(sizeof *p);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) p->of[slot] = palette_add(p, lists, slot);
    uint32_t len, told = 0;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot += len) {
        len = 1;
        while (slot + len < RING_SLOTS && p->of[slot + len] == p->of[slot]) len++;
        const struct slot_list *list = &lists[slot];
        const bool is_new = p->of[slot] == told;
        const uint32_t name = is_new ? list->count : NAMES + p->of[slot];
        buffer_append_varint(out, name * UINT64_C(2) + (len > 1));
        if (len > 1) buffer_append_varint(out, len);
        for (uint32_t i = 0; i < list->count && is_new; i++)
            buffer_append_varint(out, list->members[i]);
        told += is_new;
    }
    ASSERT(told == p->count);
    mem_free(p);
}

void slot_table_encode(const struct slot_table *t, uint64_t epoch, struct buffer *out) {
    encode_lists(t->lists, out);
    encode_lists(t->targets, out);
    uint32_t len;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot += len) {
        len = 1;
        while (slot + len < RING_SLOTS && t->epochs[slot + len] == t->epochs[slot]) len++;
        ASSERT(t->epochs[slot] <= epoch);
        buffer_append_varint(out, epoch - t->epochs[slot]);
        buffer_append_varint(out, len);
    }
    for (uint32_t slot = 0; slot < RING_SLOTS; slot += len) {
        len = 1;
        while (slot + len < RING_SLOTS && t->phases[slot + len] == t->phases[slot]) len++;
        ASSERT(t->phases[slot] < SLOT_PHASES);
        buffer_append_u8(out, t->phases[slot]);
        buffer_append_varint(out, len);
    }
}

/* A number in 0..max, else the cursor fails. */
static uint64_t take_up_to(struct cursor *c, uint64_t max) {
    const uint64_t value = cursor_varint(c);
    if (value <= max) return value;
    c->failed = true;
    return 0;
}

/* The length of a run that begins at `slot`: 1 at least, and not past the end. */
static uint32_t take_run(struct cursor *c, uint32_t slot) {
    ASSERT(slot < RING_SLOTS);
    const uint64_t len = take_up_to(c, RING_SLOTS - slot);
    if (len == 0) c->failed = true;
    return (uint32_t)len;
}

static struct slot_list take_list(struct cursor *c, uint32_t count) {
    ASSERT(count <= REPLICAS_MAX);
    struct slot_list list = { .count = (uint16_t)count };
    for (uint32_t i = 0; i < count; i++)
        list.members[i] = (uint16_t)take_up_to(c, RING_MEMBERS_MAX - 1);
    return list;
}

static void take_lists(struct cursor *c, struct slot_list *lists) {
    uint32_t count = 0; /* lists told so far; each at the first slot that has it */
    uint16_t *first = mem_alloc(RING_SLOTS * sizeof *first);
    for (uint32_t slot = 0; slot < RING_SLOTS && !c->failed;) {
        const uint64_t token = take_up_to(c, (NAMES + count) * UINT64_C(2) - 1);
        const uint32_t len = (token & 1) != 0 ? take_run(c, slot) : 1;
        const uint32_t name = (uint32_t)(token / 2);
        if (c->failed) break;
        if (name < NAMES) first[count++] = (uint16_t)slot;
        const struct slot_list list =
            name < NAMES ? take_list(c, name) : lists[first[name - NAMES]];
        for (uint32_t i = 0; i < len; i++) lists[slot + i] = list;
        slot += len;
    }
    mem_free(first);
}

STATUS slot_table_decode(struct cursor *c, uint64_t epoch, struct slot_table *t) {
    take_lists(c, t->lists);
    take_lists(c, t->targets);
    for (uint32_t slot = 0; slot < RING_SLOTS && !c->failed;) {
        const uint64_t age = take_up_to(c, epoch);
        const uint32_t len = take_run(c, slot);
        for (uint32_t i = 0; i < len; i++) t->epochs[slot + i] = epoch - age;
        slot += len;
    }
    for (uint32_t slot = 0; slot < RING_SLOTS && !c->failed;) {
        const uint8_t phase = cursor_u8(c);
        const uint32_t len = take_run(c, slot);
        if (phase >= SLOT_PHASES) c->failed = true;
        for (uint32_t i = 0; i < len; i++) t->phases[slot + i] = phase;
        slot += len;
    }
    return status_of(c->failed ? ST_CORRUPT : ST_OK);
}

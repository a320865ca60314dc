#include "ring/ring.h"

#include "base/assert.h"
#include "base/mem.h"
#include "ring/placement.h"

#include <stdlib.h>
#include <string.h>

static int order_ids(const void *a, const void *b) {
    const struct ring_member *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Sorted by id, each id once, everything in range. */
static bool members_check(const struct ring_member *members, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (members[i].id == 0) return false;
        if (i > 0 && members[i - 1].id >= members[i].id) return false;
        if (members[i].weight == 0 || members[i].weight > RING_WEIGHT_MAX) return false;
    }
    return true;
}

STATUS ring_create(const struct ring_member *members, uint32_t count, uint32_t replicas,
                   const struct ring *previous, struct ring **ret_ring) {
    if (count == 0 || count > RING_MEMBERS_MAX) return status_of(ST_INVALID);
    if (replicas == 0 || replicas > REPLICAS_MAX) return status_of(ST_INVALID);

    /* Zeroed, so that equal rings are equal bytes. */
    struct ring *r = mem_alloc_zeroed(sizeof *r);
    r->members_count = count;
    r->replicas = replicas;
    r->copies = replicas < count ? replicas : count;
    memcpy(r->members, members, count * sizeof *members);
    qsort(r->members, count, sizeof *r->members, order_ids);
    if (!members_check(r->members, count)) {
        mem_free(r);
        return status_of(ST_INVALID);
    }

    struct placement *p = placement_create(r);
    if (previous == NULL)
        placement_first(p);
    else
        placement_next(p, previous);
    placement_destroy(p);
    ASSERT(ring_check(r));
    *ret_ring = r;
    return status_of(ST_OK);
}

void ring_destroy(struct ring *r) {
    mem_free(r);
}

int ring_place(const struct ring *r, uint32_t slot, uint32_t member) {
    ASSERT(slot < RING_SLOTS);
    ASSERT(member < r->members_count);
    for (uint32_t i = 0; i < r->copies; i++) {
        if (r->slots[slot][i] == member) return (int)i;
    }
    return -1;
}

uint32_t ring_find(const struct ring *r, uint32_t id) {
    uint32_t low = 0, high = r->members_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (r->members[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    ASSERT(low <= r->members_count);
    return low < r->members_count && r->members[low].id == id ? low : r->members_count;
}

void ring_count(const struct ring *r, uint32_t *ret_owned, uint32_t *ret_kept) {
    memset(ret_owned, 0, r->members_count * sizeof *ret_owned);
    memset(ret_kept, 0, r->members_count * sizeof *ret_kept);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        ret_owned[r->slots[slot][0]]++;
        for (uint32_t i = 0; i < r->copies; i++) ret_kept[r->slots[slot][i]]++;
    }
}

/* Members that exist, each once. */
static bool list_check(const struct ring *r, uint32_t slot) {
    const uint16_t *list = ring_list(r, slot);
    for (uint32_t i = 0; i < r->copies; i++) {
        if (list[i] >= r->members_count) return false;
        for (uint32_t j = 0; j < i; j++) {
            if (list[j] == list[i]) return false;
        }
    }
    return true;
}

bool ring_check(const struct ring *r) {
    if (r->members_count == 0 || r->members_count > RING_MEMBERS_MAX) return false;
    if (r->replicas == 0 || r->replicas > REPLICAS_MAX) return false;
    const uint32_t copies = r->replicas < r->members_count ? r->replicas : r->members_count;
    if (r->copies != copies) return false;
    if (!members_check(r->members, r->members_count)) return false;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (!list_check(r, slot)) return false;
    }
    return true;
}

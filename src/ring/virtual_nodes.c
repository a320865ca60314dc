#include "ring/virtual_nodes.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Points looked at for one slot. Near the end few members have room, and those that the slot
 * may take can be far away on the circle. */
#define POINTS_TRIED_MAX 512u

/* What part of what an owner is still to own it may be ahead. */
#define AHEAD_PART 2

static_assert(RING_SLOTS == UINT32_C(1) << 14, "the slot is the top 14 bits of a point");

struct virtual_node {
    uint64_t point;  /* on the circle */
    uint32_t member; /* index */
    uint32_t next;   /* itself, or where the search for one with room goes on */
};

struct circle {
    struct virtual_node *all; /* by point, ascending */
    uint32_t count;           /* 1.. */
};

/* What the slots not yet filled must still take, for each zone. */
struct rest {
    uint32_t slots;             /* not yet filled, with the one at hand */
    uint32_t copies[ZONES_MAX]; /* of members of the zone */
    uint8_t least[ZONES_MAX];   /* copies of every slot that are reserved for the zone */
    uint8_t most[ZONES_MAX];    /* copies of a slot it may have */
};

static uint32_t points_of(const struct placement *p, uint32_t member) {
    const uint64_t total = (uint64_t)RING_SLOTS * p->ring->copies;
    const uint64_t all = (uint64_t)VIRTUAL_NODES_MEAN * p->ring->members_count;
    return (uint32_t)((p->copies.target[member] * all + total - 1) / total);
}

static uint64_t point_of(uint32_t id, uint32_t number) {
    uint8_t text[8];
    put_u32_le(text, id);
    put_u32_le(text + 4, number);
    return hash_xxh3(bytes_of(text, sizeof text));
}

/* Equal points are ordered too, or the table would depend on the sort. */
static int order_points(const void *a, const void *b) {
    const struct virtual_node *x = a, *y = b;
    if (x->point != y->point) return x->point < y->point ? -1 : 1;
    return (x->member > y->member) - (x->member < y->member);
}

static struct circle circle_create(const struct placement *p) {
    struct circle c = { .count = 0 };
    for (uint32_t i = 0; i < p->ring->members_count; i++) c.count += points_of(p, i);
    ASSERT(c.count >= 1);
    ASSERT(c.count <= (VIRTUAL_NODES_MEAN + 1) * p->ring->members_count);
    c.all = mem_alloc(c.count * sizeof *c.all);
    uint32_t used = 0;
    for (uint32_t i = 0; i < p->ring->members_count; i++) {
        const uint32_t points = points_of(p, i);
        for (uint32_t n = 0; n < points; n++) {
            c.all[used++] =
                (struct virtual_node){ .point = point_of(p->ring->members[i].id, n), .member = i };
        }
    }
    ASSERT(used == c.count);
    qsort(c.all, c.count, sizeof *c.all, order_points);
    for (uint32_t i = 0; i < c.count; i++) c.all[i].next = i;
    return c;
}

/* The first virtual node at or after `at` whose member has room. Those passed are cut out, so
 * that the full ones are passed once and not for every slot.
 *
 * Requires  some member has room */
static uint32_t next_with_room(struct circle *c, const struct load *l, uint32_t at) {
    for (;;) {
        struct virtual_node *node = &c->all[at];
        if (node->next == at) {
            if (l->held[node->member] < l->target[node->member]) return at;
            node->next = (at + 1) % c->count;
        } else {
            node->next = c->all[node->next].next;
        }
        at = node->next;
    }
}

/* Narrow the bounds of the zones for the slot at hand, so that the slots after it can keep
 * theirs: a zone takes more than its least only while more is left than all these leasts, and
 * takes its most once all slots left must. */
static void narrow_zones(struct placement *p, const struct rest *rest) {
    p->unreserved = p->ring->copies;
    for (uint32_t i = 0; i < p->zones_count; i++) {
        const uint32_t above = rest->copies[i] - rest->least[i] * rest->slots;
        const bool open = rest->most[i] > rest->least[i];
        ASSERT(rest->copies[i] >= rest->least[i] * rest->slots);
        ASSERT(rest->copies[i] <= rest->most[i] * rest->slots);
        p->zone_least[i] = rest->least[i] + (open && above == rest->slots);
        p->zone_most[i] = rest->least[i] + (open && above > 0);
        p->unreserved -= p->zone_least[i];
    }
}

struct filling {
    struct placement *p;  /* whose copies are filled */
    struct circle circle; /* of all members that have a target */
    struct rest rest;     /* after the slots before this one */
    uint32_t slot;        /* at hand */
    uint32_t place;       /* places of it that are filled */
};

static bool try_member(struct filling *f, uint32_t member) {
    struct placement *p = f->p;
    if (!placement_may_copy(p, f->slot, f->place, member)) return false;
    load_give(&p->copies, f->slot, f->place, member);
    f->place++;
    f->rest.copies[p->zone_of[member]]--;
    return true;
}

/* Members that must be in every slot from here on: as many as are left lack them. */
static void fill_must(struct filling *f) {
    const struct load *l = &f->p->copies;
    for (uint32_t i = 0; i < l->members_count; i++) {
        if (l->target[i] - l->held[i] < f->rest.slots) continue;
        const bool taken = try_member(f, i);
        ASSERT(taken);
    }
}

static void fill_from_circle(struct filling *f, uint32_t at) {
    const struct load *l = &f->p->copies;
    for (uint32_t i = 0; i < POINTS_TRIED_MAX && f->place < l->width; i++) {
        at = next_with_room(&f->circle, l, at);
        try_member(f, f->circle.all[at].member);
        at = (at + 1) % f->circle.count;
    }
}

/* What the circle did not give: whoever lacks most. */
static void fill_from_all(struct filling *f) {
    const struct load *l = &f->p->copies;
    while (f->place < l->width) {
        uint32_t best = PLACE_EMPTY;
        uint32_t best_lack = 0;
        for (uint32_t i = 0; i < l->members_count; i++) {
            const uint32_t lack = l->target[i] - l->held[i];
            if (lack <= best_lack || !placement_may_copy(f->p, f->slot, f->place, i)) continue;
            best = i;
            best_lack = lack;
        }
        ASSERT(best != PLACE_EMPTY);
        try_member(f, best);
    }
}

/* How far the member is behind owning its part of the slots up to this one, in slots times
 * RING_SLOTS. */
static int64_t behind(const struct filling *f, uint32_t member) {
    const struct load *l = &f->p->owners;
    return (int64_t)l->target[member] * (f->slot + 1) - (int64_t)l->held[member] * RING_SLOTS;
}

/* Who follows the slot on the circle among those in its list. */
static uint32_t nearest(const struct filling *f, uint32_t at) {
    for (uint32_t i = 0; i < POINTS_TRIED_MAX; i++) {
        const uint32_t member = f->circle.all[(at + i) % f->circle.count].member;
        if (ring_place(f->p->ring, f->slot, member) >= 0) return member;
    }
    return ring_list(f->p->ring, f->slot)[0];
}

/* The nearest owns, unless it is ahead by more than a part of what it is still to own; else who
 * is most behind. Runs of slots with one owner stay long where there are few members, and at
 * the end all are near their targets. */
static void choose_owner(struct filling *f, uint32_t at) {
    struct placement *p = f->p;
    const uint16_t *list = ring_list(p->ring, f->slot);
    const uint32_t first = nearest(f, at);
    const int64_t ahead_max = (int64_t)p->owners.target[first] * f->rest.slots / AHEAD_PART;
    uint32_t best = first;
    for (uint32_t i = 0; i < p->ring->copies && behind(f, first) < -ahead_max; i++) {
        if (behind(f, list[i]) > behind(f, best)) best = list[i];
    }
    load_give(&p->owners, f->slot, 0, best);
}

static void filling_init(struct filling *f, struct placement *p) {
    memset(f, 0, sizeof *f);
    f->p = p;
    f->circle = circle_create(p);
    for (uint32_t i = 0; i < p->ring->members_count; i++)
        f->rest.copies[p->zone_of[i]] += p->copies.target[i];
    memcpy(f->rest.least, p->zone_least, sizeof p->zone_least);
    memcpy(f->rest.most, p->zone_most, sizeof p->zone_most);
}

void virtual_nodes_fill(struct placement *p) {
    ASSERT(p->copies.held[PLACE_EMPTY] == RING_SLOTS * p->ring->copies);
    struct filling f;
    filling_init(&f, p);
    const uint32_t unreserved = p->unreserved;
    uint32_t at = 0;
    for (f.slot = 0; f.slot < RING_SLOTS; f.slot++) {
        const uint64_t point = (uint64_t)f.slot << 50;
        while (at < f.circle.count && f.circle.all[at].point < point) at++;
        f.place = 0;
        f.rest.slots = RING_SLOTS - f.slot;
        narrow_zones(p, &f.rest);
        fill_must(&f);
        fill_from_circle(&f, at % f.circle.count);
        fill_from_all(&f);
        choose_owner(&f, at % f.circle.count);
    }
    memcpy(p->zone_least, f.rest.least, sizeof p->zone_least);
    memcpy(p->zone_most, f.rest.most, sizeof p->zone_most);
    p->unreserved = unreserved;
    mem_free(f.circle.all);
    ASSERT(p->copies.held[PLACE_EMPTY] == 0);
}

#include "cluster/metadata_plan.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/metadata_internal.h"

static_assert(RING_SLOTS <= UINT16_MAX, "nobody gives another more than a copy of each slot");

/* Index of the member with this id; `count` if it is not there. */
static uint32_t find(const struct metadata_plan *p, uint32_t id) {
    uint32_t i = 0;
    while (i < p->count && p->members[i].id != id) i++;
    return i;
}

static void add(struct metadata_plan *p, uint32_t id) {
    ASSERT(p->count < PLAN_MEMBERS_MAX);
    if (find(p, id) < p->count) return;
    uint32_t at = p->count++;
    for (; at > 0 && p->members[at - 1].id > id; at--) p->members[at] = p->members[at - 1];
    p->members[at] = (struct plan_member){ .id = id };
}

/* A list by indexes of the plan. */
static struct slot_list before(const struct metadata *m, const uint16_t *known_as, uint32_t slot) {
    struct slot_list list = m->slots.lists[slot];
    for (uint32_t i = 0; i < list.count; i++) {
        ASSERT(list.members[i] < m->members_count);
        list.members[i] = known_as[list.members[i]];
    }
    return list;
}

static struct slot_list after(const struct ring *r, const uint16_t *known_as, uint32_t slot) {
    struct slot_list list = { .count = (uint16_t)r->copies };
    for (uint32_t i = 0; i < r->copies; i++) list.members[i] = known_as[ring_list(r, slot)[i]];
    return list;
}

/* Those of `a` that are not in `b`, in the order of `a`. */
static struct slot_list without(const struct slot_list *a, const struct slot_list *b) {
    struct slot_list rest = { 0 };
    for (uint32_t i = 0; i < a->count; i++) {
        if (slot_list_place(b, a->members[i]) < 0) rest.members[rest.count++] = a->members[i];
    }
    return rest;
}

static void plan_slot(struct metadata_plan *p, uint32_t slot, const struct slot_list *old,
                      const struct slot_list *new) {
    ASSERT(old->count >= 1);
    ASSERT(new->count >= 1);
    const struct slot_list gone = without(old, new);
    const struct slot_list come = without(new, old);
    const uint32_t most = gone.count > come.count ? gone.count : come.count;
    for (uint32_t i = 0; i < most; i++) {
        const uint32_t from = i < gone.count ? gone.members[i] : p->count;
        const uint32_t to = i < come.count ? come.members[i] : p->count;
        p->moves[from * (p->count + 1) + to]++;
    }
    p->slots_changed += !slot_list_equal(old, new);
    p->copies_moved += come.count;
    p->gained[slot] = (uint8_t)come.count;
    p->owners_moved += old->members[0] != new->members[0];
    p->members[old->members[0]].owned_before++;
    p->members[new->members[0]].owned_after++;
    for (uint32_t i = 0; i < old->count; i++) p->members[old->members[i]].kept_before++;
    for (uint32_t i = 0; i < new->count; i++) p->members[new->members[i]].kept_after++;
}

STATUS metadata_plan_create(const struct metadata *m, const struct ring_inputs *inputs,
                            struct metadata_plan **ret_plan) {
    ASSERT(m->epoch > 0);
    if (inputs->count > MEMBERS_MAX) return status_of(ST_INVALID);
    for (uint32_t i = 0; i < inputs->count; i++) {
        if (inputs->members[i].id > MEMBER_ID_MAX) return status_of(ST_INVALID);
    }
    struct ring *r = NULL;
    TRY(metadata_place(m, inputs, &r));

    struct metadata_plan *p = mem_alloc_zeroed(sizeof *p);
    uint16_t old_as[MEMBERS_MAX], new_as[MEMBERS_MAX];
    for (uint32_t i = 0; i < m->members_count; i++) add(p, m->members[i].id);
    for (uint32_t i = 0; i < r->members_count; i++) add(p, r->members[i].id);
    for (uint32_t i = 0; i < m->members_count; i++) old_as[i] = (uint16_t)find(p, m->members[i].id);
    for (uint32_t i = 0; i < r->members_count; i++) new_as[i] = (uint16_t)find(p, r->members[i].id);
    p->moves = mem_alloc_zeroed((p->count + 1) * (p->count + 1) * sizeof *p->moves);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        const struct slot_list old = before(m, old_as, slot);
        const struct slot_list new = after(r, new_as, slot);
        plan_slot(p, slot, &old, &new);
    }
    for (uint32_t i = 0; i < p->count; i++) {
        const struct plan_member *member = &p->members[i];
        if (member->kept_after > member->kept_before)
            p->copies_least += member->kept_after - member->kept_before;
        if (member->owned_after > member->owned_before)
            p->owners_least += member->owned_after - member->owned_before;
    }
    ring_destroy(r);
    *ret_plan = p;
    return status_of(ST_OK);
}

void metadata_plan_destroy(struct metadata_plan *p) {
    if (p == NULL) return;
    mem_free(p->moves);
    mem_free(p);
}

static uint64_t add_up(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply(uint64_t a, uint64_t b) {
    return a != 0 && b > UINT64_MAX / a ? UINT64_MAX : a * b;
}

struct plan_estimate metadata_plan_estimate(const struct metadata_plan *p,
                                            const uint64_t slot_bytes[RING_SLOTS], uint64_t rate) {
    ASSERT(rate > 0);
    ASSERT(slot_bytes != NULL);
    struct plan_estimate e = { 0 };
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++)
        e.bytes = add_up(e.bytes, multiply(slot_bytes[slot], p->gained[slot]));
    /* Whole seconds first, so that the product does not overflow before the quotient. */
    const uint64_t whole_ms = multiply(e.bytes / rate, 1000);
    const uint64_t rest = e.bytes % rate;
    const uint64_t rest_ms = rest <= UINT64_MAX / 1000 ? rest * 1000 / rate : rest / (rate / 1000);
    e.time_ms = e.bytes == UINT64_MAX ? UINT64_MAX : add_up(whole_ms, rest_ms);
    return e;
}

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/metadata_internal.h"

/* Slots whose lists are shorter than others', as a cancelled change can leave them, get
 * members for their missing places that are in no later table: the ring then finds them gone.
 */
static struct ring *ring_of(const struct metadata *m) {
    struct ring *r = mem_alloc_zeroed(sizeof *r);
    uint32_t least = REPLICAS_MAX;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        const uint32_t count = m->slots.lists[slot].count;
        if (count > r->copies) r->copies = count;
        if (count < least) least = count;
    }
    ASSERT(least >= 1);
    r->replicas = r->copies;
    for (uint32_t i = 0; i < m->members_count; i++)
        r->members[r->members_count++] = (struct ring_member){ m->members[i].id, 1, 0 };
    for (uint32_t i = least; i < r->copies; i++)
        r->members[r->members_count++] =
            (struct ring_member){ UINT32_MAX - REPLICAS_MAX + i, 1, 0 };
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        const struct slot_list *list = &m->slots.lists[slot];
        for (uint32_t i = 0; i < r->copies; i++) {
            const bool empty = i >= list->count;
            r->slots[slot][i] = empty ? (uint16_t)(m->members_count + i - least) : list->members[i];
        }
    }
    return r;
}

STATUS metadata_place(const struct metadata *m, const struct ring_inputs *inputs,
                      struct ring **ret_ring) {
    ASSERT(m->epoch > 0);
    ASSERT(inputs->count <= MEMBERS_MAX);
    struct ring *previous = ring_of(m);
    const struct status placed =
        ring_create(inputs->members, inputs->count, inputs->replicas, previous, ret_ring);
    ring_destroy(previous);
    return placed;
}

/* The indexes of the metadata of those in a ring. */
static void find_members(const struct metadata *m, const struct ring *r,
                         uint16_t ret_indexes[RING_MEMBERS_MAX]) {
    ASSERT(r->members_count <= m->members_count);
    for (uint32_t i = 0; i < r->members_count; i++) {
        const uint32_t at = metadata_find_member(m, r->members[i].id);
        ASSERT(at != MEMBER_NONE);
        ret_indexes[i] = (uint16_t)at;
    }
}

/* The slot's list in a ring, by these indexes. */
static struct slot_list list_of(const struct ring *r, const uint16_t *indexes, uint32_t slot) {
    struct slot_list list = { .count = (uint16_t)r->copies };
    for (uint32_t i = 0; i < r->copies; i++) list.members[i] = indexes[ring_list(r, slot)[i]];
    return list;
}

void metadata_take_ring(struct metadata *m, const struct ring *r) {
    ASSERT(m->members_count == r->members_count);
    uint16_t indexes[RING_MEMBERS_MAX];
    find_members(m, r, indexes);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        m->slots.lists[slot] = list_of(r, indexes, slot);
        m->slots.epochs[slot] = m->epoch;
    }
}

bool metadata_too_few(const struct metadata *m, uint32_t members_count) {
    if (members_count >= metadata_copies_wanted(m)) return false;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (m->slots.lists[slot].count > members_count) return true;
    }
    return false;
}

/* The target must name those that should have slots as they are now: whoever made it may not
 * have known of the commands before it. Members that join may be left for a later change. */
static bool target_is_current(const struct metadata *m, const struct ring_inputs *target) {
    struct ring_inputs now;
    metadata_inputs(m, &now);
    uint32_t next = 0;
    for (uint32_t i = 0; i < now.count; i++) {
        const struct ring_member *a = &now.members[i];
        const struct ring_member *b = &target->members[next];
        if (next < target->count && a->id == b->id) {
            if (a->weight != b->weight || a->zone != b->zone) return false;
            next++;
        } else if (m->members[metadata_find_member(m, a->id)].state == MEMBER_ACTIVE) {
            return false;
        }
    }
    return next == target->count;
}

/* Members that have come to keep slots are in. */
static void activate(struct metadata *m) {
    uint32_t owned[MEMBERS_MAX], kept[MEMBERS_MAX];
    slot_table_count(&m->slots, m->members_count, owned, kept);
    for (uint32_t i = 0; i < m->members_count; i++) {
        if (m->members[i].state == MEMBER_JOINING && kept[i] > 0)
            m->members[i].state = MEMBER_ACTIVE;
    }
}

/* All slots are through. */
static void take_replicas(struct metadata *m) {
    m->replicas = m->change.replicas;
    if (m->replicas_next == m->replicas) m->replicas_next = 0;
}

static void change_end(struct metadata *m) {
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (m->slots.phases[slot] != SLOT_SETTLED) slot_table_move(&m->slots, slot, SLOT_SETTLED);
    }
    m->change = (struct ring_change){ 0 };
    activate(m);
}

/* A member so light that it gets no slot has no step to wait for. */
static void activate_without_slots(struct metadata *m, const struct ring *r) {
    uint32_t owned[MEMBERS_MAX], kept[MEMBERS_MAX];
    ASSERT(r->members_count <= MEMBERS_MAX);
    ring_count(r, owned, kept);
    for (uint32_t i = 0; i < r->members_count; i++) {
        const uint32_t at = metadata_find_member(m, r->members[i].id);
        if (kept[i] == 0 && m->members[at].state == MEMBER_JOINING)
            m->members[at].state = MEMBER_ACTIVE;
    }
}

static enum metadata_code check_begin(const struct metadata *m, const struct metadata_command *c) {
    const struct ring_inputs *target = &c->target;
    if (m->change.id != 0) return META_CHANGE_RUNNING;
    if (target->replicas < 1 || target->replicas > REPLICAS_MAX) return META_REPLICAS;
    if (target->replicas < metadata_copies_wanted(m)) return META_COPIES;
    if (!target_is_current(m, target)) return META_TARGET;
    if (!c->accept_loss && metadata_too_few(m, target->count)) return META_BELOW_N;
    return META_OK;
}

struct metadata_result apply_change_begin(struct metadata *m, const struct metadata_command *c) {
    ASSERT(c->target.count >= 1);
    ASSERT(c->target.count <= MEMBERS_MAX);
    const enum metadata_code code = check_begin(m, c);
    if (code != META_OK) return metadata_refuse(code);

    struct ring *r = NULL;
    const struct status placed = metadata_place(m, &c->target, &r);
    ASSERT(status_ok(placed)); /* ids and weights are those of members */
    m->epoch++;
    m->change = (struct ring_change){ .id = ++m->change_last,
                                      .reason = c->reason,
                                      .replicas = c->target.replicas,
                                      .throttle = c->throttle,
                                      .started_ms = c->started_ms };
    m->placed = metadata_inputs_hash(&c->target);
    uint16_t indexes[RING_MEMBERS_MAX];
    find_members(m, r, indexes);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        const struct slot_list list = list_of(r, indexes, slot);
        if (slot_list_equal(&list, &m->slots.lists[slot])) continue;
        m->slots.targets[slot] = list;
        slot_table_move(&m->slots, slot, SLOT_OLD);
        m->change.slots_total++;
    }
    activate_without_slots(m, r);
    ring_destroy(r);
    if (m->change.slots_total == 0) {
        take_replicas(m);
        change_end(m);
        ASSERT(metadata_copies_next(m) >= metadata_copies_wanted(m));
    }
    return metadata_done(m->change_last);
}

static enum metadata_code check_step(const struct metadata *m, const struct metadata_command *c,
                                     enum slot_phase before) {
    if (m->change.id == 0 || m->change.id != c->change) return META_NO_CHANGE;
    for (uint32_t i = 0; i < c->ranges.count; i++) {
        const uint32_t last = slot_ranges_last(&c->ranges, i);
        ASSERT(last < RING_SLOTS);
        for (uint32_t slot = slot_ranges_first(&c->ranges, i); slot <= last; slot++) {
            if (m->slots.phases[slot] != before) return META_PHASE;
        }
    }
    return META_OK;
}

/* Returns how many slots went on. */
static uint32_t step(struct metadata *m, const struct slot_ranges *ranges, enum slot_phase next) {
    uint32_t count = 0;
    m->epoch++;
    for (uint32_t i = 0; i < ranges->count; i++) {
        const uint32_t last = slot_ranges_last(ranges, i);
        for (uint32_t slot = slot_ranges_first(ranges, i); slot <= last; slot++) {
            slot_table_move(&m->slots, slot, next);
            m->slots.epochs[slot] = m->epoch;
            count++;
        }
    }
    return count;
}

struct metadata_result apply_slots_joint(struct metadata *m, const struct metadata_command *c) {
    const enum metadata_code code = check_step(m, c, SLOT_OLD);
    if (code != META_OK) return metadata_refuse(code);
    if (m->change.paused) return metadata_refuse(META_PAUSED);
    const uint32_t count = step(m, &c->ranges, SLOT_JOINT);
    ASSERT(m->change.slots_done + count <= m->change.slots_total);
    return metadata_done(m->epoch);
}

/* While the change is paused too: what has begun is finished, so that no slot stays joint. */
struct metadata_result apply_slots_new(struct metadata *m, const struct metadata_command *c) {
    const enum metadata_code code = check_step(m, c, SLOT_JOINT);
    if (code != META_OK) return metadata_refuse(code);
    m->change.slots_done += step(m, &c->ranges, SLOT_NEW);
    ASSERT(m->change.slots_done <= m->change.slots_total);
    if (m->change.slots_done == m->change.slots_total) {
        take_replicas(m);
        change_end(m);
        ASSERT(metadata_copies_next(m) >= metadata_copies_wanted(m));
    }
    return metadata_done(m->epoch);
}

static bool is_running(const struct metadata *m, const struct metadata_command *c) {
    return m->change.id != 0 && m->change.id == c->change;
}

static struct metadata_result set_paused(struct metadata *m, const struct metadata_command *c,
                                         bool paused) {
    if (!is_running(m, c)) return metadata_refuse(META_NO_CHANGE);
    m->change.paused = paused;
    return metadata_done(m->change.id);
}

struct metadata_result apply_change_pause(struct metadata *m, const struct metadata_command *c) {
    return set_paused(m, c, true);
}

struct metadata_result apply_change_resume(struct metadata *m, const struct metadata_command *c) {
    return set_paused(m, c, false);
}

struct metadata_result apply_change_throttle(struct metadata *m, const struct metadata_command *c) {
    if (!is_running(m, c)) return metadata_refuse(META_NO_CHANGE);
    m->change.throttle = c->throttle;
    return metadata_done(m->change.id);
}

/* An N that is asked for while a change is running is seen to when that is over. */
struct metadata_result apply_replicas(struct metadata *m, const struct metadata_command *c) {
    if (c->replicas < 1 || c->replicas > REPLICAS_MAX) return metadata_refuse(META_REPLICAS);
    if (c->replicas < metadata_copies_wanted(m)) return metadata_refuse(META_COPIES);
    m->replicas_next = c->replicas;
    ASSERT(metadata_copies_next(m) >= metadata_copies_wanted(m));
    return metadata_done(c->replicas);
}

/* Slots that are joint go back: while they were, every majority of the new list went with one
 * of the old. Those that are new stay, so that lists may differ in length; what a keyspace may
 * ask for is then the shorter of the two. The N that the change was to bring is asked for no
 * more, unless the change had to end because of a member that died; so no keyspace may need it. */
struct metadata_result apply_change_cancel(struct metadata *m, const struct metadata_command *c) {
    if (!is_running(m, c)) return metadata_refuse(META_NO_CHANGE);
    const uint32_t replicas = m->change.replicas;
    const bool shrinks = m->change.slots_done > 0 && replicas < m->replicas;
    const uint32_t left = shrinks ? replicas : m->replicas;
    const bool leads_to_dead = metadata_leads_to_dead(m);
    const bool forgets = replicas == m->replicas_next && !leads_to_dead;
    if (forgets && left < metadata_copies_wanted(m)) return metadata_refuse(META_COPIES);
    m->epoch++;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (m->slots.phases[slot] == SLOT_JOINT) m->slots.epochs[slot] = m->epoch;
    }
    m->replicas = left;
    if (forgets) m->replicas_next = 0;
    if (leads_to_dead)
        m->placed = 0; /* it is begun again, also for the same members once he is back */
    change_end(m);
    ASSERT(metadata_copies_next(m) >= metadata_copies_wanted(m));
    return metadata_done(m->epoch);
}

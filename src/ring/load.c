#include "ring/load.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

/* Slots that every member below its target is tried in, to know its chances. Only their relation
 * counts, and slots are in random order: a part tells as much as all. */
#define SLOTS_ASKED_MAX 2048u

static uint16_t *place_of(const struct load *l, uint32_t slot, uint32_t place) {
    return &l->places[slot * l->stride + place];
}

bool load_check(const struct load *l) {
    if (l->width == 0 || l->width > l->stride) return false;
    if (l->members_count == 0 || l->members_count > RING_MEMBERS_MAX) return false;
    uint64_t held_sum = l->held[PLACE_EMPTY];
    uint64_t group_held_sum = l->group_held[PLACE_EMPTY];
    for (uint32_t i = 0; i < l->members_count; i++) {
        held_sum += l->held[i];
        group_held_sum += l->group_held[i];
    }
    if (held_sum != (uint64_t)RING_SLOTS * l->width || held_sum != group_held_sum) return false;
    return l->target[PLACE_EMPTY] == 0;
}

void load_init(struct load *l, uint16_t *places, uint32_t stride, uint32_t width,
               uint32_t members_count, const uint16_t *group_of, load_rule *may_take) {
    *l = (struct load){ .places = places,
                        .stride = stride,
                        .width = width,
                        .members_count = members_count,
                        .may_take = may_take };
    for (uint32_t i = 0; i < members_count; i++)
        l->group_of[i] = group_of == NULL ? (uint16_t)i : group_of[i];
    l->group_of[PLACE_EMPTY] = PLACE_EMPTY;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        for (uint32_t i = 0; i < width; i++) *place_of(l, slot, i) = PLACE_EMPTY;
    }
    l->held[PLACE_EMPTY] = l->group_held[PLACE_EMPTY] = RING_SLOTS * width;
    ASSERT(load_check(l));
}

void load_among(struct load *l, const uint16_t *lists, uint32_t width) {
    ASSERT(width >= 1);
    ASSERT(width <= REPLICAS_MAX);
    l->lists = lists;
    l->lists_width = width;
}

/* The members of the slot's list, ascending. Returns how many. */
static uint32_t listed(const struct load *l, uint32_t slot, uint16_t ret_members[REPLICAS_MAX]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->lists_width; i++) {
        const uint16_t member = l->lists[slot * REPLICAS_MAX + i];
        if (member == PLACE_EMPTY) continue;
        uint32_t at = count++;
        for (; at > 0 && ret_members[at - 1] > member; at--) ret_members[at] = ret_members[at - 1];
        ret_members[at] = member;
    }
    return count;
}

void load_aim(struct load *l, uint32_t member, uint32_t target) {
    ASSERT(member < l->members_count);
    ASSERT(target <= RING_SLOTS);
    uint32_t *sum = &l->group_target[l->group_of[member]];
    *sum = *sum - l->target[member] + target;
    l->target[member] = target;
}

void load_give(struct load *l, uint32_t slot, uint32_t place, uint32_t member) {
    ASSERT(slot < RING_SLOTS);
    ASSERT(place < l->width);
    uint16_t *at = place_of(l, slot, place);
    ASSERT(*at != member);
    ASSERT(l->held[*at] > 0);
    l->held[*at]--;
    l->group_held[l->group_of[*at]]--;
    l->held[member]++;
    l->group_held[l->group_of[member]]++;
    *at = (uint16_t)member;
}

static bool is_above(const struct load *l, uint32_t member) {
    return l->held[member] > l->target[member];
}

static bool is_below(const struct load *l, uint32_t member) {
    return l->held[member] < l->target[member];
}

bool load_wants(const struct load *l, enum load_stage stage, uint32_t holder, uint32_t taker) {
    if (!is_above(l, holder) || !is_below(l, taker)) return false;
    const uint32_t from = l->group_of[holder];
    const uint32_t to = l->group_of[taker];
    if (stage == LOAD_WITHIN) return from == to;
    return l->group_held[from] > l->group_target[from] && l->group_held[to] < l->group_target[to];
}

/* What one pass over the slots knows. */
struct pass {
    struct load *l;                               /* being levelled */
    const struct placement *p;                    /* for its rules */
    enum load_stage stage;                        /* which moves are wanted */
    const uint16_t *spared;                       /* per slot, or NULL */
    uint32_t takers_count;                        /* of `takers` */
    uint16_t takers[RING_MEMBERS_MAX];            /* members below their targets */
    uint16_t taker_at[RING_MEMBERS_MAX];          /* by member: where in `takers`, if it is */
    uint32_t chances[RING_MEMBERS_MAX];           /* by member: slots where it could take one */
    uint32_t group_chances[RING_MEMBERS_MAX + 1]; /* by group: the same */
};

static bool may_move(const struct pass *s, uint32_t slot, uint32_t place, uint32_t taker) {
    const uint32_t holder = *place_of(s->l, slot, place);
    if (!load_wants(s->l, s->stage, holder, taker)) return false;
    return s->l->may_take(s->p, slot, place, taker);
}

/* How much of its chances `a` needs, against `b`: first their groups, as those of one group
 * stand in each other's way. */
static bool needs_more(const struct pass *s, uint32_t a, uint32_t b) {
    const struct load *l = s->l;
    const uint32_t group_a = l->group_of[a];
    const uint32_t group_b = l->group_of[b];
    if (group_a == group_b) {
        const uint64_t lack_a = l->target[a] - l->held[a];
        const uint64_t lack_b = l->target[b] - l->held[b];
        return lack_a * s->chances[b] > lack_b * s->chances[a];
    }
    const uint64_t lack_a = l->group_target[group_a] - l->group_held[group_a];
    const uint64_t lack_b = l->group_target[group_b] - l->group_held[group_b];
    return lack_a * s->group_chances[group_b] > lack_b * s->group_chances[group_a];
}

/* The positions in `takers` of those of the slot's list, ascending. Returns how many. */
static uint32_t takers_listed(const struct pass *s, uint32_t slot,
                              uint16_t ret_positions[REPLICAS_MAX]) {
    uint16_t members[REPLICAS_MAX];
    const uint32_t members_count = listed(s->l, slot, members);
    uint32_t count = 0;
    for (uint32_t i = 0; i < members_count; i++) {
        if (!is_below(s->l, members[i])) continue;
        const uint16_t position = s->taker_at[members[i]];
        ASSERT(position < s->takers_count);
        ASSERT(s->takers[position] == members[i]);
        uint32_t at = count++;
        for (; at > 0 && ret_positions[at - 1] > position; at--)
            ret_positions[at] = ret_positions[at - 1];
        ret_positions[at] = position;
    }
    return count;
}

/* Position in `takers` of the one that needs most of its chances and may take the place, or
 * `takers_count`. So all come near their targets together, and until the end every slot has a
 * choice; as slots come in random order, the chances used up until then are about alike. */
static uint32_t best_taker(const struct pass *s, uint32_t slot, uint32_t place) {
    uint16_t asked[REPLICAS_MAX];
    const bool all = s->l->lists == NULL;
    const uint32_t count = all ? s->takers_count : takers_listed(s, slot, asked);
    uint32_t best = s->takers_count;
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t i = all ? k : asked[k];
        const uint32_t taker = s->takers[i];
        const bool better = best == s->takers_count || needs_more(s, taker, s->takers[best]);
        if (better && may_move(s, slot, place, taker)) best = i;
    }
    return best;
}

/* Whether the place is one that this pass may take from its holder. */
static bool is_offered(const struct pass *s, uint32_t slot, uint32_t place) {
    const struct load *l = s->l;
    const uint32_t holder = *place_of(l, slot, place);
    const uint32_t group = l->group_of[holder];
    if (!is_above(l, holder)) return false;
    if (s->spared != NULL && s->spared[slot] == holder) return false;
    return s->stage == LOAD_WITHIN || l->group_held[group] > l->group_target[group];
}

/* The offered place of the slot, not in `tried` (a bit each), whose holder is furthest above
 * its target, or `width`. */
static uint32_t place_to_give(const struct pass *s, uint32_t slot, uint32_t tried) {
    const struct load *l = s->l;
    uint32_t best = l->width;
    uint32_t best_excess = 0;
    for (uint32_t i = 0; i < l->width; i++) {
        if ((tried >> i & 1) != 0 || !is_offered(s, slot, i)) continue;
        const uint32_t holder = *place_of(l, slot, i);
        const uint32_t excess = l->held[holder] - l->target[holder];
        if (excess <= best_excess) continue;
        best = i;
        best_excess = excess;
    }
    return best;
}

static bool has_chance(const struct pass *s, uint32_t slot, uint32_t taker) {
    for (uint32_t i = 0; i < s->l->width; i++) {
        if (is_offered(s, slot, i) && may_move(s, slot, i, taker)) return true;
    }
    return false;
}

static void pass_init(struct pass *s, const uint16_t *order) {
    uint32_t group_slot[RING_MEMBERS_MAX + 1]; /* the last slot counted for a group */
    uint16_t asked[REPLICAS_MAX];
    const bool all = s->l->lists == NULL;
    memset(group_slot, 0xff, sizeof group_slot);
    s->takers_count = 0;
    for (uint32_t i = 0; i < s->l->members_count; i++) {
        if (!is_below(s->l, i)) continue;
        s->taker_at[i] = (uint16_t)s->takers_count;
        s->takers[s->takers_count++] = (uint16_t)i;
    }
    if (s->takers_count == 0) return;
    uint32_t offered = 0;
    for (uint32_t k = 0; k < RING_SLOTS && offered < SLOTS_ASKED_MAX; k++) {
        const uint32_t slot = order[k];
        if (place_to_give(s, slot, 0) == s->l->width) continue;
        offered++;
        const uint32_t count = all ? s->takers_count : takers_listed(s, slot, asked);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t taker = s->takers[all ? i : asked[i]];
            const uint32_t group = s->l->group_of[taker];
            if (!has_chance(s, slot, taker)) continue;
            s->chances[taker]++;
            s->group_chances[group] += group_slot[group] != slot;
            group_slot[group] = slot;
        }
    }
}

static void level_slot(struct pass *s, uint32_t slot) {
    uint32_t tried = 0;
    while (s->takers_count > 0) {
        const uint32_t place = place_to_give(s, slot, tried);
        if (place == s->l->width) return;
        tried |= UINT32_C(1) << place;
        const uint32_t best = best_taker(s, slot, place);
        if (best == s->takers_count) continue;
        const uint32_t taker = s->takers[best];
        load_give(s->l, slot, place, taker);
        if (is_below(s->l, taker)) continue;
        s->takers[best] = s->takers[--s->takers_count];
        s->taker_at[s->takers[best]] = (uint16_t)best;
    }
}

void load_level_direct(struct load *l, const struct placement *p, enum load_stage stage,
                       const uint16_t *order, const uint16_t *spared) {
    ASSERT(load_check(l));
    struct pass s = { .l = l, .p = p, .stage = stage, .spared = spared };
    pass_init(&s, order);
    for (uint32_t i = 0; i < RING_SLOTS && s.takers_count > 0; i++) {
        ASSERT(order[i] < RING_SLOTS);
        level_slot(&s, order[i]);
    }
    ASSERT(load_check(l));
}

/* A breadth-first search over members, from all that are above their targets. */
struct search {
    uint32_t *places;                     /* slot * width + place, all of the load: by holder */
    uint32_t ends[RING_MEMBERS_MAX + 1];  /* by holder: where in `places` its own end */
    uint32_t unseen;                      /* members not reached yet */
    uint32_t queue_count;                 /* members reached */
    uint16_t queue[RING_MEMBERS_MAX + 1]; /* in the order they were reached */
    bool seen[RING_MEMBERS_MAX + 1];      /* in `queue` */
    bool root[RING_MEMBERS_MAX + 1];      /* above its target: where a chain begins */
    uint16_t giver[RING_MEMBERS_MAX + 1]; /* who would give it */
    uint16_t slot[RING_MEMBERS_MAX + 1];  /* of this slot */
    uint8_t place[RING_MEMBERS_MAX + 1];  /* this place */
};

static uint32_t places_begin(const struct search *s, uint32_t holder) {
    return holder == 0 ? 0 : s->ends[holder - 1];
}

/* Sort all places by who holds them; those of one holder stay in the order of the slots. */
static void find_places(struct search *s, const struct load *l) {
    const uint32_t count = RING_SLOTS * l->width;
    uint32_t sum = 0;
    for (uint32_t i = 0; i <= PLACE_EMPTY; i++) {
        s->ends[i] = sum; /* where they begin, until all are there */
        sum += l->held[i];
    }
    ASSERT(sum == count);
    for (uint32_t at = 0; at < count; at++) {
        const uint32_t holder = *place_of(l, at / l->width, at % l->width);
        s->places[s->ends[holder]++] = at;
    }
}

static void search_begin(struct search *s, const struct load *l) {
    memset(s->seen, 0, sizeof s->seen);
    memset(s->root, 0, sizeof s->root);
    s->queue_count = 0;
    s->unseen = l->members_count;
    find_places(s, l);
    for (uint32_t i = 0; i <= PLACE_EMPTY; i++) {
        if (!is_above(l, i)) continue;
        s->seen[i] = s->root[i] = true;
        s->queue[s->queue_count++] = (uint16_t)i;
        s->unseen -= i < l->members_count;
    }
}

/* Reach every member that may take this place. Returns one below its target, or PLACE_EMPTY. */
static uint32_t search_place(struct search *s, const struct load *l, const struct placement *p,
                             uint32_t slot, uint32_t place) {
    uint16_t members[REPLICAS_MAX];
    const bool all = l->lists == NULL;
    const uint32_t count = all ? l->members_count : listed(l, slot, members);
    for (uint32_t i = 0; i < count && s->unseen > 0; i++) {
        const uint32_t taker = all ? i : members[i];
        if (s->seen[taker] || !l->may_take(p, slot, place, taker)) continue;
        s->seen[taker] = true;
        s->unseen--;
        s->giver[taker] = *place_of(l, slot, place);
        s->slot[taker] = (uint16_t)slot;
        s->place[taker] = (uint8_t)place;
        if (is_below(l, taker)) return taker;
        s->queue[s->queue_count++] = (uint16_t)taker;
    }
    return PLACE_EMPTY;
}

/* The same for all places of `holder`, or all but those that are spared. */
static uint32_t search_holder(struct search *s, const struct load *l, const struct placement *p,
                              uint32_t holder, const uint16_t *spared) {
    for (uint32_t i = places_begin(s, holder); i < s->ends[holder] && s->unseen > 0; i++) {
        const uint32_t slot = s->places[i] / l->width;
        if (spared != NULL && spared[slot] == holder) continue;
        const uint32_t end = search_place(s, l, p, slot, s->places[i] % l->width);
        if (end != PLACE_EMPTY) return end;
    }
    return PLACE_EMPTY;
}

/* The member below its target at the end of a shortest chain, or PLACE_EMPTY. */
static uint32_t search_run(struct search *s, const struct load *l, const struct placement *p,
                           const uint16_t *spared) {
    search_begin(s, l);
    for (uint32_t i = 0; i < s->queue_count && s->unseen > 0; i++) {
        const uint32_t holder = s->queue[i];
        uint32_t end = search_holder(s, l, p, holder, spared);
        if (end == PLACE_EMPTY && spared != NULL) end = search_holder(s, l, p, holder, NULL);
        if (end != PLACE_EMPTY) return end;
    }
    return PLACE_EMPTY;
}

/* Give the places along the chain that ends at `end`. Two of its steps never hinder each other:
 * were they in one slot, the last taker could take from the first giver at once, and the chain
 * would be shorter. Returns where it begins. */
static uint32_t chain_apply(const struct search *s, struct load *l, const struct placement *p,
                            uint32_t end) {
    uint32_t taker = end;
    while (!s->root[taker]) {
        ASSERT(l->may_take(p, s->slot[taker], s->place[taker], taker));
        load_give(l, s->slot[taker], s->place[taker], taker);
        taker = s->giver[taker];
    }
    return taker;
}

/* Find another place for the same step, in a later slot. */
static bool step_again(struct search *s, const struct load *l, const struct placement *p,
                       uint32_t taker, const uint16_t *spared) {
    const uint32_t giver = s->giver[taker];
    for (uint32_t slot = s->slot[taker] + UINT32_C(1); slot < RING_SLOTS; slot++) {
        if (spared != NULL && spared[slot] == giver) continue;
        for (uint32_t i = 0; i < l->width; i++) {
            if (*place_of(l, slot, i) != giver || !l->may_take(p, slot, i, taker)) continue;
            s->slot[taker] = (uint16_t)slot;
            s->place[taker] = (uint8_t)i;
            return true;
        }
    }
    return false;
}

/* Find the same chain of members once more, elsewhere. Chains never get shorter as they are
 * used, so that it is still a shortest. */
static bool chain_again(struct search *s, const struct load *l, const struct placement *p,
                        uint32_t end, const uint16_t *spared) {
    for (uint32_t taker = end; !s->root[taker]; taker = s->giver[taker]) {
        if (!step_again(s, l, p, taker, spared)) return false;
    }
    return true;
}

void load_level_chains(struct load *l, const struct placement *p, const uint16_t *spared) {
    ASSERT(load_check(l));
    struct search *s = mem_alloc(sizeof *s);
    s->places = mem_alloc(RING_SLOTS * l->width * sizeof *s->places);
    for (;;) {
        const uint32_t end = search_run(s, l, p, spared);
        if (end == PLACE_EMPTY) break;
        uint32_t root = chain_apply(s, l, p, end);
        while (is_above(l, root) && is_below(l, end) && chain_again(s, l, p, end, spared))
            root = chain_apply(s, l, p, end);
    }
    mem_free(s->places);
    mem_free(s);
    ASSERT(load_check(l));
}

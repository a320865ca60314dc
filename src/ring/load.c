#include "ring/load.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Slots that every member below its target is tried in, to know its chances. Only their relation
 * counts, and slots are in random order: a part tells as much as all. */
#define SLOTS_ASKED_MAX 2048u

/* In lists of members, where `PLACE_EMPTY` could be a member. */
#define NOBODY UINT16_MAX

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
                        .may_take = may_take,
                        .work_max = LOAD_WORK_MAX };
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

static void insert_ascending(uint16_t *values, uint32_t *count, uint16_t value) {
    uint32_t at = (*count)++;
    for (; at > 0 && values[at - 1] > value; at--) values[at] = values[at - 1];
    values[at] = value;
}

/* The members of the slot's list, ascending. Returns how many. */
static uint32_t listed(const struct load *l, uint32_t slot, uint16_t ret_members[REPLICAS_MAX]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->lists_width; i++) {
        const uint16_t member = l->lists[slot * REPLICAS_MAX + i];
        if (member != PLACE_EMPTY) insert_ascending(ret_members, &count, member);
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
    uint32_t asking;                              /* a number of the place at hand */
    uint32_t refused[RING_MEMBERS_MAX + 1];       /* by group: `asking` when refused last */
};

static bool holds_one(const struct load *l, uint32_t slot, uint32_t member) {
    for (uint32_t i = 0; i < l->width; i++) {
        if (*place_of(l, slot, i) == member) return true;
    }
    return false;
}

static bool is_refused(const struct pass *s, uint32_t taker) {
    return s->refused[s->l->group_of[taker]] == s->asking;
}

/* Whether a taker should and may have the place at hand. One that holds nothing of the slot is
 * asked for all of its group. */
static bool may_move(struct pass *s, uint32_t slot, uint32_t place, uint32_t taker) {
    const struct load *l = s->l;
    const uint32_t holder = *place_of(l, slot, place);
    if (is_refused(s, taker)) return false;
    if (load_wants(l, s->stage, holder, taker) && l->may_take(s->p, slot, place, taker))
        return true;
    if (l->lists == NULL && !holds_one(l, slot, taker)) s->refused[l->group_of[taker]] = s->asking;
    return false;
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
        insert_ascending(ret_positions, &count, position);
    }
    return count;
}

/* Position in `takers` of the one that needs most of its chances and may take the place, or
 * `takers_count`. So all come near their targets together, and until the end every slot has a
 * choice; as slots come in random order, the chances used up until then are about alike. */
static uint32_t best_taker(struct pass *s, uint32_t slot, uint32_t place) {
    uint16_t asked[REPLICAS_MAX];
    const bool all = s->l->lists == NULL;
    const uint32_t count = all ? s->takers_count : takers_listed(s, slot, asked);
    uint32_t best = s->takers_count;
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t i = all ? k : asked[k];
        const uint32_t taker = s->takers[i];
        if (is_refused(s, taker)) continue;
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

/* The places of the slot that are offered, a bit each. */
static uint32_t places_offered(const struct pass *s, uint32_t slot) {
    uint32_t offered = 0;
    for (uint32_t i = 0; i < s->l->width; i++) offered |= (uint32_t)is_offered(s, slot, i) << i;
    return offered;
}

static bool has_chance(struct pass *s, uint32_t slot, uint32_t offered, uint32_t taker) {
    for (uint32_t i = 0; i < s->l->width; i++) {
        s->asking++;
        if ((offered >> i & 1) != 0 && may_move(s, slot, i, taker)) return true;
    }
    return false;
}

/* What takers have a chance in this slot. One that holds nothing of it is asked for all of its
 * group; those that do have none, and are counted in `held` where their group has one. */
static void count_chances(struct pass *s, uint32_t slot, uint32_t offered, uint32_t *held) {
    const struct load *l = s->l;
    bool decided[RING_MEMBERS_MAX + 1] = { 0 };
    bool has_one[RING_MEMBERS_MAX + 1] = { 0 };
    for (uint32_t i = 0; i < s->takers_count; i++) {
        const uint32_t group = l->group_of[s->takers[i]];
        if (decided[group] || holds_one(l, slot, s->takers[i])) continue;
        decided[group] = true;
        has_one[group] = has_chance(s, slot, offered, s->takers[i]);
        s->group_chances[group] += has_one[group];
    }
    for (uint32_t i = 0; i < l->width; i++) {
        const uint32_t member = *place_of(l, slot, i);
        held[member] += has_one[l->group_of[member]];
    }
}

/* The same where only the members of a list may take a place, each in a group of its own. */
static void count_chances_listed(struct pass *s, uint32_t slot, uint32_t offered) {
    uint16_t asked[REPLICAS_MAX];
    const uint32_t count = takers_listed(s, slot, asked);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t taker = s->takers[asked[i]];
        s->group_chances[s->l->group_of[taker]] += has_chance(s, slot, offered, taker);
    }
}

static void pass_init(struct pass *s, const uint16_t *order) {
    uint32_t held[RING_MEMBERS_MAX + 1] = { 0 };
    s->takers_count = 0;
    for (uint32_t i = 0; i < s->l->members_count; i++) {
        if (!is_below(s->l, i)) continue;
        s->taker_at[i] = (uint16_t)s->takers_count;
        s->takers[s->takers_count++] = (uint16_t)i;
    }
    uint32_t slots_asked = 0;
    for (uint32_t k = 0; k < RING_SLOTS && slots_asked < SLOTS_ASKED_MAX; k++) {
        const uint32_t slot = order[k];
        const uint32_t offered = s->takers_count == 0 ? 0 : places_offered(s, slot);
        if (offered == 0) continue;
        slots_asked++;
        if (s->l->lists == NULL)
            count_chances(s, slot, offered, held);
        else
            count_chances_listed(s, slot, offered);
    }
    for (uint32_t i = 0; i < s->takers_count; i++) {
        const uint32_t taker = s->takers[i];
        s->chances[taker] = s->group_chances[s->l->group_of[taker]] - held[taker];
    }
}

static void level_slot(struct pass *s, uint32_t slot) {
    uint32_t tried = 0;
    while (s->takers_count > 0) {
        const uint32_t place = place_to_give(s, slot, tried);
        if (place == s->l->width) return;
        tried |= UINT32_C(1) << place;
        s->asking++;
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
    uint32_t *places;                        /* slot * width + place, all of the load: by holder */
    uint32_t ends[RING_MEMBERS_MAX + 1];     /* by holder: where in `places` its own end */
    uint32_t unseen;                         /* members not reached yet */
    uint16_t unseen_first[RING_MEMBERS_MAX]; /* by group: its lowest unseen, or NOBODY */
    uint16_t unseen_next[RING_MEMBERS_MAX];  /* by member: next of its group, or NOBODY */
    uint32_t groups_count;                   /* of `groups` */
    uint16_t groups[RING_MEMBERS_MAX];       /* those with unseen members, in any order */
    uint32_t queue_count;                    /* members reached */
    uint16_t queue[RING_MEMBERS_MAX + 1];    /* in the order they were reached */
    bool seen[RING_MEMBERS_MAX + 1];         /* in `queue` */
    bool root[RING_MEMBERS_MAX + 1];         /* above its target: where a chain begins */
    uint16_t giver[RING_MEMBERS_MAX + 1];    /* who would give it */
    uint16_t slot[RING_MEMBERS_MAX + 1];     /* of this slot */
    uint8_t place[RING_MEMBERS_MAX + 1];     /* this place */
    uint16_t layer[RING_MEMBERS_MAX + 1];    /* by member reached: steps from a root */
    struct wave *wave;                       /* NULL: the search ends with the first chain */
    uint64_t work;                           /* places looked at and members asked, until now */
};

/* What many chains of one length know that are found after one search. */
struct wave {
    uint32_t layers;                           /* the last one has members below their targets */
    uint32_t begins[RING_MEMBERS_MAX + 1];     /* by layer: where it begins in the queue */
    uint32_t ends[RING_MEMBERS_MAX + 1];       /* by layer: where it ends */
    uint32_t cursor[RING_MEMBERS_MAX + 1];     /* by holder: the place in `places` it is at */
    bool dead[RING_MEMBERS_MAX + 1];           /* by member: no further chain goes over it */
    uint32_t refused_at[RING_MEMBERS_MAX + 1]; /* by group: 1 + the place it was refused last */
};

static uint32_t places_begin(const struct search *s, uint32_t holder) {
    return holder == 0 ? 0 : s->ends[holder - 1];
}

static bool is_spared(const uint16_t *spared, uint32_t slot, uint32_t holder) {
    return spared != NULL && spared[slot] == holder;
}

/* Sort all places by who holds them: those of one holder in the order of the slots, but spared
 * ones last. */
static void find_places(struct search *s, const struct load *l, const uint16_t *spared) {
    const uint32_t count = RING_SLOTS * l->width;
    uint32_t sum = 0;
    for (uint32_t i = 0; i <= PLACE_EMPTY; i++) {
        s->ends[i] = sum; /* where they begin, until all are there */
        sum += l->held[i];
    }
    ASSERT(sum == count);
    for (uint32_t last = 0; last <= (spared != NULL); last++) {
        uint32_t at = 0;
        for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
            for (uint32_t i = 0; i < l->width; i++, at++) {
                const uint32_t holder = *place_of(l, slot, i);
                if (is_spared(spared, slot, holder) == last) s->places[s->ends[holder]++] = at;
            }
        }
    }
}

static void search_begin(struct search *s, const struct load *l, const uint16_t *spared) {
    memset(s->seen, 0, sizeof s->seen);
    memset(s->root, 0, sizeof s->root);
    memset(s->unseen_first, 0xff, sizeof s->unseen_first);
    s->queue_count = s->unseen = s->groups_count = 0;
    find_places(s, l, spared);
    s->work += (uint64_t)RING_SLOTS * l->width;
    for (uint32_t i = 0; i <= PLACE_EMPTY; i++) {
        if (!is_above(l, i)) continue;
        s->seen[i] = s->root[i] = true;
        s->layer[i] = 0;
        s->queue[s->queue_count++] = (uint16_t)i;
    }
    for (uint32_t i = l->members_count; i-- > 0;) {
        const uint32_t group = l->group_of[i];
        if (s->seen[i]) continue;
        if (s->unseen_first[group] == NOBODY) s->groups[s->groups_count++] = (uint16_t)group;
        s->unseen_next[i] = s->unseen_first[group];
        s->unseen_first[group] = (uint16_t)i;
        s->unseen++;
    }
}

static bool ask(struct search *s, const struct load *l, const struct placement *p, uint32_t slot,
                uint32_t place, uint32_t member) {
    s->work++;
    return l->may_take(p, slot, place, member);
}

/* Append the unseen members of the group that may take this place, and unlink them. One is asked
 * for all. Returns how many there are now. */
static uint32_t take_group(struct search *s, const struct load *l, const struct placement *p,
                           uint32_t at, uint32_t group, uint16_t *takers, uint32_t count) {
    const uint32_t slot = at / l->width;
    bool asked = false;
    for (uint16_t *link = &s->unseen_first[group]; *link != NOBODY;) {
        const uint16_t member = *link;
        if (holds_one(l, slot, member)) {
            link = &s->unseen_next[member];
            continue;
        }
        if (!asked && !ask(s, l, p, slot, at % l->width, member)) break;
        asked = true;
        takers[count++] = member;
        *link = s->unseen_next[member];
    }
    return count;
}

static int order_members(const void *a, const void *b) {
    const uint16_t x = *(const uint16_t *)a, y = *(const uint16_t *)b;
    return (x > y) - (x < y);
}

/* All unseen members that may take this place, ascending. Returns how many. */
static uint32_t take_all(struct search *s, const struct load *l, const struct placement *p,
                         uint32_t at, uint16_t *ret_takers) {
    uint32_t count = 0;
    for (uint32_t i = s->groups_count; i-- > 0;) {
        const uint32_t group = s->groups[i];
        count = take_group(s, l, p, at, group, ret_takers, count);
        if (s->unseen_first[group] == NOBODY) s->groups[i] = s->groups[--s->groups_count];
    }
    if (count > 1) qsort(ret_takers, count, sizeof *ret_takers, order_members);
    return count;
}

/* The same where only the members of a list may. */
static uint32_t take_listed(struct search *s, const struct load *l, const struct placement *p,
                            uint32_t at, uint16_t *ret_takers) {
    uint16_t members[REPLICAS_MAX];
    const uint32_t members_count = listed(l, at / l->width, members);
    uint32_t count = 0;
    for (uint32_t i = 0; i < members_count; i++) {
        if (s->seen[members[i]]) continue;
        if (ask(s, l, p, at / l->width, at % l->width, members[i]))
            ret_takers[count++] = members[i];
    }
    return count;
}

/* Reach every member that may take a place of `holder`. Returns one below its target, or
 * PLACE_EMPTY. */
static uint32_t search_holder(struct search *s, const struct load *l, const struct placement *p,
                              uint32_t holder) {
    uint16_t takers[RING_MEMBERS_MAX];
    uint32_t end = PLACE_EMPTY;
    for (uint32_t i = places_begin(s, holder); i < s->ends[holder] && s->unseen > 0; i++) {
        const uint32_t at = s->places[i];
        s->work++;
        const uint32_t count =
            l->lists == NULL ? take_all(s, l, p, at, takers) : take_listed(s, l, p, at, takers);
        for (uint32_t k = 0; k < count; k++) {
            const uint32_t taker = takers[k];
            s->seen[taker] = true;
            s->unseen--;
            s->giver[taker] = (uint16_t)holder;
            s->slot[taker] = (uint16_t)(at / l->width);
            s->place[taker] = (uint8_t)(at % l->width);
            s->layer[taker] = (uint16_t)(s->layer[holder] + 1);
            s->queue[s->queue_count++] = (uint16_t)taker;
            if (is_below(l, taker)) end = taker;
            if (end != PLACE_EMPTY && s->wave == NULL) return end;
        }
    }
    return end;
}

/* The member below its target at the end of a shortest chain, or PLACE_EMPTY. For a wave all
 * members are reached that are as far as that one. */
static uint32_t search_run(struct search *s, const struct load *l, const struct placement *p,
                           const uint16_t *spared) {
    uint32_t end = PLACE_EMPTY;
    search_begin(s, l, spared);
    for (uint32_t i = 0; i < s->queue_count && s->unseen > 0; i++) {
        const uint32_t holder = s->queue[i];
        if (end != PLACE_EMPTY && s->layer[holder] == s->layer[end]) break;
        const uint32_t found = search_holder(s, l, p, holder);
        if (found != PLACE_EMPTY) end = found;
        if (end != PLACE_EMPTY && s->wave == NULL) break;
    }
    return end;
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
        s->work += l->width;
        if (is_spared(spared, slot, giver)) continue;
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

/* The shortest chain that is found first, and the same again. Returns whether there was one. */
static bool chain_run(struct search *s, struct load *l, const struct placement *p,
                      const uint16_t *spared, uint64_t work_max) {
    const uint32_t end = search_run(s, l, p, spared);
    if (end == PLACE_EMPTY) return false;
    uint32_t root = chain_apply(s, l, p, end);
    while (s->work < work_max && is_above(l, root) && is_below(l, end) &&
           chain_again(s, l, p, end, spared))
        root = chain_apply(s, l, p, end);
    return true;
}

static bool is_end(const struct search *s, uint32_t layer) {
    return layer == s->wave->layers;
}

/* Whether chains of the wave may still go over a member of this layer. */
static bool is_open(const struct search *s, const struct load *l, uint32_t layer, uint32_t member) {
    return !s->wave->dead[member] && (!is_end(s, layer) || is_below(l, member));
}

/* The first open member of the layer that may take the place, or PLACE_EMPTY. */
static uint32_t wave_taker(struct search *s, const struct load *l, const struct placement *p,
                           uint32_t at, uint32_t layer) {
    struct wave *w = s->wave;
    const uint32_t slot = at / l->width;
    while (w->begins[layer] < w->ends[layer] && !is_open(s, l, layer, s->queue[w->begins[layer]]))
        w->begins[layer]++;
    for (uint32_t i = w->begins[layer]; i < w->ends[layer]; i++) {
        const uint32_t member = s->queue[i];
        const uint32_t group = l->group_of[member];
        s->work++;
        if (w->refused_at[group] == at + 1 || !is_open(s, l, layer, member)) continue;
        if (l->may_take(p, slot, at % l->width, member)) return member;
        if (l->lists == NULL && !holds_one(l, slot, member)) w->refused_at[group] = at + 1;
    }
    return PLACE_EMPTY;
}

/* The same where only the members of a list may. */
static uint32_t wave_taker_listed(struct search *s, const struct load *l, const struct placement *p,
                                  uint32_t at, uint32_t layer) {
    uint16_t members[REPLICAS_MAX];
    const uint32_t count = listed(l, at / l->width, members);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t member = members[i];
        if (!s->seen[member] || s->layer[member] != layer || !is_open(s, l, layer, member))
            continue;
        if (ask(s, l, p, at / l->width, at % l->width, member)) return member;
    }
    return PLACE_EMPTY;
}

/* Whether a step of the chain that leads to `member` is in this slot. Steps in different slots
 * cannot hinder each other. */
static bool is_on_way(const struct search *s, uint32_t member, uint32_t slot) {
    for (; !s->root[member]; member = s->giver[member]) {
        if (s->slot[member] == slot) return true;
    }
    return false;
}

/* The next member of a chain that has come to `giver`, or PLACE_EMPTY. A place that once had no
 * taker is not looked at again. */
static uint32_t wave_step(struct search *s, const struct load *l, const struct placement *p,
                          uint32_t giver) {
    uint32_t *cursor = &s->wave->cursor[giver];
    const uint32_t layer = s->layer[giver] + UINT32_C(1);
    for (; *cursor < s->ends[giver] && s->work < l->work_max; (*cursor)++) {
        const uint32_t at = s->places[*cursor];
        s->work++;
        if (*place_of(l, at / l->width, at % l->width) != giver) continue;
        if (is_on_way(s, giver, at / l->width)) continue;
        const uint32_t taker = l->lists == NULL ? wave_taker(s, l, p, at, layer)
                                                : wave_taker_listed(s, l, p, at, layer);
        if (taker == PLACE_EMPTY) continue;
        s->giver[taker] = (uint16_t)giver;
        s->slot[taker] = (uint16_t)(at / l->width);
        s->place[taker] = (uint8_t)(at % l->width);
        return taker;
    }
    return PLACE_EMPTY;
}

/* The end of one more chain of the wave that begins at `root`, or PLACE_EMPTY. */
static uint32_t wave_chain(struct search *s, const struct load *l, const struct placement *p,
                           uint32_t root) {
    uint32_t member = root;
    for (;;) {
        const uint32_t taker = wave_step(s, l, p, member);
        if (taker != PLACE_EMPTY && is_end(s, s->layer[taker])) return taker;
        if (taker != PLACE_EMPTY) {
            member = taker;
            continue;
        }
        if (member == root) return PLACE_EMPTY;
        s->wave->dead[member] = true;
        member = s->giver[member];
    }
}

static void wave_init(struct wave *w, const struct search *s, uint32_t end) {
    memset(w, 0, sizeof *w);
    w->layers = s->layer[end];
    for (uint32_t i = 0; i < s->queue_count; i++) {
        const uint32_t member = s->queue[i];
        const uint32_t layer = s->layer[member];
        if (i == 0 || s->layer[s->queue[i - 1]] != layer) w->begins[layer] = i;
        w->ends[layer] = i + 1;
        w->cursor[member] = places_begin(s, member);
    }
    ASSERT(w->layers >= 1);
    ASSERT(w->ends[w->layers] == s->queue_count);
}

/* After one search, as many shortest chains as do not get in each other's way, as in Dinic's
 * maximum flow (1970). Returns whether there was one. */
static bool wave_run(struct search *s, struct load *l, const struct placement *p,
                     const uint16_t *spared, struct wave *w) {
    s->wave = w;
    const uint32_t nearest = search_run(s, l, p, spared);
    bool found = false;
    if (nearest != PLACE_EMPTY) wave_init(w, s, nearest);
    for (uint32_t i = 0; nearest != PLACE_EMPTY && s->root[s->queue[i]]; i++) {
        const uint32_t root = s->queue[i];
        while (is_above(l, root)) {
            const uint32_t end = wave_chain(s, l, p, root);
            if (end == PLACE_EMPTY) break;
            chain_apply(s, l, p, end);
            found = true;
        }
    }
    s->wave = NULL;
    return found;
}

void load_level_chains(struct load *l, const struct placement *p, const uint16_t *spared) {
    ASSERT(load_check(l));
    struct search *s = mem_alloc(sizeof *s);
    struct wave *w = mem_alloc(sizeof *w);
    s->places = mem_alloc(RING_SLOTS * l->width * sizeof *s->places);
    s->wave = NULL;
    s->work = 0;
    const uint64_t single_max = l->work_max / LOAD_SINGLE_PART;
    bool more = true;
    while (more && s->work < single_max) more = chain_run(s, l, p, spared, single_max);
    /* A wave takes no chain that has two steps in one slot, so that it may find none. */
    while (more && s->work < l->work_max)
        more = wave_run(s, l, p, spared, w) || chain_run(s, l, p, spared, single_max);
    l->work += s->work;
    mem_free(s->places);
    mem_free(w);
    mem_free(s);
    ASSERT(load_check(l));
}

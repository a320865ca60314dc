#include "ring/placement.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ring/share.h"
#include "ring/virtual_nodes.h"

static_assert(RING_SLOTS == SLOTS, "one slot of the ring per slot of a key");

static uint32_t count_of(const struct placement *p) {
    return p->ring->members_count;
}

/* Members with one zone number share a zone; 0 is a zone of its own each time. A single copy
 * cannot be spread, so zones do not count for it. */
static void find_zones(struct placement *p) {
    const struct ring_member *members = p->ring->members;
    for (uint32_t i = 0; i < count_of(p); i++) {
        const bool alone = members[i].zone == 0 || p->ring->copies == 1;
        uint32_t same = alone ? i : 0;
        while (same < i && members[same].zone != members[i].zone) same++;
        p->zone_of[i] = same < i ? p->zone_of[same] : (uint16_t)p->zones_count++;
        p->zone_size[p->zone_of[i]]++;
        p->zoned |= same < i;
    }
    ASSERT(p->zones_count >= 1);
    ASSERT(p->zones_count <= count_of(p));
}

static uint32_t least_of(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* How many copies there are if each zone gives `level`, as far as it has members. */
static uint32_t copies_at(const struct placement *p, uint32_t level) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < p->zones_count; i++) sum += least_of(p->zone_size[i], level);
    return sum;
}

static void bound_zones(struct placement *p) {
    const uint32_t copies = p->ring->copies;
    uint32_t level = 0;
    while (level < copies && copies_at(p, level + 1) <= copies) level++;
    for (uint32_t i = 0; i < p->zones_count; i++) {
        p->zone_least[i] = (uint8_t)least_of(p->zone_size[i], level);
        p->zone_most[i] = (uint8_t)least_of(p->zone_size[i], level + 1);
    }
    p->unreserved = copies - copies_at(p, level);
}

/* Which slots come first must depend on who the members are. With one order for ever, the
 * members that join one after the other would all take the same slots. */
static void shuffle(struct placement *p) {
    const uint32_t count = count_of(p);
    uint8_t *text = mem_alloc(count * 12u);
    for (uint32_t i = 0; i < count; i++) {
        put_u32_le(text + i * 12u, p->ring->members[i].id);
        put_u32_le(text + i * 12u + 4, p->ring->members[i].weight);
        put_u32_le(text + i * 12u + 8, p->ring->members[i].zone);
    }
    const uint64_t seed = hash_xxh3(bytes_of(text, count * 12u));
    mem_free(text);
    for (uint32_t i = 0; i < RING_SLOTS; i++) {
        uint8_t draw[16];
        put_u64_le(draw, seed);
        put_u64_le(draw + 8, i);
        const uint32_t other = (uint32_t)(hash_xxh3(bytes_of(draw, sizeof draw)) % (i + 1));
        p->order[i] = p->order[other];
        p->order[other] = (uint16_t)i;
    }
}

static bool has(const struct placement *p, uint32_t slot, uint32_t member) {
    for (uint32_t i = 0; i < p->ring->copies; i++) {
        if (p->ring->slots[slot][i] == member) return true;
    }
    return false;
}

/* How many copies of the list, but for `place`, lie in `zone`, looking at places below `end`. */
static uint32_t zone_copies(const struct placement *p, const uint16_t *list, uint32_t place,
                            uint32_t end, uint32_t zone) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < end; i++) {
        if (i != place && list[i] != PLACE_EMPTY) sum += p->zone_of[list[i]] == zone;
    }
    return sum;
}

bool placement_may_copy(const struct placement *p, uint32_t slot, uint32_t place, uint32_t member) {
    const uint16_t *list = p->ring->slots[slot];
    const uint32_t copies = p->ring->copies;
    if (has(p, slot, member)) return false;
    if (!p->zoned) return true;

    const uint32_t zone = p->zone_of[member];
    const uint32_t in_zone = zone_copies(p, list, place, copies, zone);
    if (in_zone < p->zone_least[zone]) return true;
    if (in_zone >= p->zone_most[zone]) return false;

    /* It needs one that is reserved for no zone. */
    uint32_t used = 0;
    for (uint32_t i = 0; i < copies; i++) {
        if (i == place || list[i] == PLACE_EMPTY) continue;
        const uint32_t other = p->zone_of[list[i]];
        used += zone_copies(p, list, place, i, other) >= p->zone_least[other];
    }
    return used < p->unreserved;
}

/* Whether it may have the place as one of the copies that are reserved for its zone. */
static bool may_copy_reserved(const struct placement *p, uint32_t slot, uint32_t place,
                              uint32_t member) {
    const uint32_t zone = p->zone_of[member];
    const uint16_t *list = p->ring->slots[slot];
    if (has(p, slot, member)) return false;
    return zone_copies(p, list, place, p->ring->copies, zone) < p->zone_least[zone];
}

/* A slot is owned by one of its copies. */
static bool may_own(const struct placement *p, uint32_t slot, uint32_t place, uint32_t member) {
    (void)place;
    return p->owner[slot] != member && has(p, slot, member);
}

struct placement *placement_create(struct ring *r) {
    ASSERT(r->members_count >= 1);
    ASSERT(r->copies >= 1);
    ASSERT(r->copies <= r->members_count);
    struct placement *p = mem_alloc_zeroed(sizeof *p);
    p->ring = r;
    find_zones(p);
    bound_zones(p);
    shuffle(p);
    load_init(&p->copies, &r->slots[0][0], REPLICAS_MAX, r->copies, r->members_count, p->zone_of,
              placement_may_copy);
    load_init(&p->owners, p->owner, 1, 1, r->members_count, NULL, may_own);
    load_among(&p->owners, &r->slots[0][0], r->copies);
    ASSERT(placement_check(p));
    return p;
}

void placement_destroy(struct placement *p) {
    mem_free(p);
}

bool placement_check(const struct placement *p) {
    if (p->zones_count == 0 || p->zones_count > count_of(p)) return false;
    uint32_t least_sum = 0, most_sum = 0;
    for (uint32_t i = 0; i < p->zones_count; i++) {
        if (p->zone_least[i] > p->zone_most[i]) return false;
        least_sum += p->zone_least[i];
        most_sum += p->zone_most[i];
    }
    if (least_sum + p->unreserved != p->ring->copies) return false;
    if (most_sum < p->ring->copies) return false;
    return load_check(&p->copies) && load_check(&p->owners);
}

/* Split what a zone keeps among its members. */
static void target_zone(struct placement *p, struct share *shares, uint32_t zone, uint32_t total) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < count_of(p); i++) {
        if (p->zone_of[i] != zone) continue;
        shares[count++] = (struct share){ .weight = p->ring->members[i].weight,
                                          .most = RING_SLOTS,
                                          .held = p->copies.held[i] };
    }
    share_split(shares, count, total);
    count = 0;
    for (uint32_t i = 0; i < count_of(p); i++) {
        if (p->zone_of[i] == zone) load_aim(&p->copies, i, shares[count++].parts);
    }
}

/* Zones are split first: their bounds go before the weights of their members. */
static void target_copies(struct placement *p) {
    struct share *zones = mem_alloc_zeroed(p->zones_count * sizeof *zones);
    struct share *shares = mem_alloc(count_of(p) * sizeof *shares);
    for (uint32_t i = 0; i < count_of(p); i++) {
        struct share *zone = &zones[p->zone_of[i]];
        zone->weight += p->ring->members[i].weight;
        zone->held += p->copies.held[i];
    }
    for (uint32_t i = 0; i < p->zones_count; i++) {
        zones[i].least = p->zone_least[i] * RING_SLOTS;
        zones[i].most = p->zone_most[i] * RING_SLOTS;
    }
    share_split(zones, p->zones_count, RING_SLOTS * p->ring->copies);
    for (uint32_t i = 0; i < p->zones_count; i++) target_zone(p, shares, i, zones[i].parts);
    mem_free(shares);
    mem_free(zones);
}

/* With `rounded_up` every share ends in a whole slot above: who may own one more is known only
 * once the copies are placed. */
static void target_owners(struct placement *p, bool rounded_up) {
    struct share *shares = mem_alloc(count_of(p) * sizeof *shares);
    for (uint32_t i = 0; i < count_of(p); i++) {
        shares[i] = (struct share){ .weight = p->ring->members[i].weight,
                                    .most = p->copies.target[i],
                                    .held = p->owners.held[i] };
    }
    share_split(shares, count_of(p), RING_SLOTS);
    for (uint32_t i = 0; i < count_of(p); i++)
        load_aim(&p->owners, i, rounded_up ? shares[i].parts_max : shares[i].parts);
    mem_free(shares);
}

/* The member furthest below its target as an owner that may have this place, or PLACE_EMPTY. */
static uint32_t heir_of(const struct placement *p, enum load_stage stage, uint32_t slot,
                        uint32_t place) {
    const uint32_t owner = p->owner[slot];
    uint32_t best = PLACE_EMPTY;
    uint32_t best_lack = 0;
    for (uint32_t i = 0; i < count_of(p); i++) {
        if (p->owners.held[i] >= p->owners.target[i]) continue;
        const uint32_t lack = p->owners.target[i] - p->owners.held[i];
        if (lack <= best_lack || !load_wants(&p->copies, stage, owner, i)) continue;
        if (!p->copies.may_take(p, slot, place, i)) continue;
        best = i;
        best_lack = lack;
    }
    return best;
}

/* Where an owner is gone or owns too much and keeps too much, let one new member have both its
 * place and its slot: so nobody else's slots change owner. */
static void inherit(struct placement *p, enum load_stage stage) {
    for (uint32_t i = 0; i < RING_SLOTS; i++) {
        const uint32_t slot = p->order[i];
        const uint32_t owner = p->owner[slot];
        if (p->owners.held[owner] <= p->owners.target[owner]) continue;
        if (p->copies.held[owner] <= p->copies.target[owner]) continue;
        const uint16_t *list = p->ring->slots[slot];
        uint32_t place = 0;
        while (place < p->ring->copies && list[place] != owner) place++;
        if (place == p->ring->copies) continue;
        const uint32_t heir = heir_of(p, stage, slot, place);
        if (heir == PLACE_EMPTY) continue;
        load_give(&p->copies, slot, place, heir);
        load_give(&p->owners, slot, 0, heir);
    }
}

/* Copies that own go last, so that owners do not move with them. */
static void level_stage(struct placement *p, enum load_stage stage, load_rule *rule) {
    p->copies.may_take = rule;
    target_owners(p, false);
    inherit(p, stage);
    target_owners(p, true);
    inherit(p, stage);
    load_level_direct(&p->copies, p, stage, p->order, p->owner);
    load_level_direct(&p->copies, p, stage, p->order, NULL);
    p->copies.may_take = placement_may_copy;
}

/* The member with most room, or least over its target, that may have this place by the rule, or
 * PLACE_EMPTY. One that is not in the list is asked for all of its zone. */
static uint32_t roomiest(const struct placement *p, uint32_t slot, uint32_t place,
                         load_rule *rule) {
    const struct load *l = &p->copies;
    bool refused[ZONES_MAX] = { 0 };
    uint32_t best = PLACE_EMPTY;
    int64_t best_room = INT64_MIN;
    for (uint32_t i = 0; i < count_of(p); i++) {
        const int64_t room = (int64_t)l->target[i] - l->held[i];
        if (room <= best_room || refused[p->zone_of[i]] || has(p, slot, i)) continue;
        refused[p->zone_of[i]] = !rule(p, slot, place, i);
        if (refused[p->zone_of[i]]) continue;
        best = i;
        best_room = room;
    }
    return best;
}

/* Fill the empty places that the rule gives to anybody, even where that takes members over their
 * targets. */
static void fill_empty(struct placement *p, load_rule *rule) {
    for (uint32_t i = 0; i < RING_SLOTS && p->copies.held[PLACE_EMPTY] > 0; i++) {
        const uint32_t slot = p->order[i];
        for (uint32_t place = 0; place < p->ring->copies; place++) {
            if (p->ring->slots[slot][place] != PLACE_EMPTY) continue;
            const uint32_t member = roomiest(p, slot, place, rule);
            if (member != PLACE_EMPTY) load_give(&p->copies, slot, place, member);
        }
    }
}

/* The copies of every slot, to the last: the targets can always be met, as every slot giving
 * each member the same part of itself would meet them (integrality of flows), and chains find
 * whatever a flow finds, but for what their bound of work leaves. A list that is not full can
 * always be filled. Reserved copies go first, as fewer members can take them: no other table is
 * allowed, and what members are over their targets by it they give away elsewhere. */
static void level_copies(struct placement *p) {
    if (p->zoned && p->unreserved < p->ring->copies) {
        level_stage(p, LOAD_ACROSS, may_copy_reserved);
        fill_empty(p, may_copy_reserved);
    }
    level_stage(p, LOAD_ACROSS, placement_may_copy);
    if (p->zoned) level_stage(p, LOAD_WITHIN, placement_may_copy);
    load_level_chains(&p->copies, p, p->owner);
    fill_empty(p, placement_may_copy);
    ASSERT(p->copies.held[PLACE_EMPTY] == 0);
}

/* The copy of the slot that owns least for its target. */
static uint32_t least_owner(const struct placement *p, uint32_t slot) {
    const struct load *l = &p->owners;
    const uint16_t *list = ring_list(p->ring, slot);
    uint32_t best = list[0];
    for (uint32_t i = 1; i < p->ring->copies; i++) {
        const uint32_t member = list[i];
        if (l->held[member] + l->target[best] < l->held[best] + l->target[member]) best = member;
    }
    return best;
}

/* Unlike those of the copies, the owners' targets may be missed by single slots when the
 * copies lie so that no choice among them meets all. */
static void level_owners(struct placement *p) {
    target_owners(p, false);
    load_level_direct(&p->owners, p, LOAD_ACROSS, p->order, NULL);
    target_owners(p, true);
    load_level_direct(&p->owners, p, LOAD_ACROSS, p->order, NULL);
    target_owners(p, false);
    load_level_direct(&p->owners, p, LOAD_ACROSS, p->order, NULL);
    load_level_chains(&p->owners, p, NULL);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (p->owner[slot] == PLACE_EMPTY) load_give(&p->owners, slot, 0, least_owner(p, slot));
    }
    ASSERT(p->owners.held[PLACE_EMPTY] == 0);
}

/* Bring each slot's owner to the front; the others keep their order. */
static void owners_to_front(struct placement *p) {
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        uint16_t *list = p->ring->slots[slot];
        uint32_t place = 0;
        while (list[place] != p->owner[slot]) place++;
        ASSERT(place < p->ring->copies);
        for (; place > 0; place--) list[place] = list[place - 1];
        list[0] = p->owner[slot];
    }
}

static void finish(struct placement *p) {
    level_copies(p);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (p->owner[slot] != PLACE_EMPTY && !has(p, slot, p->owner[slot]))
            load_give(&p->owners, slot, 0, PLACE_EMPTY);
    }
    level_owners(p);
    owners_to_front(p);
    ASSERT(placement_check(p));
}

void placement_first(struct placement *p) {
    ASSERT(placement_check(p));
    target_copies(p);
    target_owners(p, false);
    virtual_nodes_fill(p);
    finish(p);
}

/* Take over what still may be; from the front, so that an owner stays before all others. */
static void take_over(struct placement *p, const struct ring *previous, uint32_t slot) {
    const uint16_t *list = ring_list(previous, slot);
    uint32_t place = 0;
    for (uint32_t i = 0; i < previous->copies && place < p->ring->copies; i++) {
        const uint32_t member = p->known_as[list[i]];
        if (member == PLACE_EMPTY || !placement_may_copy(p, slot, place, member)) continue;
        if (i == 0) load_give(&p->owners, slot, 0, member);
        load_give(&p->copies, slot, place++, member);
    }
}

void placement_next(struct placement *p, const struct ring *previous) {
    ASSERT(placement_check(p));
    ASSERT(ring_check(previous));
    for (uint32_t i = 0; i < previous->members_count; i++) {
        const uint32_t now = ring_find(p->ring, previous->members[i].id);
        p->known_as[i] = now < count_of(p) ? (uint16_t)now : PLACE_EMPTY;
    }
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) take_over(p, previous, slot);
    target_copies(p);
    finish(p);
}

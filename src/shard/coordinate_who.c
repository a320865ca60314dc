/* coordinate_who.c - who keeps a key, who of them lives, and how many must answer. */
#include "base/assert.h"
#include "base/hash.h"
#include "shard/coordinate_internal.h"
#include "shard/operation.h"
#include "shard/shard.h"

static_assert(ROUND_PLACES_MAX == 2 * REPLICAS_MAX, "a list and a target with nobody in common");

bool shard_is_clustered(const struct shard *s) {
    return !s->alone;
}

uint8_t shard_need(const struct shard *s, const struct request *q, enum round_kind kind,
                   uint32_t list_count) {
    ASSERT(list_count >= 1 && list_count <= REPLICAS_MAX);
    const struct replication r = membership_replication(s->members, q->keyspace);
    const uint8_t copies = (uint8_t)list_count;
    const uint8_t set = kind == ROUND_READ ? r.read_quorum : r.write_quorum;
    const uint8_t majority = (uint8_t)membership_majority(copies);
    uint8_t need = majority;
    switch (q->level) {
    case LEVEL_DEFAULT: need = set == 0 ? majority : set; break;
    case LEVEL_ONE: need = 1; break;
    case LEVEL_QUORUM: need = majority; break;
    case LEVEL_ALL: need = copies; break;
    case LEVEL_COUNT: need = q->level_count; break;
    }
    ASSERT(need > 0);
    return need < copies ? need : copies;
}

int coordinate_self(const struct shard *s, const struct slot_places *replicas) {
    const uint32_t self = s->members->self;
    return self == MEMBER_NONE ? -1 : slot_places_find(replicas, self);
}

struct round_needs coordinate_needs(const struct shard *s, const struct request *q,
                                    const struct slot_places *replicas, enum round_kind kind) {
    const uint32_t count = replicas->list.count;
    struct round_needs needs = round_needs_one(count, shard_need(s, q, kind, count));
    if (replicas->target.count > 0)
        needs.target = (struct round_set){ replicas->in_target,
                                           shard_need(s, q, kind, replicas->target.count) };
    return needs;
}

uint32_t coordination_member(const struct coordination *k, uint32_t position) {
    ASSERT(position < k->replicas.count);
    return k->replicas.all[position];
}

uint16_t coordination_live(struct shard *s, const struct coordination *k) {
    return coordinate_live(s, &k->replicas, k->slot);
}

uint16_t coordination_sent_anyway(struct shard *s, const struct coordination *k) {
    uint16_t places = 0;
    for (uint32_t i = 0; i < k->replicas.count; i++) {
        if ((int)i == k->self) continue;
        const struct link *l = link_of_slot(s, coordination_member(k, i), k->slot);
        if (l != NULL && l->urgent && l->writable) places |= (uint16_t)(1u << i);
    }
    return places;
}

struct slot_places coordinate_replicas(const struct shard *s, const struct request *q,
                                       uint32_t slot) {
    struct slot_places replicas = { .phase = SLOT_SETTLED };
    if (s->members->epoch > 0) membership_replicas(s->members, slot, q->keyspace, &replicas);
    return replicas;
}

bool shard_may_answer_alone(const struct shard *s, const struct request *q) {
    if (!ballot_is_zero(q->session)) return false;
    /* What a proxy stamped may come twice: only a coordination writes it under its stamp (R4). */
    if (!shard_is_clustered(s)) return ballot_is_zero(q->stamp);
    if (!operation_only_reads(q) || !s->filled) return false;
    if (s->members->epoch == 0) return false;
    const uint32_t wanted = membership_replication(s->members, q->keyspace).replicas;
    const uint32_t copies = wanted < s->members->count ? wanted : s->members->count;
    if (shard_need(s, q, ROUND_READ, copies) != 1) return false;
    const struct slot_places replicas = coordinate_replicas(s, q, crc16_slot(q->key));
    return coordinate_self(s, &replicas) >= 0 && replicas.target.count == 0;
}

bool coordinate_is_home(const struct shard *s, const struct slot_places *replicas, int self) {
    for (int i = 0; i < self; i++) {
        if (peer_is_alive(s, replicas->all[i])) return false;
    }
    return self >= 0;
}

/* Of a node that has just been met, some shards may not be linked yet. */
uint16_t coordinate_live(struct shard *s, const struct slot_places *replicas, uint32_t slot) {
    uint16_t live = 0;
    for (uint32_t i = 0; i < replicas->count; i++) {
        const uint32_t place = replicas->all[i];
        if (place == s->members->self || link_of_slot(s, place, slot) != NULL)
            live |= (uint16_t)(1u << i);
    }
    return live;
}

/* Whether more than half of the others are ahead of this clock beyond the bound, or, if the direction
 * is -1 and not 1, behind it. */
static bool most_are_off(const struct shard *s, int direction) {
    const struct membership *m = s->members;
    uint32_t heard = 0, off = 0;
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        if (!peer_is_alive(s, i)) continue;
        heard++;
        off += direction * s->peers[i]->detector.clock_ahead_ms > (int64_t)HLC_SKEW_MS_MAX;
    }
    return off * 2 > heard;
}

bool coordinate_clock_is_off(const struct shard *s) {
    return most_are_off(s, -1);
}

bool coordinate_clock_is_behind(const struct shard *s) {
    return most_are_off(s, 1);
}

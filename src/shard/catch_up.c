#include "shard/catch_up.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mutant.h"
#include "shard/repair_internal.h"

/* What a record takes on the way besides its key and value, about. */
#define RECORD_HEAD_BYTES 64u
/* As long as no record was moved. */
#define RECORD_BYTES_GUESSED (16u * 1024)
#define WINDOW_MIN 16u
/* The mean follows the last so many records. */
#define MEAN_RECORDS 16u
#define JOINT_SLOT_BYTES 10u
#define NS_PER_SECOND UINT64_C(1000000000)

/* ---- which slots ---- */

static bool is_listed(const struct membership *m, uint32_t slot, uint32_t member) {
    return membership_place(m, slot, member) >= 0;
}

bool catch_up_knows(const struct shard *s, uint32_t slot, uint32_t member) {
    const struct membership *m = s->members;
    ASSERT(slot < RING_SLOTS);
    return m->slots.phases[slot] != SLOT_JOINT || is_listed(m, slot, member);
}

bool catch_up_compares(const struct shard *s, uint32_t slot, uint32_t member, bool catches) {
    const struct membership *m = s->members;
    ASSERT(slot < RING_SLOTS);
    if (m->slots.phases[slot] != SLOT_JOINT) return !catches;
    return is_listed(m, slot, m->self) || is_listed(m, slot, member);
}

/* A joint slot of this shard that it has to make equal with the member. */
static bool is_joint_with(const struct shard *s, uint32_t slot, uint32_t member) {
    const struct membership *m = s->members;
    if (m->slots.phases[slot] != SLOT_JOINT) return false;
    if (!membership_keeps(m, slot, m->self) || !membership_keeps(m, slot, member)) return false;
    return catch_up_compares(s, slot, member, true);
}

static bool any_joint_with(const struct shard *s, uint32_t member) {
    for (uint32_t slot = s->id; slot < RING_SLOTS; slot += s->node->shards_count) {
        if (is_joint_with(s, slot, member)) return true;
    }
    return false;
}

/* The slots that are both of this shard and of the shard `rest` of `shards`. */
struct stride {
    uint32_t first; /* RING_SLOTS or above: there is none */
    uint32_t step;  /* from one to the next */
};

static struct stride stride_of(const struct shard *s, uint32_t shards, uint32_t rest) {
    const uint32_t own = s->node->shards_count;
    uint32_t step = own, first = s->id;
    ASSERT(shards > 0 && rest < shards);
    while (step % shards != 0) step += own;
    while (first < step && first % shards != rest) first += own;
    return (struct stride){ first < step ? first : RING_SLOTS, step };
}

/* The number of the joint slots of a stride; 0 = no such slots. */
static uint64_t joint_of(const struct shard *s, uint32_t member, struct stride stride) {
    const struct membership *m = s->members;
    uint64_t joint = 0;
    if (slot_table_next(&m->slots, SLOT_JOINT, 0) == RING_SLOTS) return 0; /* as most of the time */
    for (uint32_t slot = stride.first; slot < RING_SLOTS; slot += stride.step) {
        if (!is_joint_with(s, slot, member)) continue;
        uint8_t bytes[JOINT_SLOT_BYTES];
        put_u16_le(bytes, (uint16_t)slot);
        put_u64_le(bytes + 2, m->slots.epochs[slot]);
        joint = hash_seeded(bytes_of(bytes, sizeof bytes), joint) | 1; /* not zero */
    }
    return joint;
}

/* The number of the others that both keep. */
static uint64_t settled_of(const struct shard *s, uint32_t member, struct stride stride) {
    const struct membership *m = s->members;
    uint8_t bits[RING_SLOTS / 8] = { 0 };
    for (uint32_t slot = stride.first; slot < RING_SLOTS; slot += stride.step) {
        if (m->slots.phases[slot] == SLOT_JOINT) continue;
        if (membership_keeps(m, slot, m->self) && membership_keeps(m, slot, member))
            bits[slot / 8] |= (uint8_t)(1u << slot % 8);
    }
    return hash_xxh3(bytes_of(bits, sizeof bits));
}

/* What was truncated counts like a tombstone of each key: both have to know of it. */
static uint64_t with_floor(uint64_t joint, struct ballot floor) {
    uint8_t bytes[BALLOT_BYTES];
    if (joint == 0 || ballot_is_zero(floor)) return joint;
    ballot_put(bytes, floor);
    return hash_seeded(bytes_of(bytes, sizeof bytes), joint) | 1;
}

uint64_t catch_up_joint(struct shard *s, struct repair *r) {
    return catch_up_joint_with(s, r, engine_floor(s->engine, KEYSPACE_DEFAULT));
}

uint64_t catch_up_joint_with(struct shard *s, struct repair *r, struct ballot floor) {
    const uint32_t shards = r->peer->shards;
    ASSERT(s->repair != NULL);
    if (r->gone || shards == 0 || r->remote_shard >= shards) return 0;
    if (r->joint_adoption != s->repair->adoptions || r->joint_shards != shards ||
        ballot_compare(r->joint_floor, floor) != 0) {
        const struct stride stride = stride_of(s, shards, r->remote_shard);
        r->joint = with_floor(joint_of(s, r->peer->member, stride), floor);
        r->joint_adoption = s->repair->adoptions;
        r->joint_shards = (uint16_t)shards;
        r->joint_floor = floor;
    }
    return r->joint;
}

uint64_t catch_up_settled(struct shard *s, struct repair *r) {
    const uint32_t shards = r->peer->shards;
    ASSERT(s->repair != NULL);
    if (shards == 0 || r->remote_shard >= shards) return 0;
    if (r->settled_adoption != s->repair->adoptions || r->settled_shards != shards) {
        r->settled = settled_of(s, r->peer->member, stride_of(s, shards, r->remote_shard));
        r->settled_adoption = s->repair->adoptions;
        r->settled_shards = (uint16_t)shards;
    }
    return r->settled;
}

bool catch_up_is_due(struct shard *s, struct repair *r) {
    const uint64_t joint = catch_up_joint(s, r);
    return joint != 0 && (r->caught != joint || !r->caught_told);
}

void catch_up_heard(struct shard *s, struct repair *r, uint64_t caught) {
    if (caught == 0 || caught != catch_up_joint(s, r)) return;
    r->caught = caught;
    r->caught_told = true;
}

bool catch_up_may_compare(const struct shard *s) {
    return s->repair->heal == HEAL_NONE && !engine_is_dropping(s->engine);
}

/* How many members come before this place. */
static uint32_t rank_of(const struct membership *m, uint32_t place) {
    uint32_t rank = 0;
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE && i < place;
         i = membership_next(m, i + 1))
        rank++;
    return rank;
}

/* By the rank of the one that has the slots among all but the one that gets them. */
void catch_up_choose_begin(struct shard *s, struct repair *r) {
    const struct membership *m = s->members;
    const uint32_t gets = s->repair->gaining ? m->self : r->peer->member;
    const uint32_t has = s->repair->gaining ? r->peer->member : m->self;
    const uint32_t rank = rank_of(m, has) - (has > gets);
    ASSERT(m->count >= 2);
    ASSERT(rank < m->count - 1);
    ASSERT(buffer_len(&r->begin) == 0);
    if (rank == 0) return;
    engine_place(s->engine, rank * 1000 / (m->count - 1), &r->begin);
    const struct bytes begin = buffer_bytes(&r->begin);
    if (begin.len <= 2 || repair_is_past_users(begin)) buffer_reset(&r->begin);
}

/* ---- the rate ---- */

static uint64_t rate_of(const struct shard *s) {
    const uint64_t rate = atomic_load_explicit(&s->node->move_rate, memory_order_relaxed);
    if (rate == 0) return 0;
    const uint64_t share = rate / s->node->shards_count;
    return share == 0 ? 1 : share;
}

bool catch_up_may_walk(const struct shard *s) {
    return !atomic_load_explicit(&s->node->move_paused, memory_order_relaxed);
}

bool catch_up_may_move(const struct shard *s) {
    if (!catch_up_may_walk(s)) return false;
    return rate_of(s) == 0 || s->repair->move_tokens > 0;
}

/* In thousandths of bytes, so that a low rate and short times are not lost to rounding. */
void catch_up_tokens_raise(struct shard *s) {
    struct repair_shard *rs = s->repair;
    const uint64_t rate = rate_of(s) > INT32_MAX ? INT32_MAX : rate_of(s);
    const int64_t most = (int64_t)(rate * CATCH_UP_BURST_MS);
    uint64_t passed_ns = s->turn_ns - rs->move_tokens_ns;
    if (passed_ns > NS_PER_SECOND) passed_ns = NS_PER_SECOND;
    rs->move_tokens_ns = s->turn_ns;
    rs->move_tokens += (int64_t)(rate * passed_ns / (NS_PER_SECOND / 1000));
    if (rs->move_tokens > most || rate == 0) rs->move_tokens = most;
}

uint64_t catch_up_bytes_usual(const struct shard *s) {
    const uint64_t mean = s->repair->move_bytes_mean;
    return mean == 0 ? RECORD_BYTES_GUESSED : mean;
}

uint32_t catch_up_window(const struct shard *s) {
    const uint64_t window = CATCH_UP_BYTES_AHEAD / catch_up_bytes_usual(s);
    if (window < WINDOW_MIN) return WINDOW_MIN;
    return window > CATCH_UP_ITEMS_MAX ? CATCH_UP_ITEMS_MAX : (uint32_t)window;
}

void catch_up_spend(struct shard *s) {
    s->repair->move_tokens -= (int64_t)catch_up_bytes_usual(s) * 1000;
}

void catch_up_settle(struct shard *s, uint64_t bytes) {
    struct repair_shard *rs = s->repair;
    const uint64_t mean = catch_up_bytes_usual(s);
    rs->move_tokens += ((int64_t)mean - (int64_t)bytes) * 1000;
    rs->move_bytes_mean = (mean * (MEAN_RECORDS - 1) + bytes) / MEAN_RECORDS;
    if (rs->move_bytes_mean == 0) rs->move_bytes_mean = 1;
}

static bool is_on_its_way(const struct shard *s, const struct record *r) {
    const uint32_t slot = crc16_slot(ikey_key(r->ikey));
    return s->members->slots.phases[slot] == SLOT_JOINT;
}

static void count(_Atomic uint64_t *at, uint64_t by) {
    atomic_fetch_add_explicit(at, by, memory_order_relaxed);
}

void catch_up_count_sent(struct shard *s, const struct record *r) {
    if (!is_on_its_way(s, r)) return;
    count(&s->moved.records_sent, 1);
    count(&s->moved.bytes_sent, catch_up_bytes(r));
}

void catch_up_count_taken(struct shard *s, const struct record *r) {
    if (!is_on_its_way(s, r)) return;
    count(&s->moved.records_taken, 1);
    count(&s->moved.bytes_taken, catch_up_bytes(r));
}

uint64_t catch_up_bytes(const struct record *r) {
    return r->ikey.len + r->value.len + RECORD_HEAD_BYTES;
}

/* ---- a view ---- */

/* What this shard keeps, what is on its way to it, and from when tombstones may go again. */
static void learn_slots(struct shard *s) {
    struct repair_shard *rs = s->repair;
    const struct membership *m = s->members;
    bool gains = false;
    rs->keeps_none = true;
    rs->joins = false;
    for (uint32_t slot = s->id; slot < RING_SLOTS; slot += s->node->shards_count) {
        if (!membership_keeps(m, slot, m->self)) continue;
        rs->keeps_none = false;
        gains |= !is_listed(m, slot, m->self);
        rs->joins |= m->slots.phases[slot] == SLOT_JOINT;
    }
    rs->gaining = gains;
    if (!gains) return;
    rs->gains = true;
    rs->gained_stamp = hlc_of_ms(s->turn_wall_ms);
    engine_clear_gc_floor(s->engine);
}

void catch_up_adopt(struct shard *s) {
    struct repair_shard *rs = s->repair;
    ASSERT(rs != NULL);
    ASSERT(s->engine != NULL);
    rs->adoptions++;
    rs->caught_claimed = false;
    learn_slots(s);
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    for (struct list *n = rs->asking.next; n != &rs->asking; n = n->next) {
        struct repair *r = LIST_ENTRY(n, struct repair, link);
        if (catch_up_is_due(s, r)) r->next_ms = now_ms;
    }
    atomic_store_explicit(&s->caught_up_epoch, rs->joins ? 0 : s->members->epoch,
                          memory_order_release);
}

uint64_t catch_up_hidden_before(const struct shard *s) {
    if (s->repair == NULL || !s->repair->gaining) return 0;
    if (atomic_load_explicit(&s->caught_up_epoch, memory_order_relaxed) != 0) return 0;
    const uint64_t settled = hlc_ms(s->repair->gained_stamp);
    const uint64_t margin_ms = REPAIR_SETTLE_MS - HLC_SKEW_MS_MAX;
    return settled > margin_ms ? hlc_of_ms(settled - margin_ms) : 0;
}

bool catch_up_hides(const struct shard *s, const struct record *r) {
    const struct membership *m = s->members;
    if (r->ballot.stamp >= catch_up_hidden_before(s)) return false;
    const uint32_t slot = crc16_slot(ikey_key(r->ikey));
    return m->slots.phases[slot] == SLOT_JOINT && !is_listed(m, slot, m->self);
}

/* ---- how far it is ---- */

/* Whether all that the two have to make equal is. */
static bool is_caught_with(struct shard *s, struct peer *p) {
    if (p->shards == 0) return !any_joint_with(s, p->member);
    for (uint16_t k = 0; k < p->shards; k++) {
        if (!repair_is_wanted(s, p, k)) continue;
        struct repair *r = repair_of(s, p, k);
        const uint64_t joint = catch_up_joint(s, r);
        if (joint != 0 && r->caught != joint) return false;
    }
    return true;
}

static bool is_caught_up(struct shard *s) {
    if (!catch_up_may_compare(s) || !engine_floors_are_durable(s->engine)) return false;
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] == NULL || repair_is_given_up(s, i)) continue;
        if (!is_caught_with(s, s->peers[i])) return false;
    }
    return true;
}

/* It is said once all that was taken is safe from a power failure, in every mode of the log. */
void catch_up_tick(struct shard *s) {
    struct repair_shard *rs = s->repair;
    ASSERT(rs != NULL);
    if (!rs->joins) return;
    if (!is_caught_up(s)) {
        rs->caught_claimed = false;
        atomic_store_explicit(&s->caught_up_epoch, 0, memory_order_release);
        return;
    }
    if (!rs->caught_claimed) {
        rs->caught_claimed = true;
        rs->caught_sequence = engine_written(s->engine);
    }
    if (!repair_is_safe(s, rs->caught_sequence)) return;
    const uint64_t epoch = s->members->epoch;
    if (atomic_load_explicit(&s->caught_up_epoch, memory_order_relaxed) == epoch) return;
    log_info("shard %u: caught up with epoch %llu", s->id, (unsigned long long)epoch);
    atomic_store_explicit(&s->caught_up_epoch, epoch, memory_order_release);
}

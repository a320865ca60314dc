/* repair_floor.c - what passes prove: verified, floor, gc floor, filled; and their notes. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "shard/hint.h"
#include "shard/repair_internal.h"

#define FLOORS_EVERY_MS 200u
/* The floor's note is a synced write: not more often than this. */
#define FLOOR_NOTE_MS 5000u
#define AWAY_WARN_MS 600000u
#define NOTE_VALUE_BYTES 8u
#define NOTE_IKEY_BYTES_MAX 16u

static_assert(2 + sizeof NOTE_FILLED - 1 <= NOTE_IKEY_BYTES_MAX, "the longest note's ikey fits");
static_assert(2 + sizeof NOTE_FLOOR - 1 <= NOTE_IKEY_BYTES_MAX, "the floor's ikey fits");

/* ---- notes ---- */

/* Errors  ST_NOT_FOUND, ST_CORRUPT, ST_IO */
static STATUS note_read(struct shard *s, struct bytes name, uint64_t *ret_value) {
    uint8_t space[NOTE_IKEY_BYTES_MAX];
    struct engine_read read = { 0 };
    struct status st = engine_get(s->engine, ikey_make(SYSTEM_KEYSPACE, name, space), true, &read);
    if (status_ok(st)) {
        const struct bytes value = read.record.value;
        if (value.len == NOTE_VALUE_BYTES)
            *ret_value = get_u64_le(value.ptr);
        else if (value.len != 0)
            st = status_of(ST_CORRUPT);
    }
    engine_read_deinit(s->engine, &read);
    return st;
}

STATUS repair_note_write(struct shard *s, struct bytes name, struct bytes value,
                         uint64_t *ret_sequence) {
    uint8_t space[NOTE_IKEY_BYTES_MAX];
    const struct record r = {
        .ikey = ikey_make(SYSTEM_KEYSPACE, name, space),
        .ballot = { .stamp = shard_stamp(s),
                    .node = s->node->node_id,
                    .boot = s->node->boot_count },
        .value = value,
    };
    return engine_put(s->engine, &r, ret_sequence);
}

STATUS repair_notes_read(struct shard *s) {
    uint64_t stamp = 0, nothing = 0, left = 0;
    ASSERT(s->repair != NULL);
    ASSERT(s->engine != NULL);
    s->repair->damaged = repair_was_damaged(s);
    const struct status floor = note_read(s, BYTES_LIT(NOTE_FLOOR), &stamp);
    const struct status filled = note_read(s, BYTES_LIT(NOTE_FILLED), &nothing);
    const bool lost = floor.code == ST_CORRUPT || filled.code == ST_CORRUPT;
    if (lost && repair_can_heal(s)) {
        s->repair->damaged = true; /* the tables they lie in will be given up */
    } else if (!s->alone) {        /* alone it answers by what it can read */
        if (!status_ok(floor) && floor.code != ST_NOT_FOUND) return floor;
        if (!status_ok(filled) && filled.code != ST_NOT_FOUND) return filled;
    }
    /* One that cannot be read costs a look through all tables. */
    if (!status_ok(note_read(s, BYTES_LIT(NOTE_LEFT), &left))) left = 0;
    left_behind_open(s, left);
    s->floor_stamp = stamp;
    s->filled = status_ok(filled) && !lost;
    if (repair_is_healing(s))
        log_warn("shard %u: it lost data to a damaged disk and was not filled again: it abstains "
                 "from reads",
                 s->id);
    return status_of(ST_OK);
}

/* ---- members ---- */

/* Bits: rests of the slots that this shard and the member both keep, modulo the member's
 * number of shards. */
static uint64_t common_rests(const struct shard *s, uint32_t member, uint32_t shards) {
    const struct membership *m = s->members;
    uint64_t rests = 0;
    ASSERT(shards >= 1 && shards <= SHARDS_MAX);
    if (m->self == MEMBER_NONE) return 0;
    const uint32_t own = s->node->shards_count;
    uint64_t all = 0; /* that slots of this shard can have; soon they are found */
    for (uint32_t i = 0; i < shards; i++) all |= UINT64_C(1) << (s->id + i * own) % shards;
    for (uint32_t slot = s->id; slot < RING_SLOTS && rests != all; slot += own) {
        if (membership_keeps(m, slot, m->self) && membership_keeps(m, slot, member))
            rests |= UINT64_C(1) << slot % shards;
    }
    return rests;
}

static void make_members(struct repair_shard *rs, uint32_t count) {
    ASSERT(count <= MEMBERS_MAX);
    if (count <= rs->members_count) return;
    rs->members = mem_realloc(rs->members, count * sizeof *rs->members);
    memset(rs->members + rs->members_count, 0, (count - rs->members_count) * sizeof *rs->members);
    rs->members_count = count;
}

void repair_members_learn(struct shard *s) {
    struct place_set common;
    ASSERT(s->repair != NULL);
    membership_neighbors(s->members, s->members->self, s->id, s->node->shards_count, &common);
    make_members(s->repair, s->members->places);
    for (uint32_t i = 0; i < s->repair->members_count; i++) {
        struct repair_member *k = repair_member(s, i);
        k->common = place_set_has(&common, i);
        k->shards = 0; /* `wanted` is to be worked out anew */
        if (s->peers[i] == NULL) k->away_since_ms = k->warned_ms = 0;
    }
    catch_up_adopt(s);
}

/* Bits: the member's shards that have slots in common with this one. */
static uint64_t wanted_of(struct shard *s, const struct peer *p) {
    struct repair_member *k = repair_member(s, p->member);
    ASSERT(p->shards >= 1);
    if (k->shards != p->shards) {
        k->wanted = common_rests(s, p->member, p->shards);
        k->shards = p->shards;
    }
    return k->wanted;
}

bool repair_is_wanted(struct shard *s, const struct peer *p, uint16_t remote_shard) {
    if (p->shards == 0 || remote_shard >= p->shards) return false;
    return (wanted_of(s, p) >> remote_shard & 1) != 0;
}

/* ---- what the others say ---- */

void repair_heard(struct shard *s, struct link *l, const struct peer_ping *p) {
    if (s->repair == NULL || l->peer == NULL) return;
    ASSERT(l->remote_shard < SHARDS_MAX);
    struct repair *r = repair_of(s, l->peer, l->remote_shard);
    if ((p->flags & PEER_PING_FORGET) != 0) repair_forget(r);
    r->heard_verified = p->verified_stamp;
    r->heard_floor = p->floor_stamp;
    if (p->floor_stamp > s->heard_floor) s->heard_floor = p->floor_stamp;
    l->peer->fresh = (p->flags & PEER_HELLO_FRESH) != 0;
    r->heard = l->peer->fresh ? REPAIR_HEARD_NEW : REPAIR_HEARD_FILLED;
    if ((p->flags & PEER_HELLO_DAMAGED) == 0) return;
    r->heard = REPAIR_HEARD_DAMAGED;
    l->peer->met_fresh = false;
}

void repair_tell(struct shard *s, struct peer_ping *ret_ping) {
    const bool keeps = s->repair != NULL;
    ret_ping->verified_stamp = keeps ? s->verified_stamp : 0;
    ret_ping->floor_stamp = keeps ? s->floor_stamp : 0;
    ret_ping->flags = keeps && !s->filled ? PEER_HELLO_FRESH : 0;
    if (repair_is_healing(s)) ret_ping->flags |= PEER_HELLO_DAMAGED;
}

static void lower(uint64_t *at, uint64_t stamp) {
    if (stamp < *at) *at = stamp;
}

/* ---- what a pair proves ---- */

void repair_proof_begin(struct shard *s, struct repair *r, uint64_t below_stamp) {
    struct repair_shard *rs = s->repair;
    r->gained_stamp = UINT64_MAX;
    if (below_stamp > rs->proof_stamp) rs->proof_stamp = below_stamp;
}

void repair_forget_verified(struct repair *r) {
    r->verified_stamp = 0;
    r->told_stamp = 0;
    if (!r->catches) r->unclean = true;
}

void repair_forget(struct repair *r) {
    repair_forget_verified(r);
    r->caught = 0;
    r->caught_told = false;
    r->unclean = true;
}

void repair_proved(struct repair *r, uint64_t stamp) {
    if (stamp >= r->gained_stamp) stamp = r->gained_stamp - 1;
    if (stamp > r->verified_stamp) r->verified_stamp = stamp;
}

void repair_gained(struct shard *s, const struct record *taken, const struct peer *from) {
    const uint64_t stamp = taken->ballot.stamp;
    if (s->repair == NULL || stamp > s->repair->proof_stamp) return;
    if (repair_is_past_users(taken->ikey)) return;
    const struct membership *m = s->members;
    const uint32_t slot = crc16_slot(ikey_key(taken->ikey));
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        struct peer *p = s->peers[i];
        if (p == NULL || p == from || p->shards == 0 || !membership_keeps(m, slot, i)) continue;
        struct repair *r = p->repairs[slot % p->shards];
        if (r == NULL) continue;
        lower(&r->gained_stamp, stamp);
        lower(&r->verified_stamp, stamp - 1);
    }
}

/* ---- floors ---- */

/* The lowest of all pairs; UINT64_MAX if there is none. */
struct lowest {
    uint64_t verified; /* what this shard's own pairs have proved */
    uint64_t filling;  /* the same, but for members that were given up: they bring nothing */
    uint64_t heard;    /* what the others have, of theirs */
    uint64_t floor;    /* the others' durable floors */
};

/* A pair that does not exist yet has proved nothing. */
static struct lowest lowest_of_member(struct shard *s, struct peer *p) {
    struct lowest low = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
    if (!repair_member(s, p->member)->common) return low;
    if (p->shards == 0) return (struct lowest){ 0 };
    const uint64_t wanted = wanted_of(s, p);
    for (uint32_t i = 0; i < p->shards; i++) {
        if ((wanted >> i & 1) == 0) continue;
        const struct repair *r = p->repairs[i];
        if (r == NULL) return (struct lowest){ 0 };
        lower(&low.verified, r->verified_stamp);
        lower(&low.heard, r->heard_verified);
        lower(&low.floor, r->heard_floor);
    }
    p->verified_stamp = low.heard;
    p->floor_stamp = low.floor;
    return low;
}

static struct lowest lowest_of_all(struct shard *s) {
    struct lowest low = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] == NULL) continue;
        const struct lowest one = lowest_of_member(s, s->peers[i]);
        lower(&low.verified, one.verified);
        if (!repair_is_given_up(s, i)) lower(&low.filling, one.verified);
        lower(&low.heard, one.heard);
        lower(&low.floor, one.floor);
    }
    return low;
}

bool repair_is_safe(struct shard *s, uint64_t sequence) {
    if (engine_durable(s->engine) >= sequence) return true;
    engine_sync(s->engine);
    return false;
}

/* What passes have proved is claimed once it is safe: a power failure that took back a newer
 * version would bring to light an older one that others lack and, by their floors, refuse. */
static void claim(struct shard *s, uint64_t verified) {
    struct repair_shard *rs = s->repair;
    if (verified < s->verified_stamp) {
        s->verified_stamp = verified;
        rs->claim_stamp = 0;
    }
    if (rs->claim_stamp != 0 && repair_is_safe(s, rs->claim_sequence)) {
        s->verified_stamp = rs->claim_stamp < verified ? rs->claim_stamp : verified;
        rs->claim_stamp = 0;
    }
    if (rs->claim_stamp != 0 || verified == s->verified_stamp) return;
    rs->claim_stamp = verified;
    rs->claim_sequence = engine_written(s->engine);
}

/* Note the floor, and raise it once the note is durable: everything it is about lies before it in
 * the log, so a log that lost its tail never has the one without the other. */
static void floor_raise(struct shard *s, uint64_t stamp, uint64_t now_ms) {
    struct repair_shard *rs = s->repair;
    if (rs->note_stamp != 0) {
        if (!repair_is_safe(s, rs->note_sequence)) return;
        ASSERT(rs->note_stamp >= s->floor_stamp);
        s->floor_stamp = rs->note_stamp;
        rs->note_stamp = 0;
    }
    const bool is_new = stamp > s->floor_stamp && !repair_is_healing(s);
    if (!is_new && !rs->note_due) return;
    if (!is_new) stamp = s->floor_stamp;
    if (!rs->note_due && rs->note_ms != 0 && now_ms < rs->note_ms + FLOOR_NOTE_MS) return;
    uint8_t value[NOTE_VALUE_BYTES];
    put_u64_le(value, stamp);
    const struct status st = repair_note_write(s, BYTES_LIT(NOTE_FLOOR),
                                               bytes_of(value, sizeof value), &rs->note_sequence);
    if (!status_ok(st)) return; /* the next tick tries again */
    rs->note_stamp = stamp;
    rs->note_ms = now_ms;
    rs->note_due = false;
}

void repair_floor_note_again(struct shard *s) {
    ASSERT(s->repair != NULL);
    s->repair->note_due = s->floor_stamp != 0 || s->repair->note_stamp != 0;
}

static void set_gc_floor(struct shard *s) {
    const uint64_t stamp = s->repair->forgotten_stamp;
    if (stamp == 0 || s->repair->gains) return;
    engine_limit_expiry(s->engine, hlc_ms(stamp));
    engine_set_gc_floor(s->engine, (struct ballot){ stamp, UINT32_MAX, UINT32_MAX });
}

/* Slots came to this shard, and all it keeps has been compared since. */
static void end_gains(struct shard *s) {
    struct repair_shard *rs = s->repair;
    if (!rs->gains || rs->gaining || s->verified_stamp < rs->gained_stamp) return;
    rs->gains = false;
    if (!repair_is_healing(s)) set_gc_floor(s);
}

static void forget(struct shard *s, uint64_t stamp) {
    if (MUTANT("drop_tombstone_early")) stamp = s->hlc.last;
    if (stamp <= s->repair->forgotten_stamp) return;
    if (repair_is_healing(s) || s->repair->gains) return; /* what is brought may be as old as any */
    s->repair->forgotten_stamp = stamp;
    set_gc_floor(s);
}

/* ---- filled ---- */

/* One that gave up damaged tables abstains as a new one does, but the cluster is not new. */
static bool is_new(const struct peer *p) {
    bool spoke = false;
    for (uint32_t i = 0; i < p->shards; i++) {
        const struct repair *r = p->repairs[i];
        if (r == NULL || r->heard == REPAIR_HEARD_NOTHING) continue;
        if (r->heard == REPAIR_HEARD_DAMAGED) return false;
        spoke = true;
    }
    return spoke;
}

static bool most_are_fresh(const struct shard *s) {
    const struct membership *m = s->members;
    uint32_t fresh = 1;
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        const struct peer *p = s->peers[i];
        if (p == NULL || p->node_id == 0 || !peer_is_alive(s, i)) continue;
        if ((p->fresh || p->met_fresh) && is_new(p)) fresh++;
    }
    return fresh >= membership_majority(m->count);
}

/* What was acknowledged before this shard was opened may rest on what its disk once held, so
 * passes must have covered all of that; later writes come here like to any replica. Where nothing
 * is ever compared nothing can fill it either: a new one then need not wait, one that gave up
 * tables abstains for good. */
static void fill(struct shard *s, const struct lowest *low) {
    uint64_t sequence = 0;
    if (s->filled) return;
    /* Opened under a clock that was ahead: now is late enough too. */
    lower(&s->repair->opened_stamp, hlc_of_ms(s->turn_wall_ms + HLC_SKEW_MS_MAX));
    const bool is_compared = low->filling >= s->repair->opened_stamp || s->repair->keeps_none;
    const bool is_off = s->node->repair_rate == 0;
    if (s->repair->heal != HEAL_NONE) return;
    if (!is_compared && s->repair->damaged) return;
    if (!is_compared && !is_off && !most_are_fresh(s)) return;
    if (!is_off && !status_ok(repair_note_write(s, BYTES_LIT(NOTE_FILLED), BYTES_NONE, &sequence)))
        return;
    s->filled = true;
    set_gc_floor(s);
    const char *why = is_compared ? "compared with all others" : "the cluster is new";
    log_info("shard %u: %s: it answers reads from now on", s->id,
             is_off ? "new, and repair is off" : why);
}

/* ---- every so often ---- */

static void watch_absence(struct shard *s, uint64_t now_ms) {
    if (s->id != 0) return; /* once for the node */
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] == NULL) continue;
        struct repair_member *k = repair_member(s, i);
        if (!k->common) continue;
        if (peer_is_alive(s, i)) {
            k->away_since_ms = 0;
            continue;
        }
        if (k->away_since_ms == 0) k->away_since_ms = now_ms;
        const uint64_t since_ms = k->warned_ms > k->away_since_ms ? k->warned_ms : k->away_since_ms;
        if (now_ms < since_ms + AWAY_WARN_MS) continue;
        k->warned_ms = now_ms;
        log_warn("%s has been away for %llu minutes: until it is back, what is deleted "
                 "keeps taking space",
                 membership_member(s->members, i)->address,
                 (unsigned long long)((now_ms - k->away_since_ms) / 60000));
    }
}

/* What the only member holds is all there is, also for those that come after. */
static void note_filled(struct shard *s) {
    struct repair_shard *rs = s->repair;
    uint64_t sequence = 0;
    ASSERT(s->filled);
    if (status_ok(repair_note_write(s, BYTES_LIT(NOTE_FILLED), BYTES_NONE, &sequence)))
        rs->filled_due = false;
}

void repair_floors_tick(struct shard *s, uint64_t now_ms) {
    struct repair_shard *rs = s->repair;
    ASSERT(rs != NULL);
    ASSERT(s->engine != NULL);
    rs->floors_at_ms = now_ms + FLOORS_EVERY_MS;
    if (s->members->self == MEMBER_NONE) return; /* a member of nothing proves nothing */
    if (rs->filled_due) note_filled(s);
    left_behind_tick(s);
    repair_heal_tick(s);
    struct lowest low = lowest_of_all(s);
    /* Without a pair everything that can be known of is held by all that keep it. */
    const uint64_t settled = repair_below_stamp(s, REPAIR_SETTLE_MS);
    lower(&low.verified, settled == 0 ? 0 : settled - 1);
    /* Who keeps nothing yet must not refuse what the others of its slots will take. */
    if (rs->keeps_none || s->only_joins) low.verified = 0;
    lower(&low.filling, settled == 0 ? 0 : settled - 1);
    claim(s, low.verified);
    end_gains(s);
    fill(s, &low);
    floor_raise(s, s->verified_stamp < low.heard ? s->verified_stamp : low.heard, now_ms);
    forget(s, low.floor < s->floor_stamp ? low.floor : s->floor_stamp);
    watch_absence(s, now_ms);
}

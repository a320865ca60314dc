/* repair_heal.c - faulty is not absent (R12): a shard with damaged tables becomes one that is not
 * filled, gives them up, and is filled again by passes over all that others hold.
 *
 *   MARK     the keyspace of the own notes is truncated. That is an edit of the manifest, so it is
 *            synced in every mode of the log and comes before the next step's; it takes back
 *            "filled", and the truncation floor says ever after that this data directory is not
 *            new. From now on this shard abstains
 *   DROP     the engine takes the tables out of its version that are damaged still when they are
 *            read again, and keeps what is whole in them (engine_drop_damaged): others may not
 *            have it
 *   DROPPED  what pairs had proved is forgotten, here at once and by the others when they read
 *            what is sent to them next; passes that began before prove nothing. Then it waits,
 *            as a new one does, to be filled
 *
 * A crash before MARK is durable leaves a filled shard whose damage is found again; one between
 * MARK and DROP a shard that abstains and whose damage is found again; a later one a shard that
 * abstains and is filled.
 *
 * It begins when all members that keep some of the same slots are there: without them it could
 * not be filled, and what is whole in the tables is still of use. One that was given up is not
 * waited for: it loses its slots only by a change of the ring, and that waits for this shard, which
 * cannot be compared while it is damaged. Where the others of a slot were all given up, the
 * tables are kept: nobody else has what is whole in them.
 *
 * What is given up may have hidden older versions, which now show. Nobody sees them, as it is not
 * filled. A pass with a filled replica tells them from what belongs: at or below its floor that
 * one holds all there is (R9), so what it lacks there was deleted, and is hidden again under
 * a tombstone just above it; and what it has is taken here in spite of the floor. If all replicas
 * of a key gave up tables, what any of them still holds counts. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "shard/hint.h"
#include "shard/repair_internal.h"

static const uint32_t heal_next[HEAL_STATES] = {
    [HEAL_NONE] = 1u << HEAL_MARK,
    [HEAL_MARK] = 1u << HEAL_DROP,
    [HEAL_DROP] = 1u << HEAL_DROPPED,
    [HEAL_DROPPED] = 1u << HEAL_NONE,
};

static void heal_move(struct repair_shard *rs, enum repair_heal next) {
    ASSERT(next < HEAL_STATES);
    ASSERT((heal_next[rs->heal] & 1u << next) != 0);
    rs->heal = next;
}

/* ---- what others ask ---- */

bool repair_can_heal(const struct shard *s) {
    if (s->node->repair_rate == 0) return false;
    for (uint32_t i = 0; i < s->repair->members_count; i++) {
        if (s->repair->members[i].common) return true;
    }
    return false;
}

bool repair_was_damaged(const struct shard *s) {
    return !ballot_is_zero(engine_floor(s->engine, SYSTEM_KEYSPACE));
}

bool repair_is_healing(const struct shard *s) {
    return s->repair != NULL && s->repair->damaged && !s->filled;
}

bool repair_has_filled_replica(const struct shard *s, uint32_t slot) {
    const struct membership *m = s->members;
    const struct slot_list *list = membership_list(m, slot);
    ASSERT(slot < RING_SLOTS);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->members[i] == m->self || repair_is_given_up(s, list->members[i])) continue;
        const struct peer *p = s->peers[list->members[i]];
        if (p == NULL) return true; /* not known yet */
        const struct repair *r = p->shards == 0 ? NULL : p->repairs[slot % p->shards];
        if (r == NULL) return true;
        if (r->heard == REPAIR_HEARD_NOTHING || r->heard == REPAIR_HEARD_FILLED) return true;
    }
    return false;
}

/* Whether the slot is on its way, and this is one of its old replicas. */
static bool comes_from_list(const struct shard *s, uint32_t slot, uint32_t member) {
    const struct membership *m = s->members;
    return m->slots.phases[slot] == SLOT_JOINT && membership_place(m, slot, member) >= 0;
}

bool repair_may_restore(const struct shard *s, const struct link *l, const struct record *record) {
    if (s->repair == NULL || l->peer == NULL || !catch_up_may_compare(s)) return false;
    const uint32_t slot = crc16_slot(ikey_key(record->ikey));
    const uint32_t from = l->peer->member;
    const bool moves = comes_from_list(s, slot, from);
    if (!repair_is_healing(s) && !moves) return false;
    if (record_is_absent(record, s->turn_wall_ms)) return true; /* it brings nothing back */
    const struct repair *r = l->peer->repairs[l->remote_shard];
    const enum repair_heard heard = r == NULL ? REPAIR_HEARD_NOTHING : r->heard;
    if (heard == REPAIR_HEARD_FILLED && catch_up_knows(s, slot, from)) return true;
    if (moves && heard == REPAIR_HEARD_NEW) return true; /* it never lost anything */
    return heard != REPAIR_HEARD_NOTHING && !repair_has_filled_replica(s, slot);
}

struct record repair_tombstone_above(struct bytes ikey, struct ballot version) {
    struct ballot above = version;
    above.boot++;
    if (above.boot == 0) above.node++;
    if (above.boot == 0 && above.node == 0) above.stamp++;
    ASSERT(ballot_compare(above, version) > 0);
    return (struct record){ .ikey = ikey, .ballot = above, .flags = RECORD_TOMBSTONE };
}

/* ---- steps ---- */

static bool all_are_there(struct shard *s) {
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] == NULL || !repair_member(s, i)->common) continue;
        if (!repair_is_given_up(s, i) && !peer_is_alive(s, i)) return false;
    }
    return true;
}

/* Whether this shard is of the slot's list, and the others there were given up. */
static bool is_last_of(const struct shard *s, uint32_t slot) {
    const struct slot_list *list = membership_list(s->members, slot);
    if (membership_place(s->members, slot, s->members->self) < 0) return false;
    for (uint32_t i = 0; i < list->count; i++) {
        const uint32_t member = list->members[i];
        if (member != s->members->self && !repair_is_given_up(s, member)) return false;
    }
    return true;
}

bool repair_can_be_filled(struct shard *s) {
    ASSERT(s->repair != NULL);
    if (!all_are_there(s)) return false;
    for (uint32_t slot = s->id; slot < RING_SLOTS; slot += s->node->shards_count) {
        if (is_last_of(s, slot)) return false;
    }
    return true;
}

static void tables_dropped(void *user, struct status st) {
    struct shard *s = user;
    if (s->repair == NULL || !status_ok(st)) return; /* the engine is being closed */
    heal_move(s->repair, HEAL_DROPPED);
}

static void mark_durable(void *user, struct status st) {
    struct shard *s = user;
    if (s->repair == NULL || !status_ok(st)) return; /* the engine is being closed */
    ASSERT(!s->filled);
    heal_move(s->repair, HEAL_DROP);
    engine_drop_damaged(s->engine, tables_dropped, s);
}

static void mark(struct shard *s) {
    struct repair_shard *rs = s->repair;
    const struct ballot floor = { .stamp = shard_stamp(s), .node = UINT32_MAX, .boot = UINT32_MAX };
    log_error("shard %u: it gives up its damaged tables and abstains from reads until the other "
              "replicas have filled it again",
              s->id);
    s->filled = false;
    rs->damaged = true;
    rs->waits_told = false;
    heal_move(rs, HEAL_MARK);
    engine_truncate(s->engine, SYSTEM_KEYSPACE, floor, mark_durable, s);
    repair_floor_note_again(s);
}

/* Who was greeted before may not know yet that this shard is not filled. */
static void tell_to_forget(struct shard *s) {
    for (struct list *n = s->links.next, *next; n != &s->links; n = next) {
        struct link *l = LIST_ENTRY(n, struct link, all);
        next = n->next;
        if (l->peer == NULL) continue;
        if (l->state == LINK_UP)
            link_ping(l, PEER_PING_FORGET);
        else
            link_fail(l, NULL);
    }
}

static void forget_proofs(struct shard *s) {
    struct repair_shard *rs = s->repair;
    heal_move(rs, HEAL_NONE);
    rs->opened_stamp = hlc_of_ms(s->turn_wall_ms + HLC_SKEW_MS_MAX);
    s->verified_stamp = 0;
    for (uint32_t i = 0; i < s->members->places; i++) {
        struct peer *p = s->peers[i];
        for (uint32_t k = 0; p != NULL && k < SHARDS_MAX; k++) {
            if (p->repairs[k] == NULL) continue;
            repair_forget(p->repairs[k]);
        }
    }
    tell_to_forget(s);
}

void repair_heal_tick(struct shard *s) {
    struct repair_shard *rs = s->repair;
    ASSERT(rs != NULL);
    ASSERT(s->engine != NULL);
    if (rs->heal == HEAL_DROPPED) forget_proofs(s);
    if (rs->heal != HEAL_NONE || !engine_is_damaged(s->engine) || !repair_can_heal(s)) return;
    if (repair_can_be_filled(s)) {
        mark(s);
    } else if (!rs->waits_told) {
        rs->waits_told = true;
        log_warn("shard %u: its damaged tables are kept until all members that can fill it again "
                 "are there",
                 s->id);
    }
}

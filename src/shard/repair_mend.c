/* repair_mend.c - one page's differences: each key is read here, then sent or fetched. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "shard/repair_internal.h"
#include "shard/replica.h"

/* Differences begun before others get their turn. */
#define MEND_SLICE_ITEMS 64u
/* Memory an item keeps for the next key. */
#define ITEM_KEEP_BYTES 1024u

/* ---- items ---- */

#define ITEMS_MAX (REPAIR_ITEMS_MAX + CATCH_UP_ITEMS_MAX)

static void items_make(struct repair_shard *rs, uint32_t count) {
    ASSERT(count <= ITEMS_MAX);
    for (; rs->items_made < count; rs->items_made++) {
        struct repair_item *item = &rs->items[rs->items_made];
        buffer_init(&item->ikey, IKEY_BYTES_MAX);
        list_append(&rs->items_free, &item->link);
    }
}

void repair_items_create(struct repair_shard *rs) {
    rs->items = mem_alloc_zeroed(ITEMS_MAX * sizeof *rs->items);
    list_init(&rs->items_free);
    items_make(rs, REPAIR_ITEMS_MAX);
}

void repair_items_extend(struct repair_shard *rs) {
    items_make(rs, ITEMS_MAX);
}

static uint32_t *used_by(struct repair_shard *rs, const struct repair *r) {
    return r->catches ? &rs->items_catching : &rs->items_mending;
}

/* Whether a further difference may be begun with. */
static bool may_take(struct shard *s, const struct repair *r) {
    struct repair_shard *rs = s->repair;
    if (list_is_empty(&rs->items_free)) return false;
    if (!r->catches) return rs->items_mending < REPAIR_ITEMS_MAX;
    if (rs->items_catching >= catch_up_window(s) || !pace_may_send(&r->pace)) return false;
    if (catch_up_may_move(s)) return true;
    rs->move_waits = true;
    return false;
}

/* It is on its way, with so many bytes or for about so many. */
static void item_sent(struct shard *s, struct repair_item *item, uint64_t bytes) {
    ASSERT(item->sent_bytes == 0);
    item->sent_bytes = bytes;
    item->sent_ns = s->turn_ns;
    pace_sent(&item->repair->pace, bytes);
}

/* What was asked has been answered, or will not be. */
static void item_came_back(struct shard *s, struct repair_item *item) {
    if (item->sent_bytes > 0)
        pace_answered(&item->repair->pace, item->sent_bytes, item->sent_ns, s->turn_ns);
    item->sent_bytes = 0;
    item->sent = NULL;
}

static struct repair_item *item_take(struct shard *s, struct repair *r) {
    struct list *node = list_take_first(&s->repair->items_free);
    if (node == NULL) return NULL;
    struct repair_item *item = LIST_ENTRY(node, struct repair_item, link);
    ASSERT(item->repair == NULL && item->sent == NULL);
    item->repair = r;
    item->lookup = (struct lookup){ .owner = item, .kind = LOOKUP_REPAIR };
    list_init(&item->lookup.link);
    buffer_reset(&item->ikey);
    item->mine = (struct ballot){ 0 };
    item->leftover = false;
    item->restamps = false;
    r->items_used++;
    (*used_by(s->repair, r))++;
    return item;
}

static void item_free(struct shard *s, struct repair_item *item) {
    ASSERT(item->repair != NULL && item->sent == NULL);
    ASSERT(item->repair->items_used > 0);
    lookup_end(s, &item->lookup);
    uint32_t *used = used_by(s->repair, item->repair);
    ASSERT(*used > 0);
    (*used)--;
    item->repair->items_used--;
    item->repair = NULL;
    buffer_shrink(&item->ikey, ITEM_KEEP_BYTES);
    list_append(&s->repair->items_free, &item->link);
}

void repair_items_destroy(struct shard *s) {
    for (uint32_t i = 0; i < s->repair->items_made; i++) {
        struct repair_item *item = &s->repair->items[i];
        if (item->sent != NULL) sent_close(s, item->sent);
        item_came_back(s, item);
        if (item->repair != NULL) {
            list_remove(&item->lookup.link); /* its block may have been read just now */
            item_free(s, item);
        }
        buffer_deinit(&item->ikey);
    }
    mem_free(s->repair->items);
    s->repair->items = NULL;
}

bool repair_items_are_idle(const struct repair_shard *rs) {
    for (uint32_t i = 0; i < rs->items_made; i++) {
        if (rs->items[i].repair != NULL && rs->items[i].lookup.fetching) return false;
    }
    return true;
}

/* ---- what both say ---- */

static void mine_take(struct repair *r) {
    if (!peer_versions_next(&r->mine, &r->mine_next)) r->mine_next.ikey = BYTES_NONE;
    /* The other's list does not reach so far: the next page begins there. */
    const struct bytes end = buffer_bytes(&r->end);
    if (end.len > 0 && bytes_compare(r->mine_next.ikey, end) > 0) {
        r->mine = BYTES_NONE;
        r->mine_next.ikey = BYTES_NONE;
    }
}

static void theirs_take(struct repair *r) {
    if (!peer_versions_next(&r->theirs, &r->theirs_next)) r->theirs_next.ikey = BYTES_NONE;
}

/* A key that should not be in the list would be compared, and asked for, again and again. */
static bool list_is_ours(const struct shard *s, const struct repair *r, struct bytes list) {
    const struct bytes start = buffer_bytes(&r->start);
    const struct bytes end = buffer_bytes(&r->end);
    struct peer_version v;
    while (peer_versions_next(&list, &v)) {
        if (v.ikey.len > 2 + KEY_BYTES_MAX || repair_is_past_users(v.ikey)) return false;
        if (bytes_compare(v.ikey, start) <= 0) return false;
        if (end.len > 0 && bytes_compare(v.ikey, end) > 0) return false;
        if (!replica_keeps(s, crc16_slot(ikey_key(v.ikey)))) return false;
        if (v.version.stamp >= r->below_stamp) return false;
    }
    return true;
}

bool repair_mend_begin(struct shard *s, struct repair *r, const struct peer_versions *m) {
    ASSERT(r->state == REPAIR_ASK);
    ASSERT(r->items_used == 0 || r->catches);
    const struct bytes end = buffer_bytes(&r->end);
    if (m->last.len > 0) {
        if (bytes_compare(m->last, buffer_bytes(&r->start)) <= 0) return false;
        if (end.len > 0 && bytes_compare(m->last, end) > 0) return false;
        if (repair_is_past_users(m->last)) return false;
    }
    if (!list_is_ours(s, r, m->list)) return false;
    if (m->last.len > 0) {
        buffer_reset(&r->end);
        buffer_append(&r->end, m->last);
    }
    if (r->blind) return true; /* nothing can be said about what is here */
    buffer_reset(&r->list);
    buffer_append(&r->list, m->list);
    ASSERT(!r->list.overflowed);
    r->mine = buffer_bytes(&r->page);
    r->theirs = buffer_bytes(&r->list);
    mine_take(r);
    theirs_take(r);
    return true;
}

/* The next key in which the page and the list differ, with the other's version or zero. The view
 * holds while the page is mended. */
static bool difference_next(struct repair *r, struct peer_version *ret_difference) {
    for (;;) {
        const struct peer_version mine = r->mine_next;
        const struct peer_version theirs = r->theirs_next;
        if (mine.ikey.len == 0 && theirs.ikey.len == 0) return false;
        int order = mine.ikey.len == 0 ? 1 : -1;
        if (mine.ikey.len > 0 && theirs.ikey.len > 0) order = bytes_compare(mine.ikey, theirs.ikey);
        if (order <= 0) mine_take(r);
        if (order >= 0) theirs_take(r);
        if (order == 0 && ballot_compare(mine.version, theirs.version) == 0) continue;
        *ret_difference = order < 0 ? (struct peer_version){ .ikey = mine.ikey } : theirs;
        return true;
    }
}

/* ---- mending one ---- */

/* `r` NULL: fetch. False: nothing can be asked now. */
static bool item_ask(struct shard *s, struct repair_item *item, const struct record *r) {
    struct repair *pair = item->repair;
    const uint32_t place = (uint32_t)(item - s->repair->items);
    struct link *l = link_of_shard(s, pair->peer->member, pair->remote_shard);
    if (l == NULL || !link_has_room(l)) return false;
    /* One that is given up makes a whole pass be made again. */
    const uint32_t wait_ms = pair->catches ? REPAIR_ANSWER_MS : s->node->quorum_wait_ms;
    struct sent *q = sent_open(s, l, SENT_RECORD, pair, place, wait_ms);
    if (q == NULL) return false;
    item->sent = q;
    item->fetches = r == NULL;
    if (r != NULL && !record_is_absent(r, s->turn_wall_ms)) item->mine = r->ballot;
    const struct bytes ikey = buffer_bytes(&item->ikey);
    const uint64_t epoch = replica_epoch(s, ikey);
    if (r == NULL)
        replica_ask(l, PEER_FLAG_REPAIR, sent_id(s, q), epoch, ikey);
    else
        replica_send(l, PEER_FLAG_REPAIR, sent_id(s, q), epoch, r);
    if (pair->catches) item_sent(s, item, r == NULL ? catch_up_bytes_usual(s) : catch_up_bytes(r));
    if (pair->catches) catch_up_spend(s);
    if (pair->catches && r != NULL) catch_up_settle(s, catch_up_bytes(r));
    if (r != NULL) catch_up_count_sent(s, r);
    return true;
}

/* ---- what is known of a key's slot ---- */

static uint32_t slot_of(const struct repair_item *item) {
    return crc16_slot(ikey_key(buffer_bytes(&item->ikey)));
}

/* Whether this shard may be taken at its word on the key. */
static bool i_know(const struct shard *s, const struct repair_item *item) {
    return s->filled && catch_up_knows(s, slot_of(item), s->members->self);
}

/* Whether the other one may. */
static bool they_know(const struct shard *s, const struct repair_item *item) {
    const struct repair *r = item->repair;
    if (r->heard != REPAIR_HEARD_FILLED) return false;
    return catch_up_knows(s, slot_of(item), r->peer->member);
}

static bool is_below_floors(const struct shard *s, struct ballot theirs) {
    return theirs.stamp <= s->floor_stamp || theirs.stamp <= s->repair->forgotten_stamp;
}

/* What the other holds below the floors here is settled: it cannot be taken (R9), but by one that
 * gave up tables, or while slots are on their way. */
static bool is_settled(const struct shard *s, const struct repair_item *item) {
    const struct bytes ikey = buffer_bytes(&item->ikey);
    const struct ballot theirs = item->theirs;
    const bool takes_all = repair_is_healing(s) || item->repair->catches;
    if (!takes_all && is_below_floors(s, theirs)) return true;
    return ballot_compare(theirs, engine_floor(s->engine, ikey_keyspace(ikey))) <= 0;
}

/* Of two that are not filled, one of which gave up tables, neither knows what was deleted below
 * its floor. A filled replica does and sets both right; until then the pass proves nothing. */
static bool is_for_others(const struct shard *s, const struct repair_item *item,
                          const struct record *newer) {
    const struct repair *r = item->repair;
    const uint64_t stamp = newer->ballot.stamp;
    if (i_know(s, item) || they_know(s, item)) return false;
    if (!repair_is_healing(s) && r->heard != REPAIR_HEARD_DAMAGED) return false;
    if (stamp > s->floor_stamp && stamp > r->heard_floor) return false;
    if (record_is_absent(newer, s->turn_wall_ms)) return false; /* it brings nothing back */
    return repair_has_filled_replica(s, crc16_slot(ikey_key(buffer_bytes(&item->ikey))));
}

/* The other gave up tables, or had the slot at an earlier time, and there is nothing here of what it
 * holds: if that is a value it was hidden by a tombstone which all others have forgotten. */
static bool is_leftover_there(const struct shard *s, const struct repair_item *item) {
    const struct repair *r = item->repair;
    const bool knows = catch_up_knows(s, slot_of(item), r->peer->member);
    if (!i_know(s, item)) return false;
    if (r->heard != REPAIR_HEARD_DAMAGED && knows) return false;
    return is_below_floors(s, item->theirs);
}

/* The same the other way round: this shard had the slot at an earlier time, and the other one, which
 * keeps it, did not list the key. */
static bool is_leftover_of_mine(const struct shard *s, const struct repair_item *item,
                                const struct record *own) {
    const struct repair *r = item->repair;
    if (!r->catches || !ballot_is_zero(item->theirs) || !they_know(s, item)) return false;
    if (catch_up_knows(s, slot_of(item), s->members->self)) return false;
    return own->ballot.stamp <= r->floor_passing;
}

/* Hide this version here; its tombstone is to be had nowhere. */
static bool hide(struct shard *s, struct repair_item *item, struct ballot version) {
    uint64_t sequence = 0;
    const struct record r = repair_tombstone_above(buffer_bytes(&item->ikey), version);
    if (replica_restore(s, &r, item->repair->peer, &sequence) != PEER_ACCEPT_OK) return false;
    if (sequence > item->repair->sequence) item->repair->sequence = sequence;
    return true;
}

/* Whether the other lacks what is here, and should not. */
static bool is_to_send(const struct shard *s, const struct repair_item *item,
                       const struct record *own) {
    const struct repair *r = item->repair;
    if (own->ballot.stamp >= r->below_stamp) return false; /* it is under way to them */
    const bool forgettable =
        own->ballot.stamp <= r->floor_stamp && record_is_absent(own, s->turn_wall_ms);
    return !forgettable || !ballot_is_zero(item->theirs);
}

static bool overwrites(const struct repair_item *item) {
    if (!item->repair->catches || ballot_is_zero(item->theirs)) return false;
    return MUTANT("transfer_overwrites_newer");
}

/* True: a question is out. */
static bool item_decide(struct shard *s, struct repair_item *item, const struct record *own) {
    struct repair *r = item->repair;
    const int order = own == NULL ? (ballot_is_zero(item->theirs) ? 0 : -1)
                                  : ballot_compare(own->ballot, item->theirs);
    bool asked = true, wanted = true;
    item->leftover = order < 0 && own == NULL && is_leftover_there(s, item);
    if (order > 0 && is_leftover_of_mine(s, item, own)) {
        wanted = false;
        if (!record_is_absent(own, s->turn_wall_ms)) asked = hide(s, item, own->ballot);
    } else if (order > 0 && is_for_others(s, item, own)) {
        asked = false;
    } else if (order > 0 && overwrites(item)) {
        item->restamps = true;
        asked = item_ask(s, item, NULL);
    } else if (item->leftover) {
        asked = item_ask(s, item, NULL);
    } else if (order > 0 && is_to_send(s, item, own)) {
        asked = item_ask(s, item, own);
    } else if (order < 0 && own != NULL && MUTANT("repair_keeps_older")) {
        struct record older = *own;
        older.ballot = (struct ballot){ .stamp = shard_stamp(s),
                                        .node = s->node->node_id,
                                        .boot = s->node->boot_count };
        asked = item_ask(s, item, &older);
    } else if (order < 0 && !is_settled(s, item)) {
        asked = item_ask(s, item, NULL);
    } else {
        wanted = false;
    }
    if (!asked) r->unclean = true;
    return asked && wanted;
}

/* A damaged key here proves nothing, and what is here cannot be told (R12). */
static void item_try(struct shard *s, struct repair_item *item) {
    ASSERT(item->repair != NULL && item->sent == NULL);
    const struct status st = lookup_begin(s, &item->lookup, buffer_bytes(&item->ikey));
    if (st.code == ST_WAIT) return;
    bool asked = false;
    if (status_ok(st))
        asked = item_decide(s, item, &item->lookup.read.record);
    else if (st.code == ST_NOT_FOUND)
        asked = item_decide(s, item, NULL);
    else
        item->repair->unclean = true;
    if (asked)
        lookup_end(s, &item->lookup);
    else
        item_free(s, item);
}

void repair_found(struct shard *s, struct lookup *l) {
    struct repair_item *item = l->owner;
    ASSERT(item->repair != NULL);
    ASSERT(!l->fetching);
    if (s->stop_deadline_ms != 0 || item->repair->gone) {
        item->repair->unclean = true;
        item_free(s, item);
        return;
    }
    item_try(s, item);
}

bool repair_mend(struct shard *s, struct repair *r, struct link *l) {
    ASSERT(r->state == REPAIR_MEND);
    struct peer_version difference;
    for (uint32_t i = 0; i < MEND_SLICE_ITEMS; i++) {
        if (r->mine_next.ikey.len == 0 && r->theirs_next.ikey.len == 0) {
            /* Those of a catch-up pass need not be waited for before its end. */
            if (r->items_used > 0 && !r->catches) return false;
            repair_page_done(s, r);
            return true;
        }
        if (!may_take(s, r) || !link_has_room(l)) return false;
        if (!difference_next(r, &difference)) continue;
        struct repair_item *item = item_take(s, r);
        buffer_append(&item->ikey, difference.ikey);
        item->theirs = difference.version;
        item_try(s, item);
    }
    return true;
}

/* ---- answers ---- */

static bool sent_ok(struct shard *s, const struct repair_item *item, const struct peer_frame *f) {
    struct peer_accepted m;
    if (f->type != PEER_ACCEPTED || !status_ok(peer_accepted_decode(f->payload, &m))) return false;
    if (m.status == PEER_ACCEPT_FLOOR) {
        /* Settled there, unless one of the two gave up tables and does not know, or the other one
         * only gets the slot. */
        if (!catch_up_knows(s, slot_of(item), item->repair->peer->member)) return false;
        /* It is deleted there, and still to be hidden here: by the next pass, which knows that floor. */
        const bool has_nothing = item->repair->catches && ballot_is_zero(item->theirs);
        if (has_nothing && !catch_up_knows(s, slot_of(item), s->members->self)) return false;
        if (item->repair->heard == REPAIR_HEARD_DAMAGED) return false;
        return !repair_is_healing(s) || ballot_is_zero(item->mine);
    }
    if (m.status != PEER_ACCEPT_OK) return false;
    s->figures.repair_records++;
    s->repair->sent++;
    return true;
}

/* Tables were given up here, and what was sent is refused by one that is filled: it is held here
 * alone, at or below its floor, and so was deleted (R9). */
static bool is_leftover_here(const struct shard *s, const struct repair_item *item,
                             const struct peer_frame *f) {
    struct peer_accepted m;
    if (item->fetches || ballot_is_zero(item->mine) || !repair_is_healing(s)) return false;
    if (!they_know(s, item) || !ballot_is_zero(item->theirs)) return false;
    if (f->type != PEER_ACCEPTED || !status_ok(peer_accepted_decode(f->payload, &m))) return false;
    return m.status == PEER_ACCEPT_FLOOR;
}

/* What is left over there is a value, and still the version that was listed. */
static bool is_value_to_hide(const struct shard *s, const struct repair_item *item,
                             const struct peer_frame *f) {
    struct peer_answer m;
    if (!item->leftover || f->type != PEER_ANSWER) return false;
    if (!status_ok(peer_answer_decode(f->payload, &m)) || m.status != PEER_ANSWER_FOUND)
        return false;
    const struct record r = replica_record(&m.record, buffer_bytes(&item->ikey));
    if (ballot_compare(r.ballot, item->theirs) != 0) return false;
    return !record_is_absent(&r, s->turn_wall_ms);
}

static bool fetched_ok(struct shard *s, struct repair_item *item, const struct peer_frame *f) {
    struct peer_answer m;
    if (f->type != PEER_ANSWER || !status_ok(peer_answer_decode(f->payload, &m))) return false;
    if (m.status == PEER_ANSWER_NOTHING && !ballot_is_zero(item->mine))
        return hide(s, item, item->mine);
    if (m.status == PEER_ANSWER_NOTHING) return true; /* forgotten there meanwhile */
    if (m.status != PEER_ANSWER_FOUND || m.record.value.len != m.value_len) return false;
    struct record r = replica_record(&m.record, buffer_bytes(&item->ikey));
    if (item->restamps) {
        r.ballot.stamp = shard_stamp(s);
        r.ballot.node = s->node->node_id;
    }
    uint64_t sequence = 0;
    const struct peer *from = item->repair->peer;
    const struct link *l = link_of_shard(s, from->member, item->repair->remote_shard);
    if (item->leftover && record_is_absent(&r, s->turn_wall_ms)) return true;
    if (item->leftover || is_for_others(s, item, &r)) return false;
    const bool restores = l != NULL && repair_may_restore(s, l, &r);
    const enum peer_accept_status st =
        restores ? replica_restore(s, &r, from, &sequence) : replica_accept(s, &r, from, &sequence);
    if (item->repair->catches) catch_up_settle(s, catch_up_bytes(&r));
    if (st == PEER_ACCEPT_FLOOR)
        return !repair_is_healing(s) && catch_up_knows(s, slot_of(item), s->members->self);
    if (st != PEER_ACCEPT_OK) return false;
    if (sequence > item->repair->sequence) item->repair->sequence = sequence;
    s->figures.repair_records++;
    s->figures.records_taken[RECORD_CAUSE_REPAIR]++;
    catch_up_count_taken(s, &r);
    s->repair->fetched++;
    return true;
}

void repair_item_answered(struct shard *s, struct repair_item *item, const struct peer_frame *f) {
    ASSERT(item->repair != NULL);
    ASSERT(item->sent != NULL);
    item_came_back(s, item);
    if (is_leftover_here(s, item, f) && item_ask(s, item, NULL)) return;
    if (is_value_to_hide(s, item, f)) {
        const struct record hides = repair_tombstone_above(buffer_bytes(&item->ikey), item->theirs);
        item->leftover = false;
        if (item_ask(s, item, &hides)) return;
    }
    const bool ok = item->fetches ? fetched_ok(s, item, f) : sent_ok(s, item, f);
    if (!ok) item->repair->unclean = true;
    item_free(s, item);
}

void repair_item_failed(struct shard *s, struct repair_item *item) {
    ASSERT(item->repair != NULL);
    ASSERT(item->sent != NULL);
    item_came_back(s, item);
    item->repair->unclean = true;
    item_free(s, item);
}

/* repair.c - passes: the side that asks. */
#include "shard/repair.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "shard/hint.h"
#include "shard/repair_internal.h"

#define TO(state) (1u << (state))
/* A pass is followed by a pause of so many times its length. */
#define REPAIR_PAUSE_US_A_RECORD 50u
#define REPAIR_LOG_MS 60000u
#define TOKENS_A_RECORD 1000

static const uint32_t repair_next[REPAIR_STATES] = {
    [REPAIR_IDLE] = TO(REPAIR_WALK),
    [REPAIR_WALK] = TO(REPAIR_ASK) | TO(REPAIR_IDLE),
    [REPAIR_ASK] = TO(REPAIR_MEND) | TO(REPAIR_WALK) | TO(REPAIR_SYNC) | TO(REPAIR_IDLE),
    [REPAIR_MEND] = TO(REPAIR_WALK) | TO(REPAIR_SYNC) | TO(REPAIR_IDLE),
    [REPAIR_SYNC] = TO(REPAIR_TELL) | TO(REPAIR_IDLE),
    [REPAIR_TELL] = TO(REPAIR_IDLE),
};

/* Both lie behind every user's key: a range without keys, which carries the stamps alone. */
static const uint8_t tell_start[] = { RESERVED_KEYSPACES >> 8, RESERVED_KEYSPACES & 0xff, 0 };
static const uint8_t tell_end[] = { RESERVED_KEYSPACES >> 8, RESERVED_KEYSPACES & 0xff, 1 };

static void repair_move(struct repair *r, enum repair_state next) {
    ASSERT(next < REPAIR_STATES);
    ASSERT((repair_next[r->state] & TO(next)) != 0);
    r->state = next;
}

/* ---- what is compared ---- */

bool repair_is_past_users(struct bytes ikey) {
    return ikey_keyspace(ikey) >= RESERVED_KEYSPACES;
}

bool repair_counts(const struct shard *s, const struct record *r, const struct repair_rule *rule) {
    const struct membership *m = s->members;
    ASSERT(!repair_is_past_users(r->ikey));
    ASSERT(rule->slots_modulo > 0);
    ASSERT(rule->joint == 0 || rule->floor_stamp == 0);
    if (r->ballot.stamp >= rule->below_stamp) return false;
    if (r->ballot.stamp <= rule->floor_stamp && record_is_absent(r, s->turn_wall_ms)) return false;
    const uint32_t slot = crc16_slot(ikey_key(r->ikey));
    if (slot % s->node->shards_count != s->id) return false;
    if (slot % rule->slots_modulo != rule->slots_rest) return false;
    if (!membership_keeps(m, slot, m->self) || !membership_keeps(m, slot, rule->member))
        return false;
    return catch_up_compares(s, slot, rule->member, rule->joint != 0);
}

uint64_t repair_below_stamp(const struct shard *s, uint32_t settle_ms) {
    return s->turn_wall_ms <= settle_ms ? 0 : hlc_of_ms(s->turn_wall_ms - settle_ms);
}

/* ---- the rate ---- */

static int64_t rate_of(const struct shard *s) {
    const uint64_t rate = s->node->repair_rate / s->node->shards_count;
    if (s->node->repair_rate == 0) return 0;
    return rate == 0 ? 1 : rate > INT32_MAX ? INT32_MAX : (int64_t)rate;
}

/* One second's worth is what may be saved up, or owed. */
void repair_spend(struct shard *s, uint32_t records) {
    struct repair_shard *rs = s->repair;
    const int64_t debt_max = rate_of(s) * TOKENS_A_RECORD;
    rs->tokens -= (int64_t)records * TOKENS_A_RECORD;
    if (rs->tokens < -debt_max) rs->tokens = -debt_max;
}

static void tokens_raise(struct shard *s, uint64_t now_ms) {
    struct repair_shard *rs = s->repair;
    const uint64_t passed_ms = now_ms - rs->tokens_ms;
    const int64_t rate = rate_of(s);
    rs->tokens_ms = now_ms;
    rs->tokens += rate * (int64_t)(passed_ms > 1000 ? 1000 : passed_ms);
    if (rs->tokens > rate * TOKENS_A_RECORD) rs->tokens = rate * TOKENS_A_RECORD;
}

/* ---- pairs ---- */

static struct repair *repair_create(struct shard *s, struct peer *p, uint16_t remote_shard) {
    struct repair *r = mem_alloc_zeroed(sizeof *r);
    r->peer = p;
    r->remote_shard = remote_shard;
    r->gained_stamp = UINT64_MAX;
    list_init(&r->link);
    list_init(&r->active);
    range_walk_init(&r->walk, s);
    buffer_init(&r->filled_start, IKEY_BYTES_MAX);
    buffer_init(&r->filled_end, IKEY_BYTES_MAX);
    buffer_init(&r->begin, IKEY_BYTES_MAX);
    buffer_init(&r->start, IKEY_BYTES_MAX);
    buffer_init(&r->end, IKEY_BYTES_MAX);
    buffer_init(&r->page, REPAIR_PAGE_BYTES + 2 * IKEY_BYTES_MAX);
    buffer_init(&r->list, PEER_PAYLOAD_BYTES_MAX);
    return r;
}

static void repair_destroy(struct shard *s, struct repair *r) {
    ASSERT(r->items_used == 0);
    if (r->question != NULL) sent_close(s, r->question);
    list_remove(&r->link);
    list_remove(&r->active);
    range_walk_deinit(&r->walk);
    buffer_deinit(&r->filled_start);
    buffer_deinit(&r->filled_end);
    buffer_deinit(&r->begin);
    buffer_deinit(&r->start);
    buffer_deinit(&r->end);
    buffer_deinit(&r->page);
    buffer_deinit(&r->list);
    mem_free(r);
}

struct repair *repair_of(struct shard *s, struct peer *p, uint16_t remote_shard) {
    ASSERT(remote_shard < SHARDS_MAX);
    ASSERT(s->repair != NULL);
    if (p->repairs[remote_shard] == NULL)
        p->repairs[remote_shard] = repair_create(s, p, remote_shard);
    return p->repairs[remote_shard];
}

/* What was proved about another data directory, or before a start in which the tail of a log
 * may have been lost, holds no more. */
void repair_linked(struct shard *s, struct link *l) {
    if (s->repair == NULL || l->peer == NULL) return;
    struct repair *r = repair_of(s, l->peer, l->remote_shard);
    if (r->node_id != l->peer->node_id || r->boot_count != l->peer->boot_count) {
        repair_forget(r);
        r->heard_verified = 0;
        if (r->node_id != l->peer->node_id) r->heard_floor = 0;
    }
    /* Nor does what was proved before either of the two gave up tables. */
    if (l->peer->fresh || repair_is_healing(s)) repair_forget(r);
    r->heard = REPAIR_HEARD_NOTHING;
    r->node_id = l->peer->node_id;
    r->boot_count = l->peer->boot_count;
    if (!l->dialled) return;
    r->next_ms = os_loop_now_ms(s->loop);
    if (list_is_empty(&r->link)) list_append(&s->repair->asking, &r->link);
}

void repair_unlinked(struct shard *s, struct link *l) {
    if (s->repair == NULL) return;
    repair_servings_orphan(s, l);
    struct repair *r = l->peer == NULL ? NULL : l->peer->repairs[l->remote_shard];
    if (r == NULL) return;
    r->unclean = true;
    r->heard_verified = 0;
}

/* ---- a pass ---- */

static void page_begin(struct shard *s, struct repair *r) {
    r->blind = false;
    r->looked_at += r->examined;
    r->examined = 0;
    /* Who gave up tables may lack tombstones at any place, and other replicas of a key may too. */
    const bool heals = repair_is_healing(s) || r->heard == REPAIR_HEARD_DAMAGED;
    r->floor_stamp = heals || r->catches ? 0 : s->floor_stamp;
    range_hash_init(&r->hash);
    buffer_reset(&r->end);
    buffer_reset(&r->page);
    r->mine = r->theirs = BYTES_NONE;
    r->mine_next = r->theirs_next = (struct peer_version){ 0 };
    range_walk_seek(&r->walk, buffer_bytes(&r->start), true);
}

/* The pass is over; what comes next is of another kind, or about other slots. */
static bool is_void(struct shard *s, struct repair *r) {
    if (r->of_another_view) return true;
    if (!r->catches) return catch_up_is_due(s, r) || r->settled_passing != catch_up_settled(s, r);
    return r->joint_passing != catch_up_joint(s, r);
}

static void pass_new(struct shard *s, struct repair *r) {
    r->under_way = true;
    r->unclean = false;
    r->of_another_view = false;
    r->failures = 0;
    r->catches = catch_up_is_due(s, r);
    r->joint_passing = r->catches ? catch_up_joint(s, r) : 0;
    r->settled_passing = catch_up_settled(s, r);
    r->floor_passing = r->heard_floor;
    r->looked_at = r->examined = 0;
    r->sequence = 0;
    r->wrapped = false;
    buffer_reset(&r->begin);
    buffer_reset(&r->start);
    r->walk.ahead = 0;
    if (!r->catches) {
        r->below_stamp = repair_below_stamp(s, REPAIR_SETTLE_MS);
        repair_proof_begin(s, r, r->below_stamp);
        return;
    }
    r->below_stamp = UINT64_MAX;
    r->walk.ahead = CATCH_UP_BLOCKS_AHEAD;
    /* The slots are equal, and the other side is only to hear of it. */
    if (r->caught == r->joint_passing) {
        buffer_append(&r->start, bytes_of(tell_start, sizeof tell_start));
        return;
    }
    catch_up_choose_begin(s, r);
    buffer_append(&r->start, buffer_bytes(&r->begin));
}

static void pass_begin(struct shard *s, struct repair *r) {
    struct repair_shard *rs = s->repair;
    ASSERT(r->items_used == 0);
    ASSERT(r->question == NULL);
    if (!r->under_way || is_void(s, r)) pass_new(s, r);
    repair_move(r, REPAIR_WALK);
    list_append(&rs->active, &r->active);
    if (r->catches)
        rs->catching_count++;
    else
        rs->active_count++;
    if (r->catches) repair_items_extend(rs);
    page_begin(s, r);
}

/* Out of the active ones. */
static void leave_active(struct repair_shard *rs, struct repair *r) {
    uint32_t *active = r->catches ? &rs->catching_count : &rs->active_count;
    ASSERT(*active > 0);
    (*active)--;
    list_remove(&r->active);
}

/* What the pass needs to go on is where its page starts. */
static void repair_rest(struct shard *s, struct repair *r) {
    struct repair_shard *rs = s->repair;
    ASSERT(r->items_used == 0 && r->question == NULL && !r->walk.fetching);
    repair_move(r, REPAIR_IDLE);
    leave_active(rs, r);
    range_walk_pause(&r->walk);
    r->mine = r->theirs = BYTES_NONE;
    r->mine_next = r->theirs_next = (struct peer_version){ 0 };
    buffer_shrink(&r->end, 0);
    buffer_shrink(&r->page, 0);
    buffer_shrink(&r->list, 0);
    /* The one that waited longest comes first. */
    list_remove(&r->link);
    list_append(&rs->asking, &r->link);
}

/* The work of a pass takes about a microsecond a record on each side: with the pause it is
 * some two per cent of a processor. Whoever waits to be filled waits no longer than it must. */
static void pass_end(struct shard *s, struct repair *r) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    uint64_t pause_ms = (r->looked_at + r->examined) * REPAIR_PAUSE_US_A_RECORD / 1000;
    if (r->unclean || !s->filled || r->peer->fresh) pause_ms = 0;
    if (pause_ms < REPAIR_PAUSE_MS_MIN) pause_ms = REPAIR_PAUSE_MS_MIN;
    if (pause_ms > REPAIR_PAUSE_MS_MAX) pause_ms = REPAIR_PAUSE_MS_MAX;
    const bool goes_on = r->catches || (is_void(s, r) && !r->of_another_view);
    if (goes_on) pause_ms = r->unclean ? CATCH_UP_RETRY_MS : 0;
    repair_rest(s, r);
    r->under_way = false;
    s->figures.repair_passes[r->unclean ? REPAIR_PASS_UNCLEAN : REPAIR_PASS_CLEAN]++;
    buffer_shrink(&r->begin, 0);
    buffer_shrink(&r->start, 0);
    r->next_ms = now_ms + pause_ms;
}

/* Where the page ends that reaches as far as the pass does. */
static void page_reaches_end(struct repair *r) {
    buffer_reset(&r->end);
    if (r->wrapped) buffer_append(&r->end, buffer_bytes(&r->begin));
}

/* Begin the next page where this one ended; false: it was the last. */
static bool page_follows(struct repair *r) {
    const struct bytes begin = buffer_bytes(&r->begin);
    const struct bytes end = buffer_bytes(&r->end);
    if (r->wrapped && bytes_equal(end, begin)) return false;
    if (end.len == 0 && (begin.len == 0 || MUTANT("catch_up_never_wraps"))) return false;
    ASSERT(end.len > 0 || !r->wrapped);
    ASSERT(end.len == 0 || bytes_compare(end, buffer_bytes(&r->start)) > 0);
    r->wrapped |= end.len == 0;
    buffer_reset(&r->start);
    buffer_append(&r->start, end);
    return true;
}

void repair_page_done(struct shard *s, struct repair *r) {
    ASSERT(r->state == REPAIR_ASK || r->state == REPAIR_MEND);
    ASSERT(r->items_used == 0 || r->catches);
    const bool is_over = r->catches && r->failures >= CATCH_UP_FAILURES_MAX;
    if (is_over || is_void(s, r)) r->unclean = true;
    if (is_over || is_void(s, r) || !page_follows(r)) {
        repair_move(r, REPAIR_SYNC);
        return;
    }
    repair_move(r, REPAIR_WALK);
    page_begin(s, r);
}

/* ---- the next page ---- */

static bool page_is_full(const struct repair *r) {
    return r->hash.count >= REPAIR_PAGE_RECORDS || buffer_len(&r->page) >= REPAIR_PAGE_BYTES ||
           r->examined >= REPAIR_PAGE_EXAMINED;
}

static void page_add(struct shard *s, struct repair *r, const struct record *record) {
    const struct repair_rule rule = { .member = r->peer->member,
                                      .slots_modulo = r->peer->shards,
                                      .slots_rest = r->remote_shard,
                                      .below_stamp = r->below_stamp,
                                      .floor_stamp = r->floor_stamp,
                                      .joint = r->joint_passing };
    r->examined++;
    if (!repair_counts(s, record, &rule)) return;
    const struct peer_version v = { .ikey = record->ikey, .version = record->ballot };
    peer_versions_append(&r->page, &v);
    range_hash_add(&r->hash, v.ikey, v.version);
    ASSERT(!r->page.overflowed);
}

/* The page ends with what was gone past last. Right at its start it is skipped: the other side
 * says how far its own next page reaches. */
static void page_damaged(struct repair *r) {
    const struct bytes last = range_walk_last(&r->walk);
    r->unclean = true;
    if (last.len == 0) {
        ASSERT(buffer_len(&r->page) == 0);
        r->blind = true;
        page_reaches_end(r);
        return;
    }
    buffer_reset(&r->end);
    buffer_append(&r->end, last);
}

static bool is_past_pass(const struct repair *r, struct bytes ikey) {
    if (repair_is_past_users(ikey)) return true;
    return r->wrapped && bytes_compare(ikey, buffer_bytes(&r->begin)) > 0;
}

/* Gather a slice of the page. True: go on without waiting. */
static bool page_walk(struct shard *s, struct repair *r) {
    uint32_t count = 0;
    bool whole = false;
    if (r->catches ? !catch_up_may_walk(s) : s->repair->tokens <= 0) return false;
    struct status st = range_walk_open(&r->walk);
    while (status_ok(st) && !whole && count < REPAIR_SLICE_RECORDS) {
        const struct record *record = range_walk_record(&r->walk);
        if (record == NULL || is_past_pass(r, record->ikey)) {
            whole = true;
            page_reaches_end(r);
            break;
        }
        count++;
        page_add(s, r, record);
        if (page_is_full(r)) {
            buffer_append(&r->end, record->ikey);
            whole = true;
            break;
        }
        st = range_walk_next(&r->walk);
    }
    if (!r->catches) repair_spend(s, count);
    if (st.code == ST_WAIT) return false;
    if (status_ok(st))
        range_walk_pause(&r->walk);
    else
        page_damaged(r);
    if (whole || !status_ok(st)) repair_move(r, REPAIR_ASK);
    return true;
}

/* ---- asking ---- */

static void ask(struct shard *s, struct repair *r, struct link *l) {
    const bool tells = r->state == REPAIR_TELL;
    if (!link_has_room(l)) return;
    struct sent *q = sent_open(s, l, SENT_RANGE, r, REPAIR_PLACE_RANGE, REPAIR_ANSWER_MS);
    if (q == NULL) return;
    r->question = q;
    const struct peer_range m = {
        .start = tells ? bytes_of(tell_start, sizeof tell_start) : buffer_bytes(&r->start),
        .end = tells ? bytes_of(tell_end, sizeof tell_end) : buffer_bytes(&r->end),
        .slots_modulo = (uint16_t)s->node->shards_count,
        .slots_rest = s->id,
        .below_stamp = r->below_stamp,
        .floor_stamp = r->floor_stamp,
        .verified_stamp = r->verified_stamp,
        .count = r->hash.count,
        .hash = r->hash.sum,
        .joint = r->joint_passing,
        .caught = r->caught,
        .settled = catch_up_settled(s, r),
    };
    size_t begun = 0;
    struct buffer *out = link_begin(l, PEER_RANGE, 0, sent_id(s, q), &begun);
    peer_range_encode(&m, out);
    link_end(l, begun);
}

/* A catch-up pass counts on both sides, or is told of again. */
static void told(struct shard *s, struct repair *r, bool heard) {
    if (r->catches && r->caught == r->joint_passing) r->caught_told = heard;
    if (r->catches && !heard) r->unclean = true;
    pass_end(s, r);
}

/* At the first page the other side may have more than one thing to do before, for all that is known:
 * then there is no use in asking for the others. */
static void not_answered(struct shard *s, struct repair *r) {
    const bool is_first =
        !r->wrapped && bytes_equal(buffer_bytes(&r->start), buffer_bytes(&r->begin));
    r->unclean = true;
    r->failures += is_first ? CATCH_UP_FAILURES_MAX : 1;
    repair_page_done(s, r);
}

static void range_answered(struct shard *s, struct repair *r, const struct peer_frame *f) {
    struct peer_versions m = { .status = PEER_VERSIONS_FAILED };
    if (f->type != PEER_VERSIONS || !status_ok(peer_versions_decode(f->payload, &m)))
        m.status = PEER_VERSIONS_FAILED;
    if (r->state == REPAIR_TELL) {
        told(s, r, m.status == PEER_VERSIONS_EQUAL);
        return;
    }
    s->figures.repair_ranges++;
    if (m.status == PEER_VERSIONS_EQUAL) {
        repair_page_done(s, r);
        return;
    }
    if (m.status == PEER_VERSIONS_LIST && repair_mend_begin(s, r, &m)) {
        if (!r->catches) repair_spend(s, m.count);
        repair_move(r, REPAIR_MEND);
        return;
    }
    r->of_another_view = m.status == PEER_VERSIONS_VIEW;
    not_answered(s, r);
}

void repair_answered(struct shard *s, void *owner, uint32_t place, const struct peer_frame *f) {
    struct repair *r = owner;
    if (place != REPAIR_PLACE_RANGE) {
        ASSERT(place < s->repair->items_made);
        ASSERT(s->repair->items[place].repair == r);
        repair_item_answered(s, &s->repair->items[place], f);
        return;
    }
    ASSERT(r->question != NULL);
    ASSERT(r->state == REPAIR_ASK || r->state == REPAIR_TELL);
    r->question = NULL;
    range_answered(s, r, f);
}

/* Without a link the same page is asked about again when there is one; with it the other side
 * is too slow, and the next page may be easier. */
void repair_failed(struct shard *s, void *owner, uint32_t place) {
    struct repair *r = owner;
    r->unclean = true;
    if (place != REPAIR_PLACE_RANGE) {
        ASSERT(place < s->repair->items_made);
        ASSERT(s->repair->items[place].repair == r);
        repair_item_failed(s, &s->repair->items[place]);
        return;
    }
    ASSERT(r->question != NULL);
    r->question = NULL;
    if (link_of_shard(s, r->peer->member, r->remote_shard) == NULL) return;
    if (r->state == REPAIR_TELL)
        told(s, r, false);
    else
        not_answered(s, r);
}

/* ---- every turn ---- */

/* What was proved is only as durable as what was fetched for it. */
static bool sync_step(struct shard *s, struct repair *r) {
    if (r->items_used > 0 || r->sequence > shard_acknowledged(s)) return false;
    if (r->unclean && !(r->catches && MUTANT("caught_up_unclean"))) {
        pass_end(s, r);
        return false;
    }
    ASSERT(r->below_stamp > 0);
    if (r->catches)
        r->caught = r->joint_passing;
    else
        repair_proved(r, r->below_stamp - 1);
    repair_move(r, REPAIR_TELL);
    range_hash_init(&r->hash);
    return true;
}

/* True: there is more to do without waiting. May end the pass. */
static bool repair_step(struct shard *s, struct repair *r) {
    if (r->walk.fetching || r->question != NULL) return false;
    struct link *l = link_of_shard(s, r->peer->member, r->remote_shard);
    if (l == NULL) {
        r->unclean = true;
        if (r->items_used > 0) return false;
        repair_rest(s, r);
        r->next_ms = os_loop_now_ms(s->loop);
        return false;
    }
    switch (r->state) {
    case REPAIR_WALK: return page_walk(s, r);
    case REPAIR_MEND: return repair_mend(s, r, l);
    case REPAIR_SYNC: return sync_step(s, r);
    case REPAIR_ASK:
    case REPAIR_TELL: ask(s, r, l); return false;
    case REPAIR_IDLE:
    case REPAIR_STATES: ASSERT(false);
    }
    return false;
}

bool repairs_turn(struct shard *s) {
    struct repair_shard *rs = s->repair;
    bool more = false;
    if (rs == NULL || s->stop_deadline_ms != 0) return false;
    catch_up_tokens_raise(s);
    rs->move_waits = false;
    for (struct list *n = rs->active.next, *next; n != &rs->active; n = next) {
        next = n->next;
        more |= repair_step(s, LIST_ENTRY(n, struct repair, active));
    }
    more |= repair_serve_turn(s);
    return more;
}

uint32_t repairs_wait_ms(const struct shard *s) {
    return s->repair != NULL && s->repair->move_waits ? CATCH_UP_WAKE_MS : UINT32_MAX;
}

/* ---- every tick ---- */

static bool is_due(struct shard *s, struct repair *r, uint64_t now_ms) {
    if (r->state != REPAIR_IDLE || now_ms < r->next_ms) return false;
    if (catch_up_is_due(s, r)) return false; /* that comes first */
    if (repair_below_stamp(s, REPAIR_SETTLE_MS) == 0) return false;
    if (!repair_is_wanted(s, r->peer, r->remote_shard)) return false;
    return link_of_shard(s, r->peer->member, r->remote_shard) != NULL;
}

static bool is_catch_up_due(struct shard *s, struct repair *r, uint64_t now_ms) {
    if (r->state != REPAIR_IDLE || now_ms < r->next_ms || !catch_up_is_due(s, r)) return false;
    /* Below its floor what it has not is deleted: who has not said how high that is, is not asked. */
    if (r->heard == REPAIR_HEARD_NOTHING) return false;
    if (!catch_up_may_compare(s) || !catch_up_may_walk(s)) return false;
    return link_of_shard(s, r->peer->member, r->remote_shard) != NULL;
}

/* Passes that begin go to the end of the list when they rest, not before. */
static void begin_due(struct shard *s, uint64_t now_ms) {
    struct repair_shard *rs = s->repair;
    for (struct list *n = rs->asking.next; rs->joins && n != &rs->asking; n = n->next) {
        struct repair *r = LIST_ENTRY(n, struct repair, link);
        if (rs->catching_count >= CATCH_UPS_ACTIVE_MAX) break;
        if (is_catch_up_due(s, r, now_ms)) pass_begin(s, r);
    }
    for (struct list *n = rs->asking.next; n != &rs->asking; n = n->next) {
        struct repair *r = LIST_ENTRY(n, struct repair, link);
        if (rs->active_count >= REPAIRS_ACTIVE_MAX || s->node->repair_rate == 0) break;
        if (is_due(s, r, now_ms)) pass_begin(s, r);
    }
}

static void log_repaired(struct shard *s, uint64_t now_ms) {
    struct repair_shard *rs = s->repair;
    if (rs->sent + rs->fetched == 0) return;
    if (rs->logged_ms != 0 && now_ms < rs->logged_ms + REPAIR_LOG_MS) return;
    log_info("shard %u: repair sent %llu and fetched %llu versions that were missing or older",
             s->id, (unsigned long long)rs->sent, (unsigned long long)rs->fetched);
    rs->logged_ms = now_ms;
    rs->sent = rs->fetched = 0;
}

void repairs_tick(struct shard *s) {
    struct repair_shard *rs = s->repair;
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    if (rs == NULL || s->stop_deadline_ms != 0) return;
    tokens_raise(s, now_ms);
    begin_due(s, now_ms);
    catch_up_tick(s);
    log_repaired(s, now_ms);
    if (now_ms < rs->floors_at_ms) return;
    repair_floors_tick(s, now_ms);
}

/* ---- life ---- */

STATUS repairs_open(struct shard *s) {
    ASSERT(s->engine != NULL);
    ASSERT(s->repair == NULL);
    struct repair_shard *rs = mem_alloc_zeroed(sizeof *rs);
    s->repair = rs;
    list_init(&rs->asking);
    list_init(&rs->active);
    list_init(&rs->servings);
    repair_items_create(rs);
    repair_members_learn(s);
    rs->tokens_ms = os_loop_now_ms(s->loop);
    rs->move_tokens_ns = os_loop_now_ns(s->loop);
    rs->opened_stamp = hlc_of_ms(s->turn_wall_ms + HLC_SKEW_MS_MAX);
    const struct status st = repair_notes_read(s);
    if (!status_ok(st)) repairs_close(s);
    return st;
}

static bool is_walking(const struct peer *p) {
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        if (p->repairs[i] != NULL && p->repairs[i]->walk.fetching) return true;
    }
    return false;
}

bool repairs_are_idle(const struct shard *s) {
    if (s->repair == NULL) return true;
    for (const struct list *n = s->repair->active.next; n != &s->repair->active; n = n->next) {
        if (LIST_ENTRY(n, struct repair, active)->walk.fetching) return false;
    }
    for (const struct list *n = s->peers_gone.next; n != &s->peers_gone; n = n->next) {
        if (is_walking(LIST_ENTRY(n, const struct peer, gone))) return false;
    }
    return repair_items_are_idle(s->repair) && repair_servings_are_idle(s->repair);
}

static void pairs_destroy(struct shard *s, struct peer *p) {
    for (uint32_t k = 0; k < SHARDS_MAX; k++) {
        if (p->repairs[k] != NULL) repair_destroy(s, p->repairs[k]);
        p->repairs[k] = NULL;
    }
}

void repairs_leave(struct shard *s, struct peer *p) {
    struct repair_shard *rs = s->repair;
    for (uint32_t k = 0; k < SHARDS_MAX; k++) {
        struct repair *r = p->repairs[k];
        if (r == NULL) continue;
        ASSERT(r->question == NULL); /* its links have ended */
        if (!r->gone && r->state != REPAIR_IDLE) leave_active(rs, r);
        r->gone = true;
        list_remove(&r->link);
        if (r->items_used > 0 || r->walk.fetching) continue;
        repair_destroy(s, r);
        p->repairs[k] = NULL;
    }
}

void repairs_adopt(struct shard *s, const struct place_set *changed, bool was_alone) {
    struct repair_shard *rs = s->repair;
    ASSERT(rs != NULL);
    repair_members_learn(s);
    left_behind_adopt(s);
    for (uint32_t i = 0; i < s->members->places; i++) {
        struct peer *p = s->peers[i];
        if (p == NULL || !place_set_has(changed, i)) continue;
        for (uint32_t k = 0; k < SHARDS_MAX; k++) {
            if (p->repairs[k] != NULL) repair_forget_verified(p->repairs[k]);
        }
    }
    rs->floors_at_ms = 0; /* what was verified was so for other slots: say so at once */
    if (s->alone) s->filled = true;
    if (was_alone && !s->alone) rs->filled_due = true;
}

void repairs_close(struct shard *s) {
    struct repair_shard *rs = s->repair;
    ASSERT(repairs_are_idle(s));
    if (rs == NULL) return;
    repair_items_destroy(s);
    repair_servings_destroy(s);
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] != NULL) pairs_destroy(s, s->peers[i]);
    }
    for (struct list *n = s->peers_gone.next; n != &s->peers_gone; n = n->next)
        pairs_destroy(s, LIST_ENTRY(n, struct peer, gone));
    mem_free(rs->members);
    mem_free(rs);
    s->repair = NULL;
}

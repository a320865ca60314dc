#include "shard/hint.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutant.h"
#include "shard/link.h"
#include "shard/repair.h"
#include "shard/replica.h"
#include "shard/shard.h"

/* Hints read ahead of their replay; the last one may pass the bytes. */
#define HINT_PAGE_RECORDS 256u
#define HINT_PAGE_BYTES (64u * 1024)
/* Records looked at and hints tried before others get their turn. */
#define HINT_BUDGET 512u
/* When to try again what failed, and how soon a new hint is replayed to a live member. */
#define HINT_RETRY_MS 1000u
/* How often hints for a member that is away are looked through for old ones. */
#define HINT_AGE_LOOK_MS 60000u
/* How often to look where there should be none: the count may be wrong after damage. */
#define HINT_IDLE_LOOK_MS 600000u
/* What a hint takes besides its ikey: its version, and what log and memtable add. */
#define HINT_BYTES_EXTRA 48u

static_assert(HINT_IKEY_HEAD_BYTES + 2 + KEY_BYTES_MAX <= IKEY_BYTES_MAX,
              "a hint for the longest key can be filed");

/* ---- one hint ---- */

static void head_encode(const struct hint_queue *q, uint8_t head[HINT_IKEY_HEAD_BYTES]) {
    const uint32_t id_big_endian = __builtin_bswap32(q->id);
    const uint16_t keyspace = (uint16_t)HINT_KEYSPACE;
    head[0] = (uint8_t)(keyspace >> 8);
    head[1] = (uint8_t)keyspace;
    memcpy(head + 2, &id_big_endian, sizeof id_big_endian);
}

static bool is_of(const struct hint_queue *q, struct bytes ikey) {
    uint8_t head[HINT_IKEY_HEAD_BYTES];
    head_encode(q, head);
    return bytes_start_with(ikey, bytes_of(head, sizeof head));
}

static struct bytes key_of_hint(struct bytes ikey) {
    ASSERT(ikey.len > HINT_IKEY_HEAD_BYTES + 2);
    return bytes_of(ikey.ptr + HINT_IKEY_HEAD_BYTES, ikey.len - HINT_IKEY_HEAD_BYTES);
}

static uint64_t hint_bytes(struct bytes ikey) {
    return ikey.len + HINT_BYTES_EXTRA;
}

static void uncount(struct hint_queue *q, struct bytes ikey) {
    const uint64_t bytes = hint_bytes(ikey);
    if (q->waiting > 0) q->waiting--;
    q->bytes = q->bytes > bytes ? q->bytes - bytes : 0;
}

static void stays(struct hint_queue *q, struct bytes ikey) {
    q->left++;
    q->left_bytes += hint_bytes(ikey);
}

/* Write a tombstone just above the hint's version, so that a later one of the key stays. Below
 * what was forgotten nothing can be written; a later hint lies above that. False: it is still there. */
static bool hint_delete(struct hint_queue *q, struct bytes ikey, struct ballot version) {
    struct shard *s = q->shard;
    struct record r = { .ikey = ikey, .ballot = version, .flags = RECORD_TOMBSTONE };
    if (r.ballot.boot == UINT32_MAX)
        r.ballot.stamp++;
    else
        r.ballot.boot++;
    uint64_t sequence = 0;
    struct status st = engine_put(s->engine, &r, &sequence);
    if (st.code == ST_CONFLICT) {
        r.ballot = (struct ballot){ .stamp = engine_gc_floor(s->engine).stamp + 1, .node = 1 };
        st = engine_put(s->engine, &r, &sequence);
    }
    if (!status_ok(st)) {
        stays(q, ikey);
        return false;
    }
    uncount(q, ikey);
    return true;
}

static void hint_drop(struct hint_queue *q, struct bytes ikey, struct ballot version) {
    if (hint_delete(q, ikey, version)) q->shard->figures.hints_dropped++;
}

/* ---- keeping ---- */

static uint64_t bytes_kept(const struct shard *s) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] != NULL && s->peers[i]->hints != NULL) bytes += s->peers[i]->hints->bytes;
    }
    return bytes;
}

/* What is kept for the key now; zero = nothing, or on disk and not worth waiting for. */
static struct ballot version_kept(struct shard *s, struct bytes ikey) {
    struct engine_read read = { 0 };
    struct ballot version = { 0 };
    const struct status st = engine_get(s->engine, ikey, false, &read);
    if (status_ok(st) && (read.record.flags & RECORD_TOMBSTONE) == 0) version = read.record.ballot;
    engine_read_deinit(s->engine, &read);
    return version;
}

void hint_keep(struct shard *s, uint32_t member, struct bytes ikey, struct ballot version) {
    ASSERT(member < MEMBERS_MAX);
    ASSERT(!ballot_is_zero(version));
    ASSERT(ikey.len > 2 && ikey.len <= 2 + KEY_BYTES_MAX);
    struct hint_queue *q = s->peers[member] == NULL ? NULL : s->peers[member]->hints;
    if (MUTANT("forget_hint")) return;
    if (q == NULL) {
        s->figures.hints_dropped++;
        return;
    }
    uint8_t head[HINT_IKEY_HEAD_BYTES];
    head_encode(q, head);
    buffer_reset(&q->ikey);
    buffer_append(&q->ikey, bytes_of(head, sizeof head));
    buffer_append(&q->ikey, ikey);
    ASSERT(!q->ikey.overflowed);
    const struct record r = { .ikey = buffer_bytes(&q->ikey), .ballot = version };
    const struct ballot kept = version_kept(s, r.ikey);
    if (ballot_compare(kept, version) >= 0) return;
    const bool is_new = ballot_is_zero(kept);
    const uint64_t bytes_max = s->node->hint_bytes_max / s->node->shards_count;
    if (is_new && bytes_kept(s) + hint_bytes(r.ikey) > bytes_max) {
        s->figures.hints_dropped++;
        return;
    }
    uint64_t sequence = 0;
    const struct status st = engine_put(s->engine, &r, &sequence);
    if (st.code == ST_CONFLICT) return; /* forgotten by all: it cannot be missed */
    if (!status_ok(st)) {
        s->figures.hints_dropped++;
        return;
    }
    s->write_allowance -= (int64_t)r.ikey.len;
    s->figures.hints_stored++;
    if (is_new) {
        q->waiting++;
        q->bytes += hint_bytes(r.ikey);
    }
    q->changed = true;
    const uint64_t soon_ms = os_loop_now_ms(s->loop) + HINT_RETRY_MS;
    if (q->alive && q->pass_at_ms > soon_ms) q->pass_at_ms = soon_ms;
}

/* ---- replaying one ---- */

static void item_free(struct hint_item *item) {
    struct hint_queue *q = item->queue;
    ASSERT(item->state != HINT_FREE);
    ASSERT(q->items_used > 0);
    lookup_end(q->shard, &item->lookup);
    item->state = HINT_FREE;
    item->sent = NULL;
    buffer_shrink(&item->ikey, HINT_PAGE_BYTES / HINTS_REPLAYED_MAX);
    q->items_used--;
}

static void item_later(struct hint_item *item) {
    stays(item->queue, buffer_bytes(&item->ikey));
    item_free(item);
}

/* False: it cannot be sent now. */
static bool item_send(struct hint_item *item) {
    struct hint_queue *q = item->queue;
    struct shard *s = q->shard;
    struct record r = item->lookup.read.record;
    r.ikey = key_of_hint(buffer_bytes(&item->ikey));
    struct link *l = link_of_slot(s, q->member, crc16_slot(ikey_key(r.ikey)));
    if (l == NULL || !link_has_room(l)) return false;
    if (MUTANT("restamp_hint"))
        r.ballot = (struct ballot){ .stamp = shard_stamp(s),
                                    .node = s->node->node_id,
                                    .boot = s->node->boot_count };
    struct sent *sent = sent_open(s, l, SENT_HINT, item, 0, s->node->quorum_wait_ms);
    if (sent == NULL) return false;
    item->state = HINT_SENT;
    item->sent = sent;
    replica_send(l, PEER_FLAG_HINT, sent_id(s, sent), replica_epoch(s, r.ikey), &r);
    return true;
}

/* Read the key and send it. What is not here any more, or older than what was missed (the own
 * replica could not take it either), cannot be replayed: repair brings it from elsewhere. */
static void item_try(struct hint_item *item) {
    struct hint_queue *q = item->queue;
    struct shard *s = q->shard;
    const struct bytes ikey = buffer_bytes(&item->ikey);
    item->state = HINT_LOOKING;
    const struct status st = lookup_begin(s, &item->lookup, key_of_hint(ikey));
    if (st.code == ST_WAIT) return;
    const bool held =
        status_ok(st) && ballot_compare(item->lookup.read.record.ballot, item->version) >= 0;
    if (held) {
        if (item_send(item))
            lookup_end(s, &item->lookup);
        else
            item_later(item);
        return;
    }
    if (!status_ok(st) && st.code != ST_NOT_FOUND) {
        item_later(item);
        return;
    }
    lookup_end(s, &item->lookup); /* a put ends its views */
    hint_drop(q, ikey, item->version);
    item_free(item);
}

static void item_begin(struct hint_queue *q, const struct peer_version *hint) {
    struct hint_item *item = q->items;
    ASSERT(q->items_used < HINTS_REPLAYED_MAX);
    while (item->state != HINT_FREE) item++;
    ASSERT(item < q->items + HINTS_REPLAYED_MAX);
    q->items_used++;
    item->lookup = (struct lookup){ .owner = item, .kind = LOOKUP_HINT };
    list_init(&item->lookup.link);
    item->version = hint->version;
    buffer_reset(&item->ikey);
    buffer_append(&item->ikey, hint->ikey);
    item_try(item);
}

/* ---- a pass ---- */

static void items_make(struct hint_queue *q) {
    if (q->items != NULL) return;
    q->items = mem_alloc_zeroed(HINTS_REPLAYED_MAX * sizeof *q->items);
    for (uint32_t i = 0; i < HINTS_REPLAYED_MAX; i++) {
        q->items[i].queue = q;
        buffer_init(&q->items[i].ikey, IKEY_BYTES_MAX);
    }
}

static void items_unmake(struct hint_queue *q) {
    ASSERT(q->items_used == 0);
    if (q->items == NULL) return;
    for (uint32_t i = 0; i < HINTS_REPLAYED_MAX; i++) buffer_deinit(&q->items[i].ikey);
    mem_free(q->items);
    q->items = NULL;
}

static bool is_old(const struct hint_queue *q, struct ballot version) {
    const struct shard *s = q->shard;
    return hlc_ms(version.stamp) + s->node->hint_age_ms < s->turn_wall_ms;
}

/* Take hints from the page as far as there is room for them. */
static void page_replay(struct hint_queue *q) {
    const bool alive = !q->gone && peer_is_alive(q->shard, q->member);
    if (alive) items_make(q);
    while (q->rest.len > 0 && q->budget > 0) {
        if (alive && q->items_used == HINTS_REPLAYED_MAX) return;
        struct peer_version hint;
        if (!peer_versions_next(&q->rest, &hint)) return;
        q->budget--;
        if (q->gone || is_old(q, hint.version))
            hint_drop(q, hint.ikey, hint.version);
        else if (alive)
            item_begin(q, &hint);
        else
            stays(q, hint.ikey);
    }
}

static bool page_is_full(const struct hint_queue *q, uint32_t count) {
    return count >= HINT_PAGE_RECORDS || buffer_len(&q->page) >= HINT_PAGE_BYTES;
}

/* Read the next hints, as far as the budget goes. */
static void page_read(struct hint_queue *q) {
    uint32_t count = 0;
    ASSERT(q->rest.len == 0);
    buffer_reset(&q->page);
    struct status st = range_walk_open(&q->walk);
    while (status_ok(st) && q->budget > 0 && !page_is_full(q, count)) {
        const struct record *r = range_walk_record(&q->walk);
        if (r == NULL || !is_of(q, r->ikey)) {
            q->walked = true;
            break;
        }
        q->budget--;
        if ((r->flags & RECORD_TOMBSTONE) == 0 && r->ikey.len > HINT_IKEY_HEAD_BYTES + 2) {
            const struct peer_version hint = { .ikey = r->ikey, .version = r->ballot };
            peer_versions_append(&q->page, &hint);
            count++;
        }
        st = range_walk_next(&q->walk);
    }
    if (status_ok(st)) range_walk_pause(&q->walk);
    if (!status_ok(st) && st.code != ST_WAIT) {
        q->walked = true; /* what lies behind the damage cannot be reached */
        q->damaged = true;
    }
    ASSERT(!q->page.overflowed);
    q->rest = buffer_bytes(&q->page);
}

static void pass_begin(struct hint_queue *q) {
    uint8_t head[HINT_IKEY_HEAD_BYTES];
    ASSERT(!q->passing);
    ASSERT(q->items_used == 0);
    q->passing = true;
    q->walked = false;
    q->changed = false;
    q->damaged = false;
    q->left = 0;
    q->left_bytes = 0;
    head_encode(q, head);
    range_walk_seek(&q->walk, bytes_of(head, sizeof head), false);
}

static void pass_end(struct hint_queue *q) {
    const uint64_t now_ms = os_loop_now_ms(q->shard->loop);
    ASSERT(q->passing);
    q->passing = false;
    if (!q->changed && !q->damaged) {
        q->waiting = q->left;
        q->bytes = q->left_bytes;
    }
    items_unmake(q);
    buffer_shrink(&q->page, 0);
    buffer_shrink(&q->ikey, 0);
    q->rest = BYTES_NONE;
    uint64_t pause_ms = HINT_IDLE_LOOK_MS;
    if (q->waiting > 0 || q->changed)
        pause_ms = q->alive && !q->damaged ? HINT_RETRY_MS : HINT_AGE_LOOK_MS;
    q->pass_at_ms = now_ms + pause_ms;
}

/* Go on with the pass until it must wait for a block, an answer or the next tick. */
static void go_on(struct hint_queue *q) {
    q->budget = HINT_BUDGET;
    if (!q->passing || q->shard->stop_deadline_ms != 0) return;
    while (q->budget > 0) {
        page_replay(q);
        if (q->rest.len > 0 || q->walk.fetching) return;
        if (q->walked) {
            if (q->items_used == 0) pass_end(q);
            return;
        }
        page_read(q);
    }
}

static void walk_ready(struct range_walk *w) {
    go_on(w->owner);
}

static void queue_destroy(struct hint_queue *q);

/* Nobody will ask for them any more: passes that only delete, until one has seen all. */
static void drop_gone(struct shard *s, uint64_t now_ms) {
    for (struct list *n = s->hints_gone.next, *next; n != &s->hints_gone; n = next) {
        struct hint_queue *q = LIST_ENTRY(n, struct hint_queue, link);
        next = n->next;
        ASSERT(q->gone);
        if (!q->passing && q->passed && q->left == 0) {
            queue_destroy(q);
            continue;
        }
        if (!q->passing && now_ms >= q->pass_at_ms && s->stop_deadline_ms == 0) {
            pass_begin(q);
            q->passed = true;
        }
        go_on(q);
    }
}

void hints_tick(struct shard *s) {
    uint64_t waiting = 0, bytes = 0;
    ASSERT(s->engine != NULL);
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    drop_gone(s, now_ms);
    for (uint32_t i = 0; i < s->members->places; i++) {
        struct hint_queue *q = s->peers[i] == NULL ? NULL : s->peers[i]->hints;
        if (q == NULL) continue;
        const bool alive = peer_is_alive(s, i);
        if (alive && !q->alive) q->pass_at_ms = now_ms;
        q->alive = alive;
        if (!q->passing && now_ms >= q->pass_at_ms && s->stop_deadline_ms == 0) pass_begin(q);
        go_on(q);
        waiting += q->waiting;
        bytes += q->bytes;
    }
    s->figures.hints_waiting = waiting;
    s->figures.hints_bytes = bytes;
}

/* ---- what becomes of a replay ---- */

static bool is_kept_there(const struct hint_queue *q, struct bytes ikey) {
    const uint32_t slot = crc16_slot(ikey_key(key_of_hint(ikey)));
    return !q->gone && membership_keeps(q->shard->members, slot, q->member);
}

void hint_answered(struct shard *s, void *owner, const struct peer_frame *f) {
    struct hint_item *item = owner;
    struct hint_queue *q = item->queue;
    struct peer_accepted m = { .status = PEER_ACCEPT_FAILED };
    ASSERT(item->state == HINT_SENT);
    ASSERT(q->shard == s);
    item->sent = NULL;
    if (f->type != PEER_ACCEPTED || !status_ok(peer_accepted_decode(f->payload, &m)))
        m.status = PEER_ACCEPT_FAILED;
    const struct bytes ikey = buffer_bytes(&item->ikey);
    switch (m.status) {
    case PEER_ACCEPT_OK:
        s->figures.hints_replayed++;
        (void)hint_delete(q, ikey, item->version);
        break;
    case PEER_ACCEPT_FLOOR: (void)hint_delete(q, ikey, item->version); break;
    case PEER_ACCEPT_NOT_MINE:
        if (is_kept_there(q, ikey))
            stays(q, ikey); /* it does not know yet */
        else
            hint_drop(q, ikey, item->version);
        break;
    default: stays(q, ikey);
    }
    item_free(item);
    go_on(q);
}

/* The pass goes on with the next tick: this may be in the middle of sending. */
void hint_failed(struct shard *s, void *owner) {
    struct hint_item *item = owner;
    ASSERT(item->state == HINT_SENT);
    ASSERT(item->queue->shard == s);
    item_later(item);
}

void hint_found(struct shard *s, struct lookup *l) {
    struct hint_item *item = l->owner;
    ASSERT(item->state == HINT_LOOKING);
    ASSERT(item->queue->shard == s);
    if (s->stop_deadline_ms != 0 || item->queue->gone) {
        item_later(item);
        return;
    }
    item_try(item);
    go_on(item->queue);
}

uint64_t hints_waiting(const struct shard *s, uint32_t member) {
    if (s->peers[member] == NULL) return 0;
    const struct hint_queue *q = s->peers[member]->hints;
    return q == NULL ? 0 : q->waiting;
}

/* ---- life ---- */

static struct hint_queue *queue_create(struct shard *s, uint32_t id) {
    struct hint_queue *q = mem_alloc_zeroed(sizeof *q);
    q->shard = s;
    q->id = id;
    list_init(&q->link);
    range_walk_init(&q->walk, s);
    q->walk.owner = q;
    q->walk.ready = walk_ready;
    buffer_init(&q->page, HINT_PAGE_BYTES + 2 * IKEY_BYTES_MAX);
    buffer_init(&q->ikey, IKEY_BYTES_MAX);
    return q;
}

static void queue_destroy(struct hint_queue *q) {
    list_remove(&q->link);
    for (uint32_t i = 0; i < HINTS_REPLAYED_MAX && q->items_used > 0; i++) {
        struct hint_item *item = &q->items[i];
        if (item->state == HINT_FREE) continue;
        if (item->state == HINT_SENT) sent_close(q->shard, item->sent);
        list_remove(&item->lookup.link); /* its block may have been read just now */
        item_free(item);
    }
    items_unmake(q);
    range_walk_deinit(&q->walk);
    buffer_deinit(&q->page);
    buffer_deinit(&q->ikey);
    mem_free(q);
}

void hints_add(struct shard *s, struct peer *p) {
    ASSERT(p->hints == NULL);
    ASSERT(s->engine != NULL);
    p->hints = queue_create(s, membership_member(s->members, p->member)->id);
    p->hints->member = p->member;
}

void hints_leave(struct shard *s, struct peer *p) {
    struct hint_queue *q = p->hints;
    if (q == NULL) return;
    p->hints = NULL;
    q->gone = true;
    q->alive = false;
    q->pass_at_ms = 0;
    list_append(&s->hints_gone, &q->link);
}

/* The queue that a hint found on disk belongs to; NULL: its member is none any more. */
static struct hint_queue *queue_of(const struct shard *s, struct bytes ikey) {
    if (ikey.len <= HINT_IKEY_HEAD_BYTES + 2) return NULL;
    uint32_t id;
    memcpy(&id, ikey.ptr + 2, sizeof id);
    const uint32_t member = membership_find(s->members, __builtin_bswap32(id));
    if (member == MEMBER_NONE || s->peers[member] == NULL) return NULL;
    return s->peers[member]->hints;
}

/* Of a member that was removed before this start. */
static void orphan_found(struct shard *s, struct bytes ikey) {
    uint32_t count = 0;
    for (struct list *n = s->hints_gone.next; n != &s->hints_gone; n = n->next, count++) {
        if (is_of(LIST_ENTRY(n, struct hint_queue, link), ikey)) return;
    }
    if (s->members->self == MEMBER_NONE || count == MEMBERS_MAX) return;
    if (ikey.len < HINT_IKEY_HEAD_BYTES) return;
    uint32_t id;
    memcpy(&id, ikey.ptr + 2, sizeof id);
    struct hint_queue *q = queue_create(s, __builtin_bswap32(id));
    q->gone = true;
    list_append(&s->hints_gone, &q->link);
}

static STATUS count_all(struct shard *s, struct engine_iterator *it, uint64_t *ret_orphans) {
    uint8_t first[3];
    TRY(engine_iterator_seek(it, ikey_make(HINT_KEYSPACE, BYTES_NONE, first)));
    while (engine_iterator_valid(it)) {
        const struct record *r = engine_iterator_record(it);
        if (ikey_keyspace(r->ikey) != HINT_KEYSPACE) break;
        if ((r->flags & RECORD_TOMBSTONE) == 0) {
            struct hint_queue *q = queue_of(s, r->ikey);
            if (q == NULL) {
                (*ret_orphans)++;
                orphan_found(s, r->ikey);
            } else {
                q->waiting++;
                q->bytes += hint_bytes(r->ikey);
            }
        }
        TRY(engine_iterator_next(it));
    }
    return status_of(ST_OK);
}

STATUS hints_open(struct shard *s) {
    uint64_t orphans = 0;
    ASSERT(s->engine != NULL);
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] != NULL) hints_add(s, s->peers[i]);
    }
    struct engine_iterator *it = engine_iterator_create(s->engine, true);
    const struct status st = count_all(s, it, &orphans);
    engine_iterator_destroy(it);
    if (!status_ok(st))
        log_warn("shard %u: notes of what other nodes missed are damaged; repair finds the rest",
                 s->id);
    if (orphans > 0)
        log_info("shard %u: %llu notes are for nodes that are no members", s->id,
                 (unsigned long long)orphans);
    return status_of(ST_OK);
}

static bool queue_is_idle(const struct hint_queue *q) {
    if (q->walk.fetching) return false;
    for (uint32_t k = 0; q->items != NULL && k < HINTS_REPLAYED_MAX; k++) {
        if (q->items[k].state == HINT_LOOKING && q->items[k].lookup.fetching) return false;
    }
    return true;
}

bool hints_are_idle(const struct shard *s) {
    for (uint32_t i = 0; i < s->members->places; i++) {
        const struct hint_queue *q = s->peers[i] == NULL ? NULL : s->peers[i]->hints;
        if (q != NULL && !queue_is_idle(q)) return false;
    }
    for (const struct list *n = s->hints_gone.next; n != &s->hints_gone; n = n->next) {
        if (!queue_is_idle(LIST_ENTRY(n, const struct hint_queue, link))) return false;
    }
    return true;
}

void hints_close(struct shard *s) {
    ASSERT(hints_are_idle(s));
    while (!list_is_empty(&s->hints_gone))
        queue_destroy(LIST_ENTRY(s->hints_gone.next, struct hint_queue, link));
    for (uint32_t i = 0; i < s->members->places; i++) {
        if (s->peers[i] == NULL || s->peers[i]->hints == NULL) continue;
        queue_destroy(s->peers[i]->hints);
        s->peers[i]->hints = NULL;
    }
}

#include "shard/shard.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "shard/adopt.h"
#include "shard/feed.h"
#include "shard/forward.h"
#include "shard/hint.h"
#include "shard/repair.h"
#include "shard/replica.h"
#include "shard/snapshot.h"

#define SHARD_TICK_MS 50u
#define SHARD_TICKS_A_SECOND (1000u / SHARD_TICK_MS)
/* Connections taken in one turn, so that a storm of them does not hold up clients. */
#define SHARD_ACCEPTS_A_TURN 64u
/* How long a stopping shard waits for clients to take their replies. */
#define SHARD_DRAIN_MS 5000u

STATUS shard_create(struct node *node, uint16_t id, struct shard **ret_shard) {
    ASSERT(node->shards_count >= 1);
    ASSERT(id < node->shards_count);
    struct shard *s = mem_alloc_aligned(64, sizeof *s);
    memset(s, 0, sizeof *s);
    s->id = id;
    s->node = node;
    s->os = node->os;
    s->members = views_hold(&node->views, &s->view_serial);
    s->loop = os_loop_create(node->os);
    list_init(&s->connections);
    list_init(&s->work);
    list_init(&s->flush);
    list_init(&s->waiting);
    list_init(&s->held);
    list_init(&s->stalled);
    list_init(&s->runnable);
    list_init(&s->idle);
    list_init(&s->tasks_again);
    list_init(&s->answered);
    list_init(&s->scanning);
    list_init(&s->truncations);
    list_init(&s->tasks_free);
    list_init(&s->links);
    list_init(&s->links_work);
    list_init(&s->links_flush);
    list_init(&s->links_held);
    list_init(&s->links_gone);
    list_init(&s->seeds);
    list_init(&s->handed);
    list_init(&s->found);
    list_init(&s->accepts);
    list_init(&s->ahead);
    for (uint32_t i = 0; i < GUEST_BUCKETS; i++) list_init(&s->guests[i]);
    list_init(&s->peers_gone);
    list_init(&s->hints_gone);
    coordinations_init(s);
    for (uint32_t i = 0; i < SHARD_PARK_BUCKETS; i++) list_init(&s->parked[i]);
    for (uint32_t i = 0; i < SHARDS_MAX; i++) list_init(&s->outbox[i]);
    const size_t inbox_bytes = node->shards_count * sizeof *s->inbox;
    s->inbox = mem_alloc_aligned(64, inbox_bytes);
    memset(s->inbox, 0, inbox_bytes);
    s->tasks = mem_alloc_zeroed(SHARD_TASKS_MAX * sizeof *s->tasks);
    s->input = mem_alloc(SHARD_INPUT_BYTES);
    s->ikey_space = mem_alloc(IKEY_BYTES_MAX);
    buffer_init(&s->scratch, SIZE_MAX / 2);
    buffer_init(&s->reply, SIZE_MAX / 2);
    buffer_init(&s->after, SIZE_MAX / 2);
    os_entropy(s->os, &s->key_seed, sizeof s->key_seed);
    os_entropy(s->os, &s->random, sizeof s->random);
    os_entropy(s->os, &s->stamp_node, sizeof s->stamp_node);
    if (node->node_id != 0) s->stamp_node = node->node_id;
    s->stamp_node |= s->stamp_node == 0;
    os_mutex_init(&s->figures_lock);
    os_mutex_init(&s->handed_lock);
    os_timer_init(&s->tick, s, SHARD_TAG_TICK);
    os_timer_init(&s->hedge_timer, s, SHARD_TAG_HEDGE);
    *ret_shard = s;
    return status_of(ST_OK);
}

uint64_t shard_late_ns(struct shard *s) {
    if (s->late_ns == 0) s->late_ns = os_mono_ns(s->os);
    return s->late_ns;
}

uint64_t shard_stamp(struct shard *s) {
    return hlc_next(&s->hlc, os_wall_ns(s->os));
}

static STATUS open_engine(struct shard *s, const struct engine_options *options) {
    struct engine_options own = *options;
    own.loop = s->loop;
    TRY(engine_open(&own, &s->engine));
    s->turn_wall_ms = os_wall_ms(s->os);
    hlc_observe(&s->hlc, engine_ballot_max(s->engine).stamp);
    if (!hlc_is_lawful(s->hlc.last, s->turn_wall_ms)) {
        log_warn(
            "shard %u: the newest record is %llu ms ahead of the clock; versions go on from there",
            s->id, (unsigned long long)(hlc_ms(s->hlc.last) - s->turn_wall_ms));
    }
    return status_of(ST_OK);
}

STATUS shard_open(struct shard *s, const struct engine_options *options) {
    if (options != NULL) TRY(open_engine(s, options));
    s->opened_ms = os_mono_ns(s->os) / 1000000;
    s->row_space = mem_alloc(sizeof(struct row_page));
    shard_view_taken(s);
    links_create(s);
    if (s->engine != NULL) TRY(repairs_open(s));
    if (s->engine != NULL) TRY(hints_open(s));
    if (s->alone) s->filled = true;
    atomic_store(&s->settled, s->alone);
    os_timer_arm(s->loop, &s->tick, os_mono_ns(s->os) / 1000000 + SHARD_TICK_MS);
    return status_of(ST_OK);
}

STATUS shard_listen(struct shard *s, const char *address) {
    TRY(os_sock_listen(s->os, address, true, &s->listener));
    return os_loop_watch(s->loop, s->listener, s, SHARD_TAG_LISTENER);
}

void shard_destroy(struct shard *s) {
    ASSERT(list_is_empty(&s->connections));
    os_sock_close(&s->listener);
    feed_destroy(s);
    links_destroy(s);
    coordinations_deinit(s);
    mem_free(s->row_space);
    mem_free(s->members_view);
    mem_free(s->members_index);
    mem_free(s->status_view);
    for (uint32_t i = 0; i < s->tasks_begun; i++) task_deinit(&s->tasks[i]);
    mem_free(s->tasks);
    mem_free(s->inbox);
    mem_free(s->input);
    mem_free(s->ikey_space);
    buffer_deinit(&s->scratch);
    buffer_deinit(&s->reply);
    buffer_deinit(&s->after);
    os_mutex_deinit(&s->figures_lock);
    os_mutex_deinit(&s->handed_lock);
    views_drop(&s->node->views, s->members);
    os_loop_destroy(s->loop);
    mem_free(s);
}

void shard_stop(struct shard *s) {
    atomic_store(&s->stop, true);
    os_loop_wake(s->loop);
}

/* ---- mail ---- */

void shard_send(struct shard *s, uint16_t to, struct call *c) {
    ASSERT(to != s->id);
    ASSERT(to < s->node->shards_count);
    list_append(&s->outbox[to], &c->link);
}

/* Handing a call over ends our right to touch it, so its link is taken first. */
static void mail_post(struct shard *s) {
    for (uint32_t to = 0; to < s->node->shards_count; to++) {
        struct shard *peer = s->node->shards[to];
        bool posted = false;
        while (!list_is_empty(&s->outbox[to])) {
            struct list *node = s->outbox[to].next;
            list_remove(node);
            if (!mailbox_put(&peer->inbox[s->id], LIST_ENTRY(node, struct call, link))) {
                list_prepend(&s->outbox[to], node); /* order is kept */
                break;
            }
            posted = true;
        }
        if (posted) os_loop_wake(peer->loop);
    }
}

static void mail_take(struct shard *s) {
    for (uint32_t from = 0; from < s->node->shards_count; from++) {
        for (struct call *c; (c = mailbox_take(&s->inbox[from])) != NULL;) {
            list_init(&c->link);
            if (c->state == CALL_ANSWERED)
                list_append(&s->answered, &c->link);
            else
                shard_call_begin(s, c);
        }
    }
}

static bool mail_waits(const struct shard *s) {
    for (uint32_t to = 0; to < s->node->shards_count; to++) {
        if (!list_is_empty(&s->outbox[to])) return true;
    }
    return false;
}

/* ---- events ---- */

static void work_add(struct shard *s, struct connection *c) {
    if (list_is_empty(&c->work)) list_append(&s->work, &c->work);
}

static void accept_clients(struct shard *s) {
    for (uint32_t i = 0; i < SHARD_ACCEPTS_A_TURN; i++) {
        struct os_sock sock;
        const struct status st = os_sock_accept(s->listener, &sock);
        if (st.code == ST_WAIT) {
            s->accepting = false;
            return;
        }
        if (!status_ok(st)) {
            /* Out of descriptors, or the client left: the next tick tries again. */
            s->figures.connections_refused++;
            s->accepting = false;
            return;
        }
        if (s->figures.connections >= s->node->connections_max) {
            s->figures.connections_refused++;
            os_sock_close(&sock);
            continue;
        }
        struct connection *c = connection_create(s, sock);
        if (!status_ok(os_loop_watch(s->loop, sock, c, SHARD_TAG_CONNECTION))) {
            connection_close(c);
            continue;
        }
        work_add(s, c);
    }
}

static void connection_event(struct shard *s, struct connection *c, uint32_t ready) {
    if ((ready & OS_READY_READ) != 0) c->readable = true;
    if ((ready & OS_READY_WRITE) != 0) c->writable = true;
    if ((ready & OS_READY_CLOSED) != 0) c->readable = c->writable = true;
    if ((ready & (OS_READY_CLOSED | OS_READY_ENDED)) != 0) c->hung_up = true;
    /* Nothing is read during a scan, and nobody will take what it finds; subscribers send
     * nothing more. */
    const bool over = c->subscribed && (ready & OS_READY_ENDED) != 0;
    if (over || ((ready & OS_READY_CLOSED) != 0 && (c->barriers > 0 || c->subscribed))) {
        connection_close(c);
        return;
    }
    work_add(s, c);
}

static void close_stuck(struct shard *s) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    for (struct list *n = s->connections.next, *next; n != &s->connections; n = next) {
        struct connection *c = LIST_ENTRY(n, struct connection, link);
        next = n->next;
        if (connection_is_stuck(c, now_ms)) connection_close(c);
    }
}

bool shard_is_past_drain(const struct shard *s) {
    return s->stop_deadline_ms != 0 && os_loop_now_ms(s->loop) >= s->stop_deadline_ms;
}

bool shard_is_over_budget(struct shard *s) {
    if (s->output_held + s->tasks_held < s->node->input_bytes_max) return false;
    s->starved = true;
    return true;
}

/* Nobody else wakes clients that were paused for what others hold. */
static void serve_starved(struct shard *s) {
    s->starved = false;
    for (struct list *n = s->connections.next; n != &s->connections; n = n->next) {
        struct connection *c = LIST_ENTRY(n, struct connection, link);
        if (connection_wants_turn(c)) work_add(s, c);
    }
}

/* One node holds every replica there is, so all is old enough (R9) but what proxies stamped and
 * is under way: refused, it could not be told from what was done. */
static void forget_alone(struct shard *s) {
    ASSERT(s->alone);
    ASSERT(s->engine != NULL);
    if (s->turn_wall_ms <= REPAIR_SETTLE_MS) return;
    const uint64_t settled = hlc_of_ms(s->turn_wall_ms - REPAIR_SETTLE_MS);
    const uint64_t stamp = settled < s->hlc.last ? settled : s->hlc.last;
    engine_limit_expiry(s->engine, s->turn_wall_ms - REPAIR_SETTLE_MS);
    engine_set_gc_floor(s->engine,
                        (struct ballot){ .stamp = stamp, .node = UINT32_MAX, .boot = UINT32_MAX });
}

static void tick(struct shard *s) {
    s->ticks++;
    links_tick(s);
    forward_again(s);
    tasks_go_again(s);
    replica_tick(s);
    if (s->alone) forget_alone(s);
    if (s->engine != NULL && s->stop_deadline_ms == 0) {
        hints_tick(s);
        if (!s->alone) repairs_tick(s);
    }
    if (!list_is_empty(&s->peers_gone)) shard_free_gone(s);
    if (!s->accepting && s->listener.os != NULL) accept_clients(s);
    if (s->ticks % SHARD_TICKS_A_SECOND == 0) close_stuck(s);
    if (s->starved) serve_starved(s);
    shard_truncations_expire(s);
    shard_figures_publish(s);
    feed_tick(s);
    if (s->id == 0) slow_log_tick(&s->node->slow, os_loop_now_ms(s->loop));
    os_timer_arm(s->loop, &s->tick, os_loop_now_ms(s->loop) + SHARD_TICK_MS);
}

static void sync_if_due(struct shard *s) {
    const uint32_t interval_ms = s->node->sync_interval_ms;
    if (interval_ms == 0 || s->engine == NULL) return;
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    if (now_ms < s->synced_ms + interval_ms) return;
    s->synced_ms = now_ms;
    engine_sync(s->engine);
}

static void act(struct shard *s, const struct os_event *e) {
    switch (e->kind) {
    case OS_EVENT_JOB: e->job->done(e->job); break;
    case OS_EVENT_TIMER:
        if (e->tag == SHARD_TAG_TICK) tick(s);
        if (e->tag == SHARD_TAG_CONTROL) node_control_tick(s->node->control);
        break;
    case OS_EVENT_WAKE: break;
    case OS_EVENT_SOCKET:
        if (e->tag == SHARD_TAG_LISTENER)
            s->accepting = true;
        else if (e->tag == SHARD_TAG_LINK)
            link_event(e->user, e->ready);
        else
            connection_event(s, e->user, e->ready);
        break;
    }
}

/* ---- a turn ---- */

/* Work added meanwhile waits for the next turn. */
static void serve_clients(struct shard *s) {
    struct list now;
    list_init(&now);
    while (!list_is_empty(&s->work)) list_append(&now, list_take_first(&s->work));
    while (!list_is_empty(&now)) {
        struct connection *c = LIST_ENTRY(list_take_first(&now), struct connection, work);
        shard_flush_later(s, c);
        connection_serve(c);
    }
}

void shard_flush_later(struct shard *s, struct connection *c) {
    list_remove(&c->flush); /* it may be waiting for the log */
    list_append(&s->flush, &c->flush);
}

static void flush_clients(struct shard *s) {
    while (!list_is_empty(&s->flush)) {
        struct connection *c = LIST_ENTRY(list_take_first(&s->flush), struct connection, flush);
        connection_collect(c);
        if (!connection_flush(c)) continue;
        if (c->holds_count > 0) list_append(&s->waiting, &c->flush);
        if (connection_wants_turn(c)) work_add(s, c);
    }
}

/* The log moved: replies that waited for it may go. */
static void flush_held(struct shard *s) {
    const uint64_t acknowledged = shard_acknowledged(s);
    if (acknowledged == s->acknowledged_seen) return;
    s->acknowledged_seen = acknowledged;
    while (!list_is_empty(&s->waiting)) list_append(&s->flush, list_take_first(&s->waiting));
}

static void count_turn(struct shard *s) {
    if (s->turn_kinds == 0) return;
    uint32_t requests = 0;
    const uint64_t took_ns = os_mono_ns(s->os) - s->turn_ns;
    for (uint32_t left = s->turn_kinds; left != 0; left &= left - 1) {
        const uint32_t kind = (uint32_t)__builtin_ctz(left);
        shard_count_operations(s, kind, took_ns, s->turn_counts[kind]);
        requests += s->turn_counts[kind];
        s->turn_counts[kind] = 0;
    }
    s->turn_kinds = 0;
    if (slow_log_is_slow(&s->node->slow, took_ns)) shard_slow_turn(s, requests, took_ns);
}

void shard_turn(struct shard *s, const struct os_event *events, uint32_t count) {
    s->turn++;
    s->turn_ns = os_loop_now_ns(s->loop);
    s->late_ns = 0;
    s->turn_again = false;
    s->turn_wall_ms = os_loop_wall_ms(s->loop);
    shard_allow_writes(s);
    for (uint32_t i = 0; i < count; i++) act(s, &events[i]);
    if (s->accepting) accept_clients(s);
    mail_take(s);
    links_take_handed(s);
    links_serve(s);
    lookups_resume(s);
    replica_resume(s);
    shard_calls_answer(s);
    shard_calls_resume(s);
    serve_clients(s);
    coordinate_hedge(s);
    if (s->repair != NULL && repairs_turn(s)) s->turn_again = true;
    snapshot_turn(s);
    if (s->engine != NULL) engine_turn(s->engine);
    sync_if_due(s);
    coordinate_release(s);
    shard_calls_release(s);
    shard_calls_answer(s);
    s->late_ns = 0;
    flush_held(s);
    links_flush(s);
    flush_clients(s);
    mail_post(s);
    count_turn(s);
    shard_adopt_newest(s);
}

uint32_t shard_wait_ms(const struct shard *s) {
    if (!list_is_empty(&s->work) || !list_is_empty(&s->scanning) || !list_is_empty(&s->runnable))
        return 0;
    if (!list_is_empty(&s->answered) || s->accepting || s->turn_again) return 0;
    if (!list_is_empty(&s->links_work)) return 0;
    if (!list_is_empty(&s->found)) return 0;
    if (!list_is_empty(&s->stalled) || !list_is_empty(&s->accepts) || mail_waits(s)) return 1;
    uint32_t wait_ms = repairs_wait_ms(s);
    const uint32_t links_ms = links_wait_ms(s);
    const uint32_t interval_ms = s->node->sync_interval_ms;
    if (links_ms < wait_ms) wait_ms = links_ms;
    if (interval_ms != 0 && interval_ms < wait_ms) wait_ms = interval_ms;
    return wait_ms;
}

static void begin_stop(struct shard *s) {
    s->stop_deadline_ms = os_loop_now_ms(s->loop) + SHARD_DRAIN_MS;
    os_sock_close(&s->listener);
    s->accepting = false;
    for (struct list *n = s->connections.next; n != &s->connections; n = n->next) {
        struct connection *c = LIST_ENTRY(n, struct connection, link);
        c->draining = true;
        work_add(s, c);
    }
}

static bool is_drained(struct shard *s) {
    if (os_loop_now_ms(s->loop) >= s->stop_deadline_ms) {
        while (!list_is_empty(&s->connections))
            connection_close(LIST_ENTRY(s->connections.next, struct connection, link));
    }
    return list_is_empty(&s->connections) && s->tasks_used == 0 && s->guests_count == 0;
}

/* Clients and guests are gone: let go of the other nodes, then of the disk. */
static void begin_close(struct shard *s) {
    s->closing = true;
    links_close(s);
    if (s->engine == NULL) return;
    engine_stop(s->engine, true);
    engine_sync(s->engine);
}

/* Another node is to lead before the links go. */
static bool control_stays(const struct shard *s) {
    const struct node_control *c = s->node->control;
    return s->id == 0 && c != NULL && !node_control_has_left(c) && !shard_is_past_drain(s);
}

bool shard_is_over(struct shard *s) {
    if (s->stop_deadline_ms == 0) {
        if (atomic_load(&s->stop)) begin_stop(s);
        return false;
    }
    if (shard_is_past_drain(s)) links_close(s); /* nothing is waited for any more */
    const bool drained = is_drained(s);
    if (drained && !s->drained) {
        s->drained = true;
        atomic_fetch_add(&s->node->drained, 1);
    }
    /* Others may still send calls here until every shard has drained. */
    if (atomic_load(&s->node->drained) < s->node->shards_count) return false;
    if (!s->closing && control_stays(s)) return false;
    if (!s->closing) begin_close(s);
    if (s->coordinations_used > 0 || s->queries_waiting > 0) return false;
    if (s->id == 0 && s->node->control != NULL && !node_control_is_idle(s->node->control))
        return false;
    if (s->engine == NULL) return true;
    if (!hints_are_idle(s) || !repairs_are_idle(s)) return false;
    if (!snapshot_is_idle(s)) return false;
    return engine_is_idle(s->engine);
}

void shard_close(struct shard *s) {
    if (s->engine == NULL) return;
    replica_forget_stalled(s);
    hints_close(s);
    repairs_close(s);
    engine_close(s->engine);
    s->engine = NULL;
}

void shard_run(struct shard *s) {
    do {
        uint32_t patience_ms = shard_wait_ms(s);
        if (s->stop_deadline_ms != 0 && patience_ms > 10) patience_ms = 10;
        const uint32_t count = os_loop_wait(s->loop, patience_ms, s->events, SHARD_EVENTS_MAX);
        shard_turn(s, s->events, count);
    } while (!shard_is_over(s));
    shard_close(s);
}

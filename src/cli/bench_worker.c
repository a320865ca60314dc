#include "cli/bench_worker.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cli/bench_reply.h"

#include <stdatomic.h>
#include <stdio.h>

#define BENCH_INPUT_BYTES (256u * 1024) /* one read takes the replies of a deep pipeline */
#define BENCH_EVENTS 256u
#define RETRY_MS 100u /* between attempts to connect */
#define WAIT_MS 50u   /* at most, so that `stop` and ends are seen */
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S 1e9

enum tag { TAG_SOCKET, TAG_RETRY };

enum connection_state { CONNECTION_DOWN, CONNECTION_CONNECTING, CONNECTION_UP };

/* A command under way. */
struct command_sent {
    uint64_t since_ns; /* sent, or due in an open loop */
    enum workload_op op;
};

struct bench_connection {
    struct bench_worker *worker;
    struct os_sock sock;
    enum connection_state state;
    struct buffer out; /* encoded and not yet taken by the kernel */
    struct bench_reply reply;
    struct os_timer retry;
    struct command_sent *under_way; /* a ring of `pipeline` */
    uint32_t first;                 /* oldest in the ring */
    uint32_t count;                 /* in the ring */
};

/* ---- what is counted ---- */

static void add_kind(struct bench_stats *s, const char *name, uint64_t count) {
    if (count == 0) return;
    s->errors += count;
    for (uint32_t i = 0; i < BENCH_KINDS_MAX; i++) {
        struct bench_kind *kind = &s->kinds[i];
        if (kind->count == 0)
            snprintf(kind->name, sizeof kind->name, "%s", i + 1 < BENCH_KINDS_MAX ? name : "other");
        else if (i + 1 < BENCH_KINDS_MAX && strcmp(kind->name, name) != 0)
            continue;
        kind->count += count;
        return;
    }
}

void bench_stats_merge(struct bench_stats *into, const struct bench_stats *from) {
    for (uint32_t i = 0; i < WORKLOAD_OPS; i++)
        histogram_merge(&into->latency_ns[i], &from->latency_ns[i]);
    for (uint32_t i = 0; i < BENCH_KINDS_MAX; i++)
        add_kind(into, from->kinds[i].name, from->kinds[i].count);
    into->misses += from->misses;
    if (from->late_max_ns > into->late_max_ns) into->late_max_ns = from->late_max_ns;
    if (into->began_ns == 0 || from->began_ns < into->began_ns) into->began_ns = from->began_ns;
    if (from->ended_ns > into->ended_ns) into->ended_ns = from->ended_ns;
}

static void settle(struct bench_worker *w, uint64_t count, uint64_t now_ns) {
    ASSERT(w->settled + count <= w->sent);
    w->settled += count;
    w->settled_ns = now_ns;
}

/* The next `share` of `total` for worker `index`. */
static uint64_t share_of(uint64_t total, uint32_t index, uint32_t workers) {
    return total / workers + (index < total % workers ? 1 : 0);
}

void bench_worker_init(struct bench_worker *w, struct os *os, const struct bench_options *options,
                       uint32_t index) {
    ASSERT(options->threads > 0);
    ASSERT(index < options->threads);
    ASSERT(options->pipeline > 0 && options->pipeline <= BENCH_PIPELINE_MAX);
    memset(w, 0, sizeof *w);
    w->os = os;
    w->options = options;
    w->index = index;
    w->input = mem_alloc(BENCH_INPUT_BYTES);
    w->quota =
        options->requests > 0 ? share_of(options->requests, index, options->threads) : UINT64_MAX;
    if (options->load) {
        w->quota = share_of(options->workload.keys, index, options->threads);
        for (uint32_t i = 0; i < index; i++)
            w->load_next += share_of(options->workload.keys, i, options->threads);
    }
    struct workload_options workload = options->workload;
    workload.seed += index;
    w->workload = workload_create(&workload);
    w->connections_count = (uint32_t)share_of(options->clients, index, options->threads);
    w->connections = mem_alloc_zeroed(w->connections_count * sizeof *w->connections);
    const size_t command_bytes_max = 2 * WORKLOAD_TEMPLATE_BYTES + workload.value_max + 64;
    for (uint32_t i = 0; i < w->connections_count; i++) {
        struct bench_connection *c = &w->connections[i];
        c->worker = w;
        buffer_init(&c->out, 2 * (options->pipeline * command_bytes_max + 4096));
        os_timer_init(&c->retry, c, TAG_RETRY);
        c->under_way = mem_alloc(options->pipeline * sizeof *c->under_way);
    }
}

void bench_worker_deinit(struct bench_worker *w) {
    for (uint32_t i = 0; i < w->connections_count; i++) {
        buffer_deinit(&w->connections[i].out);
        mem_free(w->connections[i].under_way);
    }
    mem_free(w->connections);
    mem_free(w->input);
    workload_destroy(w->workload);
}

/* ---- connections ---- */

static void connection_close(struct bench_connection *c, const char *why) {
    struct bench_worker *w = c->worker;
    os_sock_close(&c->sock);
    add_kind(&w->stats, why, c->count > 0 ? c->count : 1);
    settle(w, c->count, w->settled_ns);
    c->count = 0;
    c->state = CONNECTION_DOWN;
    buffer_reset(&c->out);
    os_timer_arm(w->loop, &c->retry, os_loop_now_ms(w->loop) + RETRY_MS);
}

static void connection_open(struct bench_connection *c) {
    struct bench_worker *w = c->worker;
    ASSERT(c->state == CONNECTION_DOWN);
    bench_reply_init(&c->reply, w->options->workload.protocol);
    struct status s = os_sock_connect(w->os, w->options->server, &c->sock);
    if (status_ok(s)) s = os_loop_watch(w->loop, c->sock, c, TAG_SOCKET);
    c->state = CONNECTION_CONNECTING;
    if (!status_ok(s)) connection_close(c, "connect");
}

/* Hand the kernel what it takes. Returns whether the connection lives on. */
static bool connection_flush(struct bench_connection *c) {
    while (buffer_len(&c->out) > 0) {
        const struct bytes run = buffer_bytes(&c->out);
        size_t len = 0;
        const struct status s = os_sock_write(c->sock, &run, 1, &len);
        if (s.code == ST_WAIT) return true;
        if (!status_ok(s)) {
            connection_close(c, "closed");
            return false;
        }
        buffer_consume(&c->out, len);
    }
    return true;
}

static void connection_append(struct bench_connection *c, uint64_t since_ns) {
    struct bench_worker *w = c->worker;
    ASSERT(c->count < w->options->pipeline);
    ASSERT(w->sent < w->quota);
    enum workload_op op = WORKLOAD_SET;
    if (w->options->load)
        workload_append_load(w->workload, w->load_next++, &c->out);
    else
        op = workload_append(w->workload, &c->out);
    uint32_t at = c->first + c->count;
    if (at >= w->options->pipeline) at -= w->options->pipeline;
    c->under_way[at] = (struct command_sent){ since_ns, op };
    c->count++;
    w->sent++;
}

/* Closed loop: the next round of a connection that has all its replies. */
static void connection_fill(struct bench_connection *c) {
    struct bench_worker *w = c->worker;
    if (w->options->rate > 0 || w->ended || c->count > 0) return;
    const uint64_t now_ns = os_mono_ns(w->os);
    for (uint32_t i = 0; i < w->options->pipeline && w->sent < w->quota; i++)
        connection_append(c, now_ns);
    (void)connection_flush(c);
}

/* Match the replies in `in` with the commands under way. */
static STATUS connection_replies(struct bench_connection *c, struct bytes in, uint64_t now_ns) {
    struct bench_worker *w = c->worker;
    uint64_t settled = 0;
    struct status s = status_of(ST_OK);
    while (in.len > 0) {
        if (c->count == 0) { /* nobody asked for this */
            s = status_of(ST_CORRUPT);
            break;
        }
        size_t used = 0;
        enum bench_result result = BENCH_HIT;
        s = bench_reply_next(&c->reply, in, &used, &result);
        in = bytes_of(in.ptr + used, in.len - used);
        if (!status_ok(s)) break;
        const struct command_sent *sent = &c->under_way[c->first];
        if (result == BENCH_ERROR)
            add_kind(&w->stats, c->reply.error, 1);
        else
            histogram_record(&w->stats.latency_ns[sent->op], now_ns - sent->since_ns);
        w->stats.misses += result == BENCH_MISS;
        if (++c->first == w->options->pipeline) c->first = 0;
        c->count--;
        settled++;
    }
    settle(w, settled, now_ns);
    return s.code == ST_WAIT ? status_of(ST_OK) : s;
}

/* Read until the kernel has no more. Returns whether the connection lives on. */
static bool connection_read(struct bench_connection *c) {
    struct bench_worker *w = c->worker;
    for (;;) {
        size_t len = 0;
        struct status s = os_sock_read(c->sock, w->input, BENCH_INPUT_BYTES, &len);
        if (s.code == ST_WAIT) return true;
        if (!status_ok(s)) {
            connection_close(c, "closed");
            return false;
        }
        s = connection_replies(c, bytes_of(w->input, len), os_mono_ns(w->os));
        if (!status_ok(s)) {
            connection_close(c, "protocol");
            return false;
        }
        /* With every reply here there is nothing to wait for: save a system call. */
        if (c->count == 0 && len < BENCH_INPUT_BYTES) return true;
    }
}

static void on_socket(struct bench_connection *c, uint32_t ready) {
    if (c->state == CONNECTION_CONNECTING && (ready & (OS_READY_WRITE | OS_READY_CLOSED))) {
        if (ready & OS_READY_CLOSED) {
            connection_close(c, "connect");
            return;
        }
        c->state = CONNECTION_UP;
        c->worker->settled_ns = os_loop_now_ns(c->worker->loop);
    }
    if (c->state != CONNECTION_UP) return;
    if ((ready & OS_READY_WRITE) && !connection_flush(c)) return;
    if ((ready & (OS_READY_READ | OS_READY_CLOSED)) && !connection_read(c)) return;
    connection_fill(c);
}

/* ---- the run ---- */

/* Open loop: give what has fallen due to connections with room, and send it. Returns
 * how long the worker may sleep, ms. */
static uint32_t send_due(struct bench_worker *w) {
    const double interval_ns = NS_PER_S * w->options->threads / w->options->rate;
    const uint64_t now_ns = os_mono_ns(w->os);
    uint32_t full = 0; /* connections in a row that took nothing */
    uint64_t due_ns = 0;
    while (!w->ended && w->sent < w->quota) {
        due_ns = w->start_ns + (uint64_t)((double)w->sent * interval_ns);
        if (due_ns > now_ns || full == w->connections_count) break;
        struct bench_connection *c = &w->connections[w->turn_next];
        if (++w->turn_next == w->connections_count) w->turn_next = 0;
        full++;
        if (c->state != CONNECTION_UP || c->count == w->options->pipeline) continue;
        full = 0;
        if (now_ns - due_ns > w->stats.late_max_ns) w->stats.late_max_ns = now_ns - due_ns;
        connection_append(c, due_ns);
    }
    for (uint32_t i = 0; i < w->connections_count; i++) {
        struct bench_connection *c = &w->connections[i];
        if (c->state == CONNECTION_UP && buffer_len(&c->out) > 0) (void)connection_flush(c);
    }
    /* The loop counts in milliseconds: what is due sooner is waited for awake. */
    return full > 0 || due_ns > now_ns + 2 * NS_PER_MS ? 1 : 0;
}

/* Whether an answer is due, or none can come: every connection is down. */
static bool is_waiting(const struct bench_worker *w) {
    if (w->sent > w->settled || w->settled == 0) return true;
    for (uint32_t i = 0; i < w->connections_count; i++)
        if (w->connections[i].state == CONNECTION_UP) return false;
    return true;
}

/* See what time it is: warm, over, or stalled. */
static void watch_clock(struct bench_worker *w) {
    const struct bench_options *o = w->options;
    const uint64_t now_ns = os_mono_ns(w->os);
    const uint64_t warm_ns = w->start_ns + o->warmup_ns;
    if (!w->warm && now_ns >= warm_ns) {
        w->warm = true;
        if (o->warmup_ns > 0) memset(&w->stats, 0, sizeof w->stats);
        w->stats.began_ns = now_ns;
    }
    if (o->requests == 0 && !o->load && now_ns >= warm_ns + o->run_ns) w->ended = true;
    if (atomic_load_explicit(&w->stop, memory_order_relaxed)) w->ended = true;
    if (w->settled_ns + BENCH_STALL_MS * NS_PER_MS < now_ns && w->settled < w->quota &&
        is_waiting(w))
        w->ended = w->stalled = true;
    atomic_store_explicit(&w->done, w->settled, memory_order_relaxed);
    w->stats.ended_ns = now_ns;
}

void bench_worker_run(void *worker) {
    struct bench_worker *w = worker;
    struct os_event events[BENCH_EVENTS];
    w->loop = os_loop_create(w->os);
    w->start_ns = w->settled_ns = os_mono_ns(w->os);
    for (uint32_t i = 0; i < w->connections_count; i++) connection_open(&w->connections[i]);
    while (!w->ended && w->settled < w->quota) {
        const uint32_t sleep_ms = w->options->rate > 0 ? send_due(w) : WAIT_MS;
        const uint32_t count = os_loop_wait(w->loop, sleep_ms, events, BENCH_EVENTS);
        for (uint32_t i = 0; i < count; i++) {
            struct bench_connection *c = events[i].user;
            if (events[i].kind == OS_EVENT_SOCKET)
                on_socket(c, events[i].ready);
            else if (events[i].kind == OS_EVENT_TIMER && c->state == CONNECTION_DOWN)
                connection_open(c);
        }
        watch_clock(w);
    }
    for (uint32_t i = 0; i < w->connections_count; i++) os_sock_close(&w->connections[i].sock);
    os_loop_destroy(w->loop);
}

#include "sim/client.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sim/client_internal.h"

#include <stdio.h>

#define REQUESTS_AT_A_NODE_MAX 30u
#define PROBE_THINK_MS 300u
/* Longer than a node may take, so that a late answer is seen as late and not as none. */
#define PROBE_TIMEOUT_MS 9000u
#define READ_BYTES (64u * 1024)

enum { TAG_SOCKET, TAG_TIMER };

/* ---- one client ---- */

static uint64_t now_ms(const struct client *c) {
    return os_loop_now_ms(c->all->loop);
}

static void hang_up(struct client *c) {
    os_sock_close(&c->sock);
    buffer_reset(&c->out);
    buffer_reset(&c->in);
    if (c->waiting) client_give_up(c);
}

/* Think, then ask again. */
static void rest(struct client *c) {
    ASSERT(!c->waiting);
    const uint64_t think_ms =
        c->probe ? PROBE_THINK_MS : 1 + sim_random_below(&c->dice, c->all->scenario->think_ms);
    os_timer_arm(c->all->loop, &c->timer, now_ms(c) + think_ms);
}

static bool connect_to_node(struct client *c) {
    char address[OS_ADDRESS_BYTES_MAX];
    ASSERT(c->sock.os == NULL);
    snprintf(address, sizeof address, "10.0.0.%u:%u", c->node + 1, NODE_PORT);
    if (!status_ok(os_sock_connect(c->all->os, address, &c->sock))) return false;
    if (status_ok(os_loop_watch(c->all->loop, c->sock, c, TAG_SOCKET))) return true;
    os_sock_close(&c->sock);
    return false;
}

static bool may_begin(const struct client *c) {
    if (c->probe && (c->all->nodes >> c->node & 1) == 0) return false;
    return c->all->mode == (c->probe ? CLIENTS_PROBE : CLIENTS_LOAD);
}

/* Send what can be sent. False: the connection is gone. */
static bool pump_out(struct client *c) {
    while (buffer_len(&c->out) > 0) {
        const struct bytes run = buffer_bytes(&c->out);
        size_t len = 0;
        const struct status st = os_sock_write(c->sock, &run, 1, &len);
        if (st.code == ST_WAIT) return true;
        if (!status_ok(st)) return false;
        buffer_consume(&c->out, len);
    }
    return true;
}

static uint32_t any_node(struct client *c) {
    const uint64_t nodes = c->all->nodes;
    ASSERT(nodes != 0);
    uint64_t skip = sim_random_below(&c->dice, (uint64_t)__builtin_popcountll(nodes));
    uint64_t rest = nodes;
    for (; skip > 0; skip--) rest &= rest - 1;
    return (uint32_t)__builtin_ctzll(rest);
}

/* A connection speaks one protocol only. */
static bool connect_anew(struct client *c) {
    hang_up(c);
    return connect_to_node(c);
}

static void begin_request(struct client *c) {
    const struct scenario *s = c->all->scenario;
    ASSERT(!c->waiting);
    if (!c->probe && c->requests_left == 0) {
        hang_up(c);
        c->node = any_node(c);
        c->requests_left = 1 + (uint32_t)sim_random_below(&c->dice, REQUESTS_AT_A_NODE_MAX);
    }
    if (c->sock.os == NULL && !connect_to_node(c)) {
        rest(c);
        return;
    }
    if (c->probe) {
        const uint32_t own = clients_probe_key(s, c->node);
        const uint32_t steps = WORK_PROBE_STEPS;
        const bool last = c->step % steps == steps - 1;
        workload_probe(&c->all->workload, c->step++, last ? clients_missing_key(s) : own, &c->work);
    } else {
        c->requests_left--;
        workload_draw(&c->all->workload, &c->dice, &c->work);
    }
    if (c->work.kind == WORK_TRUNCATE && !connect_anew(c)) {
        rest(c);
        return;
    }
    client_ask(c);
    os_timer_arm(c->all->loop, &c->timer,
                 now_ms(c) + (c->probe ? PROBE_TIMEOUT_MS : s->timeout_ms));
    if (!pump_out(c)) hang_up(c);
}

static void on_timer(struct client *c) {
    if (c->waiting)
        hang_up(c); /* out of patience */
    else if (may_begin(c))
        begin_request(c);
    else
        hang_up(c);
    if (!c->waiting && may_begin(c)) rest(c);
}

static struct status parse_reply(struct client *c, struct client_reply *ret_reply,
                                 size_t *ret_used) {
    const struct bytes in = buffer_bytes(&c->in);
    if (c->work.kind == WORK_TRUNCATE) return client_reply_parse_resp(in, ret_reply, ret_used);
    return client_reply_parse(in, &c->body, ret_reply, ret_used);
}

/* Take what has arrived. False: the connection is gone, or no use any more. */
static bool pump_in(struct client *c) {
    for (;;) {
        uint8_t *space = buffer_reserve(&c->in, READ_BYTES);
        size_t len = 0;
        if (space == NULL) return false;
        const struct status st = os_sock_read(c->sock, space, READ_BYTES, &len);
        if (st.code == ST_WAIT) return true;
        if (!status_ok(st)) return false;
        buffer_commit(&c->in, len);
        struct client_reply reply;
        size_t used = 0;
        const struct status parsed = parse_reply(c, &reply, &used);
        if (parsed.code == ST_WAIT) continue;
        if (!status_ok(parsed) || !c->waiting) return false;
        if (!status_ok(client_take_answer(c, &reply))) return false;
        buffer_consume(&c->in, used);
        rest(c);
        if (reply.close) return false;
    }
}

static void on_socket(struct client *c) {
    if (c->sock.os == NULL) return;
    const bool sent = pump_out(c);
    const bool received = pump_in(c);
    if (sent && received) return;
    hang_up(c);
    if (may_begin(c)) rest(c);
}

static void client_init(struct client *c, struct clients *all, uint32_t index, uint64_t seed) {
    *c = (struct client){ .all = all, .index = index, .dice = sim_random_of(seed) };
    c->sock = (struct os_sock){ .os = NULL, .handle = -1 };
    c->probe = index >= all->scenario->clients;
    if (c->probe) c->node = index - all->scenario->clients;
    os_timer_init(&c->timer, c, TAG_TIMER);
    buffer_init(&c->out, CLIENT_ANSWER_BYTES_MAX);
    buffer_init(&c->in, CLIENT_ANSWER_BYTES_MAX);
    buffer_init(&c->body, CLIENT_ANSWER_BYTES_MAX);
    c->seen = mem_alloc_zeroed(HISTORY_KEYS_MAX * sizeof *c->seen);
    ASSERT(c->node < scenario_machines(all->scenario));
}

static void client_deinit(struct client *c) {
    if (c->waiting) client_give_up(c);
    os_timer_disarm(c->all->loop, &c->timer);
    os_sock_close(&c->sock);
    buffer_deinit(&c->out);
    buffer_deinit(&c->in);
    buffer_deinit(&c->body);
    mem_free(c->seen);
}

/* ---- all ---- */

struct clients *clients_create(const struct clients_options *options, uint64_t world_ns) {
    ASSERT(options->history->keys_count == clients_missing_key(options->scenario) + 1);
    struct clients *c = mem_alloc_zeroed(sizeof *c);
    c->scenario = options->scenario;
    c->history = options->history;
    c->trace = options->trace;
    c->world_ns = world_ns;
    c->mode = CLIENTS_REST;
    struct sim_random dice = sim_random_of(c->scenario->seed ^ 0xc11e27);
    c->disk = sim_disk_create(sim_random_next(&dice));
    c->os = sim_os_create(sim_random_next(&dice), c->disk);
    sim_os_drive(c->os, world_ns);
    c->place = sim_net_attach(options->net, c->os, CLIENTS_IP);
    c->loop = os_loop_create(c->os);
    workload_init(&c->workload, &c->scenario->mix, c->scenario->keys);
    clients_know(c, (UINT64_C(1) << c->scenario->nodes) - 1);
    c->count = c->scenario->clients + scenario_machines(c->scenario);
    c->clients = mem_alloc_zeroed(c->count * sizeof *c->clients);
    for (uint32_t i = 0; i < c->count; i++)
        client_init(&c->clients[i], c, i, sim_random_next(&dice));
    return c;
}

void clients_destroy(struct clients *c) {
    ASSERT(c->clients != NULL);
    for (uint32_t i = 0; i < c->count; i++) client_deinit(&c->clients[i]);
    os_loop_destroy(c->loop);
    os_destroy(c->os);
    sim_disk_destroy(c->disk);
    mem_free(c->clients);
    mem_free(c);
}

void clients_mode(struct clients *c, enum clients_mode mode, uint64_t world_ns) {
    ASSERT(world_ns >= c->world_ns);
    ASSERT(mode <= CLIENTS_PROBE);
    c->world_ns = world_ns;
    c->mode = mode;
    sim_os_now(c->os, world_ns);
    for (uint32_t i = 0; i < c->count; i++) {
        struct client *one = &c->clients[i];
        if (!one->waiting && may_begin(one)) rest(one);
    }
}

void clients_know(struct clients *c, uint64_t nodes) {
    ASSERT(nodes != 0);
    ASSERT(nodes >> scenario_keepers(c->scenario) == 0);
    c->nodes = nodes | scenario_proxy_bits(c->scenario);
}

void clients_doubt(struct clients *c, uint32_t node, bool doubt) {
    ASSERT(node < scenario_keepers(c->scenario));
    const uint64_t bit = UINT64_C(1) << node;
    c->doubtful = doubt ? c->doubtful | bit : c->doubtful & ~bit;
}

uint64_t clients_due_ns(const struct clients *c) {
    return sim_loop_due_ns(c->loop);
}

uint32_t clients_place(const struct clients *c) {
    return c->place;
}

void clients_turn(struct clients *c, uint64_t world_ns) {
    ASSERT(world_ns >= c->world_ns);
    c->world_ns = world_ns;
    sim_os_now(c->os, world_ns);
    const uint32_t count = os_loop_wait(c->loop, 0, c->events, CLIENT_EVENTS_MAX);
    ASSERT(count <= CLIENT_EVENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct os_event *e = &c->events[i];
        if (e->kind == OS_EVENT_TIMER) on_timer(e->user);
        if (e->kind == OS_EVENT_SOCKET) on_socket(e->user);
    }
}

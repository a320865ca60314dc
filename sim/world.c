#include "sim/world.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/world_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define PROGRESS_NS (10000 * NS_A_MS)
#define NOTE_BYTES_MAX (LOG_LINE_BYTES_MAX + 64u)
/* Turns in one moment before the world is sure that it does not get on. */
#define SAME_MOMENT_MAX 100000u
#define PROBE_SLICE_MS 100u
#define BEGIN_SLICE_MS 100u
/* Each replica may find damage of its own, one table after the other. */
#define PROBES_MAX 8u
#define HEAL_SECONDS_MAX 60u

struct world *world_now;

/* ---- hooks ---- */

void world_note(struct world *w, const char *format, ...) {
    char line[NOTE_BYTES_MAX];
    if (w->options.say_log == NULL) return;
    int len = snprintf(line, sizeof line, "%9.3f ", (double)w->now_ns / 1e9);
    ASSERT(len > 0);
    va_list args;
    va_start(args, format);
    vsnprintf(line + len, sizeof line - (size_t)len, format, args);
    va_end(args);
    w->options.say_log(w->options.user, line);
}

static void on_log(enum log_level level, const char *line) {
    static const char *const words[] = { "debug", "info", "warn", "error" };
    struct world *w = world_now;
    ASSERT(w != NULL);
    ASSERT(level <= LOG_ERROR);
    sim_trace_add(&w->trace, line, strlen(line));
    const uint32_t node = w->running == NULL ? 0 : w->running->index + 1;
    world_note(w, "n%u %s: %s", node, words[level], line);
}

static void on_die(void *user, const char *message) {
    struct world *w = user;
    ASSERT(w->running != NULL);
    /* It may be on the stack that is left now. */
    (void)snprintf(w->died, sizeof w->died, "%s", message);
    longjmp(w->escape, 1);
}

/* ---- building ---- */

static void add_key(struct world *w, const char *prefix, uint32_t number) {
    char text[HISTORY_KEY_BYTES_MAX];
    snprintf(text, sizeof text, "%s%u", prefix, number);
    /* Who keeps it is known when there is a cluster. */
    const uint64_t all = (UINT64_C(1) << scenario_keepers(w->scenario)) - 1;
    w->history.keys[history_key(&w->history, text, all)].kept = 0;
}

static void add_keys(struct world *w) {
    history_init(&w->history);
    for (uint32_t i = 0; i < w->scenario->keys; i++) add_key(w, "key:", i);
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++) add_key(w, "probe:", i);
    add_key(w, "missing:", 0);
    ASSERT(w->history.keys_count == clients_missing_key(w->scenario) + 1);
}

struct world *world_create(const struct world_options *options) {
    ASSERT(world_now == NULL);
    ASSERT(scenario_check(options->scenario));
    struct world *w = mem_alloc_zeroed(sizeof *w);
    world_now = w;
    w->options = *options;
    w->scenario = options->scenario;
    w->dice = sim_random_of(w->scenario->seed ^ 0x3031d);
    w->now_ns = NS_A_MS;
    w->operator.next_ns = NEVER_NS;
    w->faults.next_ns = NEVER_NS; /* none before the cluster has begun */
    findings_init(&w->findings);
    log_set_sink(on_log);
    log_set_level(LOG_INFO);
    sim_on_die(on_die, w);
    w->net = sim_net_create(sim_random_next(&w->dice));
    sim_net_set_trace(w->net, &w->trace);
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++) world_node_init(w, i);
    add_keys(w);
    const struct clients_options clients = {
        .scenario = w->scenario, .history = &w->history, .net = w->net, .trace = &w->trace
    };
    w->clients = clients_create(&clients, w->now_ns);
    return w;
}

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t due_ns(const struct world *w) {
    uint64_t due = earlier(sim_net_due_ns(w->net), faults_due_ns(w));
    due = earlier(due, clients_due_ns(w->clients));
    due = earlier(due, operator_due_ns(w));
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++)
        due = earlier(due, world_node_due_ns(&w->nodes[i]));
    return due;
}

/* Run what is due now: deliveries first, so that everybody sees them, then faults, so
 * that they strike before anybody reacts. */
static void step(struct world *w) {
    sim_net_advance(w->net, w->now_ns);
    if (faults_due_ns(w) <= w->now_ns) faults_step(w);
    if (operator_due_ns(w) <= w->now_ns) operator_step(w);
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++) {
        if (world_node_due_ns(&w->nodes[i]) <= w->now_ns) world_node_turn(w, &w->nodes[i]);
    }
    if (clients_due_ns(w->clients) <= w->now_ns) clients_turn(w->clients, w->now_ns);
}

static void say_progress(struct world *w) {
    char line[160];
    uint32_t up = 0;
    uint64_t faults = 0;
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++)
        up += w->nodes[i].state == NODE_UP;
    for (uint32_t i = 0; i < FAULT_KINDS; i++) faults += w->faults.counts[i];
    w->said_ns += PROGRESS_NS;
    snprintf(line, sizeof line, "%4llu s: %u operations, %llu faults, %u of %u nodes up",
             (unsigned long long)(w->said_ns / NS_A_MS / 1000), w->history.ops_count,
             (unsigned long long)faults, up, scenario_machines(w->scenario));
    w->options.say(w->options.user, line);
}

static void run_until(struct world *w, uint64_t end_ns) {
    uint32_t same = 0;
    ASSERT(end_ns >= w->now_ns);
    for (;;) {
        const uint64_t due = due_ns(w);
        if (due > end_ns) break;
        same = due > w->now_ns ? 0 : same + 1;
        ASSERT(same < SAME_MOMENT_MAX);
        if (due > w->now_ns) w->now_ns = due;
        while (w->now_ns - w->said_ns >= PROGRESS_NS) say_progress(w);
        step(w);
    }
    w->now_ns = end_ns;
}

/* ---- phases ---- */

/* Replicas that gave up damaged tables abstain until they are filled again (R12). */
static bool too_many_heal(const struct world *w) {
    const uint8_t need = scenario_need(w->scenario, false, WORK_DEFAULT);
    uint32_t healing = 0;
    for (uint32_t i = 0; i < scenario_keepers(w->scenario); i++) {
        const struct world_node *n = &w->nodes[i];
        if ((world_members(w) >> i & 1) == 0) continue;
        bool filled = n->state == NODE_UP;
        for (uint32_t k = 0; filled && k < n->process->node.shards_count; k++)
            filled = n->process->node.shards[k]->filled;
        healing += !filled;
    }
    return healing > (uint32_t)(w->scenario->replicas - need);
}

/* What was refused while too few replicas could speak proves nothing. */
static void excuse(struct world *w, uint64_t from_ns) {
    for (uint32_t i = 0; i < w->history.ops_count; i++) {
        struct history_op *op = &w->history.ops[i];
        if (op->must_work && op->status == 503 && op->ended_ns >= from_ns) op->must_work = false;
    }
}

/* Ask every node for everything. False: damage was found on the way that the answers of the
 * others cannot make up for. */
static bool probe(struct world *w) {
    bool whole = true, was_bad = false;
    clients_mode(w->clients, CLIENTS_PROBE, w->now_ns);
    for (uint32_t done_ms = 0; done_ms < SCENARIO_PROBING_MS; done_ms += PROBE_SLICE_MS) {
        const uint64_t from_ns = w->now_ns;
        const bool before = too_many_heal(w);
        run_until(w, from_ns + PROBE_SLICE_MS * NS_A_MS);
        const bool bad = before || too_many_heal(w);
        if (bad || was_bad) excuse(w, from_ns);
        if (bad) whole = false;
        was_bad = bad;
    }
    clients_mode(w->clients, CLIENTS_REST, w->now_ns);
    return whole;
}

/* Damage is found when it is read, which may be long after the faults. */
static void probe_until_whole(struct world *w) {
    for (uint32_t i = 0; i < PROBES_MAX && !probe(w); i++) {
        for (uint32_t s = 0; s < HEAL_SECONDS_MAX && too_many_heal(w); s++)
            run_until(w, w->now_ns + 1000 * NS_A_MS);
    }
}

/* All nodes of the list start, and find each other. */
static void begin(struct world *w) {
    const uint64_t end_ns = w->now_ns + SCENARIO_BEGIN_MS * NS_A_MS;
    while (w->now_ns < end_ns && !world_has_begun(w))
        run_until(w, w->now_ns + BEGIN_SLICE_MS * NS_A_MS);
    if (!world_has_begun(w))
        findings_add(&w->findings, "the nodes have not made a cluster after %u ms",
                     SCENARIO_BEGIN_MS);
    world_note(w, "the cluster has begun");
}

static void heal(struct world *w) {
    run_until(w, w->now_ns + SCENARIO_HEALING_MS * NS_A_MS);
    const uint64_t end_ns = w->now_ns + SCENARIO_SETTLING_MS * NS_A_MS;
    if (operator_is_done(w)) return;
    while (w->now_ns < end_ns && !operator_is_done(w)) run_until(w, w->now_ns + 1000 * NS_A_MS);
    /* Who was just told of it finishes. */
    run_until(w, w->now_ns + 5000 * NS_A_MS);
}

void world_run(struct world *w) {
    ASSERT(w->settled_ns == 0);
    begin(w);
    clients_mode(w->clients, CLIENTS_LOAD, w->now_ns);
    faults_init(w);
    operator_init(w);
    run_until(w, w->now_ns + w->scenario->faulty_ms * NS_A_MS);
    world_note(w, "the faults are over");
    clients_mode(w->clients, CLIENTS_REST, w->now_ns);
    faults_end(w);
    operator_tidy(w);
    heal(w);
    w->settled_ns = w->now_ns;
    if (world_members(w) != 0) clients_know(w->clients, world_members(w));
    probe_until_whole(w);
    run_until(w, w->now_ns + SCENARIO_QUIET_MS * NS_A_MS);
}

struct world_counts world_counts(const struct world *w) {
    struct world_counts c = { .turns = w->turns,
                              .deliveries = sim_net_counts(w->net).deliveries,
                              .simulated_ms = w->now_ns / NS_A_MS,
                              .losses = w->history.losses };
    memcpy(c.faults, w->faults.counts, sizeof c.faults);
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++) c.boots += w->nodes[i].boots;
    for (uint32_t i = 0; i < w->history.ops_count; i++) {
        const struct history_op *op = &w->history.ops[i];
        c.operations[op->kind][op->outcome]++;
    }
    return c;
}

const struct history *world_history(const struct world *w) {
    return &w->history;
}

uint64_t world_trace(const struct world *w) {
    return w->trace.hash;
}

#include "sim/faults.h"

#include "base/assert.h"
#include "sim/world_internal.h"
#include "storage/manifest.h"

#include <stdio.h>

#define WINDOW_MS_MAX 15000u
#define PAUSE_MS_MAX 8000u
#define SKEW_MS_MAX 200 /* two nodes are then within what R14 allows */
#define SKEW_WILD_MS_MAX 20000
#define DRIFT_PPM_MAX 2000
#define STALL_MS_MAX 3000u

static uint64_t below(struct world *w, uint64_t bound) {
    return sim_random_below(&w->faults.dice, bound);
}

static struct world_node *any_node(struct world *w) {
    return &w->nodes[below(w, scenario_machines(w->scenario))];
}

/* Faults of disks are for those that use one. */
static struct world_node *any_keeper(struct world *w) {
    return &w->nodes[below(w, scenario_keepers(w->scenario))];
}

static uint64_t in_ms(const struct world *w, uint64_t ms) {
    return w->now_ns + ms * NS_A_MS;
}

/* When a node that goes down now comes back. */
static uint64_t back_ns(struct world *w) {
    return in_ms(w, 50 + below(w, w->scenario->down_ms_max));
}

static uint64_t place_bit(const struct world *w, uint32_t node) {
    return UINT64_C(1) << w->places[node];
}

static uint64_t all_places(const struct world *w) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++) bits |= place_bit(w, i);
    return bits;
}

/* ---- windows ---- */

static struct fault_window *window_open(struct world *w, enum fault_kind kind) {
    for (uint32_t i = 0; i < FAULT_WINDOWS_MAX; i++) {
        struct fault_window *f = &w->faults.windows[i];
        if (f->open) continue;
        *f = (struct fault_window){ .kind = kind, .open = true };
        f->end_ns = in_ms(w, 100 + below(w, WINDOW_MS_MAX));
        return f;
    }
    return NULL;
}

/* What a window does to one link. */
static void window_apply(const struct fault_window *f, struct sim_net_link *link) {
    switch (f->kind) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY: link->blocked = true; break;
    case FAULT_SLOW:
        link->delay_min_us = f->amount * 500;
        link->delay_max_us = f->amount * 1000;
        break;
    case FAULT_CLOG: link->bytes_per_s = f->amount; break;
    case FAULT_FRAMES_LOST: link->lost_permille = f->amount; break;
    case FAULT_FRAMES_REPEATED: link->repeated_permille = f->amount; break;
    case FAULT_FRAMES_LATE: link->late_permille = f->amount; break;
    case FAULT_FRAMES_FLIPPED: link->flipped_permille = f->amount; break;
    default: break;
    }
}

static bool window_covers(const struct fault_window *f, uint32_t from, uint32_t to) {
    if (!f->open) return false;
    if ((f->from >> from & 1) != 0 && (f->to >> to & 1) != 0) return true;
    return f->both_ways && (f->from >> to & 1) != 0 && (f->to >> from & 1) != 0;
}

static void set_link(struct world *w, uint32_t from, uint32_t to) {
    const struct sim_net_link before = sim_net_link(w->net, from, to);
    struct sim_net_link link = { .delay_min_us = LINK_DELAY_US_MIN,
                                 .delay_max_us = LINK_DELAY_US_MAX };
    for (uint32_t i = 0; i < FAULT_WINDOWS_MAX; i++) {
        const struct fault_window *f = &w->faults.windows[i];
        if (window_covers(f, from, to)) window_apply(f, &link);
    }
    if (memcmp(&before, &link, sizeof link) != 0) sim_net_set_link(w->net, from, to, &link);
}

static void set_links(struct world *w) {
    const uint32_t client = clients_place(w->clients);
    ASSERT(scenario_machines(w->scenario) <= SCENARIO_MACHINES_MAX);
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++) {
        set_link(w, w->places[i], client);
        set_link(w, client, w->places[i]);
        for (uint32_t j = 0; j < scenario_machines(w->scenario); j++) {
            if (i != j) set_link(w, w->places[i], w->places[j]);
        }
    }
}

static void window_close(struct world *w, struct fault_window *f) {
    ASSERT(f->open);
    f->open = false;
    if (f->node >= scenario_machines(w->scenario)) return;
    struct world_node *n = &w->nodes[f->node];
    switch (f->kind) {
    case FAULT_DISK_FULL:
        sim_disk_set_capacity(n->disk, SIM_DISK_UNLIMITED);
        n->is_full = false;
        break;
    case FAULT_CLOCK_JUMP:
    case FAULT_CLOCK_WILD:
        n->skew_ms = 0;
        world_set_clocks(w, n);
        break;
    case FAULT_CLOCK_DRIFT:
        n->drift_ppm = 0;
        world_set_clocks(w, n);
        break;
    default: break;
    }
    world_note(w, "%s is over", fault_name(f->kind));
}

/* ---- one fault; false: it had no effect ---- */

static bool network_fault(struct world *w, enum fault_kind kind) {
    const uint64_t all = all_places(w);
    struct fault_window *f = window_open(w, kind);
    if (f == NULL) return false;
    const uint32_t a = (uint32_t)below(w, scenario_machines(w->scenario));
    const uint32_t b = (uint32_t)below(w, scenario_machines(w->scenario));
    f->node = UINT32_MAX;
    f->from = place_bit(w, a);
    f->to = all & ~f->from;
    switch (kind) {
    case FAULT_PARTITION:
        for (uint32_t i = 0; i < scenario_machines(w->scenario); i++) {
            if (below(w, 3) == 0) f->from |= place_bit(w, i);
        }
        f->to = all & ~f->from;
        f->both_ways = true;
        break;
    case FAULT_ONE_WAY: f->to = place_bit(w, b) & ~f->from; break;
    case FAULT_SLOW:
        f->to |= UINT64_C(1) << clients_place(w->clients);
        f->both_ways = below(w, 2) == 0;
        f->amount = 5 + (uint32_t)below(w, 300);
        break;
    case FAULT_CLOG:
        f->both_ways = below(w, 2) == 0;
        f->amount = 1000 + (uint32_t)below(w, 100000);
        break;
    default:
        f->from = f->to = all;
        f->amount = 1 + (uint32_t)below(w, below(w, 2) == 0 ? 10 : 150);
        break;
    }
    set_links(w);
    return f->to != 0;
}

static bool clock_fault(struct world *w, enum fault_kind kind) {
    struct world_node *n = any_node(w);
    struct fault_window *f = window_open(w, kind);
    if (f == NULL) return false;
    f->node = n->index;
    f->amount = 0;
    if (kind == FAULT_CLOCK_DRIFT) {
        n->drift_ppm = (int32_t)below(w, 2 * DRIFT_PPM_MAX + 1) - DRIFT_PPM_MAX;
    } else {
        const int64_t most = kind == FAULT_CLOCK_WILD ? SKEW_WILD_MS_MAX : SKEW_MS_MAX;
        n->skew_ms = (int64_t)below(w, (uint64_t)(2 * most + 1)) - most;
        const uint64_t size = (uint64_t)(n->skew_ms < 0 ? -n->skew_ms : n->skew_ms);
        if (size > w->skew_ms_max) w->skew_ms_max = size;
    }
    world_set_clocks(w, n);
    return n->state != NODE_DOWN;
}

static bool reset_fault(struct world *w) {
    const uint32_t a = any_node(w)->index;
    const uint32_t b = any_node(w)->index;
    const uint32_t to = a == b ? clients_place(w->clients) : w->places[b];
    return sim_net_reset(w->net, w->places[a], to) > 0;
}

bool faults_take_loss(struct world *w) {
    if (w->faults.losses >= w->scenario->losses_max) return false;
    w->faults.losses++;
    return true;
}

static bool disk_fault(struct world *w, enum fault_kind kind) {
    struct world_node *n = any_keeper(w);
    if (n->state == NODE_DOWN) return false;
    struct fault_window *f;
    switch (kind) {
    case FAULT_SYNC_ERROR:
        n->may_die = true;
        sim_disk_fail_sync(n->disk);
        return true;
    case FAULT_READ_ERROR:
        n->may_die = true;
        /* Two make a table suspect. Two more when it is judged, and two when it is to be given up,
         * would be an outage of reads alone, which no disk has. */
        sim_disk_fail_read(n->disk, 1 + below(w, 20), 1 + below(w, 3));
        return true;
    case FAULT_DISK_FULL:
        f = window_open(w, kind);
        if (f == NULL) return false;
        f->node = n->index;
        n->is_full = true;
        sim_disk_set_capacity(n->disk, sim_disk_used_bytes(n->disk) + below(w, 1 << 18));
        return true;
    case FAULT_STALL:
        sim_os_stall(n->process->os, in_ms(w, 100 + below(w, 5000)),
                     (1 + below(w, STALL_MS_MAX)) * 1000);
        return true;
    default: break;
    }
    ASSERT(kind == FAULT_MISDIRECT);
    if (!faults_take_loss(w)) return false;
    n->may_die = n->suspect = true;
    sim_disk_misdirect_write(n->disk, 1 + below(w, 10));
    return true;
}

/* ---- rot ---- */

#define ROT_FILES_MAX 256u

struct files {
    bool tables_only;                             /* others are not taken */
    uint32_t count;                               /* seen */
    char names[ROT_FILES_MAX][OS_NAME_BYTES_MAX]; /* the first of them */
};

static bool is_table(const char *name) {
    uint64_t number;
    return manifest_name_number(name, "table-", &number);
}

static void files_add(void *user, const char *name) {
    struct files *f = user;
    if (f->tables_only && !is_table(name)) return;
    if (strncmp(name, "damaged-", 8) == 0) return; /* nobody reads it */
    if (f->count < ROT_FILES_MAX) snprintf(f->names[f->count++], OS_NAME_BYTES_MAX, "%s", name);
}

/* Whether a node gets back what a damaged table held. */
static bool heals(const struct world *w) {
    const struct scenario *c = w->scenario;
    return !c->alone && c->replicas > 1 && c->repair_rate != 0;
}

static bool rot_fault(struct world *w) {
    struct world_node *n = any_keeper(w);
    static struct files files;
    char dir[OS_NAME_BYTES_MAX];
    char path[OS_PATH_BYTES_MAX];
    struct bytes content;
    files.count = 0;
    files.tables_only = heals(w) && below(w, 8) != 0;
    snprintf(dir, sizeof dir, "data/shard-%02u", (unsigned)below(w, w->scenario->shards));
    if (!status_ok(sim_disk_list(n->disk, dir, files_add, &files)) || files.count == 0)
        return false;
    const char *name = files.names[below(w, files.count)];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!status_ok(sim_disk_view(n->disk, path, &content)) || content.len == 0) return false;
    /* More of it in the tables of one node is no more than the loss of that node. */
    const bool again = n->rotten && files.tables_only;
    if (!again && !faults_take_loss(w)) return false;
    const uint64_t offset = below(w, content.len);
    const bool spoils = is_table(name) && below(w, 2) == 0;
    const struct status st = spoils ? sim_disk_spoil(n->disk, path, offset)
                                    : sim_disk_flip(n->disk, path, offset, (uint32_t)below(w, 8));
    ASSERT(status_ok(st));
    world_note(w, "node %u: %s in %s at %llu", n->index + 1, spoils ? "a bad sector" : "bit rot",
               path, (unsigned long long)offset);
    if (is_table(name) && heals(w)) {
        /* It gives the table up, whenever it finds out, and has it all back in the end. */
        n->rotten = true;
        history_loss(&w->history, n->index);
        return true;
    }
    n->may_die = n->suspect = true;
    /* The end of a log that is damaged looks like one that was torn, so it is cut: what was
     * acknowledged there is gone without a sign. Elsewhere damage must be noticed. */
    if (strncmp(name, "wal-", 4) == 0) n->astray = true;
    if (n->astray) history_loss(&w->history, n->index);
    return true;
}

/* ---- nodes ---- */

static bool node_fault(struct world *w, enum fault_kind kind) {
    struct world_node *n = kind == FAULT_WIPE ? any_keeper(w) : any_node(w);
    if (n->state == NODE_DOWN) return false;
    switch (kind) {
    case FAULT_KILL: world_crash(w, n, false, back_ns(w)); return true;
    case FAULT_POWER: world_crash(w, n, true, back_ns(w)); return true;
    case FAULT_STOP:
        if (n->state != NODE_UP || n->resume_ns != 0) return false;
        world_stop(w, n, back_ns(w));
        return true;
    case FAULT_PAUSE:
        if (n->resume_ns != 0) return false;
        n->resume_ns = in_ms(w, 10 + below(w, PAUSE_MS_MAX));
        return true;
    default: break;
    }
    ASSERT(kind == FAULT_WIPE);
    /* Of one that was given up and runs on the member must be known until it is dead. */
    if (n->out || !faults_take_loss(w)) return false;
    world_wipe(w, n, back_ns(w));
    return true;
}

static bool blackout(struct world *w) {
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++)
        world_crash(w, &w->nodes[i], true, back_ns(w));
    return true;
}

static bool inject(struct world *w, enum fault_kind kind) {
    switch (kind) {
    case FAULT_KILL:
    case FAULT_POWER:
    case FAULT_STOP:
    case FAULT_PAUSE:
    case FAULT_WIPE: return node_fault(w, kind);
    case FAULT_BLACKOUT: return blackout(w);
    case FAULT_CLOCK_DRIFT:
    case FAULT_CLOCK_JUMP:
    case FAULT_CLOCK_WILD: return clock_fault(w, kind);
    case FAULT_RESET: return reset_fault(w);
    case FAULT_SYNC_ERROR:
    case FAULT_DISK_FULL:
    case FAULT_READ_ERROR:
    case FAULT_STALL:
    case FAULT_MISDIRECT: return disk_fault(w, kind);
    case FAULT_ROT: return rot_fault(w);
    case FAULT_JOIN:
    case FAULT_LEAVE:
    case FAULT_REMOVE:
    case FAULT_WEIGHT:
    case FAULT_CONTROL:
    case FAULT_REPLICAS: return operator_fault(w, kind);
    default: return network_fault(w, kind);
    }
}

/* ---- schedule ---- */

static void schedule(struct world *w) {
    const uint32_t gap_ms = w->scenario->fault_gap_ms;
    w->faults.next_ns =
        w->scenario->faults == 0 ? NEVER_NS : in_ms(w, 1 + below(w, 2 * (uint64_t)gap_ms));
}

void faults_init(struct world *w) {
    w->faults = (struct faults){ .dice = sim_random_of(w->scenario->seed ^ 0xfa0175) };
    ASSERT(w->clients != NULL);
    set_links(w);
    schedule(w);
}

uint64_t faults_due_ns(const struct world *w) {
    uint64_t due_ns = w->faults.next_ns;
    for (uint32_t i = 0; i < FAULT_WINDOWS_MAX; i++) {
        const struct fault_window *f = &w->faults.windows[i];
        if (f->open && f->end_ns < due_ns) due_ns = f->end_ns;
    }
    return due_ns;
}

static void close_windows(struct world *w, bool all) {
    bool closed = false;
    for (uint32_t i = 0; i < FAULT_WINDOWS_MAX; i++) {
        struct fault_window *f = &w->faults.windows[i];
        if (!f->open || (!all && f->end_ns > w->now_ns)) continue;
        window_close(w, f);
        closed = true;
    }
    if (closed) set_links(w);
}

void faults_step(struct world *w) {
    ASSERT(faults_due_ns(w) <= w->now_ns);
    close_windows(w, false);
    if (w->faults.next_ns > w->now_ns) return;
    enum fault_kind kind;
    const uint32_t kinds =
        w->scenario->faults >> FAULT_REPLICAS == 0 ? FAULT_REPLICAS : FAULT_KINDS;
    do {
        kind = (enum fault_kind)below(w, kinds);
    } while ((w->scenario->faults >> kind & 1) == 0);
    const uint64_t head[2] = { w->now_ns, kind };
    sim_trace_add(&w->trace, head, sizeof head);
    if (inject(w, kind)) {
        w->faults.counts[kind]++;
        world_note(w, "fault: %s", fault_name(kind));
    }
    schedule(w);
}

void faults_end(struct world *w) {
    close_windows(w, true);
    w->faults.next_ns = NEVER_NS;
    sim_net_heal(w->net);
    for (uint32_t i = 0; i < scenario_machines(w->scenario); i++) {
        struct world_node *n = &w->nodes[i];
        sim_disk_heal(n->disk);
        n->resume_ns = n->resume_ns == 0 ? 0 : w->now_ns;
        if (n->out) continue;
        if (n->suspect)
            world_wipe(w, n, w->now_ns);
        else if (n->state == NODE_DOWN || n->boot_ns != NEVER_NS)
            n->boot_ns = w->now_ns;
    }
    ASSERT(faults_due_ns(w) == NEVER_NS);
}

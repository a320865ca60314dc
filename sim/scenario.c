#include "sim/scenario.h"

#include "base/assert.h"
#include "sim/random.h"

#include <stdio.h>
#include <stdlib.h>

#define REPAIR_RATE 50000u

static const char *const fault_names[FAULT_KINDS] = {
    [FAULT_KILL] = "kill",
    [FAULT_POWER] = "power",
    [FAULT_BLACKOUT] = "blackout",
    [FAULT_STOP] = "stop",
    [FAULT_PAUSE] = "pause",
    [FAULT_WIPE] = "wipe",
    [FAULT_CLOCK_DRIFT] = "clock_drift",
    [FAULT_CLOCK_JUMP] = "clock_jump",
    [FAULT_CLOCK_WILD] = "clock_wild",
    [FAULT_PARTITION] = "partition",
    [FAULT_ONE_WAY] = "one_way",
    [FAULT_SLOW] = "slow",
    [FAULT_CLOG] = "clog",
    [FAULT_RESET] = "reset",
    [FAULT_FRAMES_LOST] = "frames_lost",
    [FAULT_FRAMES_REPEATED] = "frames_repeated",
    [FAULT_FRAMES_LATE] = "frames_late",
    [FAULT_FRAMES_FLIPPED] = "frames_flipped",
    [FAULT_SYNC_ERROR] = "sync_error",
    [FAULT_DISK_FULL] = "disk_full",
    [FAULT_READ_ERROR] = "read_error",
    [FAULT_STALL] = "stall",
    [FAULT_ROT] = "rot",
    [FAULT_MISDIRECT] = "misdirect",
    [FAULT_JOIN] = "join",
    [FAULT_LEAVE] = "leave",
    [FAULT_REMOVE] = "remove",
    [FAULT_WEIGHT] = "weight",
    [FAULT_CONTROL] = "control",
    [FAULT_REPLICAS] = "replicas",
};

const char *fault_name(enum fault_kind kind) {
    ASSERT(kind < FAULT_KINDS);
    ASSERT(fault_names[kind] != NULL);
    return fault_names[kind];
}

static uint32_t pick(struct sim_random *dice, const uint32_t *choices, uint32_t count) {
    ASSERT(count > 0);
    return choices[sim_random_below(dice, count)];
}

#define PICK(dice, ...)                             \
    pick((dice), (const uint32_t[]){ __VA_ARGS__ }, \
         (uint32_t)(sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t)))

static uint32_t between(struct sim_random *dice, uint32_t min, uint32_t max) {
    ASSERT(min <= max);
    return min + (uint32_t)sim_random_below(dice, (uint64_t)max - min + 1);
}

static void draw_cluster(struct scenario *s, struct sim_random *dice) {
    s->nodes = PICK(dice, 1, 2, 3, 3, 3, 3, 4, 5, 5);
    s->replicas = (uint8_t)between(dice, 1, s->nodes);
    if (s->nodes >= 3 && sim_random_chance(dice, 2, 3)) s->replicas = 3;
    s->write_quorum = s->read_quorum = 0;
    if (sim_random_chance(dice, 1, 4)) {
        s->write_quorum = (uint8_t)between(dice, 0, s->replicas);
        s->read_quorum = (uint8_t)between(dice, 0, s->replicas);
    }
    s->alone = s->nodes == 1 && sim_random_chance(dice, 1, 2);
    s->shards = PICK(dice, 1, 1, 2);
    s->sync = WAL_SYNC_ALWAYS;
    s->interval_ms = 0;
    if (sim_random_chance(dice, 1, 6)) s->sync = WAL_SYNC_NEVER;
    if (sim_random_chance(dice, 1, 6)) {
        s->sync = WAL_SYNC_INTERVAL;
        s->interval_ms = PICK(dice, 5, 20, 200);
    }
    s->memtable_bytes = PICK(dice, 64, 128, 256) * 1024;
    s->segment_bytes = PICK(dice, 256, 512, 1024) * 1024;
    s->cache_bytes = PICK(dice, 256, 1024, 4096) * 1024;
    s->repair_rate = REPAIR_RATE;
    s->hint_bytes_max = PICK(dice, 4, 64, 1024, 1024, 16384) * 1024;
}

static void draw_mix(struct scenario *s, struct sim_random *dice) {
    struct workload_mix *m = &s->mix;
    m->kinds[WORK_PUT] = PICK(dice, 20, 50, 80);
    m->kinds[WORK_GET] = PICK(dice, 20, 50, 80);
    m->kinds[WORK_DELETE] = PICK(dice, 0, 5, 20);
    m->kinds[WORK_SCAN] = PICK(dice, 0, 1, 5);
    m->kinds[WORK_BATCH] = PICK(dice, 0, 2, 10);
    m->kinds[WORK_PUT_ABSENT] = PICK(dice, 0, 3);
    m->levels[WORK_DEFAULT] = 60;
    m->levels[WORK_ONE] = PICK(dice, 0, 10, 40);
    m->levels[WORK_QUORUM] = PICK(dice, 0, 20);
    m->levels[WORK_ALL] = PICK(dice, 0, 5);
    m->session_permille = PICK(dice, 0, 200, 800);
    m->ttl_permille = PICK(dice, 0, 50, 300);
    m->ttl_ms_max = PICK(dice, 500, 5000, 30000);
    m->medium_permille = PICK(dice, 0, 100, 400);
    m->big_permille = PICK(dice, 0, 0, 5, 20);
    m->hot_permille = PICK(dice, 0, 300);
}

static void draw_faults(struct scenario *s, struct sim_random *dice) {
    s->faults = 0;
    for (uint32_t i = 0; i < FAULT_REPLICAS; i++) {
        if (sim_random_chance(dice, 1, 2)) s->faults |= 1u << i;
    }
    s->faulty_ms = between(dice, 30, 120) * 1000;
    s->fault_gap_ms = PICK(dice, 400, 1500, 4000, 10000);
    s->down_ms_max = PICK(dice, 500, 5000, 20000);
    s->losses_max = (s->replicas - 1u) / 2;
}

/* With dice of its own: what else a seed stands for does not depend on it. */
static void draw_truncations(struct scenario *s) {
    struct sim_random dice = sim_random_of(s->seed ^ 0x7a11);
    if (sim_random_chance(&dice, 1, 4)) s->mix.truncate_permyriad = PICK(&dice, 20, 100, 400);
}

void scenario_draw(struct scenario *s, uint64_t seed) {
    *s = (struct scenario){ .seed = seed };
    struct sim_random dice = sim_random_of(seed);
    draw_cluster(s, &dice);
    s->clients = between(&dice, 2, 10);
    s->keys = PICK(&dice, 1, 4, 20, 100, 400, 1000);
    s->think_ms = PICK(&dice, 50, 150, 400);
    s->timeout_ms = PICK(&dice, 1000, 3000, 8000);
    draw_mix(s, &dice);
    draw_faults(s, &dice);
    if (!s->alone) s->spares = PICK(&dice, 0, 1, 1, 2);
    if (sim_random_chance(&dice, 1, 2)) s->faults |= 1u << FAULT_REPLICAS;
    s->proxies = PICK(&dice, 0, 0, 0, 0, 0, 0, 1, 2);
    draw_truncations(s);
    ASSERT(scenario_check(s));
}

/* ---- changes ---- */

static STATUS set_faults(struct scenario *s, const char *value) {
    if (strcmp(value, "none") == 0 || strcmp(value, "all") == 0) {
        s->faults = value[0] == 'a' ? (1u << FAULT_KINDS) - 1 : 0;
        return status_of(ST_OK);
    }
    uint32_t faults = 0;
    while (*value != '\0') {
        const size_t len = strcspn(value, ",");
        uint32_t kind = 0;
        while (kind < FAULT_KINDS &&
               (strlen(fault_names[kind]) != len || memcmp(fault_names[kind], value, len) != 0))
            kind++;
        if (kind == FAULT_KINDS) return status_of(ST_INVALID);
        faults |= 1u << kind;
        value += len + (value[len] == ',');
    }
    s->faults = faults;
    return status_of(ST_OK);
}

STATUS scenario_set(struct scenario *s, const char *name, const char *value) {
    ASSERT(scenario_check(s));
    if (strcmp(name, "faults") == 0) return set_faults(s, value);
    uint64_t number = 0;
    TRY(bytes_to_u64(bytes_of_string(value), &number));
    if (number > UINT32_MAX) return status_of(ST_INVALID);
    const uint32_t n = (uint32_t)number;
    struct scenario to = *s;
    if (strcmp(name, "nodes") == 0) {
        to.nodes = n;
        to.alone = to.alone && n == 1;
        if (n <= SCENARIO_NODES_MAX && to.spares > SCENARIO_NODES_MAX - n)
            to.spares = SCENARIO_NODES_MAX - n;
        if (to.replicas > n && n > 0) to.replicas = (uint8_t)n;
        if (to.write_quorum > to.replicas) to.write_quorum = 0;
        if (to.read_quorum > to.replicas) to.read_quorum = 0;
        to.losses_max = (to.replicas - 1u) / 2;
    } else if (strcmp(name, "replicas") == 0) {
        to.replicas = (uint8_t)(n > REPLICAS_MAX ? 0 : n);
        to.write_quorum = to.read_quorum = 0;
        to.losses_max = n > 0 ? (n - 1u) / 2 : 0;
    } else if (strcmp(name, "alone") == 0) {
        to.alone = n != 0;
        if (to.alone) to.spares = 0;
    } else if (strcmp(name, "spares") == 0) {
        to.spares = n;
    } else if (strcmp(name, "proxies") == 0) {
        to.proxies = n;
    } else if (strcmp(name, "repair") == 0) {
        to.repair_rate = n;
    } else if (strcmp(name, "hints") == 0) {
        to.hint_bytes_max = n;
    } else if (strcmp(name, "shards") == 0) {
        to.shards = n;
    } else if (strcmp(name, "clients") == 0) {
        to.clients = n;
    } else if (strcmp(name, "keys") == 0) {
        to.keys = n;
    } else if (strcmp(name, "seconds") == 0) {
        to.faulty_ms = n > 100000 ? 0 : n * 1000;
    } else if (strcmp(name, "gap") == 0) {
        to.fault_gap_ms = n;
    } else if (strcmp(name, "think") == 0) {
        to.think_ms = n;
    } else if (strcmp(name, "truncate") == 0) {
        to.mix.truncate_permyriad = n;
    } else if (strcmp(name, "sync") == 0) {
        to.sync = n == 0 ? WAL_SYNC_NEVER : WAL_SYNC_ALWAYS;
    } else {
        return status_of(ST_INVALID);
    }
    if (!scenario_check(&to)) return status_of(ST_INVALID);
    *s = to;
    return status_of(ST_OK);
}

bool scenario_check(const struct scenario *s) {
    if (s->nodes < 1 || s->nodes > SCENARIO_NODES_MAX) return false;
    if (s->spares > SCENARIO_NODES_MAX - s->nodes) return false;
    if (s->proxies > SCENARIO_PROXIES_MAX) return false;
    if (s->replicas < 1 || s->replicas > s->nodes) return false;
    if (s->write_quorum > s->replicas || s->read_quorum > s->replicas) return false;
    if (s->alone && scenario_keepers(s) != 1) return false;
    if (s->shards < 1 || s->shards > SHARDS_MAX) return false;
    if (s->clients < 1 || s->clients > SCENARIO_CLIENTS_MAX) return false;
    if (s->keys < 1 || s->keys > 3000) return false;
    if (s->mix.truncate_permyriad > 10000) return false;
    if (s->think_ms < 1 || s->faulty_ms < 1 || s->fault_gap_ms < 1) return false;
    return s->losses_max <= (s->replicas - 1u) / 2;
}

uint8_t scenario_need(const struct scenario *s, bool is_write, enum work_level level) {
    ASSERT(scenario_check(s));
    ASSERT(level < WORK_LEVELS);
    const uint8_t majority = (uint8_t)(s->replicas / 2 + 1);
    const uint8_t given = is_write ? s->write_quorum : s->read_quorum;
    switch (level) {
    case WORK_ONE: return 1;
    case WORK_QUORUM: return majority;
    case WORK_ALL: return s->replicas;
    default: return given == 0 ? majority : given;
    }
}

void scenario_print(const struct scenario *s, char text[SCENARIO_TEXT_BYTES_MAX]) {
    static const char *const syncs[] = {
        [WAL_SYNC_ALWAYS] = "always", [WAL_SYNC_INTERVAL] = "interval", [WAL_SYNC_NEVER] = "never"
    };
    ASSERT(scenario_check(s));
    int len = snprintf(
        text, SCENARIO_TEXT_BYTES_MAX,
        "%u nodes%s and %u spare, %u proxies, N=%u W=%u R=%u, %u shards, sync %s, %u clients, %u keys, "
        "%u s with faults, one in %u ms:",
        s->nodes, s->alone ? " alone" : "", s->spares, s->proxies, s->replicas,
        scenario_need(s, true, WORK_DEFAULT), scenario_need(s, false, WORK_DEFAULT), s->shards,
        syncs[s->sync], s->clients, s->keys, s->faulty_ms / 1000, s->fault_gap_ms);
    for (uint32_t i = 0; i < FAULT_KINDS; i++) {
        ASSERT(len > 0);
        ASSERT((size_t)len < SCENARIO_TEXT_BYTES_MAX - 32);
        if ((s->faults >> i & 1) != 0)
            len +=
                snprintf(text + len, SCENARIO_TEXT_BYTES_MAX - (size_t)len, " %s", fault_names[i]);
    }
    if (s->faults == 0) snprintf(text + len, SCENARIO_TEXT_BYTES_MAX - (size_t)len, " none");
}

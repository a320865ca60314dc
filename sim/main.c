/* sim SEED [NAME=VALUE...]: one run of a whole cluster with faults, in one process.
 *
 * Names are those of scenario_set, and log=1 (what nodes say and every fault), show=KEY (what
 * clients did to it), mutant=NAME.
 * tools/sim calls this, gives each run a process and the limits, and makes sums.
 *
 * The last line is `trace HEX`; after a failure, exit code 1, it is what replays the run. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "sim/world.h"

enum exit_code { EXIT_HOLDS = 0, EXIT_VIOLATED = 1, EXIT_USAGE = 2 };

#define REPLAY_BYTES_MAX 1024u

struct run {
    struct scenario scenario;
    bool log;                      /* print what nodes say */
    const char *show;              /* print what was done to this key; NULL = to none */
    char replay[REPLAY_BYTES_MAX]; /* arguments behind the seed, as given */
};

static void say(void *user, const char *line) {
    ASSERT(user != NULL);
    ASSERT(line != NULL);
    printf("%s\n", line);
    fflush(stdout);
}

static int usage(const char *what) {
    fprintf(
        stderr,
        "sim: %s\nsim SEED [log=1] [show=KEY] [mutant=NAME] [nodes=1..7] [alone=1] [spares=N] [proxies=0..2] [replicas=N] [shards=N] "
        "[clients=N] [keys=N] [seconds=N] [repair=RATE] [hints=BYTES] [gap=MS] [think=MS] [truncate=PERMYRIAD] [faults=NAME,..|none|all]\n",
        what);
    return EXIT_USAGE;
}

static bool parse_seed(const char *text, uint64_t *ret_seed) {
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') return false;
    *ret_seed = strtoull(text, &end, 0);
    return *end == '\0';
}

static bool set_mutant(const char *name) {
#ifdef ATOLL_MUTANTS
    mutant_active = name;
    return true;
#else
    (void)name;
    return false;
#endif
}

static const char *parse_option(struct run *run, char *text) {
    char *value = strchr(text, '=');
    if (value == NULL) return "write NAME=VALUE";
    const size_t used = strlen(run->replay);
    snprintf(run->replay + used, sizeof run->replay - used, " %s", text);
    *value++ = '\0';
    if (strcmp(text, "log") == 0) {
        run->log = strcmp(value, "1") == 0;
        return NULL;
    }
    if (strcmp(text, "show") == 0) {
        run->show = value;
        return NULL;
    }
    if (strcmp(text, "mutant") == 0) return set_mutant(value) ? NULL : "this build has no mutants";
    return status_ok(scenario_set(&run->scenario, text, value)) ? NULL : "no such option or value";
}

static void print_operations(const struct world_counts *c) {
    printf("operations:\n");
    for (uint32_t kind = 0; kind < HISTORY_KINDS; kind++) {
        printf("  %-8s", history_kind_name((enum history_kind)kind));
        for (uint32_t outcome = 0; outcome < HISTORY_OUTCOMES; outcome++) {
            if (c->operations[kind][outcome] == 0) continue;
            printf(" %llu %s", (unsigned long long)c->operations[kind][outcome],
                   history_outcome_name((enum history_outcome)outcome));
        }
        printf("\n");
    }
}

static void print_summary(const struct world_counts *c, const struct world_findings *f) {
    printf("faults:");
    for (uint32_t i = 0; i < FAULT_KINDS; i++) {
        if (c->faults[i] > 0)
            printf(" %s %llu", fault_name((enum fault_kind)i), (unsigned long long)c->faults[i]);
    }
    printf("\n");
    print_operations(c);
    printf("checks:");
    for (uint32_t i = 0; i < CHECK_KINDS; i++)
        printf(" %s %llu", f->names[i], (unsigned long long)f->by_check[i].checked);
    printf("\nnodes: %llu starts, %u lost their storage, %llu turns, %llu deliveries\n",
           (unsigned long long)c->boots, c->losses, (unsigned long long)c->turns,
           (unsigned long long)c->deliveries);
    printf("simulated: %llu ms\n", (unsigned long long)c->simulated_ms);
}

static void print_op(const struct history *h, uint32_t index) {
    const struct history_op *op = &h->ops[index];
    char version[BALLOT_TEXT_BYTES];
    char session[BALLOT_TEXT_BYTES];
    ballot_print(op->version, version);
    ballot_print(op->session, session);
    printf("%6u %9.3f..%-9.3f %-6s by client %u at node %u: %s (%u) version %s need %u", index,
           (double)op->began_ns / 1e9, (double)op->ended_ns / 1e9, history_kind_name(op->kind),
           op->client, op->node + 1, history_outcome_name(op->outcome), op->status, version,
           op->need);
    if (op->ttl_ms > 0) printf(" ttl %u ms", op->ttl_ms);
    if (op->expires_at_ms > 0) printf(" expires %llu", (unsigned long long)op->expires_at_ms);
    printf(ballot_is_zero(op->session) ? "\n" : " session %s\n", session);
}

static void print_history(const struct history *h, const char *key) {
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct history_op *op = &h->ops[i];
        if (op->kind != HISTORY_SCAN && strcmp(h->keys[op->key].text, key) == 0) print_op(h, i);
    }
}

static void print_findings(const struct world_findings *f) {
    for (uint32_t k = 0; k < WORLD_CHECKS; k++) {
        /* The nodes' own come first: they may be why the others fail. */
        const uint32_t i = (k + CHECK_KINDS) % WORLD_CHECKS;
        const struct findings *one = &f->by_check[i];
        const uint32_t lines = one->count < FINDINGS_MAX ? one->count : FINDINGS_MAX;
        for (uint32_t line = 0; line < lines; line++)
            printf("violated: %s: %s\n", f->names[i], one->lines[line]);
        if (one->count > lines)
            printf("violated: %s: and %u more\n", f->names[i], one->count - lines);
    }
}

int main(int argc, char **argv) {
    static struct run run;
    static struct world_findings findings;
    uint64_t seed = 0;
    if (argc < 2 || !parse_seed(argv[1], &seed)) return usage("the seed is a number");
    scenario_draw(&run.scenario, seed);
    for (int i = 2; i < argc; i++) {
        const char *wrong = parse_option(&run, argv[i]);
        if (wrong != NULL) return usage(wrong);
    }
    char text[SCENARIO_TEXT_BYTES_MAX];
    scenario_print(&run.scenario, text);
    printf("seed 0x%llx: %s\n", (unsigned long long)seed, text);

    const struct world_options options = {
        .scenario = &run.scenario, .say = say, .say_log = run.log ? say : NULL, .user = &run
    };
    struct world *world = world_create(&options);
    world_run(world);
    world_check(world, &findings);
    const struct world_counts counts = world_counts(world);
    if (run.show != NULL) print_history(world_history(world), run.show);
    print_summary(&counts, &findings);
    print_findings(&findings);
    if (findings.count > 0) {
        printf("replay with   ./dev sim SEED=0x%llx%s\n", (unsigned long long)seed, run.replay);
        return EXIT_VIOLATED;
    }
    printf("trace %016llx\n", (unsigned long long)world_trace(world));
    return EXIT_HOLDS;
}

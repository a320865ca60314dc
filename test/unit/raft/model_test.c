/* tidy: integration. Whole groups in a hostile world: what Raft promises holds after every
 * event, and each planted fault is seen to break it.
 *
 * RAFT_SEEDS=5000 in the environment runs so many (minutes: raise TEST_SECONDS too). */
#include "test/unit/raft/model.h"

#include "base/assert.h"
#include "test/unit/harness.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEDS_DEFAULT 60u

static uint64_t seed_count(void) {
    const char *text = getenv("RAFT_SEEDS");
    return text == NULL || *text == '\0' ? SEEDS_DEFAULT : strtoull(text, NULL, 10);
}

/* A healthy group keeps every promise under every hazard, and comes back when they end. */
TEST(raft_model, promises_hold) {
    const uint64_t first = test_seed();
    uint64_t events = 0;
    uint64_t committed = 0;
    uint64_t reads = 0;
    uint32_t installs = 0;
    uint32_t changes = 0;
    for (uint64_t i = 0; i < seed_count(); i++) {
        struct model *m = model_create(&model_core_sound, first + i);
        if (i % 4 == 3) model_make_restless(m);
        const char *wrong = model_live(m);
        if (wrong != NULL) {
            fprintf(stderr, "seed 0x%llx, event %llu, node %u, at %llu ms: %s\n",
                    (unsigned long long)(first + i), (unsigned long long)m->wrong_event,
                    m->wrong_node, (unsigned long long)m->now_ms, wrong);
        }
        events += m->events;
        committed += m->committed;
        installs += m->installs;
        changes += m->changes;
        reads += m->reads_answered;
        model_destroy(m);
        CHECK(wrong == NULL);
    }
    /* The hazards are such that all of this happens. */
    CHECK(committed > 50 * seed_count());
    CHECK(installs > seed_count() / 2);
    CHECK(changes > seed_count() / 2);
    CHECK(reads > seed_count());
    if (getenv("RAFT_SEEDS") != NULL)
        printf("%llu seeds, %llu events, %llu entries, %llu reads, %u snapshots, %u changes\n",
               (unsigned long long)seed_count(), (unsigned long long)events,
               (unsigned long long)committed, (unsigned long long)reads, installs, changes);
}

struct planted {
    const char *name; /* of the fault */
    uint32_t seeds;   /* one of so many fails with it */
    bool restless;    /* nodes restart all the time, while messages are late */
};

static const struct planted faults[] = {
    { "raft_forgets_vote", 1000, true },           { "raft_commits_old_term", 1000, true },
    { "raft_applies_before_commit", 1000, false }, { "raft_two_leaders_by_lease", 1000, false },
    { "raft_skips_pre_vote", 1000, false },        { "raft_loses_snapshot", 1000, false },
    { "raft_forgets_commit", 1000, false },
};

/* The number of seeds it takes to see the fault, 0 = more than allowed. */
static uint32_t seeds_to_see(const struct planted *fault, uint64_t first) {
    planted_fault = fault->name;
    uint32_t took = 0;
    for (uint32_t i = 0; i < fault->seeds && took == 0; i++) {
        struct model *m = model_create(&model_core_planted, first + i);
        if (fault->restless) model_make_restless(m);
        const char *wrong = model_live(m);
        model_destroy(m);
        if (wrong == NULL) continue;
        took = i + 1;
        printf("%s: seed %u: %s\n", fault->name, took, wrong);
    }
    planted_fault = NULL;
    return took;
}

/* Each planted fault breaks a rule that the model checks. The seeds are always the same, as a
 * rare fault may hide for long from others. */
TEST(raft_model, planted_faults_are_seen) {
    const uint64_t first = 1;
    for (uint32_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const uint32_t took = seeds_to_see(&faults[i], first);
        if (took == 0) fprintf(stderr, "%s was not seen\n", faults[i].name);
        CHECK(took > 0);
    }
}

/* The copy with the faults, none of them switched on, keeps every promise. */
TEST(raft_model, the_copy_is_sound) {
    const uint64_t first = test_seed();
    for (uint32_t i = 0; i < 10; i++) {
        struct model *m = model_create(&model_core_planted, first + i);
        const char *wrong = model_live(m);
        model_destroy(m);
        CHECK(wrong == NULL);
    }
}

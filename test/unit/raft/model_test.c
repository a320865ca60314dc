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

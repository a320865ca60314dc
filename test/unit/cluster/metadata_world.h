/* metadata_world.h - a state of the metadata for tests, and commands that reach it as bytes.
 *
 * Every command is encoded, decoded and applied, the state is checked after it, and a refusal
 * must have changed nothing but what is remembered of the proposer.
 *
 * Lifecycle  meta_world_init -> world_* -> meta_world_deinit
 */
#ifndef TEST_METADATA_WORLD_H
#define TEST_METADATA_WORLD_H

#include "base/mem.h"
#include "cluster/metadata.h"
#include "cluster/metadata_plan.h"
#include "harness.h"
#include "sim/random.h"

struct meta_world {
    struct metadata *m; /* owned */
    uint64_t sequence;  /* of the last proposal */
    uint32_t proposer;  /* whose they are; 0 = the first member */
};

extern const struct cluster_id meta_world_cluster;

/* Settings with majorities. */
struct keyspace_settings meta_world_settings(uint8_t replicas, enum keyspace_discipline discipline);
/* A bootstrap of members 1.., FOUNDERS_MAX at most, of weight 1 without zones; the default keyspace has this N too. */
void meta_world_bootstrap(struct metadata_command *c, uint32_t members, uint32_t replicas);

/* No cluster. */
void meta_world_init_empty(struct meta_world *w);
/* A cluster of members 1..`members`, made by meta_world_bootstrap; more than FOUNDERS_MAX of
 * them have joined by one change. */
void meta_world_init(struct meta_world *w, uint32_t members, uint32_t replicas);
void meta_world_deinit(struct meta_world *w);

/* Apply `c` as the next proposal; cluster and proposal are filled in. */
struct metadata_result meta_world_apply(struct meta_world *w, struct metadata_command *c);
/* The same, in short. */
struct metadata_result meta_world_member(struct meta_world *w, enum metadata_kind kind,
                                         struct member_wish wish);
/* It is let in and starts; the answer to the first. */
struct metadata_result meta_world_join(struct meta_world *w, struct member_wish wish);
struct metadata_result meta_world_begin(struct meta_world *w, const struct ring_inputs *target);
/* Begin what metadata_inputs asks for. */
struct metadata_result meta_world_begin_now(struct meta_world *w);
struct metadata_result meta_world_change(struct meta_world *w, enum metadata_kind kind,
                                         uint64_t change);
/* Slots first..last of the running change. */
struct metadata_result meta_world_step(struct meta_world *w, enum metadata_kind kind,
                                       uint32_t first, uint32_t last);
/* Move up to `slots_max` slots of the running change that are in `from` to the next phase by
 * one command. Returns how many. */
uint32_t meta_world_advance(struct meta_world *w, enum slot_phase from, uint32_t slots_max);
/* Take the running change to its end. */
void meta_world_finish(struct meta_world *w);

/* The encoding of a state; the caller deinits `out`. */
struct bytes meta_world_encode(const struct metadata *m, struct buffer *out);
bool meta_world_equal(const struct metadata *a, const struct metadata *b);

#endif

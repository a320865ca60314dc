/* metadata_internal.h - what the files of the metadata share: one function per kind of command.
 *
 * Each checks all it needs first, and changes the state only when nothing can go wrong any
 * more. Who proposed and for which cluster has been checked before.
 */
#ifndef ATOLL_CLUSTER_METADATA_INTERNAL_H
#define ATOLL_CLUSTER_METADATA_INTERNAL_H

#include "cluster/metadata.h"

static inline struct metadata_result metadata_refuse(enum metadata_code code) {
    return (struct metadata_result){ .code = code };
}
static inline struct metadata_result metadata_done(uint64_t value) {
    return (struct metadata_result){ .code = META_OK, .value = value };
}

struct metadata_result apply_bootstrap(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_member_add(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_member_boot(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_member_weight(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_member_leave(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_member_dead(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_member_remove(struct metadata *m, const struct metadata_command *c);

struct metadata_result apply_keyspace_create(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_keyspace_alter(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_keyspace_widen(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_keyspace_drop(struct metadata *m, const struct metadata_command *c);

struct metadata_result apply_change_begin(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_slots_joint(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_slots_new(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_change_pause(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_change_resume(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_change_throttle(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_change_cancel(struct metadata *m, const struct metadata_command *c);
struct metadata_result apply_replicas(struct metadata *m, const struct metadata_command *c);

/* The table that `inputs` lead to from the lists as they are.
 * Errors  ST_INVALID  as ring_create, or too many copies or members */
STATUS metadata_place(const struct metadata *m, const struct ring_inputs *inputs,
                      struct ring **ret_ring);
/* The lists of a first table. Requires  `r` has the members of `m`, and no others */
void metadata_take_ring(struct metadata *m, const struct ring *r);

bool member_address_is_valid(struct bytes address);
/* Whether a table of `members_count` would have fewer copies than it has now and a keyspace
 * wants. */
bool metadata_too_few(const struct metadata *m, uint32_t members_count);
/* Highest N a keyspace may have: that of the table, now, after the running change and after the
 * one that is asked for. */
uint32_t metadata_copies(const struct metadata *m);
/* N of the table when all is through that runs or is asked for: no keyspace has a higher one. */
uint32_t metadata_copies_next(const struct metadata *m);
/* Highest N of a keyspace. */
uint32_t metadata_copies_wanted(const struct metadata *m);
/* Add a keyspace; its id and name are new. */
void metadata_put_keyspace(struct metadata *m, uint16_t id, struct bytes name,
                           const struct keyspace_settings *settings);

#endif

/* metadata_result.h - what became of a command, as a code and as one line for people.
 *
 * A refused command has changed nothing but what is remembered of its proposer. Codes are
 * written into snapshots: new ones go to the end.
 */
#ifndef ATOLL_CLUSTER_METADATA_RESULT_H
#define ATOLL_CLUSTER_METADATA_RESULT_H

#include <stdbool.h>
#include <stdint.h>

enum metadata_code {
    META_OK,
    META_NO_CLUSTER,
    META_CLUSTER_EXISTS,
    META_OTHER_CLUSTER,
    META_PROPOSER,
    META_SEQUENCE,
    META_ADDRESS,
    META_ADDRESS_TAKEN,
    META_WEIGHT,
    META_ID_USED,
    META_MEMBERS_FULL,
    META_NO_MEMBER,
    META_BOOT,
    META_STATE,
    META_LAST_NODE,
    META_BELOW_N,
    META_HOLDS_SLOTS,
    META_NAME,
    META_NAME_TAKEN,
    META_NO_KEYSPACE,
    META_KEYSPACES_FULL,
    META_DEFAULT_KEYSPACE,
    META_SETTINGS,
    META_DISCIPLINE,
    META_STRICT_N,
    META_COPIES,
    META_REPLICAS,
    META_TARGET,
    META_CHANGE_RUNNING,
    META_NO_CHANGE,
    META_PAUSED,
    META_PHASE,
    META_CODES,
};

struct metadata_result {
    enum metadata_code code; /* META_OK: it was carried out */
    uint64_t value;          /* id given (member, keyspace, change), or the epoch; refused: 0 */
};

static inline bool metadata_result_ok(struct metadata_result r) {
    return r.code == META_OK;
}

/* A word for logs and JSON: "ok", "no_cluster", ... Valid for ever. */
const char *metadata_code_name(enum metadata_code code);
/* One line that says why, without a full stop. Valid for ever. */
const char *metadata_code_text(enum metadata_code code);

#endif

/* replica_report.h - what each replica of a key holds, as a GET with REQUEST_REPLICAS is told.
 *
 * The answer's value is an array of these, one for each replica, owner first. It never leaves
 * the node: the shard that owns the key fills it, the encoder reads it.
 */
#ifndef ATOLL_PROTO_REPLICA_REPORT_H
#define ATOLL_PROTO_REPLICA_REPORT_H

#include "base/bytes.h"
#include "base/hlc.h"

#define REPLICA_ADDRESS_BYTES 256u

enum replica_state {
    REPLICA_UNREACHABLE, /* it did not answer in time, or there is no way to it */
    REPLICA_ABSTAINS,    /* it cannot say: damaged, busy, or not filled yet */
    REPLICA_NOTHING,     /* it has no version of the key */
    REPLICA_TOMBSTONE,   /* the newest version is a deletion */
    REPLICA_VALUE,       /* the newest version is a value, which may have expired */
    REPLICA_STATES,
};

struct replica_report {
    uint32_t id;                         /* of the member; of a node alone, its node id */
    bool self;                           /* it is the node that was asked */
    enum replica_state state;            /* decides which of the others hold something */
    struct ballot version;               /* TOMBSTONE, VALUE */
    uint64_t expires_at_ms;              /* VALUE; wall, 0 = never */
    uint64_t value_bytes;                /* VALUE; of the value */
    char address[REPLICA_ADDRESS_BYTES]; /* of the member */
};

#endif

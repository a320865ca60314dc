/* lookup.h - reading one key of this shard for somebody who can wait: coordinator, replica, repair.
 *
 * Lifecycle  zeroed -> begin -> (taken from the shard's `found` list when it had to read) -> end
 * Owner      one shard; `owner` and `kind` say who continues
 * Memory     the record's views hold until the next put or lookup_end
 */
#ifndef ATOLL_SHARD_LOOKUP_H
#define ATOLL_SHARD_LOOKUP_H

#include "os/pool.h"
#include "storage/engine.h"

struct shard;

enum lookup_kind {
    LOOKUP_COORDINATION,
    LOOKUP_QUERY,
    LOOKUP_HINT,
    LOOKUP_REPAIR,
    LOOKUP_INSPECTION
};

struct lookup {
    struct list link; /* in the shard's `found` while its block has been read */
    struct shard *shard;
    void *owner; /* by kind: struct coordination, query, ... */
    enum lookup_kind kind;
    struct engine_read read; /* ST_OK: read.record and read.sequence */
    struct os_job fetch;     /* under way while `fetching` */
    struct status fetched;   /* what became of it; written by the job */
    bool fetching;
};

/* Errors  ST_NOT_FOUND, ST_CORRUPT (or unreadable),
 *         ST_WAIT  a block is being read: call again when it comes up in `found` */
STATUS lookup_begin(struct shard *s, struct lookup *l, struct bytes ikey);
/* Owners whose block has been read go on; every turn. */
void lookups_resume(struct shard *s);
/* Give back what it holds. Requires  !l->fetching */
void lookup_end(struct shard *s, struct lookup *l);

#endif

/* output.h - the tables that one flush or compaction writes.
 *
 * Lifecycle  init -> (add | cut)* -> finish -> (tables taken | discard) -> deinit
 * Owner      one job
 * Memory     one table being written; references to the ones written
 * Failure    ST_FULL, ST_IO: discard removes every file made, nothing is left behind
 */
#ifndef ATOLL_STORAGE_OUTPUT_H
#define ATOLL_STORAGE_OUTPUT_H

#include "storage/manifest.h"
#include "storage/rate_limit.h"
#include "storage/version.h"

#include <stdatomic.h>

/* What a job needs to write tables; all outlive it. */
struct output_options {
    struct os *os;
    struct cache *cache;
    struct rate_limit *rate_limit; /* NULL = none */
    const char *dir;
    struct table_options table;
    atomic_uint_fast64_t *number_next; /* of files; shared by all jobs of the engine */
};

struct output {
    struct output_options options;
    struct table_writer *writer;  /* NULL between tables */
    uint64_t number;              /* of the table being written */
    struct version_table *tables; /* finished, open, one reference each */
    uint32_t count;
    uint32_t capacity;
    uint64_t bytes; /* of the finished ones */
};

void output_init(struct output *o, const struct output_options *options);
/* Releases the tables; their files stay. */
void output_deinit(struct output *o);
/* Requires ikeys in ascending order.
 * Errors  ST_FULL, ST_IO */
STATUS output_add(struct output *o, const struct record *r);
/* Bytes in the table being written. */
uint64_t output_bytes(const struct output *o);
/* End the table being written, if there is one: it is synced and opened.
 * Errors  ST_FULL, ST_IO, ST_CORRUPT (what was written reads back wrong) */
STATUS output_cut(struct output *o);
/* Cut, and make the names durable. */
STATUS output_finish(struct output *o);
/* Remove every file made. */
void output_discard(struct output *o);

/* What the manifest says about a table. */
struct manifest_table output_describe(const struct version_table *t, uint32_t level);

#endif

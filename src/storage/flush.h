/* flush.h - write one frozen memtable as a table of level 0.
 *
 * Lifecycle  init -> run in a job -> deinit
 * Owner      the engine; during the job, the job
 * Memory     one table being written; the owner keeps the memtable
 * Failure    ST_FULL, ST_IO: no file is left behind
 */
#ifndef ATOLL_STORAGE_FLUSH_H
#define ATOLL_STORAGE_FLUSH_H

#include "storage/memtable.h"
#include "storage/output.h"

struct flush {
    struct memtable *memtable; /* gets no puts any more; frozen by the job */
    struct floors floors;      /* copy of the durable ones: what they cover is not written */
    struct output output;      /* no table, if nothing was worth writing */
    struct status status;      /* of the job */
};

void flush_init(struct flush *f, struct memtable *memtable, const struct floors *floors,
                const struct output_options *options);
/* Blocking. */
void flush_run(struct flush *f);
void flush_deinit(struct flush *f);

#endif

/* rescue.h - what is whole in damaged tables, written anew, so that giving them up costs no more than
 * their bad blocks.
 *
 * Lifecycle  init -> run in a job -> deinit
 * Owner      the engine; during the job, the job
 * Memory     one piece of a table, one table being written; the owner holds the version
 * Failure    ST_BUSY (stopped), ST_FULL, ST_IO, ST_CORRUPT: no file is left behind
 */
#ifndef ATOLL_STORAGE_RESCUE_H
#define ATOLL_STORAGE_RESCUE_H

#include "storage/output.h"

/* At most so many tables at once, as all of them need disk space besides the old ones. */
#define RESCUE_TABLES_MAX 8u

struct rescue {
    struct version *version; /* whose damaged tables it reads */
    struct output output;    /* one table for each of them that has anything whole */
    uint32_t *levels;        /* of each table of the output: that of the damaged one */
    struct version_delete read[RESCUE_TABLES_MAX]; /* the damaged tables it has read */
    uint32_t read_count;                           /* of `read` */
    const atomic_bool *stop;                       /* ends the job early */
    uint8_t *key_last;                             /* IKEY_BYTES_MAX: the ikey written last */
    size_t key_last_len;                           /* of it; 0 = none in this table */
    uint64_t kept;                                 /* records */
    uint64_t lost;        /* records that the damaged tables held besides */
    struct status status; /* of the job */
};

void rescue_init(struct rescue *r, struct version *version, const struct output_options *options,
                 const atomic_bool *stop);
/* The job. Of the tables that are damaged (table_is_damaged) when it begins the first ones, by level
 * and place, are read. */
void rescue_run(struct rescue *r);
/* Releases the tables; their files stay. */
void rescue_deinit(struct rescue *r);

#endif

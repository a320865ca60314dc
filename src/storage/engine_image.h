/* engine_image.h - the records of one moment, for a job to go through while the engine works on.
 *
 * What was put before engine_image_want is brought into tables first; then the image holds these
 * tables and nothing of memory, so it sees a prefix of the writes, whatever is put, compacted or
 * dropped meanwhile. What was truncated by then is left out.
 *
 * Lifecycle  want -> due? -> init -> (seek -> next*)* -> deinit
 * Owner      the engine's owner for all but seek and next; these read and block, and may run in a
 *            job, one at a time
 * Memory     one block a source of the merge; tables keep their disk space until deinit
 * Failure    ST_CORRUPT and ST_IO: `failed` is the number of the table
 */
#ifndef ATOLL_STORAGE_ENGINE_IMAGE_H
#define ATOLL_STORAGE_ENGINE_IMAGE_H

#include "storage/engine.h"
#include "storage/floor.h"
#include "storage/merge.h"

struct engine_image {
    struct engine *e;        /* its */
    struct version *version; /* held; NULL = not initialised */
    struct merge merge;      /* over its tables */
    struct floors floors;    /* of the moment it was made: what they cover is passed over */
    bool corrupt;            /* a block was: the engine is told at the end */
};

/* Have all that was put so far flushed, and give the mark to ask engine_image_due with. */
uint64_t engine_image_want(struct engine *e);
/* Whether that is done. Errors  ST_WAIT not yet; ST_FULL neither, as there is no disk space */
STATUS engine_image_due(const struct engine *e, uint64_t mark);

void engine_image_init(struct engine_image *image, struct engine *e);
/* Requires  no seek or next is under way. Also fine if it is not initialised. */
void engine_image_deinit(struct engine_image *image);

/* To the first record whose ikey is not below `ikey`. Errors  ST_CORRUPT, ST_IO */
STATUS engine_image_seek(struct engine_image *image, struct bytes ikey);
/* Requires  a record. Errors  as above */
STATUS engine_image_next(struct engine_image *image);
/* Tombstones and expired values included; NULL at the end. Holds until the next call. */
const struct record *engine_image_record(const struct engine_image *image);

#endif

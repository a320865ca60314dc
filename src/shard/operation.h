/* operation.h - what a request does to the present version of its key.
 *
 * Pure: the present version and the time go in, the answer and the version to
 * write, if any, come out. The caller reads before and writes after without
 * anything in between, which makes every single-key request atomic.
 */
#ifndef ATOLL_SHARD_OPERATION_H
#define ATOLL_SHARD_OPERATION_H

#include "base/buffer.h"
#include "proto/request.h"
#include "storage/record.h"

enum decision_write {
    DECISION_KEEP,   /* nothing changes */
    DECISION_PUT,    /* write `value` with `expires_at_ms` */
    DECISION_DELETE, /* write a tombstone */
};

struct decision {
    enum decision_write write;
    struct bytes value;       /* DECISION_PUT; view into the request, `current` or `scratch` */
    uint64_t expires_at_ms;   /* DECISION_PUT; 0 = never */
    struct response response; /* version and value_len of a write are filled by the caller */
};

/* Whether the answer depends on what is there. Only a blind PUT does not. */
bool operation_needs_read(const struct request *q);

/* Whether it can never write. */
bool operation_only_reads(const struct request *q);
/* Whether it reads, decides and may write: one at a time for each key. */
bool operation_reads_and_writes(const struct request *q);

/* Whether `newest`, the newest version of the key, was written by this very request: its client, or
 * a node that lost the first answer, sent it again. Then nothing is to be done, and *ret_response is
 * the answer as it was the first time, as far as the version tells; OUT_TIMEOUT where it does not.
 * Values are views into `newest`. */
bool operation_is_repeat(const struct request *q, const struct record *newest,
                         struct response *ret_response);

/* Decide one single-key request that is no repeat. `current` is the live version or NULL when the key
 * is absent (never written, deleted or expired). `value_bytes_max` bounds APPEND.
 * Values that must outlive a write are copied to `scratch`, which is reset first. */
void operation_decide(const struct request *q, const struct record *current, uint64_t now_ms,
                      uint64_t value_bytes_max, struct buffer *scratch,
                      struct decision *ret_decision);

#endif

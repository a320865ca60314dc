/* floor.h - truncation floors: per keyspace the ballot at or below which all is gone.
 *
 * A keyspace without a floor has the zero ballot, which no stored record has.
 *
 * Lifecycle  zeroed memory is empty -> raise* -> deinit
 * Owner      one thread; a job gets a copy of its own
 * Memory     one small array: a floor for each keyspace that was ever truncated
 */
#ifndef ATOLL_STORAGE_FLOOR_H
#define ATOLL_STORAGE_FLOOR_H

#include "base/hlc.h"
#include "storage/record.h"

struct floor {
    struct ballot ballot; /* records at or below it are gone */
    uint16_t keyspace;
};

/* Of a keyspace that is gone for good: no version is above it. */
#define FLOOR_OF_ALL ((struct ballot){ UINT64_MAX, UINT32_MAX, UINT32_MAX })

struct floors {
    struct floor *items; /* by keyspace, ascending, each once */
    uint32_t count;
    uint32_t capacity;
};

void floors_deinit(struct floors *f);
void floors_copy(const struct floors *from, struct floors *ret_copy);
/* A floor never goes down. */
void floors_raise(struct floors *f, uint16_t keyspace, struct ballot ballot);
/* The zero ballot if there is none. */
struct ballot floors_find(const struct floors *f, uint16_t keyspace);

static inline struct ballot floors_get(const struct floors *f, uint16_t keyspace) {
    if (f->count == 0) return (struct ballot){ 0, 0, 0 };
    return floors_find(f, keyspace);
}

/* Whether the record is truncated. */
static inline bool floors_cover(const struct floors *f, const struct record *r) {
    return ballot_compare(r->ballot, floors_get(f, ikey_keyspace(r->ikey))) <= 0;
}

bool floors_equal(const struct floors *a, const struct floors *b);
bool floors_check(const struct floors *f);

#endif

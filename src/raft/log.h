/* log.h - the window of the Raft log that is kept in memory: what follows the last snapshot.
 *
 * Entries have consecutive indexes from base_index + 1 on. They are appended at the end, cut
 * from the end when a leader overrules them (thesis 3.5) and dropped at the front when a
 * snapshot covers them (5.1). Only (index, term) of the last dropped entry is kept: the
 * consistency check of the first entry needs it.
 *
 * Lifecycle  init -> (reset | append | truncate | compact)* -> deinit
 * Owner      one struct raft
 * Memory     a table of slots and one ring of bytes, both made by init, never grown
 * Failure    an entry that does not fit is refused with ST_FULL and changes nothing
 */
#ifndef ATOLL_RAFT_LOG_H
#define ATOLL_RAFT_LOG_H

#include "base/bytes.h"

#define RAFT_ENTRY_BYTES_MAX (64u * 1024)        /* one entry fits a message with room to spare */
#define RAFT_INDEX_MAX (UINT64_C(1) << 62)       /* sums of indexes do not wrap */
#define RAFT_LOG_SLOTS_MAX (1024u * 1024)        /* 24 MiB of slots */
#define RAFT_LOG_BYTES_MAX (1024u * 1024 * 1024) /* a window is memory */

enum raft_entry_kind {
    RAFT_ENTRY_EMPTY = 1,  /* a new leader's first (thesis 6.4), or a probe of disks; no data */
    RAFT_ENTRY_DATA = 2,   /* for the state machine */
    RAFT_ENTRY_CONFIG = 3, /* a struct raft_change (raft/config.h) */
};

struct raft_entry {
    uint64_t index;            /* 1.. */
    uint64_t term;             /* of the leader that made it, 1.. */
    enum raft_entry_kind kind; /* see there */
    struct bytes data;         /* at most RAFT_ENTRY_BYTES_MAX */
};

struct raft_log_slot {
    uint64_t term;  /* as struct raft_entry */
    uint64_t start; /* where its data begin, counted from the first byte ever */
    uint32_t len;   /* bytes of data */
    uint32_t kind;  /* enum raft_entry_kind */
};

struct raft_log {
    uint64_t base_index;         /* last entry that is dropped; 0 = none was */
    uint64_t base_term;          /* its term; 0 with index 0 only */
    uint64_t last_index;         /* last entry, base_index when there is none */
    uint64_t bytes;              /* of data, at most bytes_max */
    uint64_t bytes_max;          /* limit of `bytes` */
    uint64_t end;                /* where the next data may begin, as slot.start */
    uint64_t ring_bytes;         /* of `ring`: bytes_max and one longest entry, for the gap */
    uint32_t slots_max;          /* most entries in the window */
    struct raft_log_slot *slots; /* entry i is at i % slots_max; owned */
    uint8_t *ring;               /* data; an entry's are in one piece; owned */
};

/* Requires  1 <= slots_max <= RAFT_LOG_SLOTS_MAX, 1 <= bytes_max <= RAFT_LOG_BYTES_MAX */
void raft_log_init(struct raft_log *log, uint32_t slots_max, uint64_t bytes_max);
void raft_log_deinit(struct raft_log *log);
/* Empty it; the next entry has index + 1. */
void raft_log_reset(struct raft_log *log, uint64_t index, uint64_t term);

static inline uint64_t raft_log_len(const struct raft_log *log) {
    return log->last_index - log->base_index;
}
/* Whether `len` bytes fit as one more entry, with `spare` slots left after it. */
bool raft_log_has_room(const struct raft_log *log, size_t len, uint32_t spare);
/* Copies `data`. Requires  term not below that of the last entry
 * Errors  ST_FULL */
STATUS raft_log_append(struct raft_log *log, uint64_t term, enum raft_entry_kind kind,
                       struct bytes data);
/* Drop the entries from `index` on. Requires  base_index < index <= last_index + 1 */
void raft_log_truncate(struct raft_log *log, uint64_t index);
/* Drop the entries up to `index`, itself included. Requires  base_index <= index <= last_index */
void raft_log_compact(struct raft_log *log, uint64_t index);

/* The term at `index`, base_index included; 0 = it is not known. */
uint64_t raft_log_term(const struct raft_log *log, uint64_t index);
static inline uint64_t raft_log_last_term(const struct raft_log *log) {
    return raft_log_term(log, log->last_index);
}
/* Requires  base_index < index <= last_index. The data hold until the log changes. */
struct raft_entry raft_log_entry(const struct raft_log *log, uint64_t index);
/* The last index whose term is at most `term`, or base_index. */
uint64_t raft_log_last_up_to(const struct raft_log *log, uint64_t term);
bool raft_log_check(const struct raft_log *log);

#endif

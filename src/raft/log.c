#include "raft/log.h"

#include "base/assert.h"
#include "base/mem.h"

static struct raft_log_slot *slot_of(const struct raft_log *log, uint64_t index) {
    ASSERT(index > log->base_index);
    ASSERT(index <= log->last_index);
    return &log->slots[index % log->slots_max];
}

void raft_log_init(struct raft_log *log, uint32_t slots_max, uint64_t bytes_max) {
    ASSERT(slots_max >= 1);
    ASSERT(slots_max <= RAFT_LOG_SLOTS_MAX);
    ASSERT(bytes_max >= 1);
    ASSERT(bytes_max <= RAFT_LOG_BYTES_MAX);
    /* The window never spans the end of the ring twice, so that at most one gap, shorter
     * than an entry, is lost to keeping data in one piece. */
    *log = (struct raft_log){
        .bytes_max = bytes_max,
        .ring_bytes = bytes_max + RAFT_ENTRY_BYTES_MAX,
        .slots_max = slots_max,
        .slots = mem_alloc_zeroed(slots_max * sizeof(struct raft_log_slot)),
    };
    log->ring = mem_alloc(log->ring_bytes);
    ASSERT(raft_log_check(log));
}

void raft_log_deinit(struct raft_log *log) {
    ASSERT(raft_log_check(log));
    mem_free(log->slots);
    mem_free(log->ring);
    *log = (struct raft_log){ 0 };
}

void raft_log_reset(struct raft_log *log, uint64_t index, uint64_t term) {
    ASSERT(index <= RAFT_INDEX_MAX);
    ASSERT((index == 0) == (term == 0));
    log->base_index = log->last_index = index;
    log->base_term = term;
    log->bytes = 0;
    log->end = 0;
    ASSERT(raft_log_check(log));
}

bool raft_log_has_room(const struct raft_log *log, size_t len, uint32_t spare) {
    ASSERT(len <= RAFT_ENTRY_BYTES_MAX);
    if (raft_log_len(log) + spare >= log->slots_max) return false;
    if (log->last_index >= RAFT_INDEX_MAX) return false;
    return log->bytes + len <= log->bytes_max;
}

STATUS raft_log_append(struct raft_log *log, uint64_t term, enum raft_entry_kind kind,
                       struct bytes data) {
    ASSERT(raft_log_check(log));
    ASSERT(term >= raft_log_last_term(log));
    ASSERT(term >= 1);
    if (!raft_log_has_room(log, data.len, 0)) return status_of(ST_FULL);

    uint64_t start = log->end;
    const uint64_t offset = start % log->ring_bytes;
    if (offset + data.len > log->ring_bytes) start += log->ring_bytes - offset;
    if (data.len > 0) memcpy(log->ring + start % log->ring_bytes, data.ptr, data.len);
    log->last_index++;
    *slot_of(log, log->last_index) = (struct raft_log_slot){
        .term = term, .start = start, .len = (uint32_t)data.len, .kind = (uint32_t)kind
    };
    log->bytes += data.len;
    log->end = start + data.len;
    ASSERT(raft_log_check(log));
    return status_of(ST_OK);
}

void raft_log_truncate(struct raft_log *log, uint64_t index) {
    ASSERT(index > log->base_index);
    ASSERT(index <= log->last_index + 1);
    while (log->last_index >= index) {
        const struct raft_log_slot *s = slot_of(log, log->last_index);
        log->bytes -= s->len;
        log->end = s->start;
        log->last_index--;
    }
    ASSERT(raft_log_check(log));
}

void raft_log_compact(struct raft_log *log, uint64_t index) {
    ASSERT(index >= log->base_index);
    ASSERT(index <= log->last_index);
    while (log->base_index < index) {
        const struct raft_log_slot *s = slot_of(log, log->base_index + 1);
        log->bytes -= s->len;
        log->base_term = s->term;
        log->base_index++;
    }
    ASSERT(raft_log_check(log));
}

uint64_t raft_log_term(const struct raft_log *log, uint64_t index) {
    if (index == log->base_index) return log->base_term;
    if (index < log->base_index || index > log->last_index) return 0;
    return slot_of(log, index)->term;
}

struct raft_entry raft_log_entry(const struct raft_log *log, uint64_t index) {
    const struct raft_log_slot *s = slot_of(log, index);
    ASSERT(s->term >= 1);
    return (struct raft_entry){
        .index = index,
        .term = s->term,
        .kind = (enum raft_entry_kind)s->kind,
        .data = bytes_of(log->ring + s->start % log->ring_bytes, s->len),
    };
}

uint64_t raft_log_last_up_to(const struct raft_log *log, uint64_t term) {
    uint64_t low = log->base_index; /* its term is at most `term`, or nobody can tell */
    uint64_t high = log->last_index;
    while (low < high) {
        const uint64_t middle = low + (high - low + 1) / 2;
        if (slot_of(log, middle)->term <= term) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    ASSERT(low >= log->base_index);
    return low;
}

bool raft_log_check(const struct raft_log *log) {
    if (log->slots == NULL || log->ring == NULL) return false;
    if (log->last_index < log->base_index) return false;
    if (raft_log_len(log) > log->slots_max) return false;
    if (log->bytes > log->bytes_max) return false;
    if ((log->base_index == 0) != (log->base_term == 0)) return false;
    if (raft_log_len(log) == 0) return log->bytes == 0;
    const struct raft_log_slot *first = &log->slots[(log->base_index + 1) % log->slots_max];
    const struct raft_log_slot *last = &log->slots[log->last_index % log->slots_max];
    if (first->term < log->base_term || last->term < first->term) return false;
    if (last->start + last->len != log->end) return false;
    return log->end - first->start <= log->ring_bytes;
}

#include "storage/floor.h"

#include "base/assert.h"
#include "base/mem.h"

/* The first item whose keyspace is not below `keyspace`. */
static uint32_t floors_position(const struct floors *f, uint16_t keyspace) {
    uint32_t low = 0;
    uint32_t high = f->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (f->items[middle].keyspace < keyspace) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void floors_deinit(struct floors *f) {
    mem_free(f->items);
    *f = (struct floors){ 0 };
}

void floors_copy(const struct floors *from, struct floors *ret_copy) {
    *ret_copy = (struct floors){ .count = from->count, .capacity = from->count };
    if (from->count == 0) return;
    ret_copy->items = mem_alloc(from->count * sizeof *from->items);
    memcpy(ret_copy->items, from->items, from->count * sizeof *from->items);
}

void floors_raise(struct floors *f, uint16_t keyspace, struct ballot ballot) {
    ASSERT(f->count <= f->capacity);
    const uint32_t at = floors_position(f, keyspace);
    if (at < f->count && f->items[at].keyspace == keyspace) {
        if (ballot_compare(ballot, f->items[at].ballot) > 0) f->items[at].ballot = ballot;
        return;
    }

    ASSERT(f->count < KEYSPACES_MAX);
    if (f->count == f->capacity) {
        f->capacity = f->capacity == 0 ? 4 : f->capacity * 2;
        f->items = mem_realloc(f->items, f->capacity * sizeof *f->items);
    }
    memmove(f->items + at + 1, f->items + at, (f->count - at) * sizeof *f->items);
    f->items[at] = (struct floor){ .ballot = ballot, .keyspace = keyspace };
    f->count++;
    ASSERT(f->items[at].keyspace == keyspace);
}

struct ballot floors_find(const struct floors *f, uint16_t keyspace) {
    const uint32_t at = floors_position(f, keyspace);
    if (at == f->count || f->items[at].keyspace != keyspace) return (struct ballot){ 0, 0, 0 };
    return f->items[at].ballot;
}

bool floors_equal(const struct floors *a, const struct floors *b) {
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->items[i].keyspace != b->items[i].keyspace) return false;
        if (ballot_compare(a->items[i].ballot, b->items[i].ballot) != 0) return false;
    }
    return true;
}

bool floors_check(const struct floors *f) {
    if (f->count > f->capacity) return false;
    for (uint32_t i = 1; i < f->count; i++) {
        if (f->items[i - 1].keyspace >= f->items[i].keyspace) return false;
    }
    return true;
}

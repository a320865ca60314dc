#include "storage/version.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>

/* Eight bytes of `ikey` from `skip` on, so that they compare as one number. */
static uint64_t version_prefix(struct bytes ikey, uint32_t skip) {
    uint8_t word[8] = { 0 };
    ASSERT(skip <= ikey.len);
    const size_t rest = ikey.len - skip;
    memcpy(word, ikey.ptr + skip, rest < sizeof word ? rest : sizeof word);
    uint64_t value;
    memcpy(&value, word, sizeof value);
    return __builtin_bswap64(value);
}

struct version_table version_table_of(struct table *t, uint64_t number) {
    ASSERT(t != NULL);
    const struct table_properties *p = table_properties(t);
    ASSERT(p->records > 0);
    return (struct version_table){
        .table = t,
        .number = number,
        .bytes = p->file_bytes,
        .ikey_min = p->ikey_min,
        .ikey_max = p->ikey_max,
        .ballot_max = p->ballot_max,
    };
}

struct version *version_empty(void) {
    struct version *v = mem_alloc_zeroed(sizeof *v);
    v->references = 1;
    return v;
}

static int order_newest_first(const void *a, const void *b) {
    const struct version_table *left = a;
    const struct version_table *right = b;
    return (left->number < right->number) - (left->number > right->number);
}

static int order_by_ikey(const void *a, const void *b) {
    const struct version_table *left = a;
    const struct version_table *right = b;
    return bytes_compare(left->ikey_min, right->ikey_min);
}

static bool version_is_deleted(const struct version_delete *deletes, uint32_t count, uint32_t level,
                               uint64_t number) {
    for (uint32_t i = 0; i < count; i++) {
        if (deletes[i].level == level && deletes[i].number == number) return true;
    }
    return false;
}

/* The search arrays of a level that has an order. */
static void version_level_index(struct version_level *level) {
    if (level->count == 0) return;
    const struct bytes first = level->tables[0].ikey_max;
    const struct bytes last = level->tables[level->count - 1].ikey_max;
    uint32_t shared = 0;
    while (shared < first.len && shared < last.len && first.ptr[shared] == last.ptr[shared])
        shared++;

    level->shared_bytes = shared;
    level->prefixes = mem_alloc(level->count * sizeof *level->prefixes);
    for (uint32_t i = 0; i < level->count; i++) {
        level->prefixes[i] = version_prefix(level->tables[i].ikey_max, shared);
    }
}

static void version_level_build(struct version_level *to, const struct version_level *from,
                                uint32_t number, const struct version_delete *deletes,
                                uint32_t delete_count, const struct version_add *adds,
                                uint32_t add_count) {
    uint32_t count_max = from->count;
    for (uint32_t i = 0; i < add_count; i++) count_max += adds[i].level == number;
    if (count_max == 0) return;

    to->tables = mem_alloc(count_max * sizeof *to->tables);
    for (uint32_t i = 0; i < from->count; i++) {
        const struct version_table *t = &from->tables[i];
        if (version_is_deleted(deletes, delete_count, number, t->number)) continue;
        to->tables[to->count++] = *t;
    }
    for (uint32_t i = 0; i < add_count; i++) {
        if (adds[i].level == number) to->tables[to->count++] = adds[i].table;
    }
    for (uint32_t i = 0; i < to->count; i++) {
        table_retain(to->tables[i].table);
        to->bytes += to->tables[i].bytes;
    }
    if (to->count > 1) {
        qsort(to->tables, to->count, sizeof *to->tables,
              number == 0 ? order_newest_first : order_by_ikey);
    }
    if (number > 0) version_level_index(to);
}

struct version *version_change(const struct version *base, const struct version_delete *deletes,
                               uint32_t delete_count, const struct version_add *adds,
                               uint32_t add_count) {
    for (uint32_t i = 0; i < delete_count; i++) {
        ASSERT(version_table_at(base, deletes[i].level, deletes[i].number) != NULL);
    }
    struct version *v = version_empty();
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        version_level_build(&v->levels[l], &base->levels[l], l, deletes, delete_count, adds,
                            add_count);
        for (uint32_t i = 0; i < v->levels[l].count; i++) {
            const struct ballot b = v->levels[l].tables[i].ballot_max;
            if (ballot_compare(b, v->ballot_max) > 0) v->ballot_max = b;
        }
    }
    ASSERT(version_check(v));
    return v;
}

void version_retain(struct version *v) {
    ASSERT(v->references > 0);
    v->references++;
}

void version_release(struct version *v) {
    ASSERT(v->references > 0);
    if (--v->references > 0) return;
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        struct version_level *level = &v->levels[l];
        for (uint32_t i = 0; i < level->count; i++) table_release(level->tables[i].table);
        mem_free(level->tables);
        mem_free(level->prefixes);
    }
    mem_free(v);
}

uint32_t version_find(const struct version_level *level, struct bytes ikey) {
    if (level->count == 0) return 0;
    const uint32_t shared = level->shared_bytes;
    const struct bytes first = level->tables[0].ikey_max;
    const size_t common = ikey.len < shared ? ikey.len : shared;
    const int order = common == 0 ? 0 : memcmp(ikey.ptr, first.ptr, common);
    if (order < 0 || (order == 0 && ikey.len < shared)) return 0;
    if (order > 0) return level->count;

    /* Equal words may hide a difference further on, so they are settled by the whole key. */
    const uint64_t word = version_prefix(ikey, shared);
    uint32_t low = 0;
    uint32_t high = level->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        bool below = level->prefixes[middle] < word;
        if (level->prefixes[middle] == word) {
            below = bytes_compare(level->tables[middle].ikey_max, ikey) < 0;
        }
        if (below) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void version_overlap(const struct version_level *level, struct bytes ikey_min,
                     struct bytes ikey_max, uint32_t *ret_first, uint32_t *ret_count) {
    ASSERT(bytes_compare(ikey_min, ikey_max) <= 0);
    const uint32_t first = version_find(level, ikey_min);
    uint32_t end = version_find(level, ikey_max);
    if (end < level->count && bytes_compare(level->tables[end].ikey_min, ikey_max) <= 0) end++;
    ASSERT(end >= first);
    *ret_first = first;
    *ret_count = end - first;
}

uint64_t version_overlap_bytes(const struct version_level *level, struct bytes ikey_min,
                               struct bytes ikey_max) {
    uint32_t first;
    uint32_t count;
    uint64_t bytes = 0;
    version_overlap(level, ikey_min, ikey_max, &first, &count);
    for (uint32_t i = 0; i < count; i++) bytes += level->tables[first + i].bytes;
    return bytes;
}

const struct version_table *version_table_at(const struct version *v, uint32_t level,
                                             uint64_t number) {
    ASSERT(level < ENGINE_LEVELS);
    for (uint32_t i = 0; i < v->levels[level].count; i++) {
        if (v->levels[level].tables[i].number == number) return &v->levels[level].tables[i];
    }
    return NULL;
}

static bool version_level_check(const struct version_level *level, bool ordered) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < level->count; i++) {
        const struct version_table *t = &level->tables[i];
        if (t->table == NULL || t->number == 0) return false;
        if (bytes_compare(t->ikey_min, t->ikey_max) > 0) return false;
        bytes += t->bytes;
        if (i == 0) continue;
        const struct version_table *before = &level->tables[i - 1];
        if (!ordered && before->number <= t->number) return false;
        if (ordered && bytes_compare(before->ikey_max, t->ikey_min) >= 0) return false;
    }
    return bytes == level->bytes;
}

bool version_check(const struct version *v) {
    if (v->references == 0) return false;
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        if (!version_level_check(&v->levels[l], l > 0)) return false;
    }
    return true;
}

#include "base/assert.h"
#include "base/mem.h"
#include "sim/disk_internal.h"

#define CONTENT_BYTES_MIN 512u

static bool content_check(const struct content *c) {
    if (c->size > c->capacity) return false;
    if ((c->ptr == NULL) != (c->capacity == 0)) return false;
    return true;
}

void content_resize(struct content *c, uint64_t size) {
    ASSERT(content_check(c));
    ASSERT(size <= SIZE_MAX / 2);
    if (size > c->capacity) {
        size_t capacity = c->capacity < CONTENT_BYTES_MIN ? CONTENT_BYTES_MIN : c->capacity;
        while (capacity < size) capacity *= 2;
        c->ptr = mem_realloc(c->ptr, capacity);
        c->capacity = capacity;
    }
    if (size > c->size) memset(c->ptr + c->size, 0, size - c->size);
    c->size = size;
    ASSERT(content_check(c));
}

void content_write(struct content *c, uint64_t offset, struct bytes in) {
    ASSERT(in.len > 0);
    ASSERT(offset <= SIZE_MAX / 2 - in.len);
    if (offset + in.len > c->size) content_resize(c, offset + in.len);
    memcpy(c->ptr + offset, in.ptr, in.len);
}

void content_copy(struct content *to, const struct content *from) {
    ASSERT(to != from);
    ASSERT(content_check(from));
    content_resize(to, from->size);
    if (from->size > 0) memcpy(to->ptr, from->ptr, from->size);
}

void content_deinit(struct content *c) {
    ASSERT(content_check(c));
    mem_free(c->ptr);
    *c = (struct content){ 0 };
}

/* One sector reaches the disk, and the file's size with it. */
static void apply_sector(struct content *to, const struct file_change *change, uint32_t sector) {
    ASSERT(sector < change->sectors);
    const uint64_t start = change->offset + (uint64_t)sector * SIM_SECTOR_BYTES;
    const uint64_t size = to->size > change->size_after ? to->size : change->size_after;
    if (start >= size) return;
    const uint64_t room = size - start;
    const size_t len = room < SIM_SECTOR_BYTES ? room : SIM_SECTOR_BYTES;
    content_write(to, start, bytes_of(change->bytes + (size_t)sector * SIM_SECTOR_BYTES, len));
}

static void apply_write(struct content *to, const struct file_change *change, struct crash *crash) {
    ASSERT(!change->truncate);
    ASSERT(change->sectors > 0);
    const bool all = crash->style == SIM_CRASH_KEEP_ALL;
    const bool torn = !all && sim_random_chance(&crash->random, 1, 3);
    const bool kept = all || sim_random_chance(&crash->random, crash->keep_of_4, 4);
    for (uint32_t i = 0; i < change->sectors; i++) {
        const bool kept_here = torn ? sim_random_chance(&crash->random, crash->keep_of_4, 4) : kept;
        if (kept_here) apply_sector(to, change, i);
    }
    if (all || to->size >= change->size_after) return;
    /* The size is written apart from the bytes: a lost tail may read as zeros. */
    if (sim_random_chance(&crash->random, crash->keep_of_4, 16))
        content_resize(to, change->size_after);
}

void content_apply(struct content *to, const struct list *changes, struct crash *crash) {
    ASSERT(content_check(to));
    ASSERT(crash->keep_of_4 <= 4);
    if (crash->style == SIM_CRASH_LOSE_ALL) return;
    for (const struct list *node = changes->next; node != changes; node = node->next) {
        const struct file_change *change = LIST_ENTRY(node, struct file_change, link);
        if (!change->truncate) {
            apply_write(to, change, crash);
            continue;
        }
        const bool kept = crash->style == SIM_CRASH_KEEP_ALL ||
                          sim_random_chance(&crash->random, crash->keep_of_4, 4);
        if (kept) content_resize(to, change->size_after);
    }
    ASSERT(content_check(to));
}

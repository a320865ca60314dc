#include "shard/scan_cursor.h"

#include "base/assert.h"
#include "base/mem.h"

void scan_cursors_init(struct scan_cursors *t, uint32_t start) {
    memset(t, 0, sizeof *t);
    os_mutex_init(&t->lock);
    /* Numbers of an earlier run of the node are unknown to this one. */
    t->next = (uint64_t)start + 1;
}

void scan_cursors_deinit(struct scan_cursors *t) {
    for (uint32_t i = 0; i < SCAN_CURSORS_MAX; i++) mem_free(t->places[i].key);
    os_mutex_deinit(&t->lock);
}

uint64_t scan_cursors_save(struct scan_cursors *t, struct bytes key) {
    ASSERT(key.len > 0);
    uint8_t *copy = mem_alloc(key.len);
    memcpy(copy, key.ptr, key.len);
    os_mutex_lock(&t->lock);
    const uint64_t number = t->next++;
    struct scan_cursor *place = &t->places[number % SCAN_CURSORS_MAX];
    mem_free(place->key);
    *place = (struct scan_cursor){ .number = number, .key = copy, .key_len = key.len };
    os_mutex_unlock(&t->lock);
    ASSERT(number != 0);
    return number;
}

bool scan_cursors_find(struct scan_cursors *t, uint64_t number, struct buffer *ret_key) {
    os_mutex_lock(&t->lock);
    const struct scan_cursor *place = &t->places[number % SCAN_CURSORS_MAX];
    const bool found = number != 0 && place->number == number;
    if (found) {
        buffer_reset(ret_key);
        buffer_append(ret_key, bytes_of(place->key, place->key_len));
    }
    os_mutex_unlock(&t->lock);
    return found;
}

#include "sim/history.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

void history_init(struct history *h) {
    *h = (struct history){ 0 };
    h->keys = mem_alloc_zeroed(HISTORY_KEYS_MAX * sizeof *h->keys);
    ASSERT(history_check(h));
}

void history_deinit(struct history *h) {
    mem_free(h->keys);
    mem_free(h->ops);
    mem_free(h->events);
    *h = (struct history){ 0 };
}

uint32_t history_key(struct history *h, const char *text, uint64_t replicas) {
    ASSERT(h->keys_count < HISTORY_KEYS_MAX);
    ASSERT(replicas != 0);
    const size_t len = strlen(text);
    ASSERT(len > 0);
    ASSERT(len < HISTORY_KEY_BYTES_MAX);
    struct history_key *k = &h->keys[h->keys_count];
    memcpy(k->text, text, len + 1);
    k->replicas = k->kept = replicas;
    k->last = HISTORY_NONE;
    return h->keys_count++;
}

uint32_t history_find_key(const struct history *h, const uint8_t *text, size_t len) {
    ASSERT(h->keys != NULL);
    ASSERT(text != NULL || len == 0);
    for (uint32_t i = 0; i < h->keys_count; i++) {
        if (strlen(h->keys[i].text) == len && memcmp(h->keys[i].text, text, len) == 0) return i;
    }
    return HISTORY_NONE;
}

static void event_add(struct history *h, enum history_event_kind kind, uint32_t index) {
    ASSERT(h->events_count <= h->events_capacity);
    if (h->events_count == h->events_capacity) {
        h->events_capacity = h->events_capacity == 0 ? 1024 : h->events_capacity * 2;
        h->events = mem_realloc(h->events, h->events_capacity * sizeof *h->events);
    }
    h->events[h->events_count++] = (struct history_event){ .kind = kind, .index = index };
}

uint32_t history_begin(struct history *h, const struct history_op *op) {
    ASSERT(h->ops_count < HISTORY_OPS_MAX);
    ASSERT(op->key < h->keys_count);
    if (h->ops_count == h->ops_capacity) {
        h->ops_capacity = h->ops_capacity == 0 ? 1024 : h->ops_capacity * 2;
        h->ops = mem_realloc(h->ops, h->ops_capacity * sizeof *h->ops);
    }
    const uint32_t index = h->ops_count++;
    struct history_op *own = &h->ops[index];
    *own = *op;
    own->outcome = HISTORY_PENDING;
    own->ended_ns = 0;
    own->previous = HISTORY_NONE;
    if (op->kind != HISTORY_SCAN) {
        own->previous = h->keys[op->key].last;
        h->keys[op->key].last = index;
    }
    event_add(h, HISTORY_BEGAN, index);
    return index;
}

struct history_op *history_op(struct history *h, uint32_t index) {
    ASSERT(index < h->ops_count);
    ASSERT(h->ops != NULL);
    return &h->ops[index];
}

void history_end(struct history *h, uint32_t index, enum history_outcome outcome,
                 uint64_t ended_ns) {
    struct history_op *op = history_op(h, index);
    ASSERT(op->outcome == HISTORY_PENDING);
    ASSERT(outcome != HISTORY_PENDING);
    ASSERT(ended_ns >= op->began_ns);
    op->outcome = outcome;
    op->ended_ns = ended_ns;
    if (op->kind == HISTORY_PUT && outcome == HISTORY_OK) h->keys[op->key].put = true;
    event_add(h, HISTORY_ENDED, index);
}

void history_loss(struct history *h, uint32_t node) {
    ASSERT(node < HISTORY_NODES_MAX);
    ASSERT(h->losses < UINT32_MAX);
    h->losses++;
    event_add(h, HISTORY_LOSS, node);
}

const char *history_kind_name(enum history_kind kind) {
    static const char *const names[HISTORY_KINDS] = { "put", "get",  "delete",
                                                      "row", "scan", "truncate" };
    ASSERT(kind < HISTORY_KINDS);
    return names[kind];
}

const char *history_outcome_name(enum history_outcome outcome) {
    static const char *const names[HISTORY_OUTCOMES] = { "pending", "ok", "absent", "refused",
                                                         "unknown" };
    ASSERT(outcome < HISTORY_OUTCOMES);
    return names[outcome];
}

bool history_check(const struct history *h) {
    if (h->keys == NULL) return false;
    if (h->keys_count > HISTORY_KEYS_MAX) return false;
    if (h->ops_count > h->ops_capacity) return false;
    if (h->events_count > h->events_capacity) return false;
    if (h->losses > h->events_count) return false;
    return h->events_count <= 2 * (uint64_t)h->ops_count + h->losses;
}

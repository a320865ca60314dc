#include "shard/slow_log.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"

#define SECOND_MS 1000u

static const char *const phase_names[SLOW_PHASES] = {
    [SLOW_PARSE] = "parse_ms", [SLOW_QUEUE] = "queue_ms",       [SLOW_STALL] = "stall_ms",
    [SLOW_READ] = "read_ms",   [SLOW_REPLICAS] = "replicas_ms", [SLOW_LOG] = "log_ms",
    [SLOW_SEND] = "send_ms",
};

void slow_log_init(struct slow_log *l, uint64_t threshold_ns) {
    memset(l, 0, sizeof *l);
    os_mutex_init(&l->lock);
    slow_log_set(l, threshold_ns);
}

void slow_log_deinit(struct slow_log *l) {
    os_mutex_deinit(&l->lock);
}

void slow_log_set(struct slow_log *l, uint64_t threshold_ns) {
    ASSERT(threshold_ns <= NODE_SLOW_NS_MAX);
    atomic_store_explicit(&l->threshold_ns, threshold_ns, memory_order_relaxed);
}

/* ---- lines ---- */

static uint64_t queue_us(const struct slow_request *r) {
    uint64_t known_us = 0;
    for (uint32_t i = 0; i < SLOW_PHASES; i++) known_us += i == SLOW_QUEUE ? 0 : r->phase_us[i];
    return r->took_us > known_us ? r->took_us - known_us : 0;
}

struct fields {
    struct log_field all[8 + SLOW_PHASES]; /* what a line has */
    uint32_t count;                        /* of them */
};

static void add_text(struct fields *f, const char *name, struct bytes text) {
    ASSERT(f->count < sizeof f->all / sizeof f->all[0]);
    f->all[f->count++] = (struct log_field){ .name = name, .kind = LOG_FIELD_TEXT, .text = text };
}

static void add_number(struct fields *f, const char *name, enum log_field_kind kind,
                       uint64_t number) {
    ASSERT(f->count < sizeof f->all / sizeof f->all[0]);
    f->all[f->count++] = (struct log_field){ .name = name, .kind = kind, .number = number };
}

/* The key comes last, so that nothing else is left out for it. */
static void write_line(const struct slow_request *r) {
    struct fields f = { .count = 0 };
    const size_t key_len = r->key.len < NODE_SLOW_KEY_BYTES ? r->key.len : NODE_SLOW_KEY_BYTES;
    add_text(&f, "operation", bytes_of_string(r->operation));
    add_text(&f, "consistency", bytes_of_string(r->level));
    add_number(&f, "requests", LOG_FIELD_NUMBER, r->requests);
    add_number(&f, "took_ms", LOG_FIELD_MS, r->took_us);
    for (uint32_t i = 0; i < SLOW_PHASES; i++)
        add_number(&f, phase_names[i], LOG_FIELD_MS,
                   i == SLOW_QUEUE ? queue_us(r) : r->phase_us[i]);
    if (r->last != NULL) add_text(&f, "last", bytes_of_string(r->last));
    add_text(&f, "client", bytes_of_string(r->client));
    add_number(&f, "key_bytes", LOG_FIELD_NUMBER, r->key.len);
    add_text(&f, "key", bytes_of(r->key.ptr, key_len));
    log_event(LOG_WARN, "slow request", f.all, f.count);
}

static void begin_second(struct slow_log *l, uint64_t mono_ms) {
    const struct log_field count = { .name = "requests",
                                     .kind = LOG_FIELD_NUMBER,
                                     .number = l->left_out };
    if (l->left_out > 0) log_event(LOG_WARN, "slow requests left out of the log", &count, 1);
    l->left_out = 0;
    l->lines = 0;
    l->second_ms = mono_ms;
}

static bool second_is_over(const struct slow_log *l, uint64_t mono_ms) {
    return mono_ms >= l->second_ms + SECOND_MS;
}

void slow_log_tick(struct slow_log *l, uint64_t mono_ms) {
    os_mutex_lock(&l->lock);
    if (l->left_out > 0 && second_is_over(l, mono_ms)) begin_second(l, mono_ms);
    os_mutex_unlock(&l->lock);
}

/* ---- keeping ---- */

static void keep(struct slow_log *l, const struct slow_request *r, uint64_t wall_ms) {
    const uint64_t id = l->next_id++;
    struct node_slow *n = &l->kept[id % NODE_SLOW_KEPT_MAX];
    if (l->count < NODE_SLOW_KEPT_MAX) l->count++;
    *n = (struct node_slow){ .id = id,
                             .at_ms = wall_ms,
                             .took_us = r->took_us,
                             .operation = r->operation,
                             .requests = r->requests,
                             .key_len = (uint32_t)r->key.len };
    const size_t key_len = r->key.len < sizeof n->key ? r->key.len : sizeof n->key;
    if (key_len > 0) memcpy(n->key, r->key.ptr, key_len);
    snprintf(n->client, sizeof n->client, "%s", r->client);
    snprintf(n->name, sizeof n->name, "%s", r->name);
}

void slow_log_add(struct slow_log *l, const struct slow_request *r, uint64_t wall_ms,
                  uint64_t mono_ms) {
    ASSERT(r->requests > 0);
    ASSERT(r->operation != NULL && r->level != NULL);
    os_mutex_lock(&l->lock);
    keep(l, r, wall_ms);
    if (second_is_over(l, mono_ms)) begin_second(l, mono_ms);
    if (l->lines < SLOW_LINES_A_SECOND) {
        l->lines++;
        write_line(r);
    } else {
        l->left_out++;
    }
    ASSERT(l->count <= NODE_SLOW_KEPT_MAX);
    os_mutex_unlock(&l->lock);
}

uint32_t slow_log_copy(struct slow_log *l, struct node_slow *ret_kept, uint32_t max) {
    os_mutex_lock(&l->lock);
    const uint32_t count = l->count < max ? l->count : max;
    for (uint32_t i = 0; i < count; i++)
        ret_kept[i] = l->kept[(l->next_id - 1 - i) % NODE_SLOW_KEPT_MAX];
    os_mutex_unlock(&l->lock);
    return count;
}

uint32_t slow_log_count(struct slow_log *l) {
    os_mutex_lock(&l->lock);
    const uint32_t count = l->count;
    os_mutex_unlock(&l->lock);
    return count;
}

/* Ids go on, as in Redis. */
void slow_log_reset(struct slow_log *l) {
    os_mutex_lock(&l->lock);
    l->count = 0;
    os_mutex_unlock(&l->lock);
}

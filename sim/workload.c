#include "sim/workload.h"

#include "base/assert.h"

#include <stdio.h>

#define HOT_KEYS 3u

void workload_init(struct workload *w, const struct workload_mix *mix, uint32_t keys) {
    ASSERT(keys > 0);
    ASSERT(mix->kinds[WORK_PUT] > 0);
    *w = (struct workload){ .mix = mix, .keys = keys, .values_next = 1 };
}

static uint32_t draw_weighted(struct sim_random *dice, const uint32_t *weights, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += weights[i];
    ASSERT(sum > 0);
    uint64_t left = sim_random_below(dice, sum);
    uint32_t i = 0;
    while (left >= weights[i]) left -= weights[i++];
    ASSERT(i < count);
    return i;
}

static uint32_t draw_key(const struct workload *w, struct sim_random *dice) {
    const bool hot = sim_random_chance(dice, w->mix->hot_permille, 1000);
    const uint32_t among = hot && w->keys > HOT_KEYS ? HOT_KEYS : w->keys;
    return (uint32_t)sim_random_below(dice, among);
}

static uint32_t draw_len(const struct workload *w, struct sim_random *dice) {
    const uint64_t roll = sim_random_below(dice, 1000);
    uint32_t len_max = 200;
    if (roll < w->mix->medium_permille) len_max = 4096;
    if (roll < w->mix->big_permille) len_max = WORK_VALUE_BYTES_MAX;
    return WORK_VALUE_BYTES_MIN +
           (uint32_t)sim_random_below(dice, len_max - WORK_VALUE_BYTES_MIN + 1);
}

static void draw_item(struct workload *w, struct sim_random *dice, enum work_kind kind,
                      struct work_item *item) {
    *item = (struct work_item){ .kind = kind, .key = draw_key(w, dice) };
    if (kind != WORK_PUT && kind != WORK_PUT_ABSENT) return;
    item->value = w->values_next++;
    item->value_len = draw_len(w, dice);
    if (sim_random_chance(dice, w->mix->ttl_permille, 1000))
        item->ttl_ms = 1 + (uint32_t)sim_random_below(dice, w->mix->ttl_ms_max);
}

void workload_draw(struct workload *w, struct sim_random *dice, struct work *ret_work) {
    ASSERT(w->keys > 0);
    const uint32_t truncates = w->mix->truncate_permyriad;
    if (truncates > 0 && sim_random_chance(dice, truncates, 10000)) {
        *ret_work = (struct work){ .kind = WORK_TRUNCATE };
        return;
    }
    *ret_work = (struct work){ .items_count = 1 };
    ret_work->kind = (enum work_kind)draw_weighted(dice, w->mix->kinds, WORK_KINDS);
    ret_work->level = (enum work_level)draw_weighted(dice, w->mix->levels, WORK_LEVELS);
    if (ret_work->kind == WORK_SCAN) {
        ret_work->items_count = 0;
    } else if (ret_work->kind == WORK_BATCH) {
        ret_work->items_count = 1 + (uint32_t)sim_random_below(dice, WORK_ITEMS_MAX);
        for (uint32_t i = 0; i < ret_work->items_count; i++)
            draw_item(w, dice, (enum work_kind)sim_random_below(dice, WORK_DELETE + 1),
                      &ret_work->items[i]);
    } else {
        draw_item(w, dice, ret_work->kind, &ret_work->items[0]);
        ret_work->session =
            ret_work->kind == WORK_GET && sim_random_chance(dice, w->mix->session_permille, 1000);
    }
    ASSERT(ret_work->items_count <= WORK_ITEMS_MAX);
}

void workload_probe(struct workload *w, uint32_t step, uint32_t key, struct work *ret_work) {
    static const enum work_kind kinds[WORK_PROBE_STEPS] = { WORK_PUT, WORK_GET, WORK_SCAN,
                                                            WORK_DELETE, WORK_GET };
    ASSERT(w->values_next > 0);
    const enum work_kind kind = kinds[step % WORK_PROBE_STEPS];
    *ret_work = (struct work){ .kind = kind, .items_count = kind == WORK_SCAN ? 0 : 1 };
    ret_work->items[0] = (struct work_item){ .kind = kind, .key = key };
    if (kind != WORK_PUT) return;
    ret_work->items[0].value = w->values_next++;
    ret_work->items[0].value_len = WORK_VALUE_BYTES_MIN;
}

/* ---- values ---- */

#define VALUE_HEAD "v%016llx k%08x n%08x "
#define VALUE_HEAD_BYTES 38u /* 18 + 10 + 10: numbers of fixed width */

static_assert(VALUE_HEAD_BYTES <= WORK_VALUE_BYTES_MIN, "a value tells its number");

static void head_print(char head[VALUE_HEAD_BYTES + 1], uint64_t value, uint32_t key,
                       uint32_t len) {
    const int n = snprintf(head, VALUE_HEAD_BYTES + 1, VALUE_HEAD, (unsigned long long)value,
                           (unsigned)key, (unsigned)len);
    ASSERT(n == (int)VALUE_HEAD_BYTES);
}

/* 16 bytes that follow from the number: letters and digits. */
static void filler(struct sim_random *dice, uint8_t out[16]) {
    uint64_t bits = sim_random_next(dice);
    for (uint32_t i = 0; i < 16; i++, bits >>= 4) out[i] = (uint8_t) "0123456789abcdef"[bits & 15];
}

void workload_value(struct buffer *out, uint64_t value, uint32_t key, uint32_t len) {
    ASSERT(len >= WORK_VALUE_BYTES_MIN);
    ASSERT(len <= WORK_VALUE_BYTES_MAX);
    char head[VALUE_HEAD_BYTES + 1];
    head_print(head, value, key, len);
    buffer_append(out, bytes_of(head, VALUE_HEAD_BYTES));
    struct sim_random dice = sim_random_of(value);
    for (uint32_t at = VALUE_HEAD_BYTES; at < len; at += 16) {
        uint8_t text[16];
        filler(&dice, text);
        buffer_append(out, bytes_of(text, len - at < 16 ? len - at : 16));
    }
}

static bool parse_hex(const uint8_t *text, uint32_t digits, uint64_t *ret_value) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < digits; i++) {
        const uint8_t c = text[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) return false;
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_value = value;
    return true;
}

uint64_t workload_judge(struct bytes in, uint32_t key) {
    uint64_t value = 0;
    if (in.len < WORK_VALUE_BYTES_MIN || in.len > WORK_VALUE_BYTES_MAX) return 0;
    if (!parse_hex(in.ptr + 1, 16, &value)) return 0;
    char head[VALUE_HEAD_BYTES + 1];
    head_print(head, value, key, (uint32_t)in.len);
    if (memcmp(in.ptr, head, VALUE_HEAD_BYTES) != 0) return 0;
    struct sim_random dice = sim_random_of(value);
    for (size_t at = VALUE_HEAD_BYTES; at < in.len; at += 16) {
        uint8_t text[16];
        filler(&dice, text);
        if (memcmp(in.ptr + at, text, in.len - at < 16 ? in.len - at : 16) != 0) return 0;
    }
    return value;
}

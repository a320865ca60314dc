#include "cli/option.h"

#include "base/assert.h"
#include "proto/ttl.h"

#include <stdio.h>

#define NS_PER_MS 1000000

struct unit {
    const char *name; /* lower case */
    uint64_t factor;  /* of the smallest unit */
};

/* K and KiB are both 1024: nobody sizes memory in thousands. "KB" is left out, since
 * nobody agrees on it. */
static const struct unit size_units[] = {
    { "tib", UINT64_C(1) << 40 },
    { "gib", UINT64_C(1) << 30 },
    { "mib", UINT64_C(1) << 20 },
    { "kib", UINT64_C(1) << 10 },
    { "t", UINT64_C(1) << 40 },
    { "g", UINT64_C(1) << 30 },
    { "m", UINT64_C(1) << 20 },
    { "k", UINT64_C(1) << 10 },
    { "b", 1 },
    { "", 1 },
};

static const struct unit time_units[] = {
    { "ms", 1 },
    { "s", 1000 },
    { "m", 60 * 1000 },
    { "h", 60 * 60 * 1000 },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static STATUS decode_units(struct bytes text, const struct unit *units, size_t count,
                           uint64_t *ret_value) {
    ASSERT(units != NULL);
    ASSERT(ret_value != NULL);
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') digits++;
    uint64_t value = 0;
    TRY(bytes_to_u64(bytes_of(text.ptr, digits), &value));
    const struct bytes unit = bytes_of(text.ptr + digits, text.len - digits);
    for (size_t i = 0; i < count; i++) {
        if (!bytes_equal_nocase(unit, units[i].name)) continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value)) return status_of(ST_INVALID);
        *ret_value = value;
        return status_of(ST_OK);
    }
    return status_of(ST_INVALID);
}

STATUS option_decode_size(struct bytes text, uint64_t *ret_bytes) {
    return decode_units(text, size_units, COUNT_OF(size_units), ret_bytes);
}

/* Zero needs no unit; any other number without one would be a guess. Besides one number with
 * a unit, what Go's stores took is taken: 1.5s, 1h30m, 500us, of which a part of a millisecond
 * counts as a whole one. */
STATUS option_decode_time(struct bytes text, uint64_t *ret_ms) {
    int64_t ns = 0;
    if (status_ok(decode_units(text, time_units, COUNT_OF(time_units), ret_ms)))
        return status_of(ST_OK);
    TRY(ttl_parse_duration(text, &ns));
    if (ns < 0) return status_of(ST_INVALID);
    *ret_ms = (uint64_t)(ns / NS_PER_MS) + (ns % NS_PER_MS > 0);
    return status_of(ST_OK);
}

const char *option_encode_size(uint64_t bytes, char *text, size_t text_bytes) {
    static const char *const names[] = { "", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < COUNT_OF(names)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, text_bytes, "%llu%s", (unsigned long long)bytes, names[unit]);
    return text;
}

const char *option_encode_time(uint64_t ms, char *text, size_t text_bytes) {
    static const uint64_t steps[] = { 1000, 60, 60 };
    static const char *const names[] = { "ms", "s", "m", "h" };
    size_t unit = 0;
    while (ms > 0 && unit < COUNT_OF(steps) && ms % steps[unit] == 0) ms /= steps[unit++];
    if (ms == 0)
        snprintf(text, text_bytes, "0");
    else
        snprintf(text, text_bytes, "%llu%s", (unsigned long long)ms, names[unit]);
    return text;
}

/* Edits that turn `a` into `b`, at most `NEAREST_BYTES_MAX` long each; larger than any
 * useful answer if one is longer (Wagner and Fischer, 1974). */
#define NEAREST_BYTES_MAX 32u
static uint32_t edit_distance(struct bytes a, struct bytes b) {
    if (a.len > NEAREST_BYTES_MAX || b.len > NEAREST_BYTES_MAX) return UINT32_MAX;
    uint32_t row[NEAREST_BYTES_MAX + 1];
    for (uint32_t j = 0; j <= b.len; j++) row[j] = j;
    for (uint32_t i = 1; i <= a.len; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b.len; j++) {
            const uint32_t replaced = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            const uint32_t shorter = row[j - 1] < row[j] ? row[j - 1] : row[j];
            diagonal = row[j];
            row[j] = replaced < shorter + 1 ? replaced : shorter + 1;
        }
    }
    return row[b.len];
}

const char *option_nearest(struct bytes given, const char *const *words, uint32_t count) {
    const char *best = NULL;
    /* A third of the letters may be wrong, else the guess would be noise. */
    uint32_t best_distance = (uint32_t)(given.len < NEAREST_BYTES_MAX ? given.len : 0) / 3 + 2;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t distance = edit_distance(given, bytes_of_string(words[i]));
        if (distance >= best_distance || distance >= strlen(words[i])) continue;
        best = words[i];
        best_distance = distance;
    }
    return best;
}

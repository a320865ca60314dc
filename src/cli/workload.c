#include "cli/workload.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cli/option.h"

#include <math.h>
#include <stdio.h>

#define POOL_BYTES (1u << 20) /* values begin anywhere in it: no two are alike soon */
#define ZETA_EXACT (1u << 20) /* terms summed one by one; the rest is an integral */
#define THETA_DEFAULT 0.99    /* as in YCSB */
#define MIX_WEIGHT_MAX 1000000u

/* What stands around the key and the value of one operation. */
struct template {
    char before[WORKLOAD_TEMPLATE_BYTES]; /* up to the key's digits */
    char after[WORKLOAD_TEMPLATE_BYTES];  /* behind them; of a SET, up to the value's length */
    const char *middle;                   /* of a SET, between the length and the value */
    const char *end;                      /* of a SET, behind the value */
    uint32_t before_len;
    uint32_t after_len;
    bool has_value;
    bool has_key;
};

struct workload {
    struct workload_options options;
    uint64_t random; /* state, see next_random */
    uint32_t weight_total;
    struct template templates[WORKLOAD_OPS];
    uint8_t *pool;                   /* POOL_BYTES + value_max random letters */
    double zeta, eta, alpha, second; /* of zipf, see zipf_key */
};

static const char *const op_names[WORKLOAD_OPS] = { "get", "set", "del", "incr", "ping" };

const char *workload_op_name(enum workload_op op) {
    ASSERT(op < WORKLOAD_OPS);
    return op_names[op];
}

/* ---- options as text ---- */

static STATUS decode_mix_part(struct bytes part, uint32_t weights[WORKLOAD_OPS]) {
    const uint8_t *equals = part.len > 0 ? memchr(part.ptr, '=', part.len) : NULL;
    const size_t name_len = equals != NULL ? (size_t)(equals - part.ptr) : part.len;
    uint64_t weight = 1;
    if (equals != NULL) TRY(bytes_to_u64(bytes_of(equals + 1, part.len - name_len - 1), &weight));
    if (weight > MIX_WEIGHT_MAX) return status_of(ST_INVALID);
    for (uint32_t i = 0; i < WORKLOAD_OPS; i++) {
        if (!bytes_equal_nocase(bytes_of(part.ptr, name_len), op_names[i])) continue;
        weights[i] += (uint32_t)weight;
        return status_of(ST_OK);
    }
    return status_of(ST_INVALID);
}

STATUS workload_decode_mix(struct bytes text, uint32_t ret_weights[WORKLOAD_OPS]) {
    uint32_t weights[WORKLOAD_OPS] = { 0 };
    uint32_t total = 0;
    for (size_t at = 0; at <= text.len;) {
        size_t end = at;
        while (end < text.len && text.ptr[end] != ',') end++;
        TRY(decode_mix_part(bytes_of(text.ptr + at, end - at), weights));
        at = end + 1;
    }
    for (uint32_t i = 0; i < WORKLOAD_OPS; i++) {
        if (weights[i] > MIX_WEIGHT_MAX) return status_of(ST_INVALID);
        total += weights[i];
    }
    if (total == 0) return status_of(ST_INVALID);
    memcpy(ret_weights, weights, sizeof weights);
    return status_of(ST_OK);
}

/* "0.99": a number below 1, of at most nine digits. */
static STATUS decode_fraction(struct bytes text, double *ret_value) {
    if (text.len < 3 || text.len > 11 || !bytes_start_with(text, BYTES_LIT("0.")))
        return status_of(ST_INVALID);
    uint64_t digits = 0;
    TRY(bytes_to_u64(bytes_of(text.ptr + 2, text.len - 2), &digits));
    *ret_value = (double)digits / pow(10.0, (double)(text.len - 2));
    return status_of(ST_OK);
}

STATUS workload_decode_dist(struct bytes text, double *ret_theta) {
    double theta = 0;
    if (bytes_equal(text, BYTES_LIT("zipf")))
        theta = THETA_DEFAULT;
    else if (bytes_start_with(text, BYTES_LIT("zipf:"))) {
        TRY(decode_fraction(bytes_of(text.ptr + 5, text.len - 5), &theta));
        if (theta <= 0) return status_of(ST_INVALID);
    } else if (!bytes_equal(text, BYTES_LIT("uniform")))
        return status_of(ST_INVALID);
    *ret_theta = theta;
    return status_of(ST_OK);
}

STATUS workload_decode_value(struct bytes text, uint64_t *ret_min, uint64_t *ret_max) {
    const uint8_t *dash = text.len > 0 ? memchr(text.ptr, '-', text.len) : NULL;
    const size_t len = dash != NULL ? (size_t)(dash - text.ptr) : text.len;
    uint64_t min = 0, max = 0;
    TRY(option_decode_size(bytes_of(text.ptr, len), &min));
    max = min;
    if (dash != NULL) TRY(option_decode_size(bytes_of(dash + 1, text.len - len - 1), &max));
    if (min > max || max > 64u * 1024 * 1024) return status_of(ST_INVALID);
    *ret_min = min;
    *ret_max = max;
    return status_of(ST_OK);
}

/* ---- random numbers ---- */

/* SplitMix64 (Steele, Lea and Flood, 2014). */
static uint64_t next_random(struct workload *w) {
    w->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = w->random;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* 0..n-1, without the bias of a division's remainder. */
static uint64_t random_below(struct workload *w, uint64_t n) {
    return (uint64_t)(((unsigned __int128)next_random(w) * n) >> 64);
}

/* Sum of 1/i^theta for i in 1..n. */
static double zeta_of(uint64_t n, double theta) {
    double sum = 0;
    const uint64_t exact = n < ZETA_EXACT ? n : ZETA_EXACT;
    for (uint64_t i = 1; i <= exact; i++) sum += pow(1.0 / (double)i, theta);
    if (n > exact) {
        const double power = 1.0 - theta;
        sum += (pow((double)n + 0.5, power) - pow((double)exact + 0.5, power)) / power;
    }
    return sum;
}

static void zipf_init(struct workload *w) {
    const double theta = w->options.zipf_theta, n = (double)w->options.keys;
    w->zeta = zeta_of(w->options.keys, theta);
    w->alpha = 1.0 / (1.0 - theta);
    w->second = 1.0 + pow(0.5, theta);
    w->eta = (1.0 - pow(2.0 / n, 1.0 - theta)) / (1.0 - w->second / w->zeta);
}

/* Gray et al., "Quickly generating billion-record synthetic databases" (1994). The
 * ranks are then scattered, so that popular keys are not neighbours. */
static uint64_t zipf_key(struct workload *w) {
    const double u = (double)(next_random(w) >> 11) * 0x1p-53;
    const double uz = u * w->zeta;
    uint64_t rank = 0;
    if (uz >= w->second)
        rank = (uint64_t)((double)w->options.keys * pow(w->eta * u - w->eta + 1.0, w->alpha));
    else if (uz >= 1.0)
        rank = 1;
    if (rank >= w->options.keys) rank = w->options.keys - 1;
    uint64_t x = (rank + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return (uint64_t)(((unsigned __int128)(x ^ (x >> 32)) * w->options.keys) >> 64);
}

uint64_t workload_key(struct workload *w) {
    const uint64_t key = w->options.zipf_theta > 0 && w->options.keys > 2
                             ? zipf_key(w)
                             : random_below(w, w->options.keys);
    ASSERT(key < w->options.keys);
    return key;
}

/* ---- commands as bytes ---- */

static void template_resp(struct template *t, enum workload_op op, const char *prefix) {
    static const char *const words[WORKLOAD_OPS] = { "GET", "SET", "DEL", "INCR", "PING" };
    const char *word = words[op];
    if (!t->has_key) {
        t->before_len = (uint32_t)snprintf(t->before, sizeof t->before, "*1\r\n$4\r\nPING\r\n");
        return;
    }
    t->before_len = (uint32_t)snprintf(
        t->before, sizeof t->before, "*%d\r\n$%zu\r\n%s\r\n$%zu\r\n%s", t->has_value ? 3 : 2,
        strlen(word), word, strlen(prefix) + WORKLOAD_KEY_DIGITS, prefix);
    t->after_len = (uint32_t)snprintf(t->after, sizeof t->after, "\r\n%s", t->has_value ? "$" : "");
    t->middle = "\r\n";
    t->end = "\r\n";
}

static void template_http(struct template *t, enum workload_op op,
                          const struct workload_options *options) {
    const char *prefix = options->key_prefix;
    const char *level = options->level == NULL || !t->has_key ? "" : options->level;
    static const char *const methods[WORKLOAD_OPS] = { "GET", "PUT", "DELETE", "", "GET" };
    size_t at = (size_t)snprintf(t->before, sizeof t->before, "%s %s", methods[op],
                                 t->has_key ? "/v1/kv/" : "/health");
    for (; t->has_key && *prefix != '\0'; prefix++) {
        const char c = *prefix;
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        at += (size_t)snprintf(t->before + at, sizeof t->before - at, plain ? "%c" : "%%%02X",
                               (unsigned)(uint8_t)c);
    }
    t->before_len = (uint32_t)at;
    t->after_len =
        (uint32_t)snprintf(t->after, sizeof t->after, "%s%s HTTP/1.1\r\nHost: %.200s\r\n%s",
                           level[0] != '\0' ? "?level=" : "", level, options->host,
                           t->has_value ? "Content-Length: " : "\r\n");
    t->middle = "\r\n\r\n";
    t->end = "";
}

static void fill_pool(struct workload *w) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const size_t bytes = POOL_BYTES + w->options.value_max;
    w->pool = mem_alloc(bytes);
    uint64_t bits = 0;
    for (size_t i = 0; i < bytes; i++, bits >>= 6) {
        if (i % 10 == 0) bits = next_random(w);
        w->pool[i] = (uint8_t)letters[bits & 63];
    }
}

struct workload *workload_create(const struct workload_options *options) {
    ASSERT(options->keys > 0);
    ASSERT(options->value_min <= options->value_max);
    ASSERT(strlen(options->key_prefix) <= WORKLOAD_PREFIX_BYTES_MAX);
    ASSERT(options->level == NULL || strlen(options->level) <= WORKLOAD_LEVEL_BYTES_MAX);
    struct workload *w = mem_alloc_zeroed(sizeof *w);
    w->options = *options;
    w->random = options->seed;
    for (uint32_t i = 0; i < WORKLOAD_OPS; i++) {
        struct template *t = &w->templates[i];
        w->weight_total += options->weights[i];
        t->has_key = i != WORKLOAD_PING;
        t->has_value = i == WORKLOAD_SET;
        if (options->protocol == WORKLOAD_RESP)
            template_resp(t, (enum workload_op)i, options->key_prefix);
        else
            template_http(t, (enum workload_op)i, options);
        ASSERT(t->before_len < WORKLOAD_TEMPLATE_BYTES);
        ASSERT(t->after_len < WORKLOAD_TEMPLATE_BYTES);
    }
    ASSERT(w->weight_total > 0);
    if (options->zipf_theta > 0) zipf_init(w);
    fill_pool(w);
    return w;
}

void workload_destroy(struct workload *w) {
    if (w == NULL) return;
    mem_free(w->pool);
    mem_free(w);
}

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

/* Twelve digits, two at a time. */
static void put_digits(uint8_t *p, uint64_t number) {
    for (int i = WORKLOAD_KEY_DIGITS - 2; i >= 0; i -= 2) {
        memcpy(p + i, digit_pairs + 2 * (number % 100), 2);
        number /= 100;
    }
}

static void append_op(struct workload *w, enum workload_op op, uint64_t key, struct buffer *out) {
    const struct template *t = &w->templates[op];
    const size_t head_bytes = t->before_len + WORKLOAD_KEY_DIGITS + t->after_len;
    uint8_t *p = buffer_reserve(out, head_bytes);
    ASSERT(p != NULL);
    memcpy(p, t->before, t->before_len);
    p += t->before_len;
    if (t->has_key) {
        put_digits(p, key);
        p += WORKLOAD_KEY_DIGITS;
    }
    memcpy(p, t->after, t->after_len);
    buffer_commit(out, head_bytes - (t->has_key ? 0 : WORKLOAD_KEY_DIGITS));
    if (!t->has_value) return;

    const uint64_t spread = w->options.value_max - w->options.value_min + 1;
    const uint64_t len = w->options.value_min + (spread > 1 ? random_below(w, spread) : 0);
    buffer_append_u64(out, len);
    buffer_append_string(out, t->middle);
    buffer_append(out, bytes_of(w->pool + random_below(w, POOL_BYTES), len));
    buffer_append_string(out, t->end);
    ASSERT(!out->overflowed);
}

static enum workload_op choose_op(struct workload *w) {
    uint64_t at = random_below(w, w->weight_total);
    uint32_t op = 0;
    while (at >= w->options.weights[op]) at -= w->options.weights[op++];
    ASSERT(op < WORKLOAD_OPS);
    return (enum workload_op)op;
}

enum workload_op workload_append(struct workload *w, struct buffer *out) {
    ASSERT(w != NULL);
    const enum workload_op op = choose_op(w);
    append_op(w, op, op == WORKLOAD_PING ? 0 : workload_key(w), out);
    return op;
}

void workload_append_load(struct workload *w, uint64_t index, struct buffer *out) {
    ASSERT(index < w->options.keys);
    append_op(w, WORKLOAD_SET, index, out);
}

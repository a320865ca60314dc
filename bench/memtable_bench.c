/* memtable_bench [random|text [keys value_bytes rounds]] : what one memtable
 * costs, in nanoseconds an operation (median of the rounds) and bytes a record.
 *
 * random: 16 bytes that look random. text: "user:00001234567", in random order.
 * The keys of a batch of operations are made before its time is taken: a key just
 * written would still be on its way to the cache when it is hashed, and the wait
 * for that would keep the fetches of one operation from overlapping the next. */
#include "base/mem.h"
#include "storage/memtable.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define GROUP 16u
#define BATCH 1024u
#define SCAN 50u
#define OPERATIONS_MAX 2000000u
#define ROUNDS_MAX 15u
#define IKEY_BYTES 18u
#define VALUE_BYTES_BENCH_MAX 4096u

enum measure {
    PUT,
    PUT_GROUPED,
    OVERWRITE,
    OVERWRITE_GROUPED,
    GET_HIT,
    GET_GROUPED,
    GET_MISS,
    MISS_GROUPED,
    SEEK_NEXT,
    WALK,
    BYTES_RECORD,
    PUT_WORST_US,
    MEASURES,
};

static const char *const names[MEASURES] = {
    "put new",        "put new, grouped", "overwrite",      "overwrite, grouped",
    "get hit",        "get hit, grouped", "get miss",       "get miss, grouped",
    "seek + 50 next", "walk, a record",   "bytes a record", "worst 16 puts, us",
};

struct bench {
    struct memtable *memtable;
    bool is_text;                     /* shape of the keys */
    uint64_t keys;                    /* records */
    uint32_t value_bytes;             /* of each */
    uint64_t sum;                     /* of what was read, so that it is read */
    uint8_t ikeys[BATCH][IKEY_BYTES]; /* of the operations to come */
};

/* CPU time of this thread: others on the machine cost it cache misses but no time. */
static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The ikey of record `i`; beyond `keys` it is one that is not there. */
static void make_ikey(const struct bench *b, uint64_t i, uint8_t *space) {
    space[0] = 0;
    space[1] = 1;
    if (!b->is_text) {
        put_u64_le(space + 2, mix(i));
        put_u64_le(space + 10, i);
        return;
    }
    /* An odd factor mod 2^32 visits each number once, in an order without pattern. */
    uint64_t n = (uint32_t)(i * 2654435761u);
    memcpy(space + 2, "user:", 5);
    for (uint32_t at = IKEY_BYTES - 1; at >= 7; at--) {
        space[at] = (uint8_t)('0' + n % 10);
        n /= 10;
    }
}

static struct bytes ikey_at(const struct bench *b, uint32_t k) {
    return bytes_of(b->ikeys[k], IKEY_BYTES);
}

static void put_one(struct bench *b, uint32_t k, uint64_t stamp) {
    static const uint8_t value[VALUE_BYTES_BENCH_MAX];
    const struct record r = {
        .ikey = ikey_at(b, k),
        .ballot = { .stamp = stamp, .node = 1, .boot = 1 },
        .value = bytes_of(value, b->value_bytes),
    };
    if (!status_ok(memtable_put(b->memtable, &r, stamp))) abort();
}

static void get_one(struct bench *b, uint32_t k) {
    struct record r;
    uint64_t sequence;
    if (status_ok(memtable_get(b->memtable, ikey_at(b, k), &r, &sequence)))
        b->sum += r.value.len + sequence;
}

static void prefetch_group(struct bench *b, uint32_t first) {
    for (uint32_t k = first; k < first + GROUP; k++) memtable_prefetch(b->memtable, ikey_at(b, k));
}

/* Fill an empty memtable, in groups or one by one. */
static double measure_put(struct bench *b, bool is_grouped) {
    b->memtable = memtable_create((size_t)8 << 30, 42);
    uint64_t total_ns = 0;
    for (uint64_t i = 0; i < b->keys; i += BATCH) {
        for (uint32_t k = 0; k < BATCH; k++) make_ikey(b, i + k, b->ikeys[k]);
        const uint64_t start = now_ns();
        for (uint32_t k = 0; k < BATCH; k++) {
            if (is_grouped && k % GROUP == 0) prefetch_group(b, k);
            put_one(b, k, i + k + 1);
        }
        total_ns += now_ns() - start;
    }
    return (double)total_ns / (double)b->keys;
}

/* The longest of all groups of puts into an empty memtable, in microseconds. */
static double measure_worst_put(struct bench *b) {
    b->memtable = memtable_create((size_t)8 << 30, 42);
    uint64_t worst_ns = 0;
    for (uint64_t i = 0; i < b->keys; i += GROUP) {
        for (uint32_t k = 0; k < GROUP; k++) make_ikey(b, i + k, b->ikeys[k]);
        const uint64_t start = now_ns();
        for (uint32_t k = 0; k < GROUP; k++) put_one(b, k, i + k + 1);
        const uint64_t ns = now_ns() - start;
        if (ns > worst_ns) worst_ns = ns;
    }
    return (double)worst_ns / 1000;
}

static double measure_point(struct bench *b, enum measure what) {
    const uint64_t operations =
        (b->keys < OPERATIONS_MAX ? b->keys : OPERATIONS_MAX) / BATCH * BATCH;
    const uint64_t above = what == GET_MISS || what == MISS_GROUPED ? b->keys : 0;
    const bool is_grouped =
        what == GET_GROUPED || what == MISS_GROUPED || what == OVERWRITE_GROUPED;
    const bool is_put = what == OVERWRITE || what == OVERWRITE_GROUPED;
    const uint64_t stamp = (1 + (uint64_t)what) * b->keys;
    uint64_t total_ns = 0;
    for (uint64_t i = 0; i < operations; i += BATCH) {
        for (uint32_t k = 0; k < BATCH; k++)
            make_ikey(b, above + mix(i + k) % b->keys, b->ikeys[k]);
        const uint64_t start = now_ns();
        for (uint32_t k = 0; k < BATCH; k++) {
            if (is_grouped && k % GROUP == 0) prefetch_group(b, k);
            if (is_put)
                put_one(b, k, stamp + i + k);
            else
                get_one(b, k);
        }
        total_ns += now_ns() - start;
    }
    return (double)total_ns / (double)operations;
}

static double measure_scan(struct bench *b) {
    const uint64_t operations = 20 * BATCH;
    uint64_t total_ns = 0;
    for (uint64_t i = 0; i < operations; i += BATCH) {
        for (uint32_t k = 0; k < BATCH; k++) make_ikey(b, b->keys + mix(i + k), b->ikeys[k]);
        const uint64_t start = now_ns();
        for (uint32_t k = 0; k < BATCH; k++) {
            struct memtable_iterator it;
            memtable_iterator_seek(&it, b->memtable, ikey_at(b, k));
            for (uint32_t n = 0; n < SCAN && it.valid; n++) {
                b->sum += it.record.value.len;
                memtable_iterator_next(&it);
            }
            memtable_iterator_deinit(&it);
        }
        total_ns += now_ns() - start;
    }
    return (double)total_ns / (double)operations;
}

static double measure_walk(struct bench *b) {
    struct memtable_iterator it;
    uint64_t records = 0;
    const uint64_t start = now_ns();
    memtable_iterator_seek(&it, b->memtable, BYTES_NONE);
    for (; it.valid; memtable_iterator_next(&it)) {
        b->sum += it.record.ballot.stamp;
        records++;
    }
    if (records != memtable_count(b->memtable)) abort();
    return (double)(now_ns() - start) / (double)records;
}

/* The first fill takes pages from the system, which those after it use again. */
static void run_round(struct bench *b, double *figures) {
    figures[PUT_WORST_US] = measure_worst_put(b);
    memtable_destroy(b->memtable);
    figures[PUT_GROUPED] = measure_put(b, true);
    memtable_destroy(b->memtable);
    figures[PUT] = measure_put(b, false);
    for (enum measure what = OVERWRITE; what <= MISS_GROUPED; what++)
        figures[what] = measure_point(b, what);
    figures[SEEK_NEXT] = measure_scan(b);
    figures[WALK] = measure_walk(b);
    figures[BYTES_RECORD] = (double)memtable_bytes(b->memtable) / (double)b->keys;
    memtable_destroy(b->memtable);
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(const char *shape, uint64_t keys, uint32_t value_bytes, uint32_t rounds) {
    double figures[MEASURES][ROUNDS_MAX];
    static struct bench b;
    b = (struct bench){ .is_text = strcmp(shape, "text") == 0, .value_bytes = value_bytes };
    b.keys = (keys + BATCH - 1) / BATCH * BATCH;
    for (uint32_t round = 0; round < rounds; round++) {
        double of_round[MEASURES];
        run_round(&b, of_round);
        for (uint32_t i = 0; i < MEASURES; i++) figures[i][round] = of_round[i];
    }
    printf("%s keys of 16 B, %llu records, values of %u B, median of %u\n", shape,
           (unsigned long long)b.keys, value_bytes, rounds);
    for (uint32_t i = 0; i < MEASURES; i++) {
        qsort(figures[i], rounds, sizeof figures[i][0], compare_doubles);
        printf("  %-18s %8.0f\n", names[i], figures[i][rounds / 2]);
    }
    printf("  (%llx)\n", (unsigned long long)b.sum);
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *shape = argc > 1 ? argv[1] : "random";
    if (argc > 4) {
        const uint32_t rounds = (uint32_t)strtoul(argv[4], NULL, 10);
        run(shape, strtoull(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10),
            rounds == 0 || rounds > ROUNDS_MAX ? 1 : rounds);
        return 0;
    }
    run(shape, 100000, 100, 9);
    run(shape, 1000000, 100, 5);
    run(shape, 10000000, 8, 3);
    return 0;
}

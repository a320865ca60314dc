/* engine_bench: RocksDB's db_bench workloads against the engine.
 *
 * One engine has one owner thread, so `--threads N` means N engines (shards), each
 * with num / N of the keys, which is how a node uses its cores. Reads block (may_block), as db_bench's
 * do. In readwhilewriting the owner does both: it reads, and puts at the rate of
 * --write-rate between reads; db_bench has a second thread for the writer.
 */
#include "base/assert.h"
#include "base/buffer.h"
#include "base/histogram.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/loop.h"
#include "os/thread.h"
#include "storage/engine.h"
#include "storage/rate_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_POOL_BYTES (1u << 20)
#define EVENTS_MAX 64u
/* The loop is looked at once in so many operations. */
#define LOOK_OPS 64u

struct settings {
    const char *bench;
    const char *dir;
    const char *sync;
    const char *compression;
    const char *bottom;
    uint64_t num;
    uint64_t reads; /* 0 = num */
    uint64_t key;
    uint64_t value;
    uint64_t threads;
    uint64_t batch; /* puts in one turn, hence in one WAL write */
    uint64_t cache_mb;
    uint64_t memtable_mb;
    uint64_t memtables;
    uint64_t level1_mb;
    uint64_t table_mb;
    uint64_t block;
    uint64_t filter_bits;
    uint64_t write_rate; /* puts a second, in readwhilewriting */
    uint64_t nexts;      /* after each seek */
    uint64_t seed;
    uint64_t background; /* threads for flush and compaction */
    bool json;
};

static struct settings set = {
    .bench = "fillrandom,overwrite,readrandom,readwhilewriting,seekrandom",
    .dir = "/tmp/engine_bench",
    .sync = "never",
    .compression = "lz4",
    .bottom = "lz4",
    .num = 1000000,
    .key = 16,
    .value = 100,
    .threads = 1,
    .batch = 1,
    .cache_mb = 256,
    .memtable_mb = 64,
    .memtables = 3,
    .level1_mb = 256,
    .table_mb = 32,
    .block = TABLE_BLOCK_BYTES_DEFAULT,
    .filter_bits = TABLE_FILTER_BITS_DEFAULT,
    .write_rate = 10000,
    .seed = 1,
    .background = 2,
};

/* One engine and its owner. */
struct worker {
    struct os *os;
    struct os_loop *loop;
    struct engine *engine;
    struct os_thread *thread;
    struct histogram latency; /* ns, of the operation the bench is about */
    uint64_t random;
    uint64_t key_count; /* keys of this shard */
    uint64_t ops;
    uint64_t found;
    uint64_t stalled_ns;
    uint64_t user_bytes;   /* keys and values put, over all benches */
    uint64_t stamp;        /* last ballot */
    uint64_t acknowledged; /* sequence of the last put */
    uint32_t until_look;
    uint32_t value_at; /* in the pool */
    const char *bench;
    char dir[512];
    uint8_t ikey[2 + 256];
    uint8_t *values;
};

static uint64_t next_random(struct worker *w) {
    w->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = w->random;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void must(struct status s, const char *what) {
    if (status_ok(s)) return;
    fprintf(stderr, "engine_bench: %s: %s\n", what, status_name(s));
    exit(1);
}

/* As db_bench: the number as 8 bytes, most significant first, then '0's. */
static struct bytes make_ikey(struct worker *w, uint64_t number) {
    const size_t key = set.key;
    const uint64_t swapped = __builtin_bswap64(number);
    w->ikey[0] = 0;
    w->ikey[1] = 1;
    memset(w->ikey + 2, '0', key);
    memcpy(w->ikey + 2, (const uint8_t *)&swapped + (key < 8 ? 8 - key : 0), key < 8 ? key : 8);
    return bytes_of(w->ikey, 2 + key);
}

/* As db_bench with compression_ratio 0.5: runs of 50 random bytes, each twice. */
static void make_values(struct worker *w) {
    w->values = mem_alloc(VALUE_POOL_BYTES + set.value);
    for (uint32_t at = 0; at < VALUE_POOL_BYTES + set.value; at++) {
        w->values[at] = (uint8_t)(' ' + next_random(w) % 95);
        if (at % 100 >= 50) w->values[at] = w->values[at - 50];
    }
}

/* ---- the loop ---- */

static void deliver(struct worker *w, uint32_t wait_ms) {
    struct os_event events[EVENTS_MAX];
    const uint32_t count = os_loop_wait(w->loop, wait_ms, events, EVENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].kind == OS_EVENT_JOB) events[i].job->done(events[i].job);
    }
}

static void look(struct worker *w) {
    if (--w->until_look > 0) return;
    w->until_look = LOOK_OPS;
    deliver(w, 0);
    engine_turn(w->engine);
}

static void settle(struct worker *w) {
    do {
        engine_turn(w->engine);
        deliver(w, 1);
    } while (engine_is_busy(w->engine));
}

/* ---- operations ---- */

static void put(struct worker *w, uint64_t number, uint64_t nth) {
    const struct record r = {
        .ikey = make_ikey(w, number),
        .ballot = { .stamp = ++w->stamp, .node = 1, .boot = 1 },
        .value = bytes_of(w->values + w->value_at, set.value),
    };
    uint64_t stalled_at = 0;
    struct status s;
    w->value_at = (w->value_at + (uint32_t)set.value) % VALUE_POOL_BYTES;
    while (s = engine_put(w->engine, &r, &w->acknowledged), s.code == ST_BUSY) {
        if (stalled_at == 0) stalled_at = os_mono_ns(w->os);
        engine_turn(w->engine);
        deliver(w, 1);
    }
    if (stalled_at != 0) w->stalled_ns += os_mono_ns(w->os) - stalled_at;
    must(s, "put");
    w->user_bytes += r.ikey.len + r.value.len;
    if (nth % set.batch != 0) return;
    engine_turn(w->engine);
    if (strcmp(set.sync, "always") != 0) return;
    while (engine_acknowledged(w->engine) < w->acknowledged) deliver(w, 1000);
}

static bool get(struct worker *w, uint64_t number) {
    struct engine_read r = { 0 };
    const struct status s = engine_get(w->engine, make_ikey(w, number), true, &r);
    if (s.code != ST_NOT_FOUND) must(s, "get");
    const bool found = status_ok(s);
    if (found) ASSERT(r.record.value.len == set.value);
    engine_read_deinit(w->engine, &r);
    return found;
}

static bool seek(struct worker *w, uint64_t number) {
    struct engine_iterator *it = engine_iterator_create(w->engine, true);
    const struct bytes ikey = make_ikey(w, number);
    must(engine_iterator_seek(it, ikey), "seek");
    bool found = false;
    if (engine_iterator_valid(it)) found = bytes_equal(engine_iterator_record(it)->ikey, ikey);
    for (uint64_t i = 0; i < set.nexts && engine_iterator_valid(it); i++) {
        must(engine_iterator_next(it), "next");
    }
    engine_iterator_destroy(it);
    return found;
}

/* ---- benches ---- */

static void run_fill(struct worker *w, bool in_order) {
    for (uint64_t i = 0; i < w->key_count; i++) {
        const uint64_t started = os_mono_ns(w->os);
        put(w, in_order ? i : next_random(w) % w->key_count, i + 1);
        look(w);
        histogram_record(&w->latency, os_mono_ns(w->os) - started);
        w->ops++;
    }
}

static void run_reads(struct worker *w, bool seeks, uint64_t write_rate) {
    const uint64_t count = (set.reads == 0 ? set.num : set.reads) / set.threads;
    const uint64_t began = os_mono_ns(w->os);
    uint64_t puts = 0;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t started = os_mono_ns(w->os);
        const uint64_t number = next_random(w) % w->key_count;
        w->found += seeks ? seek(w, number) : get(w, number);
        histogram_record(&w->latency, os_mono_ns(w->os) - started);
        w->ops++;
        if (write_rate == 0) {
            look(w);
            continue;
        }
        const uint64_t due = (uint64_t)((double)(started - began) / 1e9 * (double)write_rate);
        while (puts < due) put(w, next_random(w) % w->key_count, ++puts);
        look(w);
    }
}

static void run_worker(void *user) {
    struct worker *w = user;
    w->latency = (struct histogram){ 0 };
    w->ops = w->found = w->stalled_ns = 0;
    w->until_look = LOOK_OPS;
    if (strcmp(w->bench, "fillseq") == 0) {
        run_fill(w, true);
    } else if (strcmp(w->bench, "fillrandom") == 0 || strcmp(w->bench, "overwrite") == 0) {
        run_fill(w, false);
    } else if (strcmp(w->bench, "readrandom") == 0) {
        run_reads(w, false, 0);
    } else if (strcmp(w->bench, "readwhilewriting") == 0) {
        run_reads(w, false, set.write_rate / set.threads);
    } else if (strcmp(w->bench, "seekrandom") == 0) {
        run_reads(w, true, 0);
    } else if (strcmp(w->bench, "flush") == 0) {
        engine_flush(w->engine);
        settle(w);
        w->ops = 1;
    } else if (strcmp(w->bench, "settle") == 0) {
        settle(w);
        w->ops = 1;
    } else if (strcmp(w->bench, "compact") == 0) {
        engine_compact_all(w->engine);
        settle(w);
        w->ops = 1;
    } else {
        fprintf(stderr, "engine_bench: no bench '%s'\n", w->bench);
        exit(2);
    }
}

/* ---- report ---- */

static void report(const char *name, struct worker *workers, uint64_t ns) {
    struct histogram all = { 0 };
    uint64_t ops = 0, found = 0, stalled = 0;
    for (uint64_t i = 0; i < set.threads; i++) {
        histogram_merge(&all, &workers[i].latency);
        ops += workers[i].ops;
        found += workers[i].found;
        stalled += workers[i].stalled_ns;
    }
    const double rate = (double)ops * 1e9 / (double)ns;
    const double p50 = (double)histogram_quantile(&all, 0.5) / 1e3;
    const double p99 = (double)histogram_quantile(&all, 0.99) / 1e3;
    const double p999 = (double)histogram_quantile(&all, 0.999) / 1e3;
    const char *format =
        set.json ? "{\"bench\":\"%s\",\"ops_per_second\":%.0f,\"seconds\":%.3f,\"p50_us\":%.2f,"
                   "\"p99_us\":%.2f,\"p999_us\":%.2f,\"max_us\":%.1f,\"found\":%" PRIu64
                   ",\"stalled_seconds\":%.3f}\n"
                 : "%-18s %10.0f ops/s %8.2f s  p50 %7.2f us  p99 %8.2f  p99.9 %8.2f  max %9.1f  "
                   "found %" PRIu64 "  stalled %.2f s\n";
    printf(format, name, rate, (double)ns / 1e9, p50, p99, p999, (double)all.max / 1e3, found,
           (double)stalled / 1e9);
    fflush(stdout);
}

static void report_sizes(struct worker *workers) {
    uint64_t user = 0, written = 0, disk = 0, live = 0, levels[ENGINE_LEVELS] = { 0 },
             tables[ENGINE_LEVELS] = { 0 };
    for (uint64_t i = 0; i < set.threads; i++) {
        const struct engine_stats s = engine_stats(workers[i].engine);
        user += workers[i].user_bytes;
        written += s.flush_bytes + s.compaction_bytes_written;
        live = s.records > live ? s.records : live;
        for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
            levels[l] += s.level_bytes[l];
            tables[l] += s.level_tables[l];
            disk += s.level_bytes[l];
        }
    }
    const double last = (double)levels[ENGINE_LEVELS - 1];
    const double write = user == 0 ? 0 : (double)written / (double)user;
    const double space = last == 0 ? 0 : (double)disk / last;
    if (set.json) {
        printf("{\"bench\":\"sizes\",\"table_bytes\":%" PRIu64 ",\"write_amplification\":%.3f,"
               "\"space_amplification\":%.3f}\n",
               disk, write, space);
        return;
    }
    printf(
        "tables %.1f MB; written by flush and compaction / put %.2f; all levels / last level %.2f; levels",
        (double)disk / 1e6, write, space);
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        printf(" %" PRIu64 ":%.0fMB", tables[l], (double)levels[l] / 1e6);
    }
    printf("\n");
}

/* ---- set-up ---- */

static enum compression compression_of(const char *name) {
    if (strcmp(name, "none") == 0) return COMPRESSION_NONE;
    if (strcmp(name, "lz4") == 0) return COMPRESSION_LZ4;
    if (strcmp(name, "zstd") == 0) return COMPRESSION_ZSTD;
    fprintf(stderr, "engine_bench: compression is none, lz4 or zstd\n");
    exit(2);
}

static enum wal_sync sync_of(const char *name) {
    if (strcmp(name, "always") == 0) return WAL_SYNC_ALWAYS;
    if (strcmp(name, "interval") == 0) return WAL_SYNC_INTERVAL;
    if (strcmp(name, "never") == 0) return WAL_SYNC_NEVER;
    fprintf(stderr, "engine_bench: sync is always, interval or never\n");
    exit(2);
}

struct option {
    const char *name;
    uint64_t *number;
    const char **text;
};

static const struct option option_list[] = {
    { "bench", NULL, &set.bench },
    { "dir", NULL, &set.dir },
    { "sync", NULL, &set.sync },
    { "compression", NULL, &set.compression },
    { "bottom", NULL, &set.bottom },
    { "num", &set.num, NULL },
    { "reads", &set.reads, NULL },
    { "key", &set.key, NULL },
    { "value", &set.value, NULL },
    { "threads", &set.threads, NULL },
    { "batch", &set.batch, NULL },
    { "cache-mb", &set.cache_mb, NULL },
    { "memtable-mb", &set.memtable_mb, NULL },
    { "memtables", &set.memtables, NULL },
    { "level1-mb", &set.level1_mb, NULL },
    { "table-mb", &set.table_mb, NULL },
    { "block", &set.block, NULL },
    { "filter-bits", &set.filter_bits, NULL },
    { "write-rate", &set.write_rate, NULL },
    { "nexts", &set.nexts, NULL },
    { "seed", &set.seed, NULL },
    { "background", &set.background, NULL },
};

_Noreturn static void usage(void) {
    fprintf(stderr, "usage: engine_bench [--json] [--NAME VALUE ...]; names:");
    for (size_t i = 0; i < sizeof option_list / sizeof *option_list; i++) {
        fprintf(stderr, " %s", option_list[i].name);
    }
    fprintf(stderr, "\n");
    exit(2);
}

static void parse(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            set.json = true;
            continue;
        }
        size_t o = 0;
        const size_t count = sizeof option_list / sizeof *option_list;
        while (o < count &&
               (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i] + 2, option_list[o].name) != 0))
            o++;
        if (o == count || i + 1 == argc) usage();
        i++;
        if (option_list[o].text != NULL) {
            *option_list[o].text = argv[i];
        } else if (!status_ok(bytes_to_u64(bytes_of_string(argv[i]), option_list[o].number))) {
            usage();
        }
    }
    if (set.threads == 0 || set.batch == 0 || set.key < 4 || set.key > 256 || set.num < set.threads)
        usage();
}

static void worker_open(struct worker *w, uint64_t number, struct os *os, struct os_pool *pool,
                        struct cache *cache) {
    w->os = os;
    w->loop = os_loop_create(os);
    w->random = set.seed * 1000 + number;
    w->key_count = set.num / set.threads;
    snprintf(w->dir, sizeof w->dir, "%s/%" PRIu64, set.dir, number);
    make_values(w);
    struct engine_options o = engine_options_default();
    o.os = os;
    o.loop = w->loop;
    o.pool = pool;
    o.cache = cache;
    o.dir = w->dir;
    o.sync = sync_of(set.sync);
    o.memtable_bytes = set.memtable_mb << 20;
    o.memtables_max = (uint32_t)set.memtables;
    o.level1_bytes = set.level1_mb << 20;
    o.table_bytes = set.table_mb << 20;
    o.table.block_bytes = (uint32_t)set.block;
    o.table.filter_bits_per_key = (uint32_t)set.filter_bits;
    o.table.compression = compression_of(set.compression);
    o.bottom_compression = compression_of(set.bottom);
    const uint64_t started = os_mono_ns(os);
    must(engine_open(&o, &w->engine), "open");
    w->stamp = engine_ballot_max(w->engine).stamp;
    if (w->stamp > 0) {
        fprintf(stderr, "opened %s in %.3f s\n", w->dir, (double)(os_mono_ns(os) - started) / 1e9);
    }
}

static void worker_close(struct worker *w) {
    engine_stop(w->engine, false);
    do {
        engine_turn(w->engine);
        deliver(w, 1);
    } while (!engine_is_idle(w->engine));
    engine_close(w->engine);
    os_loop_destroy(w->loop);
    mem_free(w->values);
}

static void run_bench(struct os *os, struct worker *workers, const char *name) {
    const uint64_t started = os_mono_ns(os);
    for (uint64_t i = 0; i < set.threads; i++) workers[i].bench = name;
    if (set.threads == 1) {
        run_worker(&workers[0]);
    } else {
        for (uint64_t i = 0; i < set.threads; i++) {
            must(os_thread_start(os, "bench", -1, run_worker, &workers[i], &workers[i].thread),
                 "thread");
        }
        for (uint64_t i = 0; i < set.threads; i++) os_thread_join(workers[i].thread);
    }
    report(name, workers, os_mono_ns(os) - started);
}

int main(int argc, char **argv) {
    parse(argc, argv);
    struct os *os = os_create();
    log_set_sink(os_log_sink);
    log_set_level(LOG_WARN);
    const uint32_t threads[OS_JOB_KINDS] = { 2, 1, (uint32_t)set.background };
    struct os_pool *pool = os_pool_create(os, threads);
    struct cache *cache = cache_create(set.cache_mb << 20);
    struct worker *workers = mem_alloc_zeroed(set.threads * sizeof *workers);
    for (uint64_t i = 0; i < set.threads; i++) worker_open(&workers[i], i, os, pool, cache);

    char names[512];
    snprintf(names, sizeof names, "%s", set.bench);
    char *rest = names;
    while (rest != NULL) {
        char *comma = strchr(rest, ',');
        if (comma != NULL) *comma = '\0';
        run_bench(os, workers, rest);
        rest = comma == NULL ? NULL : comma + 1;
    }
    report_sizes(workers);
    for (uint64_t i = 0; i < set.threads; i++) worker_close(&workers[i]);
    mem_free(workers);
    cache_destroy(cache);
    os_pool_destroy(pool);
    os_destroy(os);
    return 0;
}

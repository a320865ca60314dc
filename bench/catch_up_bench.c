/* catch_up_bench : how fast the slots of a member that leaves come to the other one, over loopback:
 * "push" where the side that asks has the records, "fetch" where the other one has them. Nothing
 * limits the rate. Records of 1 kB. DIRECTORY is emptied
 * first, not after. */
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "shard/shard.h"
#include "storage/rate_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 2u
#define RECORDS 400000u
#define VALUE_BYTES 1024u
#define WAIT_MS_MAX 120000u

struct bench_node {
    struct node node;
    struct shard *shard;
    struct os_thread *thread;
    char dir[64];
    char address[24];
};

static struct os *os;
static struct os_pool *pool;
static struct cache *cache;
static struct metadata *metadata;
static struct bench_node nodes[NODES];

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "catch_up_bench: %s\n", what);
    exit(1);
}

static void quiet(enum log_level level, const char *line) {
    if (level >= LOG_WARN) fprintf(stderr, "%s\n", line);
}

static void apply(struct metadata_command *c) {
    static uint64_t sequence;
    c->cluster = (struct cluster_id){ { 1 } };
    c->proposal = (struct proposal){ .node = 1, .sequence = ++sequence };
    must(metadata_result_ok(metadata_apply(metadata, c)), "the metadata refuses a command");
}

static void bootstrap(void) {
    static struct metadata_command c;
    c = (struct metadata_command){ .kind = METADATA_BOOTSTRAP, .replicas = 1 };
    c.settings.replication = (struct replication){ 1, 1, 1 };
    c.first_count = NODES;
    for (uint32_t i = 0; i < NODES; i++)
        c.first[i] = (struct member_wish){ .id = i + 1,
                                           .weight = 1,
                                           .address = bytes_of_string(nodes[i].address) };
    apply(&c);
}

/* All slots of the one that leaves become joint. */
static void leave(uint32_t member) {
    static struct metadata_command c;
    static uint8_t packed[SLOT_RANGES_MAX * 4];
    c = (struct metadata_command){ .kind = METADATA_MEMBER_LEAVE, .member.id = member };
    apply(&c);
    c = (struct metadata_command){ .kind = METADATA_CHANGE_BEGIN };
    metadata_inputs(metadata, &c.target);
    apply(&c);
    c = (struct metadata_command){ .kind = METADATA_SLOTS_JOINT, .change = metadata->change.id };
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (metadata->slots.phases[slot] != SLOT_OLD) continue;
        const bool extends = count > 0 && get_u16_le(packed + 4 * count - 2) + 1u == slot;
        if (!extends) put_u16_le(packed + 4 * count++, (uint16_t)slot);
        put_u16_le(packed + 4 * count - 2, (uint16_t)slot);
    }
    c.ranges = (struct slot_ranges){ count, bytes_of(packed, 4 * (size_t)count) };
    apply(&c);
}

static struct membership *view_of(uint32_t i) {
    struct membership *m = NULL;
    must(status_ok(membership_from_metadata(metadata, i + 1, NULL, &m)), "no view");
    return m;
}

static void open_node(uint32_t i, const char *base) {
    struct bench_node *n = &nodes[i];
    snprintf(n->dir, sizeof n->dir, "%s/%u", base, i);
    must(status_ok(os_dir_create(os, n->dir)), "no directory");
    n->node = (struct node){ .os = os,
                             .pool = pool,
                             .cache = cache,
                             .shards_count = 1,
                             .node_id = i + 1,
                             .boot_count = 1,
                             .version = "bench",
                             .address = n->address,
                             .data_dir = n->dir,
                             .sync_mode = "always",
                             .value_bytes_max = VALUE_BYTES_MAX,
                             .input_bytes_max = 1u << 24,
                             .connections_max = 16,
                             .write_wait_ms = 2000,
                             .client_wait_ms = 2000,
                             .quorum_wait_ms = 5000,
                             .repair_rate = 1000000 };
    views_init(&n->node.views, view_of(i));
    scan_cursors_init(&n->node.cursors, 0);
    slow_log_init(&n->node.slow, NODE_SLOW_OFF);
    static char path[80];
    snprintf(path, sizeof path, "%s/shard-00", n->dir);
    struct engine_options o = engine_options_default();
    o.os = os;
    o.pool = pool;
    o.cache = cache;
    o.dir = path;
    must(status_ok(shard_create(&n->node, 0, &n->node.shards[0])), "no shard");
    n->shard = n->node.shards[0];
    must(status_ok(shard_open(n->shard, &o)), "no engine");
    must(status_ok(shard_listen(n->shard, n->address)), "no listener");
    atomic_store(&n->node.ready, true);
}

static void turn(struct shard *s) {
    shard_turn(s, s->events, os_loop_wait(s->loop, 0, s->events, SHARD_EVENTS_MAX));
}

/* Returns bytes of what will move. */
static uint64_t load(uint32_t member) {
    struct shard *s = nodes[member - 1].shard;
    static uint8_t value[VALUE_BYTES];
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint8_t space[32];
        char text[16];
        uint64_t sequence;
        const int len = snprintf(text, sizeof text, "key%09u", i);
        for (uint32_t k = 0; k < VALUE_BYTES; k += 8)
            put_u64_le(value + k, i * 0x9E3779B97F4A7C15u + k);
        const struct bytes key = bytes_of(text, (size_t)len);
        if (!membership_keeps(s->members, crc16_slot(key), s->members->self)) continue;
        const struct record r = { .ikey = ikey_make(0, key, space),
                                  .ballot = { shard_stamp(s), 1, 1 },
                                  .value = bytes_of(value, sizeof value) };
        while (!status_ok(engine_put(s->engine, &r, &sequence))) turn(s);
        if (i % 1000 == 0) turn(s);
        bytes += r.ikey.len + r.value.len;
    }
    for (uint32_t i = 0; i < 100 && engine_is_busy(s->engine); i++) {
        turn(s);
        os_sleep_ms(os, 10);
    }
    return bytes;
}

static void run(void *user) {
    shard_run(user);
}

static void measure(uint32_t leaving) {
    const uint64_t bytes = load(leaving);
    leave(leaving);
    for (uint32_t i = 0; i < NODES; i++)
        must(status_ok(os_thread_start(os, "shard", -1, run, nodes[i].shard, &nodes[i].thread)),
             "no thread");
    os_sleep_ms(os, 2000); /* they meet */
    const uint64_t began_ns = os_mono_ns(os);
    for (uint32_t i = 0; i < NODES; i++) node_publish_view(&nodes[i].node, view_of(i));
    for (uint32_t i = 0; i < NODES; i++) {
        while (node_caught_up_epoch(&nodes[i].node) != metadata->epoch) {
            must(os_mono_ns(os) < began_ns + UINT64_C(1000000) * WAIT_MS_MAX, "not in time");
            os_sleep_ms(os, 5);
        }
    }
    const double seconds = (double)(os_mono_ns(os) - began_ns) / 1e9;
    const uint64_t sent = atomic_load(&nodes[leaving - 1].shard->moved.records_sent);
    printf("%s\t%llu records\t%.1f MB\t%.2f s\t%.1f MB/s\n", leaving == 1 ? "push" : "fetch",
           (unsigned long long)sent, (double)bytes / 1e6, seconds, (double)bytes / 1e6 / seconds);
}

/* What an earlier run left. */
static void remove_one(void *user, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", (const char *)user, name);
    must(status_ok(os_path_remove(os, path)), "cannot remove a file");
}

static void empty(const char *base) {
    char dir[80];
    for (uint32_t i = 0; i < NODES; i++) {
        snprintf(dir, sizeof dir, "%s/%u/shard-00", base, i);
        if (!os_path_exists(os, dir)) continue;
        must(status_ok(os_dir_list(os, dir, remove_one, dir)), "cannot list a directory");
    }
}

int main(int argc, char **argv) {
    static const uint32_t threads[OS_JOB_KINDS] = { 4, 4, 2 };
    const bool fetches = argc > 1 && strcmp(argv[1], "fetch") == 0;
    const char *base = argc > 2 ? argv[2] : "/tmp/catch_up_bench";
    if (argc > 3 || (argc > 1 && !fetches && strcmp(argv[1], "push") != 0)) {
        fprintf(stderr, "usage: catch_up_bench [push|fetch [DIRECTORY]]\n");
        return 2;
    }
    os = os_create();
    pool = os_pool_create(os, threads);
    cache = cache_create((size_t)64 << 20);
    metadata = metadata_create();
    log_set_sink(quiet);
    must(status_ok(os_dir_create(os, base)), "no directory");
    empty(base);
    for (uint32_t i = 0; i < NODES; i++)
        snprintf(nodes[i].address, sizeof nodes[i].address, "127.0.0.1:%u", 17841 + i);
    bootstrap();
    for (uint32_t i = 0; i < NODES; i++) open_node(i, base);
    measure(fetches ? 2 : 1);
    return 0; /* the process ends with its threads; nothing it made is of use */
}

#include "server/serve.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/thread.h"
#include "server/members.h"
#include "shard/shard.h"
#include "shard/snapshot.h"
#include "storage/identity.h"
#include "storage/rate_limit.h"

enum exit_code {
    EXIT_OK = 0,
    EXIT_USAGE = 2,   /* a setting, a foreign or locked directory, a port in use */
    EXIT_STORAGE = 5, /* the data cannot be opened: damaged, unreadable, no space */
};

/* Where `atoll bench` looks for a node. */
#define DEFAULT_PORT 8080u
/* Descriptors without which a node does not begin: for itself, and of each shard. */
#define DESCRIPTORS_MIN 64u
#define DESCRIPTORS_OF_SHARD 16u
/* The largest body of a batch, in a buffer that doubles. */
#define INPUT_SHARE_BYTES_MIN (2u * HTTP_BODY_BYTES_MAX)

/* Everything a running node is made of, in the order it is built. */
struct server {
    const struct config *config;
    struct os *os;
    struct os_file lock;      /* not open at a proxy */
    struct identity identity; /* of a proxy: node 0, which no version carries */
    struct members members;   /* as the settings have them */
    struct os_pool *pool;
    struct cache *cache;
    struct rate_limit rate_limit;
    struct node node;
    struct os_thread *threads[SHARDS_MAX];
    struct status opened[SHARDS_MAX];
    char address[OS_ADDRESS_BYTES_MAX];
    int exit_code;          /* written on shard 0's thread, read when it has ended */
    _Atomic bool running;   /* the shards exist and may be told to stop */
    _Atomic bool stop_told; /* `stop` has done all it does */
};

/* A setting as text, as the user sees it. */
static const char *setting(const struct config *c, const char *name) {
    for (uint32_t i = 0; i < c->rows_count; i++) {
        if (strcmp(c->rows[i].name, name) == 0) return c->rows[i].value;
    }
    ASSERT(false);
    return "";
}

static enum wal_sync sync_of(const struct config *c) {
    switch (c->sync.index) {
    case CONFIG_SYNC_NEVER: return WAL_SYNC_NEVER;
    case CONFIG_SYNC_INTERVAL: return WAL_SYNC_INTERVAL;
    default: return WAL_SYNC_ALWAYS;
    }
}

static enum compression compression_of(struct option_choice choice) {
    switch (choice.index) {
    case CONFIG_COMPRESSION_LZ4: return COMPRESSION_LZ4;
    case CONFIG_COMPRESSION_ZSTD: return COMPRESSION_ZSTD;
    default: return COMPRESSION_NONE;
    }
}

/* ---- start ---- */

static bool is_proxy(const struct server *v) {
    return v->config->role.index == CONFIG_ROLE_PROXY;
}

static int resolve_members(struct server *v) {
    const struct status s = members_resolve(v->config, v->os, v->address, &v->members);
    if (!status_ok(s)) return EXIT_USAGE;
    members_log(&v->members);
    return EXIT_OK;
}

static int open_directory(struct server *v) {
    const struct config *c = v->config;
    if (is_proxy(v)) {
        v->identity = (struct identity){ .shards = (uint32_t)c->shards };
        return EXIT_OK;
    }
    char path[OS_PATH_BYTES_MAX];
    if (!status_ok(os_dir_create(v->os, c->dir))) {
        log_error("cannot make the data directory %s: check its path and rights, or use --dir",
                  c->dir);
        return EXIT_USAGE;
    }
    snprintf(path, sizeof path, "%s/LOCK", c->dir);
    const struct status st = os_file_lock(v->os, path, &v->lock);
    if (st.code == ST_BUSY) {
        log_error("the data directory %s is in use by another atoll; stop it, or use --dir",
                  c->dir);
        return EXIT_USAGE;
    }
    if (!status_ok(st)) {
        log_error("cannot write to the data directory %s: check its rights and free space", c->dir);
        return EXIT_USAGE;
    }
    const uint32_t wanted = c->shards_given ? (uint32_t)c->shards : 0;
    const struct status known =
        identity_open(v->os, c->dir, wanted, (uint32_t)c->shards, &v->identity);
    if (known.code == ST_FULL)
        log_error("no space left on the file system of %s", c->dir);
    else if (known.code == ST_IO)
        log_error("cannot read or write %s/node", c->dir);
    return status_ok(known) ? EXIT_OK : known.code == ST_INVALID ? EXIT_USAGE : EXIT_STORAGE;
}

/* Fewer than its own files and a few clients take: it would fail later, in the middle of something. */
static int judge_descriptors(const struct server *v) {
    const uint32_t may = v->node.descriptors_max;
    const uint32_t least = DESCRIPTORS_MIN + v->identity.shards * DESCRIPTORS_OF_SHARD;
    if (may >= least) return EXIT_OK;
    log_error(
        "the process may have %u files and connections open, and %u shards need %u: raise the "
        "hard limit (ulimit -Hn, LimitNOFILE=), or use fewer --shards",
        may, v->identity.shards, least);
    return EXIT_USAGE;
}

static void fill_node(struct server *v) {
    const struct config *c = v->config;
    struct node *n = &v->node;
    n->os = v->os;
    n->pool = v->pool;
    n->cache = v->cache;
    views_init(&n->views, membership_create_empty());
    n->proxy = is_proxy(v);
    n->shards_count = v->identity.shards;
    n->node_id = v->identity.node_id;
    n->boot_count = v->identity.boot_count;
    n->version = ATOLL_VERSION;
    n->address = v->address;
    n->data_dir = is_proxy(v) ? "" : c->dir;
    n->sync_mode = setting(c, "sync");
    n->started_ms = os_wall_ms(v->os);
    n->value_bytes_max = c->value_bytes_max;
    n->get_json = c->get_format.index == CONFIG_GET_JSON;
    n->input_bytes_max = c->input_bytes_max / n->shards_count;
    /* One command of any allowed size must fit each shard's share. */
    if (n->input_bytes_max < INPUT_SHARE_BYTES_MIN) n->input_bytes_max = INPUT_SHARE_BYTES_MIN;
    n->connections_max = (uint32_t)(c->connections_max / n->shards_count) + 1;
    n->write_wait_ms = (uint32_t)c->write_wait_ms;
    n->client_wait_ms = (uint32_t)c->client_wait_ms;
    n->quorum_wait_ms = (uint32_t)c->quorum_wait_ms;
    n->hint_bytes_max = c->hint_bytes_max;
    n->hint_age_ms = c->hint_age_ms;
    n->repair_rate = c->repair_rate;
    atomic_store(&n->move_rate, c->move_rate);
    n->sync_interval_ms = c->sync.index == CONFIG_SYNC_INTERVAL ? (uint32_t)c->sync.time_ms : 0;
    n->config = c->rows;
    n->config_count = c->rows_count;
    uint32_t cursors_start = 0;
    os_entropy(v->os, &cursors_start, sizeof cursors_start);
    scan_cursors_init(&n->cursors, cursors_start);
    slow_log_init(&n->slow, c->slow_ms * 1000000);
}

static void create_snapshot(struct server *v) {
    const struct snapshot_options o = {
        .os = v->os,
        .pool = v->pool,
        .rate_limit = &v->rate_limit,
        .data_dir = v->config->dir,
        .interval_ms = v->config->snapshot_interval_ms,
        .keep = (uint32_t)v->config->snapshot_keep,
        .shards = v->identity.shards,
    };
    if (o.interval_ms > 0) v->node.snapshot = snapshot_create(&o);
}

static void build(struct server *v) {
    const struct config *c = v->config;
    const uint32_t threads[OS_JOB_KINDS] = {
        /* Making the next segment must not delay a sync. */
        [OS_JOB_SYNC] = 2 * v->identity.shards,
        [OS_JOB_READ] = (uint32_t)c->io_threads,
        [OS_JOB_BACKGROUND] = (uint32_t)c->compaction_threads,
    };
    v->pool = os_pool_create(v->os, threads);
    v->cache = cache_create(c->cache_bytes);
    rate_limit_init(&v->rate_limit, v->os, c->compaction_rate);
    fill_node(v);
    if (!is_proxy(v)) create_snapshot(v);
}

struct opening {
    struct server *server;
    uint16_t shard;
};

static struct engine_options engine_options_of(const struct server *v) {
    const struct config *c = v->config;
    struct engine_options o = engine_options_default();
    o.os = v->os;
    o.pool = v->pool;
    o.cache = v->cache;
    o.rate_limit = (struct rate_limit *)&v->rate_limit;
    o.sync = sync_of(c);
    o.memtable_bytes = c->memtable_bytes;
    o.memtables_max = (uint32_t)c->memtables_max;
    o.table.block_bytes = (uint32_t)c->block_bytes;
    o.table.filter_bits_per_key = (uint32_t)c->filter_bits;
    o.table.compression = compression_of(c->compression);
    o.bottom_compression = compression_of(c->bottom_compression);
    return o;
}

static void open_shard(void *user) {
    const struct opening *o = user;
    struct server *v = o->server;
    if (is_proxy(v)) {
        v->opened[o->shard] = shard_open(v->node.shards[o->shard], NULL);
        return;
    }
    char path[OS_PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/shard-%02u", v->config->dir, (unsigned)o->shard);
    struct engine_options options = engine_options_of(v);
    options.dir = path;
    v->opened[o->shard] = shard_open(v->node.shards[o->shard], &options);
}

static void stop_shards(struct server *v) {
    for (uint32_t i = 0; i < v->node.shards_count; i++) shard_stop(v->node.shards[i]);
}

/* On the thread that takes signals, at any time from the start on. */
static void stop(void *user) {
    struct server *v = user;
    log_info("stopping: finishing what is under way");
    atomic_store(&v->node.stopping, true);
    atomic_store(&v->node.ready, false);
    if (atomic_load(&v->running)) stop_shards(v);
    atomic_store(&v->stop_told, true);
}

static int create_shards(struct server *v) {
    for (uint16_t i = 0; i < v->node.shards_count; i++) {
        if (!status_ok(shard_create(&v->node, i, &v->node.shards[i]))) return EXIT_STORAGE;
    }
    return EXIT_OK;
}

/* The control plane says that this node may not go on. */
static void refused(void *user, const char *line) {
    struct server *v = user;
    log_error("%s", line);
    v->exit_code = EXIT_USAGE;
    stop(v);
}

/* What is stored of the cluster is known to the shards before they open. */
static int open_control(struct server *v) {
    char dir[OS_PATH_BYTES_MAX];
    struct node_control_options o = { .refused = refused, .user = v };
    members_options(&v->members, v->config, &o.control);
    o.control.boot = v->identity.boot_count;
    o.control.nonce = v->identity.node_id;
    snprintf(dir, sizeof dir, "%s/control", v->config->dir);
    if (!is_proxy(v)) o.dir = dir;
    struct node_control *c = node_control_create(&v->node, &o);
    const struct status opened = node_control_open(c);
    if (opened.code == ST_FULL)
        log_error("no space left on the file system of %s", v->config->dir);
    else if (!status_ok(opened))
        log_error("%s cannot be opened; without it the node does not know its cluster", dir);
    return status_ok(opened) ? v->exit_code : EXIT_STORAGE;
}

/* Recovery of all shards side by side, each on a thread of its own. */
static int open_shards(struct server *v) {
    struct opening openings[SHARDS_MAX];
    const uint64_t began_ns = os_mono_ns(v->os);
    for (uint16_t i = 0; i < v->node.shards_count; i++) {
        openings[i] = (struct opening){ v, i };
        if (!status_ok(
                os_thread_start(v->os, "open", -1, open_shard, &openings[i], &v->threads[i]))) {
            log_error("cannot start a thread");
            return EXIT_STORAGE;
        }
    }
    bool all = true;
    for (uint16_t i = 0; i < v->node.shards_count; i++) {
        os_thread_join(v->threads[i]);
        if (status_ok(v->opened[i])) continue;
        log_error("shard %u of %s cannot be opened: %s; `atoll check %s` says more", i,
                  v->config->dir, status_name(v->opened[i]), v->config->dir);
        all = false;
    }
    if (!all) return EXIT_STORAGE;
    if (is_proxy(v)) return EXIT_OK;
    log_info("recovered %u shards in %llu ms", v->node.shards_count,
             (unsigned long long)((os_mono_ns(v->os) - began_ns) / 1000000));
    return EXIT_OK;
}

/* The listeners of the shards share the port, so a second node on it would not be noticed:
 * first try to have it alone. */
static int reserve_address(struct server *v) {
    const char *address = v->config->listen;
    struct os_sock alone;
    const struct status st = os_sock_listen(v->os, address, false, &alone);
    if (!status_ok(st)) {
        log_error("cannot listen on %s: %s; choose another with --listen HOST:PORT or --port",
                  address,
                  st.code == ST_BUSY      ? "the port is in use"
                  : st.code == ST_INVALID ? "no such address"
                                          : "not allowed or not an address of this machine");
        return EXIT_USAGE;
    }
    v->node.port = os_sock_port(alone);
    os_sock_close(&alone);
    const char *colon = strrchr(address, ':');
    snprintf(v->address, sizeof v->address, "%.*s:%u", (int)(colon - address), address,
             v->node.port);
    return EXIT_OK;
}

static int listen_all(struct server *v) {
    for (uint16_t i = 0; i < v->node.shards_count; i++) {
        if (status_ok(shard_listen(v->node.shards[i], v->address))) continue;
        log_error("cannot listen on %s any more: the port was taken meanwhile", v->address);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static void run_shard(void *user) {
    shard_run(user);
}

static void start_shards(struct server *v) {
    node_control_begin(v->node.control); /* before a thread owns the loop of its timer */
    for (uint16_t i = 0; i < v->node.shards_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "shard-%u", i);
        if (status_ok(
                os_thread_start(v->os, name, -1, run_shard, v->node.shards[i], &v->threads[i])))
            continue;
        os_die("cannot start a thread for a shard");
    }
    atomic_store(&v->running, true);
    if (atomic_load(&v->node.stopping))
        stop_shards(v); /* asked for before there was anything to stop */
    else
        atomic_store(&v->node.ready, true);
}

/* ---- the time between ---- */

/* Where this node stands in its cluster, for a person. */
static void print_place(const struct server *v, const struct membership *m) {
    const struct replication r = membership_replication(m, KEYSPACE_DEFAULT);
    const uint32_t copies = r.replicas < m->count ? r.replicas : m->count;
    printf("  %s a cluster of %u nodes, %u copies of each key; writes wait for %u, reads for %u\n",
           is_proxy(v) ? "Proxy to" : "Member of", m->count, copies,
           membership_quorum(r.write_quorum, copies), membership_quorum(r.read_quorum, copies));
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1))
        printf("    %s%s\n", membership_member(m, i)->address, i == m->self ? "  (this node)" : "");
}

static void log_line(const char *line) {
    log_warn("%s", line);
}

static void log_ready(const struct server *v) {
    const char *a = v->address;
    config_list_inert(v->config, log_line);
    if (is_proxy(v))
        log_info("atoll %s is a proxy on http://%s and redis://%s, %u shards, no data",
                 ATOLL_VERSION, a, a, v->node.shards_count);
    else
        log_info("atoll %s serves http://%s and redis://%s, data in %s, %u shards, sync %s",
                 ATOLL_VERSION, a, a, v->config->dir, v->node.shards_count, v->node.sync_mode);
}

static void say_ready(struct server *v) {
    const char *a = v->address;
    uint64_t serial = 0;
    log_ready(v);
    if (log_format_now() == LOG_JSON) return; /* a program reads, not a person */
    printf("\n  Ready on http://%s  (HTTP and Redis protocol on the same port; Ctrl-C stops it)\n",
           a);
    const struct membership *m = views_hold(&v->node.views, &serial);
    const bool alone = m->count == 1 && m->self != MEMBER_NONE;
    if (!alone && m->epoch > 0) print_place(v, m);
    if (m->epoch == 0)
        printf("  It has no cluster yet; /ready and the log say what it waits for.\n");
    views_drop(&v->node.views, m);
    printf("\n  Try, in another terminal:\n"
           "    curl -X PUT http://%s/v1/kv/hello -d world\n"
           "    curl http://%s/v1/kv/hello\n"
           "    curl http://%s/v1/scan\n",
           a, a, a);
    if (!alone) printf("    curl http://%s/v1/cluster\n", a);
    printf("    redis-cli -p %u set greeting 'hello there'\n", v->node.port);
    if (v->node.port == DEFAULT_PORT)
        printf("    build/atoll bench --seconds 5\n\n");
    else
        printf("    build/atoll bench --seconds 5 --server %s\n\n", a);
    fflush(stdout);
}

static void close_all(struct server *v) {
    /* The signal's thread may still be about to wake a loop. */
    while (!atomic_load(&v->stop_told)) os_sleep_ms(v->os, 1);
    for (uint32_t i = 0; i < v->node.shards_count; i++) {
        if (v->node.shards[i] != NULL && v->node.shards[i]->engine == NULL)
            shard_destroy(v->node.shards[i]);
    }
    node_control_destroy(v->node.control);
    snapshot_destroy(v->node.snapshot);
    os_pool_destroy(v->pool);
    cache_destroy(v->cache);
    rate_limit_deinit(&v->rate_limit);
    scan_cursors_deinit(&v->node.cursors);
    slow_log_deinit(&v->node.slow);
    views_deinit(&v->node.views);
}

int serve(const struct config *c) {
    static struct server server;
    struct server *v = &server;
    v->config = c;
    v->os = os_create();
    log_set_sink(os_log_sink);
    log_set_level((enum log_level)c->log_level.index);
    log_set_format((enum log_format)c->log_format.index);
    v->node.descriptors_max = os_descriptors_max(v->os);
    int code = reserve_address(v);
    if (code == EXIT_OK) code = resolve_members(v);
    if (code == EXIT_OK) code = open_directory(v);
    if (code == EXIT_OK) code = judge_descriptors(v);
    if (code != EXIT_OK) return code;
    build(v);
    os_on_stop_signal(v->os, stop, v);
    code = create_shards(v);
    if (code == EXIT_OK) code = open_control(v);
    if (code == EXIT_OK) code = open_shards(v);
    if (code == EXIT_OK) code = listen_all(v);
    if (code != EXIT_OK) return code; /* the end of the process gives all back */
    start_shards(v);
    say_ready(v);
    for (uint32_t i = 0; i < v->node.shards_count; i++) os_thread_join(v->threads[i]);
    close_all(v);
    os_file_close(&v->lock);
    log_info("stopped");
    os_destroy(v->os);
    return v->exit_code;
}

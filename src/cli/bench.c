#include "cli/command.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cli/bench_report.h"
#include "cli/bench_worker.h"
#include "cli/kv.h"
#include "cli/progress.h"
#include "os/terminal.h"
#include "os/thread.h"

#include <stdatomic.h>
#include <stdio.h>

#define THREADS_MAX 64u
#define CLIENTS_MAX 100000u
#define SECONDS_DEFAULT 10u /* long enough for a steady figure, short enough to wait for */
#define CONNECT_TIMEOUT_MS 3000u
#define LOAD_PIPELINE 32u /* loading is no measurement: keep the node busy */
#define LEVEL_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789"
#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* Values as the command line gives them. */
struct bench_flags {
    const char *server;
    struct option_choice protocol; /* enum workload_protocol */
    uint64_t clients, pipeline, threads;
    uint64_t requests, seconds;
    uint64_t keys;
    const char *key_prefix, *dist, *value, *mix, *level;
    uint64_t rate, warmup_ms, seed;
    bool load, json, progress;
};

#define AT(member) offsetof(struct bench_flags, member)
static const struct option options[] = {
    { .name = "server",
      .kind = OPTION_ADDRESS,
      .offset = AT(server),
      .fallback = "127.0.0.1:8080",
      .help = "node to measure; also ATOLL_SERVER" },
    { .name = "protocol",
      .kind = OPTION_CHOICE,
      .offset = AT(protocol),
      .fallback = "resp",
      .choices = "resp|http",
      .help = "what to speak" },
    { .name = "clients",
      .kind = OPTION_NUMBER,
      .offset = AT(clients),
      .fallback = "50",
      .min = 1,
      .max = CLIENTS_MAX,
      .help = "connections" },
    { .name = "pipeline",
      .kind = OPTION_NUMBER,
      .offset = AT(pipeline),
      .fallback = "1",
      .min = 1,
      .max = BENCH_PIPELINE_MAX,
      .help = "commands a connection sends before it waits" },
    { .name = "requests",
      .kind = OPTION_NUMBER,
      .offset = AT(requests),
      .fallback = "0",
      .max = UINT64_MAX,
      .fallback_is = "for --seconds",
      .help = "end after so many commands" },
    { .name = "seconds",
      .kind = OPTION_NUMBER,
      .offset = AT(seconds),
      .fallback = "10",
      .min = 1,
      .max = 1000000,
      .help = "end after so long, without --requests" },
    { .name = "warmup",
      .kind = OPTION_TIME,
      .offset = AT(warmup_ms),
      .fallback = "0",
      .max = 3600000,
      .help = "run so long before anything counts" },
    { .name = "keys",
      .kind = OPTION_NUMBER,
      .offset = AT(keys),
      .fallback = "1000000",
      .min = 1,
      .max = UINT64_C(999999999999),
      .help = "size of the key set" },
    { .name = "key-prefix",
      .kind = OPTION_TEXT,
      .offset = AT(key_prefix),
      .fallback = "key:",
      .help = "what keys begin with; twelve digits follow" },
    { .name = "dist",
      .kind = OPTION_TEXT,
      .offset = AT(dist),
      .fallback = "uniform",
      .value_name = "uniform|zipf[:0.99]",
      .help = "which keys are asked for" },
    { .name = "value",
      .kind = OPTION_TEXT,
      .offset = AT(value),
      .fallback = "100",
      .value_name = "SIZE[-SIZE]",
      .help = "bytes of a value" },
    { .name = "mix",
      .kind = OPTION_TEXT,
      .offset = AT(mix),
      .fallback = "get=70,set=30",
      .value_name = "OP[=SHARE],..",
      .help = "of get, set, del, incr and ping" },
    { .name = "level",
      .kind = OPTION_TEXT,
      .offset = AT(level),
      .fallback = "",
      .value_name = KV_LEVEL_NAME,
      .help = "how many replicas must answer; with --protocol http" },
    { .name = "threads",
      .kind = OPTION_NUMBER,
      .offset = AT(threads),
      .fallback = "1",
      .min = 1,
      .max = THREADS_MAX,
      .help = "threads that send" },
    { .name = "rate",
      .kind = OPTION_NUMBER,
      .offset = AT(rate),
      .fallback = "0",
      .fallback_is = "as fast as replies come",
      .max = 100000000,
      .help = "commands a second, whatever the replies; latency counts from when each was due" },
    { .name = "load",
      .kind = OPTION_FLAG,
      .offset = AT(load),
      .fallback = "false",
      .help = "set every key of the key set first" },
    { .name = "seed",
      .kind = OPTION_NUMBER,
      .offset = AT(seed),
      .fallback = "1",
      .max = UINT64_MAX,
      .help = "same seed, same commands" },
    { .name = "json",
      .kind = OPTION_FLAG,
      .offset = AT(json),
      .fallback = "false",
      .help = "print the result as JSON" },
    PROGRESS_OPTION(struct bench_flags, progress),
};
#undef AT

const struct command_words cli_bench_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
};

/* Turn the flags into what workers need. */
static STATUS bench_options_of(struct option_set *set, const struct bench_flags *f,
                               struct bench_options *ret_options) {
    struct bench_options o = {
        .server = f->server,
        .clients = (uint32_t)f->clients,
        .threads = (uint32_t)(f->threads < f->clients ? f->threads : f->clients),
        .pipeline = (uint32_t)f->pipeline,
        .requests = f->requests,
        .warmup_ns = f->warmup_ms * NS_PER_MS,
        .run_ns = f->seconds * NS_PER_S,
        .rate = (double)f->rate,
        .workload = { .protocol = (enum workload_protocol)f->protocol.index,
                      .host = f->server,
                      .key_prefix = f->key_prefix,
                      .level = f->level,
                      .keys = f->keys,
                      .seed = f->seed },
    };
    struct workload_options *w = &o.workload;
    if (!status_ok(workload_decode_mix(bytes_of_string(f->mix), w->weights)))
        return option_refuse(set, "mix",
                             "allowed: shares of get, set, del, incr and ping, as "
                             "get=70,set=30");
    if (w->protocol == WORKLOAD_HTTP && w->weights[WORKLOAD_INCR] > 0)
        return option_refuse(set, "mix", "HTTP has no incr; use --protocol resp");
    if (w->protocol != WORKLOAD_HTTP && f->level[0] != '\0')
        return option_refuse(set, "level", "RESP has no levels; use --protocol http");
    if (strspn(f->level, LEVEL_CHARACTERS) != strlen(f->level) ||
        strlen(f->level) > WORKLOAD_LEVEL_BYTES_MAX)
        return option_refuse(set, "level", "allowed: one, quorum, all or a number of replicas");
    if (!status_ok(workload_decode_dist(bytes_of_string(f->dist), &w->zipf_theta)))
        return option_refuse(set, "dist", "allowed: uniform, zipf or zipf:0.99 (above 0, below 1)");
    if (!status_ok(workload_decode_value(bytes_of_string(f->value), &w->value_min, &w->value_max)))
        return option_refuse(set, "value", "allowed: a size up to 64MiB or two, as 100 or 10-1000");
    if (strlen(f->key_prefix) > WORKLOAD_PREFIX_BYTES_MAX)
        return option_refuse(set, "key-prefix", "allowed: at most 64 bytes");
    if (f->requests > 0 && f->warmup_ms > 0)
        return option_refuse(set, "warmup", "allowed with --seconds only");
    *ret_options = o;
    return status_of(ST_OK);
}

/* ---- progress ---- */

/* With --requests or --load the commands tell what is left, else the time does. */
static void show_progress(struct progress *p, const struct bench_options *o, uint64_t done,
                          uint64_t elapsed_ns, double rate) {
    char text[PROGRESS_LINE_BYTES], left[FIGURE_BYTES];
    const uint64_t total = o->load ? o->workload.keys : o->requests;
    const uint64_t run_ns = o->warmup_ns + o->run_ns;
    const uint64_t elapsed_ms = elapsed_ns / NS_PER_MS;
    const struct progress_step step = {
        .doing = o->load                     ? "loaded"
                 : elapsed_ns < o->warmup_ns ? "warming up, sent"
                                             : "sent",
        .unit = "commands",
        .done = done,
        .total = total > 0 ? total : PROGRESS_UNKNOWN,
        .detail = total > 0 ? NULL : left,
    };
    const uint64_t left_ms = elapsed_ns < run_ns ? (run_ns - elapsed_ns) / NS_PER_MS : 0;
    (void)figure_print_time(left_ms, left);
    (void)strncat(left, " left", sizeof left - strlen(left) - 1);
    progress_print(p, progress_print_step(&step, rate, elapsed_ms, text));
}

static uint64_t done_of(const struct bench_worker *workers, uint32_t count) {
    uint64_t done = 0;
    for (uint32_t i = 0; i < count; i++)
        done += atomic_load_explicit(&workers[i].done, memory_order_relaxed);
    return done;
}

struct bench_thread {
    struct bench_worker *worker;
    _Atomic bool ended;
};

static void thread_run(void *user) {
    struct bench_thread *thread = user;
    bench_worker_run(thread->worker);
    atomic_store(&thread->ended, true);
}

static void watch_workers(struct os *os, const struct bench_options *o, bool wanted,
                          const struct bench_worker *workers, struct bench_thread *threads) {
    struct progress progress;
    const uint64_t start_ns = os_mono_ns(os);
    uint64_t done_before = 0, before_ns = start_ns;
    progress_init(&progress, os, wanted);
    for (;;) {
        uint32_t ended = 0;
        for (uint32_t i = 0; i < o->threads; i++) ended += atomic_load(&threads[i].ended);
        if (ended == o->threads) break;
        os_sleep_ms(os, 5);
        if (!progress_is_due(&progress)) continue;
        const uint64_t now_ns = os_mono_ns(os);
        const uint64_t done = done_of(workers, o->threads);
        show_progress(&progress, o, done, now_ns - start_ns,
                      (double)(done - done_before) * NS_PER_S / (double)(now_ns - before_ns));
        done_before = done;
        before_ns = now_ns;
    }
    progress_end(&progress);
}

/* Run all workers to their end.
 * Errors  ST_BUSY  a thread cannot be started */
static STATUS run_phase(struct os *os, const struct bench_options *o, bool progress,
                        struct bench_stats *ret_stats, bool *ret_stalled) {
    struct bench_worker *workers = mem_alloc_zeroed(o->threads * sizeof *workers);
    struct bench_thread *threads = mem_alloc_zeroed(o->threads * sizeof *threads);
    struct os_thread *handles[THREADS_MAX];
    struct status s = status_of(ST_OK);
    uint32_t started = 0;
    for (uint32_t i = 0; i < o->threads; i++) {
        bench_worker_init(&workers[i], os, o, i);
        threads[i].worker = &workers[i];
    }
    for (; started < o->threads && status_ok(s); started += status_ok(s))
        s = os_thread_start(os, "bench", -1, thread_run, &threads[started], &handles[started]);
    if (status_ok(s)) watch_workers(os, o, progress, workers, threads);
    memset(ret_stats, 0, sizeof *ret_stats);
    for (uint32_t i = 0; i < o->threads; i++) {
        atomic_store(&workers[i].stop, true);
        if (i < started) os_thread_join(handles[i]);
        bench_stats_merge(ret_stats, &workers[i].stats);
        *ret_stalled |= workers[i].stalled;
        bench_worker_deinit(&workers[i]);
    }
    mem_free(threads);
    mem_free(workers);
    return s;
}

/* A clear word before the run, rather than a table of errors after it. */
static bool can_connect(struct os *os, const char *server) {
    struct os_sock sock = { 0 };
    if (!status_ok(os_sock_connect_blocking(os, server, CONNECT_TIMEOUT_MS, &sock))) return false;
    os_sock_close(&sock);
    return true;
}

static int run(struct os *os, const struct bench_options *o, const struct bench_flags *f) {
    struct bench_stats *stats = mem_alloc_zeroed(sizeof *stats);
    bool stalled = false;
    struct status s = status_of(ST_OK);
    if (f->load) {
        struct bench_options load = *o;
        load.load = true;
        load.requests = 0;
        load.rate = 0;
        load.warmup_ns = 0;
        if (load.pipeline < LOAD_PIPELINE) load.pipeline = LOAD_PIPELINE;
        s = run_phase(os, &load, f->progress, stats, &stalled);
        if (status_ok(s) && !f->json) bench_report_load(&load, stats);
    }
    if (status_ok(s) && !stalled) {
        s = run_phase(os, o, f->progress, stats, &stalled);
        if (status_ok(s) && f->json)
            bench_report_json(o, stats);
        else if (status_ok(s))
            bench_report_text(o, stats, os_stream_has_colour(os, OS_STREAM_OUTPUT));
    }
    const uint64_t answered = bench_stats_answered(stats);
    mem_free(stats);
    if (!status_ok(s)) return cli_fail(EXIT_CODE_INTERNAL, "cannot start %u threads", o->threads);
    if (stalled)
        return cli_fail(EXIT_CODE_CONNECT, "%s answered nothing for %llu s; the run was ended",
                        o->server, (unsigned long long)(BENCH_STALL_MS / 1000));
    return cli_finish(answered > 0 ? EXIT_CODE_OK : EXIT_CODE_SERVER);
}

int cli_bench(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct bench_flags f = { 0 };
    struct bench_options o;
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    if (!cli_parse(
            &set, "atoll bench [OPTION...]",
            "Measure a node's throughput and latency. Keys are overwritten and deleted: use a\n"
            "node or a --key-prefix of its own.",
            argc, argv, 0, 0, &code))
        return code;
    if (!status_ok(bench_options_of(&set, &f, &o)))
        return cli_fail(EXIT_CODE_USAGE, "%s", set.error);
    const uint32_t descriptors = os_descriptors_max(os);
    if (o.clients + 64 + 4 * o.threads > descriptors)
        return cli_fail(EXIT_CODE_USAGE,
                        "--clients=%u: this process may have %u files and sockets "
                        "open; raise `ulimit -n`",
                        o.clients, descriptors);
    if (!can_connect(os, f.server)) return cli_cannot_connect(f.server);
    return run(os, &o, &f);
}

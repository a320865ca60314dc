#include "cli/bench_report.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cli/command.h"

#include <stdio.h>

#define NS_PER_MS 1e6
#define NS_PER_S 1e9

static const double quantiles[] = { 0.5, 0.9, 0.99, 0.999 };
static const char *const quantile_names[] = { "p50", "p90", "p99", "p99.9" };
#define QUANTILES (sizeof quantiles / sizeof quantiles[0])

static double elapsed_s(const struct bench_stats *s) {
    ASSERT(s->ended_ns >= s->began_ns);
    const double elapsed = (double)(s->ended_ns - s->began_ns) / NS_PER_S;
    return elapsed > 0 ? elapsed : 1e-9;
}

uint64_t bench_stats_answered(const struct bench_stats *s) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < WORKLOAD_OPS; i++) count += s->latency_ns[i].count;
    return count;
}

/* All operations as one; free with mem_free. */
static struct histogram *merged(const struct bench_stats *s) {
    struct histogram *all = mem_alloc_zeroed(sizeof *all);
    for (uint32_t i = 0; i < WORKLOAD_OPS; i++) histogram_merge(all, &s->latency_ns[i]);
    return all;
}

/* 1234567 as 1,234,567. Returns `text`. */
static const char *grouped(uint64_t number, char text[32]) {
    char digits[24];
    const int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    int at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static void print_errors(const struct bench_stats *s) {
    char number[32];
    if (s->errors == 0) return;
    printf("errors: %s", grouped(s->errors, number));
    for (uint32_t i = 0; i < BENCH_KINDS_MAX; i++)
        if (s->kinds[i].count > 0)
            printf("%s %s %s", i > 0 ? "," : " -", s->kinds[i].name,
                   grouped(s->kinds[i].count, number));
    printf("\n");
}

void bench_report_load(const struct bench_options *o, const struct bench_stats *s) {
    char keys[32], rate[32];
    const uint64_t count = bench_stats_answered(s);
    printf("loaded %s of %llu keys in %.2f s, %s a second\n", grouped(count, keys),
           (unsigned long long)o->workload.keys, elapsed_s(s),
           grouped((uint64_t)((double)count / elapsed_s(s)), rate));
    print_errors(s);
    fflush(stdout);
}

static void print_row(const char *name, const struct histogram *h, double seconds) {
    char count[32], rate[32];
    printf("%-6s%14s%12s%10.3f", name, grouped(h->count, count),
           grouped((uint64_t)((double)h->count / seconds), rate), histogram_mean(h) / NS_PER_MS);
    for (size_t i = 0; i < QUANTILES; i++)
        printf("%10.3f", (double)histogram_quantile(h, quantiles[i]) / NS_PER_MS);
    printf("%10.3f\n", (double)h->max / NS_PER_MS);
}

static void print_setting(const struct bench_options *o) {
    const struct workload_options *w = &o->workload;
    char keys[32];
    printf("%s over %s, %u client%s, pipeline %u, %u thread%s; %s keys, ", o->server,
           w->protocol == WORKLOAD_RESP ? "RESP" : "HTTP", o->clients, o->clients > 1 ? "s" : "",
           o->pipeline, o->threads, o->threads > 1 ? "s" : "", grouped(w->keys, keys));
    if (w->zipf_theta > 0)
        printf("zipf %.2f", w->zipf_theta);
    else
        printf("uniform");
    if (w->weights[WORKLOAD_SET] > 0) {
        printf("; values %llu", (unsigned long long)w->value_min);
        if (w->value_max > w->value_min) printf("-%llu", (unsigned long long)w->value_max);
        printf(" bytes");
    }
    if (o->rate > 0) printf("; %.0f/s", o->rate);
    printf("\n");
}

void bench_report_text(const struct bench_options *o, const struct bench_stats *s, bool colour) {
    struct histogram *all = merged(s);
    const double seconds = elapsed_s(s);
    char number[32];
    print_setting(o);
    printf("%s%-6s%14s%12s%10s", colour ? "\033[1m" : "", "", "commands", "per second", "mean ms");
    for (size_t i = 0; i < QUANTILES; i++) printf("%10s", quantile_names[i]);
    printf("%10s%s\n", "max", colour ? "\033[0m" : "");
    uint32_t kinds = 0;
    for (uint32_t i = 0; i < WORKLOAD_OPS; i++) {
        if (s->latency_ns[i].count == 0) continue;
        print_row(workload_op_name((enum workload_op)i), &s->latency_ns[i], seconds);
        kinds++;
    }
    if (kinds != 1) print_row("all", all, seconds);
    if (s->misses > 0) printf("reads without a value: %s\n", grouped(s->misses, number));
    print_errors(s);
    if (o->rate > 0 && (double)(all->count + s->errors) / seconds < 0.99 * o->rate)
        printf("the node did not keep up with --rate; a command waited up to %.1f ms for a free "
               "connection\n",
               (double)s->late_max_ns / NS_PER_MS);
    mem_free(all);
}

static void print_json_histogram(const char *name, const struct histogram *h, double seconds) {
    printf("    \"%s\": {\"count\": %llu, \"per_second\": %.1f, \"latency_ms\": {\"mean\": %.4f",
           name, (unsigned long long)h->count, (double)h->count / seconds,
           histogram_mean(h) / NS_PER_MS);
    for (size_t i = 0; i < QUANTILES; i++)
        printf(", \"%s\": %.4f", quantile_names[i],
               (double)histogram_quantile(h, quantiles[i]) / NS_PER_MS);
    printf(", \"max\": %.4f}}", (double)h->max / NS_PER_MS);
}

void bench_report_json(const struct bench_options *o, const struct bench_stats *s) {
    struct histogram *all = merged(s);
    const struct workload_options *w = &o->workload;
    const double seconds = elapsed_s(s);
    printf("{\n  ");
    cli_print_json_member("server", bytes_of_string(o->server));
    printf(",\n  \"protocol\": \"%s\", \"clients\": %u, \"pipeline\": %u, \"threads\": %u,\n"
           "  \"keys\": %llu, \"zipf\": %.4f, \"value_min\": %llu, \"value_max\": %llu, "
           "\"rate\": %.0f,\n  \"seconds\": %.4f,\n  \"operations\": {\n",
           w->protocol == WORKLOAD_RESP ? "resp" : "http", o->clients, o->pipeline, o->threads,
           (unsigned long long)w->keys, w->zipf_theta, (unsigned long long)w->value_min,
           (unsigned long long)w->value_max, o->rate, seconds);
    for (uint32_t i = 0; i < WORKLOAD_OPS; i++) {
        if (s->latency_ns[i].count == 0) continue;
        print_json_histogram(workload_op_name((enum workload_op)i), &s->latency_ns[i], seconds);
        printf(",\n");
    }
    print_json_histogram("all", all, seconds);
    printf("\n  },\n  \"misses\": %llu,\n  \"errors\": {", (unsigned long long)s->misses);
    for (uint32_t i = 0; i < BENCH_KINDS_MAX; i++)
        if (s->kinds[i].count > 0)
            printf("%s\"%s\": %llu", i > 0 ? ", " : "", s->kinds[i].name,
                   (unsigned long long)s->kinds[i].count);
    printf("}\n}\n");
    mem_free(all);
}

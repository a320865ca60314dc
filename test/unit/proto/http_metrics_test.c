/* The figures: JSON has the nine names an earlier store's clients read, Prometheus text has
 * HELP and TYPE once for each name, and buckets that only grow. */
#include "proto/http_metrics.h"

#include "http_test_support.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLICATION_FIGURES                           \
    ((offsetof(struct shard_figures, quorum_failed) - \
      offsetof(struct shard_figures, coordinated)) /  \
         8 +                                          \
     QUORUM_FAILURES)

static struct node_view *make_view(void) {
    static struct node_view view;
    memset(&view, 0, sizeof view);
    view.version = "0.1";
    view.address = "a\"b\\c\n";
    view.ready = true;
    view.cpu_us = 1500000;
    /* A different number in each figure of replication, in the order of the struct. */
    uint64_t *const replication = &view.total.coordinated;
    for (uint64_t i = 0; i < REPLICATION_FIGURES; i++) replication[i] = 1000 + i;
    view.total.operations[OP_CLASS_READ] = 11;
    view.total.operations[OP_CLASS_BATCH] = 12;
    view.total.wal_syncs = 13;
    view.total.wal_sync_ns_total = 2000000001;
    for (uint64_t ns = 1; ns < 100000000; ns *= 3) {
        histogram_record(&view.total.latency_ns[OP_CLASS_READ], ns);
        durations_record(&view.total.times[op_kind(OP_CLASS_READ, LEVEL_CLASS_QUORUM)], ns, 1);
    }
    return &view;
}

TEST(http_metrics, has_the_nine_names_in_json) {
    static const char *const names[] = { "batches", "compactions", "deletes",   "errors", "flushes",
                                         "reads",   "scans",       "wal_syncs", "writes" };
    struct buffer out;
    buffer_init(&out, 1u << 20);
    http_metrics_append_json(&out, make_view());
    json_t *json = json_loadb((const char *)out.ptr, out.end, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(json_is_integer(json_object_get(json, names[i])));
    }
    CHECK_EQ(json_integer_value(json_object_get(json, "reads")), 11);
    CHECK_EQ(json_integer_value(json_object_get(json, "batches")), 12);
    CHECK_EQ(json_integer_value(json_object_get(json, "wal_syncs")), 13);
    json_decref(json);
    buffer_deinit(&out);
}

TEST(http_metrics, writes_prometheus_text) {
    struct buffer out;
    buffer_init(&out, 1u << 20);
    http_metrics_append_prometheus(&out, make_view());
    buffer_append_u8(&out, '\0');
    const char *text = (const char *)out.ptr;
    CHECK(strstr(text, "\natoll_operations_total{class=\"read\"} 11\n") != NULL);
    CHECK(strstr(text, "\natoll_wal_sync_seconds_total 2.000000001\n") != NULL);
    CHECK(strstr(text, "\natoll_cpu_seconds_total 1.500000000\n") != NULL);
    CHECK(strstr(text, "address=\"a\\\"b\\\\c\\n\"} 1\n") != NULL);

    uint64_t last = 0;
    unsigned buckets = 0;
    const char *start = "_bucket{class=\"read\",level=\"quorum\",le=\"";
    for (const char *at = text; (at = strstr(at, start)) != NULL; at++, buckets++) {
        const uint64_t count = strtoull(strchr(at, '}') + 1, NULL, 10);
        CHECK(count >= last);
        last = count;
    }
    CHECK_EQ(buckets, DURATIONS_STEPS);
    CHECK_EQ(last, make_view()->total.latency_ns[OP_CLASS_READ].count);
    buffer_deinit(&out);
}

/* JSON name, Prometheus name with labels; NULL: told by its parts only. In the struct's order. */
static const char *const replication_names[][2] = {
    { "coordinated", "coordinated_operations_total" },
    { "forwarded", "forwarded_operations_total" },
    { "hedges", "hedged_requests_total" },
    { "quorum_failures", NULL },
    { "read_repairs", "read_repairs_total" },
    { "hints_stored", "hints_stored_total" },
    { "hints_replayed", "hints_replayed_total" },
    { "hints_dropped", "hints_dropped_total" },
    { "hints_waiting", "hints_waiting" },
    { "hints_bytes", "hints_waiting_bytes" },
    { "repair_ranges", "repair_ranges_total" },
    { "repair_records", "repair_records_total" },
    { "repair_passes_clean", "repair_passes_total{result=\"clean\"}" },
    { "repair_passes_unclean", "repair_passes_total{result=\"unclean\"}" },
    { "peer_accepts", "peer_accepts_total" },
    { "peer_queries", "peer_queries_total" },
    { "peer_bytes_in", "peer_received_bytes_total" },
    { "peer_bytes_out", "peer_sent_bytes_total" },
    { "peer_links_lost", "peer_links_lost_total" },
    { "peer_links_up", "peer_links_up" },
    { "peer_refused", "peer_refused_total" },
    { "peer_waiting_bytes", "peer_waiting_bytes" },
    { "records_sent_write", "peer_records_sent_total{cause=\"write\"}" },
    { "records_sent_hint", "peer_records_sent_total{cause=\"hint\"}" },
    { "records_sent_repair", "peer_records_sent_total{cause=\"repair\"}" },
    { "records_taken_write", "peer_records_taken_total{cause=\"write\"}" },
    { "records_taken_hint", "peer_records_taken_total{cause=\"hint\"}" },
    { "records_taken_repair", "peer_records_taken_total{cause=\"repair\"}" },
    { "records_refused_busy", "peer_records_refused_total{reason=\"busy\"}" },
    { "records_refused_disk_full", "peer_records_refused_total{reason=\"disk_full\"}" },
    { "records_refused_failed", "peer_records_refused_total{reason=\"failed\"}" },
    { "records_refused_clock", "peer_records_refused_total{reason=\"clock\"}" },
    { "records_refused_floor", "peer_records_refused_total{reason=\"floor\"}" },
    { "records_refused_not_mine", "peer_records_refused_total{reason=\"not_mine\"}" },
    { "records_refused_stale", "peer_records_refused_total{reason=\"stale\"}" },
    { "quorum_failures_replicas", "quorum_failures_total{reason=\"replicas\"}" },
    { "quorum_failures_timeout", "quorum_failures_total{reason=\"timeout\"}" },
    { "quorum_failures_clock", "quorum_failures_total{reason=\"clock\"}" },
};

/* Whether the text has the sample, behind a head with the right type: a counter only grows. */
static bool has_sample(const char *text, const char *name, uint64_t value) {
    const size_t len = strcspn(name, "{");
    const bool counts = len > 6 && strncmp(name + len - 6, "_total", 6) == 0;
    char head[200], line[200];
    snprintf(head, sizeof head, "# TYPE atoll_%.*s %s\natoll_%.*s", (int)len, name,
             counts ? "counter" : "gauge", (int)len, name);
    snprintf(line, sizeof line, "\natoll_%s %llu\n", name, (unsigned long long)value);
    return strstr(text, head) != NULL && strstr(text, line) != NULL;
}

/* Every figure of replication is in both forms, with its own value. */
TEST(http_metrics, tells_of_replication) {
    struct buffer text, out;
    buffer_init(&text, 1u << 20);
    buffer_init(&out, 1u << 20);
    http_metrics_append_prometheus(&text, make_view());
    buffer_append_u8(&text, '\0');
    http_metrics_append_json(&out, make_view());
    json_t *json = json_loadb((const char *)out.ptr, out.end, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json != NULL);
    CHECK_EQ(sizeof replication_names / sizeof *replication_names, REPLICATION_FIGURES);
    for (size_t i = 0; i < REPLICATION_FIGURES; i++) {
        const char *name = replication_names[i][1];
        CHECK_EQ(json_integer_value(json_object_get(json, replication_names[i][0])), 1000 + i);
        CHECK(name == NULL || has_sample((const char *)text.ptr, name, 1000 + i));
    }
    CHECK_EQ(json_integer_value(json_object_get(json, "cluster_members")), 1);
    json_decref(json);
    buffer_deinit(&out);
    buffer_deinit(&text);
}

/* Each pair of class and level has a histogram whose buckets, sum and count agree. */
TEST(http_metrics, times_by_class_and_level) {
    struct node_view *view = make_view();
    struct buffer out;
    buffer_init(&out, 1u << 20);
    durations_record(&view->total.times[op_kind(OP_CLASS_BATCH, LEVEL_CLASS_NUMBER)], 300000, 7);
    durations_record(&view->total.sync_times, 2000000, 2);
    http_metrics_append_prometheus(&out, view);
    buffer_append_u8(&out, '\0');
    const char *text = (const char *)out.ptr;
    const char *const lines[] = {
        "_bucket{class=\"batch\",level=\"number\",le=\"0.00025\"} 0\n",
        "_bucket{class=\"batch\",level=\"number\",le=\"0.0005\"} 7\n",
        "_bucket{class=\"batch\",level=\"number\",le=\"+Inf\"} 7\n",
        "_sum{class=\"batch\",level=\"number\"} 0.002100000\n",
        "_count{class=\"batch\",level=\"number\"} 7\n",
        "_count{class=\"scan\",level=\"all\"} 0\n",
        "atoll_wal_sync_duration_seconds_bucket{le=\"0.0025\"} 2\n",
        "atoll_wal_sync_duration_seconds_sum 0.004000000\n",
        "atoll_wal_sync_duration_seconds_count 2\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) CHECK(strstr(text, lines[i]) != NULL);
    buffer_deinit(&out);
}

/* What is written and kept is compared with what was stored; nothing stored is no fault. */
TEST(http_metrics, amplification) {
    struct node_view *view = make_view();
    struct buffer out;
    buffer_init(&out, 1u << 20);
    http_metrics_append_prometheus(&out, view);
    buffer_append_u8(&out, '\0');
    CHECK(strstr((const char *)out.ptr, "\natoll_write_amplification_ratio 0.000\n") != NULL);
    CHECK(strstr((const char *)out.ptr, "\natoll_space_amplification_ratio 0.000\n") != NULL);
    buffer_reset(&out);
    view->total.put_bytes = 1000;
    view->total.wal_bytes = 1500;
    view->total.flush_bytes = 900;
    view->total.compaction_bytes_written = 600;
    view->total.level_bytes[0] = 200;
    view->total.level_bytes[3] = 800;
    http_metrics_append_prometheus(&out, view);
    buffer_append_u8(&out, '\0');
    CHECK(strstr((const char *)out.ptr, "\natoll_write_amplification_ratio 3.000\n") != NULL);
    CHECK(strstr((const char *)out.ptr, "\natoll_space_amplification_ratio 1.250\n") != NULL);
    buffer_deinit(&out);
}

TEST(http_metrics, counts_members) {
    static const struct node_member members[3] = { { .alive = true },
                                                   { .alive = false },
                                                   { .alive = true } };
    struct node_view *view = make_view();
    struct buffer out;
    buffer_init(&out, 1u << 20);
    http_metrics_append_prometheus(&out, view);
    buffer_append_u8(&out, '\0');
    CHECK(strstr((const char *)out.ptr, "\natoll_cluster_members 1\n") != NULL);
    CHECK(strstr((const char *)out.ptr, "\natoll_cluster_members_alive 1\n") != NULL);
    buffer_reset(&out);
    view->cluster.members = members;
    view->cluster.members_count = 3;
    http_metrics_append_prometheus(&out, view);
    buffer_append_u8(&out, '\0');
    CHECK(strstr((const char *)out.ptr, "\natoll_cluster_members 3\n") != NULL);
    CHECK(strstr((const char *)out.ptr, "\natoll_cluster_members_alive 2\n") != NULL);
    buffer_deinit(&out);
}

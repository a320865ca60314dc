/* The figures: JSON has the nine names an earlier store's clients read, Prometheus text has
 * HELP and TYPE once for each name, and buckets that only grow. */
#include "proto/http_metrics.h"

#include "http_test_support.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>

#define REPLICATION_FIGURES                          \
    ((offsetof(struct shard_figures, peer_refused) - \
      offsetof(struct shard_figures, coordinated)) / \
         8 +                                         \
     1)

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
    const char *start = "_bucket{class=\"read\",le=\"";
    for (const char *at = text; (at = strstr(at, start)) != NULL; at++, buckets++) {
        const uint64_t count = strtoull(strchr(at, '}') + 1, NULL, 10);
        CHECK(count >= last);
        last = count;
    }
    CHECK_EQ(buckets, 19);
    CHECK_EQ(last, make_view()->total.latency_ns[OP_CLASS_READ].count);
    buffer_deinit(&out);
}

static const char *const replication_names[][2] = {
    { "coordinated", "coordinated_operations_total" },
    { "forwarded", "forwarded_operations_total" },
    { "hedges", "hedged_requests_total" },
    { "quorum_failures", "quorum_failures_total" },
    { "read_repairs", "read_repairs_total" },
    { "hints_stored", "hints_stored_total" },
    { "hints_replayed", "hints_replayed_total" },
    { "hints_dropped", "hints_dropped_total" },
    { "hints_waiting", "hints_waiting" },
    { "repair_ranges", "repair_ranges_total" },
    { "repair_records", "repair_records_total" },
    { "peer_accepts", "peer_accepts_total" },
    { "peer_queries", "peer_queries_total" },
    { "peer_bytes_in", "peer_received_bytes_total" },
    { "peer_bytes_out", "peer_sent_bytes_total" },
    { "peer_links_lost", "peer_links_lost_total" },
    { "peer_refused", "peer_refused_total" },
};

/* Every figure of replication is in both forms, a counter where it only grows. */
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
        const size_t len = strlen(name);
        const bool counts = len > 6 && strcmp(name + len - 6, "_total") == 0;
        char line[200];
        CHECK_EQ(json_integer_value(json_object_get(json, replication_names[i][0])), 1000 + i);
        snprintf(line, sizeof line, "# TYPE atoll_%s %s\natoll_%s %zu\n", name,
                 counts ? "counter" : "gauge", name, 1000 + i);
        CHECK(strstr((const char *)text.ptr, line) != NULL);
    }
    CHECK_EQ(json_integer_value(json_object_get(json, "cluster_members")), 1);
    json_decref(json);
    buffer_deinit(&out);
    buffer_deinit(&text);
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

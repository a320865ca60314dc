/* The figures: JSON has the nine names an earlier store's clients read, Prometheus text has
 * HELP and TYPE once for each name, and buckets that only grow. */
#include "proto/http_metrics.h"

#include "http_test_support.h"

#include <jansson.h>
#include <stdlib.h>

static struct node_view *make_view(void) {
    static struct node_view view;
    memset(&view, 0, sizeof view);
    view.version = "0.1";
    view.address = "a\"b\\c\n";
    view.ready = true;
    view.cpu_us = 1500000;
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

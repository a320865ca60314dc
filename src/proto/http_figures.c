/* http_figures.c - GET /v1/cluster/figures: what each live node says of itself, as JSON.
 *
 * A node answers OP_FIGURES with an object as text; whoever was asked by the client puts those
 * of all nodes into one list. What is no object is left out: it came from elsewhere.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "proto/http_internal.h"
#include "proto/json_text.h"

static uint32_t member_id(const struct node_view *view) {
    const struct node_cluster *c = &view->cluster;
    if (node_view_is_alone(view)) return node_view_own_id(view);
    for (uint32_t i = 0; i < c->members_count; i++) {
        if (c->members[i].self) return c->members[i].id;
    }
    return 0; /* a proxy */
}

static uint64_t disk_bytes(const struct shard_figures *total) {
    uint64_t bytes = total->wal_disk_bytes;
    for (uint32_t i = 0; i < NODE_LEVELS; i++) bytes += total->level_bytes[i];
    return bytes;
}

void http_figures_append(struct buffer *out, const struct node_view *view) {
    const struct shard_figures *total = &view->total;
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        { "started_ms", view->started_ms },
        { "now_ms", view->now_ms },
        { "resident_bytes", view->resident_bytes },
        { "cpu_us", view->cpu_us },
        { "disk_bytes", disk_bytes(total) },
        { "disk_free_bytes", view->disk_free_bytes },
        { "records", total->records },
        { "tombstones", total->tombstones },
        { "connections", total->connections },
        { "hints_waiting", total->hints_waiting },
        { "pressure_permille", total->pressure_permille },
    };
    buffer_printf(out, "{\"id\":%" PRIu32 ",\"version\":", member_id(view));
    json_text_append_lossy(out, bytes_of_string(view->version == NULL ? "" : view->version));
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        buffer_printf(out, ",\"%s\":%" PRIu64, figures[i].name, figures[i].value);
    buffer_append_string(out, total->disk_full ? ",\"disk_full\":true" : ",\"disk_full\":false");
    for (uint32_t i = 0; i < OP_CLASSES; i++) {
        buffer_append_string(out, i == 0 ? ",\"operations\":{\"" : ",\"");
        buffer_append_string(out, node_class_name((enum op_class)i));
        buffer_printf(out, "\":%" PRIu64, total->operations[i]);
    }
    buffer_append(out, BYTES_LIT("}}"));
}

static bool is_object(struct bytes text) {
    json_t *json = json_loadb((const char *)text.ptr, text.len, 0, NULL);
    const bool object = json_is_object(json);
    json_decref(json);
    return object;
}

void http_figures_encode(const struct plan *plan, const struct response *responses,
                         struct buffer *out) {
    ASSERT(plan->shape == HTTP_SHAPE_FIGURES);
    const char *separator = "";
    const size_t mark = http_reply_begin(out);
    buffer_append(out, BYTES_LIT("{\"nodes\":["));
    for (uint32_t i = 0; i < plan->request_count; i++) {
        const struct response *r = &responses[i];
        if (r->outcome != OUT_OK || r->value.len == 0 || r->value.len > HTTP_FIGURES_BYTES_MAX ||
            !is_object(r->value))
            continue;
        buffer_append_string(out, separator);
        buffer_append(out, r->value);
        separator = ",\n";
    }
    buffer_append(out, BYTES_LIT("]}\n"));
    http_reply_end(out, mark, plan->dialect, 200, HTTP_JSON, "Cache-Control: no-store\r\n");
}

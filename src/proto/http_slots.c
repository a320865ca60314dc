/* http_slots.c - GET /v1/cluster/slots: which members keep which slots, in runs that are alike. */
#include <inttypes.h>

#include "base/assert.h"
#include "base/hash.h"
#include "proto/http_internal.h"

static bool is_alike(const struct node_cluster *c, uint32_t slot, uint32_t other) {
    const uint16_t count = c->slots[slot][0];
    ASSERT(count <= REPLICAS_MAX);
    return memcmp(c->slots[slot], c->slots[other], (1u + count) * sizeof c->slots[0][0]) == 0;
}

static void append_run(struct buffer *out, const struct node_cluster *c, uint32_t first,
                       uint32_t last) {
    buffer_printf(out, "%s[%" PRIu32 ",%" PRIu32, first == 0 ? "" : ",\n", first, last);
    for (uint32_t i = 1; i <= c->slots[first][0]; i++) {
        const uint32_t place = c->slots[first][i];
        const uint32_t index = c->indexes == NULL ? place : c->indexes[place];
        ASSERT(index < c->members_count);
        buffer_printf(out, ",%" PRIu32, index);
    }
    buffer_append_u8(out, ']');
}

static void append_runs(struct buffer *out, const struct node_cluster *c) {
    ASSERT(c->slots != NULL);
    uint32_t first = 0;
    for (uint32_t slot = 1; slot < SLOTS; slot++) {
        if (is_alike(c, first, slot)) continue;
        append_run(out, c, first, slot - 1);
        first = slot;
    }
    append_run(out, c, first, SLOTS - 1);
}

void http_slots_encode(const struct plan *plan, const struct node_view *view, struct buffer *out) {
    const struct node_cluster *c = &view->cluster;
    const bool alone = node_view_is_alone(view);
    uint32_t copies = c->replicas < c->members_count ? c->replicas : c->members_count;
    if (c->slot_replicas != 0 && c->slot_replicas < copies) copies = c->slot_replicas;
    const size_t mark = http_reply_begin(out);
    buffer_printf(out, "{\"slots\":%u,\"epoch\":%" PRIu64 ",\"copies\":%" PRIu32 ",\"nodes\":[",
                  SLOTS, c->epoch == 0 ? 1 : c->epoch, alone ? 1 : copies);
    if (alone) buffer_append_u64(out, node_view_own_id(view));
    for (uint32_t i = 0; !alone && i < c->members_count; i++)
        buffer_printf(out, "%s%" PRIu32, i > 0 ? "," : "", c->members[i].id);
    buffer_append(out, BYTES_LIT("],\"runs\":["));
    if (alone) buffer_printf(out, "[0,%u,0]", SLOTS - 1);
    if (!alone) append_runs(out, c);
    buffer_append(out, BYTES_LIT("]}\n"));
    http_reply_end(out, mark, plan->dialect, 200, HTTP_JSON, "Cache-Control: no-store\r\n");
}

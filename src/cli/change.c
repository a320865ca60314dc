#include "cli/change.h"

#include "base/assert.h"
#include "base/log.h"
#include "cli/figure.h"
#include "cli/json_field.h"

#include <inttypes.h>

#define BAR_CELLS_MAX 30u
#define BAR_CELLS_MIN 5u

/* A whole number; what is not told or null is FIGURE_UNKNOWN. */
static STATUS take_figure(const json_t *change, const char *name, uint64_t *ret_figure) {
    const json_t *value = json_object_get(change, name);
    *ret_figure = FIGURE_UNKNOWN;
    if (value == NULL || json_is_null(value)) return status_of(ST_OK);
    return status_of(json_field_number(change, name, ret_figure) ? ST_OK : ST_CORRUPT);
}

static STATUS take_waits(const json_t *change, struct change *c) {
    const json_t *waits = json_object_get(change, "waits_for");
    const json_t *first = json_array_get(waits, 0);
    c->waits_for = 0;
    if (first == NULL) return status_of(ST_OK);
    if (!json_is_integer(first) || json_integer_value(first) <= 0) return status_of(ST_CORRUPT);
    c->waits_for = (uint64_t)json_integer_value(first);
    return status_of(ST_OK);
}

STATUS change_decode(const json_t *change, struct change *ret_change) {
    struct change c = { .id = 0 };
    const json_t *reason = json_object_get(change, "reason");
    if (change == NULL || json_is_null(change)) {
        *ret_change = c;
        return status_of(ST_OK);
    }
    TRY(take_figure(change, "id", &c.id));
    TRY(take_figure(change, "slots_total", &c.slots_total));
    TRY(take_figure(change, "slots_done", &c.slots_done));
    TRY(take_figure(change, "bytes_done", &c.bytes_done));
    TRY(take_figure(change, "bytes_total", &c.bytes_total));
    TRY(take_figure(change, "rate_bytes_s", &c.rate_bytes_s));
    TRY(take_figure(change, "eta_ms", &c.eta_ms));
    TRY(take_figure(change, "throttle", &c.throttle));
    TRY(take_waits(change, &c));
    if (!json_is_string(reason) || c.id == 0) return status_of(ST_CORRUPT);
    if (c.id == FIGURE_UNKNOWN || c.slots_total == FIGURE_UNKNOWN) return status_of(ST_CORRUPT);
    if (c.slots_done > c.slots_total) return status_of(ST_CORRUPT); /* unknown too */
    log_escape(bytes_of(json_string_value(reason), json_string_length(reason)), c.reason,
               sizeof c.reason);
    c.paused = json_is_true(json_object_get(change, "paused"));
    *ret_change = c;
    return status_of(ST_OK);
}

void change_append_figures(const struct change *c, struct buffer *out) {
    char text[FIGURE_BYTES];
    ASSERT(c->id > 0);
    ASSERT(c->slots_done <= c->slots_total);
    buffer_printf(out, "%" PRIu64 " of %" PRIu64 " slots", c->slots_done, c->slots_total);
    if (c->bytes_done != FIGURE_UNKNOWN)
        buffer_printf(out, ", %s", figure_print_size(c->bytes_done, text));
    if (c->bytes_done != FIGURE_UNKNOWN && c->bytes_total != FIGURE_UNKNOWN)
        buffer_printf(out, " of %s", figure_print_size(c->bytes_total, text));
    if (c->paused) {
        buffer_append_string(out, ", paused");
        return;
    }
    if (c->rate_bytes_s != FIGURE_UNKNOWN)
        buffer_printf(out, ", %s", figure_print_rate(c->rate_bytes_s, text));
    if (c->eta_ms != FIGURE_UNKNOWN)
        buffer_printf(out, ", %s left", figure_print_time(c->eta_ms, text));
    if (c->waits_for != 0) buffer_printf(out, ", waits for node %" PRIu64, c->waits_for);
}

/* In per mille: by slots, or by bytes while slots are still on their way, all of them at once. */
static uint64_t share_done(const struct change *c) {
    const uint64_t slots = c->slots_total == 0 ? 0 : c->slots_done * 1000 / c->slots_total;
    const bool known = c->bytes_done != FIGURE_UNKNOWN && c->bytes_total != FIGURE_UNKNOWN;
    if (!known || c->bytes_total == 0) return slots;
    const double bytes = (double)c->bytes_done / (double)c->bytes_total;
    const uint64_t by_bytes = bytes < 0.99 ? (uint64_t)(bytes * 1000) : 990;
    return by_bytes > slots ? by_bytes : slots;
}

void change_append_bar(const struct change *c, uint32_t columns, bool colour, struct buffer *out) {
    struct buffer figures;
    buffer_init(&figures, 1024);
    change_append_figures(c, &figures);
    /* "[..] 100 %  figures", and the last column stays free. */
    const size_t taken = buffer_len(&figures) + sizeof "[] 100 %  ";
    uint32_t cells = columns > taken ? columns - (uint32_t)taken : 0;
    if (cells > BAR_CELLS_MAX) cells = BAR_CELLS_MAX;
    const uint64_t done = share_done(c);
    const uint64_t filled = done * cells / 1000;
    if (cells >= BAR_CELLS_MIN) {
        buffer_append_string(out, colour ? "[\033[32m" : "[");
        for (uint32_t i = 0; i < cells; i++) {
            if (colour && i == filled) buffer_append_string(out, "\033[0m");
            buffer_append_u8(out, i < filled ? '#' : '-');
        }
        buffer_append_string(out, colour ? "\033[0m] " : "] ");
    }
    buffer_printf(out, "%3" PRIu64 " %%", done / 10);
    if (columns > buffer_len(&figures) + sizeof "100 %  ") {
        buffer_append_string(out, "  ");
        buffer_append(out, buffer_bytes(&figures));
    }
    buffer_deinit(&figures);
}

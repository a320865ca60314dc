#include "proto/http_figure.h"

#include <inttypes.h>

#include "proto/node_view.h"

void http_append_number(struct buffer *out, const char *name, uint64_t value) {
    buffer_printf(out, ",\"%s\":%" PRIu64, name, value);
}

void http_append_figure(struct buffer *out, const char *name, uint64_t value) {
    if (value == NODE_UNKNOWN)
        buffer_printf(out, ",\"%s\":null", name);
    else
        http_append_number(out, name, value);
}

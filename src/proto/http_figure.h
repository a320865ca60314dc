/* http_figure.h - figures as members of a JSON object that has some already. */
#ifndef ATOLL_PROTO_HTTP_FIGURE_H
#define ATOLL_PROTO_HTTP_FIGURE_H

#include "base/buffer.h"

/* ,"NAME":value */
void http_append_number(struct buffer *out, const char *name, uint64_t value);
/* The same; NODE_UNKNOWN (proto/node_view.h) is null. */
void http_append_figure(struct buffer *out, const char *name, uint64_t value);

#endif

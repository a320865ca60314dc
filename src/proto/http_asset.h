/* http_asset.h - the files of the dashboard and the description of the API, part of the program.
 *
 * tools/embed makes the table of them from web/, the chart library and docs/openapi.json when
 * the program is built. A browser that asks for / gets index.html; whatever else it names is
 * below /web/. The description also has a path of its own.
 * Every answer names its content (ETag), so that a browser asks again and mostly gets 304,
 * and forbids the page to load anything from elsewhere.
 *
 * Owner      nobody: constants
 * Failure    a name that is not in the table is 404
 */
#ifndef ATOLL_PROTO_HTTP_ASSET_H
#define ATOLL_PROTO_HTTP_ASSET_H

#include "base/bytes.h"

#define HTTP_ASSET_PREFIX "/web/"
#define HTTP_ASSET_OPENAPI_PATH "/openapi.json"

struct http_asset {
    const char *name;        /* of the file, without folder */
    const char *type;        /* of its content */
    const char *hash;        /* of its content: 32 hex digits */
    struct bytes plain;      /* the file */
    struct bytes compressed; /* the same, by gzip */
};

/* Sorted by name. */
extern const struct http_asset http_assets[];
extern const uint32_t http_assets_count;

struct http;
struct buffer;

/* Whether the client asks for `/` as browsers do. */
bool http_asset_wants_page(const struct http *h);
/* Answer a GET or HEAD of `/` by the page, or of one of the paths above. */
void http_asset_reply(const struct http *h, struct buffer *out);

#endif

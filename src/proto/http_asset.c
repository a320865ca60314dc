#include "proto/http_asset.h"

#include <stdio.h>

#include "base/assert.h"
#include "proto/http_internal.h"

#define PAGE "index.html"
#define DESCRIPTION "openapi.json"
#define ETAG_BYTES_MAX 48u
#define EXTRA_BYTES_MAX 640u

/* The page may load, call and show what this node gives, nothing else; nobody may frame it. */
#define POLICY                                                                           \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; " \
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "          \
    "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n"                         \
    "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n"

static bool is_root(const struct http *h) {
    return h->route == HTTP_ROUTE_WELCOME;
}

static struct bytes field_of(const struct http *h, enum http_field field) {
    return h->field_counts[field] == 0 ? BYTES_NONE : http_bytes_of(h, h->fields[field]);
}

bool http_asset_wants_page(const struct http *h) {
    ASSERT(is_root(h));
    return http_field_mentions(h, HTTP_ACCEPT_FIELD, "text/html");
}

static const struct http_asset *find(struct bytes name) {
    for (uint32_t i = 0; i < http_assets_count; i++) {
        if (bytes_equal(name, bytes_of_string(http_assets[i].name))) return &http_assets[i];
    }
    return NULL;
}

static const struct http_asset *asset_of(const struct http *h) {
    const struct bytes prefix = BYTES_LIT(HTTP_ASSET_PREFIX);
    const struct bytes path = http_bytes_of(h, h->path);
    if (is_root(h)) return find(BYTES_LIT(PAGE));
    if (h->route == HTTP_ROUTE_OPENAPI) return find(BYTES_LIT(DESCRIPTION));
    ASSERT(bytes_start_with(path, prefix));
    return find(bytes_of(path.ptr + prefix.len, path.len - prefix.len));
}

/* `gzip;q=0` refuses it (RFC 9110 12.5.3); any other weight is as good as one. */
static bool takes_gzip(const struct http *h) {
    return http_field_mentions(h, HTTP_ENCODING_FIELD, "gzip") &&
           (!http_field_mentions(h, HTTP_ENCODING_FIELD, "gzip;q=0") ||
            http_field_mentions(h, HTTP_ENCODING_FIELD, "gzip;q=0."));
}

/* Whether a list of ETags holds this one, which is in quotes; `*` is any. */
static bool list_has(struct bytes list, const char *etag) {
    const size_t len = strlen(etag);
    if (bytes_equal(list, BYTES_LIT("*"))) return true;
    for (size_t i = 0; i + len <= list.len; i++) {
        if (memcmp(list.ptr + i, etag, len) == 0) return true;
    }
    return false;
}

void http_asset_reply(const struct http *h, struct buffer *out) {
    const struct http_asset *asset = asset_of(h);
    if (asset == NULL) {
        http_reply(out, h->flags, 404, HTTP_TEXT, "", BYTES_LIT("404 page not found\n"));
        return;
    }
    const bool gzip = takes_gzip(h);
    char etag[ETAG_BYTES_MAX], extra[EXTRA_BYTES_MAX];
    int len = snprintf(etag, sizeof etag, "\"%s%s\"", asset->hash, gzip ? "-gzip" : "");
    ASSERT(len > 0 && (size_t)len < sizeof etag);
    len = snprintf(extra, sizeof extra,
                   "ETag: %s\r\nCache-Control: no-cache\r\nVary: Accept, Accept-Encoding\r\n%s%s",
                   etag, gzip ? "Content-Encoding: gzip\r\n" : "", POLICY);
    ASSERT(len > 0 && (size_t)len < sizeof extra);
    const bool has_it = list_has(field_of(h, HTTP_IF_NONE_MATCH_FIELD), etag);
    http_reply(out, h->flags, has_it ? 304 : 200, asset->type, extra,
               has_it ? BYTES_NONE
               : gzip ? asset->compressed
                      : asset->plain);
}

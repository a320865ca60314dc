/* The files of the dashboard: who gets them, in which form, and what the browser is told of them. */
#include "proto/http_asset.h"

#include "http_test_support.h"

#define HTML "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"

static void ask(struct talk *t, const char *line, const char *headers) {
    char request[600];
    snprintf(request, sizeof request, "%s HTTP/1.1\r\n" H "%s\r\n", line, headers);
    CHECK_EQ(talk_send(t, bytes_of_string(request)), ST_OK);
    CHECK_EQ(t->plan.kind, PLAN_REPLIED);
}

static bool lacks(struct talk *t, const char *part) {
    return strstr(talk_text(t), part) == NULL;
}

static const struct http_asset *asset(const char *name) {
    for (uint32_t i = 0; i < http_assets_count; i++) {
        if (strcmp(http_assets[i].name, name) == 0) return &http_assets[i];
    }
    return NULL;
}

/* Programs get text with examples, browsers the page. */
TEST(http_asset, tells_browsers_from_programs) {
    struct talk t;
    talk_open(&t);
    ask(&t, "GET /", "Accept: */*\r\n");
    CHECK(talk_has(&t, "Content-Type: text/plain; charset=utf-8\r\n"));
    CHECK(talk_has(&t, "Vary: Accept\r\n"));
    CHECK(talk_has(&t, "curl -X PUT"));
    ask(&t, "GET /", HTML);
    CHECK(talk_has(&t, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
                       "X-Content-Type-Options: nosniff\r\n"));
    CHECK(talk_has(&t, "<title>Atoll</title>"));
    CHECK(talk_has(&t, "Content-Security-Policy: default-src 'none'; script-src 'self';"));
    CHECK(lacks(&t, "unsafe"));
    ask(&t, "HEAD /", HTML);
    CHECK(talk_has(&t, "text/html"));
    CHECK(lacks(&t, "<title>"));
    talk_close(&t);
}

/* Every file has a name for its content, and the page needs nothing from elsewhere. */
TEST(http_asset, has_all_files) {
    static const char *const names[] = { "app.js",       "chart.js", "charts.js", "icon.svg",
                                         "keys.js",      "ring.js",  "style.css", "index.html",
                                         "openapi.json", "text.js" };
    struct talk t;
    talk_open(&t);
    CHECK_EQ(http_assets_count, sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[64], etag[64];
        const struct http_asset *a = asset(names[i]);
        CHECK(a != NULL);
        CHECK_EQ(strlen(a->hash), 32);
        snprintf(line, sizeof line, "GET /web/%s", names[i]);
        snprintf(etag, sizeof etag, "ETag: \"%s\"\r\n", a->hash);
        ask(&t, line, "");
        CHECK(talk_has(&t, "200 OK"));
        CHECK(talk_has(&t, etag));
        const struct bytes out = buffer_bytes(&t.out);
        CHECK(out.len > a->plain.len);
        CHECK_BYTES(bytes_of(out.ptr + out.len - a->plain.len, a->plain.len), a->plain);
    }
    talk_close(&t);
}

/* Compressed for those that take it, under another name. */
TEST(http_asset, is_compressed_for_who_takes_it) {
    const struct http_asset *a = asset("app.js");
    struct talk t;
    talk_open(&t);
    ask(&t, "GET /web/app.js", "Accept-Encoding: deflate, GZIP, br\r\n");
    CHECK(talk_has(&t, "Content-Encoding: gzip\r\n"));
    CHECK(talk_has(&t, "-gzip\"\r\n"));
    CHECK(talk_has(&t, "Vary: Accept, Accept-Encoding\r\n"));
    const struct bytes out = buffer_bytes(&t.out);
    CHECK(a->compressed.len < a->plain.len);
    CHECK_BYTES(bytes_of(out.ptr + out.len - a->compressed.len, a->compressed.len), a->compressed);
    CHECK_BYTES(bytes_of(a->compressed.ptr, 3), BYTES_LIT("\x1f\x8b\x08"));
    ask(&t, "GET /web/app.js", "Accept-Encoding: gzip;q=0.5\r\n");
    CHECK(talk_has(&t, "Content-Encoding: gzip\r\n"));
    ask(&t, "GET /web/app.js", "Accept-Encoding: gzip;q=0\r\n");
    CHECK(lacks(&t, "Content-Encoding"));
    ask(&t, "GET /web/app.js", "Accept-Encoding: br\r\n");
    CHECK(lacks(&t, "Content-Encoding"));
    talk_close(&t);
}

/* A browser that has the content gets no second copy. */
TEST(http_asset, is_not_sent_twice) {
    char headers[160];
    struct talk t;
    talk_open(&t);
    snprintf(headers, sizeof headers, "If-None-Match: \"x\", W/\"%s\"\r\n", asset("app.js")->hash);
    ask(&t, "GET /web/app.js", headers);
    CHECK(talk_has(&t, "HTTP/1.1 304 Not Modified\r\nETag: "));
    CHECK(lacks(&t, "Content-Length"));
    ask(&t, "GET /web/style.css", headers);
    CHECK(talk_has(&t, "200 OK"));
    /* The compressed form is another thing. */
    snprintf(headers, sizeof headers, "Accept-Encoding: gzip\r\nIf-None-Match: \"%s\"\r\n",
             asset("app.js")->hash);
    ask(&t, "GET /web/app.js", headers);
    CHECK(talk_has(&t, "200 OK"));
    talk_close(&t);
}

TEST(http_asset, refuses_what_is_not_there) {
    static const char *const lines[] = { "GET /web/",          "GET /web/none.js",
                                         "GET /web/../app.js", "GET /web/app.js/",
                                         "GET /web/%61pp.js",  "GET /web/a" };
    struct talk t;
    talk_open(&t);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ask(&t, lines[i], HTML);
        CHECK(talk_has(&t, "404 Not Found"));
        CHECK(talk_has(&t, "text/plain"));
    }
    ask(&t, "PUT /web/app.js", "Content-Length: 0\r\n");
    CHECK(talk_has(&t, "405 Method Not Allowed"));
    CHECK(talk_has(&t, "Allow: GET, HEAD, OPTIONS\r\n"));
    talk_close(&t);
}

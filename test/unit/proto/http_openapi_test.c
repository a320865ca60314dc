/* The description of the API (docs/openapi.json) has each path and method that the server has, and
 * no other. What the requests take and are answered is test/e2e/openapi_test.mjs.
 * tidy: integration */
#include <jansson.h>
#include <llhttp.h>

#include "http_test_support.h"
#include "proto/http_alias.h"
#include "proto/http_asset.h"
#include "proto/http_internal.h"

static const struct {
    const char *name; /* in the description */
    uint8_t method;
} methods[] = {
    { "get", HTTP_GET },       { "put", HTTP_PUT },     { "post", HTTP_POST },
    { "delete", HTTP_DELETE }, { "patch", HTTP_PATCH }, { "head", HTTP_HEAD },
};
#define METHODS (sizeof methods / sizeof *methods)

static json_t *description(void) {
    for (uint32_t i = 0; i < http_assets_count; i++) {
        const struct http_asset *a = &http_assets[i];
        if (strcmp(a->name, "openapi.json") != 0) continue;
        json_t *json =
            json_loadb((const char *)a->plain.ptr, a->plain.len, JSON_REJECT_DUPLICATES, NULL);
        CHECK(json_is_object(json));
        return json;
    }
    CHECK(false);
    return NULL;
}

/* The entry of a path; of one that ends in `/`, that with a parameter behind it. */
static const json_t *entry_of(const json_t *paths, const char *path) {
    const size_t len = strlen(path);
    const char *key;
    json_t *entry;
    if (len == 1 || path[len - 1] != '/') return json_object_get(paths, path);
    json_object_foreach((json_t *)(uintptr_t)paths, key, entry) {
        if (strncmp(key, path, len) == 0 && key[len] == '{') return entry;
    }
    return NULL;
}

static bool has(const json_t *entry, size_t method) {
    return json_object_get(entry, methods[method].name) != NULL;
}

/* HEAD is said once, for all, in the description's own words. */
TEST(http_openapi, has_every_route_of_the_server) {
    json_t *json = description();
    const json_t *paths = json_object_get(json, "paths");
    for (int route = HTTP_ROUTE_WELCOME; route < HTTP_ROUTES; route++) {
        const char *path = http_route_path((enum http_route)route);
        const json_t *entry = entry_of(paths, path);
        printf("%s\n", path);
        CHECK(entry != NULL);
        for (size_t i = 0; i < METHODS; i++) {
            const bool allowed = http_route_allows((enum http_route)route, methods[i].method);
            if (methods[i].method == HTTP_HEAD) CHECK(allowed || !has(entry, i));
            if (methods[i].method != HTTP_HEAD) CHECK_EQ(has(entry, i), allowed);
        }
    }
    json_decref(json);
}

/* Their paths mostly take any method; of each row at least one is described. */
TEST(http_openapi, has_every_path_of_older_stores) {
    json_t *json = description();
    const json_t *paths = json_object_get(json, "paths");
    const char *path;
    uint32_t rows = 0;
    for (; (path = http_alias_path(rows)) != NULL; rows++) {
        const json_t *entry = json_object_get(paths, path);
        const struct bytes text = bytes_of_string(path);
        printf("%s\n", path);
        CHECK(entry != NULL);
        for (size_t i = 0; i < METHODS; i++) {
            const struct alias_row *row = http_alias_find(text, methods[i].method);
            if (has(entry, i)) CHECK(row != NULL);
            /* Where every method has a row of its own, none may be left out. */
            if (strcmp(path, "/kvstore") == 0 && methods[i].method != HTTP_HEAD)
                CHECK_EQ(has(entry, i), row != NULL);
        }
        CHECK(json_object_size(entry) > 0);
    }
    CHECK(rows > 10);
    json_decref(json);
}

TEST(http_openapi, has_nothing_else) {
    json_t *json = description();
    const char *path;
    json_t *entry;
    json_object_foreach(json_object_get(json, "paths"), path, entry) {
        char asked[128];
        const int len = snprintf(asked, sizeof asked, "%s", path);
        CHECK(len > 0 && (size_t)len < sizeof asked);
        char *parameter = strchr(asked, '{');
        if (parameter != NULL) memcpy(parameter, "x", 2);
        printf("%s\n", asked);
        CHECK(http_route_find(bytes_of_string(asked)) != HTTP_ROUTE_NONE);
    }
    json_decref(json);
}

TEST(http_openapi, is_served) {
    struct talk t;
    talk_open(&t);
    CHECK_EQ(talk_send(&t, BYTES_LIT("GET /openapi.json HTTP/1.1\r\n" H "\r\n")), ST_OK);
    CHECK(talk_has(&t, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"));
    CHECK(talk_has(&t, "\r\n\r\n{\n  \"openapi\": \"3.1"));
    CHECK_EQ(talk_send(&t, BYTES_LIT("DELETE /openapi.json HTTP/1.1\r\n" H "\r\n")), ST_OK);
    CHECK(talk_has(&t, "405 Method Not Allowed"));
    talk_close(&t);
}

#include "cli/kv.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/base64.h"

#include <jansson.h>
#include <stdio.h>

#define TARGET_BYTES_MAX (1024u * 1024) /* a key and two bounds of the largest size, encoded */
#define SHOWN_BYTES 200u

void kv_open(struct kv *k, struct os *os, const struct kv_flags *flags) {
    k->os = os;
    k->flags = flags;
    http_client_open(&k->client, os, flags->server, (uint32_t)flags->timeout_ms);
    buffer_init(&k->target, TARGET_BYTES_MAX);
}

void kv_close(struct kv *k) {
    http_client_close(&k->client);
    buffer_deinit(&k->target);
}

bool kv_decode(const struct kv *k, const char *text, uint8_t **ret_room, struct bytes *ret_bytes) {
    ASSERT(text != NULL);
    const size_t len = strlen(text);
    uint8_t *room = mem_alloc(len + 1);
    struct bytes out = bytes_of(room, len);
    memcpy(room, text, len);
    if (k->flags->escaped && !status_ok(cli_unescape(text, room, &out))) {
        mem_free(room);
        cli_fail(EXIT_CODE_USAGE, "with --escaped, a \\ is followed by xNN, t, n, r or \\");
        return false;
    }
    *ret_room = room;
    *ret_bytes = out;
    return true;
}

bool kv_target_key(struct kv *k, const char *text) {
    uint8_t *room = NULL;
    struct bytes key = BYTES_NONE;
    if (!kv_decode(k, text, &room, &key)) return false;
    const bool fits = key.len >= KEY_BYTES_MIN && key.len <= KEY_BYTES_MAX;
    buffer_reset(&k->target);
    buffer_append_string(&k->target, "/v1/kv/");
    if (fits)
        http_client_append_encoded(&k->target, key);
    else
        cli_fail(EXIT_CODE_USAGE, "a key has 1 to %u bytes", KEY_BYTES_MAX);
    mem_free(room);
    return fits;
}

void kv_target_param(struct kv *k, const char *name, struct bytes value) {
    const struct bytes so_far = buffer_bytes(&k->target);
    ASSERT(so_far.len > 0);
    buffer_append_u8(&k->target, memchr(so_far.ptr, '?', so_far.len) == NULL ? '?' : '&');
    buffer_append_string(&k->target, name);
    buffer_append_u8(&k->target, '=');
    http_client_append_encoded(&k->target, value);
}

void kv_target_level(struct kv *k) {
    const char *level = k->flags->level;
    if (level != NULL && level[0] != '\0') kv_target_param(k, "level", bytes_of_string(level));
}

int kv_request(struct kv *k, const char *method, const char *headers, struct bytes body) {
    const struct http_client_request q = {
        .method = method, .target = buffer_bytes(&k->target), .headers = headers, .body = body
    };
    const bool connected = k->client.sock.os != NULL;
    const struct status s = http_client_request(&k->client, &q);
    const char *server = k->flags->server;
    switch (s.code) {
    case ST_OK: return EXIT_CODE_OK;
    case ST_INVALID:
        return cli_fail(EXIT_CODE_USAGE, "--server=%s: no such host, or the request is too long",
                        server);
    case ST_TIMEOUT:
        return cli_fail(EXIT_CODE_CONNECT,
                        "%s did not answer in time; a write may have happened (see --timeout)",
                        server);
    case ST_CORRUPT:
        return cli_fail(EXIT_CODE_SERVER, "%s does not answer as an HTTP server does", server);
    case ST_FULL: return KV_TOO_LARGE;
    default: break;
    }
    if (connected)
        return cli_fail(EXIT_CODE_CONNECT, "%s closed the connection; a write may have happened",
                        server);
    return cli_cannot_connect(server);
}

bool kv_member_bytes(const json_t *row, const char *name, uint8_t **ret_room,
                     struct bytes *ret_bytes) {
    const json_t *text = json_object_get(row, name);
    if (text != NULL) {
        *ret_bytes = bytes_of(json_string_value(text), json_string_length(text));
        return json_is_string(text);
    }
    char coded[32];
    snprintf(coded, sizeof coded, "%s_base64", name);
    text = json_object_get(row, coded);
    if (!json_is_string(text)) return false;
    const struct bytes in = bytes_of(json_string_value(text), json_string_length(text));
    size_t len = 0;
    *ret_room = mem_alloc(base64_decoded_len_max(in.len));
    if (!status_ok(base64_decode(BASE64_STANDARD, in, *ret_room, &len))) return false;
    *ret_bytes = bytes_of(*ret_room, len);
    return true;
}

void kv_print_acks(const struct kv *k) {
    if (k->client.acks[0] == '\0') return;
    printf(",");
    cli_print_json_member("acks", bytes_of_string(k->client.acks));
}

/* 2 of 3, or nothing when the answer does not count replicas. */
static bool counts_of(const json_t *error, json_int_t *ret_acks, json_int_t *ret_needed) {
    const json_t *acks = json_object_get(error, "acks");
    const json_t *needed = json_object_get(error, "needed");
    if (!json_is_integer(acks) || !json_is_integer(needed)) return false;
    *ret_acks = json_integer_value(acks);
    *ret_needed = json_integer_value(needed);
    return true;
}

const char *kv_error_text(struct bytes body, char *text, size_t text_bytes) {
    ASSERT(text_bytes > SHOWN_BYTES);
    json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const json_t *error = json_object_get(root, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    char counts[64] = "";
    json_int_t acks = 0, needed = 0;
    if (counts_of(error, &acks, &needed))
        (void)snprintf(counts, sizeof counts, " (acks %lld, needed %lld)", (long long)acks,
                       (long long)needed);
    if (message != NULL) {
        char shown[SHOWN_BYTES];
        const int len = snprintf(text, text_bytes, "%s%s",
                                 log_escape(bytes_of_string(message), shown, sizeof shown), counts);
        ASSERT(len >= 0);
    }
    json_decref(root);
    return message != NULL ? text : NULL;
}

int kv_refused(const struct kv *k, const char *what) {
    const uint32_t status = k->client.response.status;
    const struct bytes body = buffer_bytes(&k->client.body);
    const enum exit_code code =
        status == 404 || status == 412 || status == 304 ? EXIT_CODE_NO : EXIT_CODE_SERVER;
    char message[2 * SHOWN_BYTES], subject[SHOWN_BYTES];
    log_escape(bytes_of_string(what), subject, sizeof subject);
    if (kv_error_text(body, message, sizeof message) != NULL)
        return cli_fail(code, "%s: %s", subject, message);
    return cli_fail(code, "%s: %s answered with status %u", subject, k->flags->server, status);
}

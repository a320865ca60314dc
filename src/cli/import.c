#include "cli/kv.h"
#include "cli/progress.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/terminal.h"
#include "proto/base64.h"
#include "proto/flat_json.h"
#include "proto/json_text.h"

#include <inttypes.h>
#include <stdio.h>

#define READ_BYTES (64u * 1024)
#define BATCH_ITEMS 1000u
#define BATCH_BYTES (1024u * 1024)              /* a batch is sent when it has so much text */
#define BATCH_BYTES_MAX (32u * 1024 * 1024)     /* what a node takes */
#define TEXT_VALUE_BYTES_MAX (4u * 1024 * 1024) /* escaped it is at most six times as long */
#define KEY_SHOWN_BYTES 200u

static_assert(6u * TEXT_VALUE_BYTES_MAX + 6u * KEY_BYTES_MAX + BATCH_BYTES <= BATCH_BYTES_MAX,
              "one more text fits a batch that is not sent yet");
static_assert(VALUE_BYTES_MAX / 3 * 4 + 6u * KEY_BYTES_MAX + BATCH_BYTES <= BATCH_BYTES_MAX,
              "and so does the longest value as base64");

struct import_flags {
    struct kv_flags kv; /* first, for its options */
    bool progress;
};

static const struct option options[] = {
    KV_NODE_OPTIONS,
    PROGRESS_OPTION(struct import_flags, progress),
    { .name = "level",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct kv_flags, level),
      .fallback = "",
      .value_name = KV_LEVEL_NAME,
      .help = "how many replicas must have a write" },
};

const struct command_words cli_import_words = {
    .options = options,
    .options_count = sizeof options / sizeof *options,
    .arguments = "FILE",
};

struct import {
    struct kv kv;
    const char *path; /* "-" = standard input */
    struct os_file file;
    uint64_t offset;     /* of the file, what is read next */
    uint64_t file_bytes; /* 0 = not known */
    bool ended;          /* nothing more to read */
    struct progress progress;
    struct buffer input; /* read and not used yet */
    struct flat_json reader;
    struct buffer body; /* the batch that is being gathered */
    struct buffer keys; /* of it: length in 4 bytes, key, of each */
    uint32_t items;     /* in it */
    uint64_t stored;    /* acknowledged */
    uint64_t expired;   /* left out: their time was over */
};

/* Read at least as much again as there is, so that a long value is looked through but a few
 * times. */
static int read_more(struct import *in) {
    size_t want = buffer_len(&in->input) > READ_BYTES ? buffer_len(&in->input) : READ_BYTES;
    size_t len = 0;
    uint8_t *room = buffer_reserve(&in->input, want);
    if (room == NULL) return cli_fail(EXIT_CODE_USAGE, "%s: a pair is too long", in->path);
    struct status s;
    if (in->file.os != NULL) {
        s = os_file_read(&in->file, in->offset, room, want, &len);
        in->ended = len < want;
    } else {
        s = os_input_read(in->kv.os, room, want, &len);
        in->ended = s.code == ST_NOT_FOUND;
        if (in->ended) s = status_of(ST_OK);
    }
    if (!status_ok(s)) return cli_fail(EXIT_CODE_FILE, "cannot read %s", in->path);
    in->offset += len;
    buffer_commit(&in->input, len);
    return EXIT_CODE_OK;
}

static struct bytes key_at(const struct import *in, size_t index) {
    struct bytes rest = buffer_bytes(&in->keys);
    for (;;) {
        ASSERT(rest.len >= sizeof(uint32_t));
        const uint32_t len = get_u32_le(rest.ptr);
        const struct bytes key = bytes_of(rest.ptr + sizeof(uint32_t), len);
        if (index-- == 0) return key;
        rest = bytes_of(key.ptr + len, rest.len - sizeof(uint32_t) - len);
    }
}

static int fail_key(const struct import *in, size_t index, const char *why) {
    char shown[KEY_SHOWN_BYTES];
    ASSERT(index < in->items);
    return cli_fail(EXIT_CODE_SERVER, "%s: not stored: %s; %" PRIu64 " keys were stored",
                    log_escape(key_at(in, index), shown, sizeof shown), why, in->stored);
}

/* Count what is stored, and stop at the first that is not. */
static int take_results(struct import *in, const json_t *results) {
    char shown[KEY_SHOWN_BYTES];
    size_t failed = in->items;
    if (json_array_size(results) != in->items)
        return cli_fail(EXIT_CODE_SERVER, "import: the node's answer makes no sense");
    for (size_t i = in->items; i-- > 0;) {
        const json_t *status = json_object_get(json_array_get(results, i), "status");
        if (json_integer_value(status) == 200)
            in->stored++;
        else
            failed = i;
    }
    if (failed == in->items) return EXIT_CODE_OK;
    const json_t *error = json_object_get(json_array_get(results, failed), "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    if (message == NULL) message = "the node does not say why";
    return fail_key(in, failed, log_escape(bytes_of_string(message), shown, sizeof shown));
}

/* A batch is refused as a whole because of one item, which the message names by its place. */
static int take_refusal(const struct import *in) {
    char text[2 * KEY_SHOWN_BYTES + 64];
    const char *message = kv_error_text(buffer_bytes(&in->kv.client.body), text, sizeof text);
    static const char place[] = "items[";
    uint64_t index = 0;
    if (message == NULL || strncmp(message, place, sizeof place - 1) != 0)
        return kv_refused(&in->kv, "import");
    const char *digits = message + sizeof place - 1;
    const size_t len = strspn(digits, "0123456789");
    if (!status_ok(bytes_to_u64(bytes_of(digits, len), &index)) || index >= in->items)
        return kv_refused(&in->kv, "import");
    return fail_key(in, (size_t)index, message);
}

/* Of a file its bytes tell what is left, of standard input nothing does. */
static void show_progress(struct import *in) {
    char keys[48];
    if (!progress_is_due(&in->progress)) return;
    (void)snprintf(keys, sizeof keys, "%" PRIu64 " keys", in->stored);
    const struct progress_step step = {
        .doing = "imported",
        .done = in->offset - buffer_len(&in->input),
        .total = in->file_bytes > 0 ? in->file_bytes : PROGRESS_UNKNOWN,
        .detail = keys,
    };
    progress_show(&in->progress, &step);
}

static int send_batch(struct import *in) {
    if (in->items == 0) return EXIT_CODE_OK;
    buffer_append(&in->body, BYTES_LIT("]}"));
    ASSERT(!in->body.overflowed);
    buffer_reset(&in->kv.target);
    buffer_append_string(&in->kv.target, "/v1/batch");
    kv_target_level(&in->kv);
    int code = kv_request(&in->kv, "POST", "", buffer_bytes(&in->body));
    if (code == KV_TOO_LARGE)
        return cli_fail(EXIT_CODE_SERVER, "import: the node's answer makes no sense");
    if (code != EXIT_CODE_OK) return code;
    if (in->kv.client.response.status != 200) return take_refusal(in);
    const struct bytes body = buffer_bytes(&in->kv.client.body);
    json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    code = take_results(in, json_object_get(root, "results"));
    json_decref(root);
    buffer_reset(&in->body);
    buffer_reset(&in->keys);
    in->items = 0;
    show_progress(in);
    return code;
}

static void append_item(struct import *in, const struct flat_json_pair *pair, uint64_t ttl_ms) {
    struct buffer *out = &in->body;
    buffer_append_string(out, in->items == 0 ? "{\"items\":[{" : ",{");
    json_text_append_member(out, "key", pair->key);
    buffer_append_u8(out, ',');
    if (pair->value.len <= TEXT_VALUE_BYTES_MAX) {
        json_text_append_member(out, "value", pair->value);
    } else {
        buffer_append(out, BYTES_LIT("\"value_base64\":\""));
        base64_append(out, BASE64_STANDARD, pair->value);
        buffer_append_u8(out, '"');
    }
    if (ttl_ms > 0) buffer_printf(out, ",\"ttl\":\"%" PRIu64 "ms\"", ttl_ms);
    buffer_append_u8(out, '}');
    buffer_append_u32_le(&in->keys, (uint32_t)pair->key.len);
    buffer_append(&in->keys, pair->key);
    in->items++;
}

static int add_pair(struct import *in, const struct flat_json_pair *pair) {
    uint64_t ttl_ms = 0;
    char shown[KEY_SHOWN_BYTES];
    log_escape(pair->key, shown, sizeof shown);
    if (pair->key.len < KEY_BYTES_MIN || pair->key.len > KEY_BYTES_MAX)
        return cli_fail(EXIT_CODE_USAGE, "%s line %" PRIu64 ": a key has 1 to %u bytes: '%s'",
                        in->path, in->reader.line, KEY_BYTES_MAX, shown);
    if (pair->value.len > VALUE_BYTES_MAX)
        return cli_fail(EXIT_CODE_USAGE, "%s line %" PRIu64 ": %s: a value has at most %u bytes",
                        in->path, in->reader.line, shown, VALUE_BYTES_MAX);
    if (pair->expires_at_ms > 0) {
        const uint64_t now_ms = os_wall_ms(in->kv.os);
        if (pair->expires_at_ms <= now_ms) {
            in->expired++;
            return EXIT_CODE_OK;
        }
        ttl_ms = pair->expires_at_ms - now_ms;
    }
    append_item(in, pair, ttl_ms);
    const bool full = in->items == BATCH_ITEMS || buffer_len(&in->body) >= BATCH_BYTES;
    return full ? send_batch(in) : EXIT_CODE_OK;
}

static int import(struct import *in) {
    for (;;) {
        struct flat_json_pair pair;
        size_t used = 0;
        const struct status s =
            flat_json_next(&in->reader, buffer_bytes(&in->input), in->ended, &used, &pair);
        int code = EXIT_CODE_OK;
        switch (s.code) {
        case ST_OK: code = add_pair(in, &pair); break;
        case ST_WAIT: break;
        case ST_NOT_FOUND: return send_batch(in);
        default:
            /* What was well is stored, so that the line tells where to go on. */
            code = send_batch(in);
            if (code != EXIT_CODE_OK) return code;
            return cli_fail(EXIT_CODE_USAGE,
                            "%s line %" PRIu64 ": %s; %" PRIu64 " keys were stored", in->path,
                            in->reader.line, in->reader.fault, in->stored);
        }
        buffer_consume(&in->input, used);
        if (code == EXIT_CODE_OK && s.code == ST_WAIT) code = read_more(in);
        if (code != EXIT_CODE_OK) return code;
    }
}

static int open_input(struct import *in) {
    if (strcmp(in->path, "-") == 0) {
        in->path = "standard input";
        return EXIT_CODE_OK;
    }
    const struct status s = os_file_open(in->kv.os, in->path, OS_FILE_READ, &in->file);
    if (!status_ok(s) || !status_ok(os_file_size(&in->file, &in->file_bytes)))
        return cli_fail(EXIT_CODE_FILE, "cannot read %s%s", in->path,
                        s.code == ST_NOT_FOUND ? ": no such file" : "");
    return EXIT_CODE_OK;
}

int cli_import(struct os *os, int argc, char **argv) {
    static struct option_set set;
    struct import_flags f = { 0 };
    int code = EXIT_CODE_OK;
    option_set_init(&set, options, sizeof options / sizeof options[0], &f);
    if (!cli_server_from_environment(os, &set, &code)) return code;
    if (!cli_parse(
            &set, "atoll import (FILE | -) [OPTION...]",
            "Store every key of a flat JSON object, as `atoll export` prints it or any program\n"
            "writes it: {\"key\":\"value\",..}. It stops at the first key that cannot be stored.",
            argc, argv, 1, 1, &code))
        return code;
    struct import in = { .path = set.arguments[0] };
    kv_open(&in.kv, os, &f.kv);
    buffer_init(&in.input, 2 * FLAT_JSON_PAIR_BYTES_MAX);
    buffer_init(&in.body, BATCH_BYTES_MAX);
    buffer_init(&in.keys, BATCH_BYTES_MAX);
    flat_json_init(&in.reader);
    progress_init(&in.progress, os, f.progress);
    code = open_input(&in);
    if (code == EXIT_CODE_OK) code = import(&in);
    progress_end(&in.progress);
    if (code == EXIT_CODE_OK && f.kv.json)
        printf("{\"stored\":%" PRIu64 ",\"expired\":%" PRIu64 "}\n", in.stored, in.expired);
    else if (code == EXIT_CODE_OK && in.expired > 0)
        printf("imported %" PRIu64 " keys, left out %" PRIu64 " that have expired\n", in.stored,
               in.expired);
    else if (code == EXIT_CODE_OK)
        printf("imported %" PRIu64 " keys\n", in.stored);
    os_file_close(&in.file);
    flat_json_deinit(&in.reader);
    buffer_deinit(&in.keys);
    buffer_deinit(&in.body);
    buffer_deinit(&in.input);
    kv_close(&in.kv);
    return code == EXIT_CODE_OK ? cli_finish(EXIT_CODE_OK) : code;
}

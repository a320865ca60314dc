#include "proto/flat_json.h"

#include "base/assert.h"
#include "base/mem.h"
#include "proto/base64.h"
#include "proto/json_text.h"

#define DEPTH_MAX 2u /* the object in a value's place holds no other */

void flat_json_init(struct flat_json *f) {
    *f = (struct flat_json){ .state = FLAT_JSON_AT_START, .line = 1 };
}

static void release_pair(struct flat_json *f) {
    json_decref(f->name);
    json_decref(f->content);
    mem_free(f->key_room);
    mem_free(f->value_room);
    f->name = f->content = NULL;
    f->key_room = f->value_room = NULL;
}

void flat_json_deinit(struct flat_json *f) {
    release_pair(f);
}

static STATUS refuse(struct flat_json *f, const char *fault) {
    f->fault = fault;
    return status_of(ST_INVALID);
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct bytes *rest) {
    while (rest->len > 0 && is_space(rest->ptr[0])) *rest = bytes_of(rest->ptr + 1, rest->len - 1);
}

/* One character that must be there. */
static STATUS take_mark(struct flat_json *f, struct bytes *rest, uint8_t mark, const char *fault) {
    skip_space(rest);
    if (rest->len == 0) return status_of(ST_WAIT);
    if (rest->ptr[0] != mark) return refuse(f, fault);
    *rest = bytes_of(rest->ptr + 1, rest->len - 1);
    return status_of(ST_OK);
}

/* The length of the string or object that `in` begins with. */
static STATUS measure(struct flat_json *f, struct bytes in, size_t *ret_len) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < in.len; i++) {
        const uint8_t c = in.ptr[i];
        if (in_string && c == '\\') i++;
        if (c == '"') in_string = !in_string;
        if (!in_string && (c == '{' || c == '[') && ++depth >= DEPTH_MAX)
            return refuse(f, "a value is nested too deeply");
        if (!in_string && (c == '}' || c == ']') && depth-- == 0)
            return refuse(f, "a bracket too many");
        if (in_string || depth > 0) continue;
        *ret_len = i + 1;
        return status_of(ST_OK);
    }
    return status_of(in.len < FLAT_JSON_PAIR_BYTES_MAX ? ST_WAIT : ST_INVALID);
}

/* A string, or also an object. */
static STATUS take_json(struct flat_json *f, struct bytes *rest, bool or_object,
                        json_t **ret_json) {
    size_t len = 0;
    skip_space(rest);
    if (rest->len == 0) return status_of(ST_WAIT);
    if (rest->ptr[0] != '"' && !(or_object && rest->ptr[0] == '{'))
        return refuse(f, or_object ? "a value must be a string" : "a name must be a string");
    f->fault = "a pair is too long";
    TRY(measure(f, *rest, &len));
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
    *ret_json = json_loadb((const char *)rest->ptr, len, flags, NULL);
    if (*ret_json == NULL) return refuse(f, "malformed, or no UTF-8");
    *rest = bytes_of(rest->ptr + len, rest->len - len);
    return status_of(ST_OK);
}

static struct bytes text_of(const json_t *json) {
    return bytes_of(json_string_value(json), json_string_length(json));
}

static STATUS take_base64(struct flat_json *f, const json_t *json, uint8_t **ret_room,
                          struct bytes *ret_bytes) {
    const struct bytes code = text_of(json);
    size_t len = 0;
    ASSERT(*ret_room == NULL);
    *ret_room = mem_alloc(base64_decoded_len_max(code.len));
    if (!json_is_string(json) || !status_ok(base64_decode(BASE64_STANDARD, code, *ret_room, &len)))
        return refuse(f, "base64 that cannot be decoded");
    *ret_bytes = bytes_of(*ret_room, len);
    return status_of(ST_OK);
}

static STATUS read_object(struct flat_json *f, struct flat_json_pair *pair) {
    const char *name;
    json_t *json;
    uint32_t values = 0;
    json_object_foreach(f->content, name, json) {
        if (strcmp(name, "key_base64") == 0) {
            TRY(take_base64(f, json, &f->key_room, &pair->key));
        } else if (strcmp(name, "value_base64") == 0) {
            TRY(take_base64(f, json, &f->value_room, &pair->value));
            values++;
        } else if (strcmp(name, "value") == 0 && json_is_string(json)) {
            pair->value = text_of(json);
            values++;
        } else if (strcmp(name, "expires_at_ms") == 0 && json_is_integer(json) &&
                   json_integer_value(json) > 0) {
            pair->expires_at_ms = (uint64_t)json_integer_value(json);
        } else {
            return refuse(f, "a value must be a string, or an object as export writes it");
        }
    }
    return values == 1 ? status_of(ST_OK) : refuse(f, "an object must have one value");
}

static STATUS take_pair(struct flat_json *f, struct bytes *rest, struct flat_json_pair *pair) {
    TRY(take_json(f, rest, false, &f->name));
    TRY(take_mark(f, rest, ':', "a name must be followed by a colon"));
    TRY(take_json(f, rest, true, &f->content));
    pair->key = text_of(f->name);
    if (json_is_object(f->content)) return read_object(f, pair);
    pair->value = text_of(f->content);
    return status_of(ST_OK);
}

/* What stands before a pair or behind the last one. */
static STATUS take_separator(struct flat_json *f, struct bytes *rest) {
    skip_space(rest);
    if (f->state == FLAT_JSON_AT_START) {
        /* Some editors put a byte order mark in front. */
        const struct bytes mark = BYTES_LIT("\xef\xbb\xbf");
        if (rest->len < mark.len && bytes_start_with(mark, *rest)) return status_of(ST_WAIT);
        if (bytes_start_with(*rest, mark))
            *rest = bytes_of(rest->ptr + mark.len, rest->len - mark.len);
        TRY(take_mark(f, rest, '{', "the text is no JSON object"));
        skip_space(rest);
    }
    if (rest->len == 0) return status_of(ST_WAIT);
    if (rest->ptr[0] == '}') {
        *rest = bytes_of(rest->ptr + 1, rest->len - 1);
        f->state = FLAT_JSON_AT_END;
        return status_of(ST_OK);
    }
    if (f->state != FLAT_JSON_AT_NEXT) return status_of(ST_OK);
    TRY(take_mark(f, rest, ',', "a value must be followed by a comma or the end"));
    return status_of(ST_OK);
}

static STATUS step(struct flat_json *f, struct bytes *rest, struct flat_json_pair *pair) {
    if (f->state != FLAT_JSON_AT_END) TRY(take_separator(f, rest));
    if (f->state != FLAT_JSON_AT_END) return take_pair(f, rest, pair);
    skip_space(rest);
    return rest->len == 0 ? status_of(ST_NOT_FOUND) : refuse(f, "something follows the object");
}

static void count_lines(struct flat_json *f, struct bytes in, size_t len) {
    ASSERT(len <= in.len);
    for (size_t i = 0; i < len; i++) f->line += in.ptr[i] == '\n';
}

STATUS flat_json_next(struct flat_json *f, struct bytes in, bool ended, size_t *ret_used,
                      struct flat_json_pair *ret_pair) {
    struct bytes rest = in;
    struct flat_json_pair pair = { .expires_at_ms = 0 };
    ASSERT(f->line > 0);
    release_pair(f);
    const struct status s = step(f, &rest, &pair);
    if (s.code == ST_WAIT && ended) return refuse(f, "the object is not complete");
    if (s.code == ST_NOT_FOUND && !ended) {
        /* Space behind the object may go; what else may come is not known yet. */
        count_lines(f, in, in.len);
        *ret_used = in.len;
        return status_of(ST_WAIT);
    }
    if (s.code == ST_WAIT) {
        *ret_used = 0;
        return s;
    }
    count_lines(f, in, in.len - rest.len);
    TRY(s);
    f->state = FLAT_JSON_AT_NEXT;
    *ret_used = in.len - rest.len;
    *ret_pair = pair;
    return status_of(ST_OK);
}

void flat_json_append(struct buffer *out, const struct flat_json_pair *pair) {
    const bool key_is_text = json_text_is_utf8(pair->key);
    const bool value_is_text = json_text_is_utf8(pair->value);
    json_text_append_go(out, pair->key);
    buffer_append_u8(out, ':');
    if (key_is_text && value_is_text && pair->expires_at_ms == 0) {
        json_text_append(out, pair->value);
        return;
    }
    buffer_append_u8(out, '{');
    if (!key_is_text) {
        json_text_append_member(out, "key", pair->key);
        buffer_append_u8(out, ',');
    }
    json_text_append_member(out, "value", pair->value);
    if (pair->expires_at_ms != 0) {
        buffer_append(out, BYTES_LIT(",\"expires_at_ms\":"));
        buffer_append_u64(out, pair->expires_at_ms);
    }
    buffer_append_u8(out, '}');
}

#include "proto/http_admin.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "proto/ttl.h"
#include "proto/uri.h"

#define STR_(x) #x
#define STR(x) STR_(x)
#define ADDRESS_ALLOWED "HOST:PORT or [V6]:PORT, at most 127 characters, without http://"
#define NODE_ALLOWED "the id of a node, or its HOST:PORT, as GET /v1/cluster lists them"
#define QUORUM_ALLOWED "a whole number from 1 to " STR(REPLICAS_LIMIT) ", or \"majority\""
#define REPLICAS_LIMIT 7

static_assert(REPLICAS_MAX == REPLICAS_LIMIT, "as messages say");

enum field_kind {
    KIND_TEXT,
    KIND_NUMBER,         /* in JSON a number, whole */
    KIND_NUMBER_OR_TEXT, /* in JSON either; the number may have a fraction */
    KIND_FLAG,           /* true or false; in a query 1 and 0 too */
};

static const struct {
    const char *name;
    enum field_kind kind;
    const char *allowed;
} rows[ADMIN_FIELDS] = {
    [FIELD_ADDRESS] = { "address", KIND_TEXT, ADDRESS_ALLOWED },
    [FIELD_WEIGHT] = { "weight", KIND_NUMBER, "a whole number from 1 to 1000000" },
    [FIELD_ZONE] = { "zone", KIND_NUMBER, "a whole number from 0 (none) to 4294967295" },
    [FIELD_NODE] = { "node", KIND_NUMBER_OR_TEXT, NODE_ALLOWED },
    [FIELD_JOIN] = { "join", KIND_TEXT, ADDRESS_ALLOWED },
    [FIELD_LEAVE] = { "leave", KIND_TEXT, NODE_ALLOWED },
    [FIELD_ACTION] = { "action", KIND_TEXT, "pause, resume, cancel or throttle" },
    [FIELD_RATE] = { "bytes_per_second", KIND_NUMBER,
                     "a whole number of bytes up to 1099511627776; 0 = no limit" },
    [FIELD_FORCE] = { "force", KIND_FLAG, "true or false" },
    [FIELD_ACCEPT_LOSS] = { "accept_loss", KIND_FLAG, "true or false" },
    [FIELD_DRY_RUN] = { "dry_run", KIND_FLAG, "true or false" },
    [FIELD_REPLICAS] = { "replicas", KIND_NUMBER, "a whole number from 1 to " STR(REPLICAS_LIMIT) },
    [FIELD_WRITE_QUORUM] = { "write_quorum", KIND_NUMBER_OR_TEXT, QUORUM_ALLOWED },
    [FIELD_READ_QUORUM] = { "read_quorum", KIND_NUMBER_OR_TEXT, QUORUM_ALLOWED },
    [FIELD_DISCIPLINE] = { "discipline", KIND_TEXT, "eventual or strict" },
    [FIELD_TTL] = { "ttl", KIND_NUMBER_OR_TEXT, "\"none\", or " TTL_ALLOWED },
};

#define RATE_MAX (UINT64_C(1) << 40) /* more than any disk or link of these years */

static bool fail(const struct http *h, struct buffer *out, const char *code, const char *message) {
    http_reply_error(out, h->flags, 400, code, "%s", message);
    return false;
}

static bool fail_field(const struct http *h, struct buffer *out, uint32_t field) {
    char code[32];
    ASSERT(field < ADMIN_FIELDS);
    const int len = snprintf(code, sizeof code, "bad_%s", rows[field].name);
    ASSERT(len > 0 && (size_t)len < sizeof code);
    http_reply_error(out, h->flags, 400, code, "%s must be %s", rows[field].name,
                     rows[field].allowed);
    return false;
}

const char *http_admin_field_names(uint32_t set, char *text, size_t text_bytes) {
    size_t len = 0;
    ASSERT(text_bytes > sizeof "nothing");
    (void)snprintf(text, text_bytes, "nothing");
    for (uint32_t i = 0; i < ADMIN_FIELDS; i++) {
        if ((set >> i & 1) == 0) continue;
        len += (size_t)snprintf(text + len, text_bytes - len, "%s%s", len > 0 ? ", " : "",
                                rows[i].name);
        ASSERT(len < text_bytes);
    }
    return text;
}

static uint32_t find(struct bytes name) {
    for (uint32_t i = 0; i < ADMIN_FIELDS; i++) {
        if (bytes_equal(name, bytes_of_string(rows[i].name))) return i;
    }
    return ADMIN_FIELDS;
}

static bool fail_unknown(const struct http *h, struct buffer *out, const char *code,
                         const char *what, struct bytes name, uint32_t allowed) {
    char names[160];
    http_reply_error(out, h->flags, 400, code, "%s `%.*s` is not known here; known: %s", what,
                     (int)(name.len < 64 ? name.len : 64), (const char *)name.ptr,
                     http_admin_field_names(allowed, names, sizeof names));
    return false;
}

/* ---- query ---- */

static bool is_flag(struct bytes text) {
    return bytes_equal(text, BYTES_LIT("true")) || bytes_equal(text, BYTES_LIT("false")) ||
           bytes_equal(text, BYTES_LIT("1")) || bytes_equal(text, BYTES_LIT("0"));
}

bool http_admin_read_query(struct http *h, uint32_t allowed, struct buffer *out,
                           struct admin_fields *fields) {
    struct bytes query = http_bytes_of(h, h->query);
    struct bytes name;
    struct bytes value;
    while (uri_query_next(&query, &name, &value)) {
        const uint32_t field = find(name);
        if (field == ADMIN_FIELDS || (allowed >> field & 1) == 0)
            return fail_unknown(h, out, "unknown_parameter", "the query parameter", name, allowed);
        if ((fields->given >> field & 1) != 0)
            return fail(h, out, "repeated_parameter", "a query parameter is there twice");
        uint8_t *room = h->text.ptr + h->text.end;
        if (!status_ok(uri_decode_query(value, room, &value)))
            return fail(h, out, "bad_escape",
                        "a % in the query must be followed by two hex digits");
        if (value.ptr == room) buffer_commit(&h->text, value.len);
        if (rows[field].kind == KIND_FLAG && !is_flag(value)) return fail_field(h, out, field);
        fields->given |= 1u << field;
        fields->texts[field] = value;
    }
    return true;
}

/* ---- body ---- */

static void put_text(struct admin_fields *fields, uint32_t field, struct bytes text) {
    fields->given |= 1u << field;
    fields->texts[field] = text;
}

static void put_number(struct admin_fields *fields, uint32_t field, const json_t *value) {
    char *digits = fields->digits[field];
    const int len = json_is_integer(value)
                        ? snprintf(digits, ADMIN_DIGITS_BYTES, "%" JSON_INTEGER_FORMAT,
                                   json_integer_value(value))
                        : snprintf(digits, ADMIN_DIGITS_BYTES, "%.3f", json_real_value(value));
    ASSERT(len > 0);
    /* What does not fit is out of every range. */
    put_text(fields, field,
             (size_t)len < ADMIN_DIGITS_BYTES ? bytes_of(digits, (size_t)len)
                                              : BYTES_LIT("too large"));
}

/* Whether the value has a type that the field takes. */
static bool take_member(struct admin_fields *fields, uint32_t field, const json_t *value) {
    const enum field_kind kind = rows[field].kind;
    if (json_is_string(value) && (kind == KIND_TEXT || kind == KIND_NUMBER_OR_TEXT)) {
        put_text(fields, field, bytes_of(json_string_value(value), json_string_length(value)));
    } else if (json_is_integer(value) && (kind == KIND_NUMBER || kind == KIND_NUMBER_OR_TEXT)) {
        put_number(fields, field, value);
    } else if (json_is_real(value) && field == FIELD_TTL) {
        put_number(fields, field, value);
    } else if (json_is_boolean(value) && kind == KIND_FLAG) {
        put_text(fields, field, json_is_true(value) ? BYTES_LIT("true") : BYTES_LIT("false"));
    } else {
        return false;
    }
    return true;
}

static bool is_blank(struct bytes body) {
    for (size_t i = 0; i < body.len; i++) {
        if (body.ptr[i] == '\0' || strchr(" \t\r\n", body.ptr[i]) == NULL) return false;
    }
    return true;
}

static bool parse(struct http *h, struct buffer *out) {
    json_error_t error = { .line = 1 };
    ASSERT(h->batch == NULL);
    if (!http_batch_fits(h->body))
        return fail(h, out, "bad_json", "the body is nested too deeply or has too many values");
    h->batch = json_loadb((const char *)h->body.ptr, h->body.len,
                          JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (h->batch == NULL) {
        http_reply_error(out, h->flags, 400, "bad_json", "the body is no JSON: line %d: %s",
                         error.line, error.text);
        return false;
    }
    if (json_is_object(h->batch)) return true;
    return fail(h, out, "bad_json", "the body must be a JSON object: {..}");
}

bool http_admin_read_body(struct http *h, uint32_t allowed, struct buffer *out,
                          struct admin_fields *fields) {
    const char *name;
    json_t *value;
    if (is_blank(h->body)) return true;
    if (!parse(h, out)) return false;
    json_object_foreach(h->batch, name, value) {
        const uint32_t field = find(bytes_of_string(name));
        if (field == ADMIN_FIELDS || (allowed >> field & 1) == 0)
            return fail_unknown(h, out, "unknown_field", "the field", bytes_of_string(name),
                                allowed);
        if (!take_member(fields, field, value)) return fail_field(h, out, field);
    }
    return true;
}

/* ---- values ---- */

static STATUS read_number(struct bytes text, uint64_t min, uint64_t max, uint64_t *ret_number) {
    uint64_t number = 0;
    TRY(bytes_to_u64(text, &number));
    if (number < min || number > max) return status_of(ST_INVALID);
    *ret_number = number;
    return status_of(ST_OK);
}

static STATUS read_quorum(struct bytes text, uint64_t *ret_quorum) {
    *ret_quorum = 0;
    if (bytes_equal(text, BYTES_LIT("majority"))) return status_of(ST_OK);
    return read_number(text, 1, REPLICAS_MAX, ret_quorum);
}

static STATUS read_ttl(struct bytes text, uint64_t *ret_ttl_ms) {
    *ret_ttl_ms = 0;
    if (bytes_equal(text, BYTES_LIT("none"))) return status_of(ST_OK);
    return ttl_parse(text, ret_ttl_ms);
}

static STATUS read_discipline(struct bytes text, enum admin_discipline *ret_discipline) {
    if (bytes_equal(text, BYTES_LIT("eventual"))) {
        *ret_discipline = ADMIN_EVENTUAL;
    } else if (bytes_equal(text, BYTES_LIT("strict"))) {
        *ret_discipline = ADMIN_STRICT;
    } else {
        return status_of(ST_INVALID);
    }
    return status_of(ST_OK);
}

/* One of the fields that are numbers, or may be. */
static STATUS take_number(uint32_t field, struct bytes text, struct admin_request *q) {
    uint64_t number = 0;
    switch (field) {
    case FIELD_WEIGHT:
        TRY(read_number(text, 1, ADMIN_WEIGHT_MAX, &number));
        q->weight = (uint32_t)number;
        q->given |= ADMIN_HAS_WEIGHT;
        break;
    case FIELD_ZONE:
        TRY(read_number(text, 0, UINT32_MAX, &number));
        q->zone = (uint32_t)number;
        q->given |= ADMIN_HAS_ZONE;
        break;
    case FIELD_RATE:
        TRY(read_number(text, 0, RATE_MAX, &q->bytes_per_second));
        q->given |= ADMIN_HAS_RATE;
        break;
    case FIELD_REPLICAS:
        TRY(read_number(text, 1, REPLICAS_MAX, &number));
        q->replicas = (uint8_t)number;
        q->given |= ADMIN_HAS_REPLICAS;
        break;
    case FIELD_WRITE_QUORUM:
        TRY(read_quorum(text, &number));
        q->write_quorum = (uint8_t)number;
        q->given |= ADMIN_HAS_WRITE_QUORUM;
        break;
    case FIELD_READ_QUORUM:
        TRY(read_quorum(text, &number));
        q->read_quorum = (uint8_t)number;
        q->given |= ADMIN_HAS_READ_QUORUM;
        break;
    default:
        ASSERT(field == FIELD_TTL);
        TRY(read_ttl(text, &q->ttl_ms));
        q->given |= ADMIN_HAS_TTL;
        break;
    }
    return status_of(ST_OK);
}

static STATUS take_field(uint32_t field, struct bytes text, struct admin_request *q) {
    switch (field) {
    case FIELD_FORCE:
    case FIELD_ACTION: break; /* they choose the op */
    case FIELD_ADDRESS:
    case FIELD_JOIN: return admin_address_read(text, q->address);
    case FIELD_NODE:
    case FIELD_LEAVE: return admin_node_read(text, q);
    case FIELD_ACCEPT_LOSS: q->accept_loss = text.ptr[0] == 't' || text.ptr[0] == '1'; break;
    case FIELD_DRY_RUN: q->dry_run = text.ptr[0] == 't' || text.ptr[0] == '1'; break;
    case FIELD_DISCIPLINE:
        q->given |= ADMIN_HAS_DISCIPLINE;
        return read_discipline(text, &q->discipline);
    default: return take_number(field, text, q);
    }
    return status_of(ST_OK);
}

bool http_admin_take_fields(const struct http *h, const struct admin_fields *fields,
                            struct buffer *out, struct admin_request *q) {
    for (uint32_t i = 0; i < ADMIN_FIELDS; i++) {
        if ((fields->given >> i & 1) == 0) continue;
        if (!status_ok(take_field(i, fields->texts[i], q))) return fail_field(h, out, i);
    }
    return true;
}

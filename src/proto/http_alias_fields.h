/* http_alias_fields.h - the named fields of a request of an older store.
 *
 * They come as a query, as a form or as a JSON object, and are read as Go reads them: names
 * of JSON members match whatever their case, unknown ones are ignored, null is absent, and
 * of a field given twice the first counts in a form and the last in JSON.
 *
 * Pure.
 * Memory   values are views of what was read, or of the caller's room
 * Failure  ST_INVALID, and nothing of the result may be used
 */
#ifndef ATOLL_PROTO_HTTP_ALIAS_FIELDS_H
#define ATOLL_PROTO_HTTP_ALIAS_FIELDS_H

#include <jansson.h>

#include "base/bytes.h"
#include "base/status.h"

enum alias_field {
    ALIAS_KEY,
    ALIAS_VALUE,
    ALIAS_TTL,
    ALIAS_FORMAT,
    ALIAS_START,
    ALIAS_END,
    ALIAS_ADDRESS,
    ALIAS_URL,
    ALIAS_WEIGHT, /* a number in JSON; `weight` below */
    ALIAS_FIELDS,
};

#define ALIAS_FIELD(name) (1u << ALIAS_##name)

struct alias_fields {
    uint32_t given;                    /* ALIAS_FIELD() */
    struct bytes values[ALIAS_FIELDS]; /* empty if not given */
    uint64_t weight;                   /* ALIAS_WEIGHT; 0 = not given */
};

/* Read a query or a form, names and values percent-encoded. `room` has form.len bytes.
 * Errors  ST_INVALID  a `%` without two hex digits, in any name or value */
STATUS http_alias_read_form(struct bytes form, uint8_t *room, struct alias_fields *ret_fields);

/* Read the members that are in `wanted`.
 * Errors  ST_INVALID  no object, or one of them has the wrong type */
STATUS http_alias_read_json(const json_t *object, uint32_t wanted, struct alias_fields *ret_fields);

#endif

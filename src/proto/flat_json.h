/* flat_json.h - keys and values as one flat JSON object, read and written piece by piece.
 *
 * A value is a string. What a string cannot say is an object in its place, whose members
 * `export` and `import` know:
 *
 *   value          the value, as text
 *   value_base64   the value, if it is no UTF-8
 *   key_base64     the key, if it is no UTF-8; the member's own name then only shows it
 *   expires_at_ms  when the value expires, milliseconds since 1970; it stays if missing
 *
 * Lifecycle  init -> (next -> use the pair)* -> deinit
 * Owner      one thread
 * Memory     one pair, until the next call; the text is the caller's
 * Failure    ST_INVALID, and `fault` and `line` say what is wrong and where
 */
#ifndef ATOLL_PROTO_FLAT_JSON_H
#define ATOLL_PROTO_FLAT_JSON_H

#include <jansson.h>

#include "base/buffer.h"
#include "base/status.h"

/* A value of 16 MiB where each byte is escaped, with its key. */
#define FLAT_JSON_PAIR_BYTES_MAX (112u * 1024 * 1024)

struct flat_json_pair {
    struct bytes key; /* any length: the caller judges it */
    struct bytes value;
    uint64_t expires_at_ms; /* 0 = never */
};

struct flat_json {
    enum { FLAT_JSON_AT_START, FLAT_JSON_AT_NEXT, FLAT_JSON_AT_END } state;
    uint64_t line;     /* of the text that is next, 1.. */
    const char *fault; /* after ST_INVALID */
    json_t *name;      /* of the pair, which has views of these four */
    json_t *content;
    uint8_t *key_room;
    uint8_t *value_room;
};

void flat_json_init(struct flat_json *f);
void flat_json_deinit(struct flat_json *f);

/* Take one pair from the start of `in`, which is all text not used yet; `ended` tells that no
 * more will come.
 * Errors  ST_WAIT       the pair is not whole: call again with more
 *         ST_NOT_FOUND  the object has ended, and so has the text
 *         ST_INVALID    no flat object */
STATUS flat_json_next(struct flat_json *f, struct bytes in, bool ended, size_t *ret_used,
                      struct flat_json_pair *ret_pair);

/* Append `"key":value`, without a separator. */
void flat_json_append(struct buffer *out, const struct flat_json_pair *pair);

#endif

/* base64.h - RFC 4648: standard (section 4) and URL-safe (section 5) base64.
 *
 * Pure. Encoding gives padding in the standard alphabet and none in the URL-safe one.
 * Decoding takes either alphabet's own letters only, with or without padding, and
 * refuses everything else, stray bits in the last letter too: one text per value.
 */
#ifndef ATOLL_PROTO_BASE64_H
#define ATOLL_PROTO_BASE64_H

#include "base/buffer.h"
#include "base/status.h"

enum base64_alphabet { BASE64_STANDARD, BASE64_URL };

static inline size_t base64_decoded_len_max(size_t text_len) {
    return text_len / 4 * 3 + 3;
}

void base64_append(struct buffer *out, enum base64_alphabet alphabet, struct bytes in);

/* `room` has base64_decoded_len_max(text.len) bytes.
 * Errors  ST_INVALID */
STATUS base64_decode(enum base64_alphabet alphabet, struct bytes text, uint8_t *room,
                     size_t *ret_len);

#endif

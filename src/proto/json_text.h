/* json_text.h - strings as JSON (RFC 8259 section 7), written directly on hot paths.
 *
 * Pure. The escaping is jansson's: `"` `\` and control characters, nothing else.
 */
#ifndef ATOLL_PROTO_JSON_TEXT_H
#define ATOLL_PROTO_JSON_TEXT_H

#include "base/buffer.h"

/* Whether `text` is UTF-8 as RFC 3629 has it: no surrogates, no overlong forms. */
bool json_text_is_utf8(struct bytes text);

/* Append `text` in quotes. Requires json_text_is_utf8(text). */
void json_text_append(struct buffer *out, struct bytes text);

/* The same for any bytes: what is no UTF-8 makes every byte from 0x80 up a `?`. For
 * messages, never for data. */
void json_text_append_lossy(struct buffer *out, struct bytes text);

/* Append any bytes as Go's encoding/json does: `<`, `>`, `&`, U+2028 and U+2029 are escaped too,
 * and each byte that is no UTF-8 becomes \ufffd. */
void json_text_append_go(struct buffer *out, struct bytes text);

/* Append "NAME":"text", or "NAME_base64":".." when the bytes are no UTF-8. */
void json_text_append_member(struct buffer *out, const char *name, struct bytes text);

#endif

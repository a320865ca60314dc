/* etag.h - a version (ballot) as text, both ways: `stamp.node.boot` in lower-case hex.
 *
 * Pure. The text is what ballot_print() gives, made without printf for hot paths.
 */
#ifndef ATOLL_PROTO_ETAG_H
#define ATOLL_PROTO_ETAG_H

#include "base/bytes.h"
#include "base/hlc.h"
#include "base/status.h"

/* Without quotes and without a NUL. Returns the length. */
size_t etag_print(struct ballot version, uint8_t text[BALLOT_TEXT_BYTES]);

/* Only what etag_print() gives, of a version that is not zero.
 * Errors  ST_INVALID */
STATUS etag_parse(struct bytes text, struct ballot *ret_version);

#endif

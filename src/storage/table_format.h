/* table_format.h - footer and properties of a table file. Pure.
 *
 * The parts of a table follow each other without gaps, so every byte of the file is
 * under some checksum: data blocks, filter, index, properties, footer. All but
 * the footer are stored blocks (stored_block.h).
 *
 * Failure    ST_CORRUPT when the bytes are not what was written or were written by
 *            a version this one does not know
 *
 * Format versions:
 *
 *   1  the first
 *
 * The footer, the last TABLE_FOOTER_BYTES of the file; integers little-endian:
 *
 *   offset  size  field
 *        0     8  uid: random, never 0; mixed into the checksum of each block
 *        8     8  offset of the filter = length of all data blocks
 *       16     8  stored length of the filter; 0 = none
 *       24     8  offset of the index
 *       32     8  stored length of the index
 *       40     8  offset of the properties
 *       48     8  stored length of the properties; the footer follows them
 *       56     4  format version
 *       60     4  zero
 *       64     8  xxh3 of bytes [0, 64)
 *       72     8  magic "ATOLTAB1"
 *
 * Properties: entries with rising ids up to the end, each:
 *
 *   offset  size  field
 *        0     2  id: enum table_property
 *        2     2  1 = a reader that does not know the id may skip it; 0 = it must refuse
 *        4     4  length
 *        8     n  value: u64; or stamp u64, node u32, boot u32; or an ikey
 */
#ifndef ATOLL_STORAGE_TABLE_FORMAT_H
#define ATOLL_STORAGE_TABLE_FORMAT_H

#include "base/buffer.h"
#include "storage/table.h"

#define TABLE_FORMAT_VERSION 1u
#define TABLE_FOOTER_BYTES 80u
#define TABLE_MAGIC "ATOLTAB1"
#define TABLE_PROPERTY_HEAD_BYTES 8u
/* Two ikeys and a dozen numbers, with room for what later versions add. */
#define TABLE_PROPERTIES_BYTES_MAX (1024u * 1024)

enum table_property {
    PROPERTY_RECORDS = 1,
    PROPERTY_TOMBSTONES,
    PROPERTY_RAW_BYTES,
    PROPERTY_BALLOT_MAX,
    PROPERTY_EXPIRES_MIN_MS,
    PROPERTY_EXPIRING,
    PROPERTY_IKEY_MIN,
    PROPERTY_IKEY_MAX,
    PROPERTY_END, /* not a property: one past the last known */
};

/* Where a stored block lies. */
struct table_part {
    uint64_t offset; /* in the file */
    uint64_t len;    /* stored bytes, trailer included; 0 = absent */
};

struct table_footer {
    uint64_t uid;                 /* never 0 */
    struct table_part filter;     /* may be absent */
    struct table_part index;      /* follows the filter */
    struct table_part properties; /* follows the index; the footer follows it */
};

/* Requires  the parts follow each other */
void table_footer_encode(const struct table_footer *f, uint8_t ret_bytes[TABLE_FOOTER_BYTES]);
/* `in` is the last TABLE_FOOTER_BYTES of a file of `file_bytes`.
 * Errors  ST_CORRUPT */
STATUS table_footer_decode(struct bytes in, uint64_t file_bytes, struct table_footer *ret_footer);
bool table_footer_check(const struct table_footer *f);

void table_properties_encode(const struct table_properties *p, struct buffer *out);
/* file_bytes is not stored and comes back 0; ikeys are views into `in`.
 * Errors  ST_CORRUPT */
STATUS table_properties_decode(struct bytes in, struct table_properties *ret_properties);
bool table_properties_check(const struct table_properties *p);

#endif

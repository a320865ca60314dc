/* wal_record.h - the bytes of a write-ahead log: segment header and records.
 *
 * Pure encode and decode. What a log may hold in which order is told in wal.h.
 *
 * A segment starts with a header of WAL_HEADER_BYTES; integers little-endian:
 *
 *   offset  size  field
 *        0     8  magic "ATOLWAL1"
 *        8     8  number of the segment, as in its name
 *       16     8  sequence of the file's first byte
 *       24     8  bytes of the file, so that a cut file is noticed
 *       32     4  salt: random, drawn anew for each use of a file
 *       36     4  crc32c of bytes [0, 36)
 *
 * then records, each:
 *
 *   offset  size  field
 *        0     4  crc32c of number (8 bytes), salt, and bytes [4, 16 + length)
 *        4     4  length of the payload, 1..WAL_PAYLOAD_BYTES_MAX; 0 = end of what is written
 *        8     4  low 32 bits of the segment number: stale bytes of a recycled file are not records
 *       12     4  kind: enum wal_kind
 *       16     n  payload
 *
 * Payload of WAL_KIND_RECORD: varint ikey length, ikey, body (record.h).
 * Payload of WAL_KIND_BATCH, first of what one write puts into one segment:
 *
 *   offset  size  field
 *        0     8  sequence at which the record before this one ended
 *        8     8  sequence up to which the log was durable before this write
 *
 * The salt is what a client cannot know: bytes of a value left over in a
 * recycled file can therefore not be made to look like a record.
 */
#ifndef ATOLL_STORAGE_WAL_RECORD_H
#define ATOLL_STORAGE_WAL_RECORD_H

#include "storage/record.h"

#define WAL_HEADER_BYTES 40u
#define WAL_RECORD_HEADER_BYTES 16u
#define WAL_PAYLOAD_BYTES_MAX (5u + IKEY_BYTES_MAX + RECORD_BODY_BYTES_MAX)
#define WAL_RECORD_BYTES_MAX (WAL_RECORD_HEADER_BYTES + WAL_PAYLOAD_BYTES_MAX)
#define WAL_BATCH_PAYLOAD_BYTES 16u
#define WAL_BATCH_BYTES (WAL_RECORD_HEADER_BYTES + WAL_BATCH_PAYLOAD_BYTES)

enum wal_kind {
    WAL_KIND_RECORD = 1, /* one version of one key */
    WAL_KIND_BATCH = 2,  /* start of one write */
};

/* What tells the records of one use of one file from all other bytes. */
struct wal_identity {
    uint64_t number; /* of the segment, 1.. */
    uint32_t salt;   /* from its header */
};

struct wal_header {
    struct wal_identity identity;
    uint64_t base;  /* sequence of the file's first byte */
    uint64_t bytes; /* size of the file */
};

struct wal_batch_mark {
    uint64_t previous; /* sequence at which the record before it ended */
    uint64_t durable;  /* everything up to here was synced before; at most `previous` */
};

/* One decoded record; which member holds is told by `kind`. */
struct wal_record {
    enum wal_kind kind;
    struct record record;        /* WAL_KIND_RECORD; views into the input */
    struct wal_batch_mark batch; /* WAL_KIND_BATCH */
};

void wal_header_encode(const struct wal_header *h, uint8_t p[WAL_HEADER_BYTES]);
/* Errors  ST_CORRUPT */
STATUS wal_header_decode(struct bytes in, struct wal_header *ret_header);

/* Bytes the record takes in the log. */
size_t wal_record_len(const struct record *r);
/* Write it; `p` has the wal_record_len() bytes given as `len`. */
void wal_record_encode(struct wal_identity identity, const struct record *r, uint8_t *p,
                       size_t len);
void wal_batch_encode(struct wal_identity identity, struct wal_batch_mark mark,
                      uint8_t p[WAL_BATCH_BYTES]);

/* Bytes the record at the start of `in` claims to take; 0 if none starts there. A
 * look at its header only: no checksum is verified. */
size_t wal_record_claim(struct bytes in, struct wal_identity identity);
/* The ikey that the record at the start of `in` claims to have, a view that may be
 * garbage: nothing is verified. Empty if there is none within `in`. */
struct bytes wal_record_ikey(struct bytes in, struct wal_identity identity);
/* Decode the record at the start of `in`; *ret_len is what it takes of `in`.
 * Errors  ST_NOT_FOUND  no record starts here: zeros, or another segment's bytes
 *         ST_CORRUPT    checksum or format wrong, or cut off */
STATUS wal_record_decode(struct bytes in, struct wal_identity identity,
                         struct wal_record *ret_record, size_t *ret_len);

/* Where in `in`, from `from` on, the next whole batch record lies that could be
 * verified; in.len if there is none. */
size_t wal_batch_find(struct bytes in, size_t from, struct wal_identity identity,
                      struct wal_batch_mark *ret_mark);

#endif

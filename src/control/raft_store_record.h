/* raft_store_record.h - the bytes of the raft store: header, records, and what they add up to.
 *
 * Pure. Drawn with the payloads of all kinds in docs/internals/membership.md.
 *
 * Memory     what is loaded has views into the bytes, and owns its table of entries
 * Failure    decoding never asserts on its input
 *
 * A file begins so, integers little-endian:
 *
 *   offset  size  field
 *        0     8  magic "ATOLRFT1"
 *        8     8  number of the file, as in its name, not zero
 *       16     8  bytes of the head: header and records that were synced before it was named
 *       24     4  salt: random, so that no bytes of a client can look like a record
 *       28     4  crc32c of bytes [0, 28)
 *
 * then records, the first an OWNER, the second a SNAPSHOT, each:
 *
 *   offset  size  field
 *        0     4  crc32c of number (8), salt (4) and bytes [4, 12 + length)
 *        4     4  length of the payload, not zero
 *        8     4  enum raft_store_kind
 *       12     n  payload
 *
 * Torn or damaged? Each write begins with a SEAL, which says that all before it is durable. A
 * record that cannot be verified, with a seal somewhere behind it or inside the head, was
 * durable once: damaged. Else it may be what a crash has torn: cut, with all behind it.
 */
#ifndef ATOLL_CONTROL_RAFT_STORE_RECORD_H
#define ATOLL_CONTROL_RAFT_STORE_RECORD_H

#include "base/buffer.h"
#include "control/raft_store.h"

#define RAFT_STORE_HEADER_BYTES 32u
#define RAFT_STORE_RECORD_HEADER_BYTES 12u
#define RAFT_STORE_SEAL_BYTES (RAFT_STORE_RECORD_HEADER_BYTES + 8u)
#define RAFT_STORE_ENTRY_OVERHEAD_BYTES (RAFT_STORE_RECORD_HEADER_BYTES + 20u)

enum raft_store_kind {
    RAFT_STORE_SEAL = 1,     /* everything before it is durable */
    RAFT_STORE_OWNER = 2,    /* whose data this is */
    RAFT_STORE_SNAPSHOT = 3, /* the state that the entries follow */
    RAFT_STORE_HARD = 4,     /* term and vote */
    RAFT_STORE_ENTRY = 5,    /* one entry, behind the last */
    RAFT_STORE_TRUNCATE = 6, /* entries from here on are gone */
    RAFT_STORE_APPLIED = 7,  /* applied up to here */
};

/* What tells the records of one file from all other bytes. */
struct raft_store_identity {
    uint64_t number; /* of the file, 1.. */
    uint32_t salt;   /* from its header */
};

struct raft_store_header {
    struct raft_store_identity identity; /* see there */
    uint64_t head_bytes;                 /* of header and records that the file was named with */
};

/* One decoded record; views into the input. */
struct raft_store_record {
    enum raft_store_kind kind;     /* which of the rest counts */
    uint64_t index;                /* TRUNCATE, APPLIED; SEAL: its offset in the file */
    struct raft_store_owner owner; /* OWNER */
    struct raft_snapshot snapshot; /* SNAPSHOT */
    struct raft_hard_state hard;   /* HARD */
    struct raft_entry entry;       /* ENTRY */
};

/* Where a file ends to be what was written, and why. */
struct raft_store_fault {
    uint64_t offset;  /* of the first record that is not taken; the file's end when all are */
    const char *what; /* NULL when it is no fault */
};

void raft_store_header_encode(const struct raft_store_header *h,
                              uint8_t p[RAFT_STORE_HEADER_BYTES]);
/* Errors  ST_CORRUPT */
STATUS raft_store_header_decode(struct bytes in, struct raft_store_header *ret_header);

/* Append a record without its checksum, which only the file that it goes to can give. */
void raft_store_put_seal(struct buffer *out);
void raft_store_put_owner(struct buffer *out, const struct raft_store_owner *owner);
void raft_store_put_snapshot(struct buffer *out, const struct raft_snapshot *snapshot);
void raft_store_put_hard(struct buffer *out, struct raft_hard_state hard);
void raft_store_put_entry(struct buffer *out, const struct raft_entry *entry);
void raft_store_put_truncate(struct buffer *out, uint64_t index);
void raft_store_put_applied(struct buffer *out, uint64_t index);
/* Give the records [p, p + len), which go to `offset` of the file, offset and checksum. */
void raft_store_finish(struct raft_store_identity identity, uint64_t offset, uint8_t *p,
                       size_t len);

/* Decode the record at the start of `in`; *ret_len is what it takes of `in`.
 * Errors  ST_NOT_FOUND  no whole record starts here
 *         ST_CORRUPT    it is whole, but breaks a rule of its kind */
STATUS raft_store_record_decode(struct bytes in, struct raft_store_identity identity,
                                struct raft_store_record *ret_record, size_t *ret_len);

/* What the whole file `in` of this number holds. ret_restored->bytes is NULL: the views are
 * into `in`.
 * Errors  ST_CORRUPT; *ret_fault is set in either case */
STATUS raft_store_load(struct bytes in, uint64_t number, struct raft_store_header *ret_header,
                       struct raft_store_restored *ret_restored,
                       struct raft_store_fault *ret_fault);
/* Put a snapshot in the place of what it covers: of the whole log with `install`, else of the
 * entries up to it. Requires  without `install` its last entry is in the log */
void raft_store_content_replace(struct raft_store_restored *content,
                                const struct raft_snapshot *snapshot, bool install);
/* A whole file with this content. `out` is empty. */
void raft_store_content_encode(const struct raft_store_restored *content,
                               struct raft_store_identity identity, struct buffer *out);
/* The bytes of that file. */
size_t raft_store_content_bytes(const struct raft_store_restored *content);

#endif

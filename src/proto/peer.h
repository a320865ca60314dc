/* peer.h - what nodes say to each other: frames over one stream, multiplexed, checksummed.
 *
 * A stream belongs to one shard of each side. The side that dials sends PEER_MAGIC and a
 * HELLO, the other answers HELLO or REFUSE; then both send requests and answer those of
 * the other in any order. A frame, integers little-endian:
 *
 *   offset  size  field
 *        0     4  length of the payload, 0..PEER_PAYLOAD_BYTES_MAX
 *        4     4  crc32c of bytes [8, PEER_HEADER_BYTES + length)
 *        8     1  type, enum peer_type
 *        9     1  flags, PEER_FLAG_*
 *       10     2  zero
 *       12     4  crc32c of bytes [0, 4), [8, 12) and [16, 32): a damaged length is
 *                 noticed at once, and nobody waits for what will not come
 *       16     8  id: chosen by whoever asks, repeated by the answer; 0 = no answer wanted
 *       24     8  HLC stamp of the sender when it sent
 *       32     n  payload by type, see the structs; drawn in docs/internals/peer.md
 *
 * Pure. Memory  decoded views point into the input
 * Failure  ST_WAIT     the frame is not whole yet
 *          ST_CORRUPT  checksum, length, type or payload is wrong: drop the stream
 *          ST_INVALID  HELLO: another protocol version
 */
#ifndef ATOLL_PROTO_PEER_H
#define ATOLL_PROTO_PEER_H

#include "base/buffer.h"
#include "proto/request.h"

#define PEER_VERSION 2u
#define PEER_MAGIC "\0atoll\r\n" /* 8 bytes without the final NUL: no RESP, no HTTP begins so */
#define PEER_MAGIC_BYTES 8u
#define PEER_HEADER_BYTES 32u
/* A value to write and one to compare it with; or a page of a scan, which may pass its limit by
 * one row, with what describes 1024 rows. */
#define PEER_PAYLOAD_BYTES_MAX \
    (2u * VALUE_BYTES_MAX + 4u * KEY_BYTES_MAX + ROW_PAGE_BYTES_MAX + 65536u)
#define PEER_TEXT_BYTES_MAX 255u
#define PEER_CONTROL_BYTES_MAX (2u * 1024 * 1024 + 64) /* the metadata, with its header */
#define PEER_CLUSTER_BYTES 16u
/* Entries of one list of versions, and so the most records of one compared range. */
#define PEER_VERSIONS_MAX 4096u
/* End a list once it is this long: its last entry may pass it. */
#define PEER_VERSIONS_BYTES_MAX (1024u * 1024)

enum peer_type {
    PEER_HELLO = 1, /* struct peer_hello: the first frame, either way */
    PEER_REFUSE,    /* printable text: why the stream is ended */
    PEER_PING,      /* struct peer_ping; answered by PONG */
    PEER_PONG,      /* struct peer_ping of the answerer; echoes `sent_wall_ms` */
    PEER_ACCEPT,    /* struct peer_accept: keep this version (R1); answered by ACCEPTED */
    PEER_ACCEPTED,  /* struct peer_accepted */
    PEER_QUERY,     /* struct peer_query: which version do you hold? Flag DIGEST: without value;
                       answered by ANSWER */
    PEER_ANSWER,    /* struct peer_answer */
    PEER_FORWARD,   /* struct request: carry it out; flag LOCAL: on your own shard only, else
                        as coordinator. Answered by RESPONSE */
    PEER_RESPONSE,  /* struct response, with its rows */
    PEER_RANGE,     /* struct peer_range: is this what you hold? Answered by VERSIONS */
    PEER_VERSIONS,  /* struct peer_versions */
    PEER_FLOOR,     /* struct peer_floor: all of a keyspace at or below it is gone; no answer */
    PEER_CONTROL,   /* bytes of control/control_message.h, for the control plane; no answer */
    PEER_TYPES,
};

#define PEER_FLAG_DIGEST 0x01u /* QUERY, ANSWER */
#define PEER_FLAG_LOCAL 0x02u  /* FORWARD */
#define PEER_FLAG_HINT 0x04u   /* ACCEPT: kept for you while you were away */
#define PEER_FLAG_REPAIR \
    0x08u                    /* ACCEPT: found to be missing or older at you; QUERY: tell what
                                  you hold even if you were not filled yet */
#define PEER_FLAG_LAZY 0x10u /* ACCEPT: nobody waits for the answer */
#define PEER_FLAGS_KNOWN 0x1Fu

struct peer_frame {
    enum peer_type type;
    uint8_t flags;
    uint64_t id;
    uint64_t stamp;       /* HLC of the sender */
    struct bytes payload; /* view */
};

#define PEER_HELLO_PROXY 0x01u /* the sender keeps no data and is no member */
#define PEER_HELLO_FRESH 0x02u /* it does not hold yet what it should: it abstains (R11, R12) */
#define PEER_HELLO_DAMAGED \
    0x04u /* PING, PONG, with FRESH: it gave up damaged tables, so it is not new (R12) */
#define PEER_PING_FORGET 0x08u /* what was proved about the sender holds no more (R12) */

struct peer_hello {
    uint16_t version; /* PEER_VERSION; always first in the payload */
    uint16_t shards;  /* of the sender's node, 1..SHARDS_MAX */
    uint16_t from_shard;
    uint16_t
        to_shard;    /* dialler: the shard it wants (modulo the other's count); answer: who it is */
    uint32_t member; /* membership id; 0 = a proxy */
    uint32_t node_id; /* of the data directory, in versions; 0 = a proxy */
    uint32_t boot_count;
    uint8_t flags;                       /* PEER_HELLO_* */
    uint8_t cluster[PEER_CLUSTER_BYTES]; /* its id; zero = none is known, of a proxy only */
    uint64_t wall_ms;
    struct bytes address; /* canonical ip:port, at most PEER_TEXT_BYTES_MAX */
    struct bytes release; /* the program's version, for messages */
};

struct peer_ping {
    uint64_t sent_wall_ms;   /* PING: clock of the asker; PONG: the same number back */
    uint64_t answer_wall_ms; /* PONG: clock of the answerer; PING: 0 */
    uint64_t verified_stamp; /* all replicas hold what I hold up to here (R9); 0 = unknown */
    uint64_t floor_stamp;    /* durably: I refuse what is at or below (R9) */
    uint8_t flags;           /* PEER_HELLO_FRESH, PEER_HELLO_DAMAGED, PEER_PING_FORGET */
};

/* One version of one key, as storage/record.h. */
struct peer_record {
    struct bytes ikey;     /* keyspace (2, big-endian) and key: 3..IKEY_BYTES_MAX */
    struct ballot version; /* never zero */
    bool tombstone;
    uint64_t expires_at_ms; /* 0 = never */
    uint64_t op_high, op_low;
    struct bytes value; /* at most VALUE_BYTES_MAX; empty for a tombstone */
};

/* Who knows a later epoch of the slot refuses (STALE): other replicas count by now. */
struct peer_accept {
    uint64_t epoch; /* of the slot, as the sender knows it */
    struct peer_record record;
};

enum peer_accept_status {
    PEER_ACCEPT_OK,       /* durable here: this version or a newer one */
    PEER_ACCEPT_BUSY,     /* write stall or overload */
    PEER_ACCEPT_FULL,     /* no disk space */
    PEER_ACCEPT_FAILED,   /* storage failed */
    PEER_ACCEPT_CLOCK,    /* stamped too far ahead of the clock here (R14) */
    PEER_ACCEPT_FLOOR,    /* at or below the floor: deleted and forgotten (R9) */
    PEER_ACCEPT_NOT_MINE, /* this node does not keep that slot */
    PEER_ACCEPT_STALE,    /* a later epoch of that slot is known here */
    PEER_ACCEPT_STATUSES,
};

struct peer_accepted {
    enum peer_accept_status status;
};

struct peer_query {
    uint64_t epoch; /* as in struct peer_accept */
    struct bytes ikey;
};

enum peer_answer_status {
    PEER_ANSWER_FOUND,   /* `record`; without its value when a digest was asked for */
    PEER_ANSWER_NOTHING, /* nothing held */
    PEER_ANSWER_ABSTAIN, /* cannot say: damaged, or this node was not filled yet (R11, R12) */
    PEER_ANSWER_BUSY,
    PEER_ANSWER_STALE, /* a later epoch of that slot is known here */
    PEER_ANSWER_STATUSES,
};

struct peer_answer {
    enum peer_answer_status status;
    struct peer_record record; /* FOUND; `ikey` empty: the asker knows it */
    uint64_t value_len;        /* FOUND: of the whole value */
};

struct peer_range {
    struct bytes start;    /* ikey, exclusive; empty = from the first */
    struct bytes end;      /* ikey, inclusive, behind `start`; empty = to the last */
    uint16_t slots_modulo; /* only slots with slot % it == slots_rest count; 1..SLOTS */
    uint16_t slots_rest;
    uint64_t below_stamp;    /* only versions stamped below this count: later ones are under way */
    uint64_t floor_stamp;    /* what is deleted or expired at or below this does not count (R9) */
    uint64_t verified_stamp; /* an earlier pass of the asker found all equal up to here; 0 = none */
    uint32_t count;          /* records the asker holds in it, at most PEER_VERSIONS_MAX */
    uint64_t hash;           /* of them, see cluster/range_hash.h */
    uint64_t joint;          /* of a catch-up pass: about which slots, see shard/catch_up.h; 0 = a
                                normal pass. Answered FAILED unless the other one has the same */
    uint64_t caught;  /* with `joint`: that an earlier pass of the asker was clean; 0 = none */
    uint64_t settled; /* which slots a normal pass is about, likewise: those of `verified_stamp` */
};

struct peer_version {
    struct bytes ikey;
    struct ballot version;
};

enum peer_versions_status {
    PEER_VERSIONS_EQUAL,  /* count and hash agree; no list */
    PEER_VERSIONS_LIST,   /* what is held in the range up to `last` */
    PEER_VERSIONS_FAILED, /* damaged or busy: ask again later */
    PEER_VERSIONS_VIEW, /* here the question would be about other slots: make the pass anew later */
    PEER_VERSIONS_STATUSES,
};

struct peer_versions {
    enum peer_versions_status status;
    struct bytes last; /* LIST: the list is complete up to here (ikey); empty = the whole range */
    uint32_t count;    /* LIST: at most PEER_VERSIONS_MAX */
    struct bytes list; /* encoded entries; read with peer_versions_next */
};

struct peer_floor {
    uint16_t keyspace;
    struct ballot floor;
};

/* ---- frames ---- */

/* Cut one frame from the front of `in`.
 * Errors  ST_WAIT (*ret_need: bytes the whole frame takes, as far as known), ST_CORRUPT */
STATUS peer_decode(struct bytes in, struct peer_frame *ret_frame, size_t *ret_consumed,
                   size_t *ret_need);

/* Begin a frame in `out`; write its payload behind, then end it (length, checksum). Between
 * the two nothing else may be written or consumed. Returns what peer_end needs. If `out` has
 * overflowed, end takes the frame away, so that `out` holds whole frames only. */
size_t peer_begin(struct buffer *out, enum peer_type type, uint8_t flags, uint64_t id,
                  uint64_t stamp);
void peer_end(struct buffer *out, size_t begun);

/* ---- payloads: encode appends to `out`; decode wants the whole payload, ST_CORRUPT ---- */

void peer_hello_encode(const struct peer_hello *m, struct buffer *out);
STATUS peer_hello_decode(struct bytes in, struct peer_hello *ret); /* ST_INVALID too */
void peer_ping_encode(const struct peer_ping *m, struct buffer *out);
STATUS peer_ping_decode(struct bytes in, struct peer_ping *ret);
void peer_accept_encode(const struct peer_accept *m, struct buffer *out);
STATUS peer_accept_decode(struct bytes in, struct peer_accept *ret);
void peer_accepted_encode(const struct peer_accepted *m, struct buffer *out);
STATUS peer_accepted_decode(struct bytes in, struct peer_accepted *ret);
/* REFUSE is printable ASCII, 1..PEER_TEXT_BYTES_MAX bytes. */
void peer_refuse_encode(struct bytes text, struct buffer *out);
STATUS peer_refuse_decode(struct bytes in, struct bytes *ret_text);
void peer_query_encode(const struct peer_query *m, struct buffer *out);
STATUS peer_query_decode(struct bytes in, struct peer_query *ret);
void peer_answer_encode(const struct peer_answer *m, struct buffer *out);
STATUS peer_answer_decode(struct bytes in, struct peer_answer *ret);
/* Whether the request is one that can be sent: its fields are in range and fit its op.
 * Every request that a protocol makes is. */
bool peer_request_check(const struct request *q);
/* Every field of the request but `home`; `timeout_ms` is how long the asker waits.
 * Requires  peer_request_check(q) */
void peer_request_encode(const struct request *q, uint32_t timeout_ms, struct buffer *out);
STATUS peer_request_decode(struct bytes in, struct request *ret, uint32_t *ret_timeout_ms);
/* Every field, but no page of a scan that failed. Requires  sizes and counts within limits.h */
void peer_response_encode(const struct response *r, struct buffer *out);
/* `page` (ROW_PAGE_ROWS_MAX rows) is filled and pointed to if the response has one; on an
 * error it holds anything. Rows are in strictly ascending order, none behind `last`.
 * Requires  page != NULL; views point into `in`. */
STATUS peer_response_decode(struct bytes in, struct row_page *page, struct response *ret);
void peer_range_encode(const struct peer_range *m, struct buffer *out);
STATUS peer_range_decode(struct bytes in, struct peer_range *ret);
void peer_versions_encode(const struct peer_versions *m, struct buffer *out);
STATUS peer_versions_decode(struct bytes in, struct peer_versions *ret);
/* Entries of a list, in strictly ascending order, none behind `last`: append to a buffer that
 * becomes `list`; read them one by one, front to back.
 * next: false at the end; decode has checked that all entries are well formed. */
void peer_versions_append(struct buffer *list, const struct peer_version *v);
bool peer_versions_next(struct bytes *list, struct peer_version *ret);
/* CONTROL is 1..PEER_CONTROL_BYTES_MAX bytes that are checked elsewhere. */
void peer_control_encode(struct bytes message, struct buffer *out);
STATUS peer_control_decode(struct bytes in, struct bytes *ret_message);
void peer_floor_encode(const struct peer_floor *m, struct buffer *out);
STATUS peer_floor_decode(struct bytes in, struct peer_floor *ret);

#endif

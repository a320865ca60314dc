/* request.h - what every protocol asks for, and what it is answered.
 *
 * HTTP, RESP and later the predecessor routes and peers all become one or more
 * `struct request`, each about one key or one range, and are answered with a
 * `struct response` each. Nothing here knows which protocol it was.
 *
 * Memory  all bytes are views: of a request, into the input or the session's
 *         scratch, until the next decode; of a response, until the owner of
 *         the values (shard) goes on. Who keeps longer copies.
 */
#ifndef ATOLL_PROTO_REQUEST_H
#define ATOLL_PROTO_REQUEST_H

#include "base/bytes.h"
#include "base/hlc.h"
#include "base/limits.h"

enum operation {
    /* One key. Each is atomic: read, decide and write without another in between. */
    OP_GET,        /* value, version, expiry; with GET flags: DELETE or change expiry too */
    OP_PUT,        /* set value, under `condition`, with `expiry` */
    OP_DELETE,     /* under `condition`; response.existed says whether there was a value */
    OP_EXPIRE,     /* change the expiry of a present key, under `expire_when` */
    OP_APPEND,     /* value is added at the end (absent = empty); response.integer = new length */
    OP_INCR,       /* by `increment`; response.integer = new number */
    OP_INCR_FLOAT, /* by `increment_float`; response.value = new number as text */
    OP_SINGLE_KEY_END,
    /* Ranges and whole keyspaces: answered by every shard. */
    OP_SCAN,       /* rows of a range, in key order, a page */
    OP_RANDOM_KEY, /* any live key */
    OP_TRUNCATE,   /* every key of the keyspace becomes absent */
    OP_FIGURES,    /* how the node is, as JSON in response.value; one shard of each node answers */
};

enum condition {
    COND_NONE,
    COND_ABSENT,         /* NX, If-None-Match: * */
    COND_PRESENT,        /* XX, If-Match: * */
    COND_VERSION_IS,     /* If-Match: "version" */
    COND_VERSION_IS_NOT, /* If-None-Match: "version" on a read: answer OUT_NOT_MODIFIED */
    COND_VALUE_IS,       /* IFEQ value */
};

enum expiry {
    EXPIRY_NONE,  /* PUT: never expires (any old expiry is cleared). GET, APPEND, INCR: as it was */
    EXPIRY_KEEP,  /* PUT: keep the old expiry */
    EXPIRY_AT,    /* expires_at_ms; in the past = the key becomes absent at once */
    EXPIRY_CLEAR, /* PERSIST, GETEX PERSIST */
};

/* EXPIRE key NX|XX|GT|LT; bits, 0 = always. No expiry counts as infinitely late. */
#define EXPIRE_IF_NONE 1u
#define EXPIRE_IF_SOME 2u
#define EXPIRE_IF_LATER 4u
#define EXPIRE_IF_EARLIER 8u

#define REQUEST_DELETE 1u     /* GETDEL: delete what was read */
#define REQUEST_RETURN_OLD 2u /* SET .. GET: response.value is the value before */
#define REQUEST_ABSENT 8u     /* SCAN: rows of tombstones and expired values too */
#define REQUEST_REPLICAS 16u  /* GET: what each replica holds, see replica_report.h */
#define REQUEST_NO_VALUE 4u   /* EXISTS, STRLEN, TTL, HEAD: the value's bytes are not needed */

/* How many replicas must answer. LEVEL_COUNT: as many as request.level_count, but at most N. */
enum level { LEVEL_DEFAULT, LEVEL_ONE, LEVEL_QUORUM, LEVEL_ALL, LEVEL_COUNT };

struct request {
    enum operation op;
    enum condition condition;
    enum expiry expiry;
    enum level level;
    uint8_t level_count;   /* LEVEL_COUNT: 1..REPLICAS_MAX */
    uint16_t keyspace;     /* id; 0 = "default" */
    uint16_t home;         /* shard that owns the key; filled by the shard that serves the client */
    uint8_t flags;         /* REQUEST_* */
    uint8_t expire_when;   /* EXPIRE_IF_* */
    struct bytes key;      /* KEY_BYTES_MIN..KEY_BYTES_MAX, checked by the protocol */
    struct bytes value;    /* at most VALUE_BYTES_MAX, checked by the protocol */
    struct bytes expected; /* COND_VALUE_IS */
    struct ballot version; /* COND_VERSION_* */
    uint64_t expires_at_ms;   /* EXPIRY_AT; wall ms */
    uint64_t op_high, op_low; /* op id of the client, zero = none */
    struct ballot session;    /* reads: never answer with less than this version; zero = none */
    struct ballot stamp; /* writes that were forwarded: what the version is made of; zero = none */
    int64_t increment;   /* OP_INCR */
    long double increment_float;
    /* OP_SCAN */
    struct bytes start;   /* first key wanted; empty = the first of all */
    struct bytes end;     /* first key not wanted; empty with !has_end = no end */
    struct bytes prefix;  /* only keys that start with this */
    struct bytes pattern; /* glob as in Redis; empty = all */
    bool has_end;
    bool start_exclusive; /* begin after `start`: resume behind a page's last key */
    uint32_t rows_max;    /* page size in rows examined */
    uint64_t epoch;       /* part of a range request: of the asker's view; zero = no matter */
};

enum outcome {
    OUT_OK,
    OUT_NOT_FOUND,        /* absent: no value, 404, nil */
    OUT_CONDITION_FAILED, /* nothing changed; value, version of what is there if REQUEST_RETURN_OLD */
    OUT_NOT_MODIFIED,     /* COND_VERSION_IS_NOT: the client has it already */
    OUT_NOT_INTEGER,      /* INCR on something else */
    OUT_NOT_FLOAT,
    OUT_OVERFLOW,        /* the number would leave its range (NaN and infinity too) */
    OUT_VALUE_TOO_LARGE, /* APPEND past the limit */
    OUT_BAD_CURSOR,      /* SCAN: the number is unknown or too old: start again at 0 */
    OUT_TOO_MANY,        /* the answer would pass its limit: ask for pages (SCAN) */
    OUT_BUSY,            /* overload or write stall: retry later */
    OUT_DISK_FULL,       /* no space: writes are refused, reads go on */
    OUT_CORRUPT,         /* the key's block fails its checksum: refused, nothing else is hurt */
    OUT_TIMEOUT,         /* deadline passed; a write may or may not have happened */
    OUT_STOPPING,        /* the node drains */
    OUT_QUORUM,    /* fewer replicas answered than the level wants: acks, needed; a write may still
                   take effect, as an answer may be what was lost, unless it was `untried` */
    OUT_CLOCK,     /* this node's clock is too far from the others': it may not stamp writes */
    OUT_OVERTAKEN, /* between nodes: the stamp that the request brought is behind what is there;
                      nothing was done */
};

#define OUTCOMES ((uint32_t)OUT_OVERTAKEN + 1)

struct response {
    enum outcome outcome;
    bool existed;           /* DELETE, PUT: a live value was there before */
    struct ballot version;  /* of the value now there (PUT: the new one) */
    uint64_t expires_at_ms; /* 0 = never */
    uint64_t value_len;     /* set even when the bytes were not asked for */
    struct bytes value;     /* GET, RETURN_OLD, INCR_FLOAT, RANDOM_KEY (the key) */
    int64_t integer;        /* INCR, APPEND */
    struct row_page *page;  /* SCAN */
    uint8_t acks;           /* replicas that answered; 0 = not a replicated operation */
    uint8_t needed;         /* how many the level wants */
    uint8_t replicas;       /* N of the key */
    bool untried;           /* OUT_QUORUM of a write: no replica was asked, so nothing was done */
};

/* One page of a scan, in key order. Owned by whoever carries the response. */
struct row {
    struct bytes key;
    struct bytes value;
    struct ballot version;
    uint64_t expires_at_ms;
    bool absent; /* a tombstone, or expired: it hides older versions on other nodes */
};

#define ROW_PAGE_ROWS_MAX 1024u
#define ROW_PAGE_BYTES_MAX (256u * 1024) /* a page may pass it by its last row */

struct row_page {
    uint32_t count;
    bool more;           /* the range has keys behind `last` */
    struct bytes last;   /* last key examined: resume here, exclusive; empty if none */
    struct ballot floor; /* what is at or below it is absent, whoever has it; zero = nothing is */
    struct row rows[ROW_PAGE_ROWS_MAX]; /* views into memory that goes with the page */
};

#endif

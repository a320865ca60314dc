/* keyspace.h - a set of keys with its own rules, as the metadata knows it.
 *
 * Pure. A keyspace takes the first N of each slot's preference list.
 */
#ifndef ATOLL_CLUSTER_KEYSPACE_H
#define ATOLL_CLUSTER_KEYSPACE_H

#include "base/bytes.h"
#include "base/limits.h"
#include "cluster/replication.h"

#define KEYSPACE_DEFAULT 0u      /* its id; always there */
#define KEYSPACE_ID_MAX 0xFFEFu  /* those above are a shard's own, see shard/hint.h */
#define KEYSPACES_KEPT_MAX 1024u /* at one time; about 100 bytes each, on every node */
#define KEYSPACE_TTL_MS_MAX (UINT64_C(1) << 48) /* an expiry stays a stamp of the HLC */

enum keyspace_discipline {
    KEYSPACE_EVENTUAL, /* last write wins */
    KEYSPACE_STRICT,   /* every key is a linearizable register */
    KEYSPACE_DISCIPLINES,
};

struct keyspace_settings {
    struct replication replication;      /* N, W and R; 0 = majority. Strict: always 0 */
    enum keyspace_discipline discipline; /* for ever */
    uint64_t ttl_ms;                     /* of a key written without one; 0 = none */
};

struct keyspace {
    uint16_t id;                        /* never used again */
    uint8_t name_len;                   /* 1..KEYSPACE_NAME_BYTES_MAX */
    char name[KEYSPACE_NAME_BYTES_MAX]; /* of a-z, 0-9, _ and -; zeros behind it */
    struct keyspace_settings settings;  /* valid */
};

bool keyspace_name_is_valid(struct bytes name);
/* Numbers in range. Says nothing of W and R of a strict one. */
bool keyspace_settings_are_valid(const struct keyspace_settings *s);
/* A strict keyspace has no W and R of its own. */
bool keyspace_strict_is_valid(const struct keyspace_settings *s);
static inline struct bytes keyspace_name(const struct keyspace *k) {
    return bytes_of(k->name, k->name_len);
}
bool keyspace_check(const struct keyspace *k);

#endif

/* limits.h - every fixed limit and why it has its value.
 *
 * What a user may tune is in server/config; these are the outer bounds that
 * formats and pools are built for.
 */
#ifndef ATOLL_BASE_LIMITS_H
#define ATOLL_BASE_LIMITS_H

#define KEY_BYTES_MIN 1u
#define KEY_BYTES_MAX 65535u                /* a length fits in 16 bits */
#define VALUE_BYTES_MAX (16u * 1024 * 1024) /* one value must fit a WAL buffer and a peer frame */
#define KEYSPACES_MAX 65536u                /* keyspace id is 16 bits in every record */
#define RESERVED_KEYSPACES 0xFFF0u  /* from here on: a shard's own, not for clients, never sent */
#define KEYSPACE_NAME_BYTES_MAX 64u /* fits one log line and one URL segment */
#define REPLICAS_MAX 7u             /* odd; more copies add load, not safety */
#define SHARDS_MAX 64u              /* mailboxes are shards x shards */

/* keyspace id (2, big-endian) + key: what storage orders by. A hint is filed under its own
 * keyspace id, the id of a member (4) and the whole ikey of the key it is about (shard/hint.h),
 * so the longest ikey is that of a hint for the longest key. Keys of clients stay within
 * KEY_BYTES_MAX. */
#define IKEY_BYTES_MAX (2u + 4u + 2u + KEY_BYTES_MAX)

#endif

/* hash.h - hashes and checksums: one place says which is used for what.
 *
 *   crc32c      running checksum of WAL and manifest records (RFC 3720 B.4)
 *   hash_xxh3   64-bit checksum of table blocks, and filter hashes
 *   hash_seeded hash tables keyed by clients' bytes (seed from entropy)
 *   crc16_slot  slot of a key: CRC16/XMODEM mod 16384, {tag} honoured, as Redis Cluster
 */
#ifndef ATOLL_BASE_HASH_H
#define ATOLL_BASE_HASH_H

#include "base/bytes.h"

#define SLOTS 16384u

/* Continue `crc` (0 to start) over `in`. Hardware CRC-32C. */
uint32_t crc32c(uint32_t crc, struct bytes in);
uint64_t hash_xxh3(struct bytes in);
uint64_t hash_seeded(struct bytes in, uint64_t seed);
/* 0..SLOTS-1. */
uint16_t crc16_slot(struct bytes key);

#endif

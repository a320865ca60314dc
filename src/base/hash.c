#include "base/hash.h"

#include "base/assert.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* HASH_PORTABLE builds the table version on any machine, for its tests. */
#if defined(__SSE4_2__) && defined(__x86_64__) && !defined(HASH_PORTABLE)
#define CRC32C_HARDWARE 1
#include <nmmintrin.h>
#else
#define CRC32C_HARDWARE 0
#endif

#define CRC32C_POLYNOMIAL 0x82f63b78u /* RFC 3720 B.4, bits reversed */

#if CRC32C_HARDWARE

/* The crc32 instruction takes 8 bytes a cycle but answers after three, so three
 * lanes of a long input are summed side by side. Joining them needs the first
 * lane's sum moved past as many zero bytes as a lane is long: a linear map of
 * the 32 bits, kept as four tables of 256 per lane length. (Adler, crc32c.c.) */
#define LANE_LONG_BYTES 2048u /* joins cost little: for blocks and large values */
#define LANE_SHORT_BYTES 256u /* for the rest and for small records */

static uint32_t shift_long[4][256];
static uint32_t shift_short[4][256];

static_assert(LANE_LONG_BYTES % 8 == 0, "a lane is whole words");
static_assert(LANE_SHORT_BYTES % 8 == 0, "a lane is whole words");

static void fill_shift(uint32_t table[4][256], size_t lane_bytes) {
    for (uint32_t group = 0; group < 4; group++) {
        for (uint32_t value = 0; value < 256; value++) {
            uint64_t crc = (uint64_t)value << (8 * group);
            for (size_t i = 0; i < lane_bytes; i += 8) crc = _mm_crc32_u64(crc, 0);
            table[group][value] = (uint32_t)crc;
        }
    }
}

/* Before main, so that no thread can see the tables half made. */
__attribute__((constructor(101))) static void fill_tables(void) {
    fill_shift(shift_long, LANE_LONG_BYTES);
    fill_shift(shift_short, LANE_SHORT_BYTES);
}

static uint32_t shift(const uint32_t table[4][256], uint32_t crc) {
    return table[0][crc & 255] ^ table[1][crc >> 8 & 255] ^ table[2][crc >> 16 & 255] ^
           table[3][crc >> 24];
}

/* Sum as many triples of lanes as the input holds; says what is left. */
static inline struct bytes sum_lanes(uint32_t *crc, struct bytes in, size_t lane_bytes,
                                     const uint32_t table[4][256]) {
    while (in.len >= 3 * lane_bytes) {
        uint64_t a = *crc;
        uint64_t b = 0;
        uint64_t c = 0;
        for (size_t i = 0; i < lane_bytes; i += 8) {
            a = _mm_crc32_u64(a, get_u64_le(in.ptr + i));
            b = _mm_crc32_u64(b, get_u64_le(in.ptr + lane_bytes + i));
            c = _mm_crc32_u64(c, get_u64_le(in.ptr + 2 * lane_bytes + i));
        }
        *crc = shift(table, (uint32_t)a) ^ (uint32_t)b;
        *crc = shift(table, *crc) ^ (uint32_t)c;
        in = bytes_of(in.ptr + 3 * lane_bytes, in.len - 3 * lane_bytes);
    }
    return in;
}

uint32_t crc32c(uint32_t crc, struct bytes in) {
    ASSERT(in.ptr != NULL || in.len == 0);
    crc = ~crc;
    struct bytes rest = sum_lanes(&crc, in, LANE_LONG_BYTES, shift_long);
    rest = sum_lanes(&crc, rest, LANE_SHORT_BYTES, shift_short);
    ASSERT(rest.len < 3 * (size_t)LANE_SHORT_BYTES);

    uint64_t wide = crc;
    size_t i = 0;
    for (; i + 8 <= rest.len; i += 8) wide = _mm_crc32_u64(wide, get_u64_le(rest.ptr + i));
    crc = (uint32_t)wide;
    for (; i < rest.len; i++) crc = _mm_crc32_u8(crc, rest.ptr[i]);
    return ~crc;
}

#else

static uint32_t crc32c_table[256];

/* Before main, so that no thread can see the table half made. */
__attribute__((constructor(101))) static void fill_tables(void) {
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
        crc32c_table[value] = crc;
    }
}

uint32_t crc32c(uint32_t crc, struct bytes in) {
    ASSERT(in.ptr != NULL || in.len == 0);
    ASSERT(crc32c_table[1] != 0);
    crc = ~crc;
    for (size_t i = 0; i < in.len; i++) crc = crc >> 8 ^ crc32c_table[(crc ^ in.ptr[i]) & 255];
    return ~crc;
}

#endif

uint64_t hash_xxh3(struct bytes in) {
    ASSERT(in.ptr != NULL || in.len == 0);
    return XXH3_64bits(in.ptr, in.len);
}

uint64_t hash_seeded(struct bytes in, uint64_t seed) {
    ASSERT(in.ptr != NULL || in.len == 0);
    return XXH3_64bits_withSeed(in.ptr, in.len, seed);
}

/* CRC16/XMODEM: polynomial 0x1021, starting from 0, no reflection. */
static const uint16_t crc16_table[256] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
    0xc18c, 0xd1ad, 0xe1ce, 0xf1ef, 0x1231, 0x0210, 0x3273, 0x2252, 0x52b5, 0x4294, 0x72f7, 0x62d6,
    0x9339, 0x8318, 0xb37b, 0xa35a, 0xd3bd, 0xc39c, 0xf3ff, 0xe3de, 0x2462, 0x3443, 0x0420, 0x1401,
    0x64e6, 0x74c7, 0x44a4, 0x5485, 0xa56a, 0xb54b, 0x8528, 0x9509, 0xe5ee, 0xf5cf, 0xc5ac, 0xd58d,
    0x3653, 0x2672, 0x1611, 0x0630, 0x76d7, 0x66f6, 0x5695, 0x46b4, 0xb75b, 0xa77a, 0x9719, 0x8738,
    0xf7df, 0xe7fe, 0xd79d, 0xc7bc, 0x48c4, 0x58e5, 0x6886, 0x78a7, 0x0840, 0x1861, 0x2802, 0x3823,
    0xc9cc, 0xd9ed, 0xe98e, 0xf9af, 0x8948, 0x9969, 0xa90a, 0xb92b, 0x5af5, 0x4ad4, 0x7ab7, 0x6a96,
    0x1a71, 0x0a50, 0x3a33, 0x2a12, 0xdbfd, 0xcbdc, 0xfbbf, 0xeb9e, 0x9b79, 0x8b58, 0xbb3b, 0xab1a,
    0x6ca6, 0x7c87, 0x4ce4, 0x5cc5, 0x2c22, 0x3c03, 0x0c60, 0x1c41, 0xedae, 0xfd8f, 0xcdec, 0xddcd,
    0xad2a, 0xbd0b, 0x8d68, 0x9d49, 0x7e97, 0x6eb6, 0x5ed5, 0x4ef4, 0x3e13, 0x2e32, 0x1e51, 0x0e70,
    0xff9f, 0xefbe, 0xdfdd, 0xcffc, 0xbf1b, 0xaf3a, 0x9f59, 0x8f78, 0x9188, 0x81a9, 0xb1ca, 0xa1eb,
    0xd10c, 0xc12d, 0xf14e, 0xe16f, 0x1080, 0x00a1, 0x30c2, 0x20e3, 0x5004, 0x4025, 0x7046, 0x6067,
    0x83b9, 0x9398, 0xa3fb, 0xb3da, 0xc33d, 0xd31c, 0xe37f, 0xf35e, 0x02b1, 0x1290, 0x22f3, 0x32d2,
    0x4235, 0x5214, 0x6277, 0x7256, 0xb5ea, 0xa5cb, 0x95a8, 0x8589, 0xf56e, 0xe54f, 0xd52c, 0xc50d,
    0x34e2, 0x24c3, 0x14a0, 0x0481, 0x7466, 0x6447, 0x5424, 0x4405, 0xa7db, 0xb7fa, 0x8799, 0x97b8,
    0xe75f, 0xf77e, 0xc71d, 0xd73c, 0x26d3, 0x36f2, 0x0691, 0x16b0, 0x6657, 0x7676, 0x4615, 0x5634,
    0xd94c, 0xc96d, 0xf90e, 0xe92f, 0x99c8, 0x89e9, 0xb98a, 0xa9ab, 0x5844, 0x4865, 0x7806, 0x6827,
    0x18c0, 0x08e1, 0x3882, 0x28a3, 0xcb7d, 0xdb5c, 0xeb3f, 0xfb1e, 0x8bf9, 0x9bd8, 0xabbb, 0xbb9a,
    0x4a75, 0x5a54, 0x6a37, 0x7a16, 0x0af1, 0x1ad0, 0x2ab3, 0x3a92, 0xfd2e, 0xed0f, 0xdd6c, 0xcd4d,
    0xbdaa, 0xad8b, 0x9de8, 0x8dc9, 0x7c26, 0x6c07, 0x5c64, 0x4c45, 0x3ca2, 0x2c83, 0x1ce0, 0x0cc1,
    0xef1f, 0xff3e, 0xcf5d, 0xdf7c, 0xaf9b, 0xbfba, 0x8fd9, 0x9ff8, 0x6e17, 0x7e36, 0x4e55, 0x5e74,
    0x2e93, 0x3eb2, 0x0ed1, 0x1ef0,
};

/* crc16_behind[k][b]: the checksum of byte b with k zero bytes behind it, so that
 * eight bytes are taken in one step ("slicing", Kounavis and Berry 2005). */
static uint16_t crc16_behind[8][256];

__attribute__((constructor)) static void crc16_fill(void) {
    for (uint32_t b = 0; b < 256; b++) {
        crc16_behind[0][b] = crc16_table[b];
        for (uint32_t k = 1; k < 8; k++) {
            const uint16_t crc = crc16_behind[k - 1][b];
            crc16_behind[k][b] = (uint16_t)(crc << 8 ^ crc16_table[crc >> 8]);
        }
    }
}

static uint16_t crc16(struct bytes in) {
    const uint16_t(*t)[256] = crc16_behind;
    const uint8_t *p = in.ptr;
    size_t left = in.len;
    uint16_t crc = 0;
    ASSERT(t[0][1] != 0);
    for (; left >= 8; left -= 8, p += 8) {
        crc = t[7][p[0] ^ crc >> 8] ^ t[6][p[1] ^ (crc & 255)] ^ t[5][p[2]] ^ t[4][p[3]] ^
              t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
    }
    for (; left > 0; left--, p++) crc = (uint16_t)(crc << 8 ^ t[0][(crc >> 8 ^ *p) & 255]);
    return crc;
}

/* What of `key` is hashed: the bytes between the first '{' and the first '}'
 * after it, unless there are none (Redis Cluster specification, "Hash tags"). */
static struct bytes tag_of(struct bytes key) {
    if (key.len == 0) return key;
    const uint8_t *open = memchr(key.ptr, '{', key.len);
    if (open == NULL) return key;
    const uint8_t *tag = open + 1;
    const size_t rest = key.len - (size_t)(tag - key.ptr);
    const uint8_t *close = rest == 0 ? NULL : memchr(tag, '}', rest);
    if (close == NULL || close == tag) return key;
    ASSERT(close > tag);
    return bytes_of(tag, (size_t)(close - tag));
}

static_assert((SLOTS & (SLOTS - 1)) == 0, "the slot is the low bits of the checksum");

uint16_t crc16_slot(struct bytes key) {
    ASSERT(key.ptr != NULL || key.len == 0);
    const uint16_t slot = crc16(tag_of(key)) & (SLOTS - 1);
    ASSERT(slot < SLOTS);
    return slot;
}

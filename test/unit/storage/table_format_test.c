/* Footer, properties, index and stored blocks give back what was encoded and refuse
 * everything else. */
#include "storage/table_format.h"

#include "base/hash.h"
#include "base/mem.h"
#include "harness.h"
#include "storage/stored_block.h"
#include "storage/table_index.h"

static uint64_t random_next(uint64_t *state) {
    uint64_t x = (*state += UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static const struct table_footer footer_usual = {
    .uid = 7,
    .filter = { 1000, 141 },
    .index = { 1141, 59 },
    .properties = { 1200, 300 },
};
#define FILE_BYTES (1500u + TABLE_FOOTER_BYTES)

TEST(table_format, footer_round_trip) {
    uint8_t bytes[TABLE_FOOTER_BYTES];
    struct table_footer f;
    table_footer_encode(&footer_usual, bytes);
    CHECK_OK(table_footer_decode(bytes_of(bytes, sizeof bytes), FILE_BYTES, &f));
    CHECK_BYTES(bytes_of(&f, sizeof f), bytes_of(&footer_usual, sizeof f));
    CHECK_STATUS(table_footer_decode(bytes_of(bytes, sizeof bytes), FILE_BYTES - 1, &f),
                 ST_CORRUPT);
    CHECK_STATUS(table_footer_decode(bytes_of(bytes, sizeof bytes - 1), FILE_BYTES, &f),
                 ST_CORRUPT);
    for (uint32_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_STATUS(table_footer_decode(bytes_of(bytes, sizeof bytes), FILE_BYTES, &f),
                     ST_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* A version from the future is refused even though its checksum holds. */
TEST(table_format, footer_of_a_newer_version_is_refused) {
    uint8_t bytes[TABLE_FOOTER_BYTES];
    struct table_footer f;
    table_footer_encode(&footer_usual, bytes);
    put_u32_le(bytes + 56, TABLE_FORMAT_VERSION + 1);
    put_u64_le(bytes + 64, hash_xxh3(bytes_of(bytes, 64)));
    CHECK_STATUS(table_footer_decode(bytes_of(bytes, sizeof bytes), FILE_BYTES, &f), ST_CORRUPT);
}

static void encode_usual(struct buffer *out) {
    table_properties_encode(&(struct table_properties){ .records = 9,
                                                        .tombstones = 3,
                                                        .raw_bytes = 99,
                                                        .ballot_max = { 5, 6, 7 },
                                                        .expires_min_ms = 11,
                                                        .expiring = 2,
                                                        .ikey_min = BYTES_LIT("\0\1a"),
                                                        .ikey_max = BYTES_LIT("\0\1z") },
                            out);
}

static void append_property(struct buffer *out, uint32_t id, uint32_t optional) {
    uint8_t head[8];
    put_u16_le(head, (uint16_t)id);
    put_u16_le(head + 2, (uint16_t)optional);
    put_u32_le(head + 4, 3);
    buffer_append(out, bytes_of(head, sizeof head));
    buffer_append(out, BYTES_LIT("abc"));
}

/* Ids from the future are skipped when optional and refused otherwise. */
TEST(table_format, properties_round_trip_and_grow) {
    struct table_properties p;
    struct buffer b;
    buffer_init(&b, 4096);
    encode_usual(&b);
    CHECK_OK(table_properties_decode(buffer_bytes(&b), &p));
    CHECK_EQ(p.records, 9);
    CHECK_EQ(p.expires_min_ms, 11);
    CHECK_EQ(p.ballot_max.boot, 7);
    CHECK_BYTES(p.ikey_max, BYTES_LIT("\0\1z"));
    append_property(&b, PROPERTY_END + 5, 1);
    CHECK_OK(table_properties_decode(buffer_bytes(&b), &p));
    append_property(&b, PROPERTY_END + 5, 1); /* twice */
    CHECK_STATUS(table_properties_decode(buffer_bytes(&b), &p), ST_CORRUPT);
    buffer_reset(&b);
    encode_usual(&b);
    append_property(&b, PROPERTY_END, 0);
    CHECK_STATUS(table_properties_decode(buffer_bytes(&b), &p), ST_CORRUPT);
    buffer_reset(&b);
    encode_usual(&b);
    for (size_t cut = 0; cut < buffer_len(&b); cut++) {
        CHECK_STATUS(table_properties_decode(bytes_of(b.ptr, cut), &p), ST_CORRUPT);
    }
    buffer_deinit(&b);
}

#define BLOCKS 500u

/* The block found is the last whose separator is at or below the ikey, also where the
 * first eight bytes do not tell separators apart. */
TEST(table_format, index_finds_the_block) {
    uint64_t seed = test_seed();
    for (uint32_t shape = 0; shape < 4; shape++) {
        for (uint32_t count = 1; count <= BLOCKS; count += count < 40 ? 1 : 230) {
            struct table_index_builder b;
            table_index_builder_init(&b);
            uint8_t keys[BLOCKS][24];
            uint64_t data_bytes = 0;
            const size_t len = shape == 0 ? 4 : 20;
            for (uint32_t i = 0; i < count; i++) {
                /* Shapes put the bytes that differ behind 0, 1, 9 or 12 equal ones. */
                memset(keys[i], 'e', sizeof keys[i]);
                const size_t at = (const size_t[]){ 0, 1, 9, 12 }[shape];
                keys[i][at] = (uint8_t)(i / 64);
                keys[i][at + (shape == 3 ? 7 : 1)] = (uint8_t)(i % 64 * 3 + 1);
                const uint32_t stored_len = 14 + (uint32_t)(random_next(&seed) % 5000);
                table_index_builder_add(&b, bytes_of(keys[i], i == 0 ? 0 : len), stored_len);
                data_bytes += stored_len;
            }
            const struct bytes encoded = table_index_builder_finish(&b);
            struct table_index x;
            CHECK_STATUS(table_index_decode(encoded, data_bytes + 1, &x), ST_CORRUPT);
            CHECK_OK(table_index_decode(encoded, data_bytes, &x));
            CHECK_EQ(table_index_offset(&x, count), data_bytes);
            for (uint32_t i = 0; i < count; i++) {
                uint8_t below[24];
                memcpy(below, keys[i], sizeof below);
                below[len - 1]--;
                const uint32_t before = i == 0 ? 0 : i - 1;
                /* In the last shape the byte cut off is the one that differs in 64. */
                const uint32_t first = i / 64 * 64;
                const uint32_t cut = shape < 3 ? before : first == 0 ? 0 : first - 1;
                CHECK_EQ(table_index_find(&x, bytes_of(keys[i], len)), i);
                CHECK_EQ(table_index_find(&x, bytes_of(keys[i], len + 1)), i);
                CHECK_EQ(table_index_find(&x, bytes_of(keys[i], len - 1)), cut);
                CHECK_EQ(table_index_find(&x, bytes_of(below, len)), before);
            }
            CHECK_EQ(table_index_find(&x, BYTES_NONE), 0);
            CHECK_EQ(table_index_find(&x, BYTES_LIT("\xff")), count - 1);
            table_index_deinit(&x);
            table_index_builder_deinit(&b);
        }
    }
}

/* A stored block is itself only in its table, at its place, with every bit as it was. */
TEST(table_format, stored_block_knows_its_place) {
    uint64_t seed = test_seed();
    uint8_t raw[3000];
    uint8_t back[3000];
    for (uint32_t kind = 0; kind < 6; kind++) {
        const enum compression asked = (enum compression)(kind % 3);
        for (size_t i = 0; i < sizeof raw; i++) {
            raw[i] = (uint8_t)(kind < 3 ? i / 100 : random_next(&seed));
        }
        struct compressor c;
        struct buffer out;
        struct stored_block b;
        compressor_init(&c);
        buffer_init(&out, 1 << 20);
        const size_t len =
            stored_block_encode(&c, bytes_of(raw, sizeof raw), asked, 77, 4096, &out);
        CHECK_EQ(buffer_len(&out), len);
        CHECK_OK(stored_block_decode(buffer_bytes(&out), 77, 4096, &b));
        /* What does not shrink is stored as it is. */
        CHECK_EQ(b.compression, kind < 3 ? asked : COMPRESSION_NONE);
        CHECK_EQ(b.raw_len, sizeof raw);
        CHECK_OK(stored_block_expand(&b, back));
        CHECK_BYTES(bytes_of(back, sizeof back), bytes_of(raw, sizeof raw));
        CHECK_STATUS(stored_block_decode(buffer_bytes(&out), 78, 4096, &b), ST_CORRUPT);
        CHECK_STATUS(stored_block_decode(buffer_bytes(&out), 77, 8192, &b), ST_CORRUPT);
        for (size_t at = 0; at < len; at++) {
            out.ptr[at] ^= 4;
            CHECK_STATUS(stored_block_decode(buffer_bytes(&out), 77, 4096, &b), ST_CORRUPT);
            out.ptr[at] ^= 4;
        }
        buffer_deinit(&out);
        compressor_deinit(&c);
    }
}

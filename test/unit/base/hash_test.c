#include "base/hash.h"

#include "base/mem.h"
#include "harness.h"
#include "sim/random.h"

/* The vectors of RFC 3720 B.4, and the usual check word. */
TEST(hash, crc32c_known_answers) {
    uint8_t block[32];
    memset(block, 0, sizeof block);
    CHECK_EQ(crc32c(0, bytes_of(block, 32)), 0x8a9136aau);
    memset(block, 0xff, sizeof block);
    CHECK_EQ(crc32c(0, bytes_of(block, 32)), 0x62a8ab43u);
    for (uint8_t i = 0; i < 32; i++) block[i] = i;
    CHECK_EQ(crc32c(0, bytes_of(block, 32)), 0x46dd794eu);
    for (uint8_t i = 0; i < 32; i++) block[i] = (uint8_t)(31 - i);
    CHECK_EQ(crc32c(0, bytes_of(block, 32)), 0x113fdb5cu);
    CHECK_EQ(crc32c(0, BYTES_LIT("123456789")), 0xe3069283u);
    CHECK_EQ(crc32c(0, BYTES_NONE), 0);
}

static uint32_t crc32c_by_bit(uint32_t crc, struct bytes in) {
    crc = ~crc;
    for (size_t i = 0; i < in.len; i++) {
        crc ^= in.ptr[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* At any length and alignment, around the lanes above all, the sum is that of the
 * definition, and a sum in two parts is the sum of the whole. */
TEST(hash, crc32c_is_its_definition) {
    enum { BYTES_MAX = 16 * 1024 };
    struct sim_random r = sim_random_of(test_seed());
    uint8_t *input = mem_alloc(BYTES_MAX + 8);
    for (size_t i = 0; i < BYTES_MAX + 8; i++) input[i] = (uint8_t)sim_random_next(&r);
    for (uint32_t round = 0; round < 600; round++) {
        const uint32_t lanes[] = { 3 * 256, 3 * 2048, 6 * 2048, 3 * 2048 + 3 * 256 };
        size_t len = sim_random_below(&r, BYTES_MAX);
        if (round < 64) len = lanes[round % 4] - 8 + round / 4;
        const struct bytes in = bytes_of(input + sim_random_below(&r, 8), len);
        const uint32_t whole = crc32c(0, in);
        CHECK_EQ(whole, crc32c_by_bit(0, in));
        const size_t cut = sim_random_below(&r, len + 1);
        const uint32_t first = crc32c(0, bytes_of(in.ptr, cut));
        CHECK_EQ(crc32c(first, bytes_of(in.ptr + cut, len - cut)), whole);
    }
    mem_free(input);
}

/* Slots are those of Redis Cluster: CRC16 of "123456789" is 0x31c3, and clients
 * know these keys. */
TEST(hash, slots_known_answers) {
    CHECK_EQ(crc16_slot(BYTES_LIT("123456789")), 0x31c3);
    CHECK_EQ(crc16_slot(BYTES_LIT("foo")), 12182);
    CHECK_EQ(crc16_slot(BYTES_LIT("somekey")), 11058);
    CHECK_EQ(crc16_slot(BYTES_LIT("foo{hash_tag}")), 2515);
    CHECK_EQ(crc16_slot(BYTES_NONE), 0);
}

/* Only a non-empty tag between the first '{' and the first '}' after it counts. */
TEST(hash, tags_as_redis_cluster) {
    const uint16_t user = crc16_slot(BYTES_LIT("user1000"));
    CHECK_EQ(crc16_slot(BYTES_LIT("{user1000}.following")), user);
    CHECK_EQ(crc16_slot(BYTES_LIT("{user1000}.followers")), user);
    CHECK_EQ(crc16_slot(BYTES_LIT("foo{{bar}}zap")), crc16_slot(BYTES_LIT("{bar")));
    CHECK_EQ(crc16_slot(BYTES_LIT("foo{bar}{zap}")), crc16_slot(BYTES_LIT("bar")));
    CHECK(crc16_slot(BYTES_LIT("foo{}{bar}")) != crc16_slot(BYTES_LIT("bar")));
    CHECK(crc16_slot(BYTES_LIT("a{")) != crc16_slot(BYTES_LIT("a")));
    CHECK(crc16_slot(BYTES_LIT("}a{b")) != crc16_slot(BYTES_LIT("b")));
}

/* XXH3 gives its published answer for no bytes, and the seed changes the answer. */
TEST(hash, xxh3) {
    CHECK_EQ(hash_xxh3(BYTES_NONE), UINT64_C(0x2d06800538d394c2));
    CHECK_EQ(hash_seeded(BYTES_LIT("key"), 0), hash_xxh3(BYTES_LIT("key")));
    CHECK(hash_seeded(BYTES_LIT("key"), 1) != hash_seeded(BYTES_LIT("key"), 2));
}

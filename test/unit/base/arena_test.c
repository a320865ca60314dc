#include "base/arena.h"

#include "harness.h"
#include "sim/random.h"

/* Allocations of any size are apart from one another and aligned as promised. */
TEST(arena, allocations_do_not_overlap) {
    enum { COUNT = 2000 };
    static struct bytes all[COUNT];
    struct sim_random r = sim_random_of(test_seed());
    struct arena a;
    arena_init(&a, 4096);
    for (uint32_t i = 0; i < COUNT; i++) {
        const size_t len = 1 + sim_random_below(&r, sim_random_chance(&r, 1, 50) ? 20000 : 200);
        uint8_t *p = i % 2 == 0 ? arena_alloc(&a, len) : arena_alloc_unaligned(&a, len);
        if (i % 2 == 0) CHECK_EQ((uintptr_t)p % 8, 0);
        memset(p, (int)(i & 255), len);
        all[i] = bytes_of(p, len);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < all[i].len; j++) CHECK_EQ(all[i].ptr[j], i & 255);
    }
    arena_deinit(&a);
}

/* A reset gives back all but one chunk, large requests included. */
TEST(arena, reset_keeps_one_chunk) {
    struct arena a;
    arena_init(&a, 4096);
    CHECK_EQ(a.reserved_bytes, 0);
    arena_reset(&a);
    for (uint32_t i = 0; i < 100; i++) (void)arena_alloc(&a, 900);
    CHECK(arena_alloc(&a, 1 << 20) != NULL);
    CHECK(a.reserved_bytes > 1 << 20);
    arena_reset(&a);
    CHECK_EQ(a.reserved_bytes, 4096);
    const size_t reserved = a.reserved_bytes;
    (void)arena_alloc(&a, 900);
    CHECK_EQ(a.reserved_bytes, reserved);
    arena_deinit(&a);
    CHECK_EQ(a.reserved_bytes, 0);
}

/* A large first request leaves room for small ones in a usual chunk. */
TEST(arena, large_request_gets_its_own_chunk) {
    struct arena a;
    arena_init(&a, 4096);
    CHECK(arena_alloc(&a, 100000) != NULL);
    const size_t reserved = a.reserved_bytes;
    (void)arena_alloc(&a, 8);
    CHECK_EQ(a.reserved_bytes, reserved);
    arena_deinit(&a);
}

/* A copy is the same bytes elsewhere; a copy of nothing costs nothing. */
TEST(arena, copy) {
    struct arena a;
    arena_init(&a, 4096);
    const struct bytes in = BYTES_LIT("some\0bytes");
    const struct bytes copy = arena_copy(&a, in);
    CHECK_BYTES(copy, in);
    CHECK(copy.ptr != in.ptr);
    CHECK_EQ(arena_copy(&a, BYTES_NONE).len, 0);
    arena_deinit(&a);
}

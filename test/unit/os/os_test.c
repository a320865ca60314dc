#include "os/os.h"

#include "harness.h"

/* The monotonic clock never goes back and the wall clock is of this century. */
TEST(os, clocks) {
    struct os *os = os_create();
    uint64_t before = os_mono_ns(os);
    for (uint32_t i = 0; i < 1000; i++) {
        const uint64_t now = os_mono_ns(os);
        CHECK(now >= before);
        before = now;
    }
    CHECK(os_wall_ms(os) > UINT64_C(1700000000000));
    os_destroy(os);
}

/* Two draws of entropy differ, and each fills all it was given. */
TEST(os, entropy) {
    struct os *os = os_create();
    uint8_t a[1024] = { 0 };
    uint8_t b[1024] = { 0 };
    os_entropy(os, a, sizeof a);
    os_entropy(os, b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) != 0);
    CHECK(memcmp(a + 1008, (uint8_t[16]){ 0 }, 16) != 0);
    os_entropy(os, NULL, 0);
    os_destroy(os);
}

/* What metrics and sizing ask for has plausible values. */
TEST(os, process_facts) {
    struct os *os = os_create();
    CHECK(os_cpu_count(os) >= 1);
    CHECK(os_resident_bytes(os) > 100000);
    CHECK(os_descriptors_max(os) >= 64);
    const uint64_t before_us = os_cpu_us(os);
    while (os_cpu_us(os) == before_us) continue;
    os_destroy(os);
}

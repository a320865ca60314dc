/* Writers that share a bucket write at its rate, whatever the pieces. */
#include "storage/rate_limit.h"

#include "harness.h"
#include "sim/os_sim.h"

#define MIB (1024u * 1024)

struct fixture {
    struct sim_disk *disk;
    struct os *os;
    struct rate_limit limit;
};

static void fixture_init(struct fixture *f, uint64_t bytes_per_second) {
    f->disk = sim_disk_create(1);
    f->os = sim_os_create(1, f->disk);
    rate_limit_init(&f->limit, f->os, bytes_per_second);
}

static void fixture_deinit(struct fixture *f) {
    rate_limit_deinit(&f->limit);
    os_destroy(f->os);
    sim_disk_destroy(f->disk);
}

static uint64_t write_ms(struct fixture *f, uint64_t bytes, size_t piece) {
    const uint64_t start_ns = os_mono_ns(f->os);
    for (uint64_t at = 0; at < bytes; at += piece) rate_limit_pace(&f->limit, piece);
    return (os_mono_ns(f->os) - start_ns) / 1000000;
}

TEST(rate_limit, keeps_the_rate_for_any_piece) {
    static const size_t pieces[] = { 1000, 64 * 1024, MIB, 20 * MIB };
    for (uint32_t i = 0; i < 4; i++) {
        struct fixture f;
        fixture_init(&f, 10 * MIB);
        const uint64_t ms = write_ms(&f, 100 * MIB, pieces[i]);
        CHECK(ms >= 9850);
        CHECK(ms <= 10150);
        CHECK(f.limit.waited_ns / 1000000 >= 9850);
        fixture_deinit(&f);
    }
}

TEST(rate_limit, zero_is_no_limit) {
    struct fixture f;
    fixture_init(&f, 0);
    CHECK_EQ(write_ms(&f, 1000ull * MIB, MIB), 0);
    rate_limit_set(&f.limit, 100 * MIB);
    CHECK(write_ms(&f, 100 * MIB, MIB) >= 850);
    rate_limit_set(&f.limit, 0);
    CHECK_EQ(write_ms(&f, 1000ull * MIB, MIB), 0);
    fixture_deinit(&f);
}

/* An idle hour saves up a tenth of a second, no more. */
TEST(rate_limit, saves_up_little) {
    struct fixture f;
    fixture_init(&f, 10 * MIB);
    sim_os_advance_ms(f.os, 3600 * 1000);
    CHECK_EQ(write_ms(&f, MIB, MIB), 0);
    CHECK(write_ms(&f, 10 * MIB, MIB) >= 950);
    fixture_deinit(&f);
}

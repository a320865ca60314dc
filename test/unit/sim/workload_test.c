#include "sim/workload.h"

#include "harness.h"

static const struct workload_mix mix = {
    .kinds = { 5, 5, 2, 1, 2, 1 },
    .levels = { 4, 1, 1, 1 },
    .session_permille = 500,
    .ttl_permille = 300,
    .ttl_ms_max = 1000,
    .medium_permille = 300,
    .big_permille = 50,
    .hot_permille = 300,
    .truncate_permyriad = 100,
};

/* A value tells its number; changed, cut, longer or under another key it tells none. */
TEST(workload, judges_values) {
    struct buffer b;
    const uint32_t lens[] = { WORK_VALUE_BYTES_MIN, WORK_VALUE_BYTES_MIN + 1, 200, 4096,
                              WORK_VALUE_BYTES_MAX };
    buffer_init(&b, 2 * WORK_VALUE_BYTES_MAX);
    for (uint32_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        buffer_reset(&b);
        workload_value(&b, 77 + i, 3, lens[i]);
        const struct bytes value = buffer_bytes(&b);
        CHECK_EQ(value.len, lens[i]);
        CHECK_EQ(workload_judge(value, 3), 77 + i);
        CHECK_EQ(workload_judge(value, 4), 0);
        CHECK_EQ(workload_judge(bytes_of(value.ptr, value.len - 1), 3), 0);
        const uint32_t steps = lens[i] < 300 ? lens[i] : 50;
        for (uint32_t k = 0; k < steps; k++) {
            const size_t at = lens[i] < 300 ? k : (size_t)k * (lens[i] - 1) / (steps - 1);
            b.ptr[b.start + at] ^= 1;
            CHECK_EQ(workload_judge(value, 3), 0);
            b.ptr[b.start + at] ^= 1;
        }
        buffer_append_u8(&b, 'x');
        CHECK_EQ(workload_judge(buffer_bytes(&b), 3), 0);
    }
    buffer_deinit(&b);
}

/* All kinds come, within their bounds, and no value number comes twice. */
TEST(workload, draws_within_bounds) {
    struct workload w;
    struct sim_random dice = sim_random_of(test_seed());
    uint64_t kinds = 0;
    uint64_t last = 0;
    workload_init(&w, &mix, 10);
    for (uint32_t i = 0; i < 5000; i++) {
        struct work work;
        workload_draw(&w, &dice, &work);
        kinds |= UINT64_C(1) << work.kind;
        CHECK(work.items_count <= WORK_ITEMS_MAX);
        CHECK_EQ(work.items_count == 0, work.kind == WORK_SCAN || work.kind == WORK_TRUNCATE);
        for (uint32_t k = 0; k < work.items_count; k++) {
            const struct work_item *item = &work.items[k];
            CHECK(item->key < 10);
            CHECK(item->ttl_ms <= mix.ttl_ms_max);
            const bool puts = item->kind == WORK_PUT || item->kind == WORK_PUT_ABSENT;
            CHECK_EQ(puts, item->value != 0);
            if (!puts) continue;
            CHECK_EQ(item->value, last + 1);
            last = item->value;
            CHECK(item->value_len >= WORK_VALUE_BYTES_MIN);
            CHECK(item->value_len <= WORK_VALUE_BYTES_MAX);
        }
    }
    CHECK_EQ(kinds, (1u << WORK_KINDS) - 1);
}

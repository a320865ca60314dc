#include "raft/log.h"

#include "sim/random.h"
#include "test/unit/harness.h"

#define SLOTS 16u
#define BYTES_MAX 200u

/* The window against a plain array: whatever is appended, cut and dropped, the entries that
 * must be there are there, byte for byte. */
TEST(raft_log, like_an_array) {
    static uint64_t terms[20000];
    static uint8_t lens[20000];
    static uint8_t data[256];
    struct sim_random r = sim_random_of(test_seed());
    struct raft_log log;
    raft_log_init(&log, SLOTS, BYTES_MAX);
    raft_log_reset(&log, 5, 2);
    uint64_t term = 2;
    uint32_t refused = 0;
    terms[5] = 2;
    for (uint32_t step = 0; step < 12000; step++) {
        const uint64_t len = raft_log_len(&log);
        const uint32_t what = (uint32_t)sim_random_below(&r, 10);
        if (what < 7) {
            const uint8_t bytes = (uint8_t)sim_random_below(&r, 60);
            term += sim_random_chance(&r, 1, 8);
            memset(data, (int)(log.last_index & 0xff), sizeof data);
            const bool fits = len < SLOTS && log.bytes + bytes <= BYTES_MAX;
            CHECK_EQ(raft_log_has_room(&log, bytes, 0), fits);
            CHECK_STATUS(raft_log_append(&log, term, RAFT_ENTRY_DATA, bytes_of(data, bytes)),
                         fits ? ST_OK : ST_FULL);
            refused += !fits;
            if (fits) terms[log.last_index] = term, lens[log.last_index] = bytes;
        } else if (what == 7 && len > 0) {
            raft_log_truncate(&log, log.base_index + 1 + sim_random_below(&r, len + 1));
        } else {
            raft_log_compact(&log, log.base_index + sim_random_below(&r, len + 1));
        }
        CHECK(raft_log_check(&log));
        CHECK_EQ(raft_log_term(&log, log.base_index), terms[log.base_index]);
        for (uint64_t i = log.base_index + 1; i <= log.last_index; i++) {
            const struct raft_entry e = raft_log_entry(&log, i);
            memset(data, (int)((i - 1) & 0xff), sizeof data);
            CHECK_EQ(e.term, terms[i]);
            CHECK_BYTES(e.data, bytes_of(data, lens[i]));
        }
    }
    CHECK(refused > 100);
    CHECK(log.last_index > 1000);
    raft_log_deinit(&log);
}

/* Terms are found, and what is not in the window has none. */
TEST(raft_log, terms) {
    struct raft_log log;
    raft_log_init(&log, SLOTS, BYTES_MAX);
    raft_log_reset(&log, 3, 2);
    const uint64_t terms[] = { 2, 4, 4, 7 }; /* 4/2 5/4 6/4 7/7 */
    for (uint32_t i = 0; i < 4; i++)
        CHECK_OK(raft_log_append(&log, terms[i], RAFT_ENTRY_EMPTY, BYTES_NONE));
    CHECK_EQ(raft_log_term(&log, 2), 0);
    CHECK_EQ(raft_log_term(&log, 3), 2);
    CHECK_EQ(raft_log_term(&log, 8), 0);
    CHECK_EQ(raft_log_last_term(&log), 7);
    const uint64_t last[] = { 3, 3, 4, 4, 6, 6, 6, 7, 7 };
    for (uint64_t term = 0; term < 9; term++) CHECK_EQ(raft_log_last_up_to(&log, term), last[term]);
    raft_log_compact(&log, 7);
    CHECK_EQ(raft_log_last_term(&log), 7);
    CHECK_EQ(raft_log_len(&log), 0);
    raft_log_deinit(&log);
}

/* Room can be kept free. */
TEST(raft_log, spare) {
    struct raft_log log;
    raft_log_init(&log, SLOTS, BYTES_MAX);
    for (uint32_t i = 0; i < SLOTS - 4; i++) {
        CHECK(raft_log_has_room(&log, 0, 4));
        CHECK_OK(raft_log_append(&log, 1, RAFT_ENTRY_EMPTY, BYTES_NONE));
    }
    CHECK(!raft_log_has_room(&log, 0, 4));
    CHECK(raft_log_has_room(&log, 0, 3));
    CHECK(raft_log_has_room(&log, BYTES_MAX, 0));
    CHECK(!raft_log_has_room(&log, BYTES_MAX + 1, 0));
    raft_log_deinit(&log);
}

/* Terms that go back, and places that are not there, are a caller's mistake. */
TEST(raft_log, requirements) {
    struct raft_log log;
    raft_log_init(&log, SLOTS, BYTES_MAX);
    CHECK_OK(raft_log_append(&log, 4, RAFT_ENTRY_EMPTY, BYTES_NONE));
    CHECK_ABORTS((void)raft_log_append(&log, 3, RAFT_ENTRY_EMPTY, BYTES_NONE).code);
    CHECK_ABORTS(raft_log_truncate(&log, 0));
    CHECK_ABORTS(raft_log_truncate(&log, 3));
    CHECK_ABORTS(raft_log_compact(&log, 2));
    CHECK_ABORTS((void)raft_log_entry(&log, 2));
    raft_log_deinit(&log);
}

/* A memtable under several threads: what is frozen is read by jobs, and a job freezes it
 * while its owner reads. (tidy: integration, because tests of storage run on the simulator,
 * which has no threads.) */
#include "storage/memtable.h"

#include "base/mem.h"
#include "harness.h"

#include <pthread.h>

/* One with `count` records under different keys. */
static struct memtable *filled(uint64_t count) {
    struct memtable *m = memtable_create(8 << 20, 1);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t key[10] = { 0 };
        put_u64_le(key + 2, i * UINT64_C(0x9e3779b97f4a7c15));
        const struct record r = { .ikey = bytes_of(key, sizeof key),
                                  .value = BYTES_LIT("value"),
                                  .ballot = { 1, 1, 1 } };
        CHECK_OK(memtable_put(m, &r, i));
    }
    return m;
}

/* How many of the walk's records a get finds too. */
static uint64_t read_all(const struct memtable *m) {
    uint64_t seen = 0;
    struct memtable_iterator it;
    memtable_iterator_seek(&it, m, BYTES_NONE);
    for (; it.valid; memtable_iterator_next(&it)) {
        struct record held;
        uint64_t sequence = 0;
        const struct status s = memtable_get(m, it.record.ikey, &held, &sequence);
        if (status_ok(s) && sequence == it.sequence) seen++;
    }
    return seen;
}

struct reader {
    struct memtable *memtable;
    uint64_t seen;
};

static void *read_in_thread(void *user) {
    struct reader *reader = user;
    reader->seen = read_all(reader->memtable);
    return NULL;
}

TEST(memtable_threads, read_a_frozen_one_together) {
    struct memtable *m = filled(5000);
    memtable_freeze(m);
    struct reader readers[3];
    pthread_t threads[3];
    for (uint32_t i = 0; i < 3; i++) {
        readers[i] = (struct reader){ .memtable = m };
        CHECK_EQ(pthread_create(&threads[i], NULL, read_in_thread, &readers[i]), 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(readers[i].seen, 5000);
    }
    memtable_destroy(m);
}

static void *freeze(void *user) {
    memtable_freeze(user);
    return NULL;
}

TEST(memtable_threads, read_while_a_job_freezes_it) {
    for (uint64_t round = 0; round < 50; round++) {
        struct memtable *m = filled(50 + round);
        pthread_t job;
        CHECK_EQ(pthread_create(&job, NULL, freeze, m), 0);
        CHECK_EQ(read_all(m), 50 + round);
        CHECK(memtable_bytes(m) > 0);
        pthread_join(job, NULL);
        CHECK(memtable_check(m));
        memtable_destroy(m);
    }
}

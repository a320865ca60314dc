#include "os/thread.h"

#include "harness.h"

struct counter {
    struct os_mutex lock;
    uint32_t count;
};

static void count_up(void *user) {
    struct counter *c = user;
    for (uint32_t i = 0; i < 20000; i++) {
        os_mutex_lock(&c->lock);
        c->count++;
        os_mutex_unlock(&c->lock);
    }
}

/* Four threads under one lock lose no step, pinned or free. */
TEST(thread, mutex_excludes) {
    struct os *os = os_create();
    struct counter c = { .count = 0 };
    struct os_thread *threads[4];
    os_mutex_init(&c.lock);
    for (int i = 0; i < 4; i++)
        CHECK_OK(os_thread_start(os, "count", i % 2 == 0 ? -1 : 0, count_up, &c, &threads[i]));
    for (int i = 0; i < 4; i++) os_thread_join(threads[i]);
    CHECK_EQ(c.count, 80000);
    os_mutex_deinit(&c.lock);
    os_destroy(os);
}

/* Sleeping takes at least as long as was asked for. */
TEST(thread, sleep) {
    struct os *os = os_create();
    const uint64_t before_ns = os_mono_ns(os);
    os_sleep_ms(os, 20);
    CHECK(os_mono_ns(os) - before_ns >= 20000000);
    os_destroy(os);
}

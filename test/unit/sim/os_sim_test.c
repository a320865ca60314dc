#include "sim/os_sim.h"

#include "harness.h"
#include "os/sock.h"
#include "os/thread.h"

/* The wall clock can be set either way; the monotonic one only advances. */
TEST(os_sim, clocks) {
    struct sim_disk *disk = sim_disk_create(1);
    struct os *os = sim_os_create(1, disk);
    const uint64_t start_ns = os_mono_ns(os);
    const uint64_t start_ms = os_wall_ms(os);
    sim_os_advance_ms(os, 1500);
    CHECK_EQ(os_mono_ns(os), start_ns + 1500000000);
    CHECK_EQ(os_wall_ms(os), start_ms + 1500);
    sim_os_set_wall_ms(os, 5);
    CHECK_EQ(os_wall_ms(os), 5);
    CHECK_EQ(os_mono_ns(os), start_ns + 1500000000);
    os_sleep_ms(os, 10);
    CHECK_EQ(os_wall_ms(os), 15);
    os_destroy(os);
    sim_disk_destroy(disk);
}

/* Entropy is a function of the seed. */
TEST(os_sim, entropy_is_seeded) {
    struct sim_disk *disk = sim_disk_create(1);
    uint8_t drawn[3][32];
    const uint64_t seeds[3] = { 7, 7, 8 };
    for (uint32_t i = 0; i < 3; i++) {
        struct os *os = sim_os_create(seeds[i], disk);
        os_entropy(os, drawn[i], 32);
        os_destroy(os);
    }
    CHECK(memcmp(drawn[0], drawn[1], 32) == 0);
    CHECK(memcmp(drawn[0], drawn[2], 32) != 0);
    sim_disk_destroy(disk);
}

static void never(void *user) {
    (void)user;
}

/* What the simulated world does not have is refused, and a lock taken twice, which
 * would hang a real thread, ends the run. */
TEST(os_sim, refusals) {
    struct sim_disk *disk = sim_disk_create(1);
    struct os *os = sim_os_create(1, disk);
    struct os_thread *thread = NULL;
    struct os_sock s = { 0 };
    CHECK_STATUS(os_thread_start(os, "x", -1, never, NULL, &thread), ST_IO);
    CHECK_STATUS(os_sock_listen(os, ":0", false, &s), ST_IO);
    CHECK_STATUS(os_sock_connect(os, "a:1", &s), ST_IO);
    os_sock_close(&s);
    struct os_mutex m;
    os_mutex_init(&m);
    os_mutex_lock(&m);
    CHECK_ABORTS(os_mutex_lock(&m));
    os_mutex_unlock(&m);
    os_mutex_deinit(&m);
    os_destroy(os);
    sim_disk_destroy(disk);
}

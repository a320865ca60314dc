/* tidy: integration. The engine on a hostile disk: power lost after every single operation of a
 * run, and once more during the recovery. What was acknowledged is there, nothing is invented, and
 * what was deleted does not come back. */
#include "storage/engine.h"

#include "base/mem.h"
#include "sim/random.h"
#include "test/unit/harness.h"
#include "test/unit/storage/engine_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS 900u
#define IMAGES 4u
/* Of all operations of a run, about so many are tried; with CRASH_STOPS=all in the environment, each
 * (minutes: raise TEST_SECONDS too). */
#define STOPS 70u

static struct engine_world run;
static struct engine_world found;
static sigjmp_buf died;

static volatile sig_atomic_t may_die; /* the disk has lost power: the engine ends its process */

static void on_abort(int number) {
    if (may_die) siglongjmp(died, 1);
    signal(number, SIG_DFL);
}

static void begin_run(uint64_t seed) {
    engine_world_init(&run, NULL, seed);
    engine_world_options_small(&run);
    run.options.sync = WAL_SYNC_ALWAYS;
    run.options.memtable_bytes = 96 * 1024;
    run.key_count = 120;
}

/* A run is the same each time, up to where the power fails. Returns whether it came to its end. */
static bool run_powered(uint64_t seed, uint64_t stop, const char **wrong) {
    begin_run(seed);
    sim_disk_stop_after(run.disk, stop);
    *wrong = NULL;
    if (sigsetjmp(died, 1) != 0) return false;
    if (!status_ok(engine_world_open(&run))) return false;
    for (uint32_t i = 0; i < STEPS && *wrong == NULL; i++) {
        if (i % 60 == 59) engine_flush(run.engine);
        if (i == STEPS / 2) {
            engine_world_close(&run, false);
            if (!status_ok(engine_world_open(&run))) return false;
        }
        *wrong = engine_world_step(&run);
        /* A world without power ends in many ways; they are no fault of the engine. */
        if (sim_disk_op_count(run.disk) >= stop) {
            *wrong = NULL;
            return false;
        }
    }
    return true;
}

static bool run_until(uint64_t seed, uint64_t stop, const char **wrong) {
    may_die = stop != SIM_DISK_UNLIMITED;
    const bool ended = run_powered(seed, stop, wrong);
    may_die = false;
    return ended;
}

static void copy_model(const struct engine_world *from, struct engine_world *to) {
    to->options = from->options;
    to->cache_bytes = from->cache_bytes;
    to->key_count = from->key_count;
    to->clock = from->clock;
    to->gc_floor = from->gc_floor;
    to->wall_ms = from->os != NULL ? os_wall_ms(from->os) : from->wall_ms;
    memcpy(to->keys, from->keys, sizeof to->keys);
    memcpy(to->floors, from->floors, sizeof to->floors);
    memcpy(to->floors_durable, from->floors_durable, sizeof to->floors_durable);
}

/* Open, judge, live on, close, open again and judge again. */
static const char *recover(struct sim_disk *image, uint64_t seed) {
    engine_world_init(&found, image, seed);
    copy_model(&run, &found);
    const struct status s = engine_world_open(&found);
    if (!status_ok(s)) return status_name(s);
    const char *wrong = engine_world_adopt(&found);
    for (uint32_t i = 0; i < 60 && wrong == NULL; i++) wrong = engine_world_step(&found);
    if (wrong != NULL) return wrong;
    engine_world_settle(&found);
    engine_world_close(&found, seed % 2 == 0);
    if (!status_ok(engine_world_open(&found))) return "it does not open a second time";
    wrong = engine_world_check_all(&found);
    engine_world_deinit(&found);
    return wrong;
}

/* Open, and lose the power after `ops` operations. */
static const char *interrupt(struct sim_disk *disk, uint64_t seed, uint64_t ops) {
    engine_world_init(&found, disk, seed);
    copy_model(&run, &found);
    sim_disk_stop_after(disk, sim_disk_op_count(disk) + ops);
    may_die = true;
    if (sigsetjmp(died, 1) == 0) {
        const struct status s = engine_world_open(&found);
        if (s.code == ST_CORRUPT || s.code == ST_NOT_FOUND) return "interrupted: does not open";
        if (status_ok(s)) {
            engine_flush(found.engine);
            engine_world_settle(&found);
            engine_world_close(&found, true);
        }
    }
    may_die = false;
    return NULL;
}

/* Killed, and started again on what the kernel has, be it on the disk or not; then the power
 * fails. */
static const char *recover_killed(struct sim_disk *disk, uint64_t seed) {
    struct sim_random random = sim_random_of(seed);
    const char *wrong = interrupt(disk, seed, 1 + sim_random_below(&random, 60));
    if (wrong != NULL) return wrong;
    const bool loses_all = sim_random_below(&random, 2) == 0;
    struct sim_disk *image =
        sim_disk_crash(disk, loses_all ? SIM_CRASH_LOSE_ALL : SIM_CRASH_SEEDED, seed);
    wrong = recover(image, seed);
    sim_disk_destroy(image);
    return wrong;
}

/* Lose the power while recovering, several times, then recover. */
static const char *recover_interrupted(struct sim_disk *disk, uint64_t seed) {
    struct sim_random random = sim_random_of(seed);
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_SEEDED, seed);
    for (uint32_t round = 0; round < 3; round++) {
        const char *wrong = interrupt(image, seed + round, 1 + sim_random_below(&random, 40));
        if (wrong != NULL) return wrong;
        struct sim_disk *next = sim_disk_crash(image, SIM_CRASH_SEEDED, seed + round);
        image = next; /* what died keeps the old one open */
    }
    const char *wrong = recover(image, seed);
    sim_disk_destroy(image);
    return wrong;
}

static const char *recover_all(uint64_t seed) {
    for (uint32_t i = 0; i < IMAGES; i++) {
        enum sim_disk_crash_style style = SIM_CRASH_SEEDED;
        if (i == 0) style = SIM_CRASH_LOSE_ALL;
        if (i == 1) style = SIM_CRASH_KEEP_ALL;
        struct sim_disk *image = sim_disk_crash(run.disk, style, seed + i);
        const char *wrong = recover(image, seed + i);
        if (wrong != NULL) return wrong;
        sim_disk_destroy(image);
    }
    const char *wrong = recover_interrupted(run.disk, seed);
    return wrong != NULL ? wrong : recover_killed(run.disk, seed); /* changes the disk: the last */
}

static int say(uint64_t seed, uint64_t stop, const char *wrong) {
    dprintf(STDOUT_FILENO, "seed 0x%llx, fault at operation %llu: %s\n", (unsigned long long)seed,
            (unsigned long long)stop, wrong);
    return 1;
}

static int crash_everywhere_here(uint64_t seed, uint64_t only) {
    const char *wrong;
    if (only == 0 && freopen("/dev/null", "w", stderr) == NULL) return 1;
    const struct sigaction action = { .sa_handler = on_abort };
    sigaction(SIGABRT, &action, NULL);
    if (!run_until(seed, SIM_DISK_UNLIMITED, &wrong)) return say(seed, 0, "the run died by itself");
    if (wrong != NULL) return say(seed, 0, wrong);
    const uint64_t ops = sim_disk_op_count(run.disk);

    struct sim_random random = sim_random_of(seed);
    const bool all = getenv("CRASH_STOPS") != NULL && strcmp(getenv("CRASH_STOPS"), "all") == 0;
    const uint64_t stride = ops / STOPS + 1;
    for (uint64_t at = 3; at < ops; at += all ? 1 : 1 + sim_random_below(&random, 2 * stride)) {
        const uint64_t stop = only != 0 ? only : at;
        if (run_until(seed, stop, &wrong))
            return say(seed, stop, "the run is not the same each time");
        if (wrong != NULL) return say(seed, stop, wrong);
        if (sim_disk_op_count(run.disk) < stop)
            return say(seed, stop, "it died while there was power");
        wrong = recover_all(seed + stop);
        if (wrong != NULL) return say(seed, stop, wrong);
        if (only != 0) break;
    }
    return 0;
}

/* ---- failing calls ---- */

/* The `nth` call fails. The engine may end its process, refuse to open, or give that one answer as
 * ST_IO; it never answers wrongly. Returns whether it lived. */
static bool run_failing(uint64_t seed, uint64_t nth, const char **wrong) {
    *wrong = NULL;
    begin_run(seed);
    sim_disk_fail_call(run.disk, nth, ST_IO);
    if (sigsetjmp(died, 1) != 0) return false;
    if (!status_ok(engine_world_open(&run))) return false;
    for (uint32_t i = 0; i < STEPS; i++) {
        if (i % 60 == 59) engine_flush(run.engine);
        *wrong = engine_world_step(&run);
        if (*wrong != NULL && strcmp(*wrong, "io") != 0) return true;
    }
    sim_os_advance_ms(run.os, 3000);
    engine_world_settle(&run);
    *wrong = engine_world_check_all(&run);
    if (*wrong != NULL && strcmp(*wrong, "io") == 0) *wrong = engine_world_check_all(&run);
    return true;
}

static int fail_everywhere_here(uint64_t seed, uint64_t only) {
    if (only == 0 && freopen("/dev/null", "w", stderr) == NULL) return 1;
    const struct sigaction action = { .sa_handler = on_abort };
    sigaction(SIGABRT, &action, NULL);
    struct sim_random random = sim_random_of(seed);
    bool pending = false;
    for (uint64_t at = 1; !pending; at += 1 + sim_random_below(&random, 12)) {
        const uint64_t nth = only != 0 ? only : at;
        const char *wrong;
        may_die = true;
        const bool lived = run_failing(seed, nth, &wrong);
        may_die = false;
        pending = sim_disk_fail_is_pending(run.disk);
        if (wrong != NULL) return say(seed, nth, wrong);
        if (!lived && pending) return say(seed, nth, "it died with no fault");
        if (!lived) wrong = recover_all(seed + nth);
        if (wrong != NULL) return say(seed, nth, wrong);
        if (lived) engine_world_deinit(&run);
        if (only != 0) break;
    }
    return 0;
}

/* A child process, because an engine whose disk is gone ends its process. */
static void in_child(int (*here)(uint64_t seed, uint64_t only), uint64_t seed) {
    const char *only = getenv("STOP");
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(here(seed, only == NULL ? 0 : strtoull(only, NULL, 0)));
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* Power is lost somewhere in a life of puts, flushes, compactions and truncates. */
TEST(engine_crash, keeps_what_was_acknowledged) {
    for (uint64_t i = 0; i < 6; i++) in_child(crash_everywhere_here, test_seed() + i);
}

/* Each call to the disk in turn fails, once. */
TEST(engine_crash, survives_a_failing_call) {
    for (uint64_t i = 0; i < 4; i++) in_child(fail_everywhere_here, test_seed() + i);
}

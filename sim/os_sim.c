#include "sim/os_sim.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/net_internal.h"
#include "sim/os_sim_internal.h"

#define MONO_START_NS UINT64_C(1000000000) /* zero is too good a number for a clock */
#define SIM_DESCRIPTORS_MAX 65536u
#define PPM_WHOLE 1000000

static void (*die_hook)(void *user, const char *message); /* of sim_on_die */
static void *die_user;                                    /* likewise */

static bool os_check(const struct os *os) {
    if (os->disk == NULL) return false;
    if (os->job_count > os->job_capacity) return false;
    if (os->drift_ppm < -SIM_DRIFT_PPM_MAX || os->drift_ppm > SIM_DRIFT_PPM_MAX) return false;
    if (os->world_ns < os->base_world_ns || os->mono_ns < os->base_mono_ns) return false;
    return true;
}

struct os *os_create(void) {
    assert_failed("a simulated world is made by sim_os_create", __FILE__, __LINE__);
}

struct os *sim_os_create(uint64_t seed, struct sim_disk *disk) {
    ASSERT(disk != NULL);
    struct sim_random random = sim_random_of(seed);
    struct os *os = mem_alloc_zeroed(sizeof *os);
    os->disk = disk;
    os->random = sim_random_of(sim_random_next(&random));
    os->entropy = sim_random_of(sim_random_next(&random));
    os->latency_random = sim_random_of(sim_random_next(&random));
    os->mono_ns = MONO_START_NS;
    os->latency[OS_JOB_SYNC] = (struct latency){ .min_us = 50, .max_us = 200 };
    os->latency[OS_JOB_READ] = (struct latency){ .min_us = 50, .max_us = 500 };
    os->latency[OS_JOB_BACKGROUND] = (struct latency){ .min_us = 1000, .max_us = 20000 };
    list_init(&os->loops);
    sim_os_set_wall_ms(os, SIM_WALL_START_MS);
    ASSERT(os_wall_ms(os) == SIM_WALL_START_MS);
    return os;
}

void os_destroy(struct os *os) {
    if (os == NULL) return;
    ASSERT(os->job_count == 0);
    if (os->net != NULL) net_detach(os->net, os);
    sim_os_close_all(os);
    mem_free(os->handles);
    mem_free(os->socks);
    mem_free(os->jobs);
    mem_free(os);
}

void sim_os_forget(struct os *os) {
    ASSERT(os_check(os));
    ASSERT(!os->forgotten);
    if (os->net != NULL) sim_net_crash(os->net, os, SIM_NET_CRASH_DICE);
    sim_os_close_all(os);
    os->job_count = 0;
    os->forgotten = true;
    ASSERT(os->net == NULL);
}

struct sim_disk *sim_os_disk(struct os *os) {
    ASSERT(os != NULL);
    return os->disk;
}

void sim_os_set_trace(struct os *os, struct sim_trace *trace) {
    ASSERT(os != NULL);
    os->trace = trace;
}

void sim_os_advance_ms(struct os *os, uint64_t ms) {
    ASSERT(os != NULL);
    ASSERT(!os->driven);
    ASSERT(ms <= (UINT64_MAX - os->mono_ns) / NS_PER_MS);
    os->mono_ns += ms * NS_PER_MS;
}

void sim_os_set_wall_ms(struct os *os, uint64_t wall_ms) {
    ASSERT(os != NULL);
    os->wall_offset_ms = wall_ms - os->mono_ns / NS_PER_MS;
    ASSERT(os_wall_ms(os) == wall_ms);
}

/* ---- driven ---- */

void sim_os_drive(struct os *os, uint64_t world_ns) {
    ASSERT(os_check(os));
    ASSERT(!os->driven);
    ASSERT(os->job_count == 0);
    for (const struct list *node = os->loops.next; node != &os->loops; node = node->next)
        ASSERT(list_is_empty(&LIST_ENTRY(node, struct os_loop, link)->timers));
    os->driven = true;
    os->world_ns = os->base_world_ns = world_ns;
    os->base_mono_ns = os->mono_ns;
    sim_os_set_wall_ms(os, SIM_WALL_START_MS + world_ns / NS_PER_MS);
    ASSERT(os_check(os));
}

void sim_os_now(struct os *os, uint64_t world_ns) {
    ASSERT(os->driven);
    ASSERT(world_ns >= os->world_ns);
    const unsigned __int128 passed_ns = world_ns - os->base_world_ns;
    const uint64_t rate = (uint64_t)(PPM_WHOLE + os->drift_ppm);
    const uint64_t mono_ns = os->base_mono_ns + (uint64_t)(passed_ns * rate / PPM_WHOLE);
    ASSERT(mono_ns >= os->mono_ns);
    os->world_ns = world_ns;
    os->mono_ns = mono_ns;
}

void sim_os_set_drift_ppm(struct os *os, int32_t ppm) {
    ASSERT(os->driven);
    os->base_world_ns = os->world_ns;
    os->base_mono_ns = os->mono_ns;
    os->drift_ppm = ppm;
    ASSERT(os_check(os));
}

uint64_t sim_os_world_ns_of(const struct os *os, uint64_t mono_ns) {
    ASSERT(os->driven);
    if (mono_ns <= os->mono_ns) return os->world_ns;
    const unsigned __int128 wanted_ns = mono_ns - os->base_mono_ns;
    const uint64_t rate = (uint64_t)(PPM_WHOLE + os->drift_ppm);
    const unsigned __int128 after_ns = (wanted_ns * PPM_WHOLE + rate - 1) / rate;
    if (after_ns >= SIM_NEVER_NS - os->base_world_ns) return SIM_NEVER_NS;
    ASSERT(os->base_world_ns + (uint64_t)after_ns >= os->world_ns);
    return os->base_world_ns + (uint64_t)after_ns;
}

uint64_t sim_os_due_ns(const struct os *os) {
    ASSERT(os->driven);
    if (os->forgotten) return SIM_NEVER_NS;
    uint64_t due_ns = SIM_NEVER_NS;
    for (const struct list *node = os->loops.next; node != &os->loops; node = node->next) {
        const uint64_t loop_ns = sim_loop_due_ns(LIST_ENTRY(node, struct os_loop, link));
        if (loop_ns < due_ns) due_ns = loop_ns;
    }
    return due_ns;
}

void sim_os_set_latency_us(struct os *os, enum os_job_kind kind, uint32_t min_us, uint32_t max_us) {
    ASSERT(kind < OS_JOB_KINDS);
    ASSERT(min_us <= max_us);
    os->latency[kind] = (struct latency){ .min_us = min_us, .max_us = max_us };
}

void sim_os_stall(struct os *os, uint64_t until_ns, uint64_t extra_us) {
    ASSERT(os->driven);
    ASSERT(extra_us <= UINT64_MAX / NS_PER_US / 2);
    os->stall_until_ns = until_ns;
    os->stall_extra_us = extra_us;
}

void sim_on_die(void (*hook)(void *user, const char *message), void *user) {
    ASSERT(hook != NULL || user == NULL);
    die_hook = hook;
    die_user = user;
}

/* ---- os/os.h ---- */

uint64_t os_wall_ns(struct os *os) {
    ASSERT(os != NULL);
    return os->mono_ns + os->wall_offset_ms * NS_PER_MS;
}

uint64_t os_wall_ms(struct os *os) {
    return os_wall_ns(os) / NS_PER_MS;
}

/* A job that slept is ahead of the node's clock. What it was told must not be taken back
 * from whoever asks next, so the clock that is shown waits there for the other. */
uint64_t os_mono_ns(struct os *os) {
    ASSERT(os != NULL);
    if (os->mono_ns > os->shown_ns) os->shown_ns = os->mono_ns;
    ASSERT(os->shown_ns >= os->mono_ns);
    return os->shown_ns;
}

void os_entropy(struct os *os, void *ret_bytes, size_t len) {
    ASSERT(os != NULL);
    ASSERT(ret_bytes != NULL || len == 0);
    uint8_t *bytes = ret_bytes;
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(sim_random_next(&os->entropy) >> 56);
}

uint32_t os_cpu_count(struct os *os) {
    ASSERT(os != NULL);
    return 1;
}

uint64_t os_resident_bytes(struct os *os) {
    ASSERT(os != NULL);
    return 0;
}

uint64_t os_process_id(struct os *os) {
    ASSERT(os != NULL);
    return 1;
}

uint64_t os_cpu_us(struct os *os) {
    ASSERT(os != NULL);
    return os->mono_ns / 1000;
}

/* Nothing from outside reaches a simulated node. */
const char *os_environment(struct os *os, const char *name) {
    ASSERT(os != NULL);
    ASSERT(name != NULL);
    return NULL;
}

uint32_t os_descriptors_max(struct os *os) {
    ASSERT(os != NULL);
    return SIM_DESCRIPTORS_MAX;
}

/* Nowhere to write: whoever wants the lines sets a sink that knows the node. */
void os_log_sink(enum log_level level, const char *line) {
    ASSERT(level <= LOG_ERROR);
    ASSERT(line != NULL);
}

_Noreturn void os_die(const char *message) {
    ASSERT(message != NULL);
    if (die_hook != NULL) die_hook(die_user, message);
    assert_failed(message, "the simulated node", 0);
}

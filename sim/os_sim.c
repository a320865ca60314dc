#include "sim/os_sim.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/os_sim_internal.h"

#define MONO_START_NS UINT64_C(1000000000)    /* zero is too good a number for a clock */
#define WALL_START_MS UINT64_C(1767225600000) /* 2026-01-01 */
#define SIM_DESCRIPTORS_MAX 65536u

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
    os->mono_ns = MONO_START_NS;
    list_init(&os->jobs);
    sim_os_set_wall_ms(os, WALL_START_MS);
    ASSERT(os_wall_ms(os) == WALL_START_MS);
    return os;
}

void os_destroy(struct os *os) {
    if (os == NULL) return;
    ASSERT(list_is_empty(&os->jobs));
    sim_os_close_all(os);
    mem_free(os->handles);
    mem_free(os);
}

struct sim_disk *sim_os_disk(struct os *os) {
    ASSERT(os != NULL);
    return os->disk;
}

void sim_os_advance_ms(struct os *os, uint64_t ms) {
    ASSERT(os != NULL);
    ASSERT(ms <= (UINT64_MAX - os->mono_ns) / NS_PER_MS);
    os->mono_ns += ms * NS_PER_MS;
}

void sim_os_set_wall_ms(struct os *os, uint64_t wall_ms) {
    ASSERT(os != NULL);
    os->wall_offset_ms = wall_ms - os->mono_ns / NS_PER_MS;
    ASSERT(os_wall_ms(os) == wall_ms);
}

uint64_t os_wall_ms(struct os *os) {
    ASSERT(os != NULL);
    return os->mono_ns / NS_PER_MS + os->wall_offset_ms;
}

uint64_t os_mono_ns(struct os *os) {
    ASSERT(os != NULL);
    return os->mono_ns;
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
    assert_failed(message, "the simulated node", 0);
}

/* os.h - the world one node lives in; every other os/ call hangs off it.
 *
 * src/os/ holds headers and the Linux implementation. The simulator links its
 * own implementation of the same headers, with one `struct os` per simulated
 * node, so nothing outside os/ may make a system call, read a clock or draw
 * entropy. There are no function pointers: the choice is made by the linker.
 *
 * Lifecycle  os_create -> everything else -> os_destroy
 * Owner      the program; usable from every thread
 */
#ifndef ATOLL_OS_OS_H
#define ATOLL_OS_OS_H

#include "base/bytes.h"
#include "base/status.h"

struct os;

/* The real machine. (The simulator makes its own with sim/ calls.) */
struct os *os_create(void);
void os_destroy(struct os *os);

/* Milliseconds since 1970; may jump either way. */
uint64_t os_wall_ms(struct os *os);
uint64_t os_wall_ns(struct os *os);
/* Nanoseconds since some fixed point; never goes back. */
uint64_t os_mono_ns(struct os *os);
/* Fill with unpredictable bytes. */
void os_entropy(struct os *os, void *ret_bytes, size_t len);

/* Processors this process may run on, 1.. */
uint32_t os_cpu_count(struct os *os);
/* Resident memory and processor time of this process, for metrics. */
uint64_t os_resident_bytes(struct os *os);
uint64_t os_cpu_us(struct os *os);
uint64_t os_process_id(struct os *os);
/* The environment variable of this name, valid for ever; NULL if it is not set. */
const char *os_environment(struct os *os, const char *name);
/* Largest number of open descriptors; raises the soft limit to the hard one. */
uint32_t os_descriptors_max(struct os *os);

/* Write one log line to standard error, with time and level: a base/log.h sink. */
enum log_level;
void os_log_sink(enum log_level level, const char *line);

/* End the process at once with this message on standard error, exit code 70:
 * for effects that cannot be known, such as a failed sync. */
_Noreturn void os_die(const char *message);

#endif

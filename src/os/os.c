#include "os/os_internal.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define EXIT_DIED 70        /* EX_SOFTWARE in sysexits.h */
#define CPUS_MAX 4096       /* processors a mask can name */
#define LOG_STAMP_BYTES 72u /* all but the line and its NUL, in JSON too */
#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

struct os *os_create(void) {
    struct os *os = mem_alloc_zeroed(sizeof *os);
    os->watches = mem_alloc_zeroed(OS_DESCRIPTORS_MAX * sizeof *os->watches);
    ASSERT(os->watches != NULL);
    return os;
}

void os_destroy(struct os *os) {
    if (os == NULL) return;
    ASSERT(os->watches != NULL);
    mem_free(os->watches);
    mem_free(os);
}

struct watch *os_watch_of(struct os *os, int32_t handle) {
    ASSERT(os != NULL);
    ASSERT(handle >= 0);
    ASSERT((uint32_t)handle < OS_DESCRIPTORS_MAX);
    return &os->watches[handle];
}

struct status os_status_of_errno(int number) {
    ASSERT(number != 0);
    switch (number) {
    case ENOSPC:
    case EDQUOT: return status_of(ST_FULL);
    case ENOENT: return status_of(ST_NOT_FOUND);
    default: return status_of(ST_IO);
    }
}

static uint64_t read_clock(clockid_t clock) {
    struct timespec now;
    const int failed = clock_gettime(clock, &now);
    ASSERT(failed == 0);
    ASSERT(now.tv_sec >= 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t os_wall_ns(struct os *os) {
    ASSERT(os != NULL);
    return read_clock(CLOCK_REALTIME);
}

uint64_t os_wall_ms(struct os *os) {
    return os_wall_ns(os) / NS_PER_MS;
}

uint64_t os_mono_ns(struct os *os) {
    ASSERT(os != NULL);
    return read_clock(CLOCK_MONOTONIC);
}

void os_entropy(struct os *os, void *ret_bytes, size_t len) {
    ASSERT(os != NULL);
    ASSERT(ret_bytes != NULL || len == 0);
    uint8_t *next = ret_bytes;
    while (len > 0) {
        const ssize_t got = getrandom(next, len, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) os_die("no entropy from the kernel");
        next += got;
        len -= (size_t)got;
    }
}

uint32_t os_cpu_count(struct os *os) {
    ASSERT(os != NULL);
    cpu_set_t *mask = CPU_ALLOC(CPUS_MAX);
    ASSERT(mask != NULL);
    const size_t mask_bytes = CPU_ALLOC_SIZE(CPUS_MAX);
    const int failed = sched_getaffinity(0, mask_bytes, mask);
    const int count = failed ? 1 : CPU_COUNT_S(mask_bytes, mask);
    CPU_FREE(mask);
    return count < 1 ? 1 : (uint32_t)count;
}

/* The second word of /proc/self/statm is the resident pages (proc(5)). */
uint64_t os_resident_bytes(struct os *os) {
    ASSERT(os != NULL);
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char text[128];
    const ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0) return 0;

    text[len] = '\0';
    unsigned long long pages = 0;
    if (sscanf(text, "%*u %llu", &pages) != 1) return 0;
    const long page_bytes = sysconf(_SC_PAGESIZE);
    ASSERT(page_bytes > 0);
    return (uint64_t)pages * (uint64_t)page_bytes;
}

uint64_t os_process_id(struct os *os) {
    ASSERT(os != NULL);
    return (uint64_t)getpid();
}

uint64_t os_cpu_us(struct os *os) {
    ASSERT(os != NULL);
    return read_clock(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}

const char *os_environment(struct os *os, const char *name) {
    ASSERT(os != NULL);
    ASSERT(name != NULL);
    return getenv(name);
}

uint32_t os_descriptors_max(struct os *os) {
    ASSERT(os != NULL);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    /* The table of watches ends at OS_DESCRIPTORS_MAX: never hold more. */
    rlim_t wanted = limit.rlim_max < OS_DESCRIPTORS_MAX ? limit.rlim_max : OS_DESCRIPTORS_MAX;
    if (wanted != limit.rlim_cur) {
        const struct rlimit raised = { .rlim_cur = wanted, .rlim_max = limit.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &raised) != 0) wanted = limit.rlim_cur;
    }
    return wanted < OS_DESCRIPTORS_MAX ? (uint32_t)wanted : OS_DESCRIPTORS_MAX;
}

/* Standard error, all of it or as much as it takes: nobody can be told. */
static void write_stderr(const char *text, size_t len) {
    ssize_t done;
    do {
        done = write(STDERR_FILENO, text, len);
    } while (done < 0 && errno == EINTR);
}

void os_log_sink(enum log_level level, const char *line) {
    ASSERT(line != NULL);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm utc;
    gmtime_r(&now.tv_sec, &utc);

    /* One buffer and one write, so that lines of two threads never mix. */
    char stamp[LOG_STAMP_BYTES], text[LOG_STAMP_BYTES + LOG_BODY_BYTES_MAX];
    const size_t len_stamp = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    ASSERT(len_stamp > 0);
    static const char *const text_names[LOG_LEVELS] = { "DEBUG", "INFO", "WARN", "ERROR" };
    const long ms = now.tv_nsec / (long)NS_PER_MS;
    const int len =
        log_format_now() == LOG_JSON
            ? snprintf(text, sizeof text, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",%s}\n", stamp,
                       ms, log_level_name(level), line)
            : snprintf(text, sizeof text, "%s.%03ldZ %s %s\n", stamp, ms, text_names[level], line);
    ASSERT(len > 0 && (size_t)len < sizeof text);
    write_stderr(text, (size_t)len);
}

_Noreturn void os_die(const char *message) {
    ASSERT(message != NULL);
    if (log_format_now() == LOG_JSON) {
        log_error("%s", message);
        _exit(EXIT_DIED);
    }
    char text[LOG_LINE_BYTES_MAX];
    const int len = snprintf(text, sizeof text, "atoll: %s\n", message);
    if (len > 0) write_stderr(text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
    _exit(EXIT_DIED);
}

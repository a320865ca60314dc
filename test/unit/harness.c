/* harness.c - the main() of every unit test binary.
 *
 *   test_unit [--list] [--share K/N] [--after suite.name] [SUBSTRING...]
 *
 * Runs the tests whose name holds one of the substrings, or all; with a share, every Nth of these,
 * beginning with the Kth, so that N processes run them all. The exit code is 0 when none failed. TEST_SECONDS and SEED come from the environment. */
#include "harness.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEED_DEFAULT UINT64_C(0xa7011)
#define SECONDS_DEFAULT 60u
#define BYTES_SHOWN_MAX 48u

static struct test_case *test_first;     /* every test; sorted by main() */
static size_t test_count;                /* length of that list */
static const struct test_case *test_now; /* the one that runs, for handlers */
static bool test_done;                   /* its body ran to the end */
static bool test_leaks;                  /* what it loses is not looked for */
static bool test_seeded;                 /* it has asked for the seed */
static char test_dir[256];               /* its folder, or empty */
static pid_t test_child;                 /* of the last test_fork() */

/* cmocka takes these for itself and would hide a sanitizer's report. */
static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS };
#define FATAL_SIGNALS (sizeof fatal_signals / sizeof *fatal_signals)
static struct sigaction fatal_actions[FATAL_SIGNALS];

void test_add(struct test_case *t) {
    t->next = test_first;
    test_first = t;
    test_count++;
}

static uint64_t seed(void) {
    const char *text = getenv("SEED");
    return text == NULL || *text == '\0' ? SEED_DEFAULT : strtoull(text, NULL, 0);
}

uint64_t test_seed(void) {
    test_seeded = true;
    return seed();
}

static void print_seed(void) {
    if (!test_seeded) return;
    fprintf(stderr, "replay with SEED=0x%llx\n", (unsigned long long)seed());
}

const char *test_tmpdir(void) {
    if (test_dir[0] != '\0') return test_dir;
    const char *parent = getenv("TMPDIR");
    snprintf(test_dir, sizeof test_dir, "%s/atoll-test-XXXXXX", parent == NULL ? "/tmp" : parent);
    if (mkdtemp(test_dir) == NULL) {
        test_dir[0] = '\0';
        fail_msg("no temporary folder under %s", parent == NULL ? "/tmp" : parent);
    }
    return test_dir;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void remove_tmpdir(void) {
    if (test_dir[0] == '\0') return;
    nftw(test_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    test_dir[0] = '\0';
}

void test_check(bool holds, const char *what, const char *file, int line) {
    if (holds) return;
    print_error("not so: %s\n", what);
    _fail(file, line);
}

void test_check_eq(uint64_t a, uint64_t b, const char *a_text, const char *b_text, const char *file,
                   int line) {
    if (a == b) return;
    print_error("not equal:\n  %lld (0x%llx) is %s\n  %lld (0x%llx) is %s\n", (long long)a,
                (unsigned long long)a, a_text, (long long)b, (unsigned long long)b, b_text);
    _fail(file, line);
}

static void print_bytes(const uint8_t *ptr, size_t len, size_t from) {
    char text[BYTES_SHOWN_MAX * 4 + 1];
    size_t fill = 0;
    text[0] = '\0';
    for (size_t i = from; i < len && i < from + BYTES_SHOWN_MAX; i++) {
        const bool plain = ptr[i] >= ' ' && ptr[i] < 127 && ptr[i] != '\\';
        fill += (size_t)snprintf(text + fill, sizeof text - fill, plain ? "%c" : "\\x%02x", ptr[i]);
    }
    print_error("  %zu bytes, from %zu: \"%s\"\n", len, from, text);
}

void test_check_bytes(const void *a, size_t a_len, const void *b, size_t b_len, const char *what,
                      const char *file, int line) {
    const uint8_t *left = a;
    const uint8_t *right = b;
    size_t same = 0;
    while (same < a_len && same < b_len && left[same] == right[same]) same++;
    if (same == a_len && same == b_len) return;
    print_error("not so: %s; they differ at byte %zu\n", what, same);
    const size_t from = same > 8 ? same - 8 : 0;
    print_bytes(left, a_len, from);
    print_bytes(right, b_len, from);
    _fail(file, line);
}

bool test_fork(void) {
    fflush(NULL);
    test_child = fork();
    if (test_child < 0) fail_msg("fork");
    if (test_child > 0) return false;
    signal(SIGABRT, SIG_DFL);
    const struct rlimit no_core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &no_core);
    if (freopen("/dev/null", "w", stderr) == NULL) _exit(1);
    return true;
}

void test_child_lives(void) {
    _exit(0);
}

void test_check_aborted(const char *what, const char *file, int line) {
    int status = 0;
    if (waitpid(test_child, &status, 0) != test_child) fail_msg("waitpid");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) return;
    print_error("did not abort: %s\n", what);
    _fail(file, line);
}

void test_skip(const char *why, const char *file, int line) {
    print_message("%s:%d: skipped: %s\n", file, line, why);
    test_done = true;
    _skip(file, line);
    abort();
}

/* Say which test it was; the default action then ends the process. */
static void on_stop(int number) {
    fprintf(stderr, "%s: %s\n", test_now == NULL ? "?" : test_now->name,
            number == SIGALRM ? "not done in TEST_SECONDS" : "aborted");
    print_seed();
    signal(number, SIG_DFL);
    raise(number);
}

static void run_one(void **state) {
    for (size_t i = 0; i < FATAL_SIGNALS; i++) {
        sigaction(fatal_signals[i], &fatal_actions[i], NULL);
    }
    const char *seconds = getenv("TEST_SECONDS");
    test_now = *state;
    test_done = false;
    test_seeded = false;
    alarm(seconds == NULL ? SECONDS_DEFAULT : (unsigned)strtoul(seconds, NULL, 10));
    test_now->run();
    test_done = true;
}

/* Of LeakSanitizer, if that is there. */
extern void __lsan_disable(void) __attribute__((weak));
extern void __lsan_enable(void) __attribute__((weak));

void test_may_leak(void) {
    if (test_leaks || __lsan_disable == NULL) return;
    __lsan_disable();
    test_leaks = true;
}

static int end_one(void **state) {
    (void)state;
    alarm(0);
    if (test_leaks) __lsan_enable();
    test_leaks = false;
    if (!test_done) print_seed();
    remove_tmpdir();
    return 0;
}

static int by_name(const void *a, const void *b) {
    const struct test_case *const *left = a;
    const struct test_case *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* Which tests to run. */
struct choice {
    bool list;         /* name them only */
    const char *after; /* those behind this name; NULL = all */
    unsigned share;    /* 1..shares */
    unsigned shares;   /* between how many processes they are split */
    char **parts;      /* one of which a name must hold */
    int parts_count;   /* 0 = any name will do */
};

static bool wanted(const char *name, const struct choice *c) {
    if (c->parts_count == 0) return true;
    for (int i = 0; i < c->parts_count; i++) {
        if (strstr(name, c->parts[i]) != NULL) return true;
    }
    return false;
}

/* In order of name. Shares are the same whatever `after` is. */
static size_t choose(const struct choice *c, struct test_case **ret_tests) {
    size_t all = 0, count = 0;
    for (struct test_case *t = test_first; t != NULL; t = t->next) {
        if (wanted(t->name, c)) ret_tests[all++] = t;
    }
    qsort(ret_tests, all, sizeof *ret_tests, by_name);
    for (size_t i = c->share - 1; i < all; i += c->shares) {
        if (c->after != NULL && strcmp(ret_tests[i]->name, c->after) <= 0) continue;
        ret_tests[count++] = ret_tests[i];
    }
    return count;
}

static bool parse(int argc, char **argv, struct choice *c) {
    int next = 1;
    *c = (struct choice){ .share = 1, .shares = 1 };
    for (; next < argc && strncmp(argv[next], "--", 2) == 0; next++) {
        if (strcmp(argv[next], "--list") == 0)
            c->list = true;
        else if (strcmp(argv[next], "--after") == 0 && next + 1 < argc)
            c->after = argv[++next];
        else if (strcmp(argv[next], "--share") != 0 || next + 1 == argc ||
                 sscanf(argv[++next], "%u/%u", &c->share, &c->shares) != 2)
            return false;
    }
    c->parts = argv + next;
    c->parts_count = argc - next;
    return c->share >= 1 && c->share <= c->shares;
}

int main(int argc, char **argv) {
    struct choice chosen;
    if (!parse(argc, argv, &chosen)) {
        fprintf(stderr, "%s [--list] [--share K/N] [--after NAME] [SUBSTRING...]\n", argv[0]);
        return 2;
    }

    struct test_case **tests = calloc(test_count + 1, sizeof *tests);
    struct CMUnitTest *units = calloc(test_count + 1, sizeof *units);
    if (tests == NULL || units == NULL) return 2;
    const size_t count = choose(&chosen, tests);
    for (size_t i = 0; i < count; i++) {
        if (chosen.list) puts(tests[i]->name);
        units[i] = (struct CMUnitTest){ tests[i]->name, run_one, NULL, end_one, tests[i] };
    }

    int failed = 0;
    if (!chosen.list && count > 0) {
        signal(SIGABRT, on_stop);
        signal(SIGALRM, on_stop);
        for (size_t i = 0; i < FATAL_SIGNALS; i++) {
            sigaction(fatal_signals[i], NULL, &fatal_actions[i]);
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        failed = _cmocka_run_group_tests("unit", units, count, NULL, NULL);
    }
    free(tests);
    free(units);
    return failed == 0 ? 0 : 1;
}

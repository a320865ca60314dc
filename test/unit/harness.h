/* harness.h - write a unit test and it runs: nothing to register.
 *
 * TEST(suite, name) { ... } adds itself to the list before main(). The binary
 * runs the tests sorted by suite.name through cmocka; see harness.c for its
 * arguments. A check that fails ends its test and the next test runs.
 *
 * Lifecycle  the temporary folder of a test is removed when the test ends
 * Owner      one thread; checks belong to the thread that runs the test
 * Memory     a failed check leaves by longjmp: what the test allocated stays
 * Failure    a crash, an ASSERT or TEST_SECONDS (60) without an end stops the
 *            binary and names the test; `--after suite.name` runs the rest
 */
#ifndef TEST_HARNESS_H
#define TEST_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_case {
    const char *name;       /* "suite.name" */
    void (*run)(void);      /* the body of the test */
    struct test_case *next; /* in the list of all tests */
};

/* Define and register a test. */
#define TEST(suite, name)                                                                 \
    static void test_##suite##_##name(void);                                              \
    static struct test_case test_case_##suite##_##name = { #suite "." #name,              \
                                                           test_##suite##_##name, NULL }; \
    __attribute__((constructor)) static void test_add_##suite##_##name(void) {            \
        test_add(&test_case_##suite##_##name);                                            \
    }                                                                                     \
    static void test_##suite##_##name(void)

/* Fail this test unless `cond` holds. */
#define CHECK(cond) test_check((cond) ? true : false, #cond, __FILE__, __LINE__)

/* Fail this test unless two integers of any types are the same number. */
#define CHECK_EQ(a, b) test_check_eq((uint64_t)(a), (uint64_t)(b), #a, #b, __FILE__, __LINE__)

/* Fail this test unless two `struct bytes` hold the same bytes. */
#define CHECK_BYTES(a, b)                                                                  \
    do {                                                                                   \
        __auto_type test_a_ = (a);                                                         \
        __auto_type test_b_ = (b);                                                         \
        test_check_bytes(test_a_.ptr, test_a_.len, test_b_.ptr, test_b_.len, #a " == " #b, \
                         __FILE__, __LINE__);                                              \
    } while (0)

/* Fail this test unless the `struct status` has the code `st`. */
#define CHECK_STATUS(call, st) \
    test_check_eq((uint64_t)(call).code, (uint64_t)(st), #call, #st, __FILE__, __LINE__)

/* Fail this test unless the `struct status` is ST_OK. */
#define CHECK_OK(call) CHECK_STATUS(call, ST_OK)

/* Fail this test unless `statement` stops the process, as an ASSERT does. It
 * runs in a child process, so that its effects are lost. */
#define CHECK_ABORTS(statement)                             \
    do {                                                    \
        if (test_fork()) {                                  \
            statement;                                      \
            test_child_lives();                             \
        }                                                   \
        test_check_aborted(#statement, __FILE__, __LINE__); \
    } while (0)

/* End this test as neither passed nor failed. */
#define SKIP(why) test_skip(why, __FILE__, __LINE__)

/* The seed for this test's random input: SEED from the environment, else a
 * fixed number. Printed when the test fails. */
uint64_t test_seed(void);

/* A new empty folder, removed with all it holds when the test ends. */
const char *test_tmpdir(void);

/* What this test allocates from here on may be lost: it crashes nodes, which give nothing back. */
void test_may_leak(void);

/* What the macros above expand to. */
void test_add(struct test_case *t);
void test_check(bool holds, const char *what, const char *file, int line);
void test_check_eq(uint64_t a, uint64_t b, const char *a_text, const char *b_text, const char *file,
                   int line);
void test_check_bytes(const void *a, size_t a_len, const void *b, size_t b_len, const char *what,
                      const char *file, int line);
bool test_fork(void); /* true in the child */
_Noreturn void test_child_lives(void);
void test_check_aborted(const char *what, const char *file, int line);
_Noreturn void test_skip(const char *why, const char *file, int line);

#endif

/* assert.h - assertions that stay on in release builds.
 *
 * A bug in our own code ends the process at once with file and line; it is
 * never used for bad bytes, bad peers or full disks, which are a status.
 */
#ifndef ATOLL_BASE_ASSERT_H
#define ATOLL_BASE_ASSERT_H

#include <assert.h>

/* Print the failed condition and abort. Never returns. */
_Noreturn void assert_failed(const char *condition, const char *file, int line);

#define ASSERT(condition)                                                                     \
    do {                                                                                      \
        if (__builtin_expect(!(condition), 0)) assert_failed(#condition, __FILE__, __LINE__); \
    } while (0)

#endif

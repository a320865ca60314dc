#include "base/mem.h"

#include "base/assert.h"

#include <stdbool.h>
#include <stdlib.h>

#ifdef ATOLL_JEMALLOC
/* Read by jemalloc when the program starts. An arena a core, not four: merges allocate on whatever
 * thread is free, and what each arena keeps in fragments adds up. */
extern const char *malloc_conf;
const char *malloc_conf = "percpu_arena:percpu";
#endif

void *mem_alloc(size_t bytes) {
    if (bytes == 0) return NULL;
    void *p = malloc(bytes);
    ASSERT(p != NULL);
    return p;
}

void *mem_alloc_zeroed(size_t bytes) {
    if (bytes == 0) return NULL;
    void *p = calloc(1, bytes);
    ASSERT(p != NULL);
    return p;
}

void *mem_realloc(void *old, size_t bytes) {
    if (bytes == 0) {
        mem_free(old);
        return NULL;
    }
    void *p = realloc(old, bytes);
    ASSERT(p != NULL);
    return p;
}

void *mem_alloc_aligned(size_t align, size_t bytes) {
    const bool power_of_two = align != 0 && (align & (align - 1)) == 0;
    ASSERT(power_of_two);
    if (bytes == 0) return NULL;

    void *p = NULL;
    const size_t align_used = align < sizeof(void *) ? sizeof(void *) : align;
    const int failed = posix_memalign(&p, align_used, bytes);
    ASSERT(failed == 0);
    ASSERT(p != NULL);
    return p;
}

void mem_free(void *p) {
    free(p);
}

/* mem.h - the allocator. The only place that calls malloc.
 *
 * Running out of memory is a bug in a budget, so it ends the process; callers
 * never see NULL (but for bytes = 0).
 */
#ifndef ATOLL_BASE_MEM_H
#define ATOLL_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t bytes);
void *mem_alloc_zeroed(size_t bytes);
void *mem_realloc(void *old, size_t bytes);
/* `align` is a power of two; free with mem_free. */
void *mem_alloc_aligned(size_t align, size_t bytes);
void mem_free(void *p);

#endif

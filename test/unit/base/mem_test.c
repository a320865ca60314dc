#include "base/mem.h"

#include "harness.h"

/* No bytes are no memory, in each of the calls. */
TEST(mem, zero_bytes_is_null) {
    CHECK(mem_alloc(0) == NULL);
    CHECK(mem_alloc_zeroed(0) == NULL);
    CHECK(mem_alloc_aligned(64, 0) == NULL);
    CHECK(mem_realloc(mem_alloc(10), 0) == NULL);
    mem_free(NULL);
}

/* Memory is aligned and zeroed as asked. */
TEST(mem, aligned_and_zeroed) {
    for (size_t align = 1; align <= 4096; align *= 2) {
        void *p = mem_alloc_aligned(align, 100);
        CHECK_EQ((uintptr_t)p % align, 0);
        mem_free(p);
    }
    uint8_t *zeroed = mem_alloc_zeroed(1000);
    for (size_t i = 0; i < 1000; i++) CHECK_EQ(zeroed[i], 0);
    mem_free(zeroed);
    CHECK_ABORTS((void)mem_alloc_aligned(3, 8));
}

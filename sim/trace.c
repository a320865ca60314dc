#include "sim/trace.h"

#include "base/assert.h"
#include "base/hash.h"

void sim_trace_add(struct sim_trace *t, const void *bytes, size_t len) {
    ASSERT(bytes != NULL || len == 0);
    if (t == NULL) return;
    t->hash = hash_seeded(bytes_of(bytes, len), t->hash);
    t->count++;
    ASSERT(t->count != 0);
}

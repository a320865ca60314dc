/* Any bytes as the body of a record: what is decoded can be encoded, and comes back
 * the same. The input lies in a heap block of its exact size. */
#include "base/assert.h"
#include "base/mem.h"
#include "storage/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct record *a, const struct record *b) {
    ASSERT(ballot_compare(a->ballot, b->ballot) == 0);
    ASSERT(a->flags == b->flags);
    ASSERT(a->expires_at_ms == b->expires_at_ms);
    ASSERT(a->op.high == b->op.high);
    ASSERT(a->op.low == b->op.low);
    ASSERT(bytes_equal(a->value, b->value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *exact = mem_alloc(size == 0 ? 1 : size);
    if (size > 0) memcpy(exact, data, size);
    struct record r = { .ikey = BYTES_LIT("\x00\x00k") };
    if (status_ok(record_body_decode(bytes_of(size == 0 ? NULL : exact, size), &r))) {
        ASSERT(record_check(&r));
        const size_t len = record_body_len(&r);
        ASSERT(len <= size); /* equal, but for numbers written longer than need be */
        uint8_t *body = mem_alloc(len + RECORD_HEAD_BYTES_MAX);
        const size_t head = record_head_encode(&r, body);
        ASSERT(head + r.value.len == len);
        if (r.value.len > 0) memcpy(body + head, r.value.ptr, r.value.len);
        struct record back = { .ikey = r.ikey };
        ASSERT(status_ok(record_body_decode(bytes_of(body, len), &back)));
        check_same(&r, &back);
        mem_free(body);
    }
    mem_free(exact);
    return 0;
}

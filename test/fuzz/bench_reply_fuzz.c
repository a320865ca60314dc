/* Replies of any bytes: counted the same wherever they are cut, and nothing is
 * touched outside the input. The first byte chooses protocol and cut. */
#include "cli/bench_reply.h"

#include "base/assert.h"

static uint64_t run(enum workload_protocol protocol, struct bytes in, size_t step) {
    struct bench_reply r;
    uint64_t digest = 0;
    bench_reply_init(&r, protocol);
    while (in.len > 0) {
        struct bytes piece = bytes_of(in.ptr, in.len < step ? in.len : step);
        in = bytes_of(in.ptr + piece.len, in.len - piece.len);
        while (piece.len > 0) {
            size_t used = 0;
            enum bench_result result = BENCH_HIT;
            const struct status s = bench_reply_next(&r, piece, &used, &result);
            if (s.code == ST_CORRUPT) return digest * 31 + 7;
            ASSERT(used > 0);
            ASSERT(used <= piece.len);
            piece = bytes_of(piece.ptr + used, piece.len - used);
            if (status_ok(s)) digest = digest * 31 + 1 + (uint64_t)result;
        }
    }
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > BENCH_LINE_BYTES) return 0; /* longer lines are refused when cut */
    const enum workload_protocol protocol = data[0] & 1 ? WORKLOAD_HTTP : WORKLOAD_RESP;
    const struct bytes in = bytes_of(data + 1, size - 1);
    const uint64_t whole = run(protocol, in, in.len);
    ASSERT(whole == run(protocol, in, (size_t)(data[0] >> 1) % 16 + 1));
    return 0;
}

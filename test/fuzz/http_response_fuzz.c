/* Whatever a server sends, and wherever the network cuts it, the events are the same
 * and no byte outside the input is touched. */
#include "cli/http_response.h"

#include "base/assert.h"
#include "base/hash.h"

#define LINE_BYTES 512u

/* A digest of what the parser said about `in`, given in pieces of `step` bytes. */
static uint64_t run(struct bytes in, size_t step, struct status *ret_status) {
    char line[LINE_BYTES];
    struct http_response r;
    uint64_t digest = 0;
    http_response_init(&r, line, sizeof line);
    *ret_status = status_of(ST_OK);
    while (in.len > 0) {
        struct bytes piece = bytes_of(in.ptr, in.len < step ? in.len : step);
        in = bytes_of(in.ptr + piece.len, in.len - piece.len);
        struct http_response_item item;
        do {
            size_t used = 0;
            *ret_status = http_response_next(&r, piece, &used, &item);
            ASSERT(http_response_check(&r));
            if (!status_ok(*ret_status)) return 0;
            piece = bytes_of(piece.ptr + used, piece.len - used);
            for (size_t i = 0; i < item.value.len; i++) digest = digest * 31 + item.value.ptr[i];
            if (item.event != HTTP_RESPONSE_MORE && item.event != HTTP_RESPONSE_BODY)
                digest = digest * 31 + 256 + (uint64_t)item.event;
        } while (item.event != HTTP_RESPONSE_MORE);
        ASSERT(piece.len == 0);
    }
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct status whole, cut;
    if (size < 2) return 0;
    const struct bytes in = bytes_of(data + 1, size - 1);
    const uint64_t digest = run(in, in.len, &whole);
    const uint64_t digest_cut = run(in, (size_t)data[0] % 64 + 1, &cut);
    /* A line longer than the room is refused only where it is cut. */
    bool long_line = false;
    size_t line_len = 0;
    for (size_t i = 0; i < in.len; i++) {
        line_len = in.ptr[i] == '\n' ? 0 : line_len + 1;
        long_line |= line_len >= LINE_BYTES;
    }
    if (long_line) return 0;
    ASSERT(whole.code == cut.code);
    ASSERT(digest == digest_cut);
    return 0;
}

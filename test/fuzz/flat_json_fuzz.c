/* Any bytes as a flat object: the same pairs and the same end, whole or in pieces, and a pair
 * that was read is the same when it is written and read again. */
#include "proto/flat_json.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct flat_json_pair *pair) {
    struct buffer out;
    struct flat_json f;
    struct flat_json_pair again;
    size_t used = 0;
    buffer_init(&out, 1u << 24);
    buffer_append_u8(&out, '{');
    flat_json_append(&out, pair);
    buffer_append_u8(&out, '}');
    flat_json_init(&f);
    const struct status s = flat_json_next(&f, buffer_bytes(&out), true, &used, &again);
    ASSERT(status_ok(s));
    ASSERT(used + 1 == buffer_len(&out));
    ASSERT(bytes_equal(again.key, pair->key));
    ASSERT(bytes_equal(again.value, pair->value));
    ASSERT(again.expires_at_ms == pair->expires_at_ms);
    flat_json_deinit(&f);
    buffer_deinit(&out);
}

/* A sum over all pairs and the end. */
static uint32_t run(const uint8_t *data, size_t size, size_t piece) {
    struct flat_json f;
    size_t from = 0, have = piece < size ? piece : size;
    uint32_t sum = 0;
    flat_json_init(&f);
    for (;;) {
        /* A copy that ends at its last byte. */
        uint8_t *copy = mem_alloc(have - from + 1);
        struct flat_json_pair pair;
        size_t used = 0;
        memcpy(copy + 1, data + from, have - from);
        const struct status s =
            flat_json_next(&f, bytes_of(copy + 1, have - from), have == size, &used, &pair);
        mem_free(copy);
        if (s.code != ST_OK && s.code != ST_WAIT) {
            flat_json_deinit(&f);
            return crc32c(sum, bytes_of(&s.code, sizeof s.code)) + (uint32_t)f.line;
        }
        ASSERT(used <= have - from);
        from += used;
        if (s.code == ST_WAIT) {
            ASSERT(have < size);
            have = have + piece < size ? have + piece : size;
            continue;
        }
        sum = crc32c(crc32c(sum, pair.key), pair.value);
        check_again(&pair);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const size_t piece = 1 + data[0];
    const uint32_t whole = run(data + 1, size - 1, size);
    ASSERT(run(data + 1, size - 1, piece) == whole);
    return 0;
}

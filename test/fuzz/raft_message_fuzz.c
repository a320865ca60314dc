/* Any bytes as a message between Raft nodes. What decodes obeys the rules of its kind, every
 * view is readable to its end, and it encodes to the same bytes. */
#include "base/assert.h"
#include "base/mem.h"
#include "raft/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];

static void touch(struct bytes view) {
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < view.len; i++) sum ^= view.ptr[i];
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* The bytes end where the block ends, so that a read behind them is seen. */
    uint8_t *exact = mem_alloc(size);
    if (size > 0) memcpy(exact, data, size);
    const struct bytes in = bytes_of(exact, size);
    struct raft_message m;
    const struct status s = raft_message_decode(in, entries, &m);
    if (status_ok(s)) {
        struct buffer out;
        ASSERT(raft_message_check(&m));
        ASSERT(m.entry_count <= RAFT_MESSAGE_ENTRIES_MAX);
        for (uint32_t i = 0; i < m.entry_count; i++) touch(m.entries[i].data);
        touch(m.config);
        touch(m.data);
        buffer_init(&out, RAFT_MESSAGE_BYTES_MAX);
        raft_message_encode(&m, &out);
        ASSERT(!out.overflowed);
        ASSERT(bytes_equal(buffer_bytes(&out), in));
        buffer_deinit(&out);
    } else {
        ASSERT(s.code == ST_CORRUPT);
    }
    mem_free(exact);
    return 0;
}

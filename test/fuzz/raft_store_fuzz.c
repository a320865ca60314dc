/* Any bytes as a file of the raft store. The first byte chooses: 0 = as they are, else header and
 * records get right checksums first, so that what lies behind them is reached too. What loads
 * obeys the rules, and written anew it is the same. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "control/raft_store_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct raft_store_identity identity = { 9, 0x5a17 };

static void touch(struct bytes view) {
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < view.len; i++) sum ^= view.ptr[i];
    (void)sum;
}

/* Make the header right, and every record that fits; the last one may be what is left. */
static void mend(uint8_t *p, size_t size) {
    if (size <= RAFT_STORE_HEADER_BYTES) return;
    const uint64_t head_bytes = get_u64_le(p + 16) % (size + 1);
    const struct raft_store_header h = { identity, head_bytes > RAFT_STORE_HEADER_BYTES
                                                       ? head_bytes
                                                       : RAFT_STORE_HEADER_BYTES + 1 };
    raft_store_header_encode(&h, p);
    size_t at = RAFT_STORE_HEADER_BYTES;
    while (size - at > RAFT_STORE_RECORD_HEADER_BYTES) {
        const uint32_t length = get_u32_le(p + at + 4);
        const size_t left = size - at - RAFT_STORE_RECORD_HEADER_BYTES;
        if (length == 0 || length > left) return;
        const size_t len = RAFT_STORE_RECORD_HEADER_BYTES + length;
        /* A seal too short to hold its offset is left as it is. */
        const bool seal = get_u32_le(p + at + 8) == RAFT_STORE_SEAL;
        if (!seal || length >= 8) raft_store_finish(identity, at, p + at, len);
        at += len;
    }
}

static void check_content(const struct raft_store_restored *c) {
    ASSERT(c->owner.member > 0);
    ASSERT(c->applied >= c->snapshot.index);
    ASSERT(c->applied <= c->snapshot.index + c->entry_count);
    ASSERT((c->snapshot.index == 0) == (c->snapshot.config.len == 0));
    touch(c->snapshot.config);
    touch(c->snapshot.data);
    uint64_t term = c->snapshot.term;
    for (size_t i = 0; i < c->entry_count; i++) {
        ASSERT(c->entries[i].index == c->snapshot.index + 1 + i);
        ASSERT(c->entries[i].term >= term);
        ASSERT(c->entries[i].data.len <= RAFT_ENTRY_BYTES_MAX);
        term = c->entries[i].term;
        touch(c->entries[i].data);
    }
}

/* Written anew it loads to its end, and writing that gives the same bytes. */
static void check_again(const struct raft_store_restored *c) {
    struct buffer first, second;
    struct raft_store_header header;
    struct raft_store_restored back;
    struct raft_store_fault fault;
    const size_t len = raft_store_content_bytes(c);
    buffer_init(&first, len);
    buffer_init(&second, len);
    raft_store_content_encode(c, identity, &first);
    const struct status s =
        raft_store_load(buffer_bytes(&first), identity.number, &header, &back, &fault);
    ASSERT(status_ok(s));
    ASSERT(fault.offset == len && header.head_bytes == len);
    raft_store_content_encode(&back, identity, &second);
    ASSERT(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    raft_store_restored_deinit(&back);
    buffer_deinit(&first);
    buffer_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const size_t len = size - 1;
    /* The bytes end where the block ends, so that a read behind them is seen. */
    uint8_t *exact = mem_alloc(len);
    memcpy(exact, data + 1, len);
    if (data[0] != 0) mend(exact, len);
    const struct bytes in = bytes_of(exact, len);
    struct raft_store_header header;
    struct raft_store_restored c;
    struct raft_store_fault fault;
    const struct status s = raft_store_load(in, identity.number, &header, &c, &fault);
    ASSERT(fault.offset <= len);
    if (status_ok(s)) {
        ASSERT(header.head_bytes <= fault.offset);
        check_content(&c);
        check_again(&c);
        raft_store_restored_deinit(&c);
    } else {
        ASSERT(s.code == ST_CORRUPT);
        ASSERT(fault.what != NULL);
    }
    mem_free(exact);
    return 0;
}

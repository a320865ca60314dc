/* Any bytes as a piece of a log. The first byte chooses: 0 = decode as they are, else
 * put a right checksum on them first, so that what lies behind it is reached too. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "storage/wal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wal_identity identity = { 1, 0x5a17 };

/* Give the record at the start of `p` a length that fits, this segment's marker and
 * a right checksum. */
static void mend(uint8_t *p, size_t size) {
    if (size <= WAL_RECORD_HEADER_BYTES) return;
    uint8_t seed[12];
    put_u64_le(seed, identity.number);
    put_u32_le(seed + 8, identity.salt);
    put_u32_le(p + 4, (uint32_t)(size - WAL_RECORD_HEADER_BYTES));
    put_u32_le(p + 8, (uint32_t)identity.number);
    const uint32_t crc = crc32c(0, bytes_of(seed, sizeof seed));
    put_u32_le(p, crc32c(crc, bytes_of(p + 4, size - 4)));
}

static void check_record(struct bytes in, const struct wal_record *r, size_t len) {
    ASSERT(len > WAL_RECORD_HEADER_BYTES);
    ASSERT(len <= in.len);
    if (r->kind == WAL_KIND_BATCH) {
        ASSERT(len == WAL_BATCH_BYTES);
        ASSERT(r->batch.durable <= r->batch.previous);
        uint8_t again[WAL_BATCH_BYTES];
        wal_batch_encode(identity, r->batch, again);
        ASSERT(memcmp(again, in.ptr, len) == 0);
        return;
    }
    ASSERT(r->kind == WAL_KIND_RECORD);
    ASSERT(record_check(&r->record));
    const size_t again_len = wal_record_len(&r->record);
    ASSERT(again_len <= len);
    uint8_t *again = mem_alloc(again_len);
    wal_record_encode(identity, &r->record, again, again_len);
    struct wal_record back;
    size_t back_len;
    ASSERT(status_ok(wal_record_decode(bytes_of(again, again_len), identity, &back, &back_len)));
    ASSERT(back_len == again_len);
    ASSERT(bytes_equal(back.record.value, r->record.value));
    mem_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const size_t len = size - 1;
    uint8_t *exact = mem_alloc(len);
    memcpy(exact, data + 1, len);
    if (data[0] != 0) mend(exact, len);

    const struct bytes in = bytes_of(exact, len);
    struct wal_record r;
    size_t took = 0;
    if (status_ok(wal_record_decode(in, identity, &r, &took))) check_record(in, &r, took);
    struct wal_batch_mark mark;
    const size_t at = wal_batch_find(in, 0, identity, &mark);
    ASSERT(at == in.len || at + WAL_BATCH_BYTES <= in.len);
    struct wal_header header;
    if (status_ok(wal_header_decode(in, &header))) ASSERT(header.identity.number > 0);
    mem_free(exact);
    return 0;
}

/* Bytes as operations on a memtable, against an array of versions: short keys
 * that are often prefixes of one another, values that grow and shrink, a budget
 * that is often met. */
#include "base/assert.h"
#include "base/cursor.h"
#include "storage/memtable.h"

#define VERSIONS_MAX 64u
#define IKEY_MAX 12u

struct version {
    uint8_t ikey[IKEY_MAX];
    uint32_t ikey_len;
    uint64_t stamp;
    uint64_t sequence;
    uint64_t expires_at_ms;
    struct op_id op;
    uint32_t value_len;
    uint8_t value_byte; /* all bytes of the value are this */
};

struct model {
    struct version versions[VERSIONS_MAX];
    uint32_t count;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes version_ikey(const struct version *v) {
    return bytes_of(v->ikey, v->ikey_len);
}

static struct version *model_get(struct model *model, struct bytes ikey) {
    for (uint32_t i = 0; i < model->count; i++)
        if (bytes_equal(version_ikey(&model->versions[i]), ikey)) return &model->versions[i];
    return NULL;
}

/* The version with the lowest ikey >= (or, if `is_after`, >) `ikey`. */
static struct version *model_seek(struct model *model, struct bytes ikey, bool is_after) {
    struct version *first = NULL;
    for (uint32_t i = 0; i < model->count; i++) {
        struct version *v = &model->versions[i];
        const int order = bytes_compare(version_ikey(v), ikey);
        if (order < 0 || (is_after && order == 0)) continue;
        if (first == NULL || bytes_compare(version_ikey(v), version_ikey(first)) < 0) first = v;
    }
    return first;
}

static void check_record(const struct record *r, uint64_t sequence, const struct version *v) {
    ASSERT(bytes_equal(r->ikey, version_ikey(v)));
    ASSERT(r->ballot.stamp == v->stamp);
    ASSERT(sequence == v->sequence);
    ASSERT(r->expires_at_ms == v->expires_at_ms);
    ASSERT(r->op.high == v->op.high && r->op.low == v->op.low);
    ASSERT(r->value.len == v->value_len);
    for (uint32_t i = 0; i < v->value_len; i++) ASSERT(r->value.ptr[i] == v->value_byte);
}

/* Three to IKEY_MAX bytes; each input byte gives two from a small alphabet. */
static struct bytes take_ikey(struct cursor *c, uint8_t *space) {
    static const uint8_t alphabet[4] = { 0x00, 'a', 0x80, 0xff };
    const uint32_t len = 3 + cursor_u8(c) % (IKEY_MAX - 2);
    uint8_t packed = 0;
    for (uint32_t i = 0; i < len; i++) {
        if (i % 4 == 0) packed = cursor_u8(c);
        space[i] = alphabet[(packed >> (i % 4 * 2)) & 3];
    }
    /* The last may be any byte, so that nodes grow to all sizes. */
    if (packed & 1) space[len - 1] = cursor_u8(c);
    return bytes_of(space, len);
}

static void fuzz_put(struct memtable *m, struct model *model, struct cursor *c) {
    static uint8_t value[2048];
    struct version v = { .stamp = 1 + cursor_u8(c) % 16u, .sequence = cursor_u8(c) };
    const struct bytes ikey = take_ikey(c, v.ikey);
    const uint8_t extras = cursor_u8(c);
    v.ikey_len = (uint32_t)ikey.len;
    v.value_len = cursor_u16_le(c) % sizeof value;
    v.value_byte = cursor_u8(c);
    if (extras & 1) v.expires_at_ms = extras;
    if (extras & 2) v.op = (struct op_id){ extras, v.stamp };
    memset(value, v.value_byte, v.value_len);
    const struct record r = {
        .ikey = ikey,
        .ballot = { .stamp = v.stamp, .node = 1, .boot = 1 },
        .expires_at_ms = v.expires_at_ms,
        .op = v.op,
        .value = bytes_of(value, v.value_len),
    };
    struct version *held = model_get(model, ikey);
    if (held == NULL && model->count == VERSIONS_MAX) return;

    const uint64_t sequence_before = memtable_sequence_max(m);
    const bool is_sure = memtable_has_room(m, &r);
    const struct status s = memtable_put(m, &r, v.sequence);
    if (!status_ok(s)) {
        ASSERT(!is_sure);
        ASSERT(s.code == ST_FULL);
        ASSERT(model->count > 0);
        ASSERT(held == NULL || v.stamp > held->stamp);
        ASSERT(memtable_sequence_max(m) == sequence_before);
        return;
    }
    if (held != NULL && v.stamp <= held->stamp) return;
    if (held == NULL) held = &model->versions[model->count++];
    *held = v;
}

static void fuzz_get(const struct memtable *m, struct model *model, struct bytes ikey) {
    struct record r;
    uint64_t sequence;
    const struct version *v = model_get(model, ikey);
    const struct status s = memtable_get(m, ikey, &r, &sequence);
    ASSERT(s.code == (v == NULL ? ST_NOT_FOUND : ST_OK));
    if (v != NULL) check_record(&r, sequence, v);
}

static void fuzz_walk(const struct memtable *m, struct model *model, struct bytes ikey,
                      uint32_t steps) {
    struct memtable_iterator it;
    const struct version *v = model_seek(model, ikey, false);
    memtable_iterator_seek(&it, m, ikey);
    for (; v != NULL && steps > 0; steps--) {
        ASSERT(it.valid);
        check_record(&it.record, it.sequence, v);
        v = model_seek(model, version_ikey(v), true);
        memtable_iterator_next(&it);
    }
    ASSERT(it.valid == (v != NULL));
    memtable_iterator_deinit(&it);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct model model;
    struct cursor c = cursor_of(bytes_of(data, size));
    const size_t bytes_max = cursor_u16_le(&c) * (size_t)16;
    struct memtable *m = memtable_create(bytes_max, cursor_u8(&c));
    model.count = 0;
    while (c.rest.len > 0 && !c.failed) {
        uint8_t space[IKEY_MAX];
        const uint8_t what = cursor_u8(&c) % 8;
        if (what < 5) {
            fuzz_put(m, &model, &c);
            continue;
        }
        const struct bytes ikey = take_ikey(&c, space);
        if (what == 5) memtable_prefetch(m, ikey);
        if (what <= 6)
            fuzz_get(m, &model, ikey);
        else
            fuzz_walk(m, &model, ikey, 4);
    }
    ASSERT(memtable_check(m));
    memtable_freeze(m);
    ASSERT(memtable_check(m));
    ASSERT(memtable_count(m) == model.count);
    ASSERT(memtable_bytes(m) <= bytes_max || model.count <= 1);
    fuzz_walk(m, &model, BYTES_NONE, UINT32_MAX);
    memtable_destroy(m);
    return 0;
}

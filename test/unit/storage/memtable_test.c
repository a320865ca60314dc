/* A memtable gives what a sorted array of the newest versions would, whatever the
 * order and shape of the keys, and keeps within the memory it says it takes. */
#include "storage/memtable.h"

#include "base/assert.h"
#include "base/mem.h"
#include "harness.h"

#include <stdio.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

#define MODEL_MAX 4096u
#define MODEL_IKEY_MAX 64u
#define MODEL_VALUE_MAX 512u

struct version {
    uint8_t ikey[MODEL_IKEY_MAX];
    uint8_t value[MODEL_VALUE_MAX];
    struct record record; /* views of the two */
    uint64_t sequence;
};

struct model {
    struct version *versions[MODEL_MAX]; /* in ikey order */
    uint32_t count;
};

static uint64_t random_next(uint64_t *state) {
    uint64_t x = (*state += UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint32_t random_below(uint64_t *state, uint32_t n) {
    return (uint32_t)(random_next(state) % n);
}

/* First version with ikey >= `ikey`. */
static uint32_t model_seek(const struct model *model, struct bytes ikey) {
    uint32_t low = 0, high = model->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (bytes_compare(model->versions[middle]->record.ikey, ikey) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct version *model_get(const struct model *model, struct bytes ikey) {
    const uint32_t at = model_seek(model, ikey);
    if (at == model->count) return NULL;
    return bytes_equal(model->versions[at]->record.ikey, ikey) ? model->versions[at] : NULL;
}

static void model_put(struct model *model, const struct record *r, uint64_t sequence) {
    struct version *v = model_get(model, r->ikey);
    if (v != NULL && ballot_compare(r->ballot, v->record.ballot) <= 0) return;
    if (v == NULL) {
        const uint32_t at = model_seek(model, r->ikey);
        ASSERT(model->count < MODEL_MAX);
        memmove(model->versions + at + 1, model->versions + at,
                (model->count - at) * sizeof *model->versions);
        v = mem_alloc_zeroed(sizeof *v);
        model->versions[at] = v;
        model->count++;
    }
    v->record = *r;
    v->sequence = sequence;
    memmove(v->ikey, r->ikey.ptr, r->ikey.len);
    if (r->value.len > 0) memmove(v->value, r->value.ptr, r->value.len);
    v->record.ikey = bytes_of(v->ikey, r->ikey.len);
    v->record.value = bytes_of(v->value, r->value.len);
}

static void model_deinit(struct model *model) {
    for (uint32_t i = 0; i < model->count; i++) mem_free(model->versions[i]);
    model->count = 0;
}

static void check_record(const struct record *held, const struct record *wanted) {
    CHECK_BYTES(held->ikey, wanted->ikey);
    CHECK_BYTES(held->value, wanted->value);
    CHECK(ballot_compare(held->ballot, wanted->ballot) == 0);
    CHECK_EQ(held->flags, wanted->flags);
    CHECK_EQ(held->expires_at_ms, wanted->expires_at_ms);
    CHECK_EQ(held->op.high, wanted->op.high);
    CHECK_EQ(held->op.low, wanted->op.low);
}

static void check_get(const struct memtable *m, const struct model *model, struct bytes ikey) {
    struct record held = { .flags = 0x55 };
    uint64_t sequence = 77;
    const struct version *v = model_get(model, ikey);
    const struct status s = memtable_get(m, ikey, &held, &sequence);
    if (v == NULL) {
        CHECK_STATUS(s, ST_NOT_FOUND);
        CHECK_EQ(held.flags, 0x55); /* untouched */
        CHECK_EQ(sequence, 77);
        return;
    }
    CHECK_OK(s);
    check_record(&held, &v->record);
    CHECK_EQ(sequence, v->sequence);
}

/* Seek, then step through at most `steps` records. */
static void check_walk(struct memtable *m, const struct model *model, struct bytes ikey,
                       uint32_t steps) {
    struct memtable_iterator it;
    uint32_t at = model_seek(model, ikey);
    memtable_iterator_seek(&it, m, ikey);
    for (; at < model->count && steps > 0; at++, steps--) {
        CHECK(it.valid);
        check_record(&it.record, &model->versions[at]->record);
        CHECK_EQ(it.sequence, model->versions[at]->sequence);
        memtable_iterator_next(&it);
    }
    CHECK(it.valid == (at < model->count));
    memtable_iterator_deinit(&it);
}

static void check_all(struct memtable *m, const struct model *model) {
    CHECK(memtable_check(m));
    CHECK_EQ(memtable_count(m), model->count);
    check_walk(m, model, BYTES_NONE, UINT32_MAX);
    for (uint32_t i = 0; i < model->count; i++)
        check_get(m, model, model->versions[i]->record.ikey);
}

static struct record record_of(struct bytes ikey, struct bytes value, uint64_t stamp) {
    return (struct record){ .ikey = ikey, .value = value, .ballot = { stamp, 1, 1 } };
}

static struct bytes random_value(uint64_t *random, uint8_t *space, uint32_t bytes_max) {
    const uint32_t len = random_below(random, bytes_max + 1);
    for (uint32_t i = 0; i < len; i++) space[i] = (uint8_t)random_next(random);
    return bytes_of(space, len);
}

/* Keys that meet often: few lengths, few different bytes, 0x00 and 0xff among them. */
static struct bytes random_ikey(uint64_t *random, uint8_t *space, uint32_t shape) {
    static const uint8_t letters[] = { 0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff };
    const uint32_t len = shape == 2 ? 18 : 3 + random_below(random, shape == 0 ? 6 : 30);
    for (uint32_t i = 0; i < len; i++) {
        const bool is_any = shape == 2 && i >= 15;
        space[i] = is_any ? (uint8_t)random_next(random) : letters[random_below(random, 6)];
        if (shape == 1 && random_below(random, 8) != 0) space[i] = 0xff; /* long shared runs */
        if (shape == 2 && i < 15) space[i] = 'k';
    }
    return bytes_of(space, len);
}

static struct record random_record(uint64_t *random, uint32_t shape, uint8_t *ikey,
                                   uint8_t *value) {
    struct record r = { .ikey = random_ikey(random, ikey, shape) };
    r.value = random_value(random, value, random_below(random, 4) == 0 ? MODEL_VALUE_MAX : 24);
    r.ballot = (struct ballot){ 1 + random_below(random, 50), 1 + random_below(random, 2),
                                random_below(random, 2) };
    if (random_below(random, 4) == 0) r.expires_at_ms = random_next(random) | 1;
    if (random_below(random, 4) == 0) r.op = (struct op_id){ random_next(random), 9 };
    if (random_below(random, 8) == 0) {
        r.flags = RECORD_TOMBSTONE;
        r.value = BYTES_NONE;
    }
    return r;
}

static void random_run(uint64_t seed, uint32_t shape, uint32_t puts, size_t bytes_max) {
    static struct model model;
    uint64_t random = seed;
    struct memtable *m = memtable_create(bytes_max, seed);
    struct ballot ballot_max = { 0 };
    uint64_t sequence_max = 0;
    model.count = 0;
    for (uint32_t i = 0; i < puts; i++) {
        uint8_t ikey[MODEL_IKEY_MAX], value[MODEL_VALUE_MAX];
        const struct record r = random_record(&random, shape, ikey, value);
        const uint64_t sequence = random_below(&random, 100000);
        if (random_below(&random, 2) == 0) memtable_prefetch(m, r.ikey);
        const bool is_sure = memtable_has_room(m, &r);
        const struct status s = memtable_put(m, &r, sequence);
        CHECK(status_ok(s) || !is_sure);
        if (status_ok(s)) {
            model_put(&model, &r, sequence);
            if (sequence > sequence_max) sequence_max = sequence;
            if (ballot_compare(r.ballot, ballot_max) > 0) ballot_max = r.ballot;
        } else {
            CHECK_STATUS(s, ST_FULL);
        }
        CHECK(memtable_bytes(m) <= bytes_max || memtable_count(m) == 1);
        check_get(m, &model, random_ikey(&random, ikey, shape));
        if (i % 16 == 0) check_walk(m, &model, random_ikey(&random, ikey, shape), 10);
        if (i % 512 == 0) check_all(m, &model);
    }
    memtable_freeze(m);
    check_all(m, &model);
    CHECK(ballot_compare(memtable_ballot_max(m), ballot_max) == 0);
    CHECK_EQ(memtable_sequence_max(m), sequence_max);
    memtable_destroy(m);
    model_deinit(&model);
}

TEST(memtable, does_what_a_sorted_array_does) {
    for (uint32_t round = 0; round < 4; round++)
        for (uint32_t shape = 0; shape < 3; shape++)
            random_run(test_seed() + round, shape, 4000, 64u << 20);
}

/* Refusals leave it as it was; the model sees only the puts accepted. */
TEST(memtable, does_so_when_full) {
    for (uint32_t round = 0; round < 6; round++)
        random_run(test_seed() + round, round % 3, 4000, 20000u << round);
}

TEST(memtable, is_empty_at_first) {
    struct memtable *m = memtable_create(1 << 20, 1);
    static struct model model;
    check_all(m, &model);
    check_get(m, &model, BYTES_LIT("abc"));
    check_walk(m, &model, BYTES_LIT("abc"), 1);
    CHECK(ballot_is_zero(memtable_ballot_max(m)));
    CHECK_EQ(memtable_sequence_max(m), 0);
    memtable_prefetch(m, BYTES_LIT("abc"));
    memtable_destroy(m);
}

TEST(memtable, higher_ballot_wins_in_any_order) {
    struct memtable *m = memtable_create(1 << 20, 1);
    struct record held;
    uint64_t sequence = 0;
    struct record r = record_of(BYTES_LIT("key"), BYTES_LIT("five"), 5);
    CHECK_OK(memtable_put(m, &r, 10));
    r = record_of(BYTES_LIT("key"), BYTES_LIT("four"), 4);
    CHECK_OK(memtable_put(m, &r, 20));
    r = record_of(BYTES_LIT("key"), BYTES_LIT("also five"), 5);
    CHECK_OK(memtable_put(m, &r, 30));
    CHECK_OK(memtable_get(m, BYTES_LIT("key"), &held, &sequence));
    CHECK_BYTES(held.value, BYTES_LIT("five"));
    CHECK_EQ(sequence, 10);
    CHECK_EQ(memtable_sequence_max(m), 30);

    r.ballot.boot++;
    CHECK_OK(memtable_put(m, &r, 40));
    CHECK_OK(memtable_get(m, BYTES_LIT("key"), &held, &sequence));
    CHECK_BYTES(held.value, BYTES_LIT("also five"));
    CHECK_EQ(sequence, 40);
    CHECK_EQ(memtable_count(m), 1);
    memtable_destroy(m);
}

/* A hot key takes no more memory than its largest value and the way there. */
TEST(memtable, overwrites_in_place) {
    struct memtable *m = memtable_create(8 << 20, 1);
    static uint8_t value[4096];
    struct record held;
    uint64_t sequence;
    uint64_t random = test_seed();
    struct record r = record_of(BYTES_LIT("hot"), bytes_of(value, sizeof value), 1);
    CHECK_OK(memtable_put(m, &r, 1));
    const size_t bytes = memtable_bytes(m);
    for (uint64_t i = 2; i < 100000; i++) {
        value[0] = (uint8_t)i;
        const size_t len = 1 + random_below(&random, sizeof value);
        r = record_of(BYTES_LIT("hot"), bytes_of(value, len), i);
        CHECK_OK(memtable_put(m, &r, i));
        CHECK_OK(memtable_get(m, BYTES_LIT("hot"), &held, &sequence));
        CHECK_BYTES(held.value, r.value);
    }
    CHECK_EQ(memtable_bytes(m), bytes);
    memtable_destroy(m);
}

TEST(memtable, a_growing_value_leaves_little_garbage) {
    struct memtable *m = memtable_create(8 << 20, 1);
    static uint8_t value[20000];
    const size_t bytes = memtable_bytes(m);
    for (uint32_t len = 0; len < sizeof value; len++) {
        value[len] = (uint8_t)len;
        const struct record r = record_of(BYTES_LIT("grows"), bytes_of(value, len), len + 1);
        CHECK_OK(memtable_put(m, &r, len));
    }
    struct record held;
    uint64_t sequence;
    CHECK_OK(memtable_get(m, BYTES_LIT("grows"), &held, &sequence));
    CHECK_BYTES(held.value, bytes_of(value, sizeof value - 1));
    CHECK(memtable_bytes(m) - bytes < 12 * sizeof value);
    memtable_destroy(m);
}

/* Read, change the ballot, put back: the value lies in the place it is put. */
TEST(memtable, takes_a_view_of_itself) {
    struct memtable *m = memtable_create(1 << 20, 1);
    struct record r = record_of(BYTES_LIT("key"), BYTES_LIT("0123456789abcdef0123456789abcdef"), 1);
    r.op = (struct op_id){ 1, 2 };
    r.expires_at_ms = 3;
    CHECK_OK(memtable_put(m, &r, 1));
    for (uint64_t i = 2; i < 10; i++) {
        struct record held;
        uint64_t sequence;
        CHECK_OK(memtable_get(m, BYTES_LIT("key"), &held, &sequence));
        CHECK_BYTES(held.value, BYTES_LIT("0123456789abcdef0123456789abcdef"));
        held.ballot.stamp = i;
        held.op = i % 2 == 0 ? (struct op_id){ 0 } : (struct op_id){ i, i };
        held.expires_at_ms = i % 3;
        CHECK_OK(memtable_put(m, &held, i));
        struct record after;
        CHECK_OK(memtable_get(m, BYTES_LIT("key"), &after, &sequence));
        CHECK_BYTES(after.value, BYTES_LIT("0123456789abcdef0123456789abcdef"));
        CHECK_EQ(after.op.low, held.op.low);
        CHECK_EQ(after.expires_at_ms, held.expires_at_ms);
    }
    memtable_destroy(m);
}

TEST(memtable, holds_keys_that_are_prefixes_of_one_another) {
    static uint8_t key[2000];
    struct memtable *m = memtable_create(64 << 20, 1);
    memset(key, 0, 700);
    memset(key + 700, 'x', 700);
    memset(key + 1400, 0xff, 600);
    /* Odd lengths first, so that even ones go between them. */
    for (uint32_t start = 3; start <= 4; start++) {
        for (uint32_t len = start; len <= sizeof key; len += 2) {
            const struct record r = record_of(bytes_of(key, len), bytes_of(&len, sizeof len), 1);
            CHECK_OK(memtable_put(m, &r, len));
        }
    }
    CHECK(memtable_check(m));
    struct memtable_iterator it;
    memtable_iterator_seek(&it, m, BYTES_NONE);
    for (uint32_t len = 3; len <= sizeof key; len++) {
        CHECK(it.valid);
        CHECK_EQ(it.record.ikey.len, len);
        memtable_iterator_next(&it);
    }
    CHECK(!it.valid);
    memtable_iterator_seek(&it, m, bytes_of(key, 1000));
    CHECK_EQ(it.record.ikey.len, 1000);
    key[1000] = 'y';
    memtable_iterator_seek(&it, m, bytes_of(key, 1001));
    CHECK(!it.valid);
    memtable_destroy(m);
}

TEST(memtable, holds_the_longest_keys) {
    static uint8_t key[IKEY_BYTES_MAX];
    struct memtable *m = memtable_create(64 << 20, 1);
    memset(key, 'k', sizeof key);
    for (uint32_t i = 0; i < 256; i++) {
        key[sizeof key - 1] = (uint8_t)(i * 7);
        const struct record r = record_of(bytes_of(key, sizeof key), BYTES_LIT("v"), 1);
        CHECK_OK(memtable_put(m, &r, i));
    }
    CHECK(memtable_check(m));
    struct memtable_iterator it;
    memtable_iterator_seek(&it, m, bytes_of(key, sizeof key - 1));
    for (uint32_t i = 0; i < 256; i++) {
        CHECK(it.valid);
        CHECK_EQ(it.record.ikey.ptr[sizeof key - 1], i);
        memtable_iterator_next(&it);
    }
    CHECK(!it.valid);
    memtable_destroy(m);
}

/* Any legal record fits in an empty memtable, and only there. */
TEST(memtable, always_takes_one_record) {
    static uint8_t key[IKEY_BYTES_MAX];
    uint8_t *value = mem_alloc_zeroed(VALUE_BYTES_MAX);
    struct memtable *m = memtable_create(1, 1);
    struct record r = record_of(bytes_of(key, sizeof key), bytes_of(value, VALUE_BYTES_MAX), 1);
    r.op = (struct op_id){ 1, 1 };
    r.expires_at_ms = 1;
    CHECK_OK(memtable_put(m, &r, 1));
    struct record second = record_of(BYTES_LIT("key"), BYTES_LIT("v"), 9);
    const size_t bytes = memtable_bytes(m);
    CHECK_STATUS(memtable_put(m, &second, 2), ST_FULL);
    CHECK_EQ(memtable_bytes(m), bytes);
    CHECK_EQ(memtable_count(m), 1);
    CHECK_EQ(memtable_sequence_max(m), 1);
    CHECK_EQ(memtable_ballot_max(m).stamp, 1);
    struct record held;
    uint64_t sequence;
    CHECK_OK(memtable_get(m, r.ikey, &held, &sequence));
    check_record(&held, &r);
    r.ballot.stamp = 2;
    r.value.len--;
    CHECK_OK(memtable_put(m, &r, 3)); /* in place: fits though it is full */
    memtable_destroy(m);
    mem_free(value);
}

/* Bytes resident in this process, from the kernel. */
static size_t resident_bytes(void) {
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0, resident = 0;
    if (f == NULL) return 0;
    const int got = fscanf(f, "%lu %lu", &pages, &resident);
    fclose(f);
    return got == 2 ? resident * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static struct memtable *fill(uint32_t value_bytes, size_t bytes_max) {
    static uint8_t value[65536];
    uint64_t random = test_seed();
    struct memtable *m = memtable_create(bytes_max, 1);
    struct status s = status_of(ST_OK);
    for (uint64_t i = 1; status_ok(s); i++) {
        uint8_t key[18] = { 0, 1 };
        put_u64_le(key + 2, random_next(&random));
        put_u64_le(key + 10, i);
        s = memtable_put(m,
                         &(struct record){ .ikey = bytes_of(key, sizeof key),
                                           .ballot = { i, 1, 1 },
                                           .value = bytes_of(value, value_bytes) },
                         i);
    }
    CHECK_STATUS(s, ST_FULL);
    CHECK(memtable_bytes(m) <= bytes_max);
    CHECK(memtable_bytes(m) > bytes_max / 10 * 8);
    CHECK(memtable_count(m) * (value_bytes + 18) < memtable_bytes(m));
    return m;
}

/* Several are held at once, and others before them that are not counted, so that
 * what the allocator kept from earlier tests does not hide what they take. */
TEST(memtable, counts_the_memory_it_takes) {
    static const uint32_t sizes[] = { 0, 8, 100, 5000, 65536 };
    struct memtable *ballast = fill(100, 96 << 20);
    const size_t before = resident_bytes();
    struct memtable *held[5];
    size_t counted = 0;
    for (uint32_t i = 0; i < 5; i++) {
        held[i] = fill(sizes[i], 32 << 20);
        counted += memtable_bytes(held[i]);
    }
    const size_t resident = resident_bytes() - before;
#if !SANITIZED
    CHECK(resident < counted + counted / 10);
    CHECK(resident > counted - counted / 10);
#else
    CHECK(counted > 0 && resident > 0); /* sanitizers put memory beside ours */
#endif
    for (uint32_t i = 0; i < 5; i++) memtable_destroy(held[i]);
    memtable_destroy(ballast);
}

/* A small budget is used for records too, not only for what might be needed. */
TEST(memtable, a_small_one_holds_its_share) {
    struct memtable *m = fill(100, 64 << 10);
    CHECK(memtable_count(m) > 200);
    memtable_destroy(m);
}

TEST(memtable, catches_misuse) {
    struct memtable *m = memtable_create(1 << 20, 1);
    struct record r = record_of(BYTES_LIT("key"), BYTES_LIT("value"), 1);
    CHECK_OK(memtable_put(m, &r, 1));
    struct memtable_iterator it;
    memtable_iterator_seek(&it, m, BYTES_NONE);
    CHECK_OK(memtable_put(m, &r, 2)); /* changes nothing */
    r.ballot.stamp = 2;
    CHECK_OK(memtable_put(m, &r, 3));
    CHECK_ABORTS(memtable_iterator_next(&it));
    memtable_freeze(m);
    r.ballot.stamp = 3;
    CHECK_ABORTS((void)!memtable_put(m, &r, 4).code);
    memtable_destroy(m);
}

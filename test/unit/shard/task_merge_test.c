/* Pages of several shards as one, and which truncations count for whose rows. */
#include "base/hash.h"
#include "shard/task_internal.h"

#include "harness.h"

#define PARTS_MAX 2u

/* Parts of a scan: one call each, with a page that ends there. */
struct parts {
    struct task task;
    struct call calls[PARTS_MAX];
    struct row_page pages[PARTS_MAX];
};

static void part_add(struct parts *p, uint32_t member, uint16_t shard, uint16_t of_shards,
                     struct ballot floor) {
    const uint32_t i = p->task.calls_count++;
    ASSERT(i < PARTS_MAX);
    p->task.calls = p->calls;
    p->pages[i].floor = floor;
    p->calls[i] = (struct call){ .member = member, .of_shards = of_shards };
    p->calls[i].response.page = &p->pages[i];
    if (member == MEMBER_NONE)
        p->calls[i].home = shard;
    else
        p->calls[i].remote_shard = shard;
}

/* Rows of a page are added in the order of their keys. */
static void row_add(struct parts *p, uint32_t part, const char *key, struct ballot version) {
    struct row_page *page = &p->pages[part];
    page->rows[page->count++] = (struct row){ .key = bytes_of_string(key), .version = version };
}

static bool has_next(struct parts *p, const struct task_merge *m, const char *key) {
    const struct row *row = task_merge_next(&p->task, m);
    return row != NULL && bytes_equal(row->key, bytes_of_string(key));
}

/* Whether the key is of this one of two shards. */
static bool is_of(const char *key, uint32_t shard) {
    return crc16_slot(bytes_of_string(key)) % 2 == shard;
}

TEST(task_merge, takes_the_newest_of_each_key) {
    static struct parts p;
    memset(&p, 0, sizeof p);
    part_add(&p, MEMBER_NONE, 0, 1, (struct ballot){ 0 });
    part_add(&p, 7, 0, 1, (struct ballot){ 0 });
    row_add(&p, 0, "a", (struct ballot){ 5, 1, 1 });
    row_add(&p, 0, "c", (struct ballot){ 5, 1, 1 });
    row_add(&p, 1, "a", (struct ballot){ 6, 1, 1 });
    row_add(&p, 1, "b", (struct ballot){ 5, 1, 1 });
    const struct task_merge m = task_merge_begin(&p.task);
    const struct row *row = task_merge_next(&p.task, &m);
    CHECK(row != NULL && row->version.stamp == 6);
    CHECK(has_next(&p, &m, "b"));
    CHECK(has_next(&p, &m, "c"));
    CHECK(task_merge_next(&p.task, &m) == NULL);
}

/* A replica that has not heard of a truncation shows what the other one knows to be gone. */
TEST(task_merge, one_that_knows_a_truncation_is_enough) {
    static struct parts p;
    memset(&p, 0, sizeof p);
    part_add(&p, MEMBER_NONE, 0, 1, (struct ballot){ 0 });
    part_add(&p, 7, 0, 1, (struct ballot){ 5, 2, 1 });
    row_add(&p, 0, "a", (struct ballot){ 5, 1, 1 });
    row_add(&p, 0, "b", (struct ballot){ 5, 2, 2 });
    const struct task_merge m = task_merge_begin(&p.task);
    CHECK(has_next(&p, &m, "b"));
    CHECK(task_merge_next(&p.task, &m) == NULL);
}

/* What one shard was told says nothing of the keys of another one, whoever holds them. */
TEST(task_merge, a_truncation_counts_for_its_shard) {
    static struct parts p;
    const char *const even = is_of("a", 0) ? "a" : "b";
    const char *const odd = is_of("a", 0) ? "b" : "a";
    CHECK(is_of(even, 0) && is_of(odd, 1));
    for (uint32_t remote = 0; remote < 2; remote++) {
        const struct ballot floor = { 9, 1, 1 };
        memset(&p, 0, sizeof p);
        part_add(&p, remote == 1 ? 7 : MEMBER_NONE, 0, 2, (struct ballot){ 0 });
        part_add(&p, remote == 1 ? 7 : MEMBER_NONE, 1, 2, floor);
        row_add(&p, 0, even, (struct ballot){ 5, 1, 1 });
        row_add(&p, 1, odd, (struct ballot){ 5, 1, 1 });
        const struct task_merge m = task_merge_begin(&p.task);
        CHECK(has_next(&p, &m, even));
        CHECK(task_merge_next(&p.task, &m) == NULL);
    }
}

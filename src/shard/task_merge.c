/* task_merge.c - the pages that the parts of a range request gave, as one. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "shard/shard.h"
#include "shard/task_internal.h"

/* The next row of a page that is not merged yet; NULL = none. */
static const struct row *page_front(const struct call *c) {
    const struct row_page *p = c->response.page;
    return c->merged == p->count ? NULL : &p->rows[c->merged];
}

struct task_merge task_merge_begin(const struct task *t) {
    struct task_merge m = { .bound = BYTES_NONE };
    for (uint32_t i = 0; i < t->calls_count; i++) {
        const struct row_page *p = t->calls[i].response.page;
        if (ballot_compare(p->floor, m.floor) > 0) m.floor = p->floor;
        if (!p->more) continue;
        if (!m.more || bytes_compare(p->last, m.bound) < 0) m.bound = p->last;
        m.more = true;
    }
    return m;
}

/* The newest version of the next key of all pages, in key order; NULL = none. Other
 * versions of the key are behind us then. */
static const struct row *merge_key(struct task *t, const struct task_merge *m) {
    const struct row *least = NULL;
    for (uint32_t i = 0; i < t->calls_count; i++) {
        const struct row *row = page_front(&t->calls[i]);
        if (row == NULL) continue;
        const int order = least == NULL ? -1 : bytes_compare(row->key, least->key);
        bool newer = order == 0 && ballot_compare(row->version, least->version) > 0;
        if (MUTANT("scan_merges_older")) newer = order == 0 && !newer;
        if (order < 0 || newer) least = row;
    }
    if (least == NULL || (m->more && bytes_compare(least->key, m->bound) > 0)) return NULL;
    for (uint32_t i = 0; i < t->calls_count; i++) {
        const struct row *row = page_front(&t->calls[i]);
        if (row != NULL && bytes_equal(row->key, least->key)) t->calls[i].merged++;
    }
    return least;
}

/* A floor counts for the slots of the shard that told it: another one may not have heard of it, or
 * not be meant. */
static bool is_truncated(const struct task *t, const struct task_merge *m, const struct row *row) {
    if (ballot_compare(row->version, m->floor) > 0) return false;
    const uint32_t slot = crc16_slot(row->key);
    for (uint32_t i = 0; i < t->calls_count; i++) {
        const struct call *c = &t->calls[i];
        const uint32_t shard = c->member == MEMBER_NONE ? c->home : c->remote_shard;
        ASSERT(c->of_shards > 0);
        if (slot % c->of_shards != shard) continue;
        if (ballot_compare(row->version, c->response.page->floor) <= 0) return true;
    }
    return false;
}

const struct row *task_merge_next(struct task *t, const struct task_merge *m) {
    const struct row *row;
    do {
        row = merge_key(t, m);
    } while (row != NULL && (row->absent || is_truncated(t, m, row)));
    return row;
}

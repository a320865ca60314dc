#include "test/unit/control/memory_disk.h"

#include "base/assert.h"
#include "base/mem.h"

static struct bytes copy_of(struct bytes in) {
    uint8_t *copy = mem_alloc(in.len + 1);
    if (in.len > 0) memcpy(copy, in.ptr, in.len);
    return bytes_of(copy, in.len);
}

static void drop(struct bytes *owned) {
    mem_free((void *)owned->ptr);
    *owned = BYTES_NONE;
}

static struct raft_snapshot copy_of_snapshot(const struct raft_snapshot *s) {
    return (struct raft_snapshot){ s->index, s->term, copy_of(s->config), copy_of(s->data) };
}

static void drop_snapshot(struct raft_snapshot *s) {
    drop(&s->config);
    drop(&s->data);
    *s = (struct raft_snapshot){ 0 };
}

void test_disk_init(struct test_disk *d, struct sim_random *random) {
    memset(d, 0, sizeof *d);
    d->random = random;
    d->slow_ms = 5;
}

static void drop_entries(struct test_disk *d, uint32_t from) {
    for (uint32_t i = from; i < d->entry_count; i++) drop(&d->entries[i].data);
    if (from < d->entry_count) d->entry_count = from;
}

static void drop_op(struct test_disk_op *op) {
    drop(&op->entry.data);
    drop_snapshot(&op->snapshot);
}

static void drop_ops(struct test_disk *d) {
    for (uint32_t i = 0; i < d->op_count; i++) drop_op(&d->ops[i]);
    d->op_count = d->job_ops = 0;
    d->flush_again = false;
    d->mark = (struct raft_mark){ 0 };
}

void test_disk_wipe(struct test_disk *d) {
    struct sim_random *random = d->random;
    const uint64_t now_ms = d->now_ms;
    test_disk_deinit(d);
    test_disk_init(d, random);
    d->now_ms = now_ms;
}

void test_disk_deinit(struct test_disk *d) {
    drop_ops(d);
    drop_entries(d, 0);
    drop_snapshot(&d->snapshot);
}

/* ---- one op becomes durable ---- */

static void cut_front(struct test_disk *d, uint64_t index) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->entry_count; i++) {
        if (d->entries[i].index > index)
            d->entries[kept++] = d->entries[i];
        else
            drop(&d->entries[i].data);
    }
    d->entry_count = kept;
}

static void append_durable(struct test_disk *d, struct raft_entry *entry) {
    const uint64_t last =
        d->entry_count > 0 ? d->entries[d->entry_count - 1].index : d->snapshot.index;
    if (entry->index != last + 1 || d->entry_count == TEST_DISK_ENTRIES_MAX) d->broken = true;
    if (d->broken) return;
    d->entries[d->entry_count++] = *entry;
    entry->data = BYTES_NONE;
}

static void truncate_durable(struct test_disk *d, uint64_t index) {
    if (index <= d->applied || index <= d->snapshot.index) d->broken = true;
    for (uint32_t i = 0; i < d->entry_count; i++) {
        if (d->entries[i].index >= index) drop_entries(d, i);
    }
}

static void settle(struct test_disk *d, struct test_disk_op *op, struct raft_store_done *done) {
    switch (op->kind) {
    case TEST_DISK_HARD: d->hard = op->hard; break;
    case TEST_DISK_TRUNCATE: truncate_durable(d, op->index); break;
    case TEST_DISK_APPEND: append_durable(d, &op->entry); break;
    case TEST_DISK_MARK: d->mark = op->mark; break;
    case TEST_DISK_APPLIED:
        if (op->index > d->applied) d->applied = op->index;
        break;
    case TEST_DISK_CLUSTER: memcpy(d->owner.cluster, op->cluster, sizeof op->cluster); break;
    case TEST_DISK_SNAPSHOT:
    case TEST_DISK_INSTALL:
        if (op->snapshot.index <= d->snapshot.index) d->broken = true;
        if (op->kind == TEST_DISK_INSTALL)
            drop_entries(d, 0);
        else
            cut_front(d, op->snapshot.index);
        drop_snapshot(&d->snapshot);
        d->snapshot = op->snapshot;
        op->snapshot = (struct raft_snapshot){ 0 };
        if (d->applied < d->snapshot.index) d->applied = d->snapshot.index;
        if (op->kind == TEST_DISK_SNAPSHOT)
            done->snapshot_index = d->snapshot.index;
        else
            done->install_index = d->snapshot.index;
        break;
    }
    drop_op(op);
}

static void settle_front(struct test_disk *d, uint32_t count, struct raft_store_done *done) {
    ASSERT(count <= d->op_count);
    for (uint32_t i = 0; i < count; i++) settle(d, &d->ops[i], done);
    memmove(d->ops, d->ops + count, (d->op_count - count) * sizeof *d->ops);
    d->op_count -= count;
    done->mark = d->mark;
    done->applied = d->applied;
}

static void start_job(struct test_disk *d) {
    d->flush_again = false;
    d->job_ops = d->op_count;
    d->job_done_ms = d->now_ms + 1 + sim_random_below(d->random, d->slow_ms);
}

bool test_disk_poll(struct test_disk *d, struct raft_store_done *ret_done) {
    if (d->job_ops == 0 || d->now_ms < d->job_done_ms) return false;
    if (d->now_ms < d->full_until_ms) return false;
    *ret_done = (struct raft_store_done){ 0 };
    settle_front(d, d->job_ops, ret_done);
    d->job_ops = 0;
    if (d->flush_again && d->op_count > 0) start_job(d);
    return true;
}

void test_disk_crash(struct test_disk *d) {
    struct raft_store_done none = { 0 };
    const uint32_t kept = (uint32_t)sim_random_below(d->random, d->op_count + UINT64_C(1));
    settle_front(d, sim_random_chance(d->random, 1, 2) ? 0 : kept, &none);
    drop_ops(d);
}

void test_disk_restored(struct test_disk *d, struct raft_store_restored *ret_restored) {
    ASSERT(d->exists);
    *ret_restored = (struct raft_store_restored){ .owner = d->owner,
                                                  .hard = d->hard,
                                                  .snapshot = d->snapshot,
                                                  .applied = d->applied,
                                                  .entries = d->entries,
                                                  .entry_count = d->entry_count };
}

/* ---- the table ---- */

static struct test_disk_op *add(void *user, enum test_disk_kind kind) {
    struct test_disk *d = user;
    ASSERT(d->exists);
    ASSERT(d->op_count < TEST_DISK_OPS_MAX);
    struct test_disk_op *op = &d->ops[d->op_count++];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    return op;
}

static struct status create(void *user, const struct raft_store_owner *owner,
                            const struct raft_snapshot *snapshot) {
    struct test_disk *d = user;
    if (d->exists) return status_of(ST_CONFLICT);
    d->exists = true;
    d->owner = *owner;
    d->snapshot = copy_of_snapshot(snapshot);
    d->applied = snapshot->index;
    return status_of(ST_OK);
}
static bool has_room(const void *user) {
    const struct test_disk *d = user;
    return d->op_count < TEST_DISK_OPS_MAX / 2;
}
static void hard(void *user, struct raft_hard_state state) {
    add(user, TEST_DISK_HARD)->hard = state;
}
static void truncate_from(void *user, uint64_t index) {
    add(user, TEST_DISK_TRUNCATE)->index = index;
}
static void append(void *user, const struct raft_entry *entry) {
    struct test_disk_op *op = add(user, TEST_DISK_APPEND);
    op->entry = *entry;
    op->entry.data = copy_of(entry->data);
}
static void mark(void *user, struct raft_mark m) {
    add(user, TEST_DISK_MARK)->mark = m;
}
static void applied(void *user, uint64_t index) {
    add(user, TEST_DISK_APPLIED)->index = index;
}
static void cluster(void *user, const uint8_t id[RAFT_STORE_CLUSTER_BYTES]) {
    memcpy(add(user, TEST_DISK_CLUSTER)->cluster, id, RAFT_STORE_CLUSTER_BYTES);
}
static void snapshot(void *user, const struct raft_snapshot *s) {
    add(user, TEST_DISK_SNAPSHOT)->snapshot = copy_of_snapshot(s);
}
static void install(void *user, const struct raft_snapshot *s) {
    add(user, TEST_DISK_INSTALL)->snapshot = copy_of_snapshot(s);
}
static bool is_replacing(const void *user) {
    const struct test_disk *d = user;
    for (uint32_t i = 0; i < d->op_count; i++) {
        if (d->ops[i].kind >= TEST_DISK_SNAPSHOT) return true;
    }
    return false;
}
static void flush(void *user) {
    struct test_disk *d = user;
    if (d->op_count == d->job_ops) return;
    if (d->job_ops > 0)
        d->flush_again = true;
    else
        start_job(d);
}

void test_disk_table(struct test_disk *d, struct control_store *ret_store) {
    *ret_store =
        (struct control_store){ d,       create,  has_room, hard,    truncate_from, append, mark,
                                applied, cluster, snapshot, install, is_replacing,  flush };
}

#include "sim/disk.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sim/disk_internal.h"

#define TRACE_MIN 64u
#define FILE_BYTES_MAX (UINT64_C(1) << 40) /* far above any test; keeps sums in range */

bool disk_check(const struct sim_disk *d) {
    if (d->root == NULL || !d->root->is_dir) return false;
    if (d->op_kept > d->op_count || d->op_kept > d->op_capacity) return false;
    if (!d->keeps_ops) return d->op_kept == 0;
    return d->op_kept == d->op_count || d->op_kept == SIM_DISK_TRACE_MAX;
}

struct sim_disk *sim_disk_create(uint64_t seed) {
    struct sim_disk *d = mem_alloc_zeroed(sizeof *d);
    d->random = sim_random_of(seed);
    d->keeps_ops = true;
    d->op_stop = SIM_DISK_UNLIMITED;
    d->capacity = SIM_DISK_UNLIMITED;
    list_init(&d->inodes);
    d->root = inode_create(d, true);
    ASSERT(disk_check(d));
    return d;
}

void sim_disk_destroy(struct sim_disk *d) {
    if (d == NULL) return;
    ASSERT(disk_check(d));
    inode_unref(d, d->root);
    ASSERT(list_is_empty(&d->inodes)); /* else a node still has files open */
    ASSERT(d->used_bytes == 0);
    for (uint64_t i = 0; i < d->op_kept; i++) {
        mem_free((void *)(uintptr_t)d->ops[i].path);
        mem_free((void *)(uintptr_t)d->ops[i].path_to);
    }
    mem_free(d->ops);
    mem_free(d);
}

/* ---- trace ---- */

static void trace_op(struct sim_disk *d, const struct sim_disk_op *op, struct bytes content) {
    if (d->trace == NULL) return;
    const uint64_t path = hash_xxh3(bytes_of_string(op->path));
    const uint64_t bytes = content.len == 0 ? 0 : hash_xxh3(content);
    const uint64_t words[] = { op->kind, path, op->offset, op->len, bytes };
    sim_trace_add(d->trace, words, sizeof words);
}

static void record(struct sim_disk *d, struct sim_disk_op op, struct bytes content) {
    ASSERT(disk_check(d));
    ASSERT(op.path != NULL);
    trace_op(d, &op, content);
    d->op_count++;
    if (!d->keeps_ops || d->op_kept == SIM_DISK_TRACE_MAX) return;
    if (d->op_kept == d->op_capacity) {
        d->op_capacity = d->op_capacity == 0 ? TRACE_MIN : d->op_capacity * 2;
        d->ops = mem_realloc(d->ops, d->op_capacity * sizeof *d->ops);
    }
    op.path = disk_text_copy(op.path);
    if (op.path_to != NULL) op.path_to = disk_text_copy(op.path_to);
    d->ops[d->op_kept++] = op;
    ASSERT(disk_check(d));
}

uint64_t sim_disk_op_count(const struct sim_disk *d) {
    ASSERT(disk_check(d));
    return d->op_count;
}

struct sim_disk_op sim_disk_op(const struct sim_disk *d, uint64_t index) {
    ASSERT(disk_check(d));
    ASSERT(index < d->op_kept);
    return d->ops[index];
}

const char *sim_disk_op_name(enum sim_disk_op_kind kind) {
    switch (kind) {
    case SIM_DISK_CREATE: return "create";
    case SIM_DISK_WRITE: return "write";
    case SIM_DISK_TRUNCATE: return "truncate";
    case SIM_DISK_SYNC: return "sync";
    case SIM_DISK_RENAME: return "rename";
    case SIM_DISK_REMOVE: return "remove";
    case SIM_DISK_DIR_CREATE: return "dir create";
    case SIM_DISK_DIR_SYNC: return "dir sync";
    }
    return "unknown";
}

void sim_disk_trace(struct sim_disk *d, bool on) {
    ASSERT(disk_check(d));
    ASSERT(d->op_kept == 0);
    ASSERT(!on || d->op_count == 0);
    d->keeps_ops = on;
    ASSERT(disk_check(d));
}

void sim_disk_set_trace(struct sim_disk *d, struct sim_trace *trace) {
    ASSERT(disk_check(d));
    d->trace = trace;
}

/* Whether an operation may still change the disk. */
static STATUS have_power(const struct sim_disk *d) {
    return status_of(d->op_count < d->op_stop ? ST_OK : ST_IO);
}

/* ---- files ---- */

/* Note a change for the next sync or crash to act on. */
static void note_write(struct inode *f, uint64_t offset, uint64_t len) {
    ASSERT(len > 0);
    ASSERT(offset + len <= f->now.size);
    const uint64_t first = offset / SIM_SECTOR_BYTES;
    const uint64_t last = (offset + len - 1) / SIM_SECTOR_BYTES;
    const size_t bytes = (size_t)(last - first + 1) * SIM_SECTOR_BYTES;
    struct file_change *change = mem_alloc_zeroed(sizeof *change + bytes);
    change->size_after = f->now.size;
    change->offset = first * SIM_SECTOR_BYTES;
    change->sectors = (uint32_t)(last - first + 1);

    const uint64_t there = f->now.size - change->offset;
    memcpy(change->bytes, f->now.ptr + change->offset, there < bytes ? there : bytes);
    list_append(&f->changes, &change->link);
}

static void set_size(struct sim_disk *d, struct inode *f, uint64_t bytes) {
    ASSERT(!f->is_dir);
    ASSERT(d->used_bytes >= f->now.size);
    d->used_bytes = d->used_bytes - f->now.size + bytes;
    content_resize(&f->now, bytes);
    if (f->bad_sector != UINT64_MAX && bytes <= f->bad_sector * SIM_SECTOR_BYTES)
        f->bad_sector = UINT64_MAX;
    struct file_change *change = mem_alloc_zeroed(sizeof *change);
    change->truncate = true;
    change->size_after = bytes;
    list_append(&f->changes, &change->link);
}

static void note_dir_change(struct sim_disk *d, struct inode *dir, const char *from, const char *to,
                            struct inode *inode) {
    ASSERT(dir->is_dir);
    struct dir_change *change = mem_alloc_zeroed(sizeof *change);
    if (from != NULL) change->from = disk_text_copy(from);
    if (to != NULL) change->to = disk_text_copy(to);
    if (inode != NULL) inode_ref(inode);
    change->inode = inode;
    list_append(&dir->changes, &change->link);
    names_apply(d, &dir->names_now, change);
    ASSERT(to == NULL || names_find(&dir->names_now, to) == inode);
}

static void add_inode(struct sim_disk *d, struct inode *dir, const char *name, bool is_dir,
                      struct inode **ret_inode) {
    struct inode *inode = inode_create(d, is_dir);
    note_dir_change(d, dir, NULL, name, inode);
    inode_unref(d, inode); /* the name and the change hold it now */
    ASSERT(inode->refs == 2);
    *ret_inode = inode;
}

static void set_path(struct inode *f, const char *path) {
    char *copy = disk_text_copy(path);
    mem_free(f->path);
    f->path = copy;
}

STATUS disk_open(struct sim_disk *d, const char *path, enum os_file_mode mode,
                 struct inode **ret_inode) {
    ASSERT(ret_inode != NULL);
    const bool may_create = mode == OS_FILE_CREATE || mode == OS_FILE_CREATE_EMPTY;
    TRY(disk_enter(d, may_create));
    struct inode *dir = NULL;
    char name[OS_PATH_BYTES_MAX];
    TRY(disk_walk(d, path, &dir, name));
    struct inode *f = name[0] == '\0' ? dir : names_find(&dir->names_now, name);
    if (f == NULL && !may_create) return status_of(ST_NOT_FOUND);
    if (f != NULL && f->is_dir) return status_of(ST_IO);

    if (f == NULL) {
        TRY(have_power(d));
        add_inode(d, dir, name, false, &f);
        record(d, (struct sim_disk_op){ .kind = SIM_DISK_CREATE, .path = path }, BYTES_NONE);
    } else if (mode == OS_FILE_CREATE_EMPTY && f->now.size > 0) {
        TRY(have_power(d));
        set_size(d, f, 0);
        record(d, (struct sim_disk_op){ .kind = SIM_DISK_TRUNCATE, .path = path }, BYTES_NONE);
    }
    set_path(f, path);
    inode_ref(f);
    *ret_inode = f;
    return status_of(ST_OK);
}

STATUS disk_read(struct sim_disk *d, struct inode *f, uint64_t offset, void *ret_bytes, size_t len,
                 size_t *ret_len) {
    TRY(disk_enter(d, false));
    TRY(disk_enter_read(d));
    ASSERT(!f->is_dir);
    ASSERT(ret_len != NULL);
    const uint64_t there = offset < f->now.size ? f->now.size - offset : 0;
    const size_t done = there < len ? there : len;
    if (disk_read_is_bad(d, f, offset, done)) return status_of(ST_IO);
    if (done > 0) {
        const uint64_t place = disk_place_of_read(d, f, offset, done);
        memcpy(ret_bytes, f->now.ptr + place, done);
    }
    *ret_len = done;
    return status_of(ST_OK);
}

/* The largest size `f` may have with the room that is left. */
static uint64_t size_max(const struct sim_disk *d, const struct inode *f) {
    const uint64_t room = d->capacity > d->used_bytes ? d->capacity - d->used_bytes : 0;
    return room > FILE_BYTES_MAX - f->now.size ? FILE_BYTES_MAX : f->now.size + room;
}

STATUS disk_write(struct sim_disk *d, struct inode *f, uint64_t offset, struct bytes in) {
    TRY(disk_enter(d, true));
    TRY(have_power(d));
    ASSERT(!f->is_dir);
    ASSERT(in.len <= FILE_BYTES_MAX);
    ASSERT(offset <= FILE_BYTES_MAX - in.len);
    if (in.len == 0) return status_of(ST_OK);

    const uint64_t size_limit = size_max(d, f);
    const bool full = offset >= size_limit || in.len > size_limit - offset;
    d->faults.full += full;
    if (offset >= size_limit) return status_of(ST_FULL);
    if (full) in.len = size_limit - offset;

    const uint64_t place = disk_place_of_write(d, f, offset, in.len);
    if (place != offset && offset + in.len > f->now.size) set_size(d, f, offset + in.len);
    const uint64_t size_before = f->now.size;
    content_write(&f->now, place, in);
    disk_sector_written(f, place, in.len);
    d->used_bytes += f->now.size - size_before;
    note_write(f, place, in.len);
    record(d,
           (struct sim_disk_op){
               .kind = SIM_DISK_WRITE, .path = f->path, .offset = offset, .len = in.len },
           in);
    return status_of(full ? ST_FULL : ST_OK);
}

/* What fsync leaves when it fails (Rebello et al. 2020): the pages are marked
 * clean, so whatever had not reached the disk by then never will. */
static void sync_failed(struct sim_disk *d, struct inode *f) {
    struct crash crash = crash_of(SIM_CRASH_SEEDED, sim_random_next(&d->random));
    content_apply(&f->durable, &f->changes, &crash);
    inode_forget_changes(d, f);
    ASSERT(list_is_empty(&f->changes));
}

STATUS disk_sync(struct sim_disk *d, struct inode *f) {
    ASSERT(!f->is_dir);
    TRY(have_power(d));
    struct status s = disk_enter(d, false);
    if (d->fail_sync) {
        d->faults.syncs_failed++;
        s = status_of(ST_IO);
    }
    d->fail_sync = false;
    if (!status_ok(s)) {
        sync_failed(d, f);
        return s;
    }
    struct crash keep = crash_of(SIM_CRASH_KEEP_ALL, 0);
    content_apply(&f->durable, &f->changes, &keep);
    inode_forget_changes(d, f);
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_SYNC, .path = f->path }, BYTES_NONE);
    return status_of(ST_OK);
}

STATUS disk_truncate(struct sim_disk *d, struct inode *f, uint64_t bytes) {
    ASSERT(!f->is_dir);
    ASSERT(bytes <= FILE_BYTES_MAX);
    TRY(disk_enter(d, bytes > f->now.size));
    TRY(have_power(d));
    if (bytes > size_max(d, f)) return status_of(ST_FULL);
    set_size(d, f, bytes);
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_TRUNCATE, .path = f->path, .len = bytes },
           BYTES_NONE);
    return status_of(ST_OK);
}

STATUS disk_size(struct sim_disk *d, struct inode *f, uint64_t *ret_bytes) {
    TRY(disk_enter(d, false));
    ASSERT(!f->is_dir);
    ASSERT(ret_bytes != NULL);
    *ret_bytes = f->now.size;
    return status_of(ST_OK);
}

/* ---- folders ---- */

static STATUS make_one_dir(struct sim_disk *d, const char *path) {
    struct inode *dir = NULL;
    char name[OS_PATH_BYTES_MAX];
    TRY(disk_walk(d, path, &dir, name));
    if (name[0] == '\0') return status_of(ST_OK);
    struct inode *found = names_find(&dir->names_now, name);
    if (found != NULL) return status_of(found->is_dir ? ST_OK : ST_IO);
    TRY(have_power(d));
    add_inode(d, dir, name, true, &found);
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_DIR_CREATE, .path = path }, BYTES_NONE);
    return status_of(ST_OK);
}

STATUS disk_dir_create(struct sim_disk *d, const char *path) {
    ASSERT(path != NULL);
    TRY(disk_enter(d, true));
    char prefix[OS_PATH_BYTES_MAX];
    const size_t len = strlen(path);
    if (len == 0 || len >= sizeof prefix) return status_of(ST_INVALID);
    memcpy(prefix, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/' || path[i - 1] == '/') continue;
        prefix[i] = '\0';
        TRY(make_one_dir(d, prefix));
        prefix[i] = '/';
    }
    return make_one_dir(d, path);
}

STATUS disk_dir_sync(struct sim_disk *d, const char *path) {
    TRY(disk_enter(d, false));
    TRY(have_power(d));
    struct inode *dir = NULL;
    TRY(disk_find(d, path, &dir));
    if (!dir->is_dir) return status_of(ST_IO);
    for (const struct list *node = dir->changes.next; node != &dir->changes; node = node->next)
        names_apply(d, &dir->names_durable, LIST_ENTRY(node, struct dir_change, link));
    inode_forget_changes(d, dir);
    ASSERT(dir->names_durable.count == dir->names_now.count);
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_DIR_SYNC, .path = path }, BYTES_NONE);
    return status_of(ST_OK);
}

/* Within one folder only: a move between two would have to become durable in
 * both at once, and nothing in Atoll does that. */
STATUS disk_rename(struct sim_disk *d, const char *from, const char *to) {
    TRY(disk_enter(d, true));
    struct inode *dir = NULL;
    struct inode *dir_to = NULL;
    char name[OS_PATH_BYTES_MAX];
    char name_to[OS_PATH_BYTES_MAX];
    TRY(disk_walk(d, from, &dir, name));
    TRY(disk_walk(d, to, &dir_to, name_to));
    if (dir != dir_to) return status_of(ST_INVALID);
    struct inode *moved = names_find(&dir->names_now, name);
    struct inode *replaced = names_find(&dir->names_now, name_to);
    if (moved == NULL) return status_of(ST_NOT_FOUND);
    if (moved == replaced) return status_of(ST_OK);
    if (replaced != NULL && (replaced->is_dir || moved->is_dir)) return status_of(ST_IO);

    TRY(have_power(d));
    note_dir_change(d, dir, name, name_to, moved);
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_RENAME, .path = from, .path_to = to },
           BYTES_NONE);
    ASSERT(names_find(&dir->names_now, name) == NULL);
    return status_of(ST_OK);
}

STATUS disk_remove(struct sim_disk *d, const char *path) {
    TRY(disk_enter(d, false));
    struct inode *dir = NULL;
    char name[OS_PATH_BYTES_MAX];
    const struct status s = disk_walk(d, path, &dir, name);
    if (s.code == ST_NOT_FOUND) return status_of(ST_OK);
    TRY(s);
    struct inode *gone = names_find(&dir->names_now, name);
    if (gone == NULL) return status_of(name[0] == '\0' ? ST_IO : ST_OK);
    if (gone->is_dir && gone->names_now.count > 0) return status_of(ST_IO);

    TRY(have_power(d));
    note_dir_change(d, dir, name, NULL, NULL);
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_REMOVE, .path = path }, BYTES_NONE);
    ASSERT(names_find(&dir->names_now, name) == NULL);
    return status_of(ST_OK);
}

/* ---- looking ---- */

STATUS sim_disk_view(const struct sim_disk *d, const char *path, struct bytes *ret_content) {
    ASSERT(disk_check(d));
    ASSERT(ret_content != NULL);
    struct inode *f = NULL;
    TRY(disk_find(d, path, &f));
    if (f->is_dir) return status_of(ST_INVALID);
    *ret_content = bytes_of(f->now.ptr, f->now.size);
    return status_of(ST_OK);
}

STATUS sim_disk_list(const struct sim_disk *d, const char *path, os_dir_each each, void *user) {
    ASSERT(disk_check(d));
    ASSERT(each != NULL);
    struct inode *dir = NULL;
    TRY(disk_find(d, path, &dir));
    if (!dir->is_dir) return status_of(ST_IO);
    for (uint32_t i = 0; i < dir->names_now.count; i++) each(user, dir->names_now.all[i].text);
    return status_of(ST_OK);
}

uint64_t sim_disk_used_bytes(const struct sim_disk *d) {
    ASSERT(disk_check(d));
    return d->used_bytes;
}

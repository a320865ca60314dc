#include "sim/disk.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sim/disk_internal.h"

#define TRACE_MIN 64u
#define FILE_BYTES_MAX (UINT64_C(1) << 40) /* far above any test; keeps sums in range */

static bool disk_check(const struct sim_disk *d) {
    if (d->root == NULL || !d->root->is_dir) return false;
    if (d->op_kept > d->op_count || d->op_kept > d->op_capacity) return false;
    if (d->op_kept != d->op_count && d->op_kept != SIM_DISK_TRACE_MAX) return false;
    return true;
}

struct sim_disk *sim_disk_create(uint64_t seed) {
    struct sim_disk *d = mem_alloc_zeroed(sizeof *d);
    d->random = sim_random_of(seed);
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

/* ---- trace and faults ---- */

static void record(struct sim_disk *d, struct sim_disk_op op) {
    ASSERT(disk_check(d));
    ASSERT(op.path != NULL);
    d->op_count++;
    if (d->op_kept == SIM_DISK_TRACE_MAX) return;
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

void sim_disk_stop_after(struct sim_disk *d, uint64_t op_count) {
    ASSERT(disk_check(d));
    d->op_stop = op_count;
}

void sim_disk_fail_call(struct sim_disk *d, uint64_t nth, enum status_code code) {
    ASSERT(disk_check(d));
    const bool known = code == ST_IO || code == ST_FULL;
    ASSERT(known);
    d->fail_countdown = nth;
    d->fail_code = code;
}

bool sim_disk_fail_is_pending(const struct sim_disk *d) {
    ASSERT(disk_check(d));
    return d->fail_countdown > 0;
}

void sim_disk_fail_sync(struct sim_disk *d) {
    ASSERT(disk_check(d));
    d->fail_sync = true;
}

void sim_disk_set_capacity(struct sim_disk *d, uint64_t bytes) {
    ASSERT(disk_check(d));
    d->capacity = bytes;
}

STATUS disk_enter(struct sim_disk *d, bool needs_room) {
    ASSERT(disk_check(d));
    if (d->fail_countdown == 0) return status_of(ST_OK);
    if (d->fail_code == ST_FULL && !needs_room) return status_of(ST_OK);
    d->fail_countdown--;
    return status_of(d->fail_countdown == 0 ? d->fail_code : ST_OK);
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
        record(d, (struct sim_disk_op){ .kind = SIM_DISK_CREATE, .path = path });
    } else if (mode == OS_FILE_CREATE_EMPTY && f->now.size > 0) {
        TRY(have_power(d));
        set_size(d, f, 0);
        record(d, (struct sim_disk_op){ .kind = SIM_DISK_TRUNCATE, .path = path });
    }
    set_path(f, path);
    inode_ref(f);
    *ret_inode = f;
    return status_of(ST_OK);
}

STATUS disk_read(struct sim_disk *d, struct inode *f, uint64_t offset, void *ret_bytes, size_t len,
                 size_t *ret_len) {
    TRY(disk_enter(d, false));
    ASSERT(!f->is_dir);
    ASSERT(ret_len != NULL);
    const uint64_t there = offset < f->now.size ? f->now.size - offset : 0;
    const size_t done = there < len ? there : len;
    if (done > 0) memcpy(ret_bytes, f->now.ptr + offset, done);
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
    if (offset >= size_limit) return status_of(ST_FULL);
    const bool full = in.len > size_limit - offset;
    if (full) in.len = size_limit - offset;

    const uint64_t size_before = f->now.size;
    content_write(&f->now, offset, in);
    d->used_bytes += f->now.size - size_before;
    note_write(f, offset, in.len);
    record(d, (struct sim_disk_op){
                  .kind = SIM_DISK_WRITE, .path = f->path, .offset = offset, .len = in.len });
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
    if (d->fail_sync) s = status_of(ST_IO);
    d->fail_sync = false;
    if (!status_ok(s)) {
        sync_failed(d, f);
        return s;
    }
    struct crash keep = crash_of(SIM_CRASH_KEEP_ALL, 0);
    content_apply(&f->durable, &f->changes, &keep);
    inode_forget_changes(d, f);
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_SYNC, .path = f->path });
    return status_of(ST_OK);
}

STATUS disk_truncate(struct sim_disk *d, struct inode *f, uint64_t bytes) {
    ASSERT(!f->is_dir);
    ASSERT(bytes <= FILE_BYTES_MAX);
    TRY(disk_enter(d, bytes > f->now.size));
    TRY(have_power(d));
    if (bytes > size_max(d, f)) return status_of(ST_FULL);
    set_size(d, f, bytes);
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_TRUNCATE, .path = f->path, .len = bytes });
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
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_DIR_CREATE, .path = path });
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
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_DIR_SYNC, .path = path });
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
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_RENAME, .path = from, .path_to = to });
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
    record(d, (struct sim_disk_op){ .kind = SIM_DISK_REMOVE, .path = path });
    ASSERT(names_find(&dir->names_now, name) == NULL);
    return status_of(ST_OK);
}

/* ---- for tests ---- */

/* Flip the bit where the byte is kept, if it is there. */
static void flip(struct content *c, uint64_t offset, uint8_t mask) {
    if (offset < c->size) c->ptr[offset] ^= mask;
}

STATUS sim_disk_flip(struct sim_disk *d, const char *path, uint64_t offset, uint32_t bit) {
    ASSERT(disk_check(d));
    ASSERT(bit < 8);
    struct inode *f = NULL;
    TRY(disk_find(d, path, &f));
    if (f->is_dir || offset >= f->now.size) return status_of(ST_INVALID);
    const uint8_t mask = (uint8_t)(1u << bit);
    flip(&f->now, offset, mask);
    flip(&f->durable, offset, mask);
    for (struct list *node = f->changes.next; node != &f->changes; node = node->next) {
        struct file_change *change = LIST_ENTRY(node, struct file_change, link);
        const uint64_t bytes = (uint64_t)change->sectors * SIM_SECTOR_BYTES;
        if (offset < change->offset || offset - change->offset >= bytes) continue;
        change->bytes[offset - change->offset] ^= mask;
    }
    return status_of(ST_OK);
}

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

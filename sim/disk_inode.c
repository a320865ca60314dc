#include "base/assert.h"
#include "base/mem.h"
#include "sim/disk_internal.h"

char *disk_text_copy(const char *text) {
    ASSERT(text != NULL);
    const size_t bytes = strlen(text) + 1;
    char *copy = mem_alloc(bytes);
    memcpy(copy, text, bytes);
    return copy;
}

struct inode *inode_create(struct sim_disk *d, bool is_dir) {
    ASSERT(d != NULL);
    struct inode *inode = mem_alloc_zeroed(sizeof *inode);
    inode->is_dir = is_dir;
    inode->bad_sector = UINT64_MAX;
    inode->refs = 1;
    list_init(&inode->changes);
    list_append(&d->inodes, &inode->link);
    return inode;
}

void inode_ref(struct inode *inode) {
    ASSERT(inode->refs > 0);
    inode->refs++;
    ASSERT(inode->refs != 0);
}

static void free_inode(struct sim_disk *d, struct inode *inode) {
    ASSERT(inode->refs == 0);
    ASSERT(d->used_bytes >= inode->now.size);
    d->used_bytes -= inode->now.size;
    inode_forget_changes(d, inode);
    names_deinit(d, &inode->names_now);
    names_deinit(d, &inode->names_durable);
    content_deinit(&inode->now);
    content_deinit(&inode->durable);
    list_remove(&inode->link);
    mem_free(inode->path);
    mem_free(inode);
}

void inode_unref(struct sim_disk *d, struct inode *inode) {
    ASSERT(d != NULL);
    ASSERT(inode->refs > 0);
    inode->refs--;
    if (inode->refs == 0) free_inode(d, inode);
}

void inode_forget_changes(struct sim_disk *d, struct inode *inode) {
    ASSERT(d != NULL);
    for (;;) {
        struct list *node = list_take_first(&inode->changes);
        if (node == NULL) break;
        if (!inode->is_dir) {
            mem_free(LIST_ENTRY(node, struct file_change, link));
            continue;
        }
        struct dir_change *change = LIST_ENTRY(node, struct dir_change, link);
        if (change->inode != NULL) inode_unref(d, change->inode);
        mem_free(change->from);
        mem_free(change->to);
        mem_free(change);
    }
    ASSERT(list_is_empty(&inode->changes));
}

/* Cut the next part off `*path`; its length, 0 at the end. */
static size_t next_part(const char **path, const char **ret_part) {
    const char *p = *path;
    while (*p == '/') p++;
    const char *end = p;
    while (*end != '/' && *end != '\0') end++;
    *ret_part = p;
    *path = end;
    return (size_t)(end - p);
}

STATUS disk_walk(const struct sim_disk *d, const char *path, struct inode **ret_dir,
                 char ret_name[OS_PATH_BYTES_MAX]) {
    ASSERT(d != NULL);
    ASSERT(path != NULL);
    if (path[0] == '\0' || strlen(path) >= OS_PATH_BYTES_MAX) return status_of(ST_INVALID);
    struct inode *dir = d->root;
    char name[OS_PATH_BYTES_MAX] = "";
    const char *part = NULL;
    for (size_t len = next_part(&path, &part); len > 0; len = next_part(&path, &part)) {
        if (len == 1 && part[0] == '.') continue;
        if (len == 2 && part[0] == '.' && part[1] == '.') return status_of(ST_INVALID);
        if (name[0] != '\0') {
            dir = names_find(&dir->names_now, name);
            if (dir == NULL) return status_of(ST_NOT_FOUND);
            if (!dir->is_dir) return status_of(ST_IO);
        }
        memcpy(name, part, len);
        name[len] = '\0';
    }
    ASSERT(dir->is_dir);
    *ret_dir = dir;
    memcpy(ret_name, name, sizeof name);
    return status_of(ST_OK);
}

STATUS disk_find(const struct sim_disk *d, const char *path, struct inode **ret_inode) {
    struct inode *dir = NULL;
    char name[OS_PATH_BYTES_MAX];
    TRY(disk_walk(d, path, &dir, name));
    ASSERT(dir != NULL);
    struct inode *found = name[0] == '\0' ? dir : names_find(&dir->names_now, name);
    if (found == NULL) return status_of(ST_NOT_FOUND);
    ASSERT(found->refs > 0);
    *ret_inode = found;
    return status_of(ST_OK);
}

#include "base/assert.h"
#include "base/log.h"
#include "control/raft_store_internal.h"

#include <stdio.h>

#define LEFTOVERS_MAX 8u

/* What a folder holds. */
struct folder {
    uint64_t newest;                                  /* highest number of a file; 0 = none */
    uint32_t leftover_count;                          /* of leftovers; more wait for next time */
    char leftovers[LEFTOVERS_MAX][OS_NAME_BYTES_MAX]; /* files that never got their number */
};

static void look_at_name(void *user, const char *name) {
    struct folder *f = user;
    uint64_t number;
    if (raft_store_name_parse(name, &number)) {
        if (number > f->newest) f->newest = number;
    }
    const size_t len = strlen(name);
    const bool ours = strncmp(name, "raft-", 5) == 0;
    if (!ours || f->leftover_count == LEFTOVERS_MAX || len >= OS_NAME_BYTES_MAX) return;
    memcpy(f->leftovers[f->leftover_count++], name, len + 1);
}

/* The files that were there before the one in use: older ones, and halves of new ones. */
static STATUS remove_leftovers(struct os *os, const char *dir, const struct folder *f) {
    for (uint32_t i = 0; i < f->leftover_count; i++) {
        char path[OS_PATH_BYTES_MAX];
        const int len = snprintf(path, sizeof path, "%s/%s", dir, f->leftovers[i]);
        ASSERT(len > 0);
        ASSERT((size_t)len < sizeof path);
        TRY(os_path_remove(os, path));
    }
    return status_of(ST_OK);
}

/* Make the folder's own name durable. Done before there is a file in it, so that one that is found
 * is in a folder that stays. */
static STATUS sync_parent(struct os *os, const char *dir) {
    char parent[OS_PATH_BYTES_MAX];
    const char *slash = strrchr(dir, '/');
    const size_t len = slash == NULL ? 0 : (size_t)(slash - dir);
    ASSERT(len < sizeof parent);
    memcpy(parent, dir, len);
    parent[len] = '\0';
    const char *name = parent;
    if (slash == NULL) name = ".";
    if (slash == dir) name = "/";
    return os_dir_sync(os, name);
}

STATUS raft_store_create(const struct raft_store_options *options,
                         const struct raft_store_owner *owner, const struct raft_snapshot *snapshot,
                         struct raft_store **ret_store) {
    ASSERT(owner->member > 0);
    ASSERT((snapshot->index == 0) == (snapshot->term == 0));
    struct folder folder = { 0 };
    TRY(os_dir_create(options->os, options->dir));
    TRY(os_dir_list(options->os, options->dir, look_at_name, &folder));
    if (folder.newest != 0) return status_of(ST_CONFLICT);
    TRY(sync_parent(options->os, options->dir));

    const struct raft_store_restored content = { .owner = *owner,
                                                 .snapshot = *snapshot,
                                                 .applied = snapshot->index };
    struct raft_store_file file;
    TRY(raft_store_file_make(options->os, options->dir, 1, &content, &file));
    *ret_store = raft_store_of(options, &content, &file);
    return status_of(ST_OK);
}

STATUS raft_store_open(const struct raft_store_options *options,
                       struct raft_store_restored *ret_restored, struct raft_store **ret_store) {
    struct folder folder = { 0 };
    TRY(os_dir_list(options->os, options->dir, look_at_name, &folder));
    if (folder.newest == 0) return status_of(ST_NOT_FOUND);
    struct raft_store_restored content;
    const struct status read =
        raft_store_file_read(options->os, options->dir, folder.newest, &content);
    /* It was listed: that it cannot be found is no sign of an empty folder. */
    if (!status_ok(read)) return read.code == ST_NOT_FOUND ? status_of(ST_IO) : read;

    /* A new file for each start: nothing that was torn stays, and nothing is trusted that only
     * the page cache has because a sync has failed before (fsyncgate). */
    struct raft_store_file file = { 0 };
    struct status s =
        raft_store_file_make(options->os, options->dir, folder.newest + 1, &content, &file);
    if (status_ok(s)) s = remove_leftovers(options->os, options->dir, &folder);
    if (!status_ok(s)) {
        os_file_close(&file.file);
        raft_store_restored_deinit(&content);
        return s;
    }
    *ret_store = raft_store_of(options, &content, &file);
    *ret_restored = content;
    return s;
}

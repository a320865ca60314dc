#include "cli/data_dir.h"

#include "base/assert.h"
#include "base/limits.h"
#include "cli/command.h"
#include "storage/identity.h"

#include <stdio.h>

#define PATH_ROOM 64u /* for what is put behind the path of the directory */

const char *data_dir_shard(const struct data_dir *d, uint32_t shard, char path[OS_PATH_BYTES_MAX]) {
    const int len = snprintf(path, OS_PATH_BYTES_MAX, "%s/shard-%02u", d->path, shard);
    ASSERT(len > 0 && len < (int)OS_PATH_BYTES_MAX);
    return path;
}

static uint32_t shards_found(const struct data_dir *d) {
    char path[OS_PATH_BYTES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        if (os_path_exists(d->os, data_dir_shard(d, i, path))) count = i + 1;
    return count;
}

int data_dir_open(struct data_dir *d, struct os *os, const char *path) {
    *d = (struct data_dir){ .os = os, .path = path };
    if (strlen(path) + PATH_ROOM >= OS_PATH_BYTES_MAX)
        return cli_fail(EXIT_CODE_USAGE, "the path is too long");
    struct identity id = { 0 };
    d->identity = identity_read(os, path, &id);
    d->shards_count = status_ok(d->identity) ? id.shards : shards_found(d);
    if (d->shards_count == 0)
        return cli_fail(EXIT_CODE_USAGE,
                        "%s is no data directory: it has no file `node` and no "
                        "folder shard-00",
                        path);
    char lock[OS_PATH_BYTES_MAX];
    snprintf(lock, sizeof lock, "%s/LOCK", path);
    /* Any other failure means that nobody can write here: a copy, mounted read-only. */
    if (os_file_lock(os, lock, &d->lock).code == ST_BUSY)
        return cli_fail(EXIT_CODE_USAGE, "a node has %s open; stop it first", path);
    return EXIT_CODE_OK;
}

void data_dir_close(struct data_dir *d) {
    os_file_close(&d->lock);
}

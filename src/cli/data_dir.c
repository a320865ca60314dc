#include "cli/data_dir.h"

#include "base/assert.h"
#include "base/limits.h"
#include "cli/command.h"

#include <stdio.h>

#define NODE_BYTES_MAX 256u /* of DIR/node */
#define PATH_ROOM 64u       /* for what is put behind the path of the directory */

const char *data_dir_shard(const struct data_dir *d, uint32_t shard, char path[OS_PATH_BYTES_MAX]) {
    const int len = snprintf(path, OS_PATH_BYTES_MAX, "%s/shard-%02u", d->path, shard);
    ASSERT(len > 0 && len < (int)OS_PATH_BYTES_MAX);
    return path;
}

/* The number behind "shards " in DIR/node; 0 if it cannot be found. */
static uint32_t shards_of_node(const struct data_dir *d) {
    char path[OS_PATH_BYTES_MAX], text[NODE_BYTES_MAX + 1];
    struct os_file f = { 0 };
    size_t len = 0;
    snprintf(path, sizeof path, "%s/node", d->path);
    if (!status_ok(os_file_open(d->os, path, OS_FILE_READ, &f))) return 0;
    const struct status s = os_file_read(&f, 0, text, NODE_BYTES_MAX, &len);
    os_file_close(&f);
    if (!status_ok(s)) return 0;
    text[len] = '\0';
    const char *line = strstr(text, "\nshards ");
    uint64_t count = 0;
    if (line == NULL) return 0;
    line += strlen("\nshards ");
    if (!status_ok(bytes_to_u64(bytes_of(line, strcspn(line, "\n")), &count))) return 0;
    return count <= SHARDS_MAX ? (uint32_t)count : 0;
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
    d->shards_count = shards_of_node(d);
    if (d->shards_count == 0) d->shards_count = shards_found(d);
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

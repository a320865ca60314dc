#include "storage/identity.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"

size_t identity_encode(const struct identity *id, char text[IDENTITY_BYTES_MAX]) {
    ASSERT(id->node_id > 0);
    ASSERT(id->shards >= 1);
    ASSERT(id->shards <= SHARDS_MAX);
    int len = snprintf(text, IDENTITY_BYTES_MAX,
                       "atoll %u\nnode %" PRIu32 "\nboots %" PRIu32 "\nshards %" PRIu32 "\n",
                       IDENTITY_FORMAT, id->node_id, id->boot_count, id->shards);
    ASSERT(len > 0);
    const uint32_t sum = crc32c(0, bytes_of(text, (size_t)len));
    len += snprintf(text + len, IDENTITY_BYTES_MAX - (size_t)len, "crc32c %08" PRIx32 "\n", sum);
    ASSERT((size_t)len < IDENTITY_BYTES_MAX);
    return (size_t)len;
}

/* The number in the line "name number", taken from the front of `rest`. */
static STATUS take_line(struct bytes *rest, const char *name, uint64_t *ret_number) {
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
    if (end == NULL) return status_of(ST_CORRUPT);
    const struct bytes line = bytes_of(rest->ptr, (size_t)(end - rest->ptr));
    const struct bytes word = bytes_of_string(name);
    if (!bytes_start_with(line, word) || line.len <= word.len + 1) return status_of(ST_CORRUPT);
    const struct bytes number = bytes_of(line.ptr + word.len + 1, line.len - word.len - 1);
    if (!status_ok(bytes_to_u64(number, ret_number))) return status_of(ST_CORRUPT);
    *rest = bytes_of(end + 1, rest->len - line.len - 1);
    return status_of(ST_OK);
}

STATUS identity_decode(struct bytes text, struct identity *ret_id) {
    struct bytes rest = text;
    uint64_t format = 0, node = 0, boots = 0, shards = 0;
    TRY(take_line(&rest, "atoll", &format));
    if (format != IDENTITY_FORMAT) return status_of(ST_INVALID);
    TRY(take_line(&rest, "node", &node));
    TRY(take_line(&rest, "boots", &boots));
    TRY(take_line(&rest, "shards", &shards));
    if (node == 0 || node > UINT32_MAX || boots > UINT32_MAX) return status_of(ST_CORRUPT);
    if (shards == 0 || shards > SHARDS_MAX) return status_of(ST_CORRUPT);
    const struct identity id = { (uint32_t)node, (uint32_t)boots, (uint32_t)shards };
    char again[IDENTITY_BYTES_MAX];
    /* The only text for these numbers, checksum line included. */
    if (!bytes_equal(text, bytes_of(again, identity_encode(&id, again))))
        return status_of(ST_CORRUPT);
    *ret_id = id;
    return status_of(ST_OK);
}

STATUS identity_read(struct os *os, const char *dir, struct identity *ret_id) {
    char path[OS_PATH_BYTES_MAX], text[IDENTITY_BYTES_MAX];
    snprintf(path, sizeof path, "%s/node", dir);
    struct os_file file;
    size_t len = 0;
    TRY(os_file_open(os, path, OS_FILE_READ, &file));
    const struct status st = os_file_read(&file, 0, text, sizeof text, &len);
    os_file_close(&file);
    TRY(st);
    return identity_decode(bytes_of(text, len), ret_id);
}

static STATUS identity_write(struct os *os, const char *dir, const char *path,
                             const struct identity *id) {
    char text[IDENTITY_BYTES_MAX];
    char beside[OS_PATH_BYTES_MAX];
    struct os_file file;
    snprintf(beside, sizeof beside, "%s/node.new", dir);
    TRY(os_file_open(os, beside, OS_FILE_CREATE_EMPTY, &file));
    struct status st = os_file_write(&file, 0, bytes_of(text, identity_encode(id, text)));
    if (status_ok(st)) st = os_file_sync(&file);
    os_file_close(&file);
    TRY(st);
    TRY(os_path_rename(os, beside, path));
    return os_dir_sync(os, dir);
}

/* What a folder without identity holds. */
struct content {
    bool shards;                         /* folders of shards: the identity was lost */
    char foreign[OS_NAME_BYTES_MAX + 1]; /* a name that is not ours; empty = none */
};

static void look_at_name(void *user, const char *name) {
    static const char *const harmless[] = { "LOCK", "node.new", "lost+found" };
    struct content *c = user;
    if (strncmp(name, "shard-", 6) == 0) c->shards = true;
    if (strncmp(name, "shard-", 6) == 0 || name[0] == '.') return;
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        if (strcmp(name, harmless[i]) == 0) return;
    }
    snprintf(c->foreign, sizeof c->foreign, "%s", name);
}

/* A folder that nobody else uses may become a data directory. */
static STATUS check_empty(struct os *os, const char *dir) {
    struct content c = { 0 };
    TRY(os_dir_list(os, dir, look_at_name, &c));
    if (c.shards) {
        log_error("%s/node is missing, but there are shards: restore it, or use an empty directory",
                  dir);
        return status_of(ST_CORRUPT);
    }
    if (c.foreign[0] != '\0') {
        char text[4 * OS_NAME_BYTES_MAX];
        log_error("%s holds other things (%s), it is no data directory of atoll: use an empty one",
                  dir, log_escape(bytes_of_string(c.foreign), text, sizeof text));
        return status_of(ST_INVALID);
    }
    return status_of(ST_OK);
}

STATUS identity_open(struct os *os, const char *dir, uint32_t shards_wanted,
                     uint32_t shards_default, struct identity *ret_id) {
    char path[OS_PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/node", dir);
    struct identity id = { 0 };
    const struct status st = identity_read(os, dir, &id);
    if (st.code == ST_INVALID || st.code == ST_CORRUPT) {
        log_error("%s: %s", path,
                  st.code == ST_INVALID ? "written by another version of atoll; use that version"
                                        : "damaged at offset 0: not an identity file of atoll");
    }
    if (st.code == ST_NOT_FOUND) {
        TRY(check_empty(os, dir));
        while (id.node_id == 0) os_entropy(os, &id.node_id, sizeof id.node_id);
        id.shards = shards_wanted != 0 ? shards_wanted : shards_default;
    } else {
        TRY(st);
    }
    if (shards_wanted != 0 && shards_wanted != id.shards) {
        log_error("%s was made with %" PRIu32
                  " shards, which is fixed; start without --shards or with --shards %" PRIu32,
                  dir, id.shards, id.shards);
        return status_of(ST_INVALID);
    }
    id.boot_count++;
    TRY(identity_write(os, dir, path, &id));
    *ret_id = id;
    return status_of(ST_OK);
}

#include "storage/snapshot_file.h"

#include "base/assert.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

#define NAME_START "snapshot-"
#define NAME_END ".json"
#define SYNC_BYTES (UINT64_C(8) * 1024 * 1024)
#define MS_PER_DAY UINT64_C(86400000)
#define YEAR_MAX 9999u

static void path_of(const char *dir, const char *name, char path[OS_PATH_BYTES_MAX]) {
    const int len = snprintf(path, OS_PATH_BYTES_MAX, "%s/%s", dir, name);
    ASSERT(len > 0 && len < (int)OS_PATH_BYTES_MAX);
}

/* Days since 1970 as a date of the Gregorian calendar; years are counted from March, so that the
 * leap day is the last of its year (Neri and Schneider, 2023, section 3). */
static void date_of(uint64_t days, uint32_t *ret_year, uint32_t *ret_month, uint32_t *ret_day) {
    const uint64_t since_march_0 = days + 719468; /* 0000-03-01 */
    const uint64_t era = since_march_0 / 146097;  /* of 400 years */
    const uint64_t day_of_era = since_march_0 % 146097;
    const uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const uint64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    *ret_day = (uint32_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = (uint32_t)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *ret_year = (uint32_t)(year_of_era + era * 400 + (*ret_month <= 2));
}

void snapshot_file_name(uint64_t wall_ms, char ret_name[SNAPSHOT_NAME_BYTES]) {
    uint32_t year = 0, month = 0, day = 0;
    date_of(wall_ms / MS_PER_DAY, &year, &month, &day);
    if (year > YEAR_MAX) year = YEAR_MAX; /* a clock far off */
    const uint32_t seconds = (uint32_t)(wall_ms % MS_PER_DAY / 1000);
    const int len =
        snprintf(ret_name, SNAPSHOT_NAME_BYTES, NAME_START "%04u%02u%02uT%02u%02u%02uZ" NAME_END,
                 year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60);
    ASSERT(len == (int)SNAPSHOT_NAME_BYTES - 1);
}

static bool is_snapshot(const char *name) {
    const size_t len = strlen(name);
    if (len != SNAPSHOT_NAME_BYTES - 1) return false;
    if (strncmp(name, NAME_START, sizeof NAME_START - 1) != 0) return false;
    return strcmp(name + len - (sizeof NAME_END - 1), NAME_END) == 0;
}

/* A new folder is a name in the one above, which must be durable too. */
static STATUS make_folder(struct os *os, const char *dir) {
    char above[OS_PATH_BYTES_MAX];
    if (os_path_exists(os, dir)) return status_of(ST_OK);
    TRY(os_dir_create(os, dir));
    const char *slash = strrchr(dir, '/');
    if (slash == NULL || slash == dir) return os_dir_sync(os, slash == NULL ? "." : "/");
    (void)snprintf(above, sizeof above, "%.*s", (int)(slash - dir), dir);
    return os_dir_sync(os, above);
}

STATUS snapshot_file_clean(struct os *os, const char *dir) {
    char path[OS_PATH_BYTES_MAX];
    TRY(make_folder(os, dir));
    path_of(dir, "snapshot.tmp", path);
    return os_path_remove(os, path);
}

STATUS snapshot_file_begin(struct snapshot_file *f, struct os *os, const char *dir) {
    char path[OS_PATH_BYTES_MAX];
    *f = (struct snapshot_file){ .os = os, .dir = dir };
    TRY(make_folder(os, dir));
    path_of(dir, "snapshot.tmp", path);
    return os_file_open(os, path, OS_FILE_CREATE_EMPTY, &f->file);
}

STATUS snapshot_file_append(struct snapshot_file *f, struct bytes in) {
    uint64_t free_bytes = 0;
    ASSERT(f->file.os != NULL);
    ASSERT(f->synced <= f->bytes);
    TRY(os_disk_free(f->os, f->dir, &free_bytes));
    if (free_bytes < SNAPSHOT_FREE_BYTES_MIN || free_bytes - SNAPSHOT_FREE_BYTES_MIN < in.len)
        return status_of(ST_FULL);
    TRY(os_file_write(&f->file, f->bytes, in));
    f->bytes += in.len;
    if (f->bytes - f->synced < SYNC_BYTES) return status_of(ST_OK);
    TRY(os_file_sync(&f->file));
    os_file_drop_cache(&f->file, f->synced, f->bytes - f->synced);
    f->synced = f->bytes;
    return status_of(ST_OK);
}

/* ---- the oldest go ---- */

struct oldest {
    const char *kept;               /* the newest, whatever the clock said when it was named */
    uint32_t count;                 /* snapshots there are */
    char name[SNAPSHOT_NAME_BYTES]; /* the oldest of them but `kept`; empty = none */
};

static void look_at_name(void *user, const char *name) {
    struct oldest *o = user;
    if (!is_snapshot(name)) return;
    o->count++;
    if (strcmp(name, o->kept) == 0) return;
    if (o->name[0] == '\0' || strcmp(name, o->name) < 0)
        (void)snprintf(o->name, sizeof o->name, "%s", name);
}

/* They come back after a power failure, as the folder is not synced for it: then the next one
 * removes them. */
static STATUS remove_oldest(const struct snapshot_file *f, const char *kept, uint32_t keep) {
    char path[OS_PATH_BYTES_MAX];
    for (;;) {
        struct oldest o = { .kept = kept };
        TRY(os_dir_list(f->os, f->dir, look_at_name, &o));
        if (o.count <= keep || o.name[0] == '\0') return status_of(ST_OK);
        path_of(f->dir, o.name, path);
        TRY(os_path_remove(f->os, path));
    }
}

STATUS snapshot_file_commit(struct snapshot_file *f, uint64_t wall_ms, uint32_t keep,
                            char ret_name[SNAPSHOT_NAME_BYTES]) {
    char from[OS_PATH_BYTES_MAX], to[OS_PATH_BYTES_MAX], name[SNAPSHOT_NAME_BYTES];
    ASSERT(f->file.os != NULL);
    ASSERT(keep > 0);
    snapshot_file_name(wall_ms, name);
    path_of(f->dir, "snapshot.tmp", from);
    path_of(f->dir, name, to);
    TRY(os_file_sync(&f->file));
    os_file_drop_cache(&f->file, f->synced, f->bytes - f->synced);
    TRY(os_path_rename(f->os, from, to));
    TRY(os_dir_sync(f->os, f->dir));
    os_file_close(&f->file);
    if (!status_ok(remove_oldest(f, name, keep)))
        log_warn("%s: an old snapshot cannot be removed; the next one tries again", f->dir);
    memcpy(ret_name, name, sizeof name);
    return status_of(ST_OK);
}

void snapshot_file_abort(struct snapshot_file *f) {
    char path[OS_PATH_BYTES_MAX];
    if (f->file.os == NULL) return;
    os_file_close(&f->file);
    path_of(f->dir, "snapshot.tmp", path);
    /* What cannot be removed now, the next one overwrites. */
    if (!status_ok(os_path_remove(f->os, path)))
        log_warn("%s cannot be removed; the next snapshot overwrites it", path);
}

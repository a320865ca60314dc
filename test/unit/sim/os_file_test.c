#include "os/file.h"

#include "harness.h"
#include "sim/os_sim.h"

#include <stdio.h>

struct world {
    struct sim_disk *disk;
    struct os *os;
};

static struct world world_new(void) {
    struct sim_disk *disk = sim_disk_create(1);
    return (struct world){ .disk = disk, .os = sim_os_create(1, disk) };
}

static void world_close(struct world *w) {
    os_destroy(w->os);
    sim_disk_destroy(w->disk);
}

/* The simulated files answer as the real ones do: see the test of the same name
 * for Linux. */
TEST(os_file, modes) {
    struct world w = world_new();
    struct os_file f = { 0 };
    uint64_t size = 7;
    size_t len = 0;
    uint8_t got[16];
    CHECK_STATUS(os_file_open(w.os, "m", OS_FILE_READ, &f), ST_NOT_FOUND);
    CHECK_STATUS(os_file_open(w.os, "m", OS_FILE_WRITE, &f), ST_NOT_FOUND);
    CHECK_STATUS(os_file_open(w.os, "no/m", OS_FILE_CREATE, &f), ST_NOT_FOUND);
    CHECK_STATUS(os_file_open(w.os, "", OS_FILE_READ, &f), ST_INVALID);
    CHECK(f.os == NULL);
    CHECK_OK(os_file_open(w.os, "m", OS_FILE_CREATE, &f));
    CHECK_OK(os_file_write(&f, 2, BYTES_LIT("x")));
    CHECK_OK(os_file_read(&f, 0, got, sizeof got, &len));
    CHECK_BYTES(bytes_of(got, len), BYTES_LIT("\0\0x"));
    os_file_close(&f);
    os_file_close(&f);
    CHECK_OK(os_file_open(w.os, "m", OS_FILE_READ, &f));
    CHECK_STATUS(os_file_write(&f, 0, BYTES_LIT("y")), ST_IO);
    os_file_close(&f);
    CHECK_OK(os_file_open(w.os, "m", OS_FILE_CREATE_EMPTY, &f));
    CHECK_OK(os_file_size(&f, &size));
    CHECK_EQ(size, 0);
    world_close(&w);
}

struct listing {
    char text[256];
    size_t len;
};

static void add_name(void *user, const char *name) {
    struct listing *l = user;
    l->len += (size_t)snprintf(l->text + l->len, sizeof l->text - l->len, "%s ", name);
}

/* Folders list in order, refuse to go while full, and removing nothing is fine. */
TEST(os_file, folders) {
    struct world w = world_new();
    struct os_file f = { 0 };
    const char *const names[] = { "d/b", "d/a", "d/B", "d/10", "d/9" };
    CHECK_OK(os_dir_create(w.os, "d//e/f"));
    CHECK_OK(os_dir_create(w.os, "d/e/f/"));
    for (size_t i = 0; i < 5; i++) {
        CHECK_OK(os_file_open(w.os, names[i], OS_FILE_CREATE, &f));
        os_file_close(&f);
    }
    struct listing l = { 0 };
    CHECK_OK(os_dir_list(w.os, "d", add_name, &l));
    CHECK_BYTES(bytes_of_string(l.text), BYTES_LIT("10 9 B a b e "));
    CHECK(os_path_exists(w.os, "d/e"));
    CHECK_OK(os_path_rename(w.os, "d/a", "d/b"));
    CHECK(!os_path_exists(w.os, "d/a"));
    CHECK_STATUS(os_path_rename(w.os, "d/a", "d/b"), ST_NOT_FOUND);
    CHECK_STATUS(os_path_rename(w.os, "d/b", "d/e/b"), ST_INVALID);
    CHECK_OK(os_path_remove(w.os, "d/a"));
    CHECK_STATUS(os_path_remove(w.os, "d"), ST_IO);
    CHECK_OK(os_path_remove(w.os, "d/e/f"));
    CHECK_STATUS(os_dir_list(w.os, "d/e/f", add_name, &l), ST_NOT_FOUND);
    CHECK_STATUS(os_dir_create(w.os, "d/9/x"), ST_IO);
    world_close(&w);
}

/* A lock holds against another node on the same disk, and goes with its node. */
TEST(os_file, lock) {
    struct world w = world_new();
    struct os *other = sim_os_create(2, w.disk);
    struct os_file f = { 0 };
    struct os_file g = { 0 };
    CHECK_OK(os_file_lock(w.os, "lock", &f));
    CHECK_STATUS(os_file_lock(w.os, "lock", &g), ST_BUSY);
    CHECK_STATUS(os_file_lock(other, "lock", &g), ST_BUSY);
    os_destroy(w.os);
    CHECK_OK(os_file_lock(other, "lock", &g));
    os_destroy(other);
    sim_disk_destroy(w.disk);
}

/* An open file that is removed lives until it is closed. */
TEST(os_file, removed_while_open) {
    struct world w = world_new();
    struct os_file f = { 0 };
    uint8_t got[4];
    size_t len = 0;
    CHECK_OK(os_file_open(w.os, "a", OS_FILE_CREATE, &f));
    CHECK_OK(os_file_write(&f, 0, BYTES_LIT("abcd")));
    CHECK_OK(os_path_remove(w.os, "a"));
    CHECK_OK(os_dir_sync(w.os, "/"));
    CHECK_OK(os_file_read(&f, 0, got, sizeof got, &len));
    CHECK_BYTES(bytes_of(got, len), BYTES_LIT("abcd"));
    CHECK_EQ(sim_disk_used_bytes(w.disk), 4);
    os_file_close(&f);
    CHECK_EQ(sim_disk_used_bytes(w.disk), 0);
    world_close(&w);
}

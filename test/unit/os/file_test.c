#include "os/file.h"

#include "harness.h"

#include <stdio.h>

static const char *path_of(char text[OS_PATH_BYTES_MAX], const char *name) {
    snprintf(text, OS_PATH_BYTES_MAX, "%s/%s", test_tmpdir(), name);
    return text;
}

/* What was written at an offset is read there, and reads stop at the end. */
TEST(file, write_then_read) {
    struct os *os = os_create();
    struct os_file f = { 0 };
    char path[OS_PATH_BYTES_MAX];
    uint8_t got[64];
    size_t len = 0;
    uint64_t size = 0;
    CHECK_OK(os_file_open(os, path_of(path, "a"), OS_FILE_CREATE, &f));
    CHECK_OK(os_file_write(&f, 4, BYTES_LIT("hello")));
    CHECK_OK(os_file_sync(&f));
    CHECK_OK(os_file_size(&f, &size));
    CHECK_EQ(size, 9);
    CHECK_OK(os_file_read(&f, 0, got, sizeof got, &len));
    CHECK_BYTES(bytes_of(got, len), BYTES_LIT("\0\0\0\0hello"));
    CHECK_OK(os_file_read(&f, 9, got, sizeof got, &len));
    CHECK_EQ(len, 0);
    CHECK_OK(os_file_truncate(&f, 6));
    CHECK_OK(os_file_read(&f, 4, got, sizeof got, &len));
    CHECK_BYTES(bytes_of(got, len), BYTES_LIT("he"));
    os_file_readahead(&f, 0, 4096);
    os_file_drop_cache(&f, 0, 4096);
    os_file_write_behind(&f, 0, 4096);
    os_file_close(&f);
    os_file_close(&f);
    os_destroy(os);
}

/* Each mode does with a present and with a missing file what it says. */
TEST(file, modes) {
    struct os *os = os_create();
    struct os_file f = { 0 };
    char path[OS_PATH_BYTES_MAX];
    uint64_t size = 0;
    path_of(path, "m");
    CHECK_STATUS(os_file_open(os, path, OS_FILE_READ, &f), ST_NOT_FOUND);
    CHECK_STATUS(os_file_open(os, path, OS_FILE_WRITE, &f), ST_NOT_FOUND);
    CHECK(f.os == NULL);
    CHECK_OK(os_file_open(os, path, OS_FILE_CREATE, &f));
    CHECK_OK(os_file_write(&f, 0, BYTES_LIT("x")));
    os_file_close(&f);
    CHECK_OK(os_file_open(os, path, OS_FILE_CREATE, &f));
    CHECK_OK(os_file_size(&f, &size));
    CHECK_EQ(size, 1);
    os_file_close(&f);
    CHECK_OK(os_file_open(os, path, OS_FILE_READ, &f));
    CHECK_STATUS(os_file_write(&f, 0, BYTES_LIT("y")), ST_IO);
    os_file_close(&f);
    CHECK_OK(os_file_open(os, path, OS_FILE_CREATE_EMPTY, &f));
    CHECK_OK(os_file_size(&f, &size));
    CHECK_EQ(size, 0);
    os_file_close(&f);
    CHECK_STATUS(os_file_open(os, "", OS_FILE_READ, &f), ST_INVALID);
    os_destroy(os);
}

/* A full device is ST_FULL, not ST_IO: the caller may make room and repeat. */
TEST(file, full_device) {
    struct os *os = os_create();
    struct os_file f = { 0 };
    if (!os_path_exists(os, "/dev/full")) SKIP("no /dev/full");
    CHECK_OK(os_file_open(os, "/dev/full", OS_FILE_WRITE, &f));
    CHECK_STATUS(os_file_write(&f, 0, BYTES_LIT("x")), ST_FULL);
    os_file_close(&f);
    os_destroy(os);
}

/* A lock is held until it is closed, against this process too. */
TEST(file, lock) {
    struct os *os = os_create();
    struct os_file first = { 0 };
    struct os_file second = { 0 };
    char path[OS_PATH_BYTES_MAX];
    CHECK_OK(os_file_lock(os, path_of(path, "lock"), &first));
    CHECK_STATUS(os_file_lock(os, path, &second), ST_BUSY);
    os_file_close(&first);
    CHECK_OK(os_file_lock(os, path, &second));
    os_file_close(&second);
    os_destroy(os);
}

struct listing {
    char text[256];
    size_t len;
};

static void add_name(void *user, const char *name) {
    struct listing *l = user;
    l->len += (size_t)snprintf(l->text + l->len, sizeof l->text - l->len, "%s ", name);
}

/* Folders are made with their parents and list their names in order. */
TEST(file, folders) {
    struct os *os = os_create();
    char path[OS_PATH_BYTES_MAX];
    char other[OS_PATH_BYTES_MAX];
    struct os_file f = { 0 };
    uint64_t free_bytes = 0;
    CHECK_OK(os_dir_create(os, path_of(path, "d//e/f")));
    CHECK_OK(os_dir_create(os, path_of(path, "d/e/f/")));
    const char *const names[] = { "d/b", "d/a", "d/B", "d/10", "d/9" };
    for (size_t i = 0; i < 5; i++) {
        CHECK_OK(os_file_open(os, path_of(path, names[i]), OS_FILE_CREATE, &f));
        os_file_close(&f);
    }
    struct listing l = { 0 };
    CHECK_OK(os_dir_list(os, path_of(path, "d"), add_name, &l));
    CHECK_BYTES(bytes_of_string(l.text), BYTES_LIT("10 9 B a b e "));
    CHECK_OK(os_dir_sync(os, path));
    CHECK_OK(os_disk_free(os, path, &free_bytes));
    CHECK_OK(os_path_rename(os, path_of(path, "d/a"), path_of(other, "d/b")));
    CHECK(!os_path_exists(os, path));
    CHECK_OK(os_path_remove(os, other));
    CHECK_OK(os_path_remove(os, other));
    CHECK_STATUS(os_path_rename(os, path, other), ST_NOT_FOUND);
    CHECK_STATUS(os_path_remove(os, path_of(path, "d")), ST_IO);
    CHECK_OK(os_path_remove(os, path_of(path, "d/e/f")));
    CHECK_STATUS(os_dir_list(os, path, add_name, &l), ST_NOT_FOUND);
    CHECK_STATUS(os_dir_create(os, path_of(path, "d/9/x")), ST_IO);
    os_destroy(os);
}

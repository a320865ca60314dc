/* Preloaded into a node: as a disk with bad sectors, it fails reads. BAD_SECTORS names a file with a line
 * `PATH OFFSET` for each; it is read again at every read, so that sectors may go bad and be well again. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 4200

static int is_bad(int fd, size_t len, off_t offset) {
    const char *list = getenv("BAD_SECTORS");
    char link[64], line[LINE_BYTES], path[4096];
    FILE *f = list == NULL ? NULL : fopen(list, "re");
    int bad = 0;
    if (f == NULL) return 0;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t path_len = readlink(link, path, sizeof path - 1);
    path[path_len < 0 ? 0 : path_len] = '\0';
    while (!bad && fgets(line, sizeof line, f) != NULL) {
        char *space = strrchr(line, ' ');
        if (space == NULL) continue;
        *space = '\0';
        const off_t sector = (off_t)strtoull(space + 1, NULL, 10);
        bad = strcmp(line, path) == 0 && offset <= sector && sector - offset < (off_t)len;
    }
    (void)fclose(f);
    return bad;
}

static ssize_t read_at(const char *name, int fd, void *to, size_t len, off_t offset) {
    ssize_t (*real)(int, void *, size_t, off_t);
    *(void **)&real = dlsym(RTLD_NEXT, name);
    if (!is_bad(fd, len, offset)) return real(fd, to, len, offset);
    errno = EIO;
    return -1;
}

ssize_t pread(int fd, void *to, size_t len, off_t offset) {
    return read_at("pread", fd, to, len, offset);
}
ssize_t pread64(int fd, void *to, size_t len, off_t offset) {
    return read_at("pread64", fd, to, len, offset);
}

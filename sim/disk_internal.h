/* disk_internal.h - the parts of the disk in memory, for disk*.c and os_file.c.
 *
 * A tree of inodes. What a reader sees (`now`) and what is durable are kept side
 * by side, with the list of changes that lead from the second to the first.
 *
 * Lifecycle  an inode is freed when nothing refers to it: no name now, no durable
 *            name, no change of a folder, no open file
 * Owner      the disk
 */
#ifndef ATOLL_SIM_DISK_INTERNAL_H
#define ATOLL_SIM_DISK_INTERNAL_H

#include "base/list.h"
#include "sim/disk.h"
#include "sim/random.h"

struct inode;

/* Bytes of a file. */
struct content {
    uint8_t *ptr;    /* `capacity` bytes; what lies past `size` is undefined */
    size_t size;     /* of the file, bytes */
    size_t capacity; /* of the allocation, bytes */
};

struct name {
    char *text; /* owned */
    struct inode *inode;
};

/* Names in a folder, sorted bytewise. */
struct names {
    struct name *all;
    uint32_t count;
    uint32_t capacity;
};

/* One write or truncate since the last sync. A write keeps the sectors it touched
 * as they were after it: a sector that reaches the disk carries all earlier
 * writes to it along, whatever became of those elsewhere. */
struct file_change {
    struct list link;    /* in inode.changes, oldest first */
    bool truncate;       /* the size was set; there are no sectors */
    uint64_t size_after; /* of the file */
    uint64_t offset;     /* of the first sector, a multiple of SIM_SECTOR_BYTES */
    uint32_t sectors;    /* how many */
    uint8_t bytes[];     /* them, zero past the end of the file */
};

/* One change of a folder since its last sync: `from` goes (if not NULL) and `to`
 * becomes `inode` (if not NULL), at once. */
struct dir_change {
    struct list link; /* in inode.changes, oldest first */
    char *from;       /* owned */
    char *to;         /* owned */
    struct inode *inode;
};

struct inode {
    struct list link; /* in the disk's list of all */
    bool is_dir;
    bool locked;            /* by os_file_lock */
    uint32_t refs;          /* see Lifecycle */
    char *path;             /* as it was opened last; owned; for the trace */
    struct content now;     /* a file: what readers see */
    struct content durable; /* a file: what a crash cannot take */
    uint64_t bad_sector;    /* a file: it cannot be read until it is written; UINT64_MAX = none */
    struct names names_now; /* a folder: likewise */
    struct names names_durable;
    struct list changes; /* struct file_change or struct dir_change */
};

struct sim_disk {
    struct inode *root;
    struct list inodes;            /* all of them */
    struct sim_random random;      /* for what failed syncs leave and where misdirected IO goes */
    struct sim_trace *trace;       /* NULL = off */
    bool keeps_ops;                /* `ops` is filled */
    struct sim_disk_op *ops;       /* the trace; paths owned */
    uint64_t op_count;             /* operations made */
    uint64_t op_kept;              /* of them, how many are in `ops` */
    uint64_t op_capacity;          /* of `ops` */
    uint64_t op_stop;              /* no operation beyond this count */
    uint64_t fail_countdown;       /* calls until the one that fails; 0 = none */
    enum status_code fail_code;    /* of that call */
    bool fail_sync;                /* the next sync fails */
    uint64_t fail_read_in;         /* reads until the first that fails; 0 = none */
    uint64_t fail_reads;           /* how many fail from that one on */
    uint64_t misdirect_write_in;   /* writes until the one that goes astray; 0 = none */
    uint64_t misdirect_read_in;    /* likewise */
    struct sim_disk_faults faults; /* that came */
    uint64_t capacity;             /* bytes of all files together */
    uint64_t used_bytes;           /* sum of `now.size` over all inodes */
};

/* How a change reaches the disk in a crash. */
struct crash {
    enum sim_disk_crash_style style;
    struct sim_random random;
    uint64_t keep_of_4; /* SEEDED: how likely anything is kept, in quarters */
};

/* disk_crash.c */
struct crash crash_of(enum sim_disk_crash_style style, uint64_t seed);

/* disk_content.c */
void content_resize(struct content *c, uint64_t size); /* grows with zeros */
void content_write(struct content *c, uint64_t offset, struct bytes in);
void content_copy(struct content *to, const struct content *from);
void content_deinit(struct content *c);
/* Put on `to` what `crash` keeps of the changes; they stay. */
void content_apply(struct content *to, const struct list *changes, struct crash *crash);

/* disk_names.c; they take and drop references to the inodes named */
struct inode *names_find(const struct names *n, const char *text);
void names_put(struct sim_disk *d, struct names *n, const char *text, struct inode *inode);
/* Fine if it is not there. */
void names_drop(struct sim_disk *d, struct names *n, const char *text);
void names_deinit(struct sim_disk *d, struct names *n);
void names_apply(struct sim_disk *d, struct names *n, const struct dir_change *change);

/* disk_inode.c */
struct inode *inode_create(struct sim_disk *d, bool is_dir);
void inode_ref(struct inode *inode);
void inode_unref(struct sim_disk *d, struct inode *inode);
/* Drop the list of changes: they are durable, or in doubt for ever. */
void inode_forget_changes(struct sim_disk *d, struct inode *inode);
/* The folder of `path` and the last part of it. Errors  ST_NOT_FOUND, ST_INVALID */
STATUS disk_walk(const struct sim_disk *d, const char *path, struct inode **ret_dir,
                 char ret_name[OS_PATH_BYTES_MAX]);
/* Errors  ST_NOT_FOUND, ST_INVALID */
STATUS disk_find(const struct sim_disk *d, const char *path, struct inode **ret_inode);

/* A copy of text, owned by the caller. */
char *disk_text_copy(const char *text);

/* disk_fault.c */
/* The next read fails, if it is one of them.
 * Errors  ST_IO */
STATUS disk_enter_read(struct sim_disk *d);
/* Whether such a read meets the file's bad sector, which is counted then. */
bool disk_read_is_bad(struct sim_disk *d, const struct inode *f, uint64_t offset, size_t len);
void disk_sector_written(struct inode *f, uint64_t offset, size_t len);
/* Where a read or write of so many bytes goes: `offset`, or if it is the one to be
 * misdirected another place in the file as far from the start of a sector. */
uint64_t disk_place_of_read(struct sim_disk *d, const struct inode *f, uint64_t offset, size_t len);
uint64_t disk_place_of_write(struct sim_disk *d, const struct inode *f, uint64_t offset,
                             size_t len);

bool disk_check(const struct sim_disk *d);

/* disk.c: what os_file.c is made of. Files opened hold a reference. */
STATUS disk_open(struct sim_disk *d, const char *path, enum os_file_mode mode,
                 struct inode **ret_inode);
STATUS disk_read(struct sim_disk *d, struct inode *f, uint64_t offset, void *ret_bytes, size_t len,
                 size_t *ret_len);
STATUS disk_write(struct sim_disk *d, struct inode *f, uint64_t offset, struct bytes in);
STATUS disk_sync(struct sim_disk *d, struct inode *f);
STATUS disk_truncate(struct sim_disk *d, struct inode *f, uint64_t bytes);
STATUS disk_size(struct sim_disk *d, struct inode *f, uint64_t *ret_bytes);
STATUS disk_dir_create(struct sim_disk *d, const char *path);
STATUS disk_dir_sync(struct sim_disk *d, const char *path);
STATUS disk_rename(struct sim_disk *d, const char *from, const char *to);
STATUS disk_remove(struct sim_disk *d, const char *path);
/* Count a call that may be made to fail.
 * Errors  the code asked for, if this is the call */
STATUS disk_enter(struct sim_disk *d, bool needs_room);

#endif

/* disk.h - a disk in memory that keeps what a real one may keep, and no more.
 *
 * Every file has what readers see and what is durable; between the two lie the
 * writes since its last sync. Folders likewise: a new, renamed or removed name is
 * durable once the folder is synced, and a synced file with an unsynced name is
 * lost. From this a crash image is made: a new disk as the old one might be found.
 *
 * Lifecycle  create -> (a node's os/file.h calls | faults | crash)* -> destroy
 * Owner      one thread; several simulated nodes may share a disk
 * Memory     owns all content; a crash image is a disk of its own
 * Failure    those of os/file.h, and those that were asked for below
 */
#ifndef ATOLL_SIM_DISK_H
#define ATOLL_SIM_DISK_H

#include "base/bytes.h"
#include "base/status.h"
#include "os/file.h"
#include "sim/trace.h"

/* What a disk writes as a whole: writes tear between sectors, never inside. */
#define SIM_SECTOR_BYTES 512u
/* The trace keeps this many operations; later ones are only counted. */
#define SIM_DISK_TRACE_MAX (1u << 20)
#define SIM_DISK_UNLIMITED UINT64_MAX

struct sim_disk;
struct sim_disk *sim_disk_create(uint64_t seed);
void sim_disk_destroy(struct sim_disk *d);

/* The trace: operations that change the disk, in order, made without error. */
enum sim_disk_op_kind {
    SIM_DISK_CREATE, /* a new, empty file */
    SIM_DISK_WRITE,
    SIM_DISK_TRUNCATE, /* `len` is the size it was set to */
    SIM_DISK_SYNC,
    SIM_DISK_RENAME,
    SIM_DISK_REMOVE,
    SIM_DISK_DIR_CREATE,
    SIM_DISK_DIR_SYNC,
};

struct sim_disk_op {
    enum sim_disk_op_kind kind;
    const char *path;    /* as given when the file was opened; until the disk goes */
    const char *path_to; /* of a rename, else NULL */
    uint64_t offset;     /* of a write */
    uint64_t len;        /* of a write or truncate, bytes */
};

uint64_t sim_disk_op_count(const struct sim_disk *d);
/* Requires  index < sim_disk_op_count and < SIM_DISK_TRACE_MAX */
struct sim_disk_op sim_disk_op(const struct sim_disk *d, uint64_t index);
const char *sim_disk_op_name(enum sim_disk_op_kind kind);
/* Off: operations are counted, not kept; for long runs. Requires  none is kept yet */
void sim_disk_trace(struct sim_disk *d, bool on);
/* NULL = off. Every operation is added: kind, place, length, hash of the bytes. */
void sim_disk_set_trace(struct sim_disk *d, struct sim_trace *trace);

/* Power is lost once `op_count` operations are in the trace: every later one
 * fails with ST_IO and changes nothing. Reads go on. SIM_DISK_UNLIMITED = never. */
void sim_disk_stop_after(struct sim_disk *d, uint64_t op_count);

/* What became of the writes and names that were not synced. */
enum sim_disk_crash_style {
    SIM_CRASH_LOSE_ALL, /* only what is durable is left */
    SIM_CRASH_KEEP_ALL, /* the kernel had written all of it by chance */
    SIM_CRASH_SEEDED,   /* each write kept, lost or torn; of each folder's changes a prefix */
};
/* A new disk as `d` would be found after a crash now. `d` is not changed, so that
 * many images can be made of one moment. Faults and operations are not copied; whether
 * operations are kept, and the trace's hash, are. */
struct sim_disk *sim_disk_crash(struct sim_disk *d, enum sim_disk_crash_style style, uint64_t seed);

/* The `nth` call from now (1 = the next) fails with `code` and changes nothing,
 * but that a failed sync leaves the unsynced writes in doubt. ST_IO counts every
 * fallible call, ST_FULL only those that need room. 0 cancels. */
void sim_disk_fail_call(struct sim_disk *d, uint64_t nth, enum status_code code);
/* Whether that call has not come yet. */
bool sim_disk_fail_is_pending(const struct sim_disk *d);
/* The next sync of a file fails with ST_IO. Its unsynced writes are each kept,
 * lost or torn; readers see them still and a later sync does not save them. */
void sim_disk_fail_sync(struct sim_disk *d);
/* The `nth` read of a file from now and those behind it, `count` in all, fail with ST_IO; the same
 * read may work later. 0 cancels, here and below.
 * Requires  count > 0 */
void sim_disk_fail_read(struct sim_disk *d, uint64_t nth, uint64_t count);
/* The `nth` write from now lands at another sector of the same file, if it is long enough
 * to have one (else the next that finds one): there it overwrites what was, and where it
 * should be stays what was before. It reports success. */
void sim_disk_misdirect_write(struct sim_disk *d, uint64_t nth);
/* The `nth` read from now gives bytes of another sector of the same file, once. */
void sim_disk_misdirect_read(struct sim_disk *d, uint64_t nth);
/* Writes past so many bytes in all files together give ST_FULL, having written
 * what fits. SIM_DISK_UNLIMITED = never. */
void sim_disk_set_capacity(struct sim_disk *d, uint64_t bytes);
/* Rot: flip bit 0..7 of one byte, for readers and on the disk.
 * Errors  ST_NOT_FOUND no such file; ST_INVALID past its end */
STATUS sim_disk_flip(struct sim_disk *d, const char *path, uint64_t offset, uint32_t bit);
/* The sector of that byte cannot be read any more, ST_IO, until it is written, as disks put another
 * in its place then. One a file: an earlier one can be read again.
 * Errors  as sim_disk_flip */
STATUS sim_disk_spoil(struct sim_disk *d, const char *path, uint64_t offset);
/* Whether some file has one. */
bool sim_disk_is_spoiled(const struct sim_disk *d);

/* Cancel every fault asked for that has not come yet; the disk is as large as it likes. */
void sim_disk_heal(struct sim_disk *d);

/* Faults that came, those of crash images not counted. */
struct sim_disk_faults {
    uint64_t calls_failed;       /* by sim_disk_fail_call */
    uint64_t syncs_failed;       /* by sim_disk_fail_sync */
    uint64_t reads_failed;       /* by sim_disk_fail_read and sim_disk_spoil */
    uint64_t writes_misdirected; /* content of the file is damaged since */
    uint64_t reads_misdirected;  /* the file itself is as it was */
    uint64_t full;               /* writes refused or cut for want of room */
    uint64_t flips;              /* by sim_disk_flip */
};
struct sim_disk_faults sim_disk_faults(const struct sim_disk *d);

/* Look without being counted, failed or traced. The view holds until the next change. */
STATUS sim_disk_view(const struct sim_disk *d, const char *path, struct bytes *ret_content);
STATUS sim_disk_list(const struct sim_disk *d, const char *path, os_dir_each each, void *user);
uint64_t sim_disk_used_bytes(const struct sim_disk *d);

#endif

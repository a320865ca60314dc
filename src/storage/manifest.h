/* manifest.h - the durable log of edits that says which tables a shard consists of.
 *
 * `current` names the file `manifest-<16 hex digits>` in use. It starts with a
 * snapshot and grows by edits; past a bound a new file is begun. Tables are
 * `table-<16 hex digits>`; files that the manifest does not name are not data.
 *
 * Lifecycle  load (pure) or open -> (append | rewrite)* -> close
 * Owner      edits and state: one thread; append and rewrite: one job at a time
 * Memory     edits and state own copies of their ikeys
 * Failure    ST_FULL leaves what `current` names as it was, and the same call may
 *            be repeated; a failed sync, or any other failed write, ends the process.
 *            ST_CORRUPT on open: logged with file and offset
 *
 * After a kill, or a failed sync (fsyncgate), the page cache may hold an edit that the disk does not,
 * and a sync alone would not mend it. Whoever opens takes it for made, and removes what it makes
 * needless; should the power fail then, an older manifest would name files that are gone. So what no
 * seal proves durable is written anew and synced first (manifest_settle).
 *
 * A manifest file is a row of records; integers little-endian:
 *
 *   offset  size  field
 *        0     4  crc32c of bytes [4, 8 + length), begun with the low half of the
 *                 manifest's number, so that another file's bytes are no records
 *        4     4  length of the edit, 1..MANIFEST_EDIT_BYTES_MAX
 *        8     n  edit: fields, each a tag byte and its content:
 *
 *   tag  field            content (v = varint, ballot = stamp u64, node v, boot v)
 *     1  file             format version u32, number of the manifest u64; first in each file
 *     2  next number      v: no file up to now has this number or a higher one
 *     3  first segment    v: the WAL is replayed from here
 *     4  add table        level u8; v each: number, file bytes, records, tombstones, raw bytes,
 *                         expiring, earliest expiry ms; highest ballot; length v and bytes of
 *                         the lowest ikey, then of the highest
 *     5  delete table     level u8, number v
 *     6  floor            keyspace u16, ballot: records at or below it are gone
 *     7  seal             u64 offset of this record in the file; alone in its record
 *
 * Any other tag is ST_CORRUPT: written by a newer version.
 *
 * Seals tell a torn tail from a damaged edit. append() writes the edits, syncs,
 * writes a seal, syncs, and only then the edits count. So a bad record with a seal
 * somewhere behind it was durable once: ST_CORRUPT. A bad record with none behind
 * it never counted: it is cut. (A seal that is itself damaged is cut too, which
 * loses nothing.)
 *
 * How a crash ends, at each step:
 *   flush       table written, synced, folder synced | edit "add, first segment" durable |
 *               WAL segments released
 *               before the edit: the table is not named, so it is removed, and the WAL still
 *               holds all of it. After: the table is named, and replay begins behind it.
 *   compaction  outputs written, synced, folder synced | edit "delete inputs, add outputs"
 *               durable | input files removed
 *               before the edit: outputs are removed, inputs are whole. After: inputs that
 *               are still there are not named and are removed. One record holds the whole
 *               edit, so there is nothing between.
 *   truncate    edit "floor" durable | done is called
 *               before: the floor may or may not be found after the crash; nobody was told.
 *               Compactions use only floors that are durable.
 *   rewrite     new manifest written and synced, folder synced | `current.tmp` written and
 *               synced | renamed to `current` | folder synced | old manifest removed
 *               before the rename: the old file is in use, the new one is removed. Between
 *               rename and sync either may be found; the new one holds the old one's edits
 *               and ones that nobody was told of. An old manifest left over is removed.
 *   make        as rewrite, without an old file; no `current` and no other file but a
 *               manifest means that the shard was never made.
 */
#ifndef ATOLL_STORAGE_MANIFEST_H
#define ATOLL_STORAGE_MANIFEST_H

#include "base/buffer.h"
#include "os/file.h"
#include "storage/floor.h"

#define MANIFEST_FORMAT 1u
#define MANIFEST_HEADER_BYTES 8u
/* One compaction of the largest shard, with keys of the largest size, stays below. */
#define MANIFEST_EDIT_BYTES_MAX (512u * 1024 * 1024)
#define MANIFEST_SEAL_BYTES (MANIFEST_HEADER_BYTES + 1u + 8u)
/* A file at least this large, and twice its snapshot, is written anew. */
#define MANIFEST_REWRITE_BYTES (1024u * 1024)
#define MANIFEST_LEVELS 7u

struct manifest_table {
    uint64_t number;
    uint64_t file_bytes;
    uint64_t records;
    uint64_t tombstones;
    uint64_t raw_bytes;
    uint64_t expiring;
    uint64_t expires_min_ms;
    struct ballot ballot_max;
    struct bytes ikey_min; /* in an edit: views; in a state: owned by it */
    struct bytes ikey_max;
    uint32_t level; /* 0..MANIFEST_LEVELS - 1 */
};

struct manifest_delete {
    uint64_t number;
    uint32_t level;
};

/* One atomic change. Zeroed is empty. */
struct manifest_edit {
    struct manifest_table *adds;
    struct manifest_delete *deletes;
    uint32_t add_count;
    uint32_t add_capacity;
    uint32_t delete_count;
    uint32_t delete_capacity;
    struct floors floors;
    uint64_t next_number;   /* 0 = not in the edit */
    uint64_t first_segment; /* 0 = not in the edit */
    uint64_t file_number;   /* 0 = not the first edit of a file */
    uint64_t seal_offset;   /* 0 = not a seal */
};

void manifest_edit_deinit(struct manifest_edit *edit);
/* The views in `table` must hold until the edit is encoded. */
void manifest_edit_add(struct manifest_edit *edit, const struct manifest_table *table);
void manifest_edit_delete(struct manifest_edit *edit, uint32_t level, uint64_t number);

/* Append the record to `out`, for manifest `number`. */
void manifest_edit_encode(const struct manifest_edit *edit, uint64_t number, struct buffer *out);
/* `payload` is what follows the header; views in the edit are into it. To be
 * deinitialised only after success.
 * Errors  ST_CORRUPT */
STATUS manifest_edit_decode(struct bytes payload, struct manifest_edit *ret_edit);

/* The sum of all edits. Zeroed is empty. */
struct manifest_state {
    struct manifest_table *tables; /* in no order */
    uint32_t count;
    uint32_t capacity;
    struct floors floors;
    uint64_t next_number;
    uint64_t first_segment;
};

void manifest_state_deinit(struct manifest_state *s);
/* Errors  ST_CORRUPT an added table is there already, a deleted one is not, a number
 *         goes back; the state is then unusable */
STATUS manifest_state_apply(struct manifest_state *s, const struct manifest_edit *edit);
bool manifest_state_check(const struct manifest_state *s);

/* What is wrong with a manifest, and where. */
struct manifest_fault {
    uint64_t offset;  /* of the bad record; without a fault: of the end of the last good one */
    uint64_t sealed;  /* without a fault: a seal proves that what is before was durable once */
    const char *what; /* NULL: nothing */
};

/* Sum up a whole file. Pure. A torn tail is left out, and `fault->offset` tells where it starts.
 * Errors  ST_CORRUPT (described in *fault) */
STATUS manifest_load(struct bytes file, uint64_t number, struct manifest_state *state,
                     struct manifest_fault *fault);

/* ---- files: blocking, at start-up, in jobs and in tools ---- */

struct manifest {
    struct os *os;
    char dir[OS_PATH_BYTES_MAX];
    struct os_file file;     /* the one that `current` names; not open if it must be rewritten */
    uint64_t number;         /* of that file; 0 = none was ever made */
    uint64_t bytes;          /* where the next edit goes */
    uint64_t bytes_sealed;   /* of them, what was found proven durable by manifest_open */
    uint64_t bytes_snapshot; /* size when the file was new */
};

void manifest_path(const char *dir, uint64_t number, char path[OS_PATH_BYTES_MAX]);
void manifest_table_path(const char *dir, uint64_t number, char path[OS_PATH_BYTES_MAX]);
/* Whether `name` is `prefix` and 16 hex digits. */
bool manifest_name_number(const char *name, const char *prefix, uint64_t *ret_number);

/* Read `current` and the file it names; nothing is changed on disk. Before anything that follows
 * from it is, manifest_settle; the first write must be a rewrite.
 * Errors  ST_NOT_FOUND there is no `current`; ST_CORRUPT, ST_IO */
STATUS manifest_open(struct os *os, const char *dir, struct manifest_state *state,
                     struct manifest *ret_m);
/* Make durable what was opened, names included.
 * Errors  ST_IO, ST_FULL: nothing may rest on it */
STATUS manifest_settle(const struct manifest *m);
void manifest_close(struct manifest *m);
bool manifest_must_rewrite(const struct manifest *m);

/* Make encoded edits durable: they count once this returns ST_OK.
 * Errors  ST_FULL */
STATUS manifest_append(struct manifest *m, struct bytes edits);
/* Begin manifest `number` (above the present one) with these encoded edits, switch to it and remove
 * the old one.
 * Errors  ST_FULL the old one is still in use */
STATUS manifest_rewrite(struct manifest *m, uint64_t number, struct bytes edits);

#endif

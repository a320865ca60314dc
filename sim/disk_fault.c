/* Faults of the disk: asked for here, and they come when their call does. */
#include "base/assert.h"
#include "sim/disk_internal.h"

void sim_disk_stop_after(struct sim_disk *d, uint64_t op_count) {
    ASSERT(disk_check(d));
    d->op_stop = op_count;
}

void sim_disk_fail_call(struct sim_disk *d, uint64_t nth, enum status_code code) {
    ASSERT(disk_check(d));
    const bool known = code == ST_IO || code == ST_FULL;
    ASSERT(known);
    d->fail_countdown = nth;
    d->fail_code = code;
}

bool sim_disk_fail_is_pending(const struct sim_disk *d) {
    ASSERT(disk_check(d));
    return d->fail_countdown > 0;
}

void sim_disk_fail_sync(struct sim_disk *d) {
    ASSERT(disk_check(d));
    d->fail_sync = true;
}

void sim_disk_set_capacity(struct sim_disk *d, uint64_t bytes) {
    ASSERT(disk_check(d));
    d->capacity = bytes;
}

STATUS disk_enter(struct sim_disk *d, bool needs_room) {
    ASSERT(disk_check(d));
    if (d->fail_countdown == 0) return status_of(ST_OK);
    if (d->fail_code == ST_FULL && !needs_room) return status_of(ST_OK);
    d->fail_countdown--;
    if (d->fail_countdown > 0) return status_of(ST_OK);
    d->faults.calls_failed++;
    return status_of(d->fail_code);
}

void sim_disk_fail_read(struct sim_disk *d, uint64_t nth, uint64_t count) {
    ASSERT(disk_check(d));
    ASSERT(count > 0);
    d->fail_read_in = nth;
    d->fail_reads = count;
}

void sim_disk_misdirect_write(struct sim_disk *d, uint64_t nth) {
    ASSERT(disk_check(d));
    d->misdirect_write_in = nth;
}

void sim_disk_misdirect_read(struct sim_disk *d, uint64_t nth) {
    ASSERT(disk_check(d));
    d->misdirect_read_in = nth;
}

void sim_disk_heal(struct sim_disk *d) {
    ASSERT(disk_check(d));
    d->op_stop = SIM_DISK_UNLIMITED;
    d->capacity = SIM_DISK_UNLIMITED;
    d->fail_countdown = 0;
    d->fail_sync = false;
    d->fail_read_in = 0;
    d->misdirect_write_in = 0;
    d->misdirect_read_in = 0;
}

struct sim_disk_faults sim_disk_faults(const struct sim_disk *d) {
    ASSERT(disk_check(d));
    return d->faults;
}

STATUS disk_enter_read(struct sim_disk *d) {
    ASSERT(disk_check(d));
    if (d->fail_read_in == 0) return status_of(ST_OK);
    if (d->fail_read_in > 1) {
        d->fail_read_in--;
        return status_of(ST_OK);
    }
    d->fail_reads--;
    if (d->fail_reads == 0) d->fail_read_in = 0;
    d->faults.reads_failed++;
    return status_of(ST_IO);
}

/* Another place within `size` bytes for what belongs at `offset`, as far from the start
 * of a sector; `offset` itself if there is none. */
static uint64_t astray(struct sim_disk *d, uint64_t size, uint64_t offset, size_t len) {
    ASSERT(len > 0);
    const uint64_t inside = offset % SIM_SECTOR_BYTES;
    if (size < inside + len) return offset;
    const uint64_t places = (size - inside - len) / SIM_SECTOR_BYTES + 1;
    const uint64_t own = offset / SIM_SECTOR_BYTES;
    if (own >= places) return sim_random_below(&d->random, places) * SIM_SECTOR_BYTES + inside;
    if (places == 1) return offset;
    const uint64_t step = 1 + sim_random_below(&d->random, places - 1);
    const uint64_t place = (own + step) % places * SIM_SECTOR_BYTES + inside;
    ASSERT(place != offset);
    ASSERT(place + len <= size);
    return place;
}

uint64_t disk_place_of_read(struct sim_disk *d, const struct inode *f, uint64_t offset,
                            size_t len) {
    ASSERT(disk_check(d));
    if (d->misdirect_read_in == 0) return offset;
    if (d->misdirect_read_in > 1) {
        d->misdirect_read_in--;
        return offset;
    }
    const uint64_t place = astray(d, f->now.size, offset, len);
    if (place == offset) return offset; /* the next read may have where to go */
    d->misdirect_read_in = 0;
    d->faults.reads_misdirected++;
    return place;
}

uint64_t disk_place_of_write(struct sim_disk *d, const struct inode *f, uint64_t offset,
                             size_t len) {
    ASSERT(disk_check(d));
    if (d->misdirect_write_in == 0) return offset;
    if (d->misdirect_write_in > 1) {
        d->misdirect_write_in--;
        return offset;
    }
    const uint64_t place = astray(d, f->now.size, offset, len);
    if (place == offset) return offset;
    d->misdirect_write_in = 0;
    d->faults.writes_misdirected++;
    return place;
}

static bool meets_bad_sector(const struct inode *f, uint64_t offset, size_t len) {
    if (len == 0) return false;
    const uint64_t first = offset / SIM_SECTOR_BYTES;
    const uint64_t last = (offset + len - 1) / SIM_SECTOR_BYTES;
    return f->bad_sector >= first && f->bad_sector <= last;
}

bool disk_read_is_bad(struct sim_disk *d, const struct inode *f, uint64_t offset, size_t len) {
    ASSERT(disk_check(d));
    if (!meets_bad_sector(f, offset, len)) return false;
    d->faults.reads_failed++;
    return true;
}

void disk_sector_written(struct inode *f, uint64_t offset, size_t len) {
    ASSERT(len > 0);
    if (meets_bad_sector(f, offset, len)) f->bad_sector = UINT64_MAX;
}

STATUS sim_disk_spoil(struct sim_disk *d, const char *path, uint64_t offset) {
    ASSERT(disk_check(d));
    struct inode *f = NULL;
    TRY(disk_find(d, path, &f));
    if (f->is_dir || offset >= f->now.size) return status_of(ST_INVALID);
    f->bad_sector = offset / SIM_SECTOR_BYTES;
    return status_of(ST_OK);
}

bool sim_disk_is_spoiled(const struct sim_disk *d) {
    ASSERT(disk_check(d));
    for (const struct list *l = d->inodes.next; l != &d->inodes; l = l->next) {
        if (LIST_ENTRY(l, struct inode, link)->bad_sector != UINT64_MAX) return true;
    }
    return false;
}

/* Flip the bit where the byte is kept, if it is there. */
static void flip(struct content *c, uint64_t offset, uint8_t mask) {
    if (offset < c->size) c->ptr[offset] ^= mask;
}

STATUS sim_disk_flip(struct sim_disk *d, const char *path, uint64_t offset, uint32_t bit) {
    ASSERT(disk_check(d));
    ASSERT(bit < 8);
    struct inode *f = NULL;
    TRY(disk_find(d, path, &f));
    if (f->is_dir || offset >= f->now.size) return status_of(ST_INVALID);
    const uint8_t mask = (uint8_t)(1u << bit);
    d->faults.flips++;
    flip(&f->now, offset, mask);
    flip(&f->durable, offset, mask);
    for (struct list *node = f->changes.next; node != &f->changes; node = node->next) {
        struct file_change *change = LIST_ENTRY(node, struct file_change, link);
        const uint64_t bytes = (uint64_t)change->sectors * SIM_SECTOR_BYTES;
        if (offset < change->offset || offset - change->offset >= bytes) continue;
        change->bytes[offset - change->offset] ^= mask;
    }
    return status_of(ST_OK);
}

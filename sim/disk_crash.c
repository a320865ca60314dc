#include "base/assert.h"
#include "sim/disk_internal.h"

struct crash crash_of(enum sim_disk_crash_style style, uint64_t seed) {
    ASSERT(style <= SIM_CRASH_SEEDED);
    struct crash crash = { .style = style, .random = sim_random_of(seed) };
    /* From "nothing is kept" to "everything is": both ends find bugs that a
     * fair coin for each write would all but never make. */
    crash.keep_of_4 = sim_random_below(&crash.random, 5);
    ASSERT(crash.keep_of_4 <= 4);
    return crash;
}

static uint64_t count_changes(const struct list *changes) {
    uint64_t count = 0;
    for (const struct list *node = changes->next; node != changes; node = node->next) count++;
    return count;
}

static uint64_t prefix_kept(const struct inode *dir, struct crash *crash) {
    ASSERT(dir->is_dir);
    const uint64_t count = count_changes(&dir->changes);
    if (crash->style == SIM_CRASH_LOSE_ALL) return 0;
    if (crash->style == SIM_CRASH_KEEP_ALL) return count;
    return sim_random_below(&crash->random, count + 1);
}

/* The names a crash leaves of a folder of `from`: the durable ones, changed by
 * the first few of the changes. The caller frees them. */
static struct names names_after(struct sim_disk *from, const struct inode *dir,
                                struct crash *crash) {
    struct names left = { 0 };
    for (uint32_t i = 0; i < dir->names_durable.count; i++)
        names_put(from, &left, dir->names_durable.all[i].text, dir->names_durable.all[i].inode);

    uint64_t kept = prefix_kept(dir, crash);
    const struct list *node = dir->changes.next;
    for (; kept > 0; kept--, node = node->next) {
        ASSERT(node != &dir->changes);
        names_apply(from, &left, LIST_ENTRY(node, struct dir_change, link));
    }
    return left;
}

static void copy_file(struct sim_disk *to, struct inode *copy, const struct inode *file,
                      struct crash *crash) {
    ASSERT(!file->is_dir);
    ASSERT(copy->now.size == 0);
    content_copy(&copy->durable, &file->durable);
    content_apply(&copy->durable, &file->changes, crash);
    content_copy(&copy->now, &copy->durable);
    copy->bad_sector = file->bad_sector;
    to->used_bytes += copy->now.size;
}

/* Fill `copy`, an empty folder of `to`, with what is left of `dir`. Folders are
 * as deep as the paths of a data directory: recursion ends soon. */
static void copy_dir(struct sim_disk *to, struct inode *copy, struct sim_disk *from,
                     const struct inode *dir, struct crash *crash) {
    ASSERT(dir->is_dir);
    ASSERT(copy->is_dir);
    struct names left = names_after(from, dir, crash);
    for (uint32_t i = 0; i < left.count; i++) {
        const struct name *name = &left.all[i];
        struct inode *child = inode_create(to, name->inode->is_dir);
        if (child->is_dir)
            copy_dir(to, child, from, name->inode, crash);
        else
            copy_file(to, child, name->inode, crash);
        names_put(to, &copy->names_durable, name->text, child);
        names_put(to, &copy->names_now, name->text, child);
        inode_unref(to, child);
    }
    names_deinit(from, &left);
}

struct sim_disk *sim_disk_crash(struct sim_disk *d, enum sim_disk_crash_style style,
                                uint64_t seed) {
    ASSERT(d != NULL);
    struct crash crash = crash_of(style, seed);
    struct sim_disk *image = sim_disk_create(sim_random_next(&crash.random));
    image->keeps_ops = d->keeps_ops;
    image->trace = d->trace;
    copy_dir(image, image->root, d, d->root, &crash);
    ASSERT(image->op_count == 0);
    return image;
}

#include "base/assert.h"
#include "base/mem.h"
#include "sim/disk_internal.h"

#define NAMES_MIN 8u

/* Where `text` is, or would have to be. */
static uint32_t place_of(const struct names *n, const char *text, bool *ret_found) {
    ASSERT(n->count <= n->capacity);
    ASSERT(text != NULL);
    uint32_t low = 0;
    uint32_t high = n->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (strcmp(n->all[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < n->count && strcmp(n->all[low].text, text) == 0;
    return low;
}

struct inode *names_find(const struct names *n, const char *text) {
    bool found = false;
    const uint32_t place = place_of(n, text, &found);
    ASSERT(place <= n->count);
    return found ? n->all[place].inode : NULL;
}

void names_put(struct sim_disk *d, struct names *n, const char *text, struct inode *inode) {
    ASSERT(inode != NULL);
    ASSERT(text[0] != '\0');
    inode_ref(inode);
    bool found = false;
    const uint32_t place = place_of(n, text, &found);
    if (found) {
        struct inode *before = n->all[place].inode;
        n->all[place].inode = inode;
        inode_unref(d, before);
        return;
    }
    if (n->count == n->capacity) {
        n->capacity = n->capacity == 0 ? NAMES_MIN : n->capacity * 2;
        n->all = mem_realloc(n->all, n->capacity * sizeof *n->all);
    }
    memmove(n->all + place + 1, n->all + place, (n->count - place) * sizeof *n->all);
    n->all[place] = (struct name){ .text = disk_text_copy(text), .inode = inode };
    n->count++;
}

void names_drop(struct sim_disk *d, struct names *n, const char *text) {
    bool found = false;
    const uint32_t place = place_of(n, text, &found);
    if (!found) return;
    ASSERT(n->count > 0);
    const struct name gone = n->all[place];
    n->count--;
    memmove(n->all + place, n->all + place + 1, (n->count - place) * sizeof *n->all);
    mem_free(gone.text);
    inode_unref(d, gone.inode);
}

void names_deinit(struct sim_disk *d, struct names *n) {
    ASSERT(n->count <= n->capacity);
    while (n->count > 0) names_drop(d, n, n->all[n->count - 1].text);
    mem_free(n->all);
    *n = (struct names){ 0 };
}

void names_apply(struct sim_disk *d, struct names *n, const struct dir_change *change) {
    ASSERT(change->from != NULL || change->to != NULL);
    ASSERT((change->to == NULL) == (change->inode == NULL));
    if (change->from != NULL) names_drop(d, n, change->from);
    if (change->to != NULL) names_put(d, n, change->to, change->inode);
}

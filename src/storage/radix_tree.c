#include "storage/radix_tree.h"

#include "base/assert.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Children that a walk fetches before it comes to them. */
#define WALK_AHEAD 16u
#define CACHE_LINE_BYTES 64u
#define PREFIX_BYTES_MAX 8u
#define DIRECT (RADIX_KINDS - 1) /* the kind whose children are indexed by the byte itself */

/* Children of a node of each kind. */
static const uint16_t kind_children[RADIX_KINDS] = { 4, 8, 16, 32, 64, 256 };

struct radix_node {
    struct radix_node *parent;        /* NULL in the root; the next free node when free */
    const uint8_t *ikey;              /* of some entry below: its first `depth` bytes are shared */
    struct memtable_entry *terminal;  /* the entry whose ikey has `depth` bytes, or NULL */
    uint32_t depth;                   /* bytes all ikeys below share, 0..IKEY_BYTES_MAX */
    uint16_t count;                   /* children, 0..256 */
    uint16_t kind;                    /* index in kind_children */
    uint8_t prefix[PREFIX_BYTES_MAX]; /* first of the bytes skipped before `depth` */
    uint8_t body[];                   /* DIRECT: 256 children, 0 = none. Others: the sorted bytes,
                                         padded to 8, then as many children */
};

static_assert(sizeof(struct radix_node) % 8 == 0, "children are aligned");

/* ---- a child: a node, or an entry marked by its lowest bit ---- */

static uintptr_t child_of_entry(const struct memtable_entry *e) {
    return (uintptr_t)e | 1u;
}

static bool child_is_entry(uintptr_t child) {
    return (child & 1u) != 0;
}

static struct memtable_entry *child_entry(uintptr_t child) {
    return (struct memtable_entry *)(child - 1u);
}

static struct radix_node *child_node(uintptr_t child) {
    return (struct radix_node *)child;
}

/* ---- one node ---- */

static size_t kind_key_bytes(uint32_t kind) {
    const size_t bytes = kind_children[kind];
    return kind == DIRECT ? 0 : (bytes + 7) & ~(size_t)7;
}

static size_t kind_bytes(uint32_t kind) {
    return sizeof(struct radix_node) + kind_key_bytes(kind) +
           kind_children[kind] * sizeof(uintptr_t);
}

static uintptr_t *node_children(const struct radix_node *n) {
    return (uintptr_t *)(uintptr_t)(n->body + kind_key_bytes(n->kind));
}

/* How many of the sorted bytes are below `byte`. */
static uint32_t count_below(const uint8_t *bytes, uint32_t count, uint8_t byte) {
    uint32_t below = 0;
#ifdef __SSE2__
    /* Reads past the bytes into the children, which the mask leaves out. */
    const __m128i wanted = _mm_set1_epi8((char)byte);
    for (uint32_t i = 0; i < count; i += 16) {
        const __m128i held = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
        const __m128i at_or_above = _mm_cmpeq_epi8(_mm_max_epu8(held, wanted), held);
        const uint32_t lanes = count - i >= 16 ? 0xffffu : (1u << (count - i)) - 1u;
        const uint32_t mask = ~(uint32_t)_mm_movemask_epi8(at_or_above) & lanes;
        below += (uint32_t)__builtin_popcount(mask);
        if (mask != 0xffffu) break;
    }
#else
    while (below < count && bytes[below] < byte) below++;
#endif
    return below;
}

/* The child at `byte`, or NULL. */
static uintptr_t *node_find(const struct radix_node *n, uint8_t byte) {
    uintptr_t *children = node_children(n);
    if (n->kind == DIRECT) return children[byte] != 0 ? &children[byte] : NULL;

    const uint32_t at = count_below(n->body, n->count, byte);
    return at < n->count && n->body[at] == byte ? &children[at] : NULL;
}

/* The first child at a byte >= `byte`, or NULL; `byte` may be 256. */
static uintptr_t *node_find_from(const struct radix_node *n, uint32_t byte) {
    uintptr_t *children = node_children(n);
    if (byte > UINT8_MAX) return NULL;
    if (n->kind != DIRECT) {
        const uint32_t at = count_below(n->body, n->count, (uint8_t)byte);
        return at < n->count ? &children[at] : NULL;
    }
    for (; byte <= UINT8_MAX; byte++) {
        if (children[byte] != 0) return &children[byte];
    }
    return NULL;
}

/* Inlined by force: GCC 12 takes a function that only prefetches for one without
 * effect and drops the calls. */
#define PREFETCHES static inline __attribute__((always_inline))

PREFETCHES void prefetch_child(uintptr_t child) {
    if (child == 0) return;
    const uint8_t *p = (const uint8_t *)(child & ~(uintptr_t)1);
    const uint32_t lines = child_is_entry(child) ? 2 : 4;
    for (uint32_t i = 0; i < lines; i++) __builtin_prefetch(p + i * CACHE_LINE_BYTES);
}

/* Start fetching `count` children from the place `first` on, as far as there are. */
PREFETCHES void node_prefetch(const struct radix_node *n, const uintptr_t *first, uint32_t count) {
    const uintptr_t *end = node_children(n) + (n->kind == DIRECT ? UINT8_MAX + 1u : n->count);
    for (uint32_t i = 0; i < count && first + i < end; i++) prefetch_child(first[i]);
}

static struct radix_node *node_create(struct radix_tree *t, uint32_t kind) {
    ASSERT(kind < RADIX_KINDS);
    struct radix_node *n = t->free[kind];
    if (n != NULL)
        t->free[kind] = n->parent;
    else
        n = arena_alloc(t->arena, kind_bytes(kind));

    memset(n, 0, kind == DIRECT ? kind_bytes(kind) : sizeof *n + kind_key_bytes(kind));
    n->kind = (uint16_t)kind;
    return n;
}

/* The place that points at `n`. */
static uintptr_t *node_link(struct radix_tree *t, const struct radix_node *n) {
    if (n->parent == NULL) return &t->root;
    uintptr_t *link = node_find(n->parent, n->ikey[n->parent->depth]);
    ASSERT(link != NULL);
    ASSERT(child_node(*link) == n);
    return link;
}

/* Copy the first of the skipped bytes, which start at `from`, into the node. */
static void node_set_prefix(struct radix_node *n, uint32_t from) {
    ASSERT(from <= n->depth);
    const uint32_t skipped = n->depth - from;
    const uint32_t len = skipped < PREFIX_BYTES_MAX ? skipped : PREFIX_BYTES_MAX;
    memset(n->prefix, 0, sizeof n->prefix);
    memcpy(n->prefix, n->ikey + from, len);
}

/* Replace `n` by a node of the next kind with the same content. */
static struct radix_node *node_grow(struct radix_tree *t, struct radix_node *n) {
    ASSERT(n->kind < DIRECT);
    ASSERT(n->count == kind_children[n->kind]);
    struct radix_node *larger = node_create(t, n->kind + 1u);
    const uint16_t kind = larger->kind;
    memcpy(larger, n, sizeof *n);
    larger->kind = kind;

    const uintptr_t *from = node_children(n);
    uintptr_t *to = node_children(larger);
    if (kind != DIRECT) memcpy(larger->body, n->body, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        to[kind == DIRECT ? n->body[i] : i] = from[i];
        if (!child_is_entry(from[i])) child_node(from[i])->parent = larger;
    }
    *node_link(t, n) = (uintptr_t)larger;
    n->parent = t->free[n->kind];
    t->free[n->kind] = n;
    return larger;
}

/* Requires no child at `byte`. */
static void node_add(struct radix_tree *t, struct radix_node *n, uint8_t byte, uintptr_t child) {
    if (n->count == kind_children[n->kind]) n = node_grow(t, n);
    uintptr_t *children = node_children(n);
    uint32_t at = byte;
    if (n->kind != DIRECT) {
        at = count_below(n->body, n->count, byte);
        const uint32_t above = n->count - at;
        ASSERT(above == 0 || n->body[at] != byte);
        memmove(n->body + at + 1, n->body + at, above);
        memmove(children + at + 1, children + at, above * sizeof *children);
        n->body[at] = byte;
    }
    children[at] = child;
    n->count++;
    if (!child_is_entry(child)) child_node(child)->parent = n;
}

/* ---- descent ---- */

/* Where a descent along an ikey ended. */
struct descent {
    struct radix_node *node;      /* the last node met; NULL in a tree of one entry */
    struct memtable_entry *entry; /* the entry met below it, or NULL: it has no child to go to */
    const uint8_t *sample;        /* ikey of an entry below where it ended */
    uint32_t sample_bytes;        /* bytes of it that count: all, or the node's depth */
    bool is_checked;              /* all of the node's depth was compared and is shared */
};

/* Whether the bytes of `n` skipped after `from` are those of `ikey`, as far as
 * the node itself tells; the rest is left for the end of the descent. */
static bool prefix_is_shared(const struct radix_node *n, struct bytes ikey, uint32_t from) {
    const uint32_t skipped = n->depth - from;
    if (skipped == 0) return true;
    if (skipped > PREFIX_BYTES_MAX || ikey.len < n->depth) return false;
    return memcmp(n->prefix, ikey.ptr + from, skipped) == 0;
}

/* Requires a tree that is not empty. */
static struct descent descend(const struct radix_tree *t, struct bytes ikey) {
    struct descent d = { .is_checked = true };
    uintptr_t child = t->root;
    uint32_t from = 0;
    while (!child_is_entry(child)) {
        struct radix_node *n = child_node(child);
        d.node = n;
        d.is_checked = d.is_checked && prefix_is_shared(n, ikey, from);
        const uintptr_t *link = n->depth < ikey.len ? node_find(n, ikey.ptr[n->depth]) : NULL;
        if (link == NULL) {
            d.sample = n->ikey;
            d.sample_bytes = n->depth;
            return d;
        }
        child = *link;
        from = n->depth + 1;
    }
    d.entry = child_entry(child);
    d.sample = d.entry->ikey;
    d.sample_bytes = (uint32_t)entry_ikey(d.entry).len;
    return d;
}

/* Leading bytes that `ikey` and the sample share. */
static uint32_t descent_shared(const struct descent *d, struct bytes ikey) {
    if (d->entry == NULL && d->is_checked) return d->sample_bytes;
    const uint32_t end = ikey.len < d->sample_bytes ? (uint32_t)ikey.len : d->sample_bytes;
    uint32_t i = d->is_checked && d->node != NULL ? d->node->depth : 0;
    for (; i + 8 <= end; i += 8) {
        const uint64_t differ = get_u64_le(ikey.ptr + i) ^ get_u64_le(d->sample + i);
        if (differ != 0) return i + (uint32_t)__builtin_ctzll(differ) / 8;
    }
    while (i < end && ikey.ptr[i] == d->sample[i]) i++;
    return i;
}

/* The topmost node below which all ikeys share more than `shared` bytes, or
 * NULL if `n` shares no more. */
static struct radix_node *climb(struct radix_node *n, uint32_t shared) {
    if (n == NULL || n->depth <= shared) return NULL;
    while (n->parent != NULL && n->parent->depth > shared) n = n->parent;
    return n;
}

/* ---- insert ---- */

static void node_add_entry(struct radix_tree *t, struct radix_node *n, struct memtable_entry *e) {
    const struct bytes ikey = entry_ikey(e);
    ASSERT(ikey.len >= n->depth);
    if (ikey.len == n->depth) {
        ASSERT(n->terminal == NULL);
        n->terminal = e;
    } else {
        node_add(t, n, ikey.ptr[n->depth], child_of_entry(e));
    }
}

/* Put a node that branches at `depth` in the place of `*link`, and both what was
 * there (whose ikeys start with those of `below`) and `e` under it. */
static void split(struct radix_tree *t, uintptr_t *link, struct radix_node *parent,
                  struct memtable_entry *e, uint32_t depth) {
    const uintptr_t below = *link;
    struct radix_node *n = node_create(t, 0);
    n->parent = parent;
    n->ikey = e->ikey;
    n->depth = depth;
    node_set_prefix(n, parent == NULL ? 0 : parent->depth + 1);
    *link = (uintptr_t)n;
    if (child_is_entry(below)) {
        node_add_entry(t, n, child_entry(below));
    } else {
        struct radix_node *lower = child_node(below);
        ASSERT(lower->depth > depth);
        node_set_prefix(lower, depth + 1);
        node_add(t, n, lower->ikey[depth], below);
    }
    node_add_entry(t, n, e);
    ASSERT(n->count + (n->terminal != NULL) == 2);
}

void radix_tree_init(struct radix_tree *t, struct arena *arena) {
    ASSERT(arena != NULL);
    ASSERT(kind_bytes(DIRECT) + kind_bytes(0) <= RADIX_INSERT_BYTES_MAX);
    *t = (struct radix_tree){ .arena = arena };
}

void radix_tree_insert(struct radix_tree *t, struct memtable_entry *e) {
    ASSERT(((uintptr_t)e & (ENTRY_ALIGN - 1)) == 0);
    const struct bytes ikey = entry_ikey(e);
    if (t->root == 0) {
        t->root = child_of_entry(e);
        return;
    }
    const struct descent d = descend(t, ikey);
    const uint32_t shared = descent_shared(&d, ikey);
    struct radix_node *above = climb(d.node, shared);
    if (above != NULL) {
        split(t, node_link(t, above), above->parent, e, shared);
    } else if (d.entry == NULL) {
        ASSERT(shared == d.node->depth);
        node_add_entry(t, d.node, e);
    } else {
        ASSERT(shared < ikey.len || shared < entry_ikey(d.entry).len);
        uintptr_t *link = d.node == NULL ? &t->root : node_find(d.node, ikey.ptr[d.node->depth]);
        split(t, link, d.node, e, shared);
    }
}

/* One of a group of descents that go on together. */
struct step {
    const struct memtable_entry *entry; /* to be inserted */
    const struct radix_node *node;      /* being fetched, or met */
    const uintptr_t *link;              /* being fetched: the way on from `node` */
};

/* Advance by one fetch; false when it has arrived. */
static bool step_on(struct step *s) {
    if (s->link != NULL) {
        const uintptr_t child = *s->link;
        s->link = NULL;
        s->node = child_node(child);
        prefetch_child(child);
        return child != 0 && !child_is_entry(child);
    }
    const struct bytes ikey = entry_ikey(s->entry);
    const struct radix_node *n = s->node;
    if (n->depth >= ikey.len) return false;
    if (n->kind == DIRECT) {
        s->link = &node_children(n)[ikey.ptr[n->depth]];
        __builtin_prefetch(s->link);
        return true;
    }
    const uint32_t at = count_below(n->body, n->count, ikey.ptr[n->depth]);
    const uintptr_t *link = &node_children(n)[at];
    __builtin_prefetch(link);
    if (at == n->count || n->body[at] != ikey.ptr[n->depth]) return false;
    s->link = link;
    return true;
}

void radix_tree_insert_group(struct radix_tree *t, struct memtable_entry **entries,
                             uint32_t count) {
    struct step steps[RADIX_GROUP_MAX];
    ASSERT(count <= RADIX_GROUP_MAX);
    uint32_t under_way = t->root != 0 && !child_is_entry(t->root) ? count : 0;
    for (uint32_t i = 0; i < under_way; i++)
        steps[i] = (struct step){ .entry = entries[i], .node = child_node(t->root) };
    while (under_way > 0) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < under_way; i++) {
            if (step_on(&steps[i])) steps[kept++] = steps[i];
        }
        under_way = kept;
    }
    for (uint32_t i = 0; i < count; i++) radix_tree_insert(t, entries[i]);
}

/* ---- order ---- */

static struct radix_position position_first(const struct radix_node *parent, uintptr_t child) {
    const struct radix_node *n = parent;
    while (!child_is_entry(child)) {
        n = child_node(child);
        if (n->terminal != NULL) return (struct radix_position){ n, n->terminal };
        const uintptr_t *first = node_find_from(n, 0);
        ASSERT(first != NULL);
        node_prefetch(n, first + 1, WALK_AHEAD);
        child = *first;
    }
    return (struct radix_position){ n, child_entry(child) };
}

/* The first entry below `n` at a byte >= `byte` (up to 256), or after all of `n`. */
static struct radix_position position_from(const struct radix_node *n, uint32_t byte) {
    while (n != NULL) {
        const uintptr_t *child = node_find_from(n, byte);
        if (child != NULL) {
            node_prefetch(n, child + WALK_AHEAD, 1);
            return position_first(n, *child);
        }
        if (n->parent != NULL) byte = n->ikey[n->parent->depth] + 1u;
        n = n->parent;
    }
    return (struct radix_position){ NULL, NULL };
}

struct radix_position radix_tree_next(struct radix_position p) {
    ASSERT(p.entry != NULL);
    if (p.node == NULL) return (struct radix_position){ NULL, NULL };
    if (p.node->terminal == p.entry) return position_from(p.node, 0);
    return position_from(p.node, p.entry->ikey[p.node->depth] + 1u);
}

struct radix_position radix_tree_seek(const struct radix_tree *t, struct bytes ikey) {
    if (t->root == 0) return (struct radix_position){ NULL, NULL };
    const struct descent d = descend(t, ikey);
    const uint32_t shared = descent_shared(&d, ikey);
    struct radix_node *above = climb(d.node, shared);
    if (above != NULL) { /* all of `above` lies on one side of the ikey */
        const bool is_after = ikey.len == shared || ikey.ptr[shared] < above->ikey[shared];
        if (is_after) return position_first(above->parent, (uintptr_t)above);
        return position_from(above, UINT8_MAX + 1u);
    }
    if (d.entry != NULL) {
        const struct radix_position p = { d.node, d.entry };
        if (d.node != NULL)
            node_prefetch(d.node, node_find(d.node, d.entry->ikey[d.node->depth]), WALK_AHEAD);
        return bytes_compare(entry_ikey(d.entry), ikey) >= 0 ? p : radix_tree_next(p);
    }
    if (ikey.len == d.node->depth) return position_first(d.node->parent, (uintptr_t)d.node);
    const uintptr_t *link = node_find_from(d.node, ikey.ptr[d.node->depth]);
    if (link != NULL) node_prefetch(d.node, link, WALK_AHEAD);
    return position_from(d.node, ikey.ptr[d.node->depth]);
}

/* ---- check ---- */

/* Whether the fields of `n`, met at `*link`, agree with each other and its parent. */
static bool node_check(const struct radix_node *n) {
    const struct radix_node *parent = n->parent;
    const uint32_t from = parent == NULL ? 0 : parent->depth + 1;
    if (n->kind >= RADIX_KINDS || n->count > kind_children[n->kind]) return false;
    if (n->depth < from || n->depth > IKEY_BYTES_MAX) return false;
    if (n->count + (n->terminal != NULL) < 2) return false;
    if (parent != NULL && memcmp(parent->ikey, n->ikey, parent->depth) != 0) return false;
    const uint32_t skipped = n->depth - from;
    const uint32_t len = skipped < PREFIX_BYTES_MAX ? skipped : PREFIX_BYTES_MAX;
    return memcmp(n->prefix, n->ikey + from, len) == 0;
}

bool radix_tree_check(const struct radix_tree *t, uint64_t *ret_entries) {
    uint64_t entries = 0;
    struct bytes before = BYTES_NONE;
    struct radix_position p = { NULL, NULL };
    if (t->root != 0) p = position_first(NULL, t->root);
    const struct radix_node *node_before = NULL;
    for (; p.entry != NULL; p = radix_tree_next(p)) {
        const struct bytes ikey = entry_ikey(p.entry);
        if (entries > 0 && bytes_compare(before, ikey) >= 0) return false;
        const struct radix_node *n = p.node != node_before ? p.node : NULL;
        for (; n != NULL; n = n->parent)
            if (!node_check(n)) return false;
        if (p.node != NULL && memcmp(p.node->ikey, ikey.ptr, p.node->depth) != 0) return false;
        node_before = p.node;
        before = ikey;
        entries++;
    }
    *ret_entries = entries;
    return true;
}

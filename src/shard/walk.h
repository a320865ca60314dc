/* walk.h - a range request at one shard, in slices that never hold up a turn.
 *
 * Between slices only the last key examined is kept, so writes may come between;
 * a walk sees each key at most once and every key that was there all along.
 *
 * Lifecycle  create -> slice* -> (next_page -> slice*)* -> destroy (by the task that reads
 *            the answers)
 * Owner      the home shard while its call is away, then the origin
 * Memory     an arena for the rows of one page; the page is bounded (request.h)
 */
#ifndef ATOLL_SHARD_WALK_H
#define ATOLL_SHARD_WALK_H

#include "base/arena.h"
#include "base/buffer.h"
#include "cluster/membership.h"
#include "proto/request.h"
#include "storage/engine.h"

/* Records looked at in one slice: about half a millisecond. */
#define WALK_SLICE_RECORDS 2048u

struct walk {
    struct arena arena;               /* bytes of the page's rows */
    struct row_page page;             /* OP_SCAN: the answer; OP_RANDOM_KEY: rows[0] */
    struct buffer at;                 /* last key examined */
    bool moved;                       /* `at` holds one */
    uint32_t examined;                /* records looked at for this page */
    size_t bytes;                     /* in the page's rows */
    uint64_t sequence;                /* highest log position of what was seen */
    const struct membership *kept_by; /* see walk_keeps */
    uint64_t hidden_before;           /* see walk_keeps */
    uint64_t random;                  /* OP_RANDOM_KEY: same seed after a fetch, same path */
    struct engine_iterator *iterator; /* only while a block is fetched */
    struct cache_block *held; /* fetched since the walk last moved: a full cache cannot starve it */
    uint32_t held_count;
    uint32_t held_capacity;
    bool advanced; /* moved since the last fetch */
};

struct walk *walk_create(uint64_t random);
void walk_destroy(struct walk *w);

/* Go on with the request.
 * Errors  ST_WAIT  read the block in *ret_fetch and give it to walk_fetched first
 *         ST_BUSY  the slice is used up: call again next turn
 *         ST_CORRUPT, ST_IO */
STATUS walk_slice(struct walk *w, struct engine *e, struct cache *cache, const struct request *q,
                  uint64_t now_ms, uint8_t *ikey_space, struct table_fetch *ret_fetch);
/* From the next slice on only keys of slots that the own member of `kept_by` keeps are seen; NULL =
 * all. It must hold for as long as slices are taken. Nor is seen what is stamped below
 * `hidden_before` in slots that this member is only to get (shard/catch_up.h). */
void walk_keeps(struct walk *w, const struct membership *kept_by, uint64_t hidden_before);
/* The block is cached: the walk goes on at its last key. */
void walk_fetched(struct walk *w, struct cache_block block);
/* Forget the answer and take the request for another page, which says itself where to begin.
 * The memory is kept: a scan of many pages would fault it in anew for each. */
void walk_next_page(struct walk *w);
/* Give back all of the engine; at home, before the answer leaves. */
void walk_let_go(struct walk *w, struct cache *cache);

#endif

/* membership.h - a view: what the data plane knows of one state of the metadata.
 *
 * A member has a place as long as it exists, so that what is kept for it (links, hints, pairs)
 * stays where it is from one view to the next; slots name places. Everything is copied: a view
 * never changes, and any thread may read it. A view without a cluster (epoch 0) has no members:
 * the node gathers or joins, or is a proxy without news.
 *
 * (What a node calls itself in versions is the node id of its data directory, see
 * storage/identity.h; a member id is another number.)
 *
 * Pure. Lifecycle  membership_from_metadata | _create | _clone -> read only -> _destroy
 * Owner      who made it, until it is published (shard/views.h)
 * Memory     about 0.7 MiB, 148 bytes a place, and up to 0.1 MiB of keyspaces
 */
#ifndef ATOLL_CLUSTER_MEMBERSHIP_H
#define ATOLL_CLUSTER_MEMBERSHIP_H

#include "base/bytes.h"
#include "cluster/metadata.h"
#include "cluster/place_set.h"

struct member {
    uint32_t id;                        /* 0 = the place is free */
    uint32_t weight;                    /* 1.. */
    uint32_t zone;                      /* 0 = none */
    uint32_t boot;                      /* starts announced; a lower one is an old copy */
    enum member_state state;            /* below MEMBER_STATES */
    char address[MEMBER_ADDRESS_BYTES]; /* canonical "ip:port" */
};

struct membership {
    struct cluster_id cluster;  /* zero = none is known */
    uint64_t epoch;             /* of the slots; 0 = no cluster */
    uint64_t revision;          /* of the metadata: later views have higher ones */
    uint32_t self;              /* own place; MEMBER_NONE: a proxy, or not a member yet */
    uint32_t count;             /* members: places that are used */
    struct place_set used;      /* these */
    uint32_t replicas;          /* N of the table; lists may be shorter */
    uint32_t replicas_next;     /* N that is asked for instead; 0 = none is */
    uint32_t places;            /* of `all`: one more than the last that is used */
    struct member *all;         /* owned; by place */
    uint16_t keyspace_last;     /* highest id given out; those not in `keyspaces` are gone */
    uint32_t keyspaces_count;   /* of `keyspaces` */
    struct keyspace *keyspaces; /* owned; by id, the default one first */
    struct slot_table slots;    /* lists and targets are places */
};

/* Whose answers count for a slot: what a coordination remembers from its begin to its end. */
struct slot_places {
    enum slot_phase phase;          /* as it is */
    uint64_t epoch;                 /* when who counts last changed */
    struct slot_list list;          /* the first N of the list */
    struct slot_list target;        /* JOINT: of the target, whose quorums count too; else empty */
    uint16_t in_target;             /* bits of those positions in `all` that the target has */
    uint8_t count;                  /* of `all` */
    uint16_t all[2 * REPLICAS_MAX]; /* the list, then who is in the target only, in their orders */
};

/* The view of `state` by the member with the id `self`; 0 = a proxy. `previous` is the view before
 * it or NULL: members keep their places, and others only get those that were free in it.
 * Errors  ST_BUSY  no place is free for a new member: publish a view without the removed first */
STATUS membership_from_metadata(const struct metadata *state, uint32_t self,
                                const struct membership *previous,
                                struct membership **ret_membership);
/* The view at epoch 1 of a cluster without a control plane, as tests of the data path have it:
 * members are 1.. by sorted address, and the id of the cluster is a hash of the list and of N, W
 * and R. `addresses` are canonical (numeric, see server/); doubles count once. `self` is the own
 * address, added if it is missing, or NULL for a proxy.
 * Errors  ST_FULL     more than FOUNDERS_MAX
 *         ST_INVALID  an address that is none, N, W or R out of range, no member at all */
STATUS membership_create(const char *const *addresses, uint32_t count, const char *self,
                         struct replication replication, struct membership **ret_membership);
/* A view without a cluster. */
struct membership *membership_create_empty(void);
struct membership *membership_clone(const struct membership *m);
/* NULL is nothing to destroy. */
void membership_destroy(struct membership *m);

extern const struct member member_nobody;
/* Who is at a place; one that is not used, as of a member that is gone, has id 0 and no address. */
static inline const struct member *membership_member(const struct membership *m, uint32_t place) {
    ASSERT(place < MEMBERS_MAX);
    return place < m->places ? &m->all[place] : &member_nobody;
}
/* Place of the member with this id, or MEMBER_NONE. */
uint32_t membership_find(const struct membership *m, uint32_t id);
/* The first used place from `from` on; MEMBER_NONE = no more. */
static inline uint32_t membership_next(const struct membership *m, uint32_t from) {
    return place_set_next(&m->used, from);
}

/* Who keeps a slot now: places, owner first. */
static inline const struct slot_list *membership_list(const struct membership *m, uint32_t slot) {
    return &m->slots.lists[slot];
}
/* Where `place` is in the slot's list, or -1. */
static inline int membership_place(const struct membership *m, uint32_t slot, uint32_t place) {
    return slot_list_place(&m->slots.lists[slot], (uint16_t)place);
}
/* Whether the member at `place` keeps the slot: it is in its list or, in the joint phase, in its
 * target. */
static inline bool membership_keeps(const struct membership *m, uint32_t slot, uint32_t place) {
    ASSERT(slot < RING_SLOTS);
    if (place >= MEMBERS_MAX) return false;
    if (membership_place(m, slot, place) >= 0) return true;
    if (m->slots.phases[slot] != SLOT_JOINT) return false;
    return slot_list_place(&m->slots.targets[slot], (uint16_t)place) >= 0;
}
/* Add the places that keep the slot to `places`. */
static inline void membership_keepers(const struct membership *m, uint32_t slot,
                                      struct place_set *places) {
    slot_list_collect(&m->slots.lists[slot], places);
    if (m->slots.phases[slot] == SLOT_JOINT) slot_list_collect(&m->slots.targets[slot], places);
}
/* The others that keep a slot that the member at `place` keeps too, of the slots `first`, `first` +
 * `step`, ... */
void membership_neighbors(const struct membership *m, uint32_t place, uint32_t first, uint32_t step,
                          struct place_set *ret_places);
/* Whose answers count for keys of a slot in this keyspace. Requires  there is a cluster */
void membership_replicas(const struct membership *m, uint32_t slot, uint16_t keyspace,
                         struct slot_places *ret_places);
/* Whether the same answers count, and as of the same epoch. */
bool slot_places_equal(const struct slot_places *a, const struct slot_places *b);
/* The position of `place` in `all`, or -1. */
int slot_places_find(const struct slot_places *p, uint32_t place);
/* N, W and R of a keyspace; of one that is not known, the default's. Requires  as above */
struct replication membership_replication(const struct membership *m, uint16_t keyspace);
/* W or R in numbers: of `count` copies, when `wanted` are asked for; 0 = a majority. */
static inline uint32_t membership_quorum(uint32_t wanted, uint32_t count) {
    const uint32_t quorum = wanted == 0 ? membership_majority(count) : wanted;
    return quorum < count ? quorum : count;
}

/* "0123456789abcdef..." of a cluster's id. */
#define CLUSTER_ID_TEXT_BYTES (2u * CLUSTER_ID_BYTES + 1)
void cluster_id_print(const struct cluster_id *id, char ret_text[CLUSTER_ID_TEXT_BYTES]);
static inline bool cluster_id_equal(const struct cluster_id *a, const struct cluster_id *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

bool membership_check(const struct membership *m);

#endif

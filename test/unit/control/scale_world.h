/* scale_world.h - control planes of up to a thousand nodes in one process, with virtual time.
 *
 * What runs is the production code of the control plane: gathering, joining, Raft, the metadata,
 * ring changes, reports. Below it stand a disk that stores nothing and takes SCALE_DISK_MS, and a
 * network that loses nothing and takes 1 to SCALE_DELAY_MS; above it a data plane without data,
 * which adopts and has caught up after a moment. Links and their heartbeats are not part of it.
 * A run is the same for a seed, event for event.
 *
 * Lifecycle  scale_create -> (scale_run | scale_kill | ..)* -> scale_destroy
 * Owner      one test
 * Memory     some 1.5 MiB for each node
 */
#ifndef ATOLL_TEST_UNIT_CONTROL_SCALE_WORLD_H
#define ATOLL_TEST_UNIT_CONTROL_SCALE_WORLD_H

#include "control/control.h"
#include "control/control_store.h"
#include "sim/random.h"

#define SCALE_FOUNDERS 5u
#define SCALE_NODES_MAX (MEMBERS_MAX + 8u)
#define SCALE_DISK_MS 2u
#define SCALE_DELAY_MS 3u

struct scale_world;

struct scale_traffic {
    uint64_t sent_messages;     /* to others */
    uint64_t sent_bytes;        /* with a frame's header each */
    uint64_t received_messages; /* from others */
    uint64_t received_bytes;    /* as above */
};

/* A store that forgets: nobody starts a second time. */
struct scale_store {
    struct raft_store_done next; /* what was added, and is told once it is written */
    struct raft_store_done job;  /* what is being written */
    bool dirty;                  /* `next` holds something */
    bool busy;                   /* a job is under way */
    bool again;                  /* another is to follow it */
};

struct scale_node {
    struct scale_world *world; /* it is in */
    uint32_t at;               /* its index */
    char address[24];          /* its own */
    struct control *control;   /* owned; NULL: not started, killed, or removed */
    struct scale_store store;  /* its disk */
    uint32_t self;             /* member id; 0 = none published */
    uint64_t epoch;            /* published last */
    uint64_t adopted;          /* told last */
    bool removed;              /* it was told so */
    struct scale_traffic traffic;
};

enum scale_event_kind {
    SCALE_START,
    SCALE_PACKET,
    SCALE_TICK,
    SCALE_STORED,
    SCALE_ADOPT,
    SCALE_CAUGHT
};

struct scale_event {
    uint64_t at_ms;             /* when it happens */
    uint64_t serial;            /* of equal times the first made comes first */
    enum scale_event_kind kind; /* see there */
    uint32_t to;                /* node */
    uint32_t from;              /* PACKET: node */
    bool linked;                /* PACKET: over a link of members */
    uint64_t epoch;             /* ADOPT, CAUGHT */
    uint8_t *bytes;             /* PACKET: owned */
    uint32_t len;               /* PACKET: of bytes */
};

struct scale_world {
    struct sim_random random; /* of everything */
    uint64_t now_ms;          /* the one clock */
    uint32_t node_count;      /* of nodes */
    struct scale_node *nodes; /* owned; [SCALE_NODES_MAX] */
    uint32_t *node_of;        /* owned; by member id, index + 1; [SCALE_NODES_MAX * 4] */
    struct scale_event *heap; /* owned; the soonest first */
    uint32_t heap_count;      /* of heap */
    uint32_t heap_room;       /* of heap */
    uint64_t serials;         /* of events */
};

/* `count` nodes, the first SCALE_FOUNDERS of them with a list, the others joining these; they start
 * within `spread_ms`. */
struct scale_world *scale_create(uint32_t count, uint32_t spread_ms, uint64_t seed);
void scale_destroy(struct scale_world *w);
/* One more node, that joins. Returns its index. */
uint32_t scale_add(struct scale_world *w);
/* It is gone, without a word. */
void scale_kill(struct scale_world *w, uint32_t node);
/* For so long. */
void scale_run(struct scale_world *w, uint32_t ms);
/* The node that leads, and is known to lead by all that run; SCALE_NODES_MAX = none yet. */
uint32_t scale_leader(const struct scale_world *w);
/* Whether `members` are active, no others are known, no change runs, and all that run know it. */
bool scale_is_settled(const struct scale_world *w, uint32_t members);
/* Run until it is so, for at most `limit_ms`. Returns how long it took; UINT32_MAX = it is not. */
uint32_t scale_settle(struct scale_world *w, uint32_t members, uint32_t limit_ms);
void scale_forget_traffic(struct scale_world *w);

#endif

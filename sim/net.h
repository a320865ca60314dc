/* net.h - the network between simulated nodes: streams with delays, limits and faults.
 *
 * A place is a machine with an ip; a node (a `struct os`) attaches to it, and after a
 * crash the next one does. Nodes use os/sock.h and os/loop.h as on Linux. What is sent
 * becomes parcels that sim_net_advance delivers; conditions are per ordered pair of
 * places and may change at any time. Frames of peer streams (proto/peer.h) can be lost,
 * repeated, delayed behind later ones or damaged one by one, but HELLO and REFUSE are
 * neither lost nor repeated.
 *
 * Lifecycle  create -> (attach | set | crash | advance)* -> destroy, after its nodes
 * Owner      one thread; the world advances it to its time before it runs a node
 * Memory     per stream and direction at most 1 MiB, and what faults repeat (2 MiB)
 * Failure    none; the same seed and the same calls give the same deliveries
 */
#ifndef ATOLL_SIM_NET_H
#define ATOLL_SIM_NET_H

#include "os/os.h"
#include "sim/trace.h"

#define SIM_NET_PLACES_MAX 64u
#define SIM_NET_BACKLOG_MAX 256u /* connections of one listener not yet accepted */

struct sim_net;
struct sim_net *sim_net_create(uint64_t seed);
/* Requires  no node is attached */
void sim_net_destroy(struct sim_net *net);
/* NULL = off. Every delivery is added: time, from, to, length, hash of the bytes. */
void sim_net_set_trace(struct sim_net *net, struct sim_trace *trace);

/* The number of the machine with this ip ("10.0.0.1"), 0.. in the order of first use. It
 * has no power until a node is attached. */
uint32_t sim_net_place(struct sim_net *net, const char *ip);
/* Put a node there; os_destroy takes it away again. Returns the number of the place.
 * Requires  the os is driven (sim_os_drive); no other node is there now */
uint32_t sim_net_attach(struct sim_net *net, struct os *os, const char *ip);

/* The conditions from one place to another. What is set counts for what is sent from
 * then on; `blocked` and the end of a limit on speed count for what is under way too. */
struct sim_net_link {
    uint32_t delay_min_us;      /* of one way */
    uint32_t delay_max_us;      /* likewise, at least the minimum */
    bool blocked;               /* nothing arrives until it is lifted; then all that waited */
    uint64_t bytes_per_s;       /* of all streams together; 0 = no limit */
    uint32_t lost_permille;     /* of frames: they vanish */
    uint32_t repeated_permille; /* of frames: they arrive again, later */
    uint32_t late_permille;     /* of frames: they arrive behind later ones */
    uint32_t flipped_permille;  /* of frames: one bit is wrong */
};

/* Until set: 100..500 us within no limit and no faults; 5..20 us from a place to itself. */
struct sim_net_link sim_net_link(const struct sim_net *net, uint32_t from, uint32_t to);
void sim_net_set_link(struct sim_net *net, uint32_t from, uint32_t to,
                      const struct sim_net_link *link);
/* Every link without faults, block and limit; delays stay. */
void sim_net_heal(struct sim_net *net);

/* How long unanswered bytes or a connection in progress wait before the stream is given
 * up by its sender (the other side learns when it sends); 15 s until set. */
void sim_net_set_patience_ms(struct sim_net *net, uint32_t patience_ms);
/* How many of 1000 reads, writes and arrivals are cut in two; 20 until set. */
void sim_net_set_partial_permille(struct sim_net *net, uint32_t permille);

/* Reset every stream between two places: of what was under way a random prefix arrives,
 * then both ends fail. Returns how many streams. */
uint32_t sim_net_reset(struct sim_net *net, uint32_t a, uint32_t b);

enum sim_net_crash_style {
    SIM_NET_CRASH_DICE,    /* one of the two below */
    SIM_NET_CRASH_PROCESS, /* the machine stays up: it ends or resets streams, refuses new ones */
    SIM_NET_CRASH_POWER,   /* silence: others notice when their patience ends, or when the
                              machine is back and does not know the stream */
};
/* The node is gone, with all its sockets; its os may not use the network any more. */
void sim_net_crash(struct sim_net *net, struct os *os, enum sim_net_crash_style style);

/* World time of the next delivery (or end of patience); UINT64_MAX = nothing under way. */
uint64_t sim_net_due_ns(const struct sim_net *net);
/* Deliver all that is due up to `world_ns`, in order of time. Nodes hear of it at
 * their next os_loop_wait. Requires  world_ns not below an earlier one */
void sim_net_advance(struct sim_net *net, uint64_t world_ns);

/* What happened so far. */
struct sim_net_counts {
    uint64_t deliveries;      /* parcels that arrived */
    uint64_t bytes;           /* in them */
    uint64_t streams;         /* connections that came up */
    uint64_t frames;          /* of peer streams, seen when sent */
    uint64_t frames_lost;     /* of them */
    uint64_t frames_repeated; /* of them */
    uint64_t frames_late;     /* of them */
    uint64_t frames_flipped;  /* of them */
    uint64_t resets;          /* streams ended by sim_net_reset */
    uint64_t timeouts;        /* streams given up because patience ended */
};
struct sim_net_counts sim_net_counts(const struct sim_net *net);

#endif

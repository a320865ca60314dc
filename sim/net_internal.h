/* net_internal.h - what the network's files and the simulated sockets share.
 *
 * A stream joins two ends (sockets) by two pipes, one each way. A pipe holds what is
 * under way as parcels in the order they will arrive, and has one place in the
 * network's heap of what is due. An end that is closed or gone is NULL in its stream;
 * bytes that arrive for it are answered by a reset. With both NULL the stream is freed.
 *
 * Owner      the network; a sock belongs to its os, in whose table of handles it is, or
 *            before it is accepted to the backlog of its listener
 */
#ifndef ATOLL_SIM_NET_INTERNAL_H
#define ATOLL_SIM_NET_INTERNAL_H

#include "base/buffer.h"
#include "base/list.h"
#include "os/sock.h"
#include "sim/net.h"
#include "sim/os_sim_internal.h"
#include "sim/random.h"

#define NET_WINDOW_BYTES_MIN (64u * 1024) /* what a sender may have under way or unread */
#define NET_WINDOW_BYTES_MAX (1024u * 1024)
/* Frames up to this are kept until they are whole; larger ones pass in pieces. */
#define NET_FRAME_HELD_MAX (32u * 1024)
#define NET_LATE_MAX 64u /* frames repeated or late under way in one pipe */
/* A window, and all that may come twice, with room to spare. */
#define NET_INBOX_BYTES_MAX (8u * 1024 * 1024)
#define NET_IP_BYTES_MAX 64u
#define NET_PORT_EPHEMERAL 32768u /* the first given to a socket that asks for none */
#define NET_NOT_IN_HEAP UINT32_MAX

static_assert(NET_FRAME_HELD_MAX < NET_WINDOW_BYTES_MIN, "a frame kept back never fills a window");
static_assert(NET_WINDOW_BYTES_MAX + NET_LATE_MAX * NET_FRAME_HELD_MAX < NET_INBOX_BYTES_MAX,
              "whatever is under way fits in the inbox");

enum sock_state {
    SOCK_LISTENING,
    SOCK_CONNECTING,
    SOCK_OPEN,
    SOCK_FAILED, /* refused, reset or given up; what had arrived can still be read */
};

struct stream;

struct sock {
    struct os *os;
    int32_t handle; /* -1 = in a backlog */
    enum sock_state state;
    uint16_t port;          /* its own */
    struct os_loop *loop;   /* who is told; NULL = nobody */
    void *user;             /* given back in its events */
    uint32_t tag;           /* likewise */
    struct list ready_link; /* in loop.ready while there is something to tell */
    uint64_t batch;         /* the batch of `loop` that has its event; 0 = none yet */
    uint32_t batch_index;   /* where in that batch */

    bool shared;            /* a listener: others may share the port */
    bool any;               /* a listener: on all addresses of its machine */
    bool loopback;          /* made by an address of this machine that no other reaches */
    struct list backlog;    /* of a listener: struct sock, oldest first */
    uint32_t backlog_count; /* of it */
    struct list link;       /* of an end not accepted yet: in the backlog */

    struct stream *stream; /* of an end; NULL once it failed */
    uint32_t side;         /* in the stream: 0 = the dialler */
    uint32_t peer_place;
    uint16_t peer_port;
    struct buffer inbox; /* arrived, not yet read */
    bool peer_ended;     /* after `inbox` comes the end */
    bool own_ended;      /* by os_sock_shutdown */
};

enum parcel_kind {
    PARCEL_OPEN,    /* the dialler asks */
    PARCEL_OPENED,  /* there is an end for it */
    PARCEL_REFUSED, /* nobody listens */
    PARCEL_BYTES,
    PARCEL_END,   /* nothing comes after */
    PARCEL_RESET, /* the sender's end is gone */
};

struct parcel {
    struct list link; /* in pipe.flight or pipe.late */
    enum parcel_kind kind;
    uint64_t due_ns; /* when it arrives, if nothing is in the way */
    uint32_t weight; /* bytes of the sender it stands for: none for a repetition */
    uint32_t start;  /* bytes of it that have arrived */
    uint32_t len;    /* of `bytes` */
    bool more;       /* the frame goes on in the next parcel */
    uint8_t bytes[];
};

enum frame_mode {
    FRAMES_UNKNOWN, /* too little was sent to tell */
    FRAMES_OFF,     /* not a peer stream, or its frames make no sense */
    FRAMES_ON,
};

/* Cuts what is sent into frames. */
struct cutter {
    enum frame_mode mode;
    struct buffer held; /* the beginning of a frame, or of the magic */
    uint64_t pass_left; /* bytes still to come of a large frame */
    bool pass_lost;     /* they are thrown away */
    uint64_t flip_in;   /* bytes of it before the one to damage; UINT64_MAX = none */
};

struct pipe {
    struct stream *stream;
    uint32_t side;      /* of the sender */
    struct list flight; /* struct parcel, in the order of sending */
    struct list late;   /* struct parcel with whole frames, by due time: they overtake none */
    uint32_t late_count;
    uint64_t weight;      /* of all parcels */
    uint32_t window;      /* bytes that may be under way or unread */
    uint64_t last_due_ns; /* of `flight` */
    uint64_t stuck_ns;    /* since when nothing gets through; SIM_NEVER_NS = it does */
    uint64_t give_up_ns;  /* end of the dialler's patience; SIM_NEVER_NS = it is connected */
    uint64_t room_ns;     /* when the sender hears that there is room; SIM_NEVER_NS = not */
    bool starved;         /* it was refused room and must hear of it */
    bool mid_frame;       /* what arrived ends inside a frame */
    uint64_t due_ns;      /* of what comes next, as in the heap */
    uint32_t heap_index;  /* NET_NOT_IN_HEAP = nothing is due */
    struct cutter cutter;
};

struct stream {
    struct list link; /* in net.streams */
    struct sim_net *net;
    uint64_t number; /* in the order of connecting */
    uint16_t port;   /* it was dialled */
    bool loopback;   /* see struct sock */
    uint32_t places[2];
    struct sock *ends[2]; /* 0 = the dialler; NULL = not there yet, or no longer */
    struct pipe pipes[2]; /* by the side of the sender */
};

struct place {
    char ip[NET_IP_BYTES_MAX];
    struct os *os;      /* NULL = no node is there */
    bool dark;          /* no power: it does not even refuse */
    uint16_t port_next; /* to be given to a socket that asks for none */
};

struct link_state {
    struct sim_net_link set;
    uint64_t busy_until_ns; /* with what is limited by bytes_per_s */
};

struct sim_net {
    struct sim_random random;
    struct sim_trace *trace; /* NULL = off */
    uint64_t now_ns;         /* world time */
    uint64_t patience_ns;
    uint32_t partial_permille;
    uint32_t place_count;
    struct place places[SIM_NET_PLACES_MAX];
    struct link_state *links; /* SIM_NET_PLACES_MAX squared, by from, then to */
    struct list streams;      /* struct stream, oldest first */
    uint64_t stream_count;    /* made so far */
    struct pipe **heap;       /* by due_ns, then number and side of the stream */
    uint32_t heap_count;
    uint32_t heap_capacity;
    struct sim_net_counts counts;
};

/* net.c */
struct link_state *net_link(struct sim_net *net, uint32_t from, uint32_t to);
/* How long the next parcel from one place to another takes. */
uint64_t net_delay_ns(struct sim_net *net, uint32_t from, uint32_t to);
/* The number of the place, SIM_NET_PLACES_MAX if there is none with this ip. */
uint32_t net_place_of(const struct sim_net *net, struct bytes ip);
/* Take the time of whoever acts, if it is later. */
void net_note_time(struct sim_net *net, const struct os *os);
bool net_dice(struct sim_net *net, uint32_t permille);
/* The node's process has ended; the machine refuses what comes. */
void net_detach(struct sim_net *net, struct os *os);
/* Whether nothing from one place arrives at the other now. */
bool net_is_stopped(struct sim_net *net, uint32_t from, uint32_t to);

/* net_heap.c */
void net_heap_put(struct sim_net *net, struct pipe *p, uint64_t due_ns); /* move it too */
void net_heap_drop(struct sim_net *net, struct pipe *p);                 /* fine if not there */

/* net_frame.c: post what is sent, with the faults that frames suffer. */
void frame_send(struct pipe *p, struct bytes in);
/* Let go of a frame that will never be whole. */
void frame_flush(struct pipe *p);

/* net_pipe.c */
void pipe_init(struct pipe *p, struct stream *stream, uint32_t side);
void pipe_deinit(struct pipe *p);
void pipe_post(struct pipe *p, enum parcel_kind kind);
/* `weight` is what the sender is charged. `late`: behind some of what is sent after it. */
void pipe_post_bytes(struct pipe *p, struct bytes in, uint32_t weight, bool more, bool late);
/* Throw away what is under way but for a random prefix, or all of it. */
void pipe_cut(struct pipe *p, bool keep_prefix);
/* Bytes its sender may send now. */
size_t pipe_room(const struct pipe *p);
/* Time at which it has something to do. */
uint64_t pipe_due_ns(struct pipe *p);
/* Do the first thing that is due. The stream stays, but must be settled. */
void pipe_step(struct pipe *p);
/* Arrive at once, and only what can arrive. */
void pipe_rush(struct pipe *p);
/* What waited for a block to end is on its way again. */
void pipe_resume(struct pipe *p);

enum end_style {
    END_CLOSE,  /* as os_sock_close does */
    END_RESET,  /* not in order */
    END_SILENT, /* by power loss */
};

/* net_stream.c */
struct stream *stream_create(struct sim_net *net, struct sock *dialler, uint32_t to, uint16_t port,
                             bool loopback);
/* Put both pipes where they belong in the heap; frees a stream without ends. To be called
 * after anything was done to it, and last. */
void stream_settle(struct stream *stream);
/* An end has failed, if it is there: its stream forgets it and what it had sent. */
void stream_fail(struct stream *stream, uint32_t side);
/* The owner of an end is done with it. May free the stream. */
void stream_leave(struct stream *stream, uint32_t side, enum end_style style);
/* What the dialler's first parcel does. False: nobody can take it now, try again. */
bool stream_arrive(struct stream *stream);

/* os_sock.c */
struct sock *sock_of(struct os_sock s);
uint32_t sock_ready(const struct sock *s); /* OS_READY_* */
struct sock *sock_create(struct os *os, enum sock_state state);
/* End it, and what is in its backlog. Its memory is freed. */
void sock_end(struct sock *s, enum end_style style);

#endif

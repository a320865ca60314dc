/* link.h - the stream between this shard and one shard of another node (proto/peer.h).
 *
 * Of two members the one with the smaller id dials, one link for each pair
 * of shards that have slots in common; proxies dial everyone. A lost link is dialled
 * again with back-off. Requests of both sides and their answers share it.
 *
 *   DOWN -> DIALLING -> GREETING -> UP -> DOWN      dialled
 *           (accepted)  GREETING -> UP -> freed     accepted
 *
 * Every link has heartbeats. In a cluster of more than LINKS_QUICK_MEMBERS those to members that have
 * no slot in common with this shard, and that nothing is waited for from, are slow: 1,000 links
 * with a ping each 100 ms would be 20,000 writes a second of a shard that does nothing else.
 *
 * Answers that show a write are kept in `held` until the log is safe that far; requests never
 * wait behind them.
 *
 * Lifecycle  link_create -> (event, serve, flush)* -> link_destroy
 * Owner      one shard
 * Memory     input: one incomplete frame; output: LINK_OUT_BYTES_MAX, past it the link is dropped
 * Failure    bad bytes, a failed socket or silence end the link, with one log line a while;
 *            nothing else is hurt
 */
#ifndef ATOLL_SHARD_LINK_H
#define ATOLL_SHARD_LINK_H

#include "base/buffer.h"
#include "base/list.h"
#include "cluster/detector.h"
#include "cluster/membership.h"
#include "os/sock.h"
#include "proto/peer.h"
#include "shard/sent.h"

/* Requests are refused (the replica counts as failed) once so much waits to be sent. */
#define LINK_OUT_BYTES_PAUSE (32u * 1024 * 1024)
/* Answers that the other side does not read: it has failed. */
#define LINK_OUT_BYTES_MAX (128u * 1024 * 1024)
/* Questions that bring values are refused while so many answers wait. */
#define LINK_OUT_BYTES_CLOGGED (LINK_OUT_BYTES_MAX / 2)
#define LINK_READ_BYTES_MAX (1024u * 1024) /* from one link before others get their turn */
#define LINK_MARKS_MAX 16u
/* Frames that nobody waits for are sent with the next that somebody does, or after this time, or
 * when so many bytes have come together: fewer and larger writes, reads and syncs. */
#define LINK_LAZY_NS 2000000u
#define LINK_LAZY_BYTES (32u * 1024)
/* Answers that nobody waits for go in a turn that comes anyway, once they are as old as the first;
 * the shard only wakes up for those as old as the second. */
#define LINK_LAZY_ANSWERS_NS 1000000u
#define LINK_LAZY_ANSWERS_WAKE_NS 3000000u
#define LINKS_QUICK_MEMBERS 64u /* up to so many members all heartbeats are quick */
#define LINKS_DIALLED_MAX 64u   /* in one tick: a view may bring a thousand members at once */
#define LINK_GREETING_MS 2000u  /* how long dialling and greeting may take */
/* Accepted streams of one shard that have not said who they are, and of proxies. */
#define LINKS_GUESTS_MAX 256u

struct shard;
struct hint_queue;
struct seed;
struct repair;

enum link_state { LINK_DOWN, LINK_DIALLING, LINK_GREETING, LINK_UP, LINK_STATES };

/* `held` up to `end` may go once the log is safe up to `sequence`. */
struct link_mark {
    uint64_t sequence;
    uint64_t end; /* absolute offset in what was ever held */
    bool urgent;  /* somebody waits for some of it */
};

struct link {
    struct list all;     /* in the shard's links */
    struct list work;    /* in the shard's list of links to serve, when not empty */
    struct list flush;   /* in the shard's list of links to flush, when not empty */
    struct list waiting; /* in the shard's list of links with something held */
    struct shard *shard;
    struct peer *peer; /* NULL: a proxy, or not known yet */
    struct seed *seed; /* dialled by its address, without a peer; else NULL */
    enum link_state state;
    bool dialled;          /* by us: dialled again when it is lost */
    bool readable;         /* the socket may have bytes */
    bool writable;         /* the socket may take bytes */
    bool may_end;          /* the stream's end may be behind what it has: read until it is empty */
    uint16_t remote_shard; /* UP: of the other node; before: the one wanted */
    uint64_t serial;       /* of this connection: answers for an earlier one are dropped */
    struct os_sock sock;
    struct buffer in;       /* an incomplete frame */
    struct buffer out;      /* to be sent */
    bool urgent;            /* somebody waits for some of `out` */
    uint64_t lazy_since_ns; /* monotonic: since when `out` holds something; while not urgent */
    bool only_answers;      /* nothing else is in `out`; while not urgent */
    struct buffer held;     /* answers that wait for the log */
    uint64_t held_start;    /* absolute offset of the first byte in `held` */
    struct link_mark marks[LINK_MARKS_MAX];
    uint32_t marks_count;
    struct list sent;    /* struct sent, oldest first */
    uint64_t since_ms;   /* monotonic: when this state began */
    uint64_t dial_at_ms; /* DOWN: when to dial */
    uint64_t ping_at_ms; /* UP: when to send the next heartbeat */
    uint64_t heard_ms;   /* when anything arrived last */
};

/* What this shard knows of another member. */
struct peer {
    struct shard *shard;
    uint32_t member;          /* place */
    struct list gone;         /* in the shard's `peers_gone`, when not empty */
    struct detector detector; /* of all links together: the liveliest counts */
    uint16_t shards;          /* of its node; 0 = not met yet */
    bool near;                /* it and this shard keep a slot together, or all count as near */
    struct link *links[SHARDS_MAX]; /* by its shard; NULL = none wanted or none accepted */
    uint32_t node_id, boot_count;   /* of its data directory, once met */
    bool fresh;                     /* its data directory is new and not filled (R11) */
    bool met_fresh;                 /* it was fresh when it was met */
    bool suspected;                 /* it was alive at the last look and then fell silent */
    uint64_t verified_stamp;        /* as it last said, see struct peer_ping */
    uint64_t floor_stamp;
    uint64_t warned_ms;                 /* when a log line about it was last written */
    struct hint_queue *hints;           /* for it, see hint.h */
    struct repair *repairs[SHARDS_MAX]; /* by its shard: ranges compared with it, see repair.h */
};

/* ---- the shard's peers ---- */

/* The view is another: who is near? */
void links_learn(struct shard *s);
/* Make peers and links for every other member. */
void links_create(struct shard *s);
void links_destroy(struct shard *s);
/* The node stops: no more links. Everything asked over them fails. */
void links_close(struct shard *s);
/* Make the peer of a member that the view has at this place, and dial it if this side does. */
struct peer *peer_create(struct shard *s, uint32_t place);
/* All its links end, and what was asked over them fails. */
void peer_unlink(struct peer *p);
/* The same, and they are dialled anew: its address or who this node is has changed. */
void peer_relink(struct peer *p);
/* Requires  no links, hints and pairs any more */
void peer_destroy(struct peer *p);
/* End the streams of proxies and of those that have not said who they are. */
void links_end_guests(struct shard *s);
/* Heartbeats, dialling, silence, time limits: called every tick. */
void links_tick(struct shard *s);
/* Read and carry out what arrived. */
void links_serve(struct shard *s);
/* Answers whose writes are safe now, then everything that waits to be sent. */
void links_flush(struct shard *s);
/* How long the shard may sleep before it has to send something; UINT32_MAX = for ever. */
uint32_t links_wait_ms(const struct shard *s);
/* Streams that other shards took in for this one. */
void links_take_handed(struct shard *s);

/* A client's stream turned out to be a node's: take it over with what was read of it. */
void link_adopt(struct shard *s, struct os_sock sock, struct bytes read);
void link_event(struct link *l, uint32_t ready);
/* A stream that began like a node's was ended: say so, once in a while. */
void link_warn_of_stranger(struct shard *s, const char *why);

/* ---- talking ---- */

/* The link for a slot's shard of this member, if it is up and the member seems alive; else
 * NULL. */
struct link *link_of_slot(struct shard *s, uint32_t member, uint32_t slot);
/* The same of a member that may be silent. */
struct link *link_to_slot(struct shard *s, uint32_t member, uint32_t slot);
/* The link to one shard of this member, if it is up and the member seems alive; else NULL. */
struct link *link_of_shard(struct shard *s, uint32_t member, uint16_t remote_shard);
bool peer_is_alive(const struct shard *s, uint32_t member);
/* The connection with this serial, while it is up; else NULL. */
struct link *link_find(struct shard *s, uint64_t serial);

/* Begin a request or an answer that may leave at once: write the payload to the buffer
 * given, then end it. Requests: check link_has_room first. */
struct buffer *link_begin(struct link *l, enum peer_type type, uint8_t flags, uint64_t id,
                          size_t *ret_begun);
void link_end(struct link *l, size_t begun);
/* The same for what nobody waits for; an answer may wait longer than anything else. */
void link_end_lazy(struct link *l, size_t begun, bool is_answer);
/* The same for an answer that may not leave before the log is safe up to `sequence`. */
struct buffer *link_begin_held(struct link *l, enum peer_type type, uint8_t flags, uint64_t id,
                               size_t *ret_begun);
void link_end_held(struct link *l, size_t begun, uint64_t sequence, bool urgent);
bool link_has_room(const struct link *l);
/* Whether so many answers wait that values may not be added. */
bool link_is_clogged(const struct link *l);

/* Bytes of control/control_message.h, if the link is up and takes them; else they are lost. */
void link_send_control(struct link *l, struct bytes message);
/* End this connection with a log line. An accepted link is freed later. */
void link_fail(struct link *l, const char *why);
/* Send a heartbeat now, with these PEER_PING_ flags. Requires  LINK_UP */
void link_ping(struct link *l, uint8_t flags);
bool link_check(const struct link *l);

#endif

/* repair.h - making replicas equal in the background, whatever was lost on the way.
 *
 * Each pair of linked shards walks over the keys both keep, again and again. The side that
 * dials asks, page by page, "are these the versions you hold?" with a hash
 * (cluster/range_hash.h); where they differ it gets the other's list of versions, sends
 * what is newer here and fetches what is newer there, each as a record under R1. Versions
 * stamped after the pass began (less REPAIR_SETTLE_MS) do not count: they are under way.
 *
 * A pass without failure proves that both hold everything up to its stamp, until one of them takes
 * an older version from a third: that ends what its other pairs have proved from there on, or are
 * about to (repair_gained). From these:
 *   verified  = the lowest of this shard's pairs
 *   floor     = the lowest verified of this shard and of all it is linked to; made durable
 *               here before it is announced; versions at or below it are refused (R9)
 *   gc floor  = the lowest announced floor of all: tombstones at or below it may go
 * A member that is away stops all three: the space is bounded by what is deleted meanwhile, and
 * /v1/cluster and the log say who is missing.
 *
 * A data directory that is new abstains from reads (R11) until each pair has passed over all
 * that was written before its start, or until a majority of the members say that they are new
 * as well: then the cluster itself is new.
 *
 * Notes are records under SYSTEM_KEYSPACE (hint.h): "floor" (value: stamp, 8 bytes
 * little-endian), "filled" (empty), "left" (see left_behind.c; 8 bytes). A shard with damaged tables gives them up and becomes one
 * that is not filled, though never again one that is new: see repair_heal.c (R12).
 *
 * Each step's failure: a link that breaks, a damaged block here or there, an ACCEPT refused for now
 * make the pass unclean: it goes on with the next page and proves nothing.
 *
 * Owner      one shard. Memory  a page of versions, theirs and ours, for REPAIRS_ACTIVE_MAX
 *            pairs and REPAIR_SERVINGS_MAX questions; REPAIR_ITEMS_MAX records under way
 */
#ifndef ATOLL_SHARD_REPAIR_H
#define ATOLL_SHARD_REPAIR_H

#include "base/buffer.h"
#include "base/hlc.h"
#include "base/list.h"
#include "base/status.h"
#include "cluster/place_set.h"
#include "cluster/range_hash.h"
#include "proto/peer.h"
#include "shard/lookup.h"
#include "shard/pace.h"
#include "shard/range_walk.h"

#include <stdbool.h>
#include <stdint.h>

#define REPAIR_SETTLE_MS 10000u     /* longer than a write may take, with skewed clocks */
#define REPAIR_PAUSE_MS_MIN 2000u   /* between passes; longer after many records, */
#define REPAIR_PAUSE_MS_MAX 600000u /* but not longer than this */
#define REPAIR_PAGE_RECORDS 1024u
#define REPAIR_PAGE_BYTES (256u * 1024) /* of encoded versions; the last one may pass it */
#define REPAIR_PAGE_EXAMINED 16384u     /* records looked at for one page, counted or not */
#define REPAIR_ITEMS_MAX 32u            /* differences of one shard being mended at once */
#define REPAIRS_ACTIVE_MAX 4u           /* passes of one shard at once; catch_up.h has its own */
#define REPAIR_SERVINGS_MAX 64u         /* questions of others being answered by one shard */

static_assert(REPAIR_PAGE_RECORDS <= PEER_VERSIONS_MAX, "a page can be asked about");

struct shard;
struct peer;
struct link;
struct sent;

enum repair_state {
    REPAIR_IDLE, /* between passes */
    REPAIR_WALK, /* gathers the versions of the next page */
    REPAIR_ASK,  /* a question about the page is out, or waits for room */
    REPAIR_MEND, /* sends and fetches what differs */
    REPAIR_SYNC, /* all pages are done: waits for what is under way, and for the own log */
    REPAIR_TELL, /* the last question tells the other side that the pass was clean */
    REPAIR_STATES,
};

/* What the other shard of a pair last said of itself. */
enum repair_heard {
    REPAIR_HEARD_NOTHING, /* since the link is up */
    REPAIR_HEARD_FILLED,
    REPAIR_HEARD_NEW,     /* its data directory is new and not filled */
    REPAIR_HEARD_DAMAGED, /* it gave up damaged tables and is not filled again */
};

/* How far a shard with damaged tables is; see repair_heal.c. */
enum repair_heal {
    HEAL_NONE,    /* nothing is under way; it may wait to be filled */
    HEAL_MARK,    /* "filled" is being taken back */
    HEAL_DROP,    /* the engine gives the tables up */
    HEAL_DROPPED, /* done: what was proved is to be forgotten */
    HEAL_STATES,
};

/* Which versions are compared: both sides must choose alike. */
struct repair_rule {
    uint32_t member;       /* the other one's place */
    uint32_t slots_modulo; /* the other one keeps slots with slot % slots_modulo == slots_rest */
    uint32_t slots_rest;
    uint64_t below_stamp; /* as in struct peer_range */
    uint64_t floor_stamp; /* as in struct peer_range */
    uint64_t joint;       /* as in struct peer_range */
};

/* This shard and one of another node, in the peer's `repairs`. */
struct repair {
    struct list link;        /* in the shard's `asking` if this side asks */
    struct list active;      /* in the shard's `active` while not REPAIR_IDLE */
    struct peer *peer;       /* the other one's node */
    uint16_t remote_shard;   /* the other one */
    uint32_t node_id;        /* of the data directory that `verified_stamp` is about */
    uint32_t boot_count;     /* likewise: what it did not sync it may have lost */
    uint64_t verified_stamp; /* both hold everything up to here; 0 = not known */
    uint64_t told_stamp;     /* the other's proof about the two, on the side that answers */
    uint64_t gained_stamp;   /* lowest version taken from elsewhere since the pass began */
    uint64_t heard_verified; /* the other's own, for all its pairs; 0 = not known */
    uint64_t heard_floor;    /* the other's durable floor */
    enum repair_heard heard; /* whether the other is filled */
    /* slots on their way, see catch_up.h */
    uint64_t joint;            /* their number; use catch_up_joint */
    uint64_t joint_adoption;   /* the shard's `adoptions` when it was worked out */
    uint16_t joint_shards;     /* the other node's, likewise */
    struct ballot joint_floor; /* the keyspace's, likewise */
    uint64_t caught;           /* the number in the last clean pass about them; 0 = none */
    uint64_t settled;          /* the other slots' number; use catch_up_settled */
    uint64_t settled_adoption; /* as above */
    uint16_t settled_shards;   /* as above */
    bool caught_told;          /* the other side knows of it */
    struct pace pace;          /* of records on the way to make them equal */
    /* the page that the other side last asked about, to fill it */
    struct buffer filled_start; /* it is behind this ikey; empty = from the first */
    struct buffer filled_end;   /* up to this one; empty = to the last */
    uint64_t filled_ns;         /* monotonic: when it was answered; 0 = there is none */
    /* the pass, on the side that asks */
    enum repair_state state;  /* changed by repair_move */
    bool gone;                /* its member is: it waits for its jobs to be destroyed */
    bool catches;             /* it is a catch-up pass */
    uint64_t joint_passing;   /* that it is about; 0 = a normal pass */
    uint64_t settled_passing; /* that it is about if it is one */
    uint64_t floor_passing;   /* the other's floor when it began */
    uint32_t failures;        /* its questions that were not answered */
    bool under_way;         /* a pass has begun and not ended; it may be IDLE for want of a link */
    bool unclean;           /* it proves nothing */
    bool of_another_view;   /* nor will it: the other side has another view of the slots */
    bool blind;             /* damage here: this page is only asked about to get past it */
    uint64_t below_stamp;   /* of the pass: later versions do not count */
    uint64_t floor_stamp;   /* of the page */
    uint64_t looked_at;     /* records of the pages before this one */
    uint64_t next_ms;       /* monotonic: when the next pass begins, or this one goes on */
    uint64_t sequence;      /* log position of what the pass fetched */
    uint32_t examined;      /* records looked at for this page */
    bool wrapped;           /* it went past the last record and goes on from the first */
    struct buffer begin;    /* the pass goes round from behind this ikey; empty = from the first */
    struct range_walk walk; /* over own records */
    struct range_hash hash; /* of the page */
    struct buffer start;    /* the page is behind this ikey; empty = from the first */
    struct buffer end;      /* and goes up to this one; empty = to the last */
    struct buffer page;     /* own versions, as lists in proto/peer.h */
    struct buffer list;     /* the other's */
    struct bytes mine, theirs;                  /* what of them is still to be compared; views */
    struct peer_version mine_next, theirs_next; /* taken from them; empty ikey = none left */
    struct sent *question;                      /* out now; NULL = none */
    uint32_t items_used;                        /* differences being mended */
};

/* One key in which the two differ. */
struct repair_item {
    struct list link;      /* in the shard's `items_free` */
    struct repair *repair; /* that it is of; NULL = free */
    struct lookup lookup;  /* of the own version; its owner is this */
    struct buffer ikey;    /* of the key */
    struct ballot theirs;  /* what the other holds; zero = it did not list the key */
    struct ballot mine;    /* a value that was sent; zero = none */
    bool restamps;         /* a planted fault */
    bool leftover;         /* what is fetched may be one to hide over there */
    struct sent *sent;     /* out now; NULL = none */
    bool fetches;          /* what is out is a QUERY, else an ACCEPT */
    uint64_t sent_bytes;   /* it counts for so many in the pair's pace; 0 = not at all */
    uint64_t sent_ns;      /* monotonic: since when */
};

/* A question of another shard being answered. */
struct repair_serving {
    struct list link; /* in the shard's `servings` */
    struct link *to;  /* who asks; NULL = the link is gone: to be freed */
    uint64_t id;      /* of the question */
    struct repair_rule rule;
    uint64_t settled;    /* as in struct peer_range */
    struct buffer start; /* the range is behind this ikey; empty = from the first */
    struct buffer end;   /* it goes up to this ikey; empty = to the last */
    bool begun;          /* it may be walked over */
    uint32_t count;      /* asked about */
    uint64_t sum;        /* asked about */
    struct range_walk walk;
    struct range_hash hash; /* of what was seen so far */
    struct buffer list;     /* of the same */
    uint32_t examined;      /* records looked at */
};

/* What is known of one member, besides its struct peer. */
struct repair_member {
    bool common;            /* some slot of this shard is kept by both */
    uint16_t shards;        /* that `wanted` was worked out for; 0 = not met yet */
    uint64_t wanted;        /* bits: its shards that have slots in common with this one */
    uint64_t away_since_ms; /* monotonic; 0 = it is there */
    uint64_t warned_ms;     /* monotonic: last line about its absence */
};

/* All of a shard's repair. */
struct repair_shard {
    struct list asking;        /* struct repair, the one to begin soonest in front */
    struct list active;        /* struct repair */
    uint32_t active_count;     /* in `active`, normal passes */
    uint32_t catching_count;   /* in `active`, catch-up passes */
    struct list servings;      /* struct repair_serving */
    uint32_t servings_count;   /* in `servings` */
    struct repair_item *items; /* [REPAIR_ITEMS_MAX + CATCH_UP_ITEMS_MAX], `items_made` in use */
    struct list items_free;    /* of them */
    uint32_t items_made;       /* those of catch-up passes are made with the first of these */
    uint32_t items_mending;    /* used by normal passes */
    uint32_t items_catching;   /* used by catch-up passes */
    struct repair_member *members; /* owned; by place */
    uint32_t members_count;        /* of them: places that any view of this run had */
    int64_t tokens;           /* thousandths of records that may be looked at; negative = debt */
    uint64_t tokens_ms;       /* monotonic: when they were last raised */
    uint64_t floors_at_ms;    /* monotonic: when to work out floors next */
    uint64_t note_ms;         /* monotonic: when the floor's note was last written */
    uint64_t proof_stamp;     /* no pair has proved more, nor is about to */
    uint64_t claim_stamp;     /* verified, but not safe from a power failure yet; 0 = none */
    uint64_t claim_sequence;  /* log position up to which it must be */
    uint64_t note_stamp;      /* written, not durable yet; 0 = none */
    uint64_t note_sequence;   /* its log position */
    uint64_t opened_stamp;    /* no version acknowledged before this start is above it */
    uint64_t forgotten_stamp; /* the gc floor given to the engine */
    enum repair_heal heal;    /* moved by repair_heal.c */
    bool damaged;             /* gave up tables, or is to: its data directory is not new */
    bool note_due;            /* the floor is to be noted anew */
    bool filled_due;          /* that it is filled is to be noted: until now it was alone */
    bool keeps_none;          /* no slot of this shard is kept by this node */
    bool gaining;             /* a slot is on its way to this shard */
    bool gains;               /* it is, or was and passes have not covered that since: nothing is
                                 forgotten */
    bool joins;               /* a slot that this shard keeps is joint */
    bool caught_claimed;      /* all pairs have caught up, but `caught_sequence` may not be safe */
    uint64_t caught_sequence; /* log position up to which it must be */
    uint64_t gained_stamp;    /* when a view last had a slot on its way to this shard */
    uint64_t adoptions;       /* of views; counts up */
    uint64_t left;            /* hash of the set of slots left behind; 0 = none */
    uint64_t left_noted;      /* the one that the note says to be gone */
    bool left_known;          /* there was a view to work it out from */
    int64_t move_tokens;      /* thousandths of bytes that catch-up may move; negative = debt */
    uint64_t move_tokens_ns;  /* monotonic: when they were last raised */
    bool move_waits;          /* for them, since the last turn */
    uint64_t move_bytes_mean; /* of the last records moved; 0 = none yet */
    bool waits_told;          /* a line said that damage waits for other members */
    uint64_t sent, fetched;   /* records, since the last log line */
    uint64_t logged_ms;       /* monotonic: when that was */
};

/* Read the notes; blocking, at start, before any put, when the peers are there. Sets the shard's
 * `floor_stamp` and `filled`. Errors  ST_CORRUPT, ST_IO: the notes cannot be read */
STATUS repairs_open(struct shard *s);
/* Requires  repairs_are_idle, and that every question was ended */
void repairs_close(struct shard *s);
/* Whether no job reads for repair. */
bool repairs_are_idle(const struct shard *s);
/* This peer's member is gone, and it has no links: its pairs are destroyed, but for those that a job
 * is under way for; call again later. */
void repairs_leave(struct shard *s, struct peer *p);
/* The shard works with another view: with the members at these places it has other slots in
 * common than before. `was_alone`: it was the only member. */
void repairs_adopt(struct shard *s, const struct place_set *changed, bool was_alone);
/* A link is up: begin its passes at once if this side asks. */
void repair_linked(struct shard *s, struct link *l);
/* The other side's notes, from its HELLO or PING. */
void repair_heard(struct shard *s, struct link *l, const struct peer_ping *p);
/* What to say in our own PING. */
void repair_tell(struct shard *s, struct peer_ping *ret_ping);
/* Go on with passes within the rate, work out floors, keep notes; every tick. */
void repairs_tick(struct shard *s);
/* How long the shard may sleep, as far as repair is concerned. */
uint32_t repairs_wait_ms(const struct shard *s);
/* Slices of walks; every turn. True: more is to be done without waiting. */
bool repairs_turn(struct shard *s);
void repair_answered(struct shard *s, void *owner, uint32_t place, const struct peer_frame *f);
void repair_failed(struct shard *s, void *owner, uint32_t place);
void repair_found(struct shard *s, struct lookup *l);
/* The other side of `l` asks for a comparison. */
void repair_serve_range(struct shard *s, struct link *l, const struct peer_frame *f);
/* A version was taken that came from this node; NULL = from a client, or nobody knows. */
void repair_gained(struct shard *s, const struct record *taken, const struct peer *from);
/* Whether a record that the other side of `l` sends for repair may be taken although it is at or
 * below the floor: this shard lost what it held there, and the other one knows what belongs; what is
 * absent may always be taken. */
bool repair_may_restore(const struct shard *s, const struct link *l, const struct record *r);
/* Whether this shard is not filled for damage: then others tell it what belongs here. */
bool repair_is_healing(const struct shard *s);
/* The link is gone. */
void repair_unlinked(struct shard *s, struct link *l);

#endif

/* shard.h - one thread's world: a loop, an engine, its clients, its mailboxes.
 *
 * slot(key) % shards says which shard owns a key. Shards share nothing but the
 * block cache and the I/O pool, and talk by mailboxes only.
 *
 * A turn: take events, serve clients, take mail, commit the log once for every write
 * of the turn, answer what became durable, send.
 *
 * Lifecycle  create -> open (recovers, blocking) -> run (until stop) -> destroy
 * Owner      its thread; shard_stop from any
 * Memory     tasks and buffers within the limits in task.h, connection.h and `options`
 * Failure    see engine.h; a shard that cannot open is reported to the caller
 */
#ifndef ATOLL_SHARD_SHARD_H
#define ATOLL_SHARD_SHARD_H

#include "os/thread.h"
#include "shard/connection.h"
#include "shard/coordinate.h"
#include "shard/link.h"
#include "shard/mailbox.h"
#include "shard/node_control.h"
#include "shard/scan_cursor.h"
#include "shard/seed.h"
#include "shard/slow_log.h"
#include "shard/task.h"
#include "shard/views.h"

#define SHARD_EVENTS_MAX 256u
#define SHARD_PARK_BUCKETS 1024u
#define GUEST_BUCKETS 1024u
#define SHARD_INPUT_BYTES (64u * 1024)
#define SHARD_OPERATIONS ((uint32_t)OP_FIGURES + 1)
#define SHARD_LEVELS ((uint32_t)LEVEL_COUNT + 1)

struct snapshot;

/* Kinds of events in a shard's loop. */
enum shard_tag {
    SHARD_TAG_CONNECTION,
    SHARD_TAG_LISTENER,
    SHARD_TAG_TICK,
    SHARD_TAG_LINK,
    SHARD_TAG_HEDGE,
    SHARD_TAG_CONTROL,
};

/* What all shards of a node have in common. Filled by server/main before the threads. */
struct node {
    struct os *os;
    struct os_pool *pool;
    struct cache *cache;
    struct shard *shards[SHARDS_MAX];
    uint32_t shards_count;
    struct views views;           /* who is in the cluster; shards adopt the newest */
    struct node_control *control; /* on shard 0; NULL = the view is fixed */
    bool proxy;                   /* keeps no data: shards have no engine */
    uint32_t node_id;
    uint32_t boot_count;
    const char *version;
    const char *address; /* as announced, host:port */
    const char *data_dir;
    const char *sync_mode;
    uint16_t port;
    uint64_t started_ms; /* wall */
    uint64_t value_bytes_max;
    bool get_json; /* how GET /get answers when the client does not say */
    uint64_t
        input_bytes_max; /* per shard: for incomplete commands; again for waiting ones and replies */
    uint32_t connections_max;   /* per shard */
    uint32_t write_wait_ms;     /* how long a stalled write waits before BUSY */
    uint32_t client_wait_ms;    /* how long a half command or unread reply is suffered */
    uint32_t quorum_wait_ms;    /* how long a coordinator waits for replicas */
    uint64_t hint_bytes_max;    /* of the node: for what others missed */
    uint64_t hint_age_ms;       /* older hints are dropped: repair finds what is missing */
    uint64_t repair_rate;       /* records a second compared with others; 0 = never */
    _Atomic uint64_t move_rate; /* bytes a second of slots on their way; 0 = no limit */
    _Atomic bool move_paused;   /* nothing of these is moved for now */
    uint32_t sync_interval_ms;  /* --sync interval; 0 = other modes */
    uint32_t descriptors_max;   /* that the process may have open; 0 = not known */
    bool links_slow;            /* nobody counts as near, see link.h: for tests */
    const struct config_row *config;
    uint32_t config_count;
    _Atomic bool ready;       /* all shards are open */
    _Atomic bool news_wanted; /* some shard met a later epoch than it knows: whoever keeps the
                                 metadata clears it and asks others for theirs */
    _Atomic bool stopping;
    _Atomic uint32_t drained; /* shards that have no more clients */
    struct scan_cursors cursors;
    struct slow_log slow;
    struct snapshot *snapshot; /* NULL = none are written */
};

/* What a shard sent and took for slots on their way since its start; for others to read. */
struct moved {
    _Atomic uint64_t records_sent;
    _Atomic uint64_t bytes_sent; /* keys, values and what goes with them */
    _Atomic uint64_t records_taken;
    _Atomic uint64_t bytes_taken; /* likewise */
};

/* Commands answered at once are gone when it shows that their turn, or the sync they wait for,
 * took long: so many are remembered. */
#define SLOW_NOTES 1024u

/* What a slow-log line says of a command. */
struct slow_note {
    uint64_t serial;    /* counts up from 1; the place is serial % SLOW_NOTES */
    uint64_t client_id; /* whose */
    uint32_t kind;      /* op_kind */
    uint32_t parse_us;  /* decoding it */
    uint32_t key_len;   /* of the whole key */
    enum operation op;
    uint8_t key[NODE_SLOW_KEY_BYTES]; /* the first bytes of it */
};

/* The last command answered at once in a turn. Its key is where it was read to, so it is only there
 * until the next read; one from elsewhere is noted. */
struct slow_last {
    uint64_t client_id;   /* whose */
    uint64_t input_reads; /* the key is there while the shard's is the same */
    struct bytes key;     /* view; empty = noted */
    uint64_t note;        /* see shard_slow_note; 0 = none */
    enum operation op;
    uint32_t kind; /* op_kind */
};

struct shard {
    uint16_t id;
    struct node *node;
    struct os *os;
    struct os_loop *loop;
    struct engine *engine;
    struct hlc hlc;
    uint32_t stamp_node; /* names this shard's node in stamps it hands on: the node id; of a
                            proxy a number drawn at its start */
    struct os_sock listener;
    struct os_event events[SHARD_EVENTS_MAX]; /* the loop's until the next wait */
    struct list connections;
    struct list work;     /* connections to serve this turn */
    struct list flush;    /* connections with something to send at its end */
    struct list waiting;  /* connections whose output waits for the log */
    bool accepting;       /* the listener may have clients */
    struct list held;     /* calls in order of the log position they wait for */
    struct list stalled;  /* calls the engine refused, oldest first */
    struct list runnable; /* calls to try again: their key is free, their block is there */
    struct list idle; /* calls that no other node would carry out: until the next tick or view */
    struct list answered; /* calls of own tasks whose response is there */
    struct list
        tasks_again;      /* range requests asked under an old view: until the next tick or view */
    struct list scanning; /* walks that go on this turn */
    struct list parked[SHARD_PARK_BUCKETS];
    uint32_t parked_count;
    struct list outbox[SHARDS_MAX]; /* calls that did not fit the mailbox */
    struct mailbox *inbox;          /* [shards_count], one from each shard */
    struct task *tasks;             /* SHARD_TASKS_MAX */
    uint32_t tasks_begun;           /* of them; the others' memory was never touched */
    struct list tasks_free;
    uint32_t tasks_used;
    uint64_t acknowledged_seen; /* engine_acknowledged at the end of the last turn */
    struct buffer scratch;      /* values made by operations */
    struct buffer reply;        /* replies of commands behind a waiting one */
    struct buffer after;        /* what was encoded while a group waits to run */
    struct plan group[CONNECTION_GROUP_MAX];
    struct request group_requests[CONNECTION_GROUP_MAX];
    uint32_t group_count;
    uint8_t *input;          /* SHARD_INPUT_BYTES read here before they are kept */
    uint64_t output_held;    /* capacity of connections' `out` */
    uint64_t tasks_held;     /* bytes of waiting commands and of their answers */
    bool starved;            /* somebody was paused for the budget: look again at the next tick */
    uint64_t fetches_failed; /* blocks that a job found damaged or could not read */
    struct list truncations; /* not durable yet */
    /* replication; untouched on a node alone */
    const struct membership *members; /* the view that it works with; never NULL */
    uint64_t default_ttl_ms;          /* of the default keyspace; 0 = none */
    uint64_t view_serial;             /* of it among the node's views */
    bool keeps_all;                   /* the node keeps all slots of this shard */
    bool only_joins;                  /* all it keeps is on its way here: it is in no list */
    bool alone;                       /* the node is the only member: no call is coordinated */
    _Atomic uint64_t adopted_epoch;   /* of the view, for others to read */
    _Atomic uint64_t caught_up_epoch; /* the view's, once all joint slots are caught up; else 0 */
    struct moved moved;               /* for slots on their way */
    struct peer *peers[MEMBERS_MAX];  /* by place; NULL = free, or the node itself */
    struct list peers_gone;           /* of members removed, while their jobs end */
    struct list hints_gone;           /* struct hint_queue of members removed */
    struct list coordinations;        /* that are not answered */
    struct list links;                /* all of them */
    struct list links_work;           /* to serve this turn */
    struct list links_flush;          /* with something to send */
    struct list links_held;           /* with answers that wait for the log */
    struct list links_gone;           /* accepted ones that failed: freed at the end of the turn */
    struct list seeds;                /* struct seed; of shard 0 only */
    uint32_t seeds_count;             /* of them */
    uint32_t links_guests;            /* accepted ones without a peer */
    uint32_t queries_waiting;         /* of others, each for a block */
    uint64_t link_serials;
    uint64_t strangers_warned_ms; /* monotonic: last log line about a stream of nobody known */
    uint32_t strangers_quiet;     /* ended without a line since */
    struct os_mutex handed_lock;
    struct list handed;      /* streams taken in by other shards for this one; under the lock */
    _Atomic bool has_handed; /* there are some */
    struct sent_table sent;
    struct list accepts; /* versions of other coordinators that the engine refused for now */
    uint64_t accepts_bytes;
    struct list ahead; /* messages about slots that a view to come has here, oldest first */
    uint64_t ahead_bytes;
    struct list found;   /* lookups whose block has been read */
    struct list hedges;  /* coordinations that may ask one more replica, soonest first */
    struct list logging; /* coordinations whose own write is not durable, in log order */
    struct list coordinations_free;
    uint32_t coordinations_used;
    struct list guests[GUEST_BUCKETS]; /* calls of other nodes, by the ids of their questions */
    uint32_t guests_count;
    uint64_t guests_bytes;
    struct os_timer hedge_timer;
    uint64_t links_tick_ms;  /* monotonic: the last look at them */
    bool links_judge;        /* there was a tick: look for silence once what arrived is read */
    uint64_t opened_ms;      /* monotonic */
    _Atomic bool settled;    /* has met enough others, or waited for them long enough */
    uint64_t floor_stamp;    /* versions stamped at or below are refused; durable (R9) */
    uint64_t heard_floor;    /* the highest floor that another replica told of */
    uint64_t verified_stamp; /* all pairs of this shard are equal up to here */
    bool filled;             /* holds what it should: may answer reads (R11) */
    struct repair_shard *repair;
    uint8_t *row_space;  /* a struct row_page, to decode into */
    bool turn_again;     /* work was begun after the engine's part of the turn */
    uint64_t input_held; /* bytes kept in connections' `in` */
    uint8_t *ikey_space; /* IKEY_BYTES_MAX */
    uint64_t key_seed;   /* of key_hash */
    uint64_t random;     /* state for RANDOMKEY */
    uint64_t connection_ids;
    uint64_t turn;    /* number of the present turn */
    uint64_t turn_ns; /* monotonic start of it */
    uint64_t turn_wall_ms;
    uint8_t kinds[SHARD_OPERATIONS][SHARD_LEVELS]; /* op_kind of a single request */
    uint32_t turn_counts[OP_KINDS];                /* answered at once in this turn */
    uint32_t turn_kinds;                           /* bits: kinds with a count */
    struct slow_last turn_last;                    /* of them */
    uint64_t input_reads;                          /* how often something was read to `input` */
    uint32_t parse_us;          /* decoding the present command, if it is large; else 0 */
    uint64_t late_ns;           /* monotonic: the clock as read late in this turn; 0 = not yet */
    uint32_t pressure_permille; /* of the engine, at the start of the turn */
    int64_t write_allowance;    /* bytes that may be written under pressure; negative = debt */
    uint64_t allowance_ns;      /* monotonic time it was last raised */
    struct feed *feed;          /* NULL: nobody has subscribed yet */
    struct node_view view;      /* scratch for INFO and the like */
    struct node_member *members_view;   /* of it; owned, as many as the view had places */
    uint16_t *members_index;            /* of it: by place, into members_view; owned, the same */
    uint32_t members_room;              /* of both; 0 = nobody has asked */
    struct control_status *status_view; /* of it; owned; NULL = nobody has asked */
    char cluster_id_view[CLUSTER_ID_TEXT_BYTES]; /* of it */
    _Atomic uint64_t hints_for[MEMBERS_MAX]; /* waiting here, for each member; for others to read */
    struct os_timer tick;                    /* every SHARD_TICK_MS */
    uint64_t ticks;
    struct slow_note notes[SLOW_NOTES];
    uint64_t notes_made;
    struct shard_figures figures;
    struct os_mutex figures_lock;
    struct shard_figures figures_published;
    _Atomic bool stop;
    uint64_t stop_deadline_ms;                 /* monotonic; 0 = not stopping */
    bool drained;                              /* no clients, tasks and guests any more */
    bool closing;                              /* links are closed, the engine stops */
    uint64_t synced_ms;                        /* monotonic time of the last sync by interval */
    char client_address[OS_ADDRESS_BYTES_MAX]; /* of who asked for the view */
};

STATUS shard_create(struct node *node, uint16_t id, struct shard **ret_shard);
/* Recover the engine; NULL: a proxy, which has none. Blocking. */
STATUS shard_open(struct shard *s, const struct engine_options *options);
/* Listen; after every shard is open. */
STATUS shard_listen(struct shard *s, const char *address);
/* Serve until shard_stop, then drain: finish what is under way, flush, close. */
void shard_run(struct shard *s);
/* The parts of shard_run: after each turn, whether a stop that was asked for is finished;
 * then close. */
bool shard_is_over(struct shard *s);
void shard_close(struct shard *s);
void shard_stop(struct shard *s);
void shard_destroy(struct shard *s);

/* One turn over these events. The simulator calls it in place of shard_run. */
void shard_turn(struct shard *s, const struct os_event *events, uint32_t count);
/* How long the loop may sleep before the next turn: 0 while there is work in hand. */
uint32_t shard_wait_ms(const struct shard *s);

/* The node as seen by `asker`; NULL: by no client. */
void shard_node_view(struct shard *s, const struct connection *asker, struct node_view *ret_view);

/* ---- among the shard's own files ---- */

/* Live keys and bytes of records of all shards, as last published. */
void node_holdings(const struct node *n, uint64_t *ret_keys, uint64_t *ret_bytes);
/* Let others see this shard's figures. */
void shard_figures_publish(struct shard *s);
/* Collect and send this client's replies at the end of the turn. */
void shard_flush_later(struct shard *s, struct connection *c);
uint16_t shard_of_key(const struct node *n, struct bytes key);
/* Fill `home` of a plan's requests. */
void shard_route(const struct node *n, struct plan *plan);
/* Fill `keyspace` of a plan's requests by its name, and the expiry of puts without one by its
 * settings; false: there is none of this name. */
bool shard_keyspace_take(struct shard *s, struct plan *plan);
/* After a view was adopted: the default time to live; what keyspaces hold that are gone is dropped. */
void shard_keyspaces_taken(struct shard *s);
/* Run a single-key request on the own replica alone, at once.
 * Errors  ST_WAIT (r->fetch names a block), ST_BUSY (write stall); anything else is an
 *         outcome in the response, which then holds until the next call */
STATUS shard_operate(struct shard *s, const struct request *q, struct engine_read *r,
                     struct response *ret_response, uint64_t *ret_sequence);
/* Whether some call for this key is parked here: later ones must queue. */
bool shard_key_is_parked(struct shard *s, const struct request *q);
/* Raise what writers may write in this turn, by the engine's pressure. */
void shard_allow_writes(struct shard *s);
/* Make everything up to the floor absent, durable soon; nobody waits. */
void shard_truncate(struct shard *s, uint16_t keyspace, struct ballot floor);
/* How many replicas a request's level wants, of so many in the slot's list. */
uint8_t shard_need(const struct shard *s, const struct request *q, enum round_kind kind,
                   uint32_t list_count);
/* Others know of a later view: let shard 0 find out soon, see `news_wanted` of the node. */
void shard_news_wanted(struct shard *s);
/* Whether this request can be answered by this node's replica alone, now. */
bool shard_may_answer_alone(const struct shard *s, const struct request *q);
/* Answer truncations that took too long. */
void shard_truncations_expire(struct shard *s);
/* Whether the node stops and has waited long enough for what is under way. */
bool shard_is_past_drain(const struct shard *s);
/* Carry a call out at its home, now or when possible. */
void shard_call_begin(struct shard *s, struct call *c);
/* Try again what can go on: freed keys, fetched blocks, stalled writes, walks. */
void shard_calls_resume(struct shard *s);
/* Answer what waited for the log, as far as it is safe now. */
void shard_calls_release(struct shard *s);
/* Hand answered calls to their tasks. */
void shard_calls_answer(struct shard *s);
/* End a call: its answer waits for the log up to c->sequence, then goes to its task. */
void shard_call_finish(struct shard *s, struct call *c);
void shard_call_fail(struct shard *s, struct call *c, enum outcome outcome);
/* The engine refused: try again later, until the call's time is up. */
void shard_call_stall(struct shard *s, struct call *c);
/* Tell a node what was truncated: it may have been away then. */
void shard_tell_floors(struct shard *s, struct link *l);
/* Give back what the answer of a call holds. */
void shard_call_clear(struct call *c);
/* Keep a copy of the answer's bytes with the call. */
void shard_call_keep_value(struct call *c);
/* Calls for the key queue behind this one until it ends. */
void shard_call_park(struct shard *s, struct call *c);
/* Log position up to which everything is safe; a proxy has no log. */
uint64_t shard_acknowledged(const struct shard *s);
/* The next stamp of this shard's clock, as of now and not of the turn's start. */
uint64_t shard_stamp(struct shard *s);
/* Send to the home, or back to the origin. */
void shard_send(struct shard *s, uint16_t to, struct call *c);
/* Read the block that `read.fetch` names in a job, then try the call again. */
void shard_call_fetch(struct shard *s, struct call *c);

/* Whether waiting commands and replies take all that clients may take: then clients
 * with replies to read get no more, and large commands may not wait. */
bool shard_is_over_budget(struct shard *s);
/* Whether a command of this size may wait. */
bool task_fits(const struct shard *s, const struct plan *plan);
struct task *task_take(struct shard *s, struct connection *c, const struct plan *plan);
void task_start(struct shard *s, struct task *t);
void task_call_answered(struct shard *s, struct call *c);
/* HTTP scan that waits for room in the output: go on. */
void task_scan_go_on(struct shard *s, struct task *t);
void task_release(struct shard *s, struct task *t);
/* Range requests that others refused, as they know a later view: ask again. */
void tasks_go_again(struct shard *s);

/* Once the members are known. */
void shard_kinds_init(struct shard *s);
/* One more operation failed for want of replicas. */
void shard_count_quorum_failure(struct shard *s, enum quorum_failure why);
/* Count operations that took so long, as their client saw it. */
void shard_count_operations(struct shard *s, uint32_t kind, uint64_t took_ns, uint32_t times);
/* The clock, read once or twice a turn: exact enough for what ends in it. */
uint64_t shard_late_ns(struct shard *s);
/* Remember a command that is answered at once; 0 while nothing is slow. The note is there for
 * as long as no SLOW_NOTES others were made. */
uint64_t shard_slow_note(struct shard *s, const struct connection *c, const struct plan *plan,
                         uint32_t kind);
/* Report a slow task whose reply is given to the client now. */
void shard_slow_task(struct shard *s, const struct task *t, uint64_t took_ns);
/* Report commands of this client answered at once, the first of them noted. `phase`: what they
 * waited in. */
void shard_slow_noted(struct shard *s, const struct connection *c, uint64_t note,
                      enum slow_phase phase, uint32_t requests, uint64_t took_ns);
/* Report the commands answered at once in this turn. */
void shard_slow_turn(struct shard *s, uint32_t requests, uint64_t took_ns);
/* Answer a PLAN_NODE, once what it asks for is done. */
void shard_node_call(struct shard *s, const struct connection *c, const struct plan *plan,
                     struct buffer *out);
/* Answer a PLAN_ADMIN; false: it needs the control plane. */
bool shard_admin_call(struct shard *s, const struct connection *c, const struct plan *plan,
                      struct buffer *out);

/* Whether a read found something. */
void shard_count_read(struct shard *s, const struct request *q, const struct response *r);
void shard_count_outcome(struct shard *s, const struct response *r);

#endif

/* connection.h - one client: bytes in, commands, replies in order, bytes out.
 *
 * A command that can be answered at once is encoded straight into `out`; others become
 * tasks in a row, and replies behind them wait in theirs. Replies that show a write that
 * is not durable yet are marked with a log position and not sent before it is reached.
 *
 * Lifecycle  accept -> (ready -> service)* -> close (tasks under way outlive it)
 * Owner      one shard
 * Memory     input only while a command is incomplete; output bounded: past
 *            CONNECTION_OUT_PAUSE nothing more is read from this client
 * Failure    any socket failure closes it; other connections never notice
 */
#ifndef ATOLL_SHARD_CONNECTION_H
#define ATOLL_SHARD_CONNECTION_H

#include "base/buffer.h"
#include "base/list.h"
#include "os/sock.h"
#include "proto/http.h"
#include "proto/node_view.h"
#include "proto/resp.h"
#include "shard/task.h"

#define CONNECTION_OUT_PAUSE (1024u * 1024)
/* Waiting commands at first: replies may turn out to be 16 MiB each. */
#define CONNECTION_WINDOW_FIRST 4u
#define CONNECTION_HOLDS_MAX 16u
/* Commands whose keys are fetched into the processor's cache together. */
#define CONNECTION_GROUP_MAX 16u
/* Bytes read from one client before the others get their turn. */
#define CONNECTION_READ_BYTES_MAX (256u * 1024)

enum connection_protocol { PROTOCOL_UNKNOWN, PROTOCOL_RESP, PROTOCOL_HTTP };

/* Only single keys are answered at once: the first of the kinds. */
#define HOLD_KINDS (((uint32_t)OP_CLASS_DELETE + 1) * LEVEL_CLASSES)

/* Output from `start` on must wait until the log is safe up to `sequence`. */
struct hold {
    uint64_t sequence;
    uint64_t start;              /* absolute output offset */
    uint64_t since_ns;           /* when the turn began that read its first command */
    uint64_t note;               /* of its first command, see shard_slow_note */
    uint32_t kinds;              /* bits: kinds with a count */
    uint32_t counts[HOLD_KINDS]; /* replies it holds, for the figures */
};

struct connection {
    struct list link; /* in the shard's connections */
    struct list work; /* in the shard's list of connections to serve, when not empty */
    struct list
        flush; /* in the shard's list of connections to flush, or to flush once the log moved */
    struct list subscription; /* in the shard's subscribers, while `subscribed` */
    struct shard *shard;
    struct os_sock sock;
    enum connection_protocol protocol;
    struct resp resp;  /* while protocol is RESP */
    struct http *http; /* while protocol is HTTP */
    struct buffer in;  /* bytes of an incomplete command */
    struct buffer out; /* replies not sent */
    uint64_t out_sent; /* absolute offset of the first byte in `out` */
    struct list tasks; /* row of commands not answered, oldest first */
    uint32_t tasks_count;
    uint32_t tasks_window; /* how many may wait now: few while replies are large */
    uint32_t unsent;       /* of them those with calls not sent: later commands may not overtake */
    uint32_t barriers;     /* of them barrier tasks: nothing is decoded meanwhile */
    struct hold holds[CONNECTION_HOLDS_MAX];
    uint32_t holds_count;
    uint64_t hold_turn;    /* turn in which the last hold was made */
    uint64_t id;           /* of CLIENT ID */
    uint64_t progress_ms;  /* monotonic: last time bytes moved or it became idle */
    size_t reply_len;      /* bytes of the last value read at once */
    size_t output_counted; /* of `out`, in the shard's output_held */
    size_t need;           /* input bytes the present command is known to need; 0 unknown */
    bool readable;         /* the socket may have bytes */
    bool writable;         /* the socket may take bytes */
    bool hung_up;          /* the loop saw the end of the stream: read until it shows */
    bool ended;            /* the client sent its last byte */
    bool closing;          /* close once `out` is sent */
    bool last;             /* the last command was decoded: closing once its reply is in `out` */
    bool backlog;          /* `in` holds whole commands that wait for a pause to end */
    bool draining;         /* the node stops: no new commands */
    bool subscribed;       /* it gets events from now on; nothing more is read */
    bool is_node;          /* another node, not a client: it becomes a link */
    bool refusing;         /* replies are sent and input is dropped until the client closes */
};

struct connection *connection_create(struct shard *s, struct os_sock sock);
/* Frees it; its tasks go on alone. */
void connection_close(struct connection *c);
/* Read, decode, run, as far as it goes now; bounded. */
void connection_serve(struct connection *c);
/* Send what may be sent. False: it was closed. */
bool connection_flush(struct connection *c);
/* The first tasks of the row that are finished become output. */
void connection_collect(struct connection *c);
/* Whether it could go on now, given another turn. */
bool connection_wants_turn(const struct connection *c);
/* Whether it should be closed for making no progress. Called about once a second. */
bool connection_is_stuck(const struct connection *c, uint64_t now_ms);
bool connection_check(const struct connection *c);

#endif

/* client_internal.h - one client, for client.c and client_request.c.
 *
 * Owner  the clients
 */
#ifndef ATOLL_SIM_CLIENT_INTERNAL_H
#define ATOLL_SIM_CLIENT_INTERNAL_H

#include "sim/client.h"
#include "sim/client_reply.h"
#include "sim/random.h"

#define CLIENT_EVENTS_MAX 64u
/* A scan of some hundred big values; a longer answer counts as none. */
#define CLIENT_ANSWER_BYTES_MAX (64u * 1024 * 1024)
#define SCAN_LIMIT_MAX 50u

struct client {
    struct clients *all;          /* that it is one of */
    uint32_t index;               /* 0.. */
    bool probe;                   /* stays with its node and asks for everything in turn */
    bool waiting;                 /* for the answer to `work` */
    uint32_t node;                /* it talks to */
    uint32_t requests_left;       /* load: before it goes to another node */
    uint32_t step;                /* probe: requests so far */
    struct os_sock sock;          /* its connection, or not open */
    struct os_timer timer;        /* the next request, or the end of its patience */
    struct work work;             /* the request under way */
    uint32_t ops[WORK_ITEMS_MAX]; /* in the history; of a scan or a truncation the first only */
    uint32_t scan_start;          /* key that the scan begins at; HISTORY_NONE = the first */
    struct buffer out;            /* not sent yet */
    struct buffer in;             /* received, not understood yet */
    struct buffer body;           /* room for the parser */
    struct sim_random dice;       /* its own */
    struct ballot *seen;          /* newest version it was shown or told, by key */
};

struct clients {
    const struct scenario *scenario; /* borrowed */
    struct history *history;         /* borrowed */
    struct sim_trace *trace;         /* borrowed */
    struct sim_disk *disk;           /* empty; an os must have one */
    struct os *os;                   /* of the machine they sit on */
    struct os_loop *loop;            /* of all of them */
    uint32_t place;                  /* in the network */
    uint64_t world_ns;               /* as of this turn */
    enum clients_mode mode;
    uint64_t nodes;    /* bit per node that they ask */
    uint64_t doubtful; /* bit per node whose own answers count for nothing */
    struct workload workload;
    uint32_t count;                            /* load clients, then one probe for each node */
    struct client *clients;                    /* `count` */
    struct os_event events[CLIENT_EVENTS_MAX]; /* the loop's until its next wait */
};

/* client_request.c: write `work` to `out` and begin its operations. */
void client_ask(struct client *c);
/* End them as the answer says. Errors  ST_CORRUPT  no proper node answers so */
STATUS client_take_answer(struct client *c, const struct client_reply *reply);
/* There is no answer: end them as unknown. */
void client_give_up(struct client *c);

#endif

/* change_watch.h - how far the running change of the ring is, as one node sees it.
 *
 * Looks now and then at the agreed state and at what members report, and remembers what they had
 * sent over the last seconds. What a change will send in all is estimated, and only rises.
 *
 * Pure. Lifecycle  zeros -> change_watch_look* -> `shown` may be read
 * Owner      one thread
 */
#ifndef ATOLL_SHARD_CHANGE_WATCH_H
#define ATOLL_SHARD_CHANGE_WATCH_H

#include "control/control.h"
#include "proto/node_view.h"

#define CHANGE_LOOK_MS 250u      /* at most so often */
#define CHANGE_SAMPLE_MS 500u    /* between two that are remembered */
#define CHANGE_SAMPLES 11u       /* so the rate is that of the last five seconds */
#define CHANGE_RATE_MS_MIN 1000u /* over less time nothing is said of a rate */

struct change_sample {
    uint64_t at_ms; /* monotonic */
    uint64_t sent;  /* bytes for the change, by all members */
};

/* Of the slots of one revision of the state. */
struct change_slots {
    uint64_t revision;          /* of the state; 0 = nothing was summed yet */
    uint32_t joint;             /* slots under way */
    uint32_t left;              /* slots that are not through */
    uint64_t copies_left;       /* that are new in the targets of these */
    struct place_set members;   /* indexes of those that have a part in joint ones */
    uint64_t epoch;             /* of the latest joint one */
    uint32_t kept[MEMBERS_MAX]; /* slots by index of a member that keeps them */
};

struct change_watch {
    struct change_slots slots;                    /* of the state looked at last */
    uint64_t looked_ms;                           /* monotonic, of the last look */
    uint64_t bytes_total;                         /* of the change shown; NODE_UNKNOWN = not yet */
    uint32_t samples_count;                       /* of `samples` */
    struct change_sample samples[CHANGE_SAMPLES]; /* oldest first */
    struct node_change shown;                     /* .id 0 = none is running */
};

/* `state` NULL = no cluster. */
void change_watch_look(struct change_watch *w, const struct metadata *state,
                       const struct control_status *status, uint64_t now_ms);

#endif

/* forward.h - handing a call to another node, and carrying out what others hand to us.
 *
 * A node that keeps no replica of a key hands every call for it to one that does; a
 * read-modify-write goes to the key's home. When the other node fails, the next takes over.
 * Nobody knows what became of the first attempt: it may still be under way and take effect
 * late, over something newer. So all attempts carry one stamp: blind writes have
 * it as their version, the others write under it and the coordinator's own id, and only if it is
 * above what is there; else the attempt is OUT_OVERTAKEN and the call gets a
 * later stamp. A late attempt is therefore always behind what came after it. An op id tells a
 * repeat while it is the newest write of the key.
 * Parts of a range request are handed to every node's shards.
 *
 * A guest is a call that came in over a link: it has no task, and its answer goes back
 * there, if the link is still the same.
 *
 * Owner      one shard. Memory  GUESTS_MAX, freed when answered; bounded in bytes too
 */
#ifndef ATOLL_SHARD_FORWARD_H
#define ATOLL_SHARD_FORWARD_H

#include "base/arena.h"
#include "proto/peer.h"
#include "shard/call.h"
#include "shard/link.h"

#define GUESTS_MAX 16384u
#define GUESTS_BYTES_MAX (64u * 1024 * 1024) /* of requests, per shard */

struct guest {
    struct call call;  /* first; its task is NULL */
    struct list all;   /* in the shard's guests with such ids */
    struct link *link; /* NULL: it was lost */
    uint64_t id;       /* of the question */
    uint8_t *copy;     /* the request's bytes; mem_alloc */
    size_t copy_bytes; /* of it, and of an answer that was there at once */
};

/* Hand a single-key call to one of these replicas of its slot, the first live one that was not
 * tried. False: nobody is there, or its time is up; nothing was sent. */
bool forward_call(struct shard *s, struct call *c, uint32_t slot,
                  const struct slot_places *replicas);
/* Nobody would carry it out, and nothing was done, or doing it again is harmless: nodes may disagree
 * for a moment about who keeps the slot, or links are made anew. Try all of them again after a short
 * while, or under the next view. False: its time is up, or somebody may have done it. */
bool forward_later(struct shard *s, struct call *c);
/* The short while is over. */
void forward_again(struct shard *s);
/* The call's stamp is behind what is there: try again under a later one. */
void forward_overtaken(struct shard *s, struct call *c);
/* Hand a part of a range request to the shard of another node that it is for. */
void forward_part(struct shard *s, struct call *c);
void forward_answered(struct shard *s, struct call *c, const struct peer_frame *f);
void forward_failed(struct shard *s, struct call *c);

/* Another node hands us a call. One that is under way already was repeated by the network: it is
 * answered once, as the repeat may be refused while the first takes effect. */
void guest_begin(struct shard *s, struct link *l, const struct peer_frame *f);
void guest_answered(struct shard *s, struct call *c);
/* The link is gone: answers for it go nowhere. */
void guests_orphan(struct shard *s, const struct link *l);

#endif

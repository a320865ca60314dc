/* repair_internal.h - what repair.c (passes), repair_mend.c (differences), repair_serve.c (the
 * answering side), repair_floor.c (floors and notes) and repair_heal.c (damage) share. */
#ifndef ATOLL_SHARD_REPAIR_INTERNAL_H
#define ATOLL_SHARD_REPAIR_INTERNAL_H

#include "base/assert.h"
#include "shard/catch_up.h"
#include "shard/link.h"
#include "shard/repair.h"
#include "shard/shard.h"

/* Records looked at before others get their turn. */
#define REPAIR_SLICE_RECORDS 512u
/* How long the other side may take to walk over a page. */
#define REPAIR_ANSWER_MS 5000u
/* Place of a question about a range; others are the number of an item. */
#define REPAIR_PLACE_RANGE UINT32_MAX

/* ---- repair.c ---- */

/* The pair on this link; made when there is none. */
struct repair *repair_of(struct shard *s, struct peer *p, uint16_t remote_shard);
/* Whether the version is among those compared. Requires  a user's keyspace */
bool repair_counts(const struct shard *s, const struct record *r, const struct repair_rule *rule);
/* Whether the ikey lies behind all that is compared. */
bool repair_is_past_users(struct bytes ikey);
/* So many records were looked at: the rate pays for it. */
void repair_spend(struct shard *s, uint32_t records);
/* Go on behind the page. */
void repair_page_done(struct shard *s, struct repair *r);
/* The highest stamp a comparison may be about now; 0 = none yet. */
uint64_t repair_below_stamp(const struct shard *s, uint32_t settle_ms);

/* ---- repair_mend.c ---- */

void repair_items_create(struct repair_shard *rs);
/* Also those for catch-up passes. */
void repair_items_extend(struct repair_shard *rs);
/* Requires  no job of theirs is under way */
void repair_items_destroy(struct shard *s);
bool repair_items_are_idle(const struct repair_shard *rs);
/* Take the other's list for this page. False: it makes no sense. */
bool repair_mend_begin(struct shard *s, struct repair *r, const struct peer_versions *m);
/* Begin with some differences. True: there is more to do without waiting. */
bool repair_mend(struct shard *s, struct repair *r, struct link *l);
void repair_item_answered(struct shard *s, struct repair_item *item, const struct peer_frame *f);
void repair_item_failed(struct shard *s, struct repair_item *item);

/* ---- repair_serve.c ---- */

/* A slice of each walk for others. True: there is more to do without waiting. */
bool repair_serve_turn(struct shard *s);
void repair_servings_orphan(struct shard *s, const struct link *l);
/* Requires  no job of theirs is under way */
void repair_servings_destroy(struct shard *s);
bool repair_servings_are_idle(const struct repair_shard *rs);

/* ---- repair_floor.c ---- */

/* A pass between the two begins, about versions below the stamp. */
void repair_proof_begin(struct shard *s, struct repair *r, uint64_t below_stamp);
/* Nothing is proved, nor will the pass that is under way prove anything. */
void repair_forget(struct repair *r);
/* The same of normal passes, as they were about other slots than the pair now has in common. */
void repair_forget_verified(struct repair *r);
/* It was clean: what was taken from elsewhere meanwhile is not proved. */
void repair_proved(struct repair *r, uint64_t stamp);

#define NOTE_FLOOR "floor"
#define NOTE_FILLED "filled"
#define NOTE_LEFT "left"

/* Errors  ST_CORRUPT, ST_IO */
STATUS repair_notes_read(struct shard *s);
/* Errors  as engine_put: nothing was kept */
STATUS repair_note_write(struct shard *s, struct bytes name, struct bytes value,
                         uint64_t *ret_sequence);
/* Whether not even a power failure can take it back, whatever the mode of sync. */
bool repair_is_safe(struct shard *s, uint64_t sequence);
/* Which members have slots in common with this shard, by the view it works with. */
void repair_members_learn(struct shard *s);
/* Of a place that some view of this run had. */
static inline struct repair_member *repair_member(const struct shard *s, uint32_t place) {
    ASSERT(place < s->repair->members_count);
    return &s->repair->members[place];
}
/* Whether the two shards have slots in common. */
bool repair_is_wanted(struct shard *s, const struct peer *p, uint16_t remote_shard);
/* The floor's note is to be durable again, whatever becomes of the one before. */
void repair_floor_note_again(struct shard *s);
/* Verified, floor, gc floor, filled; and a line in the log when a member holds them up. */
void repair_floors_tick(struct shard *s, uint64_t now_ms);

/* ---- repair_heal.c ---- */

/* Whether the member was given up: nobody waits for it, as what it held does not come back. */
static inline bool repair_is_given_up(const struct shard *s, uint32_t member) {
    return membership_member(s->members, member)->state == MEMBER_DEAD;
}
/* Whether what is lost here may be had from others. */
bool repair_can_heal(const struct shard *s);
/* Whether it can be had now: all that keep some of the same slots are there, but those that were
 * given up, and of no slot this shard is all that is left of its list. */
bool repair_can_be_filled(struct shard *s);
/* Whether this data directory ever gave up tables. */
bool repair_was_damaged(const struct shard *s);
/* Give damaged tables up when the time has come. */
void repair_heal_tick(struct shard *s);
/* Whether some other replica of the slot is filled, or may be for all that is known. */
bool repair_has_filled_replica(const struct shard *s, uint32_t slot);
/* Just above a version: it hides that one and nothing else. */
struct record repair_tombstone_above(struct bytes ikey, struct ballot version);

#endif

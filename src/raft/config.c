#include "raft/config.h"

#include "base/assert.h"
#include "base/cursor.h"

static_assert(RAFT_VOTERS_MAX % 2 == 1, "an even group adds a node, not a failure");
static_assert(RAFT_MEMBERS_MAX <= UINT16_MAX, "counts are 16 bits in a snapshot");

/* Where `id` is in the ascending `ids`, or where it belongs. */
static uint32_t place_of(const uint32_t *ids, uint32_t count, uint32_t id) {
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool holds(const uint32_t *ids, uint32_t count, uint32_t id) {
    const uint32_t place = place_of(ids, count, id);
    return place < count && ids[place] == id;
}

static void insert(uint32_t *ids, uint32_t *count, uint32_t id) {
    const uint32_t place = place_of(ids, *count, id);
    ASSERT(place == *count || ids[place] != id);
    memmove(ids + place + 1, ids + place, (*count - place) * sizeof *ids);
    ids[place] = id;
    (*count)++;
}

static void take_out(uint32_t *ids, uint32_t *count, uint32_t id) {
    const uint32_t place = place_of(ids, *count, id);
    ASSERT(place < *count);
    ASSERT(ids[place] == id);
    memmove(ids + place, ids + place + 1, (*count - place - 1) * sizeof *ids);
    (*count)--;
}

bool raft_config_is_voter(const struct raft_config *c, uint32_t id) {
    return holds(c->voters, c->voter_count, id);
}

bool raft_config_is_member(const struct raft_config *c, uint32_t id) {
    return raft_config_is_voter(c, id) || holds(c->learners, c->learner_count, id);
}

/* Whether the change may be made, without making it. */
static struct status may_apply(const struct raft_config *c, struct raft_change change) {
    const bool voter = raft_config_is_voter(c, change.id);
    const bool member = raft_config_is_member(c, change.id);
    if (change.id == 0) return status_of(ST_INVALID);
    switch (change.kind) {
    case RAFT_CHANGE_ADD:
        if (member) return status_of(ST_CONFLICT);
        if (c->voter_count + c->learner_count == RAFT_MEMBERS_MAX) return status_of(ST_FULL);
        return status_of(ST_OK);
    case RAFT_CHANGE_PROMOTE:
        if (!member || voter) return status_of(ST_CONFLICT);
        return status_of(c->voter_count == RAFT_VOTERS_MAX ? ST_FULL : ST_OK);
    case RAFT_CHANGE_DEMOTE: return status_of(voter && c->voter_count > 1 ? ST_OK : ST_CONFLICT);
    case RAFT_CHANGE_REMOVE:
        if (!member) return status_of(ST_CONFLICT);
        return status_of(voter && c->voter_count == 1 ? ST_CONFLICT : ST_OK);
    }
    return status_of(ST_INVALID);
}

STATUS raft_config_apply(struct raft_config *c, struct raft_change change) {
    ASSERT(raft_config_check(c));
    TRY(may_apply(c, change));
    const uint32_t voters_before = c->voter_count;
    const bool voter = raft_config_is_voter(c, change.id);
    switch (change.kind) {
    case RAFT_CHANGE_ADD: insert(c->learners, &c->learner_count, change.id); break;
    case RAFT_CHANGE_PROMOTE:
        take_out(c->learners, &c->learner_count, change.id);
        insert(c->voters, &c->voter_count, change.id);
        break;
    case RAFT_CHANGE_DEMOTE:
        take_out(c->voters, &c->voter_count, change.id);
        insert(c->learners, &c->learner_count, change.id);
        break;
    case RAFT_CHANGE_REMOVE:
        if (voter) {
            take_out(c->voters, &c->voter_count, change.id);
        } else {
            take_out(c->learners, &c->learner_count, change.id);
        }
        break;
    }
    ASSERT(c->voter_count + 1 >= voters_before);
    ASSERT(c->voter_count <= voters_before + 1);
    ASSERT(raft_config_check(c));
    return status_of(ST_OK);
}

bool raft_config_equal(const struct raft_config *a, const struct raft_config *b) {
    if (a->voter_count != b->voter_count || a->learner_count != b->learner_count) return false;
    if (memcmp(a->voters, b->voters, a->voter_count * sizeof *a->voters) != 0) return false;
    return memcmp(a->learners, b->learners, a->learner_count * sizeof *a->learners) == 0;
}

static bool ascend(const uint32_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] <= (i == 0 ? 0 : ids[i - 1])) return false;
    }
    return true;
}

bool raft_config_check(const struct raft_config *c) {
    if (c->voter_count > RAFT_VOTERS_MAX || c->learner_count > RAFT_MEMBERS_MAX) return false;
    if (c->voter_count + c->learner_count > RAFT_MEMBERS_MAX) return false;
    if (!ascend(c->voters, c->voter_count) || !ascend(c->learners, c->learner_count)) return false;
    for (uint32_t i = 0; i < c->voter_count; i++) {
        if (holds(c->learners, c->learner_count, c->voters[i])) return false;
    }
    return true;
}

size_t raft_config_encode(const struct raft_config *c, uint8_t *out) {
    ASSERT(raft_config_check(c));
    ASSERT(c->voter_count >= 1);
    put_u16_le(out, (uint16_t)c->voter_count);
    put_u16_le(out + 2, (uint16_t)c->learner_count);
    const size_t voter_bytes = c->voter_count * sizeof *c->voters;
    const size_t learner_bytes = c->learner_count * sizeof *c->learners;
    memcpy(out + 4, c->voters, voter_bytes);
    memcpy(out + 4 + voter_bytes, c->learners, learner_bytes);
    return 4 + voter_bytes + learner_bytes;
}

STATUS raft_config_decode(struct bytes in, struct raft_config *ret_config) {
    struct cursor c = cursor_of(in);
    const uint16_t voter_count = cursor_u16_le(&c);
    const uint16_t learner_count = cursor_u16_le(&c);
    if (c.failed || voter_count < 1 || voter_count > RAFT_VOTERS_MAX) return status_of(ST_CORRUPT);
    if ((uint32_t)voter_count + learner_count > RAFT_MEMBERS_MAX) return status_of(ST_CORRUPT);
    struct raft_config read = { .voter_count = voter_count, .learner_count = learner_count };
    for (uint32_t i = 0; i < voter_count; i++) read.voters[i] = cursor_u32_le(&c);
    for (uint32_t i = 0; i < learner_count; i++) read.learners[i] = cursor_u32_le(&c);
    if (!cursor_done(&c) || !raft_config_check(&read)) return status_of(ST_CORRUPT);
    *ret_config = read;
    return status_of(ST_OK);
}

void raft_change_encode(struct raft_change change, uint8_t *out) {
    ASSERT(change.id != 0);
    ASSERT(change.kind >= RAFT_CHANGE_ADD && change.kind <= RAFT_CHANGE_REMOVE);
    out[0] = (uint8_t)change.kind;
    put_u32_le(out + 1, change.id);
}

STATUS raft_change_decode(struct bytes in, struct raft_change *ret_change) {
    struct cursor c = cursor_of(in);
    const uint8_t kind = cursor_u8(&c);
    const uint32_t id = cursor_u32_le(&c);
    if (!cursor_done(&c) || id == 0) return status_of(ST_CORRUPT);
    if (kind < RAFT_CHANGE_ADD || kind > RAFT_CHANGE_REMOVE) return status_of(ST_CORRUPT);
    *ret_change = (struct raft_change){ .kind = (enum raft_change_kind)kind, .id = id };
    return status_of(ST_OK);
}

#include "shard/call.h"

#include <string.h>

#include "base/assert.h"

#define TO(state) (1u << (state))

static const uint32_t call_next[CALL_STATES] = {
    [CALL_IDLE] = TO(CALL_SENT),
    [CALL_SENT] = TO(CALL_QUEUED) | TO(CALL_FETCHING) | TO(CALL_STALLED) | TO(CALL_SCANNING) |
                  TO(CALL_ASKING) | TO(CALL_WAITING) | TO(CALL_HELD) | TO(CALL_ANSWERED),
    [CALL_QUEUED] = TO(CALL_SENT),
    [CALL_FETCHING] = TO(CALL_SENT),
    [CALL_STALLED] = TO(CALL_SENT),
    [CALL_SCANNING] = TO(CALL_SENT),
    [CALL_ASKING] = TO(CALL_SENT) | TO(CALL_HELD) | TO(CALL_ANSWERED),
    [CALL_WAITING] = TO(CALL_SENT),
    [CALL_HELD] = TO(CALL_ANSWERED),
    [CALL_ANSWERED] = TO(CALL_SENT), /* a scan asks for its next page */
};

static void spend(struct call *c, enum call_phase phase, uint64_t from_ns, uint64_t to_ns) {
    if (to_ns > from_ns) c->spent_us[phase] += (uint32_t)((to_ns - from_ns) / 1000);
}

/* Shards have turns of their own, so a call may arrive a little before it was sent. */
static void account(struct call *c, uint64_t turn_ns) {
    switch (c->state) {
    case CALL_STALLED: spend(c, CALL_PHASE_STALL, c->since_ns, turn_ns); break;
    case CALL_FETCHING:
    case CALL_SCANNING: spend(c, CALL_PHASE_READ, c->since_ns, turn_ns); break;
    case CALL_WAITING: spend(c, CALL_PHASE_REPLICAS, c->since_ns, turn_ns); break;
    case CALL_HELD: spend(c, CALL_PHASE_LOG, c->since_ns, turn_ns); break;
    case CALL_ASKING:
        if (c->own_since_ns == 0) c->own_since_ns = turn_ns;
        spend(c, CALL_PHASE_REPLICAS, c->since_ns, c->own_since_ns);
        spend(c, c->own_phase, c->own_since_ns, turn_ns);
        c->own_since_ns = 0;
        break;
    case CALL_ANSWERED: memset(c->spent_us, 0, sizeof c->spent_us); break;
    default: break;
    }
    c->since_ns = turn_ns;
}

void call_move(struct call *c, enum call_state next, uint64_t turn_ns) {
    ASSERT(next < CALL_STATES);
    ASSERT((call_next[c->state] & TO(next)) != 0);
    account(c, turn_ns);
    c->state = next;
}

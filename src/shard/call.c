#include "shard/call.h"

#include "base/assert.h"

#define TO(state) (1u << (state))

static const uint32_t call_next[CALL_STATES] = {
    [CALL_IDLE] = TO(CALL_SENT),
    [CALL_SENT] = TO(CALL_QUEUED) | TO(CALL_FETCHING) | TO(CALL_STALLED) | TO(CALL_SCANNING) |
                  TO(CALL_ASKING) | TO(CALL_HELD) | TO(CALL_ANSWERED),
    [CALL_QUEUED] = TO(CALL_SENT),
    [CALL_FETCHING] = TO(CALL_SENT),
    [CALL_STALLED] = TO(CALL_SENT),
    [CALL_SCANNING] = TO(CALL_SENT),
    [CALL_ASKING] = TO(CALL_SENT) | TO(CALL_HELD) | TO(CALL_ANSWERED),
    [CALL_HELD] = TO(CALL_ANSWERED),
    [CALL_ANSWERED] = TO(CALL_SENT), /* a scan asks for its next page */
};

void call_move(struct call *c, enum call_state next) {
    ASSERT(next < CALL_STATES);
    ASSERT((call_next[c->state] & TO(next)) != 0);
    c->state = next;
}

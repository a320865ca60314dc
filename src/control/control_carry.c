/* A member that is cut from the leader only is led over others: they carry what the two say.
 *
 * It hears nothing of the leader and asks the other members in turn to pass a question on. The
 * leader answers by the same way, and goes on sending over it for as long as something comes by
 * it; so does the member until it hears the leader itself. To Raft this is a network that delays,
 * repeats and reorders, as it may. Nobody carries for anybody but the one at the other end of the
 * link, so nothing goes round. */
#include "control/control_internal.h"

#define LATE_BEATS 2u     /* a heartbeat is so many times late; an election is later */
#define CARRY_ASK_MS 100u /* the next one is asked after so long */
#define ROUTE_MS 1000u    /* a carrier that brought nothing for so long is none any more */

/* ---- ways ---- */

static struct control_route *find_route(struct control *c, uint32_t member) {
    for (uint32_t i = 0; i < CONTROL_ROUTES_MAX; i++) {
        if (c->routes[i].member == member) return &c->routes[i];
    }
    return NULL;
}

/* The one not used for the longest makes room. */
static void note_route(struct control *c, uint32_t member, uint32_t carrier) {
    ASSERT(member != 0);
    ASSERT(member != carrier);
    struct control_route *route = find_route(c, member);
    for (uint32_t i = 0; i < CONTROL_ROUTES_MAX && route == NULL; i++) {
        if (c->routes[i].member == 0) route = &c->routes[i];
    }
    if (route == NULL) {
        route = &c->routes[0];
        for (uint32_t i = 1; i < CONTROL_ROUTES_MAX; i++) {
            if (c->routes[i].heard_ms < route->heard_ms) route = &c->routes[i];
        }
    }
    *route = (struct control_route){ member, carrier, c->now_ms };
}

static uint64_t silent_ms(const struct control *c) {
    return raft_beat_ms(c->raft) + LATE_BEATS * (uint64_t)c->options.heartbeat_ms;
}

static bool hears_leader(const struct control *c) {
    return control_is_leader(c) || c->now_ms - c->leader_direct_ms < silent_ms(c);
}

void control_heard_leader(struct control *c) {
    ASSERT(c->raft->leader != 0);
    if (c->carrier == 0) c->leader_direct_ms = c->now_ms;
}

static void hand(struct control *c, uint32_t carrier, uint32_t sender, uint32_t member,
                 struct bytes bytes) {
    buffer_reset(&c->carry_bytes);
    control_message_wrap(sender, member, bytes, &c->carry_bytes);
    ASSERT(!c->carry_bytes.overflowed);
    c->env.send(c->env.user, carrier, buffer_bytes(&c->carry_bytes));
}

static bool is_carried(enum control_kind kind) {
    switch (kind) {
    case CONTROL_RAFT:
    case CONTROL_PROPOSE:
    case CONTROL_REPORT:
    case CONTROL_PROGRESS:
    case CONTROL_NEWS_WANTED:
    case CONTROL_TRANSFER: return true;
    default: return false;
    }
}

void control_carry(struct control *c, uint32_t member, struct bytes bytes) {
    ASSERT(member != c->self);
    if (c->stage != CONTROL_MEMBER || !is_carried(c->out.kind)) return;
    if (!control_is_leader(c) && hears_leader(c)) return;
    const struct control_route *route = find_route(c, member);
    if (route == NULL || c->now_ms - route->heard_ms >= ROUTE_MS) return;
    hand(c, route->carrier, c->self, member, bytes);
}

/* ---- asking for one ---- */

/* The one that works, else the next of those that may; 0 = there is nobody. All that lose a leader
 * ask at once: each begins after itself, or the first of the state would be asked by all. */
static uint32_t next_carrier(struct control *c) {
    const uint32_t leader = c->raft->leader;
    const struct control_route *route = leader == 0 ? NULL : find_route(c, leader);
    if (route != NULL && c->now_ms - route->heard_ms < silent_ms(c)) return route->carrier;
    const uint32_t own = metadata_find_member(c->state, c->self);
    const uint32_t first = own == MEMBER_NONE ? 0 : own + 1;
    for (uint32_t i = 0; i < c->state->members_count; i++) {
        const uint32_t at = (first + c->carry_turn++) % c->state->members_count;
        const struct metadata_member *m = &c->state->members[at];
        if (m->id == c->self || m->id == leader || m->address[0] == 0) continue;
        if (m->state != MEMBER_DEAD) return m->id;
    }
    return 0;
}

void control_carry_tick(struct control *c) {
    ASSERT(c->stage == CONTROL_MEMBER || c->stage == CONTROL_REFUSED);
    if (c->stage != CONTROL_MEMBER || c->shown_revision == 0) return;
    if (hears_leader(c) || c->now_ms < c->carry_at_ms) return;
    c->carry_at_ms = c->now_ms + CARRY_ASK_MS;
    const uint32_t carrier = next_carrier(c);
    if (carrier == 0) return;
    control_begin(c, CONTROL_NEWS_WANTED)->revision = c->shown_revision;
    hand(c, carrier, c->self, 0, control_encode_out(c)); /* others may know of a later leader */
}

/* ---- carrying ---- */

static void pass_on(struct control *c, uint32_t to) {
    ASSERT(to != c->self);
    if (to == 0 || to == c->in.sender || MUTANT("control_carries_nothing")) return;
    if (metadata_find_member(c->state, to) == MEMBER_NONE) return;
    hand(c, to, c->in.sender, to, c->in.bytes);
}

bool control_on_carry(struct control *c, struct control_source *from) {
    ASSERT(c->in.kind == CONTROL_CARRY);
    /* Strangers are not carried for, and carry for nobody. */
    if (c->stage != CONTROL_MEMBER || c->shown_revision == 0 || from->member == 0) return false;
    const uint32_t sender = c->in.sender;
    const uint32_t to = c->in.member != 0 ? c->in.member : c->raft->leader;
    if (sender == c->self) return false;
    if (to != c->self) {
        if (sender == from->member) pass_on(c, to);
        return false;
    }
    if (!status_ok(control_message_decode(c->in.bytes, &c->in)) || !is_carried(c->in.kind))
        return false;
    if (sender != from->member) {
        c->carrier = from->member;
        note_route(c, sender, from->member);
    }
    from->member = sender;
    return true;
}

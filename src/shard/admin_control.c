#include "shard/admin_control.h"

#include "base/assert.h"
#include "base/mem.h"
#include "shard/admin_judge.h"
#include "shard/shard.h"

enum wait_kind {
    WAIT_LEADER, /* until somebody leads */
    WAIT_RESULT, /* of the command proposed */
    WAIT_LEAD,   /* until the member leads */
    WAIT_KINDS,
};

/* A call that could not be answered at once. Until a proposal is answered the control has a pointer
 * to it. */
struct admin_wait {
    struct list link;
    struct call *call; /* NULL: it was answered, but the control has not answered yet */
    enum wait_kind kind;
    uint64_t deadline_ms;          /* LEADER, LEAD: monotonic */
    bool answered;                 /* RESULT: the next two hold */
    enum control_outcome outcome;  /* see there */
    struct metadata_result result; /* see there */
};

void admin_control_init(struct admin_control *a) {
    list_init(&a->waits);
    a->count = 0;
}

static void wait_free(struct admin_control *a, struct admin_wait *w) {
    ASSERT(a->count > 0);
    list_remove(&w->link);
    a->count--;
    mem_free(w);
}

void admin_control_deinit(struct admin_control *a) {
    while (!list_is_empty(&a->waits)) {
        struct admin_wait *w = LIST_ENTRY(a->waits.next, struct admin_wait, link);
        ASSERT(w->call == NULL);
        wait_free(a, w);
    }
}

/* ---- the world ---- */

static struct place_set alive_members(const struct shard *s, const struct metadata *m,
                                      uint32_t self) {
    struct place_set alive = { { 0 } };
    for (uint32_t i = 0; m != NULL && i < m->members_count; i++) {
        const uint32_t place = membership_find(s->members, m->members[i].id);
        const bool answers =
            m->members[i].id == self ||
            (place != MEMBER_NONE && s->peers[place] != NULL && peer_is_alive(s, place));
        if (answers) place_set_add(&alive, i);
    }
    return alive;
}

static struct admin_world world_of(struct node_control *c, struct control_status *status) {
    const struct shard *s = c->node->shards[0];
    control_status(c->control, status);
    struct admin_world world = {
        .state = control_state(c->control),
        .status = status,
        .throttle = c->options.control.throttle,
        .wall_ms = os_wall_ms(s->os),
    };
    world.alive = alive_members(s, world.state, status->self);
    return world;
}

/* ---- the way of a call ---- */

static void answer(struct shard *s, struct call *c) {
    c->response = (struct response){ .outcome = OUT_OK };
    c->sequence = 0;
    shard_call_finish(s, c);
}

static void answer_with(struct shard *s, struct call *c, enum admin_outcome outcome) {
    (void)admin_end(c->admin, outcome);
    answer(s, c);
}

static void proposed(void *user, enum control_outcome outcome, struct metadata_result result) {
    struct admin_wait *w = user;
    ASSERT(w->kind == WAIT_RESULT);
    ASSERT(!w->answered);
    w->answered = true;
    w->outcome = outcome;
    w->result = result;
}

/* Do what the verdict asks for; the wait is gone if that is nothing more. */
static void go_on(struct node_control *c, struct admin_wait *w, enum admin_verdict verdict,
                  const struct metadata_command *command) {
    struct shard *s = c->node->shards[0];
    const uint64_t now_ms = os_mono_ns(s->os) / 1000000;
    switch (verdict) {
    case ADMIN_ANSWERED:
        answer(s, w->call);
        wait_free(&c->admin, w);
        return;
    case ADMIN_NEEDS_LEADER:
        if (w->kind != WAIT_LEADER) w->deadline_ms = now_ms + ADMIN_LEADER_WAIT_MS;
        w->kind = WAIT_LEADER;
        return;
    case ADMIN_NEEDS_LEAD:
        w->kind = WAIT_LEAD;
        w->deadline_ms = now_ms + ADMIN_LEADER_WAIT_MS;
        control_transfer(c->control, w->call->admin->member);
        return;
    case ADMIN_NEEDS_COMMAND:
        w->kind = WAIT_RESULT;
        w->answered = false;
        control_propose(c->control, command, proposed, w);
        return;
    }
    ASSERT(false);
}

static void judge(struct node_control *c, struct admin_wait *w) {
    struct control_status status;
    struct metadata_command command;
    const struct admin_world world = world_of(c, &status);
    const enum admin_verdict verdict = admin_judge(w->call->admin, &world, &command);
    go_on(c, w, verdict, &command);
}

void admin_control_begin(struct shard *s, struct call *call) {
    struct node_control *c = s->node->control;
    ASSERT(s->id == 0);
    ASSERT(call->admin != NULL);
    if (s->stop_deadline_ms != 0) {
        answer_with(s, call, ADMIN_STOPPING);
        return;
    }
    if (c == NULL || c->admin.count == ADMIN_WAITS_MAX) {
        answer_with(s, call, c == NULL ? ADMIN_UNAVAILABLE : ADMIN_BUSY);
        return;
    }
    struct admin_wait *w = mem_alloc_zeroed(sizeof *w);
    w->call = call;
    w->kind = WAIT_KINDS;
    list_append(&c->admin.waits, &w->link);
    c->admin.count++;
    call_move(call, CALL_ASKING, s->turn_ns);
    judge(c, w);
}

static void settle(struct node_control *c, struct admin_wait *w) {
    struct control_status status;
    struct metadata_command command;
    const struct admin_world world = world_of(c, &status);
    const enum admin_verdict verdict =
        admin_settle(w->call->admin, &world, w->outcome, w->result, &command);
    go_on(c, w, verdict, &command);
}

/* Whether the member leads now, or the time for it is up. */
static void look_for_lead(struct node_control *c, struct admin_wait *w, uint64_t now_ms) {
    struct control_status status;
    const struct admin_world world = world_of(c, &status);
    struct admin_work *work = w->call->admin;
    if (status.leader == work->member)
        admin_leads(work, &world);
    else if (now_ms >= w->deadline_ms)
        (void)admin_end(work, ADMIN_TIMEOUT);
    else
        return;
    go_on(c, w, ADMIN_ANSWERED, NULL);
}

static void look_at(struct node_control *c, struct admin_wait *w, uint64_t now_ms) {
    switch (w->kind) {
    case WAIT_RESULT:
        if (!w->answered) return;
        if (w->call == NULL)
            wait_free(&c->admin, w);
        else
            settle(c, w);
        return;
    case WAIT_LEAD: look_for_lead(c, w, now_ms); return;
    default: break;
    }
    ASSERT(w->kind == WAIT_LEADER);
    struct control_status status;
    control_status(c->control, &status);
    if (status.leader != 0) {
        judge(c, w);
    } else if (now_ms >= w->deadline_ms) {
        (void)admin_end(w->call->admin, ADMIN_NO_LEADER);
        go_on(c, w, ADMIN_ANSWERED, NULL);
    }
}

void admin_control_turn(struct node_control *c) {
    if (list_is_empty(&c->admin.waits)) return;
    const uint64_t now_ms = os_mono_ns(c->node->os) / 1000000;
    for (struct list *n = c->admin.waits.next, *next; n != &c->admin.waits; n = next) {
        next = n->next;
        look_at(c, LIST_ENTRY(n, struct admin_wait, link), now_ms);
    }
}

void admin_control_stop(struct node_control *c) {
    struct shard *s = c->node->shards[0];
    for (struct list *n = c->admin.waits.next, *next; n != &c->admin.waits; n = next) {
        struct admin_wait *w = LIST_ENTRY(n, struct admin_wait, link);
        next = n->next;
        if (w->call == NULL) continue;
        answer_with(s, w->call, w->kind == WAIT_LEADER ? ADMIN_STOPPING : ADMIN_TIMEOUT);
        w->call = NULL;
        if (w->kind != WAIT_RESULT || w->answered) wait_free(&c->admin, w);
    }
}

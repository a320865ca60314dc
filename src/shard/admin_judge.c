#include "shard/admin_judge.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/metadata_plan.h"

#define WORK_CHUNK_BYTES 4096u

struct admin_work *admin_work_create(const struct admin_request *q) {
    ASSERT(admin_request_check(q));
    struct admin_work *w = mem_alloc_zeroed(sizeof *w);
    w->request = *q;
    arena_init(&w->arena, WORK_CHUNK_BYTES);
    return w;
}

void admin_work_destroy(struct admin_work *w) {
    if (w == NULL) return;
    arena_deinit(&w->arena);
    mem_free(w);
}

const char *admin_keep_text(struct admin_work *w, struct bytes text) {
    uint8_t *copy = arena_alloc_unaligned(&w->arena, text.len + 1);
    if (text.len > 0) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return (const char *)copy;
}

enum admin_verdict admin_end(struct admin_work *w, enum admin_outcome outcome) {
    admin_reply_init(&w->reply, outcome);
    return ADMIN_ANSWERED;
}

static enum admin_verdict conflict(struct admin_work *w, const char *line) {
    admin_reply_init(&w->reply, ADMIN_CONFLICT);
    admin_reply_say(&w->reply, "%s", line);
    return ADMIN_ANSWERED;
}

/* ---- refusals of the metadata ---- */

static const uint8_t outcome_of_code[META_CODES] = {
    [META_OK] = ADMIN_OUTCOMES,
    [META_NO_CLUSTER] = ADMIN_NO_CLUSTER,
    [META_CLUSTER_EXISTS] = ADMIN_CONFLICT,
    [META_OTHER_CLUSTER] = ADMIN_CONFLICT,
    [META_PROPOSER] = ADMIN_CONFLICT,
    [META_SEQUENCE] = ADMIN_TIMEOUT, /* what became of it is forgotten */
    [META_ADDRESS] = ADMIN_REFUSED,
    [META_ADDRESS_TAKEN] = ADMIN_CONFLICT,
    [META_WEIGHT] = ADMIN_REFUSED,
    [META_ID_USED] = ADMIN_CONFLICT,
    [META_MEMBERS_FULL] = ADMIN_CONFLICT,
    [META_NO_MEMBER] = ADMIN_NO_NODE,
    [META_BOOT] = ADMIN_CONFLICT,
    [META_STATE] = ADMIN_CONFLICT,
    [META_LAST_NODE] = ADMIN_CONFLICT,
    [META_BELOW_N] = ADMIN_AT_RISK,
    [META_HOLDS_SLOTS] = ADMIN_CONFLICT,
    [META_NAME] = ADMIN_REFUSED,
    [META_NAME_TAKEN] = ADMIN_CONFLICT,
    [META_NO_KEYSPACE] = ADMIN_NO_KEYSPACE,
    [META_KEYSPACES_FULL] = ADMIN_CONFLICT,
    [META_DEFAULT_KEYSPACE] = ADMIN_REFUSED,
    [META_SETTINGS] = ADMIN_REFUSED,
    [META_DISCIPLINE] = ADMIN_REFUSED,
    [META_STRICT_N] = ADMIN_REFUSED,
    [META_COPIES] = ADMIN_CONFLICT,
    [META_REPLICAS] = ADMIN_REFUSED,
    [META_TARGET] = ADMIN_CONFLICT,
    [META_CHANGE_RUNNING] = ADMIN_CONFLICT,
    [META_NO_CHANGE] = ADMIN_NO_CHANGE,
    [META_PAUSED] = ADMIN_CONFLICT,
    [META_PHASE] = ADMIN_CONFLICT,
};

enum admin_outcome admin_outcome_of(enum metadata_code code) {
    ASSERT((uint32_t)code < META_CODES);
    ASSERT(code != META_OK);
    return (enum admin_outcome)outcome_of_code[code];
}

/* Outcomes that say all themselves keep their word and line. */
static void refuse(struct admin_work *w, const struct metadata *m, enum metadata_code code) {
    struct admin_reply *r = &w->reply;
    const bool made_by_others = code == META_NAME_TAKEN && w->request.presence == ADMIN_NEW;
    admin_reply_init(r, made_by_others ? ADMIN_CONDITION : admin_outcome_of(code));
    r->node = w->member;
    if (r->outcome == ADMIN_CONFLICT || r->outcome == ADMIN_REFUSED) {
        r->code = metadata_code_name(code);
        admin_reply_say(r, "%s", metadata_code_text(code));
        if (code == META_COPIES || code == META_CHANGE_RUNNING) admin_say_copies(w, m, code);
    }
    const uint32_t at = w->member == 0 ? MEMBER_NONE : metadata_find_member(m, w->member);
    if (r->outcome != ADMIN_AT_RISK || at == MEMBER_NONE) return;
    r->has_risk = true;
    r->risk = admin_risk_of(m, at, w->request.op == ADMIN_NODE_LEAVE);
}

/* ---- what is done ---- */

static void name_member(struct admin_work *w, const struct metadata *m) {
    const uint32_t at = w->member == 0 ? MEMBER_NONE : metadata_find_member(m, w->member);
    w->reply.node = w->member;
    if (at != MEMBER_NONE && m->members[at].address[0] != '\0')
        w->reply.address = admin_keep_text(w, bytes_of_string(m->members[at].address));
}

static void say_change(struct admin_work *w, const struct metadata *m, const char *what) {
    w->reply.change = m->change.id;
    admin_reply_say(&w->reply, "change %llu %s", (unsigned long long)m->change.id, what);
}

/* The keyspace wants more copies than slots have. */
static bool widens(const struct admin_work *w, const struct metadata *m) {
    if (w->request.op != ADMIN_KEYSPACE_PUT) return false;
    const struct keyspace *k = metadata_find_name(m, bytes_of_string(w->request.keyspace));
    return k != NULL && k->settings.replication.replicas > m->replicas;
}

static void say_keyspace(struct admin_work *w, const struct metadata *m, const char *what) {
    const struct keyspace *k = metadata_find_name(m, bytes_of_string(w->request.keyspace));
    admin_reply_say(&w->reply, "keyspace %s is %s", w->request.keyspace, what);
    if (k == NULL) return;
    admin_show_keyspace(w, k);
    if (widens(w, m))
        admin_reply_say(&w->reply,
                        "keyspace %s is %s; slots get %u copies, a change of the ring brings it "
                        "about",
                        w->request.keyspace, what, k->settings.replication.replicas);
}

/* `m` has it; `created`: the keyspace is new. */
static void say_done(struct admin_work *w, const struct metadata *m, bool created) {
    struct admin_reply *r = &w->reply;
    const enum admin_op op = w->request.op;
    const bool ring = op == ADMIN_NODE_ADD || op == ADMIN_NODE_LEAVE || op == ADMIN_NODE_REMOVE ||
                      op == ADMIN_NODE_WEIGHT || op == ADMIN_REPLICAS || widens(w, m);
    admin_reply_init(r, ring ? ADMIN_ACCEPTED : created ? ADMIN_CREATED : ADMIN_DONE);
    r->epoch = m->epoch;
    name_member(w, m);
    switch (op) {
    case ADMIN_NODE_ADD:
    case ADMIN_NODE_WEIGHT:
        admin_reply_say(r, "node %u gets weight %u; a change of the ring brings it about",
                        w->member, w->request.weight);
        break;
    case ADMIN_NODE_LEAVE:
        admin_reply_say(r, "node %u gives its slots to the others and leaves", w->member);
        break;
    case ADMIN_NODE_REMOVE:
        admin_reply_say(r, "node %u is given up; its slots are copied from the others", w->member);
        break;
    case ADMIN_REPLICAS: admin_say_replicas(w, m); break;
    case ADMIN_CHANGE_PAUSE: say_change(w, m, "is paused"); break;
    case ADMIN_CHANGE_RESUME: say_change(w, m, "goes on"); break;
    case ADMIN_CHANGE_THROTTLE: say_change(w, m, "has another limit"); break;
    case ADMIN_CHANGE_CANCEL:
        admin_reply_say(r, "the change is cancelled; slots that were under way went back");
        break;
    case ADMIN_KEYSPACE_PUT: say_keyspace(w, m, created ? "made" : "altered"); break;
    case ADMIN_KEYSPACE_DROP: say_keyspace(w, m, "dropped"); break;
    default: ASSERT(false);
    }
}

/* ---- tried only ---- */

/* Apply it to a copy, and see. */
static enum admin_verdict try_only(struct admin_work *w, const struct admin_world *world,
                                   const struct metadata_command *command) {
    struct metadata *copy = metadata_clone(world->state);
    struct metadata_command c = *command;
    const uint32_t self = metadata_find_member(copy, world->status->self);
    ASSERT(self != MEMBER_NONE);
    c.cluster = copy->cluster;
    c.proposal = (struct proposal){ .node = world->status->self,
                                    .sequence = copy->members[self].sequence + 1 };
    const bool created = c.kind == METADATA_KEYSPACE_CREATE;
    const struct metadata_result result = metadata_apply(copy, &c);
    if (!metadata_result_ok(result)) {
        refuse(w, world->state, result.code);
    } else {
        say_done(w, copy, created);
        w->reply.epoch = world->state->epoch;
        if (created) w->reply.keyspace.id = 0; /* given out by the time it is made */
        admin_reply_say(&w->reply, "this would be done; nothing was");
        struct ring_inputs inputs;
        metadata_inputs(copy, &inputs);
        if (w->reply.outcome == ADMIN_ACCEPTED) admin_add_plan(w, world, &inputs);
    }
    metadata_destroy(copy);
    return ADMIN_ANSWERED;
}

static enum admin_verdict propose(struct admin_work *w, const struct admin_world *world,
                                  const struct metadata_command *command) {
    if (w->request.dry_run) return try_only(w, world, command);
    return world->status->leader == 0 ? ADMIN_NEEDS_LEADER : ADMIN_NEEDS_COMMAND;
}

/* ---- members ---- */

uint32_t admin_find_member(struct admin_work *w, const struct metadata *m) {
    const struct admin_request *q = &w->request;
    uint32_t at = MEMBER_NONE;
    if (q->node != 0) at = metadata_find_member(m, q->node);
    for (uint32_t i = 0; q->node == 0 && i < m->members_count; i++) {
        if (admin_same_address(q->address, m->members[i].address)) at = i;
    }
    if (at != MEMBER_NONE) {
        w->member = m->members[at].id;
        return at;
    }
    (void)admin_end(w, ADMIN_NO_NODE);
    if (q->node != 0 && metadata_member_state(m, q->node) == MEMBER_REMOVED)
        admin_reply_say(&w->reply, "node %u was removed from the cluster", q->node);
    return MEMBER_NONE;
}

static bool is_going(const struct metadata_member *member) {
    return member->state == MEMBER_LEAVING || member->state == MEMBER_DEAD;
}

static void make_begin(const struct admin_world *world, enum change_reason reason,
                       struct metadata_command *command) {
    *command = (struct metadata_command){ .kind = METADATA_CHANGE_BEGIN,
                                          .reason = reason,
                                          .accept_loss = !metadata_has_dead(world->state),
                                          .started_ms = world->wall_ms,
                                          .throttle = world->throttle };
    metadata_inputs(world->state, &command->target);
}

/* A change that was cancelled is begun again by nobody but people, who ask once more for what it was
 * to bring. False: nothing was left undone, or the leader sees to it. */
static bool begin_again(struct admin_work *w, const struct admin_world *world,
                        enum change_reason reason, struct metadata_command *command) {
    const struct metadata *m = world->state;
    struct metadata_plan *plan = NULL;
    make_begin(world, reason, command);
    const uint64_t hash = metadata_inputs_hash(&command->target);
    if (m->change.id != 0 || command->target.count == 0) return false;
    if (metadata_change_is_due(m, hash)) return false;
    if (!status_ok(metadata_plan_create(m, &command->target, &plan))) return false;
    w->begins = plan->slots_changed > 0;
    metadata_plan_destroy(plan);
    return w->begins;
}

static enum admin_verdict has_weight_already(struct admin_work *w, const struct metadata *m) {
    (void)admin_end(w, ADMIN_DONE);
    name_member(w, m);
    w->reply.epoch = m->epoch;
    admin_reply_say(&w->reply, "node %u has this weight", w->member);
    return ADMIN_ANSWERED;
}

static enum admin_verdict judge_weight(struct admin_work *w, const struct admin_world *world,
                                       struct metadata_command *command) {
    const struct admin_request *q = &w->request;
    const struct metadata *m = world->state;
    const uint32_t at = admin_find_member(w, m);
    if (at == MEMBER_NONE) return ADMIN_ANSWERED;
    const struct metadata_member *member = &m->members[at];
    if (is_going(member))
        return conflict(w,
                        member->state == MEMBER_LEAVING
                            ? "the node is leaving: it has no slots to come"
                            : "the node was given up; start it again without data to have it in");
    if (q->op == ADMIN_NODE_ADD && (q->given & ADMIN_HAS_ZONE) != 0 && q->zone != member->zone)
        return conflict(w, "the node is a member of another zone; that was set when it first "
                           "started and stays");
    if ((q->given & ADMIN_HAS_WEIGHT) == 0 || q->weight == member->weight)
        return begin_again(w, world, CHANGE_WEIGHT, command) ? propose(w, world, command)
                                                             : has_weight_already(w, m);
    command->kind = METADATA_MEMBER_WEIGHT;
    command->member = (struct member_wish){ .id = member->id, .weight = q->weight };
    return propose(w, world, command);
}

static enum admin_verdict is_going_already(struct admin_work *w, const struct metadata *m,
                                           const char *how) {
    (void)admin_end(w, ADMIN_ACCEPTED);
    name_member(w, m);
    w->reply.epoch = m->epoch;
    w->reply.change = m->change.id;
    admin_reply_say(&w->reply, "node %u %s already", w->member, how);
    return ADMIN_ANSWERED;
}

static enum admin_verdict judge_leave(struct admin_work *w, const struct admin_world *world,
                                      struct metadata_command *command) {
    const struct metadata *m = world->state;
    const uint32_t at = admin_find_member(w, m);
    if (at == MEMBER_NONE) return ADMIN_ANSWERED;
    if (m->members[at].state == MEMBER_LEAVING)
        return begin_again(w, world, CHANGE_LEAVE, command) ? propose(w, world, command)
                                                            : is_going_already(w, m, "is leaving");
    if (m->members[at].state == MEMBER_DEAD) return is_going_already(w, m, "was given up");
    if (!place_set_has(&world->alive, at))
        return conflict(w, "the node does not answer, so it cannot hand its slots over; start it, "
                           "or give it up with force=true (atoll cluster remove)");
    command->kind = METADATA_MEMBER_LEAVE;
    command->member.id = m->members[at].id;
    command->accept_loss = w->request.accept_loss;
    return propose(w, world, command);
}

static enum admin_verdict judge_remove(struct admin_work *w, const struct admin_world *world,
                                       struct metadata_command *command) {
    const struct metadata *m = world->state;
    const uint32_t at = admin_find_member(w, m);
    if (at == MEMBER_NONE) return ADMIN_ANSWERED;
    const bool dead = m->members[at].state == MEMBER_DEAD;
    if (place_set_has(&world->alive, at))
        return conflict(w, "the node answers: let it leave, without force=true");
    if (dead && !w->request.accept_loss) return is_going_already(w, m, "was given up");
    const struct admin_risk risk = admin_risk_of(m, at, false);
    if (risk.slots_short > 0 && !w->request.accept_loss) {
        (void)admin_end(w, ADMIN_AT_RISK);
        name_member(w, m);
        w->reply.has_risk = true;
        w->reply.risk = risk;
        return ADMIN_ANSWERED;
    }
    if (dead && !w->request.dry_run && world->status->leader != 0)
        return admin_settle(w, world, CONTROL_ANSWERED, (struct metadata_result){ .code = META_OK },
                            command);
    if (dead && w->request.dry_run) return is_going_already(w, m, "was given up");
    command->kind = METADATA_MEMBER_DEAD;
    command->member.id = m->members[at].id;
    return propose(w, world, command);
}

static enum admin_verdict judge_lead(struct admin_work *w, const struct admin_world *world) {
    const struct control_status *s = world->status;
    const uint32_t at = admin_find_member(w, world->state);
    bool votes = false;
    if (at == MEMBER_NONE) return ADMIN_ANSWERED;
    for (uint32_t i = 0; i < s->voter_count; i++) votes |= s->voters[i] == w->member;
    if (!votes) return conflict(w, "the node has no vote in the control plane, so it cannot lead");
    if (!place_set_has(&world->alive, at)) return conflict(w, "the node does not answer");
    if (s->leader == w->member || w->request.dry_run) {
        admin_leads(w, world);
        return ADMIN_ANSWERED;
    }
    return s->leader == 0 ? ADMIN_NEEDS_LEADER : ADMIN_NEEDS_LEAD;
}

void admin_leads(struct admin_work *w, const struct admin_world *world) {
    const bool leads = world->status->leader == w->member;
    (void)admin_end(w, ADMIN_DONE);
    name_member(w, world->state);
    w->reply.epoch = world->state->epoch;
    admin_reply_say(&w->reply, leads ? "node %u leads" : "node %u would lead; nothing was done",
                    w->member);
}

/* ---- the change that runs ---- */

static enum admin_verdict judge_change(struct admin_work *w, const struct admin_world *world,
                                       struct metadata_command *command) {
    const struct metadata *m = world->state;
    if (m->change.id == 0) return admin_end(w, ADMIN_NO_CHANGE);
    command->change = m->change.id;
    switch (w->request.op) {
    case ADMIN_CHANGE_PAUSE: command->kind = METADATA_CHANGE_PAUSE; break;
    case ADMIN_CHANGE_RESUME: command->kind = METADATA_CHANGE_RESUME; break;
    case ADMIN_CHANGE_CANCEL: command->kind = METADATA_CHANGE_CANCEL; break;
    default:
        ASSERT(w->request.op == ADMIN_CHANGE_THROTTLE);
        command->kind = METADATA_CHANGE_THROTTLE;
        command->throttle = w->request.bytes_per_second;
        break;
    }
    return propose(w, world, command);
}

/* ---- all together ---- */

static bool only_reads(const struct admin_request *q) {
    return q->op == ADMIN_PLAN || q->op == ADMIN_KEYSPACE_LIST || q->op == ADMIN_KEYSPACE_GET;
}

enum admin_verdict admin_judge(struct admin_work *w, const struct admin_world *world,
                               struct metadata_command *ret_command) {
    const struct metadata *m = world->state;
    ASSERT(admin_request_check(&w->request));
    if (m == NULL || m->epoch == 0) return admin_end(w, ADMIN_NO_CLUSTER);
    if (world->status->self == 0 && !only_reads(&w->request)) {
        (void)admin_end(w, ADMIN_UNAVAILABLE);
        admin_reply_say(&w->reply, "a proxy has no say in the cluster; ask one of its members");
        return ADMIN_ANSWERED;
    }
    if (world->status->self != 0 && metadata_find_member(m, world->status->self) == MEMBER_NONE)
        return conflict(w, "this node is no member any more; ask another");
    *ret_command = (struct metadata_command){ .kind = METADATA_KINDS };
    w->member = 0;
    switch (w->request.op) {
    case ADMIN_NODE_ADD:
    case ADMIN_NODE_WEIGHT: return judge_weight(w, world, ret_command);
    case ADMIN_NODE_LEAVE: return judge_leave(w, world, ret_command);
    case ADMIN_NODE_REMOVE: return judge_remove(w, world, ret_command);
    case ADMIN_LEADER: return judge_lead(w, world);
    case ADMIN_PLAN: return admin_plan(w, world);
    case ADMIN_CHANGE_PAUSE:
    case ADMIN_CHANGE_RESUME:
    case ADMIN_CHANGE_THROTTLE:
    case ADMIN_CHANGE_CANCEL: return judge_change(w, world, ret_command);
    default: break;
    }
    const enum admin_verdict verdict = w->request.op == ADMIN_REPLICAS
                                           ? admin_judge_replicas(w, world, ret_command)
                                           : admin_judge_keyspace(w, world, ret_command);
    return verdict == ADMIN_NEEDS_COMMAND ? propose(w, world, ret_command) : verdict;
}

/* With fewer members than N left nobody begins the change of a dead one but people. */
static bool begin_short(struct admin_work *w, const struct admin_world *world,
                        struct metadata_command *command) {
    const struct metadata *m = world->state;
    if (w->request.op != ADMIN_NODE_REMOVE || !w->request.accept_loss || w->gave_up) return false;
    w->gave_up = true;
    make_begin(world, CHANGE_EVICT, command);
    command->accept_loss = true;
    if (m->change.id != 0 || command->target.count == 0) return false;
    return metadata_inputs_hash(&command->target) != m->placed;
}

enum admin_verdict admin_settle(struct admin_work *w, const struct admin_world *world,
                                enum control_outcome outcome, struct metadata_result result,
                                struct metadata_command *ret_command) {
    ASSERT(world->state != NULL);
    const bool was_given_up = w->gave_up;
    if (!was_given_up && outcome == CONTROL_TIMEOUT) return admin_end(w, ADMIN_TIMEOUT);
    if (!was_given_up && outcome == CONTROL_BUSY) return admin_end(w, ADMIN_BUSY);
    if (!was_given_up && !metadata_result_ok(result)) {
        refuse(w, world->state, result.code);
        return ADMIN_ANSWERED;
    }
    if (begin_short(w, world, ret_command)) return ADMIN_NEEDS_COMMAND;
    const struct keyspace *k =
        w->request.op != ADMIN_KEYSPACE_PUT
            ? NULL
            : metadata_find_name(world->state, bytes_of_string(w->request.keyspace));
    say_done(w, world->state, k != NULL && w->creates);
    if ((was_given_up || w->begins) && outcome == CONTROL_ANSWERED && metadata_result_ok(result))
        w->reply.change = result.value;
    if (w->gave_up && !was_given_up && world->state->change.id != 0)
        admin_reply_say(&w->reply,
                        "node %u is given up; change %llu ends or goes back first: if there are "
                        "fewer nodes than copies then, ask for this once more",
                        w->member, (unsigned long long)world->state->change.id);
    return ADMIN_ANSWERED;
}

/* What an operator's request comes to, for each state that the cluster may be in. */
#include "shard/admin_judge.h"

#include "harness.h"

#include <stdio.h>

struct world {
    struct metadata *m;           /* owned */
    struct control_status status; /* of member 1 */
    struct admin_world seen;      /* of both */
    uint64_t sequence;            /* of the last proposal of member 1 */
};

static const struct cluster_id some_cluster = { { 7 } };

static struct metadata_result apply(struct world *w, struct metadata_command c) {
    c.cluster = some_cluster;
    c.proposal = (struct proposal){ .node = 1, .sequence = ++w->sequence };
    return metadata_apply(w->m, &c);
}

/* The first `count` members answer. */
static void set_alive(struct world *w, uint32_t count) {
    w->seen.alive = (struct place_set){ { 0 } };
    for (uint32_t i = 0; i < count; i++) place_set_add(&w->seen.alive, i);
}

/* Members 1.. at 127.0.0.1:8001.., all of them alive, started and voters; 1 leads. */
static void world_init(struct world *w, uint32_t members) {
    static char addresses[8][MEMBER_ADDRESS_BYTES];
    *w = (struct world){ .m = metadata_create() };
    struct metadata_command c = { .kind = METADATA_BOOTSTRAP,
                                  .first_count = members,
                                  .replicas = 3,
                                  .settings = { .replication = { .replicas = 3 } } };
    for (uint32_t i = 0; i < members; i++) {
        (void)snprintf(addresses[i], sizeof addresses[i], "127.0.0.1:%u", 8001 + i);
        c.first[i] = (struct member_wish){ .id = i + 1,
                                           .weight = 1,
                                           .address = bytes_of_string(addresses[i]) };
        w->status.voters[w->status.voter_count++] = i + 1;
    }
    CHECK(metadata_result_ok(apply(w, c)));
    w->status.self = w->status.leader = 1;
    w->status.stage = CONTROL_MEMBER;
    w->seen = (struct admin_world){ .state = w->m, .status = &w->status };
    set_alive(w, members);
}

static void world_deinit(struct world *w) {
    metadata_destroy(w->m);
}

/* Judge, and have the command carried out if there is one, until it is answered. */
static enum admin_outcome carry_out(struct world *w, struct admin_work *work) {
    struct metadata_command c;
    enum admin_verdict verdict = admin_judge(work, &w->seen, &c);
    while (verdict == ADMIN_NEEDS_COMMAND) {
        const struct metadata_result result = apply(w, c);
        verdict = admin_settle(work, &w->seen, CONTROL_ANSWERED, result, &c);
    }
    CHECK(verdict == ADMIN_ANSWERED);
    return work->reply.outcome;
}

static enum admin_outcome outcome_of(struct world *w, const struct admin_request *q) {
    struct admin_work *work = admin_work_create(q);
    const enum admin_outcome outcome = carry_out(w, work);
    admin_work_destroy(work);
    return outcome;
}

static struct admin_request about_node(enum admin_op op, uint32_t node) {
    struct admin_request q;
    admin_request_init(&q, op);
    q.node = node;
    return q;
}

static struct admin_request about_keyspace(enum admin_op op, const char *name) {
    struct admin_request q;
    admin_request_init(&q, op);
    (void)snprintf(q.keyspace, sizeof q.keyspace, "%s", name);
    return q;
}

/* Every refusal has an outcome that is none of success, and none says that it is unknown what
 * happened but for the one that has been forgotten. */
TEST(admin_judge, every_refusal_is_an_outcome) {
    for (uint32_t code = META_OK + 1; code < META_CODES; code++) {
        const enum admin_outcome outcome = admin_outcome_of((enum metadata_code)code);
        CHECK(outcome < ADMIN_OUTCOMES);
        CHECK(!admin_outcome_ok(outcome));
        CHECK((outcome == ADMIN_TIMEOUT) == (code == META_SEQUENCE));
    }
    CHECK(admin_outcome_of(META_BELOW_N) == ADMIN_AT_RISK);
    CHECK(admin_outcome_of(META_NO_MEMBER) == ADMIN_NO_NODE);
    CHECK(admin_outcome_of(META_NO_KEYSPACE) == ADMIN_NO_KEYSPACE);
    CHECK(admin_outcome_of(META_NO_CHANGE) == ADMIN_NO_CHANGE);
    CHECK(admin_outcome_of(META_SETTINGS) == ADMIN_REFUSED);
    CHECK(admin_outcome_of(META_LAST_NODE) == ADMIN_CONFLICT);
}

/* What the control could not do is told from what the metadata refused. */
TEST(admin_judge, outcomes_of_the_control) {
    struct world w;
    struct metadata_command c;
    world_init(&w, 3);
    struct admin_request q = about_node(ADMIN_NODE_WEIGHT, 2);
    q.given = ADMIN_HAS_WEIGHT;
    q.weight = 5;
    struct admin_work *work = admin_work_create(&q);
    CHECK(admin_judge(work, &w.seen, &c) == ADMIN_NEEDS_COMMAND);
    CHECK(c.kind == METADATA_MEMBER_WEIGHT && c.member.id == 2 && c.member.weight == 5);
    const struct metadata_result none = { .code = META_OK };
    CHECK(admin_settle(work, &w.seen, CONTROL_BUSY, none, &c) == ADMIN_ANSWERED);
    CHECK(work->reply.outcome == ADMIN_BUSY);
    CHECK(admin_settle(work, &w.seen, CONTROL_TIMEOUT, none, &c) == ADMIN_ANSWERED);
    CHECK(work->reply.outcome == ADMIN_TIMEOUT);
    const struct metadata_result state = { .code = META_STATE };
    CHECK(admin_settle(work, &w.seen, CONTROL_ANSWERED, state, &c) == ADMIN_ANSWERED);
    CHECK(work->reply.outcome == ADMIN_CONFLICT);
    CHECK(strcmp(admin_reply_code(&work->reply), "state") == 0);
    CHECK(strcmp(admin_reply_text(&work->reply), metadata_code_text(META_STATE)) == 0);
    w.status.leader = 0;
    CHECK(admin_judge(work, &w.seen, &c) == ADMIN_NEEDS_LEADER);
    w.seen.state = NULL;
    CHECK(admin_judge(work, &w.seen, &c) == ADMIN_ANSWERED);
    CHECK(work->reply.outcome == ADMIN_NO_CLUSTER);
    admin_work_destroy(work);
    world_deinit(&w);
}

TEST(admin_judge, proxies_only_read) {
    struct world w;
    world_init(&w, 3);
    w.status.self = 0;
    const struct admin_request list = { .op = ADMIN_KEYSPACE_LIST };
    const struct admin_request plan = { .op = ADMIN_PLAN };
    const struct admin_request leave = about_node(ADMIN_NODE_LEAVE, 2);
    CHECK(outcome_of(&w, &list) == ADMIN_DONE);
    CHECK(outcome_of(&w, &plan) == ADMIN_DONE);
    CHECK(outcome_of(&w, &leave) == ADMIN_UNAVAILABLE);
    world_deinit(&w);
}

TEST(admin_judge, weights) {
    struct world w;
    world_init(&w, 4);
    struct admin_request q = about_node(ADMIN_NODE_WEIGHT, 0);
    (void)snprintf(q.address, sizeof q.address, "localhost:8003");
    q.given = ADMIN_HAS_WEIGHT;
    q.weight = 9;
    q.dry_run = true;
    struct admin_work *work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_ACCEPTED);
    CHECK(work->reply.has_plan && work->reply.plan.slots_changed > 0);
    CHECK(work->reply.plan.nodes[2].weight == 9 && work->reply.plan.bytes == NODE_UNKNOWN);
    CHECK(w.m->members[2].weight == 1);
    admin_work_destroy(work);
    q.dry_run = false;
    CHECK(outcome_of(&w, &q) == ADMIN_ACCEPTED);
    CHECK(w.m->members[2].weight == 9);
    CHECK(outcome_of(&w, &q) == ADMIN_DONE);
    q.op = ADMIN_NODE_ADD;
    q.given |= ADMIN_HAS_ZONE;
    q.zone = 4;
    CHECK(outcome_of(&w, &q) == ADMIN_CONFLICT);
    world_deinit(&w);
}

/* As the leader does when a while has passed; then people cancel it. */
static void begin_and_cancel(struct world *w) {
    struct metadata_command c = { .kind = METADATA_CHANGE_BEGIN };
    metadata_inputs(w->m, &c.target);
    CHECK(metadata_result_ok(apply(w, c)));
    CHECK(w->m->change.slots_total > 0);
    const struct admin_request q = { .op = ADMIN_CHANGE_CANCEL };
    CHECK(outcome_of(w, &q) == ADMIN_DONE);
    CHECK(w->m->change.id == 0);
}

/* What a cancelled change was for is not begun by itself: people ask for it once more. */
TEST(admin_judge, what_was_cancelled_is_begun_again) {
    for (uint32_t leaves = 0; leaves < 2; leaves++) {
        struct world w;
        world_init(&w, 4);
        struct admin_request q = about_node(leaves ? ADMIN_NODE_LEAVE : ADMIN_NODE_WEIGHT, 4);
        q.given = leaves ? 0 : ADMIN_HAS_WEIGHT;
        q.weight = 3;
        CHECK(outcome_of(&w, &q) == ADMIN_ACCEPTED);
        begin_and_cancel(&w);
        struct admin_work *work = admin_work_create(&q);
        CHECK(carry_out(&w, work) == ADMIN_ACCEPTED);
        CHECK(w.m->change.id != 0 && work->reply.change == w.m->change.id);
        admin_work_destroy(work);
        const uint64_t id = w.m->change.id;
        CHECK(outcome_of(&w, &q) == (leaves ? ADMIN_ACCEPTED : ADMIN_DONE)); /* it is on its way */
        CHECK_EQ(w.m->change.id, id);
        world_deinit(&w);
    }
}

/* A change that ended for one who was given up is begun again when he is back. */
TEST(admin_judge, a_change_to_one_who_died_is_due_again) {
    struct world w;
    world_init(&w, 4);
    const struct admin_request leave = about_node(ADMIN_NODE_LEAVE, 4);
    CHECK(outcome_of(&w, &leave) == ADMIN_ACCEPTED);
    struct metadata_command begin = { .kind = METADATA_CHANGE_BEGIN };
    metadata_inputs(w.m, &begin.target);
    const uint64_t hash = metadata_inputs_hash(&begin.target);
    CHECK(metadata_result_ok(apply(&w, begin)));
    CHECK(!metadata_change_is_due(w.m, hash));
    set_alive(&w, 2);
    struct admin_request remove = about_node(ADMIN_NODE_REMOVE, 3);
    remove.accept_loss = true;
    struct admin_work *work = admin_work_create(&remove);
    CHECK(carry_out(&w, work) == ADMIN_ACCEPTED);
    CHECK(strstr(admin_reply_text(&work->reply), "once more") != NULL);
    admin_work_destroy(work);
    CHECK(metadata_leads_to_dead(w.m));
    const struct metadata_command cancel = { .kind = METADATA_CHANGE_CANCEL,
                                             .change = w.m->change.id };
    CHECK(metadata_result_ok(apply(&w, cancel)));
    CHECK(metadata_change_is_due(w.m, hash));
    world_deinit(&w);
}

/* A node leaves if it answers, and if enough are left. */
TEST(admin_judge, leaving) {
    struct world w;
    world_init(&w, 4);
    struct admin_request q = about_node(ADMIN_NODE_LEAVE, 4);
    set_alive(&w, 3);
    CHECK(outcome_of(&w, &q) == ADMIN_CONFLICT);
    set_alive(&w, 4);
    CHECK(outcome_of(&w, &q) == ADMIN_ACCEPTED);
    CHECK(w.m->members[3].state == MEMBER_LEAVING);
    CHECK(outcome_of(&w, &q) == ADMIN_ACCEPTED); /* it is on its way */
    q.node = 3;
    struct admin_work *work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_AT_RISK);
    CHECK(work->reply.has_risk && work->reply.risk.slots_lost == 0);
    CHECK(work->reply.risk.slots_short > 0);
    admin_work_destroy(work);
    q.accept_loss = true;
    CHECK(outcome_of(&w, &q) == ADMIN_ACCEPTED);
    q.node = 9;
    CHECK(outcome_of(&w, &q) == ADMIN_NO_NODE);
    world_deinit(&w);
}

/* One dead node of four is given up at once; the second leaves writes on nobody else. */
TEST(admin_judge, giving_up) {
    struct world w;
    world_init(&w, 5);
    struct admin_request q = about_node(ADMIN_NODE_REMOVE, 5);
    CHECK(outcome_of(&w, &q) == ADMIN_CONFLICT); /* it answers */
    set_alive(&w, 3);
    CHECK(outcome_of(&w, &q) == ADMIN_ACCEPTED);
    CHECK(w.m->members[4].state == MEMBER_DEAD);
    q.node = 4;
    struct admin_work *work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_AT_RISK);
    CHECK(work->reply.risk.slots_short > 0 && work->reply.risk.slots_lost == 0);
    CHECK(w.m->members[3].state == MEMBER_ACTIVE);
    admin_work_destroy(work);
    q.accept_loss = true;
    work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_ACCEPTED);
    CHECK(w.m->members[3].state == MEMBER_DEAD);
    CHECK(w.m->change.id != 0 && work->reply.change == w.m->change.id);
    admin_work_destroy(work);
    world_deinit(&w);
}

TEST(admin_judge, lost_slots_are_counted) {
    struct world w;
    world_init(&w, 3);
    CHECK(admin_risk_of(w.m, 2, false).slots_short == RING_SLOTS); /* two cannot keep three */
    CHECK(admin_risk_of(w.m, 2, false).slots_lost == 0);
    w.m->members[0].state = w.m->members[1].state = MEMBER_DEAD;
    CHECK(admin_risk_of(w.m, 2, false).slots_lost == RING_SLOTS);
    CHECK(admin_risk_of(w.m, 2, true).slots_lost == 0);
    world_deinit(&w);
}

static struct admin_request about_replicas(uint32_t replicas) {
    struct admin_request q;
    admin_request_init(&q, ADMIN_REPLICAS);
    q.given = ADMIN_HAS_REPLICAS;
    q.replicas = (uint8_t)replicas;
    return q;
}

/* The answer's line has this in it. */
static bool says(struct world *w, const struct admin_request *q, const char *part) {
    struct admin_work *work = admin_work_create(q);
    (void)carry_out(w, work);
    const bool found = strstr(admin_reply_text(&work->reply), part) != NULL;
    if (!found) printf("%s\n", admin_reply_text(&work->reply));
    admin_work_destroy(work);
    return found;
}

/* Slots get more copies, and then a new keyspace may have as many; a keyspace that is there has
 * none lost. Who asks in the wrong order is told what comes first. */
TEST(admin_judge, replicas) {
    struct world w;
    struct metadata_command begin = { .kind = METADATA_CHANGE_BEGIN };
    world_init(&w, 5);
    struct admin_request q = about_replicas(3);
    CHECK(outcome_of(&w, &q) == ADMIN_DONE);
    CHECK(says(&w, &q, "slots have 3 copies"));
    q = about_replicas(2);
    CHECK(outcome_of(&w, &q) == ADMIN_CONFLICT);
    CHECK(says(&w, &q, "keyspace default has 3 replicas, which is more than 2"));
    struct admin_request make = about_keyspace(ADMIN_KEYSPACE_PUT, "more");
    make.given = ADMIN_HAS_REPLICAS;
    make.replicas = 5;
    CHECK(outcome_of(&w, &make) == ADMIN_CONFLICT);
    CHECK(says(&w, &make, "slots have 3 copies, a new keyspace at most as many"));
    CHECK(says(&w, &make, "atoll cluster replicas 5"));

    q = about_replicas(5);
    q.dry_run = true;
    struct admin_work *work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_ACCEPTED);
    CHECK(work->reply.has_plan && work->reply.plan.copies_moved == 2 * RING_SLOTS);
    CHECK(work->reply.plan.owners_moved == 0);
    CHECK(w.m->replicas_next == 0);
    admin_work_destroy(work);
    q.dry_run = false;
    CHECK(says(&w, &q, "slots get 5 copies; a change of the ring brings it about"));
    CHECK(w.m->replicas_next == 5);
    CHECK(says(&w, &make, "slots have 3 copies, and are given another number of them just now"));
    metadata_inputs(w.m, &begin.target);
    CHECK(metadata_result_ok(apply(&w, begin)));
    CHECK(w.m->change.slots_total == RING_SLOTS);
    struct admin_request alter = about_keyspace(ADMIN_KEYSPACE_PUT, "default");
    alter.given = ADMIN_HAS_REPLICAS;
    alter.replicas = 5;
    CHECK(outcome_of(&w, &alter) == ADMIN_CONFLICT); /* it is late for that */
    CHECK(says(&w, &alter, "and are given another number of them just now: ask again"));
    work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_ACCEPTED);
    CHECK(work->reply.change == w.m->change.id);
    admin_work_destroy(work);
    world_deinit(&w);
}

/* What a keyspace asks for it gets, and slots with it; a change that it needs is not cancelled. */
TEST(admin_judge, keyspaces_widen_slots) {
    struct world w;
    struct metadata_command begin = { .kind = METADATA_CHANGE_BEGIN };
    world_init(&w, 5);
    struct admin_request alter = about_keyspace(ADMIN_KEYSPACE_PUT, "default");
    alter.presence = ADMIN_THERE;
    alter.given = ADMIN_HAS_REPLICAS;
    alter.replicas = 5;
    alter.dry_run = true;
    struct admin_work *work = admin_work_create(&alter);
    CHECK(carry_out(&w, work) == ADMIN_ACCEPTED);
    CHECK(work->reply.has_plan && work->reply.plan.copies_moved == 2 * RING_SLOTS);
    CHECK(w.m->keyspaces[0].settings.replication.replicas == 3);
    admin_work_destroy(work);
    alter.dry_run = false;
    work = admin_work_create(&alter);
    CHECK(carry_out(&w, work) == ADMIN_ACCEPTED);
    CHECK(strcmp(admin_reply_text(&work->reply), "keyspace default is altered; slots get 5 copies, "
                                                 "a change of the ring brings it about") == 0);
    CHECK(work->reply.keyspaces_count == 1 && work->reply.keyspaces[0].replicas == 5);
    admin_work_destroy(work);
    CHECK(w.m->replicas == 3 && w.m->replicas_next == 5);
    CHECK(outcome_of(&w, &alter) == ADMIN_DONE); /* as it is */
    metadata_inputs(w.m, &begin.target);
    CHECK(metadata_result_ok(apply(&w, begin)));
    const struct admin_request cancel = { .op = ADMIN_CHANGE_CANCEL };
    CHECK(outcome_of(&w, &cancel) == ADMIN_CONFLICT);
    CHECK(says(&w, &cancel, "the change gives keyspace default its 5 replicas: alter that first"));
    alter.replicas = 3;
    CHECK(outcome_of(&w, &alter) == ADMIN_DONE);
    CHECK(outcome_of(&w, &cancel) == ADMIN_DONE);
    CHECK(w.m->change.id == 0 && w.m->replicas_next == 0);
    world_deinit(&w);
}

/* As many as there are nodes, and the rest when there are more. */
TEST(admin_judge, replicas_above_the_nodes) {
    struct world w;
    struct metadata_command begin = { .kind = METADATA_CHANGE_BEGIN };
    world_init(&w, 3);
    const struct admin_request q = about_replicas(5);
    CHECK(says(&w, &q, "slots get 5 copies; while there are fewer nodes each has a copy of all"));
    metadata_inputs(w.m, &begin.target);
    CHECK(metadata_result_ok(apply(&w, begin)));
    CHECK(w.m->replicas == 5 && w.m->change.id == 0);
    CHECK(outcome_of(&w, &q) == ADMIN_DONE);
    CHECK(says(&w, &q, "slots have 5 copies; while there are fewer nodes each has a copy of all"));
    world_deinit(&w);
}

TEST(admin_judge, leaders) {
    struct world w;
    struct metadata_command c;
    world_init(&w, 3);
    struct admin_request q = about_node(ADMIN_LEADER, 2);
    struct admin_work *work = admin_work_create(&q);
    CHECK(admin_judge(work, &w.seen, &c) == ADMIN_NEEDS_LEAD);
    CHECK(work->member == 2);
    w.status.leader = 2;
    admin_leads(work, &w.seen);
    CHECK(work->reply.outcome == ADMIN_DONE && work->reply.node == 2);
    CHECK(strcmp(work->reply.address, "127.0.0.1:8002") == 0);
    w.status.leader = 1;
    w.status.voter_count = 1;
    CHECK(admin_judge(work, &w.seen, &c) == ADMIN_ANSWERED);
    CHECK(work->reply.outcome == ADMIN_CONFLICT);
    admin_work_destroy(work);
    q.dry_run = true;
    w.status.voter_count = 3;
    CHECK(outcome_of(&w, &q) == ADMIN_DONE);
    world_deinit(&w);
}

TEST(admin_judge, changes_are_steered) {
    struct world w;
    world_init(&w, 3);
    struct admin_request q = { .op = ADMIN_CHANGE_PAUSE };
    CHECK(outcome_of(&w, &q) == ADMIN_NO_CHANGE);
    struct metadata_command c = { .kind = METADATA_MEMBER_WEIGHT,
                                  .member = { .id = 1, .weight = 4 } };
    CHECK(metadata_result_ok(apply(&w, c)));
    c = (struct metadata_command){ .kind = METADATA_CHANGE_BEGIN };
    metadata_inputs(w.m, &c.target);
    CHECK(metadata_result_ok(apply(&w, c)));
    CHECK(outcome_of(&w, &q) == ADMIN_DONE && w.m->change.paused);
    q.op = ADMIN_CHANGE_RESUME;
    CHECK(outcome_of(&w, &q) == ADMIN_DONE && !w.m->change.paused);
    q.op = ADMIN_CHANGE_THROTTLE;
    q.given = ADMIN_HAS_RATE;
    q.bytes_per_second = 77;
    CHECK(outcome_of(&w, &q) == ADMIN_DONE && w.m->change.throttle == 77);
    q = (struct admin_request){ .op = ADMIN_CHANGE_CANCEL, .dry_run = true };
    CHECK(outcome_of(&w, &q) == ADMIN_DONE && w.m->change.id != 0);
    q.dry_run = false;
    CHECK(outcome_of(&w, &q) == ADMIN_DONE && w.m->change.id == 0);
    world_deinit(&w);
}

TEST(admin_judge, keyspaces) {
    struct world w;
    world_init(&w, 3);
    struct admin_request q = about_keyspace(ADMIN_KEYSPACE_PUT, "b");
    q.presence = ADMIN_THERE;
    CHECK(outcome_of(&w, &q) == ADMIN_CONDITION);
    q.presence = ADMIN_NEW;
    q.given = ADMIN_HAS_TTL;
    q.ttl_ms = 1000;
    CHECK(outcome_of(&w, &q) == ADMIN_CREATED);
    CHECK(outcome_of(&w, &q) == ADMIN_CONDITION);
    q.presence = ADMIN_ANY;
    CHECK(outcome_of(&w, &q) == ADMIN_DONE); /* as it is */
    q.given = ADMIN_HAS_REPLICAS;
    q.replicas = 2;
    struct admin_work *work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_DONE);
    CHECK(work->reply.keyspaces_count == 1 && work->reply.keyspaces[0].replicas == 2);
    CHECK(work->reply.keyspaces[0].ttl_ms == 1000); /* was not given, and stays */
    admin_work_destroy(work);
    q = about_keyspace(ADMIN_KEYSPACE_PUT, "a");
    q.given = ADMIN_HAS_REPLICAS;
    q.replicas = 7;
    CHECK(outcome_of(&w, &q) == ADMIN_CONFLICT);
    q.given = ADMIN_HAS_DISCIPLINE;
    q.discipline = ADMIN_STRICT;
    CHECK(outcome_of(&w, &q) == ADMIN_UNAVAILABLE);
    q.given = 0;
    q.discipline = ADMIN_EVENTUAL;
    q.dry_run = true;
    CHECK(outcome_of(&w, &q) == ADMIN_CREATED && w.m->keyspaces_count == 2);
    q.dry_run = false;
    CHECK(outcome_of(&w, &q) == ADMIN_CREATED && w.m->keyspaces_count == 3);

    const struct admin_request list = { .op = ADMIN_KEYSPACE_LIST };
    work = admin_work_create(&list);
    CHECK(carry_out(&w, work) == ADMIN_DONE);
    CHECK(work->reply.keyspaces_count == 3);
    CHECK(strcmp(work->reply.keyspaces[0].name, "a") == 0);
    CHECK(strcmp(work->reply.keyspaces[2].name, "default") == 0);
    admin_work_destroy(work);
    q = about_keyspace(ADMIN_KEYSPACE_DROP, "a");
    CHECK(outcome_of(&w, &q) == ADMIN_DONE);
    CHECK(outcome_of(&w, &q) == ADMIN_NO_KEYSPACE);
    q = about_keyspace(ADMIN_KEYSPACE_DROP, "default");
    CHECK(outcome_of(&w, &q) == ADMIN_REFUSED);
    world_deinit(&w);
}

/* A node that joins has no id yet; its copies are what must be sent. */
TEST(admin_judge, plans) {
    struct world w;
    world_init(&w, 3);
    w.status.report_count = 3;
    for (uint32_t i = 0; i < 3; i++)
        w.status.reports[i] =
            (struct control_report){ .member = i + 1, .load = { .held = RING_SLOTS * 100 } };
    struct admin_request q = { .op = ADMIN_PLAN, .plan_of = ADMIN_PLAN_JOIN };
    (void)snprintf(q.address, sizeof q.address, "10.0.0.9:80");
    q.given = ADMIN_HAS_RATE;
    q.bytes_per_second = 1000;
    struct admin_work *work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_DONE);
    const struct admin_plan *p = &work->reply.plan;
    CHECK(work->reply.has_plan && p->nodes_count == 4);
    CHECK(p->nodes[3].id == 0 && strcmp(p->nodes[3].address, "10.0.0.9:80") == 0);
    CHECK(p->nodes[3].kept_after == p->copies_moved);
    CHECK(p->bytes == UINT64_C(100) * p->copies_moved && p->nodes[3].bytes_in == p->bytes);
    CHECK(p->time_ms != NODE_UNKNOWN && p->time_ms >= p->bytes / 3);
    admin_work_destroy(work);
    q = about_node(ADMIN_PLAN, 2);
    q.plan_of = ADMIN_PLAN_LEAVE;
    work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_DONE);
    CHECK(work->reply.plan.nodes[1].weight == 0 && work->reply.plan.nodes[1].kept_after == 0);
    CHECK(work->reply.plan.time_ms == NODE_UNKNOWN); /* there is no rate */
    admin_work_destroy(work);
    q = (struct admin_request){ .op = ADMIN_PLAN, .plan_of = ADMIN_PLAN_REPLICAS };
    q.given = ADMIN_HAS_REPLICAS;
    q.replicas = 1;
    work = admin_work_create(&q);
    CHECK(carry_out(&w, work) == ADMIN_DONE);
    CHECK(work->reply.plan.slots_changed == RING_SLOTS && work->reply.plan.copies_moved == 0);
    CHECK(work->reply.plan.nodes[0].kept_before == RING_SLOTS);
    CHECK(work->reply.plan.nodes[0].kept_after < RING_SLOTS / 2);
    admin_work_destroy(work);
    world_deinit(&w);
}

/* admin_replicas.c - requests about how many copies of a slot there are. */
#include "base/assert.h"
#include "shard/admin_judge.h"

/* A change that was cancelled half way may have left lists of two lengths. */
static bool lists_are_alike(const struct metadata *m) {
    for (uint32_t slot = 1; slot < RING_SLOTS; slot++) {
        if (m->slots.lists[slot].count != m->slots.lists[0].count) return false;
    }
    return true;
}

static bool is_so(const struct metadata *m, uint32_t replicas) {
    return m->replicas == replicas && m->replicas_next == 0 && m->change.id == 0 &&
           lists_are_alike(m);
}

/* Those that keep slots when no change is on its way. */
static uint32_t members_that_stay(const struct metadata *m) {
    struct ring_inputs inputs;
    metadata_inputs(m, &inputs);
    return inputs.count;
}

void admin_say_replicas(struct admin_work *w, const struct metadata *m) {
    const uint32_t replicas = w->request.replicas;
    const bool scarce = members_that_stay(m) < replicas;
    w->reply.change = m->change.replicas == replicas ? m->change.id : 0;
    admin_reply_say(&w->reply, "slots get %u copies; %s", replicas,
                    scarce ? "while there are fewer nodes each has a copy of all"
                           : "a change of the ring brings it about");
}

enum admin_verdict admin_judge_replicas(struct admin_work *w, const struct admin_world *world,
                                        struct metadata_command *ret_command) {
    const struct metadata *m = world->state;
    const uint32_t replicas = w->request.replicas;
    ASSERT((w->request.given & ADMIN_HAS_REPLICAS) != 0);
    if (is_so(m, replicas)) {
        (void)admin_end(w, ADMIN_DONE);
        w->reply.epoch = m->epoch;
        const bool scarce = members_that_stay(m) < replicas;
        admin_reply_say(&w->reply, "slots have %u copies%s", replicas,
                        scarce ? "; while there are fewer nodes each has a copy of all" : "");
        return ADMIN_ANSWERED;
    }
    ret_command->kind = METADATA_REPLICAS;
    ret_command->replicas = replicas;
    return ADMIN_NEEDS_COMMAND;
}

/* One that wants the most copies. */
static const struct keyspace *greediest(const struct metadata *m) {
    const struct keyspace *most = &m->keyspaces[0];
    ASSERT(m->keyspaces_count > 0);
    for (uint32_t i = 1; i < m->keyspaces_count; i++) {
        if (m->keyspaces[i].settings.replication.replicas > most->settings.replication.replicas)
            most = &m->keyspaces[i];
    }
    return most;
}

/* The keyspace that wants the most holds it up. */
static void say_greediest(struct admin_work *w, const struct metadata *m) {
    const struct keyspace *k = greediest(m);
    const struct bytes name = keyspace_name(k);
    const uint32_t replicas = k->settings.replication.replicas;
    if (w->request.op == ADMIN_REPLICAS)
        admin_reply_say(&w->reply,
                        "keyspace %.*s has %u replicas, which is more than %u: alter it first "
                        "(atoll keyspace alter)",
                        (int)name.len, (const char *)name.ptr, replicas, w->request.replicas);
    else
        admin_reply_say(&w->reply,
                        "the change gives keyspace %.*s its %u replicas: alter that first (atoll "
                        "keyspace alter)",
                        (int)name.len, (const char *)name.ptr, replicas);
}

void admin_say_copies(struct admin_work *w, const struct metadata *m, enum metadata_code code) {
    const uint32_t asked = w->request.replicas;
    const enum admin_op op = w->request.op;
    if (op == ADMIN_REPLICAS || op == ADMIN_CHANGE_CANCEL) {
        say_greediest(w, m);
        return;
    }
    if (op != ADMIN_KEYSPACE_PUT) return;
    struct ring_inputs next;
    metadata_inputs(m, &next);
    if (code == META_CHANGE_RUNNING || next.replicas != m->replicas)
        admin_reply_say(&w->reply,
                        "slots have %u copies, and are given another number of them just now: ask "
                        "again when that is through (atoll cluster status --wait)",
                        m->replicas);
    else
        admin_reply_say(&w->reply,
                        "slots have %u copies, a new keyspace at most as many; this gives them "
                        "more: atoll cluster replicas %u",
                        m->replicas, asked);
}

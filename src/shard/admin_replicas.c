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
    const uint32_t members = members_that_stay(m);
    const uint32_t replicas = w->request.replicas;
    w->reply.change = m->change.replicas == replicas ? m->change.id : 0;
    if (members < replicas) {
        admin_reply_say(
            &w->reply, "slots get up to %u copies; while there are %u nodes each has a copy of all",
            replicas, members);
        return;
    }
    admin_reply_say(&w->reply, "slots get %u copies; a change of the ring brings it about",
                    replicas);
}

enum admin_verdict admin_judge_replicas(struct admin_work *w, const struct admin_world *world,
                                        struct metadata_command *ret_command) {
    const struct metadata *m = world->state;
    const uint32_t replicas = w->request.replicas;
    ASSERT((w->request.given & ADMIN_HAS_REPLICAS) != 0);
    if (is_so(m, replicas)) {
        (void)admin_end(w, ADMIN_DONE);
        w->reply.epoch = m->epoch;
        admin_reply_say(&w->reply, "slots have %u copies", replicas);
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

void admin_say_copies(struct admin_work *w, const struct metadata *m) {
    const uint32_t asked = w->request.replicas;
    if (w->request.op == ADMIN_REPLICAS) {
        const struct keyspace *k = greediest(m);
        const struct bytes name = keyspace_name(k);
        admin_reply_say(&w->reply,
                        "keyspace %.*s has %u replicas, which is more than %u: alter it first "
                        "(atoll keyspace alter)",
                        (int)name.len, (const char *)name.ptr, k->settings.replication.replicas,
                        asked);
        return;
    }
    if (w->request.op != ADMIN_KEYSPACE_PUT) return;
    struct ring_inputs next;
    metadata_inputs(m, &next);
    const uint32_t coming =
        m->change.id != 0 && m->replicas_next == 0 ? m->change.replicas : next.replicas;
    if (coming >= asked && asked > m->replicas)
        admin_reply_say(&w->reply,
                        "slots have %u copies and are being given %u: ask again when that is "
                        "through (atoll cluster status --wait)",
                        m->replicas, coming);
    else
        admin_reply_say(&w->reply,
                        "slots have %u copies, a keyspace at most as many; this gives them more: "
                        "atoll cluster replicas %u",
                        m->replicas < coming ? m->replicas : coming, asked);
}

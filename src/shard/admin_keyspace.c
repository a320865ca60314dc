/* admin_keyspace.c - requests about keyspaces. */
#include "base/assert.h"
#include "shard/admin_judge.h"

_Static_assert(ADMIN_TTL_MS_MAX == KEYSPACE_TTL_MS_MAX, "what a face lets pass is valid");

static void show(struct admin_work *w, const struct keyspace *k, struct admin_keyspace *ret_shown) {
    const struct keyspace_settings *s = &k->settings;
    *ret_shown = (struct admin_keyspace){
        .id = k->id,
        .name = admin_keep_text(w, keyspace_name(k)),
        .replicas = s->replication.replicas,
        .write_quorum = s->replication.write_quorum,
        .read_quorum = s->replication.read_quorum,
        .discipline = s->discipline == KEYSPACE_STRICT ? ADMIN_STRICT : ADMIN_EVENTUAL,
        .ttl_ms = s->ttl_ms,
    };
}

void admin_show_keyspace(struct admin_work *w, const struct keyspace *k) {
    show(w, k, &w->reply.keyspace);
    w->reply.keyspaces = &w->reply.keyspace;
    w->reply.keyspaces_count = 1;
}

static enum admin_verdict list(struct admin_work *w, const struct metadata *m) {
    const uint32_t count = m->keyspaces_count;
    struct admin_keyspace *all = arena_alloc(&w->arena, (count + 1) * sizeof *all);
    (void)admin_end(w, ADMIN_DONE);
    for (uint32_t i = 0; i < count; i++) {
        struct admin_keyspace shown;
        show(w, &m->keyspaces[i], &shown);
        uint32_t at = i;
        for (; at > 0 && strcmp(all[at - 1].name, shown.name) > 0; at--) all[at] = all[at - 1];
        all[at] = shown;
    }
    w->reply.keyspaces = all;
    w->reply.keyspaces_count = count;
    w->reply.epoch = m->epoch;
    return ADMIN_ANSWERED;
}

/* The settings given; the others stay. */
static void take_settings(const struct admin_request *q, struct keyspace_settings *s) {
    if ((q->given & ADMIN_HAS_REPLICAS) != 0) s->replication.replicas = q->replicas;
    if ((q->given & ADMIN_HAS_WRITE_QUORUM) != 0) s->replication.write_quorum = q->write_quorum;
    if ((q->given & ADMIN_HAS_READ_QUORUM) != 0) s->replication.read_quorum = q->read_quorum;
    if ((q->given & ADMIN_HAS_TTL) != 0) s->ttl_ms = q->ttl_ms;
    if ((q->given & ADMIN_HAS_DISCIPLINE) != 0)
        s->discipline = q->discipline == ADMIN_STRICT ? KEYSPACE_STRICT : KEYSPACE_EVENTUAL;
}

static bool settings_equal(const struct keyspace_settings *a, const struct keyspace_settings *b) {
    return a->replication.replicas == b->replication.replicas &&
           a->replication.write_quorum == b->replication.write_quorum &&
           a->replication.read_quorum == b->replication.read_quorum &&
           a->discipline == b->discipline && a->ttl_ms == b->ttl_ms;
}

static enum admin_verdict put(struct admin_work *w, const struct metadata *m,
                              const struct keyspace *there, struct metadata_command *command) {
    const struct admin_request *q = &w->request;
    const struct keyspace *like = there != NULL ? there : metadata_find_keyspace(m, 0);
    ASSERT(like != NULL);
    if (there == NULL && (q->given & ADMIN_HAS_DISCIPLINE) != 0 && q->discipline == ADMIN_STRICT) {
        (void)admin_end(w, ADMIN_UNAVAILABLE);
        admin_reply_say(&w->reply, "strict keyspaces are not built yet");
        return ADMIN_ANSWERED;
    }
    w->creates = there == NULL;
    command->kind = there == NULL ? METADATA_KEYSPACE_CREATE : METADATA_KEYSPACE_ALTER;
    command->name = there == NULL ? bytes_of_string(q->keyspace) : BYTES_NONE;
    command->keyspace = there == NULL ? 0 : there->id;
    command->settings = like->settings;
    take_settings(q, &command->settings);
    const uint32_t wanted = command->settings.replication.replicas;
    if (there != NULL && wanted > m->replicas && wanted > there->settings.replication.replicas)
        command->kind = METADATA_KEYSPACE_WIDEN;
    if (there == NULL || !settings_equal(&command->settings, &there->settings))
        return ADMIN_NEEDS_COMMAND;
    (void)admin_end(w, ADMIN_DONE);
    w->reply.epoch = m->epoch;
    admin_show_keyspace(w, there);
    admin_reply_say(&w->reply, "keyspace %s is like that", q->keyspace);
    return ADMIN_ANSWERED;
}

enum admin_verdict admin_judge_keyspace(struct admin_work *w, const struct admin_world *world,
                                        struct metadata_command *ret_command) {
    const struct admin_request *q = &w->request;
    const struct metadata *m = world->state;
    if (q->op == ADMIN_KEYSPACE_LIST) return list(w, m);
    const struct keyspace *there = metadata_find_name(m, bytes_of_string(q->keyspace));
    if (q->presence == ADMIN_NEW && there != NULL) return admin_end(w, ADMIN_CONDITION);
    if (q->presence == ADMIN_THERE && there == NULL) return admin_end(w, ADMIN_CONDITION);
    if (q->op == ADMIN_KEYSPACE_PUT) return put(w, m, there, ret_command);
    if (there == NULL) return admin_end(w, ADMIN_NO_KEYSPACE);
    if (q->op == ADMIN_KEYSPACE_GET) {
        (void)admin_end(w, ADMIN_DONE);
        w->reply.epoch = m->epoch;
        admin_show_keyspace(w, there);
        return ADMIN_ANSWERED;
    }
    ASSERT(q->op == ADMIN_KEYSPACE_DROP);
    ret_command->kind = METADATA_KEYSPACE_DROP;
    ret_command->keyspace = there->id;
    return ADMIN_NEEDS_COMMAND;
}

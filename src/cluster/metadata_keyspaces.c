#include "cluster/metadata_internal.h"

#include "base/assert.h"
#include "base/mem.h"

uint32_t metadata_copies_wanted(const struct metadata *m) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < m->keyspaces_count; i++) {
        const uint32_t replicas = m->keyspaces[i].settings.replication.replicas;
        if (replicas > most) most = replicas;
    }
    ASSERT(most <= REPLICAS_MAX);
    return most;
}

uint32_t metadata_copies(const struct metadata *m) {
    uint32_t least = m->replicas;
    if (m->change.id != 0 && m->change.replicas < least) least = m->change.replicas;
    if (m->replicas_next != 0 && m->replicas_next < least) least = m->replicas_next;
    return least;
}

void metadata_put_keyspace(struct metadata *m, uint16_t id, struct bytes name,
                           const struct keyspace_settings *settings) {
    ASSERT(m->keyspaces_count < KEYSPACES_KEPT_MAX);
    ASSERT(m->keyspaces_count == 0 || m->keyspaces[m->keyspaces_count - 1].id < id);
    if (m->keyspaces_count == m->keyspaces_room) {
        m->keyspaces_room = m->keyspaces_room == 0 ? 4 : m->keyspaces_room * 2;
        m->keyspaces = mem_realloc(m->keyspaces, m->keyspaces_room * sizeof *m->keyspaces);
    }
    struct keyspace *k = &m->keyspaces[m->keyspaces_count++];
    memset(k, 0, sizeof *k);
    k->id = id;
    k->name_len = (uint8_t)name.len;
    memcpy(k->name, name.ptr, name.len);
    k->settings = *settings;
    m->keyspace_last = id;
    ASSERT(keyspace_check(k));
}

static enum metadata_code check_settings(const struct metadata *m,
                                         const struct keyspace_settings *s) {
    if (!keyspace_settings_are_valid(s)) return META_SETTINGS;
    if (!keyspace_strict_is_valid(s)) return META_STRICT_N;
    if (s->replication.replicas > metadata_copies(m)) return META_COPIES;
    return META_OK;
}

struct metadata_result apply_keyspace_create(struct metadata *m, const struct metadata_command *c) {
    if (!keyspace_name_is_valid(c->name)) return metadata_refuse(META_NAME);
    const enum metadata_code code = check_settings(m, &c->settings);
    if (code != META_OK) return metadata_refuse(code);
    if (metadata_find_name(m, c->name) != NULL) return metadata_refuse(META_NAME_TAKEN);
    if (m->keyspaces_count == KEYSPACES_KEPT_MAX || m->keyspace_last == KEYSPACE_ID_MAX)
        return metadata_refuse(META_KEYSPACES_FULL);
    metadata_put_keyspace(m, m->keyspace_last + 1, c->name, &c->settings);
    return metadata_done(m->keyspace_last);
}

/* A strict keyspace cannot change its N in one step: majorities of the old and the new copies
 * may have none in common. */
struct metadata_result apply_keyspace_alter(struct metadata *m, const struct metadata_command *c) {
    const struct keyspace *found = metadata_find_keyspace(m, c->keyspace);
    if (found == NULL) return metadata_refuse(META_NO_KEYSPACE);
    struct keyspace *k = &m->keyspaces[found - m->keyspaces];
    const enum metadata_code code = check_settings(m, &c->settings);
    if (code != META_OK) return metadata_refuse(code);
    if (c->settings.discipline != k->settings.discipline) return metadata_refuse(META_DISCIPLINE);
    const bool same_n = c->settings.replication.replicas == k->settings.replication.replicas;
    if (k->settings.discipline == KEYSPACE_STRICT && !same_n) return metadata_refuse(META_STRICT_N);
    k->settings = c->settings;
    return metadata_done(k->id);
}

struct metadata_result apply_keyspace_drop(struct metadata *m, const struct metadata_command *c) {
    if (c->keyspace == KEYSPACE_DEFAULT) return metadata_refuse(META_DEFAULT_KEYSPACE);
    const struct keyspace *found = metadata_find_keyspace(m, c->keyspace);
    if (found == NULL) return metadata_refuse(META_NO_KEYSPACE);
    const size_t at = (size_t)(found - m->keyspaces);
    ASSERT(at < m->keyspaces_count);
    m->keyspaces_count--;
    memmove(&m->keyspaces[at], &m->keyspaces[at + 1],
            (m->keyspaces_count - at) * sizeof *m->keyspaces);
    return metadata_done(c->keyspace);
}

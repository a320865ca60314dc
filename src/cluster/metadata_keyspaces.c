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

static uint32_t copies_after_change(const struct metadata *m) {
    if (m->change.id == 0 || m->replicas < m->change.replicas) return m->replicas;
    return m->change.replicas;
}

uint32_t metadata_copies(const struct metadata *m) {
    const uint32_t copies = copies_after_change(m);
    return m->replicas_next != 0 && m->replicas_next < copies ? m->replicas_next : copies;
}

uint32_t metadata_copies_next(const struct metadata *m) {
    return m->replicas_next != 0 ? m->replicas_next : copies_after_change(m);
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

static enum metadata_code check_settings(const struct keyspace_settings *s) {
    if (!keyspace_settings_are_valid(s)) return META_SETTINGS;
    return keyspace_strict_is_valid(s) ? META_OK : META_STRICT_N;
}

struct metadata_result apply_keyspace_create(struct metadata *m, const struct metadata_command *c) {
    if (!keyspace_name_is_valid(c->name)) return metadata_refuse(META_NAME);
    const enum metadata_code code = check_settings(&c->settings);
    if (code != META_OK) return metadata_refuse(code);
    if (c->settings.replication.replicas > metadata_copies(m)) return metadata_refuse(META_COPIES);
    if (metadata_find_name(m, c->name) != NULL) return metadata_refuse(META_NAME_TAKEN);
    if (m->keyspaces_count == KEYSPACES_KEPT_MAX || m->keyspace_last == KEYSPACE_ID_MAX)
        return metadata_refuse(META_KEYSPACES_FULL);
    metadata_put_keyspace(m, m->keyspace_last + 1, c->name, &c->settings);
    return metadata_done(m->keyspace_last);
}

/* A strict keyspace cannot change its N in one step: majorities of the old and the new copies
 * may have none in common. */
static enum metadata_code check_alter(const struct keyspace *k, const struct keyspace_settings *s) {
    const enum metadata_code code = check_settings(s);
    if (code != META_OK) return code;
    if (s->discipline != k->settings.discipline) return META_DISCIPLINE;
    const bool same_n = s->replication.replicas == k->settings.replication.replicas;
    return k->settings.discipline == KEYSPACE_STRICT && !same_n ? META_STRICT_N : META_OK;
}

struct metadata_result apply_keyspace_alter(struct metadata *m, const struct metadata_command *c) {
    const struct keyspace *found = metadata_find_keyspace(m, c->keyspace);
    if (found == NULL) return metadata_refuse(META_NO_KEYSPACE);
    struct keyspace *k = &m->keyspaces[found - m->keyspaces];
    const enum metadata_code code = check_alter(k, &c->settings);
    if (code != META_OK) return metadata_refuse(code);
    const uint32_t replicas = c->settings.replication.replicas;
    if (replicas > metadata_copies(m) && replicas > k->settings.replication.replicas)
        return metadata_refuse(META_COPIES);
    k->settings = c->settings;
    return metadata_done(k->id);
}

/* The table's N follows. A keyspace that has taken all copies of a slot goes on with those, as its
 * N is bounded by each list: with the list, with list and target, and with the longer list at
 * last, each by majorities of its own. So no copy counts before it is there, and every read meets
 * what was written before. Not while targets are longer already: who does not know of the new N
 * yet would be content with fewer of them. */
struct metadata_result apply_keyspace_widen(struct metadata *m, const struct metadata_command *c) {
    const struct keyspace *found = metadata_find_keyspace(m, c->keyspace);
    if (found == NULL) return metadata_refuse(META_NO_KEYSPACE);
    struct keyspace *k = &m->keyspaces[found - m->keyspaces];
    const enum metadata_code code = check_alter(k, &c->settings);
    if (code != META_OK) return metadata_refuse(code);
    const uint32_t before = k->settings.replication.replicas;
    if (m->change.id != 0 && (m->replicas > before || m->change.replicas > before))
        return metadata_refuse(META_CHANGE_RUNNING);
    k->settings = c->settings;
    if (metadata_copies_next(m) < c->settings.replication.replicas)
        m->replicas_next = c->settings.replication.replicas;
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

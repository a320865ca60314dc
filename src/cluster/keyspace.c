#include "cluster/keyspace.h"

#include "base/assert.h"

static_assert(KEYSPACE_ID_MAX < KEYSPACES_MAX, "an id fits every record");
static_assert(KEYSPACE_NAME_BYTES_MAX <= UINT8_MAX, "a length of a name is a byte");

bool keyspace_name_is_valid(struct bytes name) {
    if (name.len < 1 || name.len > KEYSPACE_NAME_BYTES_MAX) return false;
    for (size_t i = 0; i < name.len; i++) {
        const uint8_t c = name.ptr[i];
        const bool letter = c >= 'a' && c <= 'z';
        const bool digit = c >= '0' && c <= '9';
        if (!letter && !digit && c != '_' && c != '-') return false;
    }
    return true;
}

bool keyspace_settings_are_valid(const struct keyspace_settings *s) {
    const struct replication r = s->replication;
    if (r.replicas < 1 || r.replicas > REPLICAS_MAX) return false;
    if (r.write_quorum > r.replicas || r.read_quorum > r.replicas) return false;
    return s->ttl_ms <= KEYSPACE_TTL_MS_MAX;
}

bool keyspace_strict_is_valid(const struct keyspace_settings *s) {
    if (s->discipline != KEYSPACE_STRICT) return true;
    return s->replication.write_quorum == 0 && s->replication.read_quorum == 0;
}

bool keyspace_check(const struct keyspace *k) {
    if (k->id > KEYSPACE_ID_MAX) return false;
    if (k->name_len > KEYSPACE_NAME_BYTES_MAX) return false;
    if (!keyspace_name_is_valid(keyspace_name(k))) return false;
    for (uint32_t i = k->name_len; i < KEYSPACE_NAME_BYTES_MAX; i++) {
        if (k->name[i] != 0) return false;
    }
    if ((uint32_t)k->settings.discipline >= KEYSPACE_DISCIPLINES) return false;
    return keyspace_settings_are_valid(&k->settings) && keyspace_strict_is_valid(&k->settings);
}

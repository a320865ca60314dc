#include "cluster/membership.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

/* Raised when what the fingerprint covers, or how slots are placed, changes. */
#define FINGERPRINT_FORMAT 1u

static_assert(MEMBERS_MAX <= RING_MEMBERS_MAX, "every member has a place in the ring");
static_assert(MEMBERS_MAX <= 64, "a set of members is the bits of one word");
static_assert(REPLICAS_MAX <= UINT8_MAX, "N, W and R are bytes");

static uint32_t id_of(struct bytes address) {
    const uint32_t id = (uint32_t)hash_xxh3(address);
    return id != 0 ? id : 1; /* zero means nobody */
}

/* Index of the first member whose id is not below `id`. */
static uint32_t position_of(const struct membership *m, uint32_t id) {
    uint32_t i = 0;
    while (i < m->count && m->all[i].id < id) i++;
    return i;
}

/* Add the member at its place by id, unless it is there already. */
static STATUS add(struct membership *m, const char *text) {
    ASSERT(text != NULL);
    ASSERT(m->count <= MEMBERS_MAX);
    const struct bytes address = bytes_of_string(text);
    if (address.len == 0 || address.len >= MEMBER_ADDRESS_BYTES) return status_of(ST_INVALID);

    const uint32_t id = id_of(address);
    const uint32_t at = position_of(m, id);
    if (at < m->count && m->all[at].id == id) {
        const bool is_double = bytes_equal(bytes_of_string(m->all[at].address), address);
        return status_of(is_double ? ST_OK : ST_INVALID);
    }
    if (m->count == MEMBERS_MAX) return status_of(ST_FULL);
    memmove(&m->all[at + 1], &m->all[at], (m->count - at) * sizeof m->all[0]);
    m->all[at] = (struct member){ .id = id, .weight = 1 };
    memcpy(m->all[at].address, address.ptr, address.len);
    m->count++;
    return status_of(ST_OK);
}

static bool replication_is_valid(struct replication r) {
    if (r.replicas < 1 || r.replicas > REPLICAS_MAX) return false;
    return r.write_quorum <= r.replicas && r.read_quorum <= r.replicas;
}

/* The same with majorities in place of zeros, so that one of them asked for by number
 * and one by default are the same to the fingerprint. */
static struct replication replication_resolve(struct replication r) {
    ASSERT(replication_is_valid(r));
    const uint8_t majority = (uint8_t)membership_majority(r.replicas);
    if (r.write_quorum == 0) r.write_quorum = majority;
    if (r.read_quorum == 0) r.read_quorum = majority;
    return r;
}

static uint64_t fingerprint_of(const struct membership *m) {
    uint8_t head[16];
    put_u32_le(head, FINGERPRINT_FORMAT);
    put_u32_le(head + 4, m->count);
    put_u32_le(head + 8, m->replication.replicas);
    put_u16_le(head + 12, m->replication.write_quorum);
    put_u16_le(head + 14, m->replication.read_quorum);
    uint64_t hash = hash_xxh3(bytes_of(head, sizeof head));
    for (uint32_t i = 0; i < m->count; i++) {
        const struct member *member = &m->all[i];
        uint8_t numbers[8];
        put_u32_le(numbers, member->weight);
        put_u32_le(numbers + 4, member->zone);
        hash = hash_seeded(bytes_of_string(member->address), hash);
        hash = hash_seeded(bytes_of(numbers, sizeof numbers), hash);
    }
    return hash;
}

static STATUS fill(struct membership *m, const char *const *addresses, uint32_t count,
                   const char *self) {
    for (uint32_t i = 0; i < count; i++) TRY(add(m, addresses[i]));
    if (self != NULL) TRY(add(m, self));
    if (m->count == 0) return status_of(ST_INVALID);
    if (self != NULL) m->self = membership_find(m, id_of(bytes_of_string(self)));
    m->fingerprint = fingerprint_of(m);

    struct ring_member members[MEMBERS_MAX];
    for (uint32_t i = 0; i < m->count; i++) {
        members[i] = (struct ring_member){ m->all[i].id, m->all[i].weight, m->all[i].zone };
    }
    return ring_create(members, m->count, m->replication.replicas, NULL, &m->ring);
}

STATUS membership_create(const char *const *addresses, uint32_t count, const char *self,
                         struct replication replication, struct membership **ret_membership) {
    ASSERT(addresses != NULL || count == 0);
    ASSERT(ret_membership != NULL);
    if (!replication_is_valid(replication)) return status_of(ST_INVALID);

    struct membership *m = mem_alloc_zeroed(sizeof *m);
    m->self = MEMBER_NONE;
    m->replication = replication_resolve(replication);
    const struct status status = fill(m, addresses, count, self);
    if (!status_ok(status)) {
        mem_free(m);
        return status;
    }
    ASSERT(membership_check(m));
    *ret_membership = m;
    return status_of(ST_OK);
}

void membership_destroy(struct membership *m) {
    if (m == NULL) return;
    ASSERT(membership_check(m));
    ring_destroy(m->ring);
    mem_free(m);
}

uint32_t membership_find(const struct membership *m, uint32_t id) {
    ASSERT(m->count >= 1 && m->count <= MEMBERS_MAX);
    const uint32_t at = position_of(m, id);
    return at < m->count && m->all[at].id == id ? at : MEMBER_NONE;
}

static bool member_check(const struct membership *m, uint32_t i) {
    const struct member *member = &m->all[i];
    if (i > 0 && m->all[i - 1].id >= member->id) return false;
    if (memchr(member->address, 0, MEMBER_ADDRESS_BYTES) == NULL) return false;
    if (member->id != id_of(bytes_of_string(member->address))) return false;
    if (member->weight < 1 || member->weight > RING_WEIGHT_MAX) return false;
    return m->ring->members[i].id == member->id;
}

bool membership_check(const struct membership *m) {
    if (m->count < 1 || m->count > MEMBERS_MAX) return false;
    if (m->self != MEMBER_NONE && m->self >= m->count) return false;
    if (!replication_is_valid(m->replication)) return false;
    if (m->replication.write_quorum == 0 || m->replication.read_quorum == 0) return false;
    if (m->ring == NULL || m->ring->members_count != m->count) return false;
    for (uint32_t i = 0; i < m->count; i++) {
        if (!member_check(m, i)) return false;
    }
    return m->fingerprint == fingerprint_of(m);
}

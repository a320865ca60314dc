#include "cluster/membership.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

/* Raised when what the id of a fixed list covers, or how slots are placed, changes. */
#define FIXED_LIST_FORMAT 2u

static_assert(MEMBERS_MAX <= RING_MEMBERS_MAX, "every member has a place in the ring");
static_assert(REPLICAS_MAX <= UINT8_MAX, "N, W and R are bytes");

const struct member member_nobody = { 0 };

/* ---- from a state of the metadata ---- */

/* Ids and places mostly ascend together: the next place is looked at before all others. */
static uint32_t place_before(const struct membership *previous, uint32_t id, uint32_t *guess) {
    const uint32_t next = membership_next(previous, *guess);
    const bool hit = next != MEMBER_NONE && previous->all[next].id == id;
    const uint32_t place = hit ? next : membership_find(previous, id);
    if (place != MEMBER_NONE) *guess = place + 1;
    return place;
}

/* Where each member of the state goes: where it was, or to a place that nobody had. */
static STATUS choose_places(const struct metadata *state, const struct membership *previous,
                            uint32_t ret_places[MEMBERS_MAX]) {
    struct place_set taken = { { 0 } };
    if (previous != NULL) taken = previous->used;
    uint32_t guess = 0;
    for (uint32_t i = 0; i < state->members_count; i++)
        ret_places[i] =
            previous == NULL ? MEMBER_NONE : place_before(previous, state->members[i].id, &guess);
    for (uint32_t i = 0; i < state->members_count; i++) {
        if (ret_places[i] != MEMBER_NONE) continue;
        ret_places[i] = place_set_free(&taken);
        if (ret_places[i] == MEMBER_NONE) return status_of(ST_BUSY);
        place_set_add(&taken, ret_places[i]);
    }
    return status_of(ST_OK);
}

static struct slot_list list_of(const struct slot_list *indexes, const uint32_t *places) {
    struct slot_list list = { .count = indexes->count };
    ASSERT(indexes->count <= REPLICAS_MAX);
    for (uint32_t i = 0; i < indexes->count; i++)
        list.members[i] = (uint16_t)places[indexes->members[i]];
    return list;
}

/* Mostly members have the places of their indexes. */
static bool places_are_indexes(const uint32_t *places, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (places[i] != i) return false;
    }
    return true;
}

static void take_slots(struct membership *m, const struct metadata *state, const uint32_t *places) {
    m->slots = state->slots; /* epochs and phases as they are */
    if (places_are_indexes(places, state->members_count)) return;
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        m->slots.lists[slot] = list_of(&state->slots.lists[slot], places);
        m->slots.targets[slot] = list_of(&state->slots.targets[slot], places);
    }
}

/* All but the slots. */
static struct membership *create_without_slots(uint32_t places) {
    ASSERT(places <= MEMBERS_MAX);
    struct membership *m = mem_alloc(sizeof *m);
    memset(m, 0, offsetof(struct membership, slots));
    m->self = MEMBER_NONE;
    m->places = places;
    m->all = mem_alloc_zeroed(places * sizeof *m->all);
    return m;
}

static uint32_t places_needed(const uint32_t *places, uint32_t count) {
    uint32_t needed = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (places[i] >= needed) needed = places[i] + 1;
    }
    return needed;
}

static void take_keyspaces(struct membership *m, const struct keyspace *all, uint32_t count) {
    ASSERT(m->keyspaces == NULL);
    ASSERT(count <= KEYSPACES_KEPT_MAX);
    if (count == 0) return;
    m->keyspaces_count = count;
    m->keyspaces = mem_alloc(count * sizeof *all);
    memcpy(m->keyspaces, all, count * sizeof *all);
}

static void take_member(struct membership *m, uint32_t place, const struct metadata_member *from) {
    ASSERT(place < m->places && m->all[place].id == 0);
    m->all[place] = (struct member){ .id = from->id,
                                     .weight = from->weight,
                                     .zone = from->zone,
                                     .boot = from->boot,
                                     .state = from->state };
    memcpy(m->all[place].address, from->address, MEMBER_ADDRESS_BYTES);
    place_set_add(&m->used, place);
    m->count++;
}

STATUS membership_from_metadata(const struct metadata *state, uint32_t self,
                                const struct membership *previous,
                                struct membership **ret_membership) {
    ASSERT(state->members_count <= MEMBERS_MAX);
    ASSERT(ret_membership != NULL);
    uint32_t places[MEMBERS_MAX];
    TRY(choose_places(state, previous, places));
    struct membership *m = create_without_slots(places_needed(places, state->members_count));
    m->cluster = state->cluster;
    m->epoch = state->epoch;
    m->revision = state->revision;
    m->replicas = state->replicas;
    m->replicas_next = state->replicas_next;
    for (uint32_t i = 0; i < state->members_count; i++)
        take_member(m, places[i], &state->members[i]);
    if (self != 0) m->self = membership_find(m, self);
    take_keyspaces(m, state->keyspaces, state->keyspaces_count);
    m->keyspace_last = state->keyspace_last;
    take_slots(m, state, places);
    ASSERT(membership_check(m));
    *ret_membership = m;
    return status_of(ST_OK);
}

/* ---- a fixed list ---- */

/* Add the address in its order, unless it is there already. */
static STATUS add(struct metadata_command *c, const char *text) {
    ASSERT(text != NULL);
    const struct bytes address = bytes_of_string(text);
    uint32_t at = 0;
    while (at < c->first_count && bytes_compare(c->first[at].address, address) < 0) at++;
    if (at < c->first_count && bytes_equal(c->first[at].address, address)) return status_of(ST_OK);
    if (c->first_count == FOUNDERS_MAX) return status_of(ST_FULL);
    memmove(&c->first[at + 1], &c->first[at], (c->first_count - at) * sizeof c->first[0]);
    c->first[at] = (struct member_wish){ .weight = 1, .address = address };
    c->first_count++;
    return status_of(ST_OK);
}

static bool replication_is_valid(struct replication r) {
    if (r.replicas < 1 || r.replicas > REPLICAS_MAX) return false;
    return r.write_quorum <= r.replicas && r.read_quorum <= r.replicas;
}

/* The same with majorities in place of zeros, so that one of them asked for by number
 * and one by default make the same cluster. */
static struct replication replication_resolve(struct replication r) {
    ASSERT(replication_is_valid(r));
    const uint8_t majority = (uint8_t)membership_majority(r.replicas);
    if (r.write_quorum == 0) r.write_quorum = majority;
    if (r.read_quorum == 0) r.read_quorum = majority;
    return r;
}

static uint64_t hash_of(const struct metadata_command *c, uint64_t seed) {
    const struct replication r = c->settings.replication;
    uint8_t head[16];
    put_u32_le(head, FIXED_LIST_FORMAT);
    put_u32_le(head + 4, c->first_count);
    put_u32_le(head + 8, r.replicas);
    put_u16_le(head + 12, r.write_quorum);
    put_u16_le(head + 14, r.read_quorum);
    uint64_t hash = hash_seeded(bytes_of(head, sizeof head), seed);
    for (uint32_t i = 0; i < c->first_count; i++) hash = hash_seeded(c->first[i].address, hash);
    return hash;
}

static struct cluster_id cluster_of(const struct metadata_command *c) {
    struct cluster_id id;
    put_u64_le(id.bytes, hash_of(c, 0) | 1); /* not zero: that is no cluster */
    put_u64_le(id.bytes + 8, hash_of(c, 1));
    return id;
}

static STATUS bootstrap(struct metadata *state, const char *const *addresses, uint32_t count,
                        const char *self, struct replication replication, uint32_t *ret_self) {
    struct metadata_command c = {
        .kind = METADATA_BOOTSTRAP,
        .replicas = replication.replicas,
        .settings = { .replication = replication_resolve(replication) },
    };
    for (uint32_t i = 0; i < count; i++) TRY(add(&c, addresses[i]));
    if (self != NULL) TRY(add(&c, self));
    if (c.first_count == 0) return status_of(ST_INVALID);
    *ret_self = 0;
    for (uint32_t i = 0; i < c.first_count; i++) {
        c.first[i].id = i + 1;
        if (self != NULL && bytes_equal(c.first[i].address, bytes_of_string(self)))
            *ret_self = i + 1;
    }
    c.cluster = cluster_of(&c);
    c.proposal = (struct proposal){ .node = 1, .sequence = 1 };
    const struct metadata_result result = metadata_apply(state, &c);
    return status_of(metadata_result_ok(result) ? ST_OK : ST_INVALID);
}

STATUS membership_create(const char *const *addresses, uint32_t count, const char *self,
                         struct replication replication, struct membership **ret_membership) {
    ASSERT(addresses != NULL || count == 0);
    ASSERT(ret_membership != NULL);
    if (!replication_is_valid(replication)) return status_of(ST_INVALID);
    struct metadata *state = metadata_create();
    uint32_t id = 0;
    struct status st = bootstrap(state, addresses, count, self, replication, &id);
    if (status_ok(st)) st = membership_from_metadata(state, id, NULL, ret_membership);
    metadata_destroy(state);
    return st;
}

/* ---- life ---- */

struct membership *membership_create_empty(void) {
    struct membership *m = create_without_slots(0);
    memset(&m->slots, 0, sizeof m->slots);
    return m;
}

struct membership *membership_clone(const struct membership *m) {
    ASSERT(membership_check(m));
    struct membership *clone = mem_alloc(sizeof *clone);
    *clone = *m;
    clone->all = mem_alloc(m->places * sizeof *m->all);
    if (m->places > 0) memcpy(clone->all, m->all, m->places * sizeof *m->all);
    clone->keyspaces = NULL;
    clone->keyspaces_count = 0;
    take_keyspaces(clone, m->keyspaces, m->keyspaces_count);
    return clone;
}

void membership_destroy(struct membership *m) {
    if (m == NULL) return;
    ASSERT(m->count <= m->places);
    mem_free(m->all);
    mem_free(m->keyspaces);
    mem_free(m);
}

/* ---- questions ---- */

uint32_t membership_find(const struct membership *m, uint32_t id) {
    ASSERT(m->count <= MEMBERS_MAX);
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        if (m->all[i].id == id) return i;
    }
    return MEMBER_NONE;
}

void membership_neighbors(const struct membership *m, uint32_t place, uint32_t first, uint32_t step,
                          struct place_set *ret_places) {
    ASSERT(step > 0);
    *ret_places = (struct place_set){ { 0 } };
    if (place == MEMBER_NONE) return;
    for (uint32_t slot = first; slot < RING_SLOTS; slot += step) {
        if (membership_keeps(m, slot, place)) membership_keepers(m, slot, ret_places);
    }
    place_set_remove(ret_places, place);
}

static const struct keyspace *find_keyspace(const struct membership *m, uint16_t id) {
    ASSERT(m->keyspaces_count >= 1);
    for (uint32_t i = 0; i < m->keyspaces_count && m->keyspaces[i].id <= id; i++) {
        if (m->keyspaces[i].id == id) return &m->keyspaces[i];
    }
    return &m->keyspaces[0];
}

struct replication membership_replication(const struct membership *m, uint16_t keyspace) {
    return find_keyspace(m, keyspace)->settings.replication;
}

static struct slot_list first_of(const struct slot_list *list, uint32_t count) {
    struct slot_list first = *list;
    if (first.count > count) first.count = (uint16_t)count;
    for (uint32_t i = first.count; i < list->count; i++) first.members[i] = 0;
    return first;
}

static void take_all(struct slot_places *p) {
    p->count = (uint8_t)p->list.count;
    memcpy(p->all, p->list.members, p->list.count * sizeof p->all[0]);
    for (uint32_t i = 0; i < p->target.count; i++) {
        int position = slot_list_place(&p->list, p->target.members[i]);
        if (position < 0) {
            position = p->count++;
            p->all[position] = p->target.members[i];
        }
        p->in_target |= (uint16_t)(1u << position);
    }
    ASSERT(p->count <= 2 * REPLICAS_MAX);
}

void membership_replicas(const struct membership *m, uint32_t slot, uint16_t keyspace,
                         struct slot_places *ret_places) {
    ASSERT(m->epoch > 0);
    ASSERT(slot < RING_SLOTS);
    const uint32_t copies = membership_replication(m, keyspace).replicas;
    *ret_places = (struct slot_places){
        .phase = (enum slot_phase)m->slots.phases[slot],
        .epoch = m->slots.epochs[slot],
        .list = first_of(&m->slots.lists[slot], copies),
    };
    if (ret_places->phase == SLOT_JOINT)
        ret_places->target = first_of(&m->slots.targets[slot], copies);
    take_all(ret_places);
}

bool slot_places_equal(const struct slot_places *a, const struct slot_places *b) {
    if (a->epoch != b->epoch) return false;
    return slot_list_equal(&a->list, &b->list) && slot_list_equal(&a->target, &b->target);
}

int slot_places_find(const struct slot_places *p, uint32_t place) {
    ASSERT(p->count <= 2 * REPLICAS_MAX);
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->all[i] == place) return (int)i;
    }
    return -1;
}

void cluster_id_print(const struct cluster_id *id, char ret_text[CLUSTER_ID_TEXT_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < CLUSTER_ID_BYTES; i++) {
        ret_text[2 * i] = digits[id->bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    ret_text[2 * CLUSTER_ID_BYTES] = '\0';
}

/* ---- check ---- */

static bool member_check(const struct membership *m, uint32_t place) {
    const struct member *member = &m->all[place];
    if ((member->id != 0) != place_set_has(&m->used, place)) return false;
    if (member->id == 0) return true;
    if (member->id > MEMBER_ID_MAX) return false;
    if (memchr(member->address, 0, MEMBER_ADDRESS_BYTES) == NULL) return false;
    if ((uint32_t)member->state >= MEMBER_STATES) return false;
    return member->weight >= 1 && member->weight <= RING_WEIGHT_MAX;
}

/* In a table of hashes, as there may be many. */
static bool ids_differ(const struct membership *m) {
    uint32_t seen[2 * MEMBERS_MAX] = { 0 };
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        uint32_t at = m->all[i].id * 2654435761u % (2 * MEMBERS_MAX); /* Knuth, 6.4 */
        while (seen[at] != 0 && seen[at] != m->all[i].id) at = (at + 1) % (2 * MEMBERS_MAX);
        if (seen[at] != 0) return false;
        seen[at] = m->all[i].id;
    }
    return true;
}

/* Requires  slot_table_check holds */
static bool slots_are_used(const struct membership *m) {
    struct place_set members = { { 0 } };
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        slot_list_collect(&m->slots.lists[slot], &members);
        slot_list_collect(&m->slots.targets[slot], &members);
    }
    return place_set_covers(&m->used, &members);
}

bool membership_check(const struct membership *m) {
    if (m->count != place_set_count(&m->used)) return false;
    if ((m->epoch == 0) != (m->count == 0)) return false;
    if (m->places > MEMBERS_MAX || place_set_next(&m->used, m->places) != MEMBER_NONE) return false;
    if (m->self != MEMBER_NONE && (m->self >= m->places || !place_set_has(&m->used, m->self)))
        return false;
    if ((m->keyspaces_count > 0) != (m->epoch > 0)) return false;
    if (m->epoch > 0 && m->keyspaces[0].id != KEYSPACE_DEFAULT) return false;
    for (uint32_t i = 0; i < m->places; i++) {
        if (!member_check(m, i)) return false;
    }
    if (!ids_differ(m)) return false;
    if (!slot_table_check(&m->slots, m->places, m->epoch)) return false;
    return slots_are_used(m);
}

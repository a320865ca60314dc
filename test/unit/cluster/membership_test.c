#include "cluster/membership.h"

#include "harness.h"

#include <stdio.h>

#define COUNT_OF(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static const struct replication three = { .replicas = 3 };

static const char *const trio[] = { "10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080" };

static struct membership *make(const char *const *addresses, uint32_t count, const char *self,
                               struct replication replication) {
    struct membership *m = NULL;
    CHECK_OK(membership_create(addresses, count, self, replication, &m));
    CHECK(membership_check(m));
    return m;
}

static uint64_t fingerprint(const char *const *addresses, uint32_t count, const char *self,
                            struct replication replication) {
    struct membership *m = make(addresses, count, self, replication);
    const uint64_t result = m->fingerprint;
    membership_destroy(m);
    return result;
}

/* Refused: nothing is made, and nothing is written to the result. */
static void check_refused(const char *const *addresses, uint32_t count, const char *self,
                          struct replication replication, enum status_code code) {
    struct membership untouched;
    struct membership *m = &untouched;
    CHECK_STATUS(membership_create(addresses, count, self, replication, &m), code);
    CHECK(m == &untouched);
}

/* Members are sorted by id, as in the ring; self is found among them; zeros became
 * majorities. */
TEST(membership, three_nodes) {
    struct membership *m = make(trio, 3, trio[1], three);
    CHECK_EQ(m->count, 3);
    CHECK(m->self < 3);
    CHECK_BYTES(bytes_of_string(m->all[m->self].address), bytes_of_string(trio[1]));
    CHECK_EQ(m->replication.replicas, 3);
    CHECK_EQ(m->replication.write_quorum, 2);
    CHECK_EQ(m->replication.read_quorum, 2);
    CHECK_EQ(m->ring->members_count, 3);
    CHECK_EQ(m->ring->copies, 3);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(m->all[i].id > 0);
        CHECK_EQ(m->all[i].weight, m->all[0].weight);
        CHECK_EQ(m->ring->members[i].id, m->all[i].id);
        CHECK_EQ(membership_find(m, m->all[i].id), i);
        if (i > 0) CHECK(m->all[i - 1].id < m->all[i].id);
    }
    CHECK_EQ(membership_find(m, 0), MEMBER_NONE);
    CHECK_EQ(membership_find(m, UINT32_MAX), MEMBER_NONE);
    CHECK_EQ(membership_find(m, m->all[1].id + 1), MEMBER_NONE);
    membership_destroy(m);
    membership_destroy(NULL);
}

/* Whatever order a node was given the list in, with or without itself, it agrees with the
 * others on ids, placement and fingerprint. */
TEST(membership, order_and_doubles_do_not_matter) {
    static const char *const mixed[] = { "10.0.0.3:8080", "10.0.0.1:8080", "10.0.0.3:8080",
                                         "10.0.0.1:8080" };
    struct membership *a = make(trio, 3, trio[0], three);
    struct membership *b = make(mixed, COUNT_OF(mixed), "10.0.0.2:8080", three);
    CHECK_EQ(a->count, b->count);
    CHECK_EQ(a->fingerprint, b->fingerprint);
    CHECK(a->self != b->self);
    for (uint32_t i = 0; i < a->count; i++) {
        CHECK_EQ(a->all[i].id, b->all[i].id);
        CHECK_BYTES(bytes_of_string(a->all[i].address), bytes_of_string(b->all[i].address));
    }
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        CHECK(memcmp(ring_list(a->ring, slot), ring_list(b->ring, slot),
                     a->ring->copies * sizeof(uint16_t)) == 0);
    }
    membership_destroy(a);
    membership_destroy(b);
}

/* An own address that is missing in the list is added; alone it is a cluster of one. */
TEST(membership, self_is_added) {
    struct membership *m = make(trio, 2, trio[2], three);
    CHECK_EQ(m->count, 3);
    CHECK_BYTES(bytes_of_string(m->all[m->self].address), bytes_of_string(trio[2]));
    membership_destroy(m);

    m = make(NULL, 0, trio[0], three);
    CHECK_EQ(m->count, 1);
    CHECK_EQ(m->self, 0);
    CHECK_EQ(m->ring->copies, 1);
    CHECK_EQ(m->replication.replicas, 3); /* as asked for, whoever is there */
    CHECK_EQ(m->replication.write_quorum, 2);
    membership_destroy(m);
}

/* A proxy is nobody, and agrees with those who are. */
TEST(membership, proxy) {
    struct membership *m = make(trio, 3, NULL, three);
    CHECK_EQ(m->count, 3);
    CHECK_EQ(m->self, MEMBER_NONE);
    CHECK_EQ(m->fingerprint, fingerprint(trio, 3, trio[0], three));
    membership_destroy(m);
    check_refused(NULL, 0, NULL, three, ST_INVALID);
}

/* The fingerprint tells apart whatever the nodes must agree on. */
TEST(membership, fingerprint) {
    static const char *const other[] = { "10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8081" };
    static const struct replication ways[] = {
        { 3, 2, 2 }, { 3, 1, 2 }, { 3, 2, 1 }, { 3, 3, 2 }, { 3, 2, 3 }, { 5, 2, 2 }, { 2, 2, 2 },
    };
    uint64_t seen[COUNT_OF(ways) + 2];
    for (uint32_t i = 0; i < COUNT_OF(ways); i++) seen[i] = fingerprint(trio, 3, NULL, ways[i]);
    seen[COUNT_OF(ways)] = fingerprint(other, 3, NULL, three);
    seen[COUNT_OF(ways) + 1] = fingerprint(trio, 2, NULL, three);
    for (uint32_t i = 0; i < COUNT_OF(seen); i++) {
        for (uint32_t j = 0; j < i; j++) CHECK(seen[i] != seen[j]);
    }
    /* A majority by default or by number is the same. */
    CHECK_EQ(seen[0], fingerprint(trio, 3, NULL, three));
}

/* N, W and R within 1..N, and N within what a slot can have. */
TEST(membership, replication_bounds) {
    for (uint32_t n = 0; n <= UINT8_MAX; n++) {
        const struct replication r = { .replicas = (uint8_t)n };
        if (n < 1 || n > REPLICAS_MAX) {
            check_refused(trio, 3, NULL, r, ST_INVALID);
            continue;
        }
        struct membership *m = make(trio, 3, NULL, r);
        CHECK_EQ(m->replication.write_quorum, n / 2 + 1);
        CHECK_EQ(m->replication.read_quorum, n / 2 + 1);
        CHECK_EQ(m->ring->copies, n < 3 ? n : 3);
        membership_destroy(m);
    }
    check_refused(trio, 3, NULL, (struct replication){ 3, 4, 2 }, ST_INVALID);
    check_refused(trio, 3, NULL, (struct replication){ 3, 2, 4 }, ST_INVALID);
    check_refused(trio, 3, NULL, (struct replication){ 3, UINT8_MAX, 0 }, ST_INVALID);
    check_refused(trio, 3, NULL, (struct replication){ 0, 1, 1 }, ST_INVALID);
    struct membership *m = make(trio, 3, NULL, (struct replication){ 3, 3, 1 });
    CHECK_EQ(m->replication.write_quorum, 3);
    CHECK_EQ(m->replication.read_quorum, 1);
    membership_destroy(m);
}

/* As many as there may be, doubles not counted, and not one more. */
TEST(membership, too_many) {
    static char text[MEMBERS_MAX + 1][24];
    const char *addresses[2 * MEMBERS_MAX + 1];
    for (uint32_t i = 0; i <= MEMBERS_MAX; i++)
        (void)snprintf(text[i], sizeof text[i], "10.1.0.%u:7000", i);
    for (uint32_t i = 0; i < 2 * MEMBERS_MAX; i++) addresses[i] = text[i % MEMBERS_MAX];
    addresses[2 * MEMBERS_MAX] = text[MEMBERS_MAX];

    struct membership *m = make(addresses, 2 * MEMBERS_MAX, text[7], three);
    CHECK_EQ(m->count, MEMBERS_MAX);
    membership_destroy(m);
    check_refused(addresses, 2 * MEMBERS_MAX, text[MEMBERS_MAX], three, ST_FULL);
    check_refused(addresses, 2 * MEMBERS_MAX + 1, NULL, three, ST_FULL);
}

/* An address must have room with its NUL, and be one. */
TEST(membership, address_length) {
    char text[MEMBER_ADDRESS_BYTES + 1];
    memset(text, 'a', sizeof text);
    text[MEMBER_ADDRESS_BYTES] = 0;
    check_refused(trio, 3, text, three, ST_INVALID);
    text[MEMBER_ADDRESS_BYTES - 1] = 0;
    struct membership *m = make(trio, 3, text, three);
    CHECK_BYTES(bytes_of_string(m->all[m->self].address), bytes_of_string(text));
    membership_destroy(m);
    check_refused(trio, 3, "", three, ST_INVALID);
}

/* Two addresses with one id cannot both be members: nobody could tell them apart. */
TEST(membership, two_addresses_with_one_id) {
    static const char *const twins[] = { "10.0.39.245:8080", "10.5.112.86:8080" };
    struct membership *a = make(twins, 1, NULL, three);
    struct membership *b = make(twins + 1, 1, NULL, three);
    CHECK_EQ(a->all[0].id, b->all[0].id);
    CHECK(a->fingerprint != b->fingerprint);
    membership_destroy(a);
    membership_destroy(b);
    check_refused(twins, 2, NULL, three, ST_INVALID);
    check_refused(twins, 1, twins[1], three, ST_INVALID);
}

/* What a node calls itself by must not change from one release to the next: it places
 * the slots. */
TEST(membership, golden) {
    struct membership *m = make(trio, 1, NULL, three);
    CHECK_EQ(m->all[0].id, 0x783c5011);
    CHECK_EQ(m->fingerprint, UINT64_C(0x4c764640672b9f7b));
    membership_destroy(m);
}

/* A membership that contradicts itself is seen. */
TEST(membership, check_sees_damage) {
    struct membership *m = make(trio, 3, trio[0], three);
    const struct membership good = *m;
    m->self = 3;
    CHECK(!membership_check(m));
    *m = good, m->count = 2;
    CHECK(!membership_check(m));
    *m = good, m->replication.write_quorum = 0;
    CHECK(!membership_check(m));
    *m = good, m->replication.read_quorum = 1; /* valid, but not what was agreed on */
    CHECK(!membership_check(m));
    *m = good, m->all[1].address[0] = '9';
    CHECK(!membership_check(m));
    *m = good, m->all[0] = good.all[1], m->all[1] = good.all[0];
    CHECK(!membership_check(m));
    *m = good, m->ring = NULL;
    CHECK(!membership_check(m));
    *m = good;
    membership_destroy(m);
}

#include "cluster/keyspace.h"

#include "harness.h"

TEST(keyspace, names) {
    char longest[KEYSPACE_NAME_BYTES_MAX + 1];
    memset(longest, 'z', sizeof longest);
    CHECK(keyspace_name_is_valid(bytes_of(longest, KEYSPACE_NAME_BYTES_MAX)));
    CHECK(!keyspace_name_is_valid(bytes_of(longest, sizeof longest)));
    CHECK(!keyspace_name_is_valid(BYTES_NONE));
    for (uint32_t c = 0; c <= UINT8_MAX; c++) {
        const uint8_t name[] = { 'a', (uint8_t)c };
        const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        CHECK_EQ(keyspace_name_is_valid(bytes_of(name, 2)), good);
    }
}

TEST(keyspace, settings) {
    struct keyspace_settings s = { .replication = { 3, 0, 0 } };
    CHECK(keyspace_settings_are_valid(&s));
    s.replication.replicas = 0;
    CHECK(!keyspace_settings_are_valid(&s));
    s.replication.replicas = REPLICAS_MAX + 1;
    CHECK(!keyspace_settings_are_valid(&s));
    s.replication = (struct replication){ 3, 3, 4 };
    CHECK(!keyspace_settings_are_valid(&s));
    s.replication = (struct replication){ 3, 4, 3 };
    CHECK(!keyspace_settings_are_valid(&s));
    s.replication = (struct replication){ 3, 3, 3 };
    CHECK(keyspace_settings_are_valid(&s));
    CHECK(keyspace_strict_is_valid(&s));
    s.discipline = KEYSPACE_STRICT;
    CHECK(!keyspace_strict_is_valid(&s));
    s.replication = (struct replication){ 3, 0, 0 };
    CHECK(keyspace_strict_is_valid(&s));
    s.ttl_ms = KEYSPACE_TTL_MS_MAX;
    CHECK(keyspace_settings_are_valid(&s));
    s.ttl_ms++;
    CHECK(!keyspace_settings_are_valid(&s));
}

TEST(keyspace, check_sees_damage) {
    struct keyspace k = {
        .id = 1, .name_len = 2, .name = "ab", .settings.replication = { 3, 0, 0 }
    };
    CHECK(keyspace_check(&k));
    k.name[2] = 'c';
    CHECK(!keyspace_check(&k));
    k.name[2] = 0, k.name[1] = 'B';
    CHECK(!keyspace_check(&k));
    k.name[1] = 'b', k.id = KEYSPACE_ID_MAX + 1;
    CHECK(!keyspace_check(&k));
    k.id = 1, k.settings.discipline = KEYSPACE_DISCIPLINES;
    CHECK(!keyspace_check(&k));
}

#include "cluster/metadata_internal.h"
#include "metadata_world.h"

#include <stdio.h>

static struct metadata_result create(struct meta_world *w, struct bytes name,
                                     struct keyspace_settings settings) {
    struct metadata_command c = { .kind = METADATA_KEYSPACE_CREATE,
                                  .name = name,
                                  .settings = settings };
    return meta_world_apply(w, &c);
}

static struct metadata_result alter(struct meta_world *w, uint16_t id,
                                    struct keyspace_settings settings) {
    struct metadata_command c = { .kind = METADATA_KEYSPACE_ALTER,
                                  .keyspace = id,
                                  .settings = settings };
    return meta_world_apply(w, &c);
}

static struct metadata_result drop(struct meta_world *w, uint16_t id) {
    struct metadata_command c = { .kind = METADATA_KEYSPACE_DROP, .keyspace = id };
    return meta_world_apply(w, &c);
}

TEST(metadata_keyspaces, create) {
    struct meta_world w;
    meta_world_init(&w, 5, 3);
    const struct keyspace_settings three = meta_world_settings(3, KEYSPACE_EVENTUAL);
    CHECK_EQ(create(&w, BYTES_LIT("orders"), three).value, 1);
    CHECK_EQ(create(&w, BYTES_LIT("orders"), three).code, META_NAME_TAKEN);
    CHECK_EQ(create(&w, BYTES_LIT("default"), three).code, META_NAME_TAKEN);
    CHECK_EQ(create(&w, BYTES_LIT(""), three).code, META_NAME);
    CHECK_EQ(create(&w, BYTES_LIT("Orders"), three).code, META_NAME);
    CHECK_EQ(create(&w, BYTES_LIT("or ders"), three).code, META_NAME);
    CHECK_EQ(create(&w, BYTES_LIT("a"), meta_world_settings(0, KEYSPACE_EVENTUAL)).code,
             META_SETTINGS);
    CHECK_EQ(create(&w, BYTES_LIT("a"), meta_world_settings(8, KEYSPACE_EVENTUAL)).code,
             META_SETTINGS);
    CHECK_EQ(create(&w, BYTES_LIT("a"), meta_world_settings(4, KEYSPACE_EVENTUAL)).code,
             META_COPIES);
    struct keyspace_settings s = three;
    s.ttl_ms = KEYSPACE_TTL_MS_MAX + 1;
    CHECK_EQ(create(&w, BYTES_LIT("a"), s).code, META_SETTINGS);
    s = three, s.replication.write_quorum = 4;
    CHECK_EQ(create(&w, BYTES_LIT("a"), s).code, META_SETTINGS);
    s = meta_world_settings(3, KEYSPACE_STRICT), s.replication.write_quorum = 2;
    CHECK_EQ(create(&w, BYTES_LIT("a"), s).code, META_STRICT_N);
    CHECK_EQ(create(&w, BYTES_LIT("a-_9"), meta_world_settings(1, KEYSPACE_STRICT)).value, 2);
    const struct keyspace *k = metadata_find_name(w.m, BYTES_LIT("a-_9"));
    CHECK(k != NULL);
    CHECK_EQ(k->id, 2);
    CHECK_EQ(k->settings.discipline, KEYSPACE_STRICT);
    meta_world_deinit(&w);
}

/* A name is free again after a drop, the id never is. */
TEST(metadata_keyspaces, drop) {
    struct meta_world w;
    meta_world_init(&w, 3, 3);
    const struct keyspace_settings three = meta_world_settings(3, KEYSPACE_EVENTUAL);
    CHECK_EQ(create(&w, BYTES_LIT("a"), three).value, 1);
    CHECK_EQ(create(&w, BYTES_LIT("b"), three).value, 2);
    CHECK_EQ(drop(&w, 0).code, META_DEFAULT_KEYSPACE);
    CHECK_EQ(drop(&w, 3).code, META_NO_KEYSPACE);
    CHECK_EQ(drop(&w, 2).code, META_OK);
    CHECK_EQ(drop(&w, 2).code, META_NO_KEYSPACE);
    CHECK(metadata_find_name(w.m, BYTES_LIT("b")) == NULL);
    CHECK_EQ(create(&w, BYTES_LIT("b"), three).value, 3);
    CHECK_EQ(drop(&w, 1).code, META_OK);
    CHECK_EQ(w.m->keyspaces_count, 2);
    meta_world_deinit(&w);
}

TEST(metadata_keyspaces, alter) {
    struct meta_world w;
    meta_world_init(&w, 5, 5);
    struct keyspace_settings s = meta_world_settings(3, KEYSPACE_EVENTUAL);
    CHECK_EQ(create(&w, BYTES_LIT("a"), s).value, 1);
    CHECK_EQ(create(&w, BYTES_LIT("b"), meta_world_settings(3, KEYSPACE_STRICT)).value, 2);
    s.replication.replicas = 5;
    s.replication.read_quorum = 1;
    s.ttl_ms = 60000;
    CHECK_EQ(alter(&w, 1, s).code, META_OK);
    const struct keyspace *k = metadata_find_keyspace(w.m, 1);
    CHECK_EQ(k->settings.replication.replicas, 5);
    CHECK_EQ(k->settings.ttl_ms, 60000);
    CHECK_EQ(alter(&w, 0, s).code, META_OK);
    CHECK_EQ(alter(&w, 9, s).code, META_NO_KEYSPACE);
    s.replication.replicas = 6;
    CHECK_EQ(alter(&w, 1, s).code, META_COPIES);
    s.replication.replicas = 0;
    CHECK_EQ(alter(&w, 1, s).code, META_SETTINGS);
    CHECK_EQ(alter(&w, 1, meta_world_settings(3, KEYSPACE_STRICT)).code, META_DISCIPLINE);
    CHECK_EQ(alter(&w, 2, meta_world_settings(3, KEYSPACE_EVENTUAL)).code, META_DISCIPLINE);
    CHECK_EQ(alter(&w, 2, meta_world_settings(5, KEYSPACE_STRICT)).code, META_STRICT_N);
    s = meta_world_settings(3, KEYSPACE_STRICT), s.ttl_ms = 5;
    CHECK_EQ(alter(&w, 2, s).code, META_OK);
    meta_world_deinit(&w);
}

/* As many as there may be at one time, and as many ids as there are. */
TEST(metadata_keyspaces, too_many) {
    struct meta_world w;
    meta_world_init(&w, 1, 1);
    const struct keyspace_settings one = meta_world_settings(1, KEYSPACE_EVENTUAL);
    for (uint32_t i = 1; i < KEYSPACES_KEPT_MAX; i++) {
        char name[16];
        const int len = snprintf(name, sizeof name, "k%u", i);
        metadata_put_keyspace(w.m, (uint16_t)i, bytes_of(name, (size_t)len), &one);
    }
    CHECK_EQ(create(&w, BYTES_LIT("one-more"), one).code, META_KEYSPACES_FULL);
    CHECK_EQ(drop(&w, 7).code, META_OK);
    CHECK_EQ(create(&w, BYTES_LIT("one-more"), one).value, KEYSPACES_KEPT_MAX);
    CHECK_EQ(drop(&w, 8).code, META_OK);
    w.m->keyspace_last = KEYSPACE_ID_MAX - 1;
    CHECK_EQ(create(&w, BYTES_LIT("the-last"), one).value, KEYSPACE_ID_MAX);
    CHECK_EQ(drop(&w, KEYSPACE_ID_MAX).code, META_OK);
    CHECK_EQ(create(&w, BYTES_LIT("too-late"), one).code, META_KEYSPACES_FULL);
    meta_world_deinit(&w);
}

#include "test/unit/storage/engine_tables.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>

void engine_tables_init(struct engine_tables *t) {
    memset(t, 0, sizeof *t);
    t->disk = sim_disk_create(1);
    t->os = sim_os_create(1, t->disk);
    t->cache = cache_create(1u << 20);
    t->version = version_empty();
    atomic_store(&t->number_next, 1);
    t->output = (struct output_options){
        .os = t->os,
        .cache = t->cache,
        .dir = ENGINE_TABLES_DIR,
        .table = { .block_bytes = 1024, .filter_bits_per_key = 20 },
        .number_next = &t->number_next,
    };
    const struct status s = os_dir_create(t->os, ENGINE_TABLES_DIR);
    ASSERT(status_ok(s));
}

void engine_tables_deinit(struct engine_tables *t) {
    version_release(t->version);
    cache_destroy(t->cache);
    os_destroy(t->os);
    sim_disk_destroy(t->disk);
}

struct bytes engine_tables_ikey(uint32_t key, uint8_t *space) {
    char text[16];
    const int len = snprintf(text, sizeof text, "k%05u", key);
    return ikey_make(1, bytes_of(text, (size_t)len), space);
}

static void finish(struct engine_tables *t, struct output *o, uint32_t level) {
    const struct status s = output_finish(o);
    ASSERT(status_ok(s));
    ASSERT(o->count == 1);
    const struct version_add add = { .table = o->tables[0], .level = level };
    struct version *v = version_change(t->version, NULL, 0, &add, 1);
    version_release(t->version);
    t->version = v;
    output_deinit(o);
}

void engine_tables_add(struct engine_tables *t, uint32_t level, uint32_t first, uint32_t last,
                       uint32_t step, uint64_t stamp, uint8_t flags) {
    struct output o;
    uint8_t space[IKEY_BYTES_MAX];
    output_init(&o, &t->output);
    for (uint32_t key = first; key <= last; key += step) {
        struct record r = { .ikey = engine_tables_ikey(key, space),
                            .ballot = { stamp, 1, 1 },
                            .flags = flags };
        if (flags == 0) r.value = bytes_of(&stamp, sizeof stamp);
        const struct status s = output_add(&o, &r);
        ASSERT(status_ok(s));
    }
    finish(t, &o, level);
}

void engine_tables_add_keyspaces(struct engine_tables *t, const uint32_t counts[3],
                                 uint64_t stamp) {
    struct output o;
    uint8_t space[IKEY_BYTES_MAX];
    char key[16];
    output_init(&o, &t->output);
    for (uint16_t keyspace = 1; keyspace <= 3; keyspace++) {
        for (uint32_t i = 0; i < counts[keyspace - 1]; i++) {
            const int len = snprintf(key, sizeof key, "k%05u", i);
            const struct record r = { .ikey =
                                          ikey_make(keyspace, bytes_of(key, (size_t)len), space),
                                      .ballot = { stamp, 1, 1 },
                                      .value = bytes_of(&stamp, sizeof stamp) };
            const struct status s = output_add(&o, &r);
            ASSERT(status_ok(s));
        }
    }
    finish(t, &o, ENGINE_LEVELS - 1);
}

bool engine_tables_pick(struct engine_tables *t, const struct engine_options *options,
                        uint64_t gc_floor, bool everything, struct compaction_plan *ret_plan) {
    static const struct floors no_floors;
    const struct compaction_view view = {
        .version = t->version,
        .options = options,
        .floors = &no_floors,
        .wall_ms = 1000,
        .gc_floor = { gc_floor, 1, 1 },
        .everything = everything,
    };
    return compaction_pick(&view, ret_plan);
}

uint64_t engine_tables_run(struct engine_tables *t, struct compaction_plan *take_plan,
                           uint64_t gc_floor, uint64_t memory_stamp_min,
                           const struct floors *floors) {
    static const atomic_bool go_on;
    struct compaction c;
    compaction_init(&c, take_plan, t->version, &t->output);
    if (floors != NULL) floors_copy(floors, &c.floors);
    c.gc_floor = (struct ballot){ gc_floor, 1, 1 };
    c.memory_ballot_min = (struct ballot){ memory_stamp_min, 0, 0 };
    c.expiry_ms = 1000;
    c.table_bytes = 1u << 20;
    c.stop = &go_on;
    compaction_run(&c);
    ASSERT(status_ok(c.status));
    struct version_delete deletes[64];
    struct version_add adds[64];
    ASSERT(c.plan.input_count <= 64 && c.output.count <= 64);
    for (uint32_t i = 0; i < c.plan.input_count; i++) {
        const struct compaction_input *in = &c.plan.inputs[i];
        deletes[i] =
            (struct version_delete){ t->version->levels[in->level].tables[in->index].number,
                                     in->level };
    }
    for (uint32_t i = 0; i < c.output.count; i++) {
        adds[i] = (struct version_add){ .table = c.output.tables[i], .level = c.plan.level_output };
    }
    struct version *v =
        version_change(t->version, deletes, c.plan.input_count, adds, c.output.count);
    const uint64_t dropped = c.dropped;
    compaction_deinit(&c);
    version_release(t->version);
    t->version = v;
    return dropped;
}

uint64_t engine_tables_records(const struct engine_tables *t) {
    uint64_t records = 0;
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        for (uint32_t i = 0; i < t->version->levels[l].count; i++) {
            records += table_properties(t->version->levels[l].tables[i].table)->records;
        }
    }
    return records;
}

/* The job of compaction.h; the choice is in compaction_pick.c. */
#include "storage/compaction.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

/* How often a job looks whether it is to stop, in records. */
#define STOP_LOOK_RECORDS 1024u

void compaction_init(struct compaction *c, struct compaction_plan *take_plan,
                     struct version *version, const struct output_options *options) {
    ASSERT(take_plan->input_count > 0);
    ASSERT(version->references > 0);
    *c = (struct compaction){ .plan = *take_plan, .version = version };
    *take_plan = (struct compaction_plan){ 0 };
    output_init(&c->output, options);
}

void compaction_deinit(struct compaction *c) {
    output_deinit(&c->output);
    floors_deinit(&c->floors);
    compaction_plan_deinit(&c->plan);
}

/* The run of inputs that starts at `at`, all of one level; level 0 gives runs of one. */
static uint32_t input_run(const struct compaction_plan *p, uint32_t at) {
    uint32_t count = 1;
    const uint32_t level = p->inputs[at].level;
    if (level == 0) return 1;
    while (at + count < p->input_count && p->inputs[at + count].level == level) {
        ASSERT(p->inputs[at + count].index == p->inputs[at].index + count);
        count++;
    }
    return count;
}

static bool input_has(const struct compaction_plan *p, uint32_t level, uint32_t index) {
    for (uint32_t i = 0; i < p->input_count; i++) {
        if (p->inputs[i].level == level && p->inputs[i].index == index) return true;
    }
    return false;
}

/* Whether some table outside the inputs may hold the ikey. */
static bool held_elsewhere(const struct compaction *c, struct bytes ikey) {
    const uint64_t hash = hash_xxh3(ikey);
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &c->version->levels[l];
        const uint32_t first = l == 0 ? 0 : version_find(level, ikey);
        const uint32_t end = l == 0 || first == level->count ? level->count : first + 1;
        for (uint32_t i = first; i < end; i++) {
            const struct version_table *t = &level->tables[i];
            if (!version_table_covers(t, ikey)) continue;
            if (input_has(&c->plan, l, i)) continue;
            if (table_may_contain(t->table, ikey, hash)) return true;
        }
    }
    return false;
}

/* Rules 2 and 3 of compaction.h; rule 4 is asked before. */
static bool may_drop(const struct compaction *c, const struct record *r) {
    if (floors_cover(&c->floors, r)) return true;
    if (!record_is_absent(r, c->expiry_ms)) return false;
    if (ballot_compare(r->ballot, c->gc_floor) > 0) return false;
    if (ballot_compare(r->ballot, c->memory_ballot_min) > 0) return false;
    return !held_elsewhere(c, r->ikey);
}

/* Follows the tables below the output, to see how many of them it overlaps. */
struct overlap {
    const struct version_level *level; /* NULL: the output is the last level */
    uint32_t index;                    /* first table whose end is not behind the ikey */
    uint64_t bytes;                    /* of tables passed since the output began */
};

static uint64_t overlap_advance(struct overlap *o, struct bytes ikey) {
    if (o->level == NULL) return 0;
    while (o->index < o->level->count &&
           bytes_compare(o->level->tables[o->index].ikey_max, ikey) < 0) {
        o->bytes += o->level->tables[o->index].bytes;
        o->index++;
    }
    return o->bytes;
}

static STATUS write_record(struct compaction *c, struct overlap *overlap, const struct record *r) {
    const uint64_t overlap_bytes = overlap_advance(overlap, r->ikey);
    const uint64_t bytes = output_bytes(&c->output);
    const bool wide = overlap_bytes > COMPACTION_OVERLAP_TABLES_MAX * c->table_bytes;
    if (bytes >= c->table_bytes || (bytes > 0 && wide)) {
        TRY(output_cut(&c->output));
        overlap->bytes = 0;
    }
    return output_add(&c->output, r);
}

/* Errors  ST_BUSY  the job is to end */
static STATUS stop_look(struct compaction *c, uint64_t count) {
    if (count % STOP_LOOK_RECORDS != 0) return status_of(ST_OK);
    c->stopped = atomic_load(c->stop);
    return status_of(c->stopped ? ST_BUSY : ST_OK);
}

/* Look for something to drop: in a table with keys of all slots it is found at once. Reading has
 * no pace of its own, so the rest of the way it goes at that of writing. */
static STATUS look_for_slots(struct compaction *c, struct merge *m) {
    struct rate_limit *pace = c->output.options.rate_limit;
    uint64_t count = 0;
    size_t bytes = 0;
    TRY(merge_seek(m, BYTES_NONE));
    while (m->record != NULL) {
        TRY(stop_look(c, ++count));
        if (slot_set_has(&c->dropped_slots, m->record->ikey)) return status_of(ST_OK);
        bytes += m->record->ikey.len + m->record->value.len;
        if (count % STOP_LOOK_RECORDS == 0 && pace != NULL) {
            rate_limit_pace(pace, bytes);
            bytes = 0;
        }
        TRY(merge_next(m));
    }
    c->clean = true;
    return status_of(ST_OK);
}

static STATUS merge_inputs(struct compaction *c, struct merge *m) {
    struct overlap overlap = { 0 };
    const uint32_t below = c->plan.level_output + 1;
    if (c->plan.level_output == 0)
        c->table_bytes = UINT64_MAX; /* one table: they are to become fewer */
    else if (below < ENGINE_LEVELS && c->version->levels[below].count > 0)
        overlap.level = &c->version->levels[below];
    uint64_t count = 0;
    TRY(merge_seek(m, BYTES_NONE));
    while (m->record != NULL) {
        TRY(stop_look(c, ++count));
        if (slot_set_has(&c->dropped_slots, m->record->ikey)) {
            c->slot_records++;
            c->dropped++;
        } else if (may_drop(c, m->record)) {
            c->dropped++;
        } else {
            TRY(write_record(c, &overlap, m->record));
        }
        TRY(merge_next(m));
    }
    return output_finish(&c->output);
}

void compaction_run(struct compaction *c) {
    struct merge m;
    const struct compaction_plan *p = &c->plan;
    ASSERT(p->kind == COMPACTION_MERGE);
    ASSERT(c->table_bytes > 0);
    merge_init(&m, true, true);
    for (uint32_t i = 0; i < p->input_count;) {
        const struct compaction_input *in = &p->inputs[i];
        const uint32_t count = input_run(p, i);
        merge_add_tables(&m, &c->version->levels[in->level].tables[in->index], count);
        i += count;
    }
    c->status = p->for_sweep ? look_for_slots(c, &m) : status_of(ST_OK);
    if (status_ok(c->status) && !c->clean) c->status = merge_inputs(c, &m);
    c->failed = m.failed;
    merge_deinit(&m);
    if (!status_ok(c->status)) output_discard(&c->output);
}

/* Slots that the shard keeps no more: which they are, and how far the sweep for what is left of
 * them has come; see rule 4 of compaction.h. */
#include "storage/engine_internal.h"

#include "base/assert.h"
#include "base/mem.h"

/* While the job runs nothing needs to come of it; when its edit is on the way it is too late, and
 * engine_is_dropping tells. */
void engine_revoke_compaction(struct engine *e) {
    const struct compaction *c = &e->compaction;
    if (e->compaction_state != WORK_RUNNING) return;
    const bool keeps_slots = slot_set_is_within(&c->dropped_slots, &e->dropped_slots);
    if (keeps_slots && ballot_compare(c->gc_floor, e->gc_floor) <= 0) return;
    ASSERT(e->compaction.plan.kind == COMPACTION_MERGE);
    e->compaction_revoked = true;
    atomic_store(&e->stop_jobs, true);
}

void engine_set_dropped_slots(struct engine *e, const uint8_t slots[SLOTS / 8]) {
    struct slot_set set;
    ASSERT(!e->recovering);
    slot_set_of(slots, &set);
    const bool grew = !slot_set_is_within(&set, &e->dropped_slots);
    e->dropped_slots = set;
    engine_revoke_compaction(e);
    if (!grew || e->stopping) return;
    e->sweep++;
    e->look = true;
    /* What is in memory goes to a table, so that the sweep comes to an end. */
    if (memtable_count(e->active->memtable) == 0)
        e->active->sweep = e->sweep;
    else
        e->flush_wanted = true;
}

bool engine_is_dropping(const struct engine *e) {
    const struct compaction *c = &e->compaction;
    if (e->compaction_state != WORK_INSTALLING || c->dropped == 0) return false;
    if (ballot_compare(c->gc_floor, e->gc_floor) > 0) return true;
    if (c->slot_records == 0) return false;
    return !slot_set_is_within(&c->dropped_slots, &e->dropped_slots);
}

uint64_t engine_sweep_wanted(const struct engine *e) {
    return e->dropped_slots.count == 0 ? 0 : e->sweep;
}

uint64_t engine_sweep_bytes_left(const struct engine *e) {
    const uint64_t wanted = engine_sweep_wanted(e);
    uint64_t bytes = 0;
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &e->version->levels[l];
        for (uint32_t i = 0; i < level->count; i++) {
            if (level->tables[i].sweep < wanted) bytes += level->tables[i].bytes;
        }
    }
    return bytes;
}

static bool is_unswept(const struct engine_memtable *m, uint64_t wanted) {
    return m->sweep < wanted && memtable_count(m->memtable) > 0;
}

bool engine_is_sweeping(const struct engine *e) {
    const uint64_t wanted = engine_sweep_wanted(e);
    if (is_unswept(e->active, wanted)) return true;
    for (uint32_t i = 0; i < e->waiting_count; i++) {
        if (is_unswept(e->waiting[i], wanted)) return true;
    }
    return engine_sweep_bytes_left(e) > 0;
}

/* The files are as they were, so the manifest need not hear of it. */
void engine_sweep_note_clean(struct engine *e) {
    const struct compaction *c = &e->compaction;
    const uint32_t count = c->plan.input_count;
    ASSERT(c->clean && c->output.count == 0);
    ASSERT(count > 0);
    struct version_delete *deletes = mem_alloc(count * sizeof *deletes);
    struct version_add *adds = mem_alloc(count * sizeof *adds);
    for (uint32_t i = 0; i < count; i++) {
        const struct compaction_input *in = &c->plan.inputs[i];
        struct version_table t = c->version->levels[in->level].tables[in->index];
        t.sweep = c->sweep;
        deletes[i] = (struct version_delete){ t.number, in->level };
        adds[i] = (struct version_add){ .table = t, .level = in->level };
    }
    struct version *v = version_change(e->version, deletes, count, adds, count);
    mem_free(deletes);
    mem_free(adds);
    version_release(e->version);
    e->version = v;
    e->stats.sweep_bytes += c->plan.input_bytes;
}

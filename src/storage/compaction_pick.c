/* What to compact next; see compaction.h. Pure. */
#include "base/assert.h"
#include "base/mem.h"
#include "storage/compaction.h"

#define LEVEL_LAST (ENGINE_LEVELS - 1u)
/* A score of this means: at its limit. */
#define SCORE_DUE 1000u
/* One part of so many is truncated when a table is written anew for it. */
#define TRUNCATED_SHARE 8u

void compaction_plan_deinit(struct compaction_plan *plan) {
    mem_free(plan->inputs);
    *plan = (struct compaction_plan){ 0 };
}

static void plan_add(struct compaction_plan *p, const struct version *v, uint32_t level,
                     uint32_t index) {
    ASSERT(level < ENGINE_LEVELS);
    ASSERT(index < v->levels[level].count);
    if (p->input_count == p->input_capacity) {
        p->input_capacity = p->input_capacity == 0 ? 16 : p->input_capacity * 2;
        p->inputs = mem_realloc(p->inputs, p->input_capacity * sizeof *p->inputs);
    }
    p->inputs[p->input_count++] = (struct compaction_input){ level, index };
    p->input_bytes += v->levels[level].tables[index].bytes;
}

static bool is_bad(const struct compaction_view *view, const struct version_table *t) {
    for (uint32_t i = 0; i < view->bad_count; i++) {
        if (view->bad[i] == t->number) return true;
    }
    return false;
}

static bool plan_is_bad(const struct compaction_view *view, const struct compaction_plan *p) {
    for (uint32_t i = 0; i < p->input_count; i++) {
        const struct compaction_input *in = &p->inputs[i];
        if (is_bad(view, &view->version->levels[in->level].tables[in->index])) return true;
    }
    return false;
}

void compaction_targets(const struct version *v, const struct engine_options *options,
                        uint64_t targets[ENGINE_LEVELS], uint32_t *ret_base) {
    const uint64_t ratio = options->level_ratio;
    const uint64_t base_max = options->level1_bytes;
    const uint64_t base_min = base_max / ratio;
    uint64_t largest = 0;
    uint32_t first = LEVEL_LAST;
    ASSERT(ratio >= 2);
    ASSERT(base_max >= 1);
    for (uint32_t l = LEVEL_LAST; l >= 1; l--) {
        if (v->levels[l].count == 0) continue;
        first = l;
        if (v->levels[l].bytes > largest) largest = v->levels[l].bytes;
    }

    uint64_t size = largest;
    uint32_t base = first;
    for (uint32_t l = LEVEL_LAST; l > first; l--) size /= ratio;
    while (base > 1 && size > base_max) {
        base--;
        size /= ratio;
    }
    if (size > base_max) size = base_max;
    if (size < base_min + 1) size = base_min + 1;

    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        targets[l] = 0;
        if (l < base) continue;
        targets[l] = size;
        size = size > UINT64_MAX / ratio ? UINT64_MAX : size * ratio;
    }
    *ret_base = base;
}

static uint64_t level_score(uint64_t bytes, uint64_t target) {
    ASSERT(target > 0);
    if (bytes > UINT64_MAX / SCORE_DUE) return UINT64_MAX;
    return bytes * SCORE_DUE / target;
}

/* Everything of `level` that overlaps what the plan holds already. */
static void plan_add_overlap(struct compaction_plan *p, const struct version *v, uint32_t level) {
    struct bytes low = BYTES_NONE;
    struct bytes high = BYTES_NONE;
    uint32_t first;
    uint32_t count;
    ASSERT(p->input_count > 0);
    for (uint32_t i = 0; i < p->input_count; i++) {
        const struct version_table *t = &v->levels[p->inputs[i].level].tables[p->inputs[i].index];
        if (i == 0 || bytes_compare(t->ikey_min, low) < 0) low = t->ikey_min;
        if (i == 0 || bytes_compare(t->ikey_max, high) > 0) high = t->ikey_max;
    }
    if (v->levels[level].count == 0) return;
    version_overlap(&v->levels[level], low, high, &first, &count);
    for (uint32_t i = 0; i < count; i++) plan_add(p, v, level, first + i);
}

/* A table that nothing beside or below it overlaps goes down as it is. */
static bool may_move(const struct compaction_view *view, const struct compaction_plan *p,
                     const struct version_table *t) {
    const struct version *v = view->version;
    if (p->input_count != 1 || p->for_garbage || p->for_sweep) return false;
    if (p->level_output == LEVEL_LAST) return true;
    const struct version_level *below = &v->levels[p->level_output + 1];
    if (below->count == 0) return true;
    const uint64_t limit = COMPACTION_OVERLAP_TABLES_MAX * view->options->table_bytes;
    return version_overlap_bytes(below, t->ikey_min, t->ikey_max) <= limit;
}

/* ---- level 0 ---- */

/* The oldest table, if no other table of level 0 and none of the base overlaps it: what a
 * load in key order makes. */
static bool pick_level0_move(const struct compaction_view *view, uint32_t base,
                             struct compaction_plan *p) {
    const struct version_level *level = &view->version->levels[0];
    const struct version_table *t = &level->tables[level->count - 1];
    uint32_t first;
    uint32_t count = 0;
    if (is_bad(view, t)) return false;
    for (uint32_t i = 0; i + 1 < level->count; i++) {
        const struct version_table *other = &level->tables[i];
        if (bytes_compare(other->ikey_min, t->ikey_max) > 0) continue;
        if (bytes_compare(other->ikey_max, t->ikey_min) >= 0) return false;
    }
    const struct version_level *below = &view->version->levels[base];
    if (below->count > 0) version_overlap(below, t->ikey_min, t->ikey_max, &first, &count);
    if (count > 0) return false;
    p->kind = COMPACTION_MOVE;
    p->level_output = base;
    plan_add(p, view->version, 0, level->count - 1);
    return may_move(view, p, t);
}

/* The tables of level 0 that can be read, of at most so many bytes each. */
static void plan_level0(const struct compaction_view *view, uint64_t bytes_max,
                        uint32_t level_output, struct compaction_plan *p) {
    const struct version_level *level = &view->version->levels[0];
    p->input_count = 0;
    p->input_bytes = 0;
    p->kind = COMPACTION_MERGE;
    p->level_output = level_output;
    for (uint32_t i = 0; i < level->count; i++) {
        const struct version_table *t = &level->tables[i];
        if (t->bytes <= bytes_max && !is_bad(view, t)) plan_add(p, view->version, 0, i);
    }
}

static uint64_t largest_input(const struct version *v, const struct compaction_plan *p) {
    uint64_t largest = 0;
    for (uint32_t i = 0; i < p->input_count; i++) {
        const uint64_t bytes = v->levels[p->inputs[i].level].tables[p->inputs[i].index].bytes;
        if (bytes > largest) largest = bytes;
    }
    return largest;
}

/* No level below takes it: some of its tables become one. Those that are more than twice as large as all
 * smaller ones together stay, so that a record is written anew as often as tables have grown by that. */
static bool pick_within_level0(const struct compaction_view *view, struct compaction_plan *p) {
    uint64_t largest = UINT64_MAX;
    do {
        plan_level0(view, largest == UINT64_MAX ? largest : largest - 1, 0, p);
        largest = largest_input(view->version, p);
    } while (p->input_count > 1 && largest / 2 > p->input_bytes - largest);
    return p->input_count > 1;
}

/* All of level 0 (any part of it would be lawful: ballots decide, not age). A table of the base that
 * cannot be read is in the way of what it overlaps, as a rule all: a level above it, where nothing is
 * yet, takes it then. Else level 0 would fill, and writes would end. */
static bool pick_level0(const struct compaction_view *view, uint32_t base,
                        struct compaction_plan *p) {
    ASSERT(view->version->levels[0].count > 0);
    if (!p->for_garbage && !p->for_sweep && pick_level0_move(view, base, p)) return true;
    for (uint32_t level = base; level >= 1; level--) {
        plan_level0(view, UINT64_MAX, level, p);
        if (p->input_count == 0) return false;
        plan_add_overlap(p, view->version, level);
        if (!plan_is_bad(view, p)) return true;
    }
    return !p->for_garbage && !p->for_sweep && pick_within_level0(view, p);
}

/* ---- levels 1.. ---- */

/* Table `index` of `level` and what it overlaps in the next. */
static bool pick_table(const struct compaction_view *view, uint32_t level, uint32_t index,
                       struct compaction_plan *p) {
    ASSERT(level >= 1);
    ASSERT(level < LEVEL_LAST);
    p->input_count = 0;
    p->input_bytes = 0;
    p->kind = COMPACTION_MERGE;
    p->level_output = level + 1;
    plan_add(p, view->version, level, index);
    plan_add_overlap(p, view->version, level + 1);
    if (plan_is_bad(view, p)) return false;
    if (may_move(view, p, &view->version->levels[level].tables[index])) p->kind = COMPACTION_MOVE;
    return true;
}

/* The table that costs least: fewest bytes below for each byte moved. */
static bool pick_level(const struct compaction_view *view, uint32_t level,
                       struct compaction_plan *p) {
    const struct version_level *from = &view->version->levels[level];
    const struct version_level *to = &view->version->levels[level + 1];
    uint64_t best_cost = UINT64_MAX;
    uint32_t best = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        const struct version_table *t = &from->tables[i];
        if (is_bad(view, t)) continue;
        const uint64_t below = version_overlap_bytes(to, t->ikey_min, t->ikey_max);
        const uint64_t cost = below * 1024 / (t->bytes + 1);
        if (cost >= best_cost) continue;
        if (!pick_table(view, level, i, p)) continue;
        best_cost = cost;
        best = i;
    }
    return best_cost != UINT64_MAX && pick_table(view, level, best, p);
}

static bool pick_by_score(const struct compaction_view *view, struct compaction_plan *p) {
    uint64_t targets[ENGINE_LEVELS];
    uint64_t scores[ENGINE_LEVELS] = { 0 };
    uint32_t base;
    const struct version *v = view->version;
    compaction_targets(v, view->options, targets, &base);
    scores[0] = (uint64_t)v->levels[0].count * SCORE_DUE / view->options->level0_tables_compact;
    for (uint32_t l = base; l < LEVEL_LAST; l++)
        scores[l] = level_score(v->levels[l].bytes, targets[l]);

    /* Most urgent first; one that cannot be compacted must not hide the others. */
    for (uint32_t tries = 0; tries < ENGINE_LEVELS; tries++) {
        uint32_t level = 0;
        for (uint32_t l = 1; l < LEVEL_LAST; l++) {
            if (scores[l] > scores[level]) level = l;
        }
        if (scores[level] < SCORE_DUE || (level > 0 && scores[level] == SCORE_DUE)) return false;
        if (level == 0 ? pick_level0(view, base, p) : pick_level(view, level, p)) return true;
        scores[level] = 0;
    }
    return false;
}

/* ---- garbage ---- */

/* A table of one keyspace is dropped as a whole; of several, one or more may be truncated. */
static bool is_truncated_in_part(const struct compaction_view *view,
                                 const struct version_table *t) {
    const uint16_t first = ikey_keyspace(t->ikey_min);
    const uint16_t last = ikey_keyspace(t->ikey_max);
    uint64_t bytes = 0;
    for (uint32_t i = 0; first != last && i < view->floors->count; i++) {
        const struct floor *f = &view->floors->items[i];
        if (f->keyspace < first || f->keyspace > last) continue;
        if (ballot_compare(t->ballot_max, f->ballot) > 0) continue;
        bytes += table_keyspace_bytes(t->table, f->keyspace);
    }
    return bytes * TRUNCATED_SHARE >= t->bytes;
}

static bool is_garbage(const struct compaction_view *view, const struct version_table *t) {
    const struct table_properties *p = table_properties(t->table);
    if (view->wall_ms < t->garbage_due_ms || is_bad(view, t)) return false;
    if (is_truncated_in_part(view, t)) return true;
    if (ballot_compare(t->ballot_max, view->gc_floor) > 0) return false;
    if (p->tombstones > 0 && p->tombstones * 2 >= p->records) return true;
    return p->expiring * 2 >= p->records && p->expires_min_ms != 0 &&
           p->expires_min_ms <= view->expiry_ms;
}

/* Downwards if anything lies below; else in place. */
static bool pick_garbage_table(const struct compaction_view *view, uint32_t level, uint32_t index,
                               struct compaction_plan *p) {
    const struct version *v = view->version;
    p->for_garbage = true;
    if (level < LEVEL_LAST) {
        if (!pick_table(view, level, index, p)) return false;
        if (p->input_count > 1) return true;
    }
    p->input_count = 0;
    p->input_bytes = 0;
    p->kind = COMPACTION_MERGE;
    p->level_output = level;
    plan_add(p, v, level, index);
    return true;
}

static bool pick_garbage(const struct compaction_view *view, struct compaction_plan *p) {
    uint64_t targets[ENGINE_LEVELS];
    uint32_t base;
    compaction_targets(view->version, view->options, targets, &base);
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &view->version->levels[l];
        for (uint32_t i = 0; i < level->count; i++) {
            if (!is_garbage(view, &level->tables[i])) continue;
            p->for_garbage = true;
            if (l == 0 ? pick_level0(view, base, p) : pick_garbage_table(view, l, i, p))
                return true;
        }
    }
    p->for_garbage = false;
    return false;
}

/* ---- sweep ---- */

static bool is_unswept(const struct compaction_view *view, const struct version_table *t) {
    return t->sweep < view->sweep && !is_bad(view, t);
}

/* Level 0 goes down as a whole, as always; below it a few neighbours are written in place. */
static bool pick_sweep(const struct compaction_view *view, struct compaction_plan *p) {
    uint64_t targets[ENGINE_LEVELS];
    uint32_t base;
    if (view->sweep == 0) return false;
    compaction_targets(view->version, view->options, targets, &base);
    p->for_sweep = true;
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &view->version->levels[l];
        uint32_t i = 0;
        while (i < level->count && !is_unswept(view, &level->tables[i])) i++;
        if (i == level->count) continue;
        if (l == 0) {
            if (pick_level0(view, base, p)) return true;
            continue;
        }
        p->input_count = 0;
        p->input_bytes = 0;
        p->kind = COMPACTION_MERGE;
        p->level_output = l;
        for (; i < level->count && p->input_count < COMPACTION_SWEEP_TABLES_MAX; i++) {
            if (!is_unswept(view, &level->tables[i])) break;
            plan_add(p, view->version, l, i);
        }
        return true;
    }
    return false;
}

/* ---- truncation ---- */

static bool is_truncated(const struct compaction_view *view, const struct version_table *t) {
    const uint16_t keyspace = ikey_keyspace(t->ikey_min);
    if (view->floors->count == 0) return false;
    if (keyspace != ikey_keyspace(t->ikey_max)) return false;
    return ballot_compare(t->ballot_max, floors_get(view->floors, keyspace)) <= 0;
}

static bool pick_truncated(const struct compaction_view *view, struct compaction_plan *p) {
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        const struct version_level *level = &view->version->levels[l];
        for (uint32_t i = 0; i < level->count; i++) {
            if (is_truncated(view, &level->tables[i])) plan_add(p, view->version, l, i);
        }
    }
    p->kind = COMPACTION_DROP;
    return p->input_count > 0;
}

/* ---- everything ---- */

static bool pick_everything(const struct compaction_view *view, struct compaction_plan *p) {
    const struct version *v = view->version;
    uint32_t above = 0;
    uint64_t droppable = 0;
    for (uint32_t l = 0; l < ENGINE_LEVELS; l++) {
        for (uint32_t i = 0; i < v->levels[l].count; i++) {
            const struct table_properties *t = table_properties(v->levels[l].tables[i].table);
            above += l < LEVEL_LAST;
            droppable += t->tombstones + t->expiring;
            plan_add(p, v, l, i);
        }
    }
    p->kind = COMPACTION_MERGE;
    p->level_output = LEVEL_LAST;
    p->everything = true;
    if (above == 0 && droppable == 0 && view->floors->count == 0) return false;
    return p->input_count > 0 && !plan_is_bad(view, p);
}

bool compaction_pick(const struct compaction_view *view, struct compaction_plan *ret_plan) {
    struct compaction_plan p = { 0 };
    ASSERT(view->options->level0_tables_compact > 0);
    ASSERT(view->options->table_bytes > 0);
    bool found = pick_truncated(view, &p);
    if (!found) found = view->everything ? pick_everything(view, &p) : pick_by_score(view, &p);
    if (!found) {
        compaction_plan_deinit(&p);
        found = !view->everything && pick_garbage(view, &p);
    }
    if (!found) {
        compaction_plan_deinit(&p);
        found = !view->everything && pick_sweep(view, &p);
    }
    if (!found) {
        compaction_plan_deinit(&p);
        return false;
    }
    ASSERT(p.input_count > 0);
    *ret_plan = p;
    return true;
}

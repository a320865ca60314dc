/* What the nodes hold in the end, read from their engines, and the verdict. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sim/world_internal.h"

#include <stdlib.h>

struct rows {
    struct check_row *all;
    uint32_t count;
    uint32_t capacity; /* of `all` */
};

static void rows_add(struct rows *rows, const struct check_row *row) {
    ASSERT(rows->count <= rows->capacity);
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity == 0 ? 256 : rows->capacity * 2;
        rows->all = mem_realloc(rows->all, rows->capacity * sizeof *rows->all);
    }
    rows->all[rows->count++] = *row;
}

static void read_record(struct world *w, const struct world_node *n, const struct record *r,
                        struct rows *rows) {
    const struct bytes key = ikey_key(r->ikey);
    const uint64_t wall_ms = SIM_WALL_START_MS + w->now_ns / NS_A_MS;
    struct check_row row = { .node = n->index, .ballot = r->ballot, .flags = r->flags };
    row.key = history_find_key(&w->history, key.ptr, key.len);
    if (row.key == HISTORY_NONE) {
        findings_add(&w->findings, "node %u holds a key of %zu bytes that nobody wrote",
                     n->index + 1, key.len);
        return;
    }
    row.absent = record_is_absent(r, wall_ms);
    row.expires_at_ms = r->expires_at_ms;
    row.value = (r->flags & RECORD_TOMBSTONE) != 0 ? 0 : workload_judge(r->value, row.key);
    row.foreign = (r->flags & RECORD_TOMBSTONE) == 0 && row.value == 0;
    row.value_hash = hash_xxh3(r->value);
    rows_add(rows, &row);
}

/* Errors  ST_CORRUPT, ST_IO */
static STATUS read_engine(struct world *w, const struct world_node *n, struct engine *e,
                          struct rows *rows) {
    uint8_t space[8];
    struct engine_iterator *it = engine_iterator_create(e, true);
    struct status st = engine_iterator_seek(it, ikey_make(0, BYTES_NONE, space));
    while (status_ok(st) && engine_iterator_valid(it)) {
        const struct record *r = engine_iterator_record(it);
        /* Other keyspaces are the node's own notes. */
        if (ikey_keyspace(r->ikey) != 0) break;
        read_record(w, n, r, rows);
        st = engine_iterator_next(it);
    }
    engine_iterator_destroy(it);
    return st;
}

static int row_order(const void *a, const void *b) {
    const struct check_row *x = a;
    const struct check_row *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

struct check_row *world_rows(struct world *w, uint32_t *ret_count) {
    struct rows rows = { 0 };
    ASSERT(w->running == NULL);
    const uint64_t members = world_members(w);
    for (uint32_t i = 0; i < scenario_keepers(w->scenario); i++) {
        const struct world_node *n = &w->nodes[i];
        if ((members >> i & 1) == 0) continue;
        if (n->state != NODE_UP) {
            findings_add(&w->findings, "node %u is not up in the end", i + 1);
            continue;
        }
        for (uint32_t k = 0; k < n->process->node.shards_count; k++) {
            const struct status st = read_engine(w, n, n->process->node.shards[k]->engine, &rows);
            if (!status_ok(st))
                findings_add(&w->findings, "shard %u of node %u cannot be read in the end: %s", k,
                             i + 1, status_name(st));
        }
    }
    if (rows.count > 0) qsort(rows.all, rows.count, sizeof *rows.all, row_order);
    *ret_count = rows.count;
    return rows.all;
}

void world_check(struct world *w, struct world_findings *ret_findings) {
    ASSERT(w->settled_ns != 0);
    ASSERT(history_check(&w->history));
    uint32_t count = 0;
    world_control_check(w);
    struct check_row *rows = world_rows(w, &count);
    const struct check check = {
        .history = &w->history,
        .rows = rows,
        .rows_count = count,
        .nodes = scenario_machines(w->scenario),
        .asked = world_members(w) | scenario_proxy_bits(w->scenario),
        .copies = w->scenario->replicas,
        /* Two clocks take part in an expiry, and the answer takes a while to arrive. */
        .clock_spread_ms = 2 * w->skew_ms_max + CLOCK_SPREAD_MS_MIN,
        .settled_ns = w->settled_ns,
    };
    ret_findings->count = 0;
    for (uint32_t i = 0; i < CHECK_KINDS; i++) {
        struct findings *f = &ret_findings->by_check[i];
        findings_init(f);
        check_kinds[i].run(&check, f);
        ret_findings->names[i] = check_kinds[i].name;
        ret_findings->count += f->count;
    }
    ret_findings->by_check[CHECK_KINDS] = w->findings;
    ret_findings->names[CHECK_KINDS] = "nodes";
    ret_findings->count += w->findings.count;
    mem_free(rows);
}

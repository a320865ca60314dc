#include "shard/lookup.h"

#include "base/assert.h"
#include "shard/coordinate.h"
#include "shard/hint.h"
#include "shard/inspect.h"
#include "shard/repair.h"
#include "shard/replica.h"
#include "shard/shard.h"

static void lookup_run(struct os_job *job) {
    struct lookup *l = LIST_ENTRY(job, struct lookup, fetch);
    l->fetched = table_fetch_block(&l->read.fetch, &l->read.fetched);
}

static void lookup_done(struct os_job *job) {
    struct lookup *l = LIST_ENTRY(job, struct lookup, fetch);
    struct shard *s = l->shard;
    ASSERT(l->fetching);
    l->fetching = false;
    if (!status_ok(l->fetched)) s->fetches_failed++;
    list_append(&s->found, &l->link);
}

STATUS lookup_begin(struct shard *s, struct lookup *l, struct bytes ikey) {
    ASSERT(!l->fetching);
    ASSERT(s->engine != NULL);
    if (!status_ok(l->fetched)) {
        lookup_end(s, l);
        return status_of(ST_CORRUPT);
    }
    const struct status st = engine_get(s->engine, ikey, false, &l->read);
    if (st.code != ST_WAIT) {
        if (status_ok(st) || st.code == ST_NOT_FOUND) return st;
        return status_of(ST_CORRUPT);
    }
    l->shard = s;
    l->fetching = true;
    l->fetch = (struct os_job){ .loop = s->loop, .run = lookup_run, .done = lookup_done };
    os_pool_submit(s->node->pool, OS_JOB_READ, &l->fetch);
    return st;
}

void lookup_end(struct shard *s, struct lookup *l) {
    ASSERT(!l->fetching);
    if (s->engine != NULL) engine_read_deinit(s->engine, &l->read);
    l->fetched = status_of(ST_OK);
}

void lookups_resume(struct shard *s) {
    for (struct list *n = list_take_first(&s->found); n != NULL; n = list_take_first(&s->found)) {
        struct lookup *l = LIST_ENTRY(n, struct lookup, link);
        switch (l->kind) {
        case LOOKUP_COORDINATION: coordinate_found(s, l->owner); break;
        case LOOKUP_QUERY: replica_found(s, l); break;
        case LOOKUP_HINT: hint_found(s, l); break;
        case LOOKUP_REPAIR: repair_found(s, l); break;
        case LOOKUP_INSPECTION: inspect_found(s, l->owner); break;
        }
    }
}

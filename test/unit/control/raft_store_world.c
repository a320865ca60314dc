#include "test/unit/control/raft_store_world.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>

#define EVENTS_MAX 16u
#define DATA_BYTES_MAX 9000u

static const uint8_t cluster[RAFT_STORE_CLUSTER_BYTES] = "a cluster's own";

/* ---- content ---- */

static size_t fill(uint64_t index, uint64_t term, uint8_t *p) {
    struct sim_random random = sim_random_of(index * 1000003 + term);
    const uint64_t dice = sim_random_below(&random, 32);
    size_t len = (size_t)sim_random_below(&random, 200);
    if (dice == 0) len = (size_t)sim_random_below(&random, DATA_BYTES_MAX);
    if (dice == 1) len = 0;
    for (size_t i = 0; i < len; i++) p[i] = (uint8_t)sim_random_next(&random);
    return len;
}

static struct raft_entry entry_of(uint64_t index, uint64_t term, uint8_t *space) {
    const size_t len = fill(index, term, space);
    return (struct raft_entry){ .index = index,
                                .term = term,
                                .kind = len == 0 ? RAFT_ENTRY_EMPTY : RAFT_ENTRY_DATA,
                                .data = bytes_of(space, len) };
}

static struct raft_snapshot snapshot_of(uint64_t index, uint64_t term, uint8_t *config,
                                        uint8_t *data) {
    const struct raft_config c = { .voter_count = 2, .voters = { 1, 2 + (uint32_t)(index % 5) } };
    const size_t len = fill(index * 7, term, data);
    return (struct raft_snapshot){ .index = index,
                                   .term = term,
                                   .config = bytes_of(config, raft_config_encode(&c, config)),
                                   .data = bytes_of(data, len) };
}

/* ---- life ---- */

void store_world_init(struct store_world *w, struct sim_disk *disk, uint64_t seed) {
    *w = (struct store_world){ .disk = disk, .rewrite_bytes = 4096 };
    if (disk == NULL) {
        w->disk = sim_disk_create(seed);
        w->disk_owned = true;
    }
    w->os = sim_os_create(seed, w->disk);
    w->loop = os_loop_create(w->os);
    if (disk == NULL) {
        ASSERT(status_ok(os_dir_create(w->os, "/data")));
        ASSERT(status_ok(os_dir_sync(w->os, "/")));
    }
    const uint32_t threads[OS_JOB_KINDS] = { 1, 1, 1 };
    w->pool = os_pool_create(w->os, threads);
    for (uint32_t i = 0; i < 2; i++) w->lent[i] = mem_alloc(DATA_BYTES_MAX);
}

void store_world_deinit(struct store_world *w) {
    store_world_close(w);
    os_pool_destroy(w->pool);
    os_loop_destroy(w->loop);
    os_destroy(w->os);
    if (w->disk_owned) sim_disk_destroy(w->disk);
    for (uint32_t i = 0; i < 2; i++) mem_free(w->lent[i]);
}

static void on_done(void *user, const struct raft_store_done *done) {
    struct store_world *w = user;
    ASSERT(done->mark.sequence >= w->version_durable);
    ASSERT(done->mark.sequence <= w->version);
    ASSERT(done->applied >= w->applied_durable);
    w->done_count++;
    w->version_durable = (uint32_t)done->mark.sequence;
    w->applied_durable = done->applied;
    if (done->snapshot_index != 0) {
        ASSERT(done->snapshot_index == w->made_open);
        w->snapshot_durable = done->snapshot_index;
        w->made_open = 0;
    }
    if (done->install_index != 0) {
        ASSERT(done->install_index == w->install_open);
        w->snapshot_durable = done->install_index;
        w->install_open = 0;
        if (w->applied < done->install_index) w->applied = done->install_index;
        for (uint32_t i = 0; i <= w->version; i++) w->versions[i].before = 0;
    }
}

static struct raft_store_options options_of(struct store_world *w) {
    return (struct raft_store_options){
        .os = w->os,
        .loop = w->loop,
        .pool = w->pool,
        .dir = WORLD_DIR,
        .done = on_done,
        .user = w,
        .rewrite_bytes = w->rewrite_bytes,
    };
}

STATUS store_world_create(struct store_world *w, bool with_snapshot) {
    ASSERT(w->store == NULL);
    const struct raft_store_options options = options_of(w);
    const struct raft_store_owner owner = { .member = WORLD_MEMBER };
    struct raft_snapshot snapshot = { .index = 0 };
    uint8_t config[RAFT_CONFIG_BYTES_MAX], data[DATA_BYTES_MAX];
    struct store_version *first = &w->versions[0];
    if (with_snapshot) {
        snapshot = snapshot_of(RAFT_BOOT_INDEX, RAFT_BOOT_TERM, config, data);
        first->last = RAFT_BOOT_INDEX;
        first->terms[RAFT_BOOT_INDEX] = RAFT_BOOT_TERM;
        w->applied = w->snapshot = RAFT_BOOT_INDEX;
    }
    TRY(raft_store_create(&options, &owner, &snapshot, &w->store));
    w->applied_durable = w->snapshot_durable = w->snapshot;
    w->created = true;
    return status_of(ST_OK);
}

void store_world_inherit(struct store_world *w, const struct store_world *before) {
    memcpy(w->versions, before->versions, sizeof w->versions);
    w->version = before->version;
    w->version_durable = before->version_durable;
    w->applied = before->applied;
    w->applied_durable = before->applied_durable;
    w->snapshot = before->snapshot;
    w->snapshot_durable = before->snapshot_durable;
    w->created = before->created;
    w->rewrite_bytes = before->rewrite_bytes;
}

static bool log_equals(const struct store_version *v, const struct raft_store_restored *found) {
    if (found->snapshot.index + found->entry_count != v->last) return false;
    if (found->snapshot.index < v->floor) return false;
    if (found->snapshot.term != v->terms[found->snapshot.index]) return false;
    for (size_t i = 0; i < found->entry_count; i++) {
        if (found->entries[i].term != v->terms[found->entries[i].index]) return false;
    }
    return true;
}

static bool version_equals(const struct store_world *w, uint32_t number,
                           const struct raft_store_restored *found) {
    const struct store_version *v = &w->versions[number];
    const bool known = memcmp(found->owner.cluster, cluster, sizeof cluster) == 0;
    if (known != v->cluster_known) return false;
    if (found->hard.term != v->hard.term || found->hard.vote != v->hard.vote) return false;
    if (log_equals(v, found)) return true;
    /* Hard state that was added behind an installation may be written before it. */
    return v->before != 0 && log_equals(&w->versions[v->before - 1], found);
}

static const char *compare_content(const struct raft_store_restored *found) {
    uint8_t config[RAFT_CONFIG_BYTES_MAX], data[DATA_BYTES_MAX];
    if (found->owner.member != WORLD_MEMBER) return "another owner";
    if (found->snapshot.index > 0) {
        const struct raft_snapshot s =
            snapshot_of(found->snapshot.index, found->snapshot.term, config, data);
        if (!bytes_equal(s.config, found->snapshot.config)) return "another config";
        if (!bytes_equal(s.data, found->snapshot.data)) return "another snapshot";
    }
    for (size_t i = 0; i < found->entry_count; i++) {
        const struct raft_entry *e = &found->entries[i];
        if (e->index != found->snapshot.index + 1 + i) return "a gap in the log";
        const struct raft_entry wanted = entry_of(e->index, e->term, data);
        if (e->kind != wanted.kind || !bytes_equal(e->data, wanted.data)) return "another entry";
    }
    return NULL;
}

const char *store_world_compare(const struct store_world *w,
                                const struct raft_store_restored *found, uint32_t *ret_version) {
    const char *wrong = compare_content(found);
    if (wrong != NULL) return wrong;
    if (found->applied < w->applied_durable) return "it is behind what was applied";
    if (found->applied > w->applied && found->applied > found->snapshot.index)
        return "it was not applied";
    if (found->applied > found->snapshot.index + found->entry_count) return "applied what is lost";
    if (found->snapshot.index < w->snapshot_durable) return "the snapshot is lost";
    if (found->snapshot.index > w->snapshot) return "a snapshot of nobody";
    for (uint32_t i = w->version; i + 1 > w->version_durable; i--) {
        if (!version_equals(w, i, found)) continue;
        *ret_version = i;
        return NULL;
    }
    for (uint32_t i = 0; i < w->version_durable; i++) {
        if (version_equals(w, i, found)) return "something durable is lost";
    }
    return "not what it was at any time";
}

const char *store_world_open(struct store_world *w, struct status *ret_status) {
    ASSERT(w->store == NULL);
    const struct raft_store_options options = options_of(w);
    struct raft_store_restored found;
    const struct status s = raft_store_open(&options, &found, &w->store);
    *ret_status = s;
    if (!status_ok(s)) return NULL;
    uint32_t version = 0;
    const char *wrong = store_world_compare(w, &found, &version);
    if (wrong == NULL) { /* what was found is the first version of this life */
        struct store_version first = w->versions[version];
        if (first.before != 0 && !log_equals(&first, &found)) {
            const struct raft_hard_state hard = first.hard;
            const bool known = first.cluster_known;
            first = w->versions[first.before - 1];
            first.hard = hard;
            first.cluster_known = known;
        }
        first.before = 0;
        w->versions[0] = first;
        w->version = w->version_durable = 0;
        w->applied = w->applied_durable = found.applied;
        w->snapshot = w->snapshot_durable = found.snapshot.index;
        w->made_open = w->install_open = 0;
        w->created = true;
    }
    raft_store_restored_deinit(&found);
    return wrong;
}

void store_world_close(struct store_world *w) {
    if (w->store == NULL) return;
    while (store_world_pump(w, UINT32_MAX) > 0) continue;
    raft_store_close(w->store);
    w->store = NULL;
}

const char *store_world_restart(struct store_world *w, uint64_t seed) {
    static struct store_world before;
    struct status s;
    store_world_close(w);
    before = *w;
    w->disk_owned = false;
    store_world_deinit(w);
    store_world_init(w, before.disk, seed);
    store_world_inherit(w, &before);
    w->disk_owned = before.disk_owned;
    const char *wrong = store_world_open(w, &s);
    return wrong == NULL && !status_ok(s) ? status_name(s) : wrong;
}

uint32_t store_world_pump(struct store_world *w, uint32_t max) {
    uint32_t done = 0;
    struct os_event events[EVENTS_MAX];
    while (done < max) {
        /* The simulated loop gives one job at a time. */
        const uint32_t count = os_loop_wait(w->loop, 0, events, EVENTS_MAX);
        if (count == 0) break;
        for (uint32_t i = 0; i < count; i++) {
            ASSERT(events[i].kind == OS_EVENT_JOB);
            events[i].job->done(events[i].job);
            done++;
        }
    }
    return done;
}

void store_world_settle(struct store_world *w) {
    raft_store_flush(w->store);
    while (store_world_pump(w, UINT32_MAX) > 0) raft_store_flush(w->store);
    ASSERT(raft_store_is_idle(w->store));
    ASSERT(w->version_durable == w->version);
}

static char names[512];

static void add_name(void *user, const char *name) {
    size_t *len = user;
    const int wrote = snprintf(names + *len, sizeof names - *len, "%s ", name);
    ASSERT(wrote > 0 && (size_t)wrote < sizeof names - *len);
    *len += (size_t)wrote;
}

const char *store_world_names(const struct store_world *w) {
    size_t len = 0;
    names[0] = '\0';
    ASSERT(status_ok(sim_disk_list(w->disk, WORLD_DIR, add_name, &len)));
    return names;
}

/* ---- changes ---- */

const struct store_version *store_world_now(const struct store_world *w) {
    return &w->versions[w->version];
}

static struct store_version *next_version(struct store_world *w) {
    ASSERT(w->version + 1 < WORLD_VERSIONS_MAX);
    w->versions[w->version + 1] = w->versions[w->version];
    return &w->versions[++w->version];
}

static void mark(struct store_world *w) {
    raft_store_mark(
        w->store, (struct raft_mark){ .sequence = w->version, .index = store_world_now(w)->last });
}

void store_world_hard(struct store_world *w, uint64_t term, uint32_t vote) {
    struct store_version *v = next_version(w);
    v->hard = (struct raft_hard_state){ term, vote };
    raft_store_hard(w->store, v->hard);
    mark(w);
}

void store_world_append(struct store_world *w, uint64_t term) {
    uint8_t data[DATA_BYTES_MAX];
    struct store_version *v = next_version(w);
    ASSERT(v->last + 1 < WORLD_INDEX_MAX);
    v->terms[++v->last] = term;
    const struct raft_entry e = entry_of(v->last, term, data);
    raft_store_append(w->store, &e);
    mark(w);
}

void store_world_truncate(struct store_world *w, uint64_t index) {
    struct store_version *v = next_version(w);
    v->last = index - 1;
    raft_store_truncate(w->store, index);
    mark(w);
}

void store_world_cluster(struct store_world *w) {
    next_version(w)->cluster_known = true;
    raft_store_cluster(w->store, cluster);
    mark(w);
}

void store_world_applied(struct store_world *w, uint64_t index) {
    if (index > w->applied) w->applied = index;
    raft_store_applied(w->store, index);
}

void store_world_snapshot(struct store_world *w, uint64_t index) {
    uint8_t config[RAFT_CONFIG_BYTES_MAX];
    const struct raft_snapshot s =
        snapshot_of(index, store_world_now(w)->terms[index], config, w->lent[0]);
    w->made_open = w->snapshot = index;
    if (w->applied < index) w->applied = index;
    raft_store_snapshot(w->store, &s);
    memset(config, 0xee, sizeof config); /* it is copied */
}

void store_world_install(struct store_world *w, uint64_t index, uint64_t term) {
    uint8_t config[RAFT_CONFIG_BYTES_MAX];
    const struct raft_snapshot s = snapshot_of(index, term, config, w->lent[1]);
    const uint32_t before = w->version;
    struct store_version *v = next_version(w);
    v->before = before + 1;
    v->installs++;
    v->last = v->floor = index;
    v->terms[index] = term;
    w->install_open = w->snapshot = index;
    raft_store_install(w->store, &s);
    memset(config, 0xee, sizeof config);
    mark(w);
}

static void change_log(struct store_world *w, struct sim_random *random) {
    const struct store_version *v = store_world_now(w);
    const uint64_t committed = w->applied > w->snapshot ? w->applied : w->snapshot;
    if (v->last > committed && sim_random_chance(random, 1, 6))
        store_world_truncate(w, committed + 1 + sim_random_below(random, v->last - committed));
    uint64_t count = sim_random_below(random, 4);
    while (count-- > 0 && store_world_now(w)->last + 8 < WORLD_INDEX_MAX) {
        const uint64_t term = store_world_now(w)->hard.term;
        store_world_append(w, term == 0 ? 1 : term);
    }
}

void store_world_change(struct store_world *w, struct sim_random *random) {
    const struct store_version *v = store_world_now(w);
    const uint64_t dice = sim_random_below(random, 16);
    if (dice < 2) {
        store_world_hard(w, v->hard.term + 1, (uint32_t)sim_random_below(random, 3));
    } else if (dice == 2 && v->hard.term > 0 && v->hard.vote == 0) {
        store_world_hard(w, v->hard.term, 2);
    } else if (dice == 3 && !v->cluster_known) {
        store_world_cluster(w);
    } else if (w->install_open != 0) {
        return;
    } else if (dice < 7 && v->last > w->applied) {
        store_world_applied(w, w->applied + 1 + sim_random_below(random, v->last - w->applied));
    } else if (dice == 7 && w->made_open == 0 && w->applied > w->snapshot) {
        store_world_snapshot(w, w->applied);
    } else if (dice == 8 && sim_random_chance(random, 1, 2) && v->last + 8 < WORLD_INDEX_MAX) {
        const uint64_t term = v->hard.term > v->terms[v->last] ? v->hard.term : v->terms[v->last];
        store_world_install(w, v->last + 1 + sim_random_below(random, 4), term + 1);
        store_world_hard(w, term + 1, 0);
    } else {
        change_log(w, random);
    }
}

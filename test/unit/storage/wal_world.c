#include "test/unit/storage/wal_world.h"

#include "base/assert.h"
#include "sim/random.h"

#define EVENTS_MAX 16u

void world_init(struct wal_world *v, struct sim_disk *disk, uint64_t seed) {
    *v = (struct wal_world){ .segment_bytes = 8192, .disk = disk };
    if (disk == NULL) {
        v->disk = sim_disk_create(seed);
        v->disk_owned = true;
    }
    v->os = sim_os_create(seed, v->disk);
    v->loop = os_loop_create(v->os);
    const uint32_t threads[OS_JOB_KINDS] = { 1, 1, 1 };
    v->pool = os_pool_create(v->os, threads);
    const struct status s = os_dir_create(v->os, WORLD_DIR);
    if (status_ok(s)) ASSERT(status_ok(os_dir_sync(v->os, "/")));
}

void world_deinit(struct wal_world *v) {
    world_close(v);
    os_pool_destroy(v->pool);
    os_loop_destroy(v->loop);
    os_destroy(v->os);
    if (v->disk_owned) sim_disk_destroy(v->disk);
}

/* Mostly small, some about a page, a few larger than a segment of 8 KiB. */
static size_t value_len(struct sim_random *random) {
    const uint64_t dice = sim_random_below(random, 64);
    if (dice == 0) return 8000 + (size_t)sim_random_below(random, WORLD_VALUE_BYTES_MAX - 8000);
    if (dice < 4) return (size_t)sim_random_below(random, 5000);
    return (size_t)sim_random_below(random, 200);
}

struct record world_record(uint64_t number, uint8_t *space) {
    struct sim_random random = sim_random_of(number);
    const size_t len = value_len(&random);
    for (size_t i = 0; i < len; i++) space[i] = (uint8_t)sim_random_next(&random);

    uint8_t *ikey = space + WORLD_VALUE_BYTES_MAX;
    uint8_t key[8];
    put_u64_le(key, number);
    struct record r = {
        .ikey = ikey_make((uint16_t)number, bytes_of(key, 1 + number % 8), ikey),
        .ballot = { number + 1, (uint32_t)(number % 3), 7 },
        .expires_at_ms = number % 5 == 0 ? number + 1 : 0,
        .op = { number % 7 == 0 ? number : 0, number % 2 },
        .value = bytes_of(space, len),
    };
    if (len == 0) r.flags = RECORD_TOMBSTONE;
    return r;
}

static bool records_equal(const struct record *a, const struct record *b) {
    if (!bytes_equal(a->ikey, b->ikey) || !bytes_equal(a->value, b->value)) return false;
    if (ballot_compare(a->ballot, b->ballot) != 0 || a->flags != b->flags) return false;
    return a->expires_at_ms == b->expires_at_ms && a->op.high == b->op.high &&
           a->op.low == b->op.low;
}

static struct status check_replayed(void *user, const struct record *r, uint64_t sequence) {
    struct wal_world *v = user;
    uint8_t space[WORLD_VALUE_BYTES_MAX + 64];
    const struct record wanted = world_record(v->replayed, space);
    if (!records_equal(r, &wanted) || v->replayed >= WORLD_RECORDS_MAX) {
        v->replay_wrong = true;
        return status_of(ST_INVALID);
    }
    v->sequences[v->replayed++] = sequence;
    return status_of(ST_OK);
}

STATUS world_open(struct wal_world *v) {
    ASSERT(v->wal == NULL);
    const struct wal_options options = {
        .os = v->os,
        .loop = v->loop,
        .pool = v->pool,
        .dir = WORLD_DIR,
        .sync = v->sync,
        .segment_bytes = v->segment_bytes,
    };
    v->replayed = v->floor;
    v->replay_wrong = false;
    TRY(wal_open(&options, v->first_segment, check_replayed, v, &v->wal));
    v->count = v->replayed;
    return status_of(ST_OK);
}

void world_close(struct wal_world *v) {
    if (v->wal == NULL) return;
    while (world_pump(v, UINT32_MAX) > 0) continue;
    wal_close(v->wal);
    v->wal = NULL;
}

uint32_t world_pump(struct wal_world *v, uint32_t max) {
    uint32_t done = 0;
    struct os_event events[EVENTS_MAX];
    while (done < max) {
        /* The simulated loop gives one job at a time. */
        const uint32_t count = os_loop_wait(v->loop, 0, events, EVENTS_MAX);
        if (count == 0) break;
        for (uint32_t i = 0; i < count; i++) {
            ASSERT(events[i].kind == OS_EVENT_JOB);
            events[i].job->done(events[i].job);
            done++;
        }
    }
    return done;
}

STATUS world_append(struct wal_world *v) {
    ASSERT(v->count < WORLD_RECORDS_MAX);
    uint8_t space[WORLD_VALUE_BYTES_MAX + 64];
    const struct record r = world_record(v->count, space);
    TRY(wal_append(v->wal, &r, &v->sequences[v->count]));
    v->count++;
    return status_of(ST_OK);
}

STATUS world_append_waiting(struct wal_world *v) {
    for (;;) {
        const struct status s = world_append(v);
        if (s.code != ST_BUSY) return s;
        wal_commit(v->wal, false);
        wal_prepare(v->wal);
        ASSERT(world_pump(v, 1) > 0); /* else it would be busy for ever */
    }
}

void world_settle(struct wal_world *v, bool force_sync) {
    do {
        wal_commit(v->wal, force_sync);
        wal_prepare(v->wal);
    } while (world_pump(v, UINT32_MAX) > 0);
}

uint64_t world_acknowledged(const struct wal_world *v) {
    uint64_t count = v->floor;
    while (count < v->count && v->sequences[count] <= wal_acknowledged(v->wal)) count++;
    return count;
}

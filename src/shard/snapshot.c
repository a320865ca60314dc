#include "shard/snapshot.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/flat_json.h"
#include "shard/shard.h"

#include <inttypes.h>
#include <stdio.h>

#define CHUNK_BYTES (256u * 1024) /* of text; a pair may pass it */
#define CHUNK_RECORDS 4096u       /* looked at for a chunk: most may be deleted ones */

static const uint32_t next[SNAPSHOT_STATES] = {
    [SNAPSHOT_IDLE] = 1u << SNAPSHOT_OPENING,
    [SNAPSHOT_OPENING] = 1u << SNAPSHOT_WRITING | 1u << SNAPSHOT_IDLE, /* IDLE: no file */
    [SNAPSHOT_WRITING] = 1u << SNAPSHOT_ENDING,
    [SNAPSHOT_ENDING] = 1u << SNAPSHOT_IDLE,
};

static const uint32_t part_next[SNAPSHOT_PART_STATES] = {
    [SNAPSHOT_PART_IDLE] = 1u << SNAPSHOT_PART_FLUSHING,
    /* IDLE, here and below: the round has failed. */
    [SNAPSHOT_PART_FLUSHING] = 1u << SNAPSHOT_PART_READY | 1u << SNAPSHOT_PART_IDLE,
    [SNAPSHOT_PART_READY] = 1u << SNAPSHOT_PART_WRITING | 1u << SNAPSHOT_PART_IDLE,
    [SNAPSHOT_PART_WRITING] = 1u << SNAPSHOT_PART_IDLE,
};

static void move(struct snapshot *n, enum snapshot_state state) {
    ASSERT((next[n->state] & 1u << state) != 0);
    n->state = state;
}

static void part_move(struct snapshot_part *p, enum snapshot_part_state state) {
    ASSERT((part_next[p->state] & 1u << state) != 0);
    p->state = state;
}

struct snapshot *snapshot_create(const struct snapshot_options *options) {
    ASSERT(options->interval_ms > 0 && options->keep > 0);
    ASSERT(options->shards > 0);
    struct snapshot *n = mem_alloc_zeroed(sizeof *n);
    n->options = *options;
    const int len = snprintf(n->dir, sizeof n->dir, "%s/" SNAPSHOT_FOLDER, n->options.data_dir);
    ASSERT(len > 0 && (size_t)len < sizeof n->dir);
    n->parts = mem_alloc_zeroed(options->shards * sizeof *n->parts);
    for (uint32_t i = 0; i < options->shards; i++) {
        n->parts[i].snapshot = n;
        buffer_init(&n->parts[i].text, CHUNK_BYTES + FLAT_JSON_PAIR_BYTES_MAX);
    }
    atomic_store(&n->turn, options->shards);
    n->due_ms = os_mono_ns(options->os) / 1000000 + options->interval_ms;
    if (!status_ok(snapshot_file_clean(options->os, n->dir)))
        log_warn("%s cannot be made or cleaned; each snapshot tries again", n->dir);
    return n;
}

void snapshot_destroy(struct snapshot *n) {
    if (n == NULL) return;
    ASSERT(n->state == SNAPSHOT_IDLE);
    for (uint32_t i = 0; i < n->options.shards; i++) {
        ASSERT(n->parts[i].state == SNAPSHOT_PART_IDLE);
        buffer_deinit(&n->parts[i].text);
    }
    mem_free(n->parts);
    mem_free(n);
}

bool snapshot_part_check(const struct snapshot_part *p) {
    if (p->snapshot == NULL || p->state >= SNAPSHOT_PART_STATES) return false;
    const bool has_image = p->state == SNAPSHOT_PART_READY || p->state == SNAPSHOT_PART_WRITING;
    return has_image == (p->image.version != NULL);
}

static bool is_stopping(const struct shard *s) {
    return s->stop_deadline_ms != 0 || atomic_load(&s->node->stopping);
}

/* Whoever is next looks at it in its next turn, which is now. */
static void pass_turn(struct shard *s, uint32_t turn) {
    struct snapshot *n = s->node->snapshot;
    ASSERT(turn <= n->options.shards);
    atomic_store(&n->turn, turn);
    os_loop_wake(s->node->shards[turn == n->options.shards ? 0 : turn]->loop);
}

/* Requires  it is the part's turn, and no job of it runs */
static void fail(struct snapshot_part *p, enum status_code code) {
    struct snapshot *n = p->snapshot;
    ASSERT(code != ST_OK);
    atomic_store(&n->failed, (int)code);
    pass_turn(p->shard, n->options.shards);
}

/* ---- a part ---- */

/* Only slots that the node answers for: what is on its way here is another's until it is here. */
static void note_slots(struct snapshot_part *p) {
    const struct shard *s = p->shard;
    const struct membership *m = s->members;
    p->all_slots = s->keeps_all && !s->only_joins;
    if (p->all_slots) return;
    memset(p->slots, 0, sizeof p->slots);
    for (uint32_t slot = 0; slot < SLOTS && m->self != MEMBER_NONE; slot++) {
        if (membership_place(m, slot, m->self) >= 0)
            p->slots[slot / 8] |= (uint8_t)(1u << slot % 8);
    }
}

static void begin_part(struct snapshot_part *p, uint64_t round) {
    p->round = round;
    p->mark = engine_image_want(p->shard->engine);
    part_move(p, SNAPSHOT_PART_FLUSHING);
}

static void end_part(struct snapshot_part *p) {
    engine_image_deinit(&p->image);
    buffer_shrink(&p->text, 0);
    part_move(p, SNAPSHOT_PART_IDLE);
    ASSERT(snapshot_part_check(p));
}

static void take_image(struct snapshot_part *p) {
    engine_image_init(&p->image, p->shard->engine);
    p->positioned = false;
    p->ended = false;
    p->now_ms = p->shard->turn_wall_ms;
    note_slots(p);
    part_move(p, SNAPSHOT_PART_READY);
}

static bool is_wanted(const struct snapshot_part *p, const struct record *r) {
    if (record_is_absent(r, p->now_ms)) return false;
    if (p->all_slots) return true;
    const uint32_t slot = crc16_slot(ikey_key(r->ikey));
    return (p->slots[slot / 8] >> slot % 8 & 1) != 0;
}

static void append_pair(struct snapshot_part *p, const struct record *r) {
    struct snapshot *n = p->snapshot;
    const struct flat_json_pair pair = { .key = ikey_key(r->ikey),
                                         .value = r->value,
                                         .expires_at_ms = r->expires_at_ms };
    buffer_append_string(&p->text, n->pairs == 0 ? "\n" : ",\n");
    flat_json_append(&p->text, &pair);
    n->pairs++;
}

/* Errors  ST_FULL, ST_IO, ST_CORRUPT */
static STATUS write_chunk(struct snapshot_part *p) {
    uint8_t ikey[IKEY_BYTES_MAX];
    struct engine_image *image = &p->image;
    buffer_reset(&p->text);
    if (!p->positioned)
        TRY(engine_image_seek(image, ikey_make(KEYSPACE_DEFAULT, BYTES_NONE, ikey)));
    p->positioned = true;
    for (uint32_t i = 0; i < CHUNK_RECORDS && buffer_len(&p->text) < CHUNK_BYTES; i++) {
        const struct record *r = engine_image_record(image);
        p->ended = r == NULL || ikey_keyspace(r->ikey) != KEYSPACE_DEFAULT;
        if (p->ended) break;
        if (is_wanted(p, r)) append_pair(p, r);
        TRY(engine_image_next(image));
    }
    if (p->text.overflowed) return status_of(ST_CORRUPT); /* no record is as long */
    const struct bytes text = buffer_bytes(&p->text);
    if (text.len == 0) return status_of(ST_OK);
    TRY(snapshot_file_append(&p->snapshot->file, text));
    struct rate_limit *pace = p->snapshot->options.rate_limit;
    if (pace != NULL) rate_limit_pace(pace, text.len);
    return status_of(ST_OK);
}

static void write_run(struct os_job *job) {
    struct snapshot_part *p = LIST_ENTRY(job, struct snapshot_part, job);
    p->status = write_chunk(p);
}

static void write_submit(struct snapshot_part *p);

static void write_done(struct os_job *job) {
    struct snapshot_part *p = LIST_ENTRY(job, struct snapshot_part, job);
    struct shard *s = p->shard;
    ASSERT(p->state == SNAPSHOT_PART_WRITING);
    ASSERT(atomic_load(&p->snapshot->turn) == s->id);
    const bool stopping = is_stopping(s);
    if (status_ok(p->status) && !p->ended && !stopping) {
        write_submit(p);
        return;
    }
    end_part(p);
    if (!status_ok(p->status) || stopping)
        fail(p, status_ok(p->status) ? ST_BUSY : p->status.code);
    else
        pass_turn(s, s->id + 1u);
}

static void write_submit(struct snapshot_part *p) {
    p->job = (struct os_job){ .loop = p->shard->loop, .run = write_run, .done = write_done };
    os_pool_submit(p->snapshot->options.pool, OS_JOB_BACKGROUND, &p->job);
}

/* It was written, or the round has failed. */
static bool has_passed(const struct snapshot_part *p) {
    return atomic_load(&p->snapshot->turn) > p->shard->id;
}

static bool is_its_turn(const struct snapshot_part *p) {
    return atomic_load(&p->snapshot->turn) == p->shard->id;
}

static void look_at_flush(struct snapshot_part *p) {
    const struct status due = engine_image_due(p->shard->engine, p->mark);
    ASSERT(p->state == SNAPSHOT_PART_FLUSHING);
    if (status_ok(due)) take_image(p);
    /* Who waits for its turn meanwhile keeps tables that were dropped: that would not end well. */
    if (due.code == ST_FULL && is_its_turn(p)) fail(p, ST_FULL);
}

static void part_turn(struct snapshot_part *p) {
    const uint64_t round = atomic_load(&p->snapshot->round);
    const bool stopping = is_stopping(p->shard);
    if (p->state == SNAPSHOT_PART_WRITING) return;
    if (stopping && is_its_turn(p)) fail(p, ST_BUSY);
    if (p->state != SNAPSHOT_PART_IDLE && (stopping || p->round != round || has_passed(p)))
        end_part(p);
    if (stopping) return;
    if (p->state == SNAPSHOT_PART_IDLE && p->round != round && !has_passed(p)) begin_part(p, round);
    if (p->state == SNAPSHOT_PART_FLUSHING) look_at_flush(p);
    if (p->state == SNAPSHOT_PART_READY && is_its_turn(p)) {
        part_move(p, SNAPSHOT_PART_WRITING);
        write_submit(p);
    }
    ASSERT(snapshot_part_check(p));
}

/* ---- shard 0 ---- */

static const char *reason_of(enum status_code code) {
    switch (code) {
    case ST_FULL: return "there is too little disk space";
    case ST_CORRUPT: return "a table is damaged";
    default: return "a file cannot be read or written";
    }
}

static void say_failure(struct snapshot *n, enum status_code code) {
    if (code == ST_BUSY || code == n->told) return; /* the node stops, or it was said */
    n->told = code;
    log_error("%s: no snapshot was written: %s; it is tried again every %" PRIu64 " ms", n->dir,
              reason_of(code), n->options.interval_ms);
}

static void say_success(struct snapshot *n, uint64_t now_ms) {
    if (n->told != ST_OK) log_info("%s: snapshots are written again", n->dir);
    n->told = ST_OK;
    log_info("snapshot %s/%s: %" PRIu64 " keys, %" PRIu64 " bytes, %" PRIu64 " ms", n->dir, n->name,
             n->pairs, n->file.bytes, now_ms - n->began_ms);
}

static struct shard *shard_0(const struct snapshot *n) {
    ASSERT(n->parts[0].shard != NULL);
    return n->parts[0].shard;
}

static void go_idle(struct snapshot *n, enum status_code code) {
    const uint64_t now_ms = os_loop_now_ms(shard_0(n)->loop);
    n->due_ms = n->began_ms + n->options.interval_ms;
    if (n->due_ms < now_ms) n->due_ms = now_ms;
    if (code == ST_OK)
        say_success(n, now_ms);
    else
        say_failure(n, code);
    move(n, SNAPSHOT_IDLE);
}

static void open_run(struct os_job *job) {
    struct snapshot *n = LIST_ENTRY(job, struct snapshot, job);
    n->status = snapshot_file_begin(&n->file, n->options.os, n->dir);
    if (!status_ok(n->status)) return;
    n->status = snapshot_file_append(&n->file, BYTES_LIT("{"));
    if (!status_ok(n->status)) snapshot_file_abort(&n->file);
}

/* The order matters: who sees the new round sees whose turn it is too. */
static void open_done(struct os_job *job) {
    struct snapshot *n = LIST_ENTRY(job, struct snapshot, job);
    struct shard *s = shard_0(n);
    ASSERT(n->state == SNAPSHOT_OPENING);
    if (!status_ok(n->status)) {
        go_idle(n, n->status.code);
        return;
    }
    n->pairs = 0;
    atomic_store(&n->failed, ST_OK);
    move(n, SNAPSHOT_WRITING);
    if (is_stopping(s)) {
        atomic_store(&n->failed, ST_BUSY); /* nobody has the turn: it ends at once */
        return;
    }
    atomic_store(&n->turn, 0);
    atomic_fetch_add(&n->round, 1);
    for (uint32_t i = 0; i < n->options.shards; i++) os_loop_wake(s->node->shards[i]->loop);
}

static void end_run(struct os_job *job) {
    struct snapshot *n = LIST_ENTRY(job, struct snapshot, job);
    n->status = status_of((enum status_code)atomic_load(&n->failed));
    if (status_ok(n->status)) n->status = snapshot_file_append(&n->file, BYTES_LIT("\n}\n"));
    if (status_ok(n->status))
        n->status = snapshot_file_commit(&n->file, n->wall_ms, n->options.keep, n->name);
    if (!status_ok(n->status)) snapshot_file_abort(&n->file);
}

static void end_done(struct os_job *job) {
    struct snapshot *n = LIST_ENTRY(job, struct snapshot, job);
    ASSERT(n->state == SNAPSHOT_ENDING);
    go_idle(n, n->status.code);
}

static void submit(struct snapshot *n, void (*run)(struct os_job *),
                   void (*done)(struct os_job *)) {
    n->job = (struct os_job){ .loop = shard_0(n)->loop, .run = run, .done = done };
    os_pool_submit(n->options.pool, OS_JOB_BACKGROUND, &n->job);
}

/* A node that is no member yet has nothing of its own. */
static bool may_begin(const struct snapshot *n, const struct shard *s) {
    return !is_stopping(s) && os_loop_now_ms(s->loop) >= n->due_ms &&
           s->members->self != MEMBER_NONE;
}

static void lead_turn(struct snapshot *n, struct shard *s) {
    if (n->state == SNAPSHOT_IDLE && may_begin(n, s)) {
        n->began_ms = os_loop_now_ms(s->loop);
        n->wall_ms = s->turn_wall_ms;
        move(n, SNAPSHOT_OPENING);
        submit(n, open_run, open_done);
    }
    if (n->state == SNAPSHOT_WRITING && atomic_load(&n->turn) == n->options.shards) {
        move(n, SNAPSHOT_ENDING);
        submit(n, end_run, end_done);
    }
}

void snapshot_turn(struct shard *s) {
    struct snapshot *n = s->node->snapshot;
    if (n == NULL || s->engine == NULL) return;
    ASSERT(s->id < n->options.shards);
    struct snapshot_part *p = &n->parts[s->id];
    p->shard = s;
    part_turn(p);
    if (s->id == 0) lead_turn(n, s);
}

bool snapshot_is_idle(const struct shard *s) {
    const struct snapshot *n = s->node->snapshot;
    if (n == NULL) return true;
    if (s->id == 0 && n->state != SNAPSHOT_IDLE) return false;
    if (atomic_load(&n->turn) == s->id) return false;
    return n->parts[s->id].state == SNAPSHOT_PART_IDLE;
}

#include "control/raft_store.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/raft_store_internal.h"
#include "os/os.h"

static_assert(RAFT_STORE_BUFFER_BYTES_MAX - RAFT_STORE_PENDING_BYTES_MAX >=
                  RAFT_BATCH_BYTES_MAX + RAFT_ENTRY_BYTES_MAX +
                      RAFT_MESSAGE_ENTRIES_MAX * RAFT_STORE_ENTRY_OVERHEAD_BYTES + 512,
              "what one step adds fits behind what may be pending");

/* ---- the job ---- */

static bool must_rewrite(const struct raft_store_job *j) {
    const uint64_t grown = j->file.bytes - j->file.head_bytes;
    if (j->file.bytes < j->rewrite_from) return false;
    return grown > j->rewrite_bytes && grown > j->file.head_bytes;
}

/* All of it, or what an earlier try has left.
 * Errors  ST_FULL */
static STATUS job_try(struct raft_store_job *j) {
    if (buffer_len(&j->records) > 0) {
        TRY(raft_store_file_append(&j->file, j->records.ptr + j->records.start,
                                   buffer_len(&j->records)));
        buffer_reset(&j->records);
    }
    if (j->made.snapshot.index > 0 && !j->made_put) {
        TRY(raft_store_file_replace(&j->file, &j->made.snapshot, false));
        j->made_put = true;
    }
    if (j->install.snapshot.index > 0)
        return raft_store_file_replace(&j->file, &j->install.snapshot, true);
    if (!must_rewrite(j)) return status_of(ST_OK);
    /* Nothing waits for this one. */
    const bool full = !status_ok(raft_store_file_replace(&j->file, NULL, false));
    j->rewrite_from = full ? j->file.bytes + j->rewrite_bytes : 0;
    return status_of(ST_OK);
}

static void job_run(struct os_job *job) {
    struct raft_store_job *j = LIST_ENTRY(job, struct raft_store_job, job);
    j->found_full = !status_ok(job_try(j));
}

static void move_slot(struct raft_store_slot *from, struct raft_store_slot *to) {
    ASSERT(to->snapshot.index == 0);
    if (from->snapshot.index == 0) return;
    *to = *from;
    to->snapshot.config.ptr = to->config;
    *from = (struct raft_store_slot){ .snapshot = { .index = 0 } };
}

static struct buffer *gather(struct raft_store *s) {
    if (buffer_len(&s->records) == 0) raft_store_put_seal(&s->records);
    return &s->records;
}

static bool has_work(const struct raft_store *s) {
    if (buffer_len(&s->records) > 0 || s->applied > s->applied_put) return true;
    if (s->mark.sequence > s->job.mark.sequence) return true;
    return s->made.snapshot.index > 0 || s->install.snapshot.index > 0;
}

static void submit(struct raft_store *s) {
    struct raft_store_job *j = &s->job;
    ASSERT(!j->under_way);
    ASSERT(buffer_len(&j->records) == 0);
    if (s->applied > s->applied_put) raft_store_put_applied(gather(s), s->applied);
    ASSERT(!s->records.overflowed);
    s->applied_put = s->applied;
    const struct buffer empty = j->records;
    j->records = s->records;
    s->records = empty;
    move_slot(&s->made, &j->made);
    move_slot(&s->install, &j->install);
    const uint64_t installed = j->install.snapshot.index;
    if (installed > 0) s->applied = s->applied_put = installed; /* as the new file will say */
    j->mark = s->mark;
    j->applied = s->applied;
    j->under_way = true;
    s->flush_wanted = false;
    os_pool_submit(s->options.pool, OS_JOB_SYNC, &j->job);
}

static uint64_t now_ms(const struct raft_store *s) {
    return os_mono_ns(s->options.os) / 1000000;
}

/* The job keeps what it has not stored, and nothing of it is claimed. What is added meanwhile
 * waits for the job that follows. */
static void wait_for_space(struct raft_store *s) {
    struct raft_store_job *j = &s->job;
    ASSERT(j->found_full);
    ASSERT(buffer_len(&j->records) > 0 || raft_store_is_replacing(s));
    j->under_way = s->flush_wanted = false;
    if (s->retry_ms == 0)
        log_warn("raft store: no space left on the file system of %s: nothing is agreed to "
                 "until there is",
                 s->dir);
    s->retry_ms = now_ms(s) + RAFT_STORE_RETRY_MS;
    ASSERT(raft_store_check(s));
}

/* Whether a job has found the disk full and is not under way again. */
static bool waits_for_space(const struct raft_store *s) {
    return s->retry_ms > 0 && !s->job.under_way;
}

static void submit_again(struct raft_store *s) {
    ASSERT(waits_for_space(s));
    ASSERT(!s->flush_wanted);
    s->job.under_way = true;
    s->flush_wanted = true; /* for what was added while it waited */
    os_pool_submit(s->options.pool, OS_JOB_SYNC, &s->job.job);
}

static void job_done(struct os_job *job) {
    struct raft_store_job *j = LIST_ENTRY(job, struct raft_store_job, job);
    struct raft_store *s = j->store;
    ASSERT(j->under_way);
    ASSERT(j->mark.sequence >= s->durable.mark.sequence);
    ASSERT(j->applied >= s->durable.applied);
    if (j->found_full) {
        wait_for_space(s);
        return;
    }
    if (s->retry_ms > 0) log_info("raft store: there is space in %s again", s->dir);
    s->retry_ms = 0;
    const bool again = s->flush_wanted;
    j->under_way = s->flush_wanted = j->made_put = false;
    buffer_reset(&j->records);
    buffer_shrink(&j->records, RAFT_STORE_BUFFER_KEEP_BYTES);
    s->file_bytes = j->file.bytes;
    s->durable = (struct raft_store_done){ .mark = j->mark,
                                           .applied = j->applied,
                                           .snapshot_index = j->made.snapshot.index,
                                           .install_index = j->install.snapshot.index };
    j->made.snapshot = j->install.snapshot = (struct raft_snapshot){ .index = 0 };
    ASSERT(raft_store_check(s));
    const struct raft_store_done done = s->durable;
    s->options.done(s->options.user, &done);
    if (again) raft_store_flush(s);
}

/* ---- life ---- */

struct raft_store *raft_store_of(const struct raft_store_options *options,
                                 const struct raft_store_restored *content,
                                 const struct raft_store_file *file) {
    ASSERT(options->done != NULL);
    ASSERT(file->file.os != NULL);
    struct raft_store *s = mem_alloc_zeroed(sizeof *s);
    s->options = *options;
    const size_t dir_len = strlen(options->dir);
    ASSERT(dir_len < sizeof s->dir);
    memcpy(s->dir, options->dir, dir_len + 1);
    s->options.dir = s->dir;

    s->owner = content->owner;
    s->hard = content->hard;
    s->snapshot_index = content->snapshot.index;
    s->last_index = content->snapshot.index + content->entry_count;
    s->applied = s->applied_put = s->durable.applied = content->applied;
    buffer_init(&s->records, RAFT_STORE_BUFFER_BYTES_MAX);

    struct raft_store_job *j = &s->job;
    j->job = (struct os_job){ .loop = options->loop, .run = job_run, .done = job_done };
    j->store = s;
    j->file = *file;
    j->file.dir = s->dir;
    j->applied = content->applied;
    j->rewrite_bytes =
        options->rewrite_bytes == 0 ? RAFT_STORE_REWRITE_BYTES : options->rewrite_bytes;
    buffer_init(&j->records, RAFT_STORE_BUFFER_BYTES_MAX);
    s->file_bytes = file->bytes;
    ASSERT(raft_store_check(s));
    return s;
}

void raft_store_close(struct raft_store *s) {
    if (s == NULL) return;
    ASSERT(!s->job.under_way);
    ASSERT(raft_store_check(s));
    os_file_close(&s->job.file.file);
    buffer_deinit(&s->job.records);
    buffer_deinit(&s->records);
    mem_free(s);
}

/* ---- adding ---- */

bool raft_store_has_room(const struct raft_store *s) {
    return buffer_len(&s->records) <= RAFT_STORE_PENDING_BYTES_MAX;
}

/* Whether the leader's snapshot is about to take the place of the log. */
static bool is_installing(const struct raft_store *s) {
    return s->install.snapshot.index > 0 || s->job.install.snapshot.index > 0;
}

void raft_store_hard(struct raft_store *s, struct raft_hard_state hard) {
    ASSERT(hard.term >= s->hard.term);
    ASSERT(hard.term > s->hard.term || s->hard.vote == 0 || hard.vote == s->hard.vote);
    s->hard = hard;
    raft_store_put_hard(gather(s), hard);
    ASSERT(!s->records.overflowed);
}

void raft_store_truncate(struct raft_store *s, uint64_t index) {
    ASSERT(!is_installing(s));
    ASSERT(index > s->snapshot_index);
    ASSERT(index > s->applied);
    ASSERT(index <= s->last_index + 1);
    s->last_index = index - 1;
    raft_store_put_truncate(gather(s), index);
    ASSERT(!s->records.overflowed);
}

void raft_store_append(struct raft_store *s, const struct raft_entry *entry) {
    ASSERT(!is_installing(s));
    ASSERT(entry->index == s->last_index + 1);
    s->last_index = entry->index;
    raft_store_put_entry(gather(s), entry);
    ASSERT(!s->records.overflowed);
}

void raft_store_mark(struct raft_store *s, struct raft_mark mark) {
    ASSERT(mark.sequence > s->mark.sequence);
    s->mark = mark;
}

void raft_store_applied(struct raft_store *s, uint64_t index) {
    ASSERT(index <= s->last_index);
    ASSERT(s->install.snapshot.index == 0 || index < s->install.snapshot.index);
    if (index > s->applied) s->applied = index;
}

void raft_store_cluster(struct raft_store *s, const uint8_t cluster[RAFT_STORE_CLUSTER_BYTES]) {
    static const uint8_t unknown[RAFT_STORE_CLUSTER_BYTES];
    ASSERT(memcmp(cluster, unknown, sizeof unknown) != 0);
    if (memcmp(s->owner.cluster, cluster, sizeof unknown) == 0) return;
    ASSERT(memcmp(s->owner.cluster, unknown, sizeof unknown) == 0);
    memcpy(s->owner.cluster, cluster, sizeof unknown);
    raft_store_put_owner(gather(s), &s->owner);
    ASSERT(!s->records.overflowed);
}

static void fill_slot(struct raft_store_slot *slot, const struct raft_snapshot *snapshot) {
    ASSERT(slot->snapshot.index == 0);
    ASSERT(snapshot->config.len > 0);
    ASSERT(snapshot->config.len <= sizeof slot->config);
    slot->snapshot = *snapshot;
    memcpy(slot->config, snapshot->config.ptr, snapshot->config.len);
    slot->snapshot.config.ptr = slot->config;
}

void raft_store_snapshot(struct raft_store *s, const struct raft_snapshot *snapshot) {
    ASSERT(!raft_store_is_replacing(s));
    ASSERT(snapshot->index > s->snapshot_index);
    ASSERT(snapshot->index <= s->last_index);
    fill_slot(&s->made, snapshot);
    s->snapshot_index = snapshot->index;
    raft_store_applied(s, snapshot->index);
}

void raft_store_install(struct raft_store *s, const struct raft_snapshot *snapshot) {
    ASSERT(!is_installing(s));
    ASSERT(snapshot->index > s->snapshot_index);
    ASSERT(snapshot->index > s->applied);
    fill_slot(&s->install, snapshot);
    s->snapshot_index = s->last_index = snapshot->index;
}

bool raft_store_is_replacing(const struct raft_store *s) {
    return is_installing(s) || s->made.snapshot.index > 0 || s->job.made.snapshot.index > 0;
}

void raft_store_flush(struct raft_store *s) {
    ASSERT(raft_store_check(s));
    if (waits_for_space(s)) {
        if (now_ms(s) >= s->retry_ms) submit_again(s);
        return;
    }
    if (!has_work(s)) return;
    if (s->job.under_way)
        s->flush_wanted = true;
    else
        submit(s);
}

bool raft_store_is_idle(const struct raft_store *s) {
    return !s->job.under_way && (s->retry_ms > 0 || !has_work(s));
}

const struct raft_store_owner *raft_store_owner(const struct raft_store *s) {
    return &s->owner;
}

uint64_t raft_store_bytes(const struct raft_store *s) {
    return s->file_bytes;
}

bool raft_store_check(const struct raft_store *s) {
    if (s->owner.member == 0 || s->records.overflowed) return false;
    if (s->last_index < s->snapshot_index || s->applied > s->last_index) return false;
    if (s->durable.applied > s->applied || s->applied_put > s->applied) return false;
    if (s->durable.mark.sequence > s->mark.sequence) return false;
    if (s->job.mark.sequence > s->mark.sequence) return false;
    if (s->hard.term == 0 && s->hard.vote != 0) return false;
    if (s->flush_wanted && !s->job.under_way) return false;
    if (s->job.under_way) return true; /* the rest is the job's */
    if (s->retry_ms == 0 && buffer_len(&s->job.records) > 0) return false;
    return s->job.file.file.os != NULL && s->job.file.bytes >= s->job.file.head_bytes;
}

/* The store on disk behind a control: raft_store.h, called through the table. */
#include "control/control_store.h"

#include "base/mem.h"
#include "control/control_internal.h"
#include "os/os.h"

struct control_disk {
    struct control *control;           /* whose it is */
    struct raft_store *store;          /* owned; NULL: nothing is stored yet */
    struct raft_store_options options; /* of it */
    char *dir;                         /* owned; options.dir */
};

static void done(void *user, const struct raft_store_done *done) {
    struct control_disk *d = user;
    uint64_t random = 0;
    os_entropy(d->options.os, &random, sizeof random);
    control_stored(d->control, done, os_mono_ns(d->options.os) / 1000000, random);
}

static struct status create(void *user, const struct raft_store_owner *owner,
                            const struct raft_snapshot *snapshot) {
    struct control_disk *d = user;
    ASSERT(d->store == NULL);
    return raft_store_create(&d->options, owner, snapshot, &d->store);
}

static struct raft_store *store_of(const void *user) {
    const struct control_disk *d = user;
    ASSERT(d->store != NULL);
    return d->store;
}

static bool has_room(const void *user) {
    return raft_store_has_room(store_of(user));
}
static void hard(void *user, struct raft_hard_state hard_state) {
    raft_store_hard(store_of(user), hard_state);
}
static void truncate_from(void *user, uint64_t index) {
    raft_store_truncate(store_of(user), index);
}
static void append(void *user, const struct raft_entry *entry) {
    raft_store_append(store_of(user), entry);
}
static void mark(void *user, struct raft_mark m) {
    raft_store_mark(store_of(user), m);
}
static void applied(void *user, uint64_t index) {
    raft_store_applied(store_of(user), index);
}
static void cluster(void *user, const uint8_t id[RAFT_STORE_CLUSTER_BYTES]) {
    raft_store_cluster(store_of(user), id);
}
static void snapshot(void *user, const struct raft_snapshot *s) {
    raft_store_snapshot(store_of(user), s);
}
static void install(void *user, const struct raft_snapshot *s) {
    raft_store_install(store_of(user), s);
}
static bool is_replacing(const void *user) {
    return raft_store_is_replacing(store_of(user));
}
static void flush(void *user) {
    raft_store_flush(store_of(user));
}

void control_disk_close(struct control_disk *d) {
    if (d == NULL) return;
    raft_store_close(d->store);
    mem_free(d->dir);
    mem_free(d);
}

STATUS control_open(struct control *c, struct os *os, struct os_loop *loop, struct os_pool *pool,
                    const char *dir, uint64_t now_ms, uint64_t random) {
    ASSERT(c->disk == NULL && c->store.create == NULL);
    if (c->options.want == CONTROL_WANT_PROXY) return control_restore(c, NULL, now_ms, random);
    struct control_disk *d = mem_alloc_zeroed(sizeof *d);
    const size_t len = strlen(dir) + 1;
    d->control = c;
    d->dir = mem_alloc(len);
    memcpy(d->dir, dir, len);
    d->options = (struct raft_store_options){
        .os = os, .loop = loop, .pool = pool, .dir = d->dir, .done = done, .user = d
    };
    c->disk = d;
    c->store =
        (struct control_store){ d,       create,  has_room, hard,    truncate_from, append, mark,
                                applied, cluster, snapshot, install, is_replacing,  flush };
    struct raft_store_restored restored;
    const struct status s = raft_store_open(&d->options, &restored, &d->store);
    if (s.code == ST_NOT_FOUND) return control_restore(c, NULL, now_ms, random);
    TRY(s);
    const struct status begun = control_restore(c, &restored, now_ms, random);
    raft_store_restored_deinit(&restored);
    return begun;
}

bool control_is_idle(const struct control *c) {
    return c->disk == NULL || c->disk->store == NULL || raft_store_is_idle(c->disk->store);
}

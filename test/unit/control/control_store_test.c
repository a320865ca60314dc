/* A control plane on a store on a (simulated) disk. */
#include "control/control.h"

#include "sim/os_sim.h"
#include "test/unit/harness.h"

#define EVENTS_MAX 16u

struct life {
    struct os *os;             /* of this life */
    struct os_loop *loop;      /* of this life */
    struct os_pool *pool;      /* of this life */
    struct control *control;   /* of this life */
    uint64_t now_ms;           /* its clock */
    uint32_t published;        /* states */
    struct cluster_id cluster; /* of the last */
    uint64_t revision;         /* of the last */
};

static void on_bytes(void *user, uint32_t member, struct bytes bytes) {
    (void)user, (void)member, (void)bytes;
}
static void on_address(void *user, const char *address, struct bytes bytes) {
    (void)user, (void)address, (void)bytes;
}
static void on_reply(void *user, uint64_t guest, struct bytes bytes) {
    (void)user, (void)guest, (void)bytes;
}
static void on_publish(void *user, const struct metadata *state, uint32_t self) {
    struct life *l = user;
    CHECK_EQ(self, 1);
    l->published++;
    l->cluster = state->cluster;
    l->revision = state->revision;
}
static void on_refused(void *user, const char *line) {
    (void)user, (void)line;
    CHECK(false);
}

static void begin(struct life *l, struct sim_disk *disk, uint32_t boot) {
    *l = (struct life){ .os = sim_os_create(boot, disk) };
    l->loop = os_loop_create(l->os);
    const uint32_t threads[OS_JOB_KINDS] = { 1, 1, 1 };
    l->pool = os_pool_create(l->os, threads);
    struct control_options o;
    control_options_init(&o);
    o.want = CONTROL_WANT_ALONE;
    o.address = "10.0.0.1:7000";
    o.boot = boot;
    o.nonce = 42;
    o.snapshot_entries = 16;
    const struct control_env env = { l, on_bytes, on_address, on_reply, on_publish, on_refused };
    l->now_ms = os_mono_ns(l->os) / 1000000;
    l->control = control_create(&o, &env, NULL);
    CHECK_OK(control_open(l->control, l->os, l->loop, l->pool, "/data/control", l->now_ms, 9));
}

/* Ticks, and jobs as they are done. */
static void run(struct life *l, uint32_t ticks) {
    struct os_event events[EVENTS_MAX];
    for (uint32_t i = 0; i < ticks || !control_is_idle(l->control); i++) {
        sim_os_advance_ms(l->os, CONTROL_TICK_MS);
        l->now_ms = os_mono_ns(l->os) / 1000000;
        (void)control_tick(l->control, l->now_ms, l->now_ms, i);
        const uint32_t count = os_loop_wait(l->loop, 0, events, EVENTS_MAX);
        for (uint32_t k = 0; k < count; k++) {
            CHECK_EQ(events[k].kind, OS_EVENT_JOB);
            events[k].job->done(events[k].job);
        }
    }
}

static void end(struct life *l) {
    control_destroy(l->control);
    os_pool_destroy(l->pool);
    os_loop_destroy(l->loop);
    os_destroy(l->os);
}

/* What was published is there again after a restart, at once, snapshots in between or not. */
TEST(control_store, comes_back) {
    struct sim_disk *disk = sim_disk_create(1);
    struct life l;
    struct os *os = sim_os_create(1, disk);
    CHECK_OK(os_dir_create(os, "/data"));
    CHECK_OK(os_dir_sync(os, "/"));
    os_destroy(os);
    begin(&l, disk, 1);
    CHECK_EQ(l.published, 1);
    const struct cluster_id cluster = l.cluster;
    run(&l, 200);
    for (uint32_t i = 0; i < 40; i++) {
        const struct metadata_command c = { .kind = METADATA_MEMBER_WEIGHT,
                                            .member = { .id = 1, .weight = i + 2 } };
        control_propose(l.control, &c, NULL, NULL);
        run(&l, 10);
    }
    const uint64_t revision = l.revision;
    CHECK(revision > 40);
    end(&l);
    begin(&l, disk, 2);
    CHECK_EQ(l.published, 1);
    CHECK(memcmp(&cluster, &l.cluster, sizeof cluster) == 0);
    CHECK_EQ(l.revision, revision);
    CHECK_EQ(control_state(l.control)->members[0].weight, 41);
    run(&l, 200);
    CHECK_EQ(control_state(l.control)->members[0].boot, 2);
    end(&l);
    sim_disk_destroy(disk);
}

/* On a full disk nothing more is agreed to, what was is still there, and the node can be stopped;
 * with the space the change that was asked for comes by itself. */
TEST(control_store, waits_for_space) {
    struct sim_disk *disk = sim_disk_create(1);
    struct life l;
    struct os *os = sim_os_create(1, disk);
    CHECK_OK(os_dir_create(os, "/data"));
    CHECK_OK(os_dir_sync(os, "/"));
    os_destroy(os);
    begin(&l, disk, 1);
    run(&l, 200);
    const uint64_t revision = l.revision;
    const struct metadata_command c = { .kind = METADATA_MEMBER_WEIGHT,
                                        .member = { .id = 1, .weight = 7 } };
    sim_disk_set_capacity(disk, sim_disk_used_bytes(disk));
    control_propose(l.control, &c, NULL, NULL);
    run(&l, 250);
    CHECK_EQ(l.revision, revision);
    CHECK_EQ(control_state(l.control)->members[0].weight, 1);
    CHECK(control_is_idle(l.control));
    sim_disk_heal(disk);
    run(&l, 100);
    CHECK_EQ(control_state(l.control)->members[0].weight, 7);
    sim_disk_set_capacity(disk, sim_disk_used_bytes(disk));
    control_propose(l.control, &c, NULL, NULL);
    run(&l, 100);
    end(&l);
    sim_disk_heal(disk);
    begin(&l, disk, 2);
    CHECK_EQ(control_state(l.control)->members[0].weight, 7);
    run(&l, 200);
    CHECK_EQ(control_state(l.control)->members[0].boot, 2);
    end(&l);
    sim_disk_destroy(disk);
}

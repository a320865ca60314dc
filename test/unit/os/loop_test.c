#include "os/loop.h"

#include "base/mem.h"
#include "harness.h"
#include "os/thread.h"
#include "sim/random.h"

#include <stdatomic.h>
#include <stdio.h>

#define EVENTS 16u

enum { TAG_LISTENER = 1, TAG_SERVER, TAG_CLIENT, TAG_TIMER };

struct world {
    struct os *os;
    struct os_loop *loop;
    struct os_sock listener;
    struct os_event events[EVENTS];
};

static void open_world(struct world *w) {
    *w = (struct world){ .os = os_create() };
    w->loop = os_loop_create(w->os);
    CHECK_OK(os_sock_listen(w->os, "127.0.0.1:0", false, &w->listener));
}

static void close_world(struct world *w) {
    os_sock_close(&w->listener);
    os_loop_destroy(w->loop);
    os_destroy(w->os);
}

static void connect_pair(struct world *w, struct os_sock *ret_client, struct os_sock *ret_server) {
    char address[OS_ADDRESS_BYTES_MAX];
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)os_sock_port(w->listener));
    CHECK_OK(os_sock_connect(w->os, address, ret_client));
    struct status s = status_of(ST_WAIT);
    while (s.code == ST_WAIT) s = os_sock_accept(w->listener, ret_server);
    CHECK_OK(s);
}

static void send_text(struct os_sock s, const char *text) {
    const struct bytes run = bytes_of_string(text);
    size_t len = 0;
    CHECK_OK(os_sock_write(s, &run, 1, &len));
    CHECK_EQ(len, run.len);
}

/* A connection is told to the listener, its bytes to the server, and what the
 * server sends back to the client, each with the tag it was watched under. */
TEST(loop, echo) {
    struct world w;
    open_world(&w);
    struct os_sock client = { 0 };
    struct os_sock server = { 0 };
    char address[OS_ADDRESS_BYTES_MAX];
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)os_sock_port(w.listener));
    CHECK_OK(os_loop_watch(w.loop, w.listener, &w, TAG_LISTENER));
    CHECK_OK(os_sock_connect(w.os, address, &client));
    CHECK_OK(os_loop_watch(w.loop, client, &client, TAG_CLIENT));
    bool sent = false;
    bool echoed = false;
    for (uint32_t turn = 0; turn < 100 && !echoed; turn++) {
        const uint32_t count = os_loop_wait(w.loop, 1000, w.events, EVENTS);
        for (uint32_t i = 0; i < count; i++) {
            const struct os_event *e = &w.events[i];
            uint8_t got[16];
            size_t len = 0;
            if (e->tag == TAG_LISTENER) {
                CHECK_OK(os_sock_accept(w.listener, &server));
                CHECK_STATUS(os_sock_accept(w.listener, &server), ST_WAIT);
                CHECK_OK(os_loop_watch(w.loop, server, &server, TAG_SERVER));
            } else if (e->tag == TAG_SERVER && (e->ready & OS_READY_READ) != 0) {
                CHECK_OK(os_sock_read(server, got, sizeof got, &len));
                CHECK_BYTES(bytes_of(got, len), BYTES_LIT("hello"));
                send_text(server, "back");
            } else if (e->tag == TAG_CLIENT && (e->ready & OS_READY_READ) != 0) {
                CHECK(e->user == &client);
                CHECK_OK(os_sock_read(client, got, sizeof got, &len));
                CHECK_BYTES(bytes_of(got, len), BYTES_LIT("back"));
                echoed = true;
            } else if (e->tag == TAG_CLIENT && !sent) {
                CHECK((e->ready & OS_READY_WRITE) != 0);
                send_text(client, "hello");
                sent = true;
            }
        }
    }
    CHECK(echoed);
    os_sock_close(&server);
    os_sock_close(&client);
    close_world(&w);
}

/* A peer that ends its own stream is READ, so that what it sent is not lost; a
 * connection refused is CLOSED. */
TEST(loop, ends_of_streams) {
    struct world w;
    open_world(&w);
    struct os_sock client = { 0 };
    struct os_sock server = { 0 };
    connect_pair(&w, &client, &server);
    send_text(client, "last");
    os_sock_shutdown(client);
    os_sleep_ms(w.os, 5);
    CHECK_OK(os_loop_watch(w.loop, server, &server, TAG_SERVER));
    CHECK_EQ(os_loop_wait(w.loop, 1000, w.events, EVENTS), 1);
    CHECK_EQ(w.events[0].ready, OS_READY_READ | OS_READY_WRITE | OS_READY_ENDED);
    os_sock_close(&server);
    os_sock_close(&client);

    char address[OS_ADDRESS_BYTES_MAX];
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)os_sock_port(w.listener));
    os_sock_close(&w.listener);
    const struct status s = os_sock_connect(w.os, address, &client);
    if (status_ok(s)) {
        CHECK_OK(os_loop_watch(w.loop, client, &client, TAG_CLIENT));
        CHECK_EQ(os_loop_wait(w.loop, 1000, w.events, EVENTS), 1);
        CHECK((w.events[0].ready & OS_READY_CLOSED) != 0);
        os_sock_close(&client);
    }
    close_world(&w);
}

/* Closing a socket takes back its event from the batch being worked on, and from
 * later ones, even when the same descriptor is open again at once. */
TEST(loop, closed_sockets_are_silent) {
    struct world w;
    open_world(&w);
    struct os_sock clients[2] = { 0 };
    struct os_sock servers[2] = { 0 };
    for (uint32_t i = 0; i < 2; i++) {
        connect_pair(&w, &clients[i], &servers[i]);
        CHECK_OK(os_loop_watch(w.loop, servers[i], &servers[i], TAG_SERVER));
        send_text(clients[i], "x");
    }
    os_sleep_ms(w.os, 5);
    CHECK_EQ(os_loop_wait(w.loop, 1000, w.events, EVENTS), 2);
    const uint32_t other = w.events[0].user == &servers[0] ? 1 : 0;
    CHECK(w.events[1].user == &servers[other]);
    const int32_t handle = servers[other].handle;
    os_sock_close(&servers[other]);
    CHECK_EQ(w.events[1].kind, OS_EVENT_WAKE);
    CHECK(w.events[1].user == NULL);

    struct os_sock client = { 0 };
    struct os_sock server = { 0 };
    connect_pair(&w, &client, &server);
    CHECK(client.handle == handle || server.handle == handle);
    CHECK_OK(os_loop_watch(w.loop, client, &client, TAG_CLIENT));
    os_sock_close(&clients[other]);
    CHECK_EQ(os_loop_wait(w.loop, 1000, w.events, EVENTS), 1);
    CHECK_EQ(w.events[0].tag, TAG_CLIENT);
    os_sock_close(&client);
    CHECK_EQ(w.events[0].kind, OS_EVENT_WAKE);
    os_sock_close(&server);
    os_sock_close(&servers[1 - other]);
    os_sock_close(&clients[1 - other]);
    close_world(&w);
}

/* Once the batch was given back, closing writes nowhere. */
TEST(loop, batch_can_be_given_back) {
    struct world w;
    open_world(&w);
    struct os_sock client = { 0 };
    struct os_sock server = { 0 };
    connect_pair(&w, &client, &server);
    CHECK_OK(os_loop_watch(w.loop, server, &server, TAG_SERVER));
    struct os_event *events = mem_alloc(EVENTS * sizeof *events);
    CHECK_EQ(os_loop_wait(w.loop, 1000, events, EVENTS), 1);
    CHECK_EQ(os_loop_wait(w.loop, 1000, NULL, 0), 0);
    mem_free(events);
    os_sock_close(&server);
    os_sock_close(&client);
    close_world(&w);
}

/* A socket moves from one loop to another: its event that the first has not acted on is
 * taken back, and what arrived before the move is told by the second, and what comes
 * later too. */
TEST(loop, sockets_move_to_another_loop) {
    struct world w;
    open_world(&w);
    struct os_loop *other = os_loop_create(w.os);
    struct os_event events[EVENTS];
    struct os_sock client = { 0 };
    struct os_sock server = { 0 };
    uint8_t got[16];
    size_t len = 0;
    connect_pair(&w, &client, &server);
    CHECK_OK(os_loop_watch(w.loop, server, &server, TAG_SERVER));
    send_text(client, "before");
    os_sleep_ms(w.os, 5);
    CHECK_EQ(os_loop_wait(w.loop, 1000, w.events, EVENTS), 1);
    CHECK_EQ(w.events[0].kind, OS_EVENT_SOCKET);
    os_loop_unwatch(w.loop, server);
    CHECK_EQ(w.events[0].kind, OS_EVENT_WAKE);
    CHECK(w.events[0].user == NULL);

    CHECK_OK(os_loop_watch(other, server, &client, TAG_CLIENT));
    CHECK_EQ(os_loop_wait(other, 1000, events, EVENTS), 1);
    CHECK_EQ(events[0].tag, TAG_CLIENT);
    CHECK(events[0].user == &client);
    CHECK((events[0].ready & OS_READY_READ) != 0);
    CHECK_OK(os_sock_read(server, got, sizeof got, &len));
    CHECK_BYTES(bytes_of(got, len), BYTES_LIT("before"));
    send_text(client, "after");
    CHECK_EQ(os_loop_wait(other, 1000, events, EVENTS), 1);
    CHECK_OK(os_sock_read(server, got, sizeof got, &len));
    CHECK_BYTES(bytes_of(got, len), BYTES_LIT("after"));
    CHECK_EQ(os_loop_wait(w.loop, 0, w.events, EVENTS), 0);
    CHECK_ABORTS(os_loop_unwatch(w.loop, server));
    os_sock_close(&server);
    os_sock_close(&client);
    os_loop_destroy(other);
    close_world(&w);
}

/* Timers fire in the order of their deadlines, not early, and not when disarmed. */
TEST(loop, timers_in_order) {
    struct world w;
    open_world(&w);
    struct os_timer timers[4];
    const uint64_t start_ms = os_loop_now_ms(w.loop);
    const uint32_t delays_ms[4] = { 60, 20, 40, 30 };
    for (uint32_t i = 0; i < 4; i++) {
        os_timer_init(&timers[i], &timers[i], TAG_TIMER + i);
        os_timer_arm(w.loop, &timers[i], start_ms + delays_ms[i]);
    }
    os_timer_disarm(w.loop, &timers[3]);
    uint32_t order[4];
    uint32_t fired = 0;
    while (fired < 3) {
        const uint32_t count = os_loop_wait(w.loop, 1000, w.events, EVENTS);
        CHECK(count > 0);
        for (uint32_t i = 0; i < count; i++) {
            CHECK_EQ(w.events[i].kind, OS_EVENT_TIMER);
            const uint32_t which = w.events[i].tag - TAG_TIMER;
            CHECK(os_loop_now_ms(w.loop) >= start_ms + delays_ms[which]);
            CHECK(!timers[which].armed);
            order[fired++] = which;
        }
    }
    CHECK_EQ(order[0], 1);
    CHECK_EQ(order[1], 2);
    CHECK_EQ(order[2], 0);
    CHECK_EQ(os_loop_wait(w.loop, 0, w.events, EVENTS), 0);
    close_world(&w);
}

/* A timer that has fired in this batch can still be disarmed or armed anew, and
 * then its event is not given. */
TEST(loop, fired_timers_can_be_taken_back) {
    struct world w;
    open_world(&w);
    struct os_timer timers[3];
    for (uint32_t i = 0; i < 3; i++) {
        os_timer_init(&timers[i], NULL, i);
        os_timer_arm(w.loop, &timers[i], 0);
    }
    CHECK_EQ(os_loop_wait(w.loop, 1000, w.events, EVENTS), 3);
    os_timer_disarm(w.loop, &timers[1]);
    os_timer_arm(w.loop, &timers[2], os_loop_now_ms(w.loop) + 10);
    CHECK_EQ(w.events[0].kind, OS_EVENT_TIMER);
    CHECK_EQ(w.events[1].kind, OS_EVENT_WAKE);
    CHECK_EQ(w.events[2].kind, OS_EVENT_WAKE);
    CHECK_EQ(os_loop_wait(w.loop, 1000, w.events, EVENTS), 1);
    CHECK_EQ(w.events[0].tag, 2);
    close_world(&w);
}

/* Waiting with nothing to come takes the time asked for and gives nothing. */
TEST(loop, waits_as_long_as_asked) {
    struct world w;
    open_world(&w);
    CHECK_EQ(os_loop_wait(w.loop, 0, w.events, EVENTS), 0);
    const uint64_t before_ms = os_loop_now_ms(w.loop);
    CHECK_EQ(os_loop_wait(w.loop, 30, w.events, EVENTS), 0);
    CHECK(os_loop_now_ms(w.loop) >= before_ms + 30);
    CHECK(os_loop_wall_ms(w.loop) > 0);
    close_world(&w);
}

#define WAKES 100000u
#define JOBS 20000u
#define ROUNDS_MS 10000u /* after this a test of many rounds is content with fewer */
#define LOST_MS 4000u    /* a wait that takes so long has lost its wake-up */

/* Wait until something comes, and whether it came of itself: after a lost wake-up
 * the wait ends as well, but only with its time. */
static bool wait_is_short(struct os_loop *loop, struct os_event *events) {
    const uint64_t before_ms = os_loop_now_ms(loop);
    (void)os_loop_wait(loop, LOST_MS, events, EVENTS);
    return os_loop_now_ms(loop) - before_ms < LOST_MS;
}

/* Let some ten or some hundred nanoseconds pass: a wake-up is lost, if ever, between
 * a loop's last look and its sleep, so tests must hit every point in between. */
static void spin(uint64_t rounds) {
    for (uint64_t i = 0; i < rounds; i++) __asm__ volatile("");
}

/* One step of waiting for another thread without sleeping, at first: on a busy
 * machine it may not run before this one lets go of the processor. */
static void await(struct os *os, uint32_t *steps) {
    if (++*steps % 4096 == 0) os_sleep_ms(os, 0);
}

/* Whether there is time for another round: a busy machine does fewer. */
static bool have_time(struct os *os, uint64_t start_ns) {
    return os_mono_ns(os) - start_ns < ROUNDS_MS * UINT64_C(1000000);
}

struct pinger {
    struct os_loop *loops[2];
    _Atomic(uint32_t) sent; /* by the test's thread */
    _Atomic(uint32_t) seen; /* by the other thread */
    _Atomic(bool) lost;     /* a wake-up was, at either end */
    _Atomic(bool) stop;     /* set by the test's thread */
};

/* Answer every ping: wait for it on loop 1, then wake loop 0. */
static void answer_pings(void *user) {
    struct pinger *p = user;
    struct os_event events[EVENTS];
    for (uint32_t seen = 0; !atomic_load(&p->stop) && !atomic_load(&p->lost);) {
        if (!wait_is_short(p->loops[1], events)) atomic_store(&p->lost, true);
        const uint32_t sent = atomic_load_explicit(&p->sent, memory_order_relaxed);
        if (sent == seen) continue;
        seen = sent;
        atomic_store_explicit(&p->seen, seen, memory_order_relaxed);
        os_loop_wake(p->loops[0]);
    }
}

/* Two threads wake each other 100,000 times in turn, so that one lost wake-up stops
 * both; the counters are relaxed, so that only the wake itself orders them. Every
 * other time the test's thread does not sleep but spins, to wake the other one
 * just as it is about to sleep. */
TEST(loop, wakes_are_never_lost) {
    struct sim_random r = sim_random_of(test_seed());
    struct os *os = os_create();
    struct pinger p = { .loops = { os_loop_create(os), os_loop_create(os) } };
    struct os_thread *thread = NULL;
    struct os_event events[EVENTS];
    uint32_t steps = 0;
    const uint64_t start_ns = os_mono_ns(os);
    CHECK_OK(os_thread_start(os, "pinger", -1, answer_pings, &p, &thread));
    for (uint32_t i = 1; i <= WAKES && !atomic_load(&p.lost) && have_time(os, start_ns); i++) {
        spin(sim_random_below(&r, 1000));
        atomic_store_explicit(&p.sent, i, memory_order_relaxed);
        os_loop_wake(p.loops[1]);
        while (atomic_load_explicit(&p.seen, memory_order_relaxed) != i && !atomic_load(&p.lost)) {
            await(os, &steps);
            if (i % 2 == 0 && !wait_is_short(p.loops[0], events)) atomic_store(&p.lost, true);
        }
    }
    atomic_store(&p.stop, true);
    os_loop_wake(p.loops[1]);
    os_thread_join(thread);
    CHECK(!atomic_load(&p.lost));
    for (uint32_t i = 0; i < 2; i++) os_loop_destroy(p.loops[i]);
    os_destroy(os);
}

struct late_job {
    struct os_job job;
    struct os *os;
    _Atomic(bool) started; /* set by the pool's thread */
    _Atomic(bool) go;      /* set by the loop's thread just before it waits */
    uint64_t rounds;       /* to spin after that */
};

static void run_late(struct os_job *job) {
    struct late_job *late = LIST_ENTRY(job, struct late_job, job);
    atomic_store(&late->started, true);
    uint32_t steps = 0;
    while (!atomic_load(&late->go)) await(late->os, &steps);
    spin(late->rounds);
}

static void done_late(struct os_job *job) {
    (void)job;
}

/* A job that ends just as its loop is about to sleep wakes it all the same. */
TEST(loop, finished_jobs_are_never_lost) {
    static const uint32_t threads[OS_JOB_KINDS] = { 1, 0, 0 };
    struct sim_random r = sim_random_of(test_seed());
    struct world w;
    open_world(&w);
    struct os_pool *pool = os_pool_create(w.os, threads);
    uint32_t steps = 0;
    const uint64_t start_ns = os_mono_ns(w.os);
    for (uint32_t i = 0; i < JOBS && have_time(w.os, start_ns); i++) {
        struct late_job late = { .os = w.os,
                                 .job = { .loop = w.loop, .run = run_late, .done = done_late },
                                 .rounds = sim_random_below(&r, 1000) };
        os_pool_submit(pool, OS_JOB_SYNC, &late.job);
        while (!atomic_load(&late.started)) await(w.os, &steps);
        atomic_store(&late.go, true);
        CHECK(wait_is_short(w.loop, w.events));
        CHECK(w.events[0].job == &late.job);
    }
    os_pool_destroy(pool);
    close_world(&w);
}

static void wake_often(void *user) {
    for (uint32_t i = 0; i < WAKES; i++) os_loop_wake(user);
}

/* Wakes while one is pending are one: a flood from another thread ends with all
 * of it told, and then the loop is quiet. */
TEST(loop, wakes_collapse) {
    struct world w;
    open_world(&w);
    struct os_thread *thread = NULL;
    CHECK_OK(os_thread_start(w.os, "waker", -1, wake_often, w.loop, &thread));
    CHECK(os_loop_wait(w.loop, LOST_MS, w.events, EVENTS) > 0);
    os_thread_join(thread);
    for (uint32_t i = 0; i < 2; i++) CHECK(os_loop_wait(w.loop, 0, w.events, EVENTS) <= 1);
    CHECK_EQ(os_loop_wait(w.loop, 10, w.events, EVENTS), 0);
    close_world(&w);
}

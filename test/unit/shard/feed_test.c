/* Subscribers of events: what they are told and when, how many there may be, what one that does
 * not read costs, and that they are let go when the node stops. */
#include "shard/adopt.h"
#include "shard/feed.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "harness.h"
#include "shard/shard.h"

#define A_SECOND_NS UINT64_C(1000000000)

/* A node of one shard without an engine; nothing is ever sent, as no socket takes anything. */
struct fixture {
    struct node node;
    struct shard *s;
};

static void begin(struct fixture *f) {
    memset(f, 0, sizeof *f);
    f->node = (struct node){ .os = os_create(),
                             .shards_count = 1,
                             .version = "1",
                             .address = "127.0.0.1:1",
                             .data_dir = ".",
                             .value_bytes_max = 1000,
                             .client_wait_ms = 60000,
                             .input_bytes_max = 64u << 20 };
    struct membership *alone = NULL;
    CHECK_OK(
        membership_create(NULL, 0, "127.0.0.1:1", (struct replication){ .replicas = 1 }, &alone));
    views_init(&f->node.views, alone);
    f->node.cache = cache_create(1u << 20);
    CHECK_OK(shard_create(&f->node, 0, &f->s));
    f->node.shards[0] = f->s;
    shard_view_taken(f->s);
}

static void end(struct fixture *f) {
    while (!list_is_empty(&f->s->connections))
        connection_close(LIST_ENTRY(f->s->connections.next, struct connection, link));
    shard_destroy(f->s);
    views_deinit(&f->node.views);
    cache_destroy(f->node.cache);
    os_destroy(f->node.os);
}

/* A client that asked for events, as far as it goes without a socket. */
static struct connection *client(struct fixture *f) {
    struct connection *c = connection_create(f->s, (struct os_sock){ 0 });
    c->protocol = PROTOCOL_HTTP;
    c->http = http_create(1000);
    c->readable = c->writable = false;
    return c;
}

/* The clock of the loop moves only when it waits; a second is made to pass. */
static void tick(struct fixture *f, bool a_second_later) {
    struct os_event events[4];
    (void)os_loop_wait(f->s->loop, 2, events, 4);
    if (a_second_later) f->s->feed->before_ns -= A_SECOND_NS;
    feed_tick(f->s);
}

static uint32_t count_of(struct connection *c, const char *part) {
    uint32_t count = 0;
    buffer_append_u8(&c->out, '\0');
    c->out.end--;
    const char *at = (const char *)c->out.ptr + c->out.start;
    for (; (at = strstr(at, part)) != NULL; at++) count++;
    return count;
}

/* The cluster at once, figures a second later; in between nothing. */
TEST(feed, tells_of_the_cluster_at_once_and_figures_each_second) {
    struct fixture f;
    begin(&f);
    struct connection *c = client(&f);
    CHECK_OK(feed_join(f.s, c));
    CHECK(c->subscribed);
    tick(&f, false);
    CHECK_EQ(count_of(c, "event: cluster\n"), 1);
    CHECK_EQ(count_of(c, "event: figures\n"), 0);
    tick(&f, false);
    CHECK_EQ(count_of(c, "event: "), 1);
    tick(&f, true);
    CHECK_EQ(count_of(c, "event: cluster\n"), 2);
    CHECK_EQ(count_of(c, "event: figures\n"), 1);

    /* A second subscriber is greeted, and the first hears of the cluster once more. */
    struct connection *late = client(&f);
    CHECK_OK(feed_join(f.s, late));
    tick(&f, false);
    CHECK_EQ(count_of(late, "event: cluster\n"), 1);
    CHECK_EQ(count_of(late, "event: figures\n"), 0);
    end(&f);
}

/* Only what was done since the figures before counts. */
TEST(feed, tells_of_the_moment_only) {
    struct fixture f;
    begin(&f);
    struct connection *c = client(&f);
    shard_count_operations(f.s, op_kind(OP_CLASS_READ, LEVEL_CLASS_ONE), 900000000, 5000);
    CHECK_OK(feed_join(f.s, c));
    tick(&f, false);
    buffer_reset(&c->out);
    shard_count_operations(f.s, op_kind(OP_CLASS_READ, LEVEL_CLASS_ONE), 1000, 300);
    tick(&f, true);
    CHECK_EQ(count_of(c, "\"read\":{\"operations\":300,"), 1);
    CHECK_EQ(count_of(c, "\"write\":{\"operations\":0,"), 1);
    CHECK_EQ(count_of(c, "\"reads\":5300,"), 1);
    const struct bytes out = buffer_bytes(&c->out);
    const char *data = strstr((const char *)out.ptr, "data: {\"moment\"");
    CHECK(data != NULL);
    json_t *json = json_loads(data + 6, JSON_DISABLE_EOF_CHECK, NULL);
    CHECK(json != NULL);
    const json_t *moment = json_object_get(json, "moment");
    CHECK(json_real_value(json_object_get(moment, "p99_us")) < 1.1);
    CHECK(json_real_value(json_object_get(moment, "p50_us")) >= 1.0);
    json_decref(json);

    buffer_reset(&c->out);
    tick(&f, true);
    CHECK_EQ(count_of(c, "\"read\":{\"operations\":0,\"per_second\":0.0,\"p50_us\":0.0"), 1);
    end(&f);
}

/* What one that does not read costs is bounded, and it hears of the present once it reads. */
TEST(feed, lets_a_slow_subscriber_miss_events) {
    struct fixture f;
    begin(&f);
    struct connection *slow = client(&f), *quick = client(&f);
    CHECK_OK(feed_join(f.s, slow));
    CHECK_OK(feed_join(f.s, quick));
    size_t event_bytes_max = 0;
    for (uint32_t i = 0; i < 100; i++) {
        tick(&f, true);
        CHECK(buffer_len(&quick->out) > 0);
        if (buffer_len(&quick->out) > event_bytes_max) event_bytes_max = buffer_len(&quick->out);
        buffer_reset(&quick->out);
        CHECK(buffer_len(&slow->out) < FEED_UNREAD_BYTES_MAX + event_bytes_max);
    }
    CHECK(buffer_len(&slow->out) >= FEED_UNREAD_BYTES_MAX);
    const size_t before = buffer_len(&slow->out);
    tick(&f, true);
    CHECK_EQ(buffer_len(&slow->out), before);
    buffer_reset(&slow->out);
    tick(&f, true);
    CHECK_EQ(count_of(slow, "event: figures\n"), 1);

    /* It takes nothing at all: it is closed as others are. */
    CHECK(!connection_is_stuck(slow, slow->progress_ms + f.node.client_wait_ms - 1));
    CHECK(connection_is_stuck(slow, slow->progress_ms + f.node.client_wait_ms));
    end(&f);
}

/* Nothing is made ahead of replies to earlier commands. */
TEST(feed, waits_for_earlier_replies) {
    struct fixture f;
    begin(&f);
    struct connection *c = client(&f);
    struct list other;
    list_init(&other);
    list_append(&c->tasks, &other);
    c->tasks_count = 1;
    CHECK_OK(feed_join(f.s, c));
    tick(&f, false);
    CHECK_EQ(buffer_len(&c->out), 0);
    list_remove(&other);
    c->tasks_count = 0;
    tick(&f, true);
    CHECK(buffer_len(&c->out) > 0);
    end(&f);
}

TEST(feed, has_a_limit) {
    struct fixture f;
    begin(&f);
    struct connection *first = client(&f);
    CHECK_OK(feed_join(f.s, first));
    for (uint32_t i = 1; i < FEED_SUBSCRIBERS_MAX; i++) CHECK_OK(feed_join(f.s, client(&f)));
    struct connection *more = client(&f);
    CHECK_STATUS(feed_join(f.s, more), ST_BUSY);
    CHECK(!more->subscribed);
    connection_close(first);
    CHECK_OK(feed_join(f.s, more));
    CHECK(feed_check(f.s->feed));
    end(&f);
}

/* Nobody joins a node that stops, and who had joined is let go at once. */
TEST(feed, ends_when_the_node_stops) {
    struct fixture f;
    begin(&f);
    struct connection *c = client(&f);
    CHECK_OK(feed_join(f.s, c));
    shard_stop(f.s);
    struct os_event events[4];
    (void)os_loop_wait(f.s->loop, 2, events, 4);
    CHECK(!shard_is_over(f.s));
    CHECK(c->draining);
    CHECK_STATUS(feed_join(f.s, client(&f)), ST_BUSY);
    tick(&f, true);
    CHECK_EQ(buffer_len(&c->out), 0);
    CHECK(!connection_flush(c)); /* closed */
    CHECK_EQ(f.s->feed->count, 0);
    end(&f);
}

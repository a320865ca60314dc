#include "shard/feed.h"

#include "base/assert.h"
#include "base/mem.h"
#include "proto/http_events.h"
#include "shard/shard.h"

STATUS feed_join(struct shard *s, struct connection *c) {
    ASSERT(!c->subscribed);
    ASSERT(c->protocol == PROTOCOL_HTTP);
    if (s->feed == NULL) {
        s->feed = mem_alloc_zeroed(sizeof *s->feed);
        list_init(&s->feed->subscribers);
        buffer_init(&s->feed->text, SIZE_MAX / 2);
    }
    struct feed *f = s->feed;
    ASSERT(feed_check(f));
    if (f->count == FEED_SUBSCRIBERS_MAX || s->stop_deadline_ms != 0) return status_of(ST_BUSY);
    if (f->count == 0) f->before_ns = 0; /* nobody wants to know of the time before */
    f->count++;
    f->greet = true;
    c->subscribed = true;
    list_append(&f->subscribers, &c->subscription);
    ASSERT(feed_check(f));
    return status_of(ST_OK);
}

void feed_leave(struct connection *c) {
    if (!c->subscribed) return;
    struct feed *f = c->shard->feed;
    ASSERT(f != NULL);
    ASSERT(f->count > 0);
    list_remove(&c->subscription);
    c->subscribed = false;
    f->count--;
    ASSERT(feed_check(f));
}

void feed_destroy(struct shard *s) {
    if (s->feed == NULL) return;
    ASSERT(s->feed->count == 0);
    buffer_deinit(&s->feed->text);
    mem_free(s->feed);
    s->feed = NULL;
}

static struct place_set alive_members(const struct shard *s) {
    struct place_set alive = { { 0 } };
    const struct membership *m = s->members;
    if (!shard_is_clustered(s)) return alive;
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        if (i == m->self || peer_is_alive(s, i)) place_set_add(&alive, i);
    }
    return alive;
}

/* What was done since the last figures; then these are the last. */
static void take_moment(struct feed *f, const struct node_view *view, uint64_t now_ns,
                        struct event_moment *ret_moment) {
    const struct shard_figures *total = &view->total;
    struct event_moment m = { .took_ns = now_ns - f->before_ns };
    f->together = (struct histogram){ 0 };
    for (uint32_t i = 0; i < OP_CLASSES; i++) {
        ASSERT(total->operations[i] >= f->operations[i]);
        f->moment = total->latency_ns[i];
        histogram_subtract(&f->moment, &f->before[i]);
        m.classes[i].operations = total->operations[i] - f->operations[i];
        m.classes[i].p50_ns = histogram_quantile(&f->moment, 0.5);
        m.classes[i].p99_ns = histogram_quantile(&f->moment, 0.99);
        histogram_merge(&f->together, &f->moment);
    }
    m.p50_ns = histogram_quantile(&f->together, 0.5);
    m.p99_ns = histogram_quantile(&f->together, 0.99);
    *ret_moment = m;
}

static void keep_figures(struct feed *f, const struct node_view *view, uint64_t now_ns) {
    f->before_ns = now_ns;
    for (uint32_t i = 0; i < OP_CLASSES; i++) {
        f->operations[i] = view->total.operations[i];
        f->before[i] = view->total.latency_ns[i];
    }
}

/* Replies to earlier commands of the client go first. */
static bool is_behind(const struct connection *c) {
    return buffer_len(&c->out) >= FEED_UNREAD_BYTES_MAX || !list_is_empty(&c->tasks);
}

static void publish(struct shard *s, struct bytes text) {
    struct feed *f = s->feed;
    for (struct list *n = f->subscribers.next; n != &f->subscribers; n = n->next) {
        struct connection *c = LIST_ENTRY(n, struct connection, subscription);
        if (is_behind(c) || shard_is_over_budget(s)) continue;
        buffer_append(&c->out, text);
        shard_flush_later(s, c);
    }
}

void feed_tick(struct shard *s) {
    struct feed *f = s->feed;
    if (f == NULL || f->count == 0 || s->stop_deadline_ms != 0) return;
    ASSERT(feed_check(f));
    const uint64_t now_ns = os_loop_now_ns(s->loop);
    const struct place_set alive = alive_members(s);
    const bool first = f->before_ns == 0;
    const bool due = !first && now_ns - f->before_ns >= FEED_INTERVAL_MS * UINT64_C(1000000);
    if (!first && !due && !f->greet && place_set_equal(&alive, &f->alive)) return;
    shard_node_view(s, NULL, &s->view);
    buffer_reset(&f->text);
    if (due) {
        struct event_moment moment;
        take_moment(f, &s->view, now_ns, &moment);
        http_events_append_figures(&s->view, &moment, &f->text);
    }
    if (first || due) keep_figures(f, &s->view, now_ns);
    http_events_append_cluster(&s->view, &f->text);
    f->greet = false;
    f->alive = alive;
    publish(s, buffer_bytes(&f->text));
}

bool feed_check(const struct feed *f) {
    if (f->count > FEED_SUBSCRIBERS_MAX) return false;
    return (f->count == 0) == list_is_empty(&f->subscribers);
}

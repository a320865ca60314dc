#include "shard/node_control.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "shard/link.h"
#include "shard/seed.h"
#include "shard/shard.h"

/* How often the own load is looked at, and while slots are on their way. */
#define NODE_LOAD_MS 1000u
#define NODE_LOAD_CHANGE_MS 200u
/* How long a node that stops waits for another one to lead: some round trips and syncs. */
#define NODE_LEAVE_MS 1000u
/* The leader says so when a change waits for somebody so long unheard, and again after a time. */
#define NODE_SILENT_MS 30000u
#define NODE_SILENT_AGAIN_MS 300000u

static struct shard *shard_of(const struct node_control *c) {
    ASSERT(c->node->shards[0] != NULL);
    return c->node->shards[0];
}

static uint64_t now_ms(const struct node_control *c) {
    return os_mono_ns(c->node->os) / 1000000;
}

static uint64_t draw(const struct node_control *c) {
    uint64_t random = 0;
    os_entropy(c->node->os, &random, sizeof random);
    return random;
}

/* ---- what the control wants ---- */

static void send_to_member(void *user, uint32_t member, struct bytes bytes) {
    const struct node_control *c = user;
    struct shard *s = shard_of(c);
    const uint32_t place = membership_find(s->members, member);
    if (place == MEMBER_NONE || place == s->members->self) return;
    const struct peer *p = s->peers[place];
    struct link *l = p == NULL ? NULL : p->links[0];
    if (l != NULL && l->state == LINK_UP)
        link_send_control(l, bytes);
    else if (membership_member(s->members, place)->address[0] !=
             '\0') /* it may not know of this member yet */
        seed_send(s, membership_member(s->members, place)->address, bytes);
}

static void send_to_address(void *user, const char *address, struct bytes bytes) {
    const struct node_control *c = user;
    seed_send(shard_of(c), address, bytes);
}

static void reply_to_guest(void *user, uint64_t guest, struct bytes bytes) {
    const struct node_control *c = user;
    struct link *l = link_find(shard_of(c), guest);
    if (l != NULL && l->peer == NULL) link_send_control(l, bytes);
}

/* How fast slots may move. */
static void set_pace(const struct node_control *c, const struct ring_change *change) {
    atomic_store_explicit(&c->node->move_rate, change->throttle, memory_order_relaxed);
    atomic_store_explicit(&c->node->move_paused, change->paused, memory_order_relaxed);
}

/* A place is only given out again once a view without its member has been published: with all
 * places taken that is the next time. */
static void publish(void *user, const struct metadata *state, uint32_t self) {
    struct node_control *c = user;
    uint64_t serial = 0;
    struct membership *m = NULL;
    const struct membership *before = views_hold(&c->node->views, &serial);
    const struct status st = membership_from_metadata(state, self, before, &m);
    views_drop(&c->node->views, before);
    set_pace(c, &state->change);
    c->view_waits = !status_ok(st);
    if (status_ok(st)) node_publish_view(c->node, m);
}

static void refuse(void *user, const char *line) {
    const struct node_control *c = user;
    c->options.refused(c->options.user, line);
}

/* ---- life ---- */

struct node_control *node_control_create(struct node *n, const struct node_control_options *o) {
    ASSERT(n->shards[0] != NULL && n->control == NULL);
    struct node_control *c = mem_alloc_zeroed(sizeof *c);
    const struct control_env env = {
        .user = c,
        .send = send_to_member,
        .send_address = send_to_address,
        .reply = reply_to_guest,
        .publish = publish,
        .refused = refuse,
    };
    c->node = n;
    c->options = *o;
    os_mutex_init(&c->lock);
    admin_control_init(&c->admin);
    c->control = control_create(&o->control, &env, NULL);
    os_timer_init(&c->timer, c, SHARD_TAG_CONTROL);
    n->control = c;
    return c;
}

STATUS node_control_open(struct node_control *c) {
    const struct node *n = c->node;
    TRY(control_open(c->control, n->os, shard_of(c)->loop, n->pool, c->options.dir, now_ms(c),
                     draw(c)));
    control_status(c->control, &c->status);
    return status_of(ST_OK);
}

void node_control_begin(struct node_control *c) {
    os_timer_arm(shard_of(c)->loop, &c->timer, now_ms(c));
}

bool node_control_is_idle(const struct node_control *c) {
    return control_is_idle(c->control);
}

bool node_control_has_left(const struct node_control *c) {
    return c->left;
}

void node_control_destroy(struct node_control *c) {
    if (c == NULL) return;
    control_destroy(c->control);
    admin_control_deinit(&c->admin);
    os_mutex_deinit(&c->lock);
    mem_free(c);
}

/* ---- time and messages ---- */

static void tell_epochs(struct node_control *c) {
    /* A shard adopts before it has caught up: asked the other way round, the two could be of two times. */
    const uint64_t caught_up = node_caught_up_epoch(c->node);
    const uint64_t adopted = node_adopted_epoch(c->node);
    if (adopted > c->adopted_epoch) {
        c->adopted_epoch = adopted;
        control_adopted(c->control, adopted);
    }
    if (caught_up > c->caught_up_epoch) {
        c->caught_up_epoch = caught_up;
        control_caught_up(c->control, caught_up);
    }
    if (atomic_exchange_explicit(&c->node->news_wanted, false, memory_order_acq_rel))
        control_news_wanted(c->control);
}

static struct node_traffic traffic_of(const struct node *n) {
    struct node_traffic sum = { 0 };
    for (uint32_t i = 0; i < n->shards_count; i++) {
        const struct moved *m = &n->shards[i]->moved;
        sum.sent += atomic_load_explicit(&m->bytes_sent, memory_order_relaxed);
        sum.received += atomic_load_explicit(&m->bytes_taken, memory_order_relaxed);
    }
    return sum;
}

/* Shards count on from one change to the next. */
static void add_traffic(struct node_control *c, struct control_load *load) {
    const struct metadata *m = control_state(c->control);
    const struct node_traffic now = traffic_of(c->node);
    const uint64_t change = m == NULL ? 0 : m->change.id;
    if (change != c->traffic_change) c->traffic_before = now;
    c->traffic_change = change;
    load->sent = change == 0 ? 0 : now.sent - c->traffic_before.sent;
    load->received = change == 0 ? 0 : now.received - c->traffic_before.received;
}

static void tell_load(struct node_control *c) {
    const struct node *n = c->node;
    struct control_load load = { 0 };
    const struct metadata *m = control_state(c->control);
    const bool is_other = m != NULL && m->change.id != c->traffic_change;
    if (now_ms(c) < c->load_ms && !is_other) return;
    const bool changing = m != NULL && m->change.id != 0;
    c->load_ms = now_ms(c) + (changing ? NODE_LOAD_CHANGE_MS : NODE_LOAD_MS);
    node_holdings(n, &load.keys, &load.held);
    if (!status_ok(os_disk_free(n->os, n->data_dir, &load.disk_free))) load.disk_free = 0;
    add_traffic(c, &load);
    control_load(c->control, &load);
}

static void log_news(struct node_control *c, const struct control_status *s) {
    if (s->leader != 0 && (s->leader != c->leader_told || s->term != c->term_told)) {
        c->leader_told = s->leader;
        c->term_told = s->term;
        log_info("Leader elected: %u", s->leader);
    }
    if (s->epoch != 0 || strcmp(s->waits_for, c->wait_told) == 0) return;
    memcpy(c->wait_told, s->waits_for, sizeof c->wait_told);
    if (s->waits_for[0] != '\0') log_info("no cluster yet: waits for %s", s->waits_for);
}

/* How long the leader has not heard of the member; of one never heard, since the change began. */
static uint64_t silent_ms(const struct node_control *c, const struct control_status *s,
                          uint32_t id) {
    for (uint32_t i = 0; i < s->report_count; i++) {
        if (s->reports[i].member == id) return s->reports[i].age_ms;
    }
    return now_ms(c) - c->seen_ms;
}

/* A change that waits for one who is away waits for people, too: nobody is given up by itself. */
static void log_silent(struct node_control *c, const struct control_status *s) {
    const struct node_change *change = &c->watch.shown;
    if (change->id != c->seen_change) {
        c->seen_change = change->id;
        c->seen_ms = now_ms(c);
        c->silent_told_ms = 0;
    }
    if (change->id == 0 || s->leader == 0 || s->leader != s->self) return;
    if (c->silent_told_ms != 0 && now_ms(c) < c->silent_told_ms + NODE_SILENT_AGAIN_MS) return;
    for (uint32_t i = 0; i < change->waits_count; i++) {
        const uint64_t silent = silent_ms(c, s, change->waits_for[i]);
        if (silent < NODE_SILENT_MS) continue;
        c->silent_told_ms = now_ms(c);
        log_warn("change %llu waits for member %u, not heard for %llu s: start it, or give it up "
                 "(atoll cluster remove %u)",
                 (unsigned long long)change->id, change->waits_for[i],
                 (unsigned long long)(silent / 1000), change->waits_for[i]);
        return;
    }
}

static void copy_status(struct node_control *c) {
    static struct control_status status; /* large; shard 0 only */
    control_status(c->control, &status);
    log_news(c, &status);
    change_watch_look(&c->watch, control_state(c->control), &status, now_ms(c));
    log_silent(c, &status);
    os_mutex_lock(&c->lock);
    control_status_copy(&status, &c->status);
    c->change = c->watch.shown;
    os_mutex_unlock(&c->lock);
}

/* A leader that only falls silent costs the others an election timeout without a leader. */
static void take_leave(struct node_control *c) {
    const uint64_t now = now_ms(c);
    admin_control_stop(c);
    if (c->left) return;
    if (c->leave_until_ms == 0) c->leave_until_ms = now + NODE_LEAVE_MS;
    const uint64_t due_ms = control_tick(c->control, now, os_wall_ms(c->node->os), draw(c));
    c->left = control_leave(c->control) || now >= c->leave_until_ms;
    if (!c->left) os_timer_arm(shard_of(c)->loop, &c->timer, due_ms);
}

void node_control_tick(struct node_control *c) {
    const struct shard *s = shard_of(c);
    if (s->stop_deadline_ms != 0) {
        take_leave(c);
        return;
    }
    tell_epochs(c);
    tell_load(c);
    const uint64_t due_ms = control_tick(c->control, now_ms(c), os_wall_ms(c->node->os), draw(c));
    if (c->view_waits && control_state(c->control) != NULL) {
        struct control_status status;
        control_status(c->control, &status);
        publish(c, control_state(c->control), status.self);
    }
    admin_control_turn(c);
    copy_status(c);
    os_timer_arm(s->loop, &c->timer, due_ms);
}

/* Id of the member at the other end; 0 = none, or none any more. */
static uint32_t member_of(const struct link *l) {
    const struct shard *s = l->shard;
    if (l->peer == NULL || s->peers[l->peer->member] != l->peer) return 0;
    return membership_member(s->members, l->peer->member)->id;
}

void node_control_receive(struct link *l, struct bytes message) {
    struct shard *s = l->shard;
    struct node_control *c = s->node->control;
    struct bytes bytes;
    if (s->id != 0 || !status_ok(peer_control_decode(message, &bytes))) {
        link_fail(l, "a message for the control plane that does not belong here");
        return;
    }
    if (c == NULL || c->left) return;
    const struct control_source from = {
        .member = member_of(l),
        .guest = l->peer == NULL ? l->serial : 0,
    };
    control_receive(c->control, from, bytes, now_ms(c), draw(c));
}

void node_control_linked(const struct link *l, bool up) {
    const struct shard *s = l->shard;
    const struct node_control *c = s->node->control;
    if (c == NULL || s->id != 0 || l->remote_shard != 0 || member_of(l) == 0) return;
    control_linked(c->control, member_of(l), up);
}

void node_control_status(struct node_control *c, struct control_status *ret_status,
                         struct node_change *ret_change) {
    os_mutex_lock(&c->lock);
    control_status_copy(&c->status, ret_status);
    *ret_change = c->change;
    os_mutex_unlock(&c->lock);
}

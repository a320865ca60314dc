#include "shard/adopt.h"

#include "base/assert.h"
#include "base/log.h"
#include "shard/coordinate.h"
#include "shard/forward.h"
#include "shard/hint.h"
#include "shard/repair.h"
#include "shard/replica.h"
#include "shard/shard.h"

/* ---- what follows from a view ---- */

static bool keeps_all(const struct shard *s) {
    const struct membership *m = s->members;
    for (uint32_t slot = s->id; slot < RING_SLOTS; slot += s->node->shards_count) {
        if (!membership_keeps(m, slot, m->self)) return false;
    }
    return true;
}

/* Whether it keeps something, and is in no list. */
static bool only_joins(const struct shard *s) {
    const struct membership *m = s->members;
    bool joins = false;
    for (uint32_t slot = s->id; slot < RING_SLOTS; slot += s->node->shards_count) {
        if (!membership_keeps(m, slot, m->self)) continue;
        if (membership_place(m, slot, m->self) >= 0) return false;
        joins = true;
    }
    return joins;
}

void shard_view_taken(struct shard *s) {
    const struct membership *m = s->members;
    ASSERT(m != NULL);
    s->alone = m->count == 1 && m->self != MEMBER_NONE;
    s->keeps_all = s->alone || keeps_all(s);
    s->only_joins = only_joins(s);
    shard_kinds_init(s);
    shard_keyspaces_taken(s);
    atomic_store_explicit(&s->adopted_epoch, m->epoch, memory_order_release);
    /* Of a shard that keeps data catch-up says how far it is. */
    if (s->repair == NULL && s->engine == NULL)
        atomic_store_explicit(&s->caught_up_epoch, m->epoch, memory_order_release);
}

/* ---- members that are gone ---- */

static bool is_over(const struct peer *p) {
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        if (p->repairs[i] != NULL) return false;
    }
    return true;
}

/* Nobody finds them any more; their links are still there. */
static void leave_gone(struct shard *s, const struct membership *m) {
    const struct membership *before = s->members;
    for (uint32_t i = membership_next(before, 0); i != MEMBER_NONE;
         i = membership_next(before, i + 1)) {
        struct peer *p = s->peers[i];
        if (p == NULL ||
            (membership_member(m, i)->id == membership_member(before, i)->id && i != m->self))
            continue;
        s->peers[i] = NULL;
        atomic_store_explicit(&s->hints_for[i], 0, memory_order_relaxed);
        list_append(&s->peers_gone, &p->gone);
    }
}

void shard_free_gone(struct shard *s) {
    for (struct list *n = s->peers_gone.next, *next; n != &s->peers_gone; n = next) {
        struct peer *p = LIST_ENTRY(n, struct peer, gone);
        next = n->next;
        peer_unlink(p);
        hints_leave(s, p);
        if (s->repair != NULL) repairs_leave(s, p);
        if (is_over(p)) peer_destroy(p);
    }
}

/* ---- members that are new, or elsewhere ---- */

static uint32_t self_of(const struct membership *m) {
    return m->self == MEMBER_NONE ? 0 : membership_member(m, m->self)->id;
}

/* Whether others must be greeted anew, as greetings say who this node is. */
static bool is_another(const struct membership *a, const struct membership *b) {
    return self_of(a) != self_of(b) || !cluster_id_equal(&a->cluster, &b->cluster);
}

/* Those that were there before are dialled anew where that is needed. */
static void dial_anew(struct shard *s, const struct membership *before) {
    const struct membership *m = s->members;
    const bool anew = is_another(before, m);
    if (anew) links_end_guests(s);
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        const bool moved =
            strcmp(membership_member(before, i)->address, membership_member(m, i)->address) != 0;
        if (s->peers[i] != NULL && (anew || moved)) peer_relink(s->peers[i]);
    }
}

static void meet_new(struct shard *s) {
    const struct membership *m = s->members;
    for (uint32_t i = membership_next(m, 0); i != MEMBER_NONE; i = membership_next(m, i + 1)) {
        if (i == m->self || s->peers[i] != NULL) continue;
        struct peer *p = peer_create(s, i);
        if (s->engine != NULL) hints_add(s, p);
    }
}

/* ---- slots ---- */

/* New replicas of a joint slot are not compared with each other: see catch_up.h. */
static bool is_compared_anew(const struct membership *before, const struct membership *m,
                             uint32_t slot) {
    return before->slots.phases[slot] == SLOT_JOINT && m->slots.phases[slot] != SLOT_JOINT;
}

static bool all_keep(const struct slot_list *list, const struct membership *m, uint32_t slot) {
    for (uint32_t i = 0; i < list->count; i++) {
        if (!membership_keeps(m, slot, list->members[i])) return false;
    }
    return true;
}

/* Whether who keeps the slot in `from` does so in `to`. */
static bool keepers_stay(const struct membership *from, const struct membership *to,
                         uint32_t slot) {
    if (!all_keep(&from->slots.lists[slot], to, slot)) return false;
    return from->slots.phases[slot] != SLOT_JOINT || all_keep(&from->slots.targets[slot], to, slot);
}

/* Whether a slot has the same lists, as most have from one view to the next. */
static bool is_as_before(const struct membership *before, const struct membership *m,
                         uint32_t slot) {
    const struct slot_table *a = &before->slots, *b = &m->slots;
    return a->phases[slot] == b->phases[slot] &&
           slot_list_equal(&a->lists[slot], &b->lists[slot]) &&
           slot_list_equal(&a->targets[slot], &b->targets[slot]);
}

/* The places with which this shard has other slots in common than before. */
static void changed_places(const struct shard *s, const struct membership *before,
                           const struct membership *m, struct place_set *ret_changed) {
    *ret_changed = (struct place_set){ { 0 } };
    for (uint32_t slot = s->id; slot < RING_SLOTS; slot += s->node->shards_count) {
        const bool same = before->self == m->self &&
                          (is_as_before(before, m, slot) ||
                           (keepers_stay(before, m, slot) && keepers_stay(m, before, slot)));
        if (same && !is_compared_anew(before, m, slot)) continue;
        const bool kept =
            membership_keeps(before, slot, before->self) || membership_keeps(m, slot, m->self);
        if (!kept) continue;
        membership_keepers(before, slot, ret_changed);
        membership_keepers(m, slot, ret_changed);
    }
}

/* ---- adoption ---- */

/* A link to each member from each shard, and as many for all else the node has open. */
static void look_at_descriptors(const struct shard *s, const struct membership *before) {
    const struct membership *m = s->members;
    const uint32_t may = s->node->descriptors_max;
    const uint32_t links = m->count * s->node->shards_count;
    if (s->id != 0 || may == 0 || m->count <= before->count || links <= may / 2) return;
    log_warn("%u members take %u connections of this node, and the process may have %u files and "
             "connections: raise its limit (ulimit -n, LimitNOFILE=)",
             m->count, links, may);
}

void shard_adopt(struct shard *s, const struct membership *m) {
    const struct membership *before = s->members;
    const bool was_alone = s->alone;
    ASSERT(m != before);
    ASSERT(m->epoch >= before->epoch && m->revision >= before->revision);
    struct place_set changed;
    changed_places(s, before, m, &changed);
    leave_gone(s, m);
    s->members = m;
    shard_view_taken(s);
    if (before->epoch == 0) s->opened_ms = os_loop_now_ms(s->loop); /* wait for the others now */
    coordinate_adopt(s); /* before the end of links fails what can begin anew */
    forward_again(s);
    tasks_go_again(s);
    shard_free_gone(s);
    dial_anew(s, before);
    meet_new(s);
    links_learn(s);
    look_at_descriptors(s, before);
    if (s->repair != NULL) repairs_adopt(s, &changed, was_alone);
    replica_adopt(s);
    s->turn_again = true;
    if (s->id == 0 && before->epoch != m->epoch)
        log_info("epoch %llu: %u members", (unsigned long long)m->epoch, m->count);
}

void shard_news_wanted(struct shard *s) {
    struct node *n = s->node;
    if (atomic_load_explicit(&n->news_wanted, memory_order_relaxed)) return;
    if (atomic_exchange_explicit(&n->news_wanted, true, memory_order_acq_rel)) return;
    if (n->shards[0] != NULL) os_loop_wake(n->shards[0]->loop);
}

void shard_adopt_newest(struct shard *s) {
    if (!views_have_newer(&s->node->views, s->view_serial)) return;
    if (s->stop_deadline_ms != 0) return; /* it takes leave of all anyway */
    const struct membership *before = s->members;
    const struct membership *newest = views_hold(&s->node->views, &s->view_serial);
    shard_adopt(s, newest);
    views_drop(&s->node->views, before);
}

#include "shard/sent.h"

#include "base/assert.h"
#include "base/mem.h"
#include "shard/coordinate.h"
#include "shard/forward.h"
#include "shard/hint.h"
#include "shard/inspect.h"
#include "shard/repair.h"
#include "shard/shard.h"

void sent_table_init(struct sent_table *t) {
    *t = (struct sent_table){ .all = mem_alloc(SENT_MAX * sizeof *t->all) };
    list_init(&t->free);
}

void sent_table_deinit(struct sent_table *t) {
    ASSERT(t->used == 0);
    mem_free(t->all);
    t->all = NULL;
}

/* The entry's place in the low half, its generation above: no id is zero. */
uint64_t sent_id(const struct shard *s, const struct sent *q) {
    const uint64_t index = (uint64_t)(q - s->sent.all);
    ASSERT(index < s->sent.touched);
    return (uint64_t)q->generation << 32 | index;
}

static struct sent *take_free(struct sent_table *t) {
    struct list *node = list_take_first(&t->free);
    if (node != NULL) return LIST_ENTRY(node, struct sent, link);
    if (t->touched == SENT_MAX) return NULL;
    struct sent *q = &t->all[t->touched++];
    q->generation = 0;
    return q;
}

struct sent *sent_open(struct shard *s, struct link *to, enum sent_kind kind, void *owner,
                       uint32_t place, uint32_t timeout_ms) {
    ASSERT(kind != SENT_FREE);
    ASSERT(to->state == LINK_UP);
    struct sent *q = take_free(&s->sent);
    if (q == NULL) return NULL;
    *q = (struct sent){ .to = to,
                        .owner = owner,
                        .sent_ns = s->turn_ns,
                        .deadline_ms = s->turn_ns / 1000000 + timeout_ms,
                        .generation = q->generation + 1,
                        .kind = kind,
                        .place = place };
    if (q->generation == 0) q->generation = 1;
    list_append(&to->sent, &q->link);
    s->sent.used++;
    return q;
}

struct sent *sent_find(struct shard *s, uint64_t id) {
    const uint32_t index = (uint32_t)id;
    if (index >= s->sent.touched) return NULL;
    struct sent *q = &s->sent.all[index];
    return q->kind != SENT_FREE && q->generation == id >> 32 ? q : NULL;
}

void sent_close(struct shard *s, struct sent *q) {
    ASSERT(q->kind != SENT_FREE);
    ASSERT(s->sent.used > 0);
    list_remove(&q->link);
    q->kind = SENT_FREE;
    list_prepend(&s->sent.free, &q->link);
    s->sent.used--;
}

static bool is_late(const struct shard *s, const struct sent *q) {
    return q->deadline_ms <= s->turn_ns / 1000000;
}

static void tell_failed(struct shard *s, const struct sent *q) {
    switch (q->kind) {
    case SENT_QUESTION: coordinate_failed(s, q->owner, q->place, is_late(s, q)); break;
    case SENT_FORWARD: forward_failed(s, q->owner); break;
    case SENT_HINT: hint_failed(s, q->owner); break;
    case SENT_RANGE:
    case SENT_RECORD: repair_failed(s, q->owner, q->place); break;
    case SENT_INSPECTION: inspect_failed(s, q->owner, q->place); break;
    case SENT_FREE:
    case SENT_KINDS: ASSERT(false);
    }
}

static void fail(struct shard *s, struct sent *q) {
    const struct sent was = *q;
    sent_close(s, q);
    tell_failed(s, &was);
}

/* An owner that is told may close others of the list or ask anew, so each step begins again
 * at the front; what is asked anew has a later deadline and lies behind. */
void sent_fail_all(struct shard *s, struct link *l) {
    struct list now;
    list_init(&now);
    while (!list_is_empty(&l->sent)) list_append(&now, list_take_first(&l->sent));
    while (!list_is_empty(&now)) fail(s, LIST_ENTRY(now.next, struct sent, link));
}

static void fail_those(struct shard *s, struct link *l,
                       bool (*is_over)(const struct shard *s, const struct sent *q)) {
    struct list over;
    list_init(&over);
    for (struct list *n = l->sent.next, *next; n != &l->sent; n = next) {
        next = n->next;
        if (!is_over(s, LIST_ENTRY(n, struct sent, link))) continue;
        list_remove(n);
        list_append(&over, n);
    }
    while (!list_is_empty(&over)) fail(s, LIST_ENTRY(over.next, struct sent, link));
}

static bool is_for_another_time(const struct shard *s, const struct sent *q) {
    (void)s;
    if (q->kind == SENT_FORWARD || q->kind == SENT_INSPECTION) return true;
    return q->kind == SENT_QUESTION && coordinate_is_answered(q->owner);
}

void sent_suspect(struct shard *s, struct link *l) {
    fail_those(s, l, is_for_another_time);
}

void sent_expire(struct shard *s, struct link *l) {
    fail_those(s, l, is_late);
}

#include "os/wheel.h"

#include "base/assert.h"

#define SLOT_MASK (WHEEL_SLOTS - 1)
#define WORDS (WHEEL_SLOTS / 64)

static_assert((WHEEL_SLOTS & SLOT_MASK) == 0, "a slot is the low bits of a tick");
static_assert(WHEEL_SLOTS % 64 == 0, "slots are marked in whole words");

/* The first tick at or after the deadline: a timer is late by up to a tick, and
 * never early. */
static uint64_t tick_of(uint64_t deadline_ms) {
    return deadline_ms / WHEEL_TICK_MS + (deadline_ms % WHEEL_TICK_MS != 0);
}

static void mark(struct wheel *w, uint32_t slot) {
    w->filled[slot / 64] |= UINT64_C(1) << (slot % 64);
}

static void unmark(struct wheel *w, uint32_t slot) {
    w->filled[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

bool wheel_check(const struct wheel *w) {
    if (w->tick != w->now_ms / WHEEL_TICK_MS) return false;
    if (w->armed_count == 0 && !list_is_empty(&w->due)) return false;
    return true;
}

void wheel_init(struct wheel *w, uint64_t now_ms) {
    *w = (struct wheel){ .now_ms = now_ms, .tick = now_ms / WHEEL_TICK_MS };
    list_init(&w->due);
    for (uint32_t i = 0; i < WHEEL_SLOTS; i++) list_init(&w->slots[i]);
    ASSERT(wheel_check(w));
}

void wheel_arm(struct wheel *w, struct os_timer *t, uint64_t deadline_ms) {
    ASSERT(wheel_check(w));
    ASSERT(!t->armed);
    t->armed = true;
    t->deadline_ms = deadline_ms;
    w->armed_count++;
    if (deadline_ms <= w->now_ms) {
        list_append(&w->due, &t->link);
        return;
    }
    const uint64_t tick = tick_of(deadline_ms);
    ASSERT(tick > w->tick);
    const uint32_t slot = (uint32_t)(tick & SLOT_MASK);
    list_append(&w->slots[slot], &t->link);
    mark(w, slot);
}

void wheel_disarm(struct wheel *w, struct os_timer *t) {
    ASSERT(wheel_check(w));
    ASSERT(t->armed);
    ASSERT(w->armed_count > 0);
    list_remove(&t->link);
    t->armed = false;
    w->armed_count--;
    /* If it was due already, its slot may have timers of a later turn. */
    const uint32_t slot = (uint32_t)(tick_of(t->deadline_ms) & SLOT_MASK);
    if (list_is_empty(&w->slots[slot])) unmark(w, slot);
}

static void advance_slot(struct wheel *w, uint32_t slot, uint64_t tick_now) {
    struct list *head = &w->slots[slot];
    for (struct list *node = head->next, *next; node != head; node = next) {
        next = node->next;
        struct os_timer *t = LIST_ENTRY(node, struct os_timer, link);
        ASSERT(t->armed);
        if (tick_of(t->deadline_ms) > tick_now) continue;
        list_remove(node);
        list_append(&w->due, node);
    }
    if (list_is_empty(head)) unmark(w, slot);
}

void wheel_advance(struct wheel *w, uint64_t now_ms) {
    ASSERT(wheel_check(w));
    ASSERT(now_ms >= w->now_ms);
    const uint64_t tick_now = now_ms / WHEEL_TICK_MS;
    const uint64_t passed = tick_now - w->tick;
    const uint64_t visits = passed < WHEEL_SLOTS ? passed : WHEEL_SLOTS;
    for (uint64_t i = 1; i <= visits && w->armed_count > 0; i++) {
        const uint32_t slot = (uint32_t)((w->tick + i) & SLOT_MASK);
        if (!list_is_empty(&w->slots[slot])) advance_slot(w, slot, tick_now);
    }
    w->now_ms = now_ms;
    w->tick = tick_now;
    ASSERT(wheel_check(w));
}

struct os_timer *wheel_take(struct wheel *w) {
    ASSERT(wheel_check(w));
    struct list *node = list_take_first(&w->due);
    if (node == NULL) return NULL;
    struct os_timer *t = LIST_ENTRY(node, struct os_timer, link);
    ASSERT(t->armed);
    t->armed = false;
    w->armed_count--;
    return t;
}

/* How many slots after `tick` the next marked one is, 1..WHEEL_SLOTS. */
static uint32_t distance_to_marked(const struct wheel *w, uint64_t tick) {
    const uint32_t first = (uint32_t)((tick + 1) & SLOT_MASK);
    uint64_t word = w->filled[first / 64] & (UINT64_MAX << (first % 64));
    for (uint32_t i = 0; i <= WORDS; i++) {
        if (word != 0) {
            const uint32_t slot = (first / 64 + i) % WORDS * 64 + (uint32_t)__builtin_ctzll(word);
            return ((slot - first) & SLOT_MASK) + 1;
        }
        word = w->filled[(first / 64 + i + 1) % WORDS];
    }
    return WHEEL_SLOTS;
}

uint64_t wheel_next_ms(const struct wheel *w) {
    ASSERT(wheel_check(w));
    if (w->armed_count == 0) return WHEEL_NEVER;
    if (!list_is_empty(&w->due)) return w->now_ms;
    const uint64_t tick = w->tick + distance_to_marked(w, w->tick);
    ASSERT(tick > w->tick);
    return tick * WHEEL_TICK_MS;
}

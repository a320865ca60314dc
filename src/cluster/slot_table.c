#include "cluster/slot_table.h"

#include "base/assert.h"

#define TO(phase) (1u << (phase))

static const uint32_t phase_next[SLOT_PHASES] = {
    [SLOT_SETTLED] = TO(SLOT_OLD),
    [SLOT_OLD] = TO(SLOT_JOINT) | TO(SLOT_SETTLED),
    [SLOT_JOINT] = TO(SLOT_NEW) | TO(SLOT_SETTLED), /* SETTLED: the change was cancelled */
    [SLOT_NEW] = TO(SLOT_SETTLED),
};

static bool phase_has_target(enum slot_phase phase) {
    return phase == SLOT_OLD || phase == SLOT_JOINT;
}

void slot_table_move(struct slot_table *t, uint32_t slot, enum slot_phase next) {
    ASSERT(slot < RING_SLOTS);
    const enum slot_phase phase = t->phases[slot];
    ASSERT(phase < SLOT_PHASES);
    ASSERT((phase_next[phase] & TO(next)) != 0);
    if (next == SLOT_OLD) ASSERT(t->targets[slot].count > 0);
    if (next == SLOT_NEW) t->lists[slot] = t->targets[slot];
    if (!phase_has_target(next)) t->targets[slot] = (struct slot_list){ 0 };
    t->phases[slot] = (uint8_t)next;
}

void slot_table_count(const struct slot_table *t, uint32_t members_count, uint32_t *ret_owned,
                      uint32_t *ret_kept) {
    memset(ret_owned, 0, members_count * sizeof *ret_owned);
    memset(ret_kept, 0, members_count * sizeof *ret_kept);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        const struct slot_list *list = &t->lists[slot];
        for (uint32_t i = 0; i < list->count; i++) {
            ASSERT(list->members[i] < members_count);
            ret_owned[list->members[i]] += i == 0;
            ret_kept[list->members[i]]++;
        }
    }
}

bool slot_table_has(const struct slot_table *t, uint16_t member) {
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (slot_list_place(&t->lists[slot], member) >= 0) return true;
        if (slot_list_place(&t->targets[slot], member) >= 0) return true;
    }
    return false;
}

static void list_forget(struct slot_list *list, uint16_t member) {
    for (uint32_t i = 0; i < list->count; i++) {
        ASSERT(list->members[i] != member);
        list->members[i] -= list->members[i] > member;
    }
}

void slot_table_forget(struct slot_table *t, uint16_t member) {
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        list_forget(&t->lists[slot], member);
        list_forget(&t->targets[slot], member);
    }
}

static bool list_check(const struct slot_list *list, uint32_t members_count) {
    if (list->count > REPLICAS_MAX) return false;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->members[i] >= members_count) return false;
        for (uint32_t j = 0; j < i; j++) {
            if (list->members[j] == list->members[i]) return false;
        }
    }
    for (uint32_t i = list->count; i < REPLICAS_MAX; i++) {
        if (list->members[i] != 0) return false;
    }
    return true;
}

/* The same; `right` is the list that was last found to be right. */
static bool list_check_again(const struct slot_list *list, uint32_t members_count,
                             struct slot_list *right) {
    if (slot_list_equal(list, right)) return true;
    if (!list_check(list, members_count)) return false;
    *right = *list;
    return true;
}

bool slot_table_check(const struct slot_table *t, uint32_t members_count, uint64_t epoch) {
    /* Neighbours mostly have equal lists: what was just checked is not checked again. */
    struct slot_list list_right = { 0 }, target_right = { 0 };
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        if (t->phases[slot] >= SLOT_PHASES || t->epochs[slot] > epoch) return false;
        if ((t->lists[slot].count > 0) != (members_count > 0)) return false;
        if (!list_check_again(&t->lists[slot], members_count, &list_right)) return false;
        if (!list_check_again(&t->targets[slot], members_count, &target_right)) return false;
        if (phase_has_target(t->phases[slot]) != (t->targets[slot].count > 0)) return false;
        if (slot_list_equal(&t->lists[slot], &t->targets[slot]) && members_count > 0) return false;
    }
    return true;
}

#include "shard/change_watch.h"

#include "base/assert.h"
#include "cluster/place_set.h"

/* ---- slots ---- */

/* Copies that are new in the target. */
static uint32_t copies_new(const struct slot_list *list, const struct slot_list *target) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < target->count; i++)
        count += slot_list_place(list, target->members[i]) < 0;
    return count;
}

/* Slots only change with the revision. */
static void sum_slots(const struct metadata *m, struct change_slots *sums) {
    const struct slot_table *t = &m->slots;
    uint32_t owned[MEMBERS_MAX];
    if (sums->revision == m->revision && m->revision != 0) return;
    *sums = (struct change_slots){ .revision = m->revision };
    slot_table_count(t, m->members_count, owned, sums->kept);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++) {
        const enum slot_phase phase = t->phases[slot];
        if (phase != SLOT_OLD && phase != SLOT_JOINT) continue;
        const struct slot_list *list = &t->lists[slot], *target = &t->targets[slot];
        sums->left++;
        sums->copies_left += copies_new(list, target);
        if (phase != SLOT_JOINT) continue;
        sums->joint++;
        slot_list_collect(list, &sums->members);
        slot_list_collect(target, &sums->members);
        if (t->epochs[slot] > sums->epoch) sums->epoch = t->epochs[slot];
    }
}

/* As the leader's barrier has it. */
static void find_waits(struct node_change *c, const struct metadata *m,
                       const struct control_status *status, const struct change_slots *sums) {
    c->waits_count = 0;
    for (uint32_t i = 0; i < m->members_count && c->waits_count < NODE_CHANGE_WAITS_MAX; i++) {
        const struct metadata_member *member = &m->members[i];
        if (!place_set_has(&sums->members, i) || member->state == MEMBER_DEAD) continue;
        const struct control_report *r = control_status_report(status, member->id);
        if (r != NULL && r->boot == member->boot && r->epoch_caught_up >= sums->epoch) continue;
        c->waits_for[c->waits_count++] = member->id;
    }
}

/* ---- bytes ---- */

static uint64_t sent_by_all(const struct control_status *status) {
    uint64_t sent = 0;
    for (uint32_t i = 0; i < status->report_count; i++) sent += status->reports[i].load.sent;
    return sent;
}

/* Copies of slots that are through were as many in proportion, and all copies are alike. */
static uint64_t estimate_total(const struct metadata *m, const struct control_status *status,
                               const struct change_slots *sums) {
    double bytes = 0, copies = 0;
    if (sums->left == 0) return NODE_UNKNOWN;
    for (uint32_t i = 0; i < status->report_count; i++) {
        const uint32_t at = metadata_find_member(m, status->reports[i].member);
        if (at == MEMBER_NONE || sums->kept[at] == 0) continue;
        bytes += (double)status->reports[i].load.held;
        copies += sums->kept[at];
    }
    if (copies == 0) return NODE_UNKNOWN;
    const double whole = (double)m->change.slots_total / sums->left;
    return (uint64_t)(bytes / copies * (double)sums->copies_left * whole);
}

static void remember(struct change_watch *w, uint64_t sent, uint64_t now_ms) {
    struct change_sample *last = w->samples_count == 0 ? NULL : &w->samples[w->samples_count - 1];
    if (last != NULL && now_ms - last->at_ms < CHANGE_SAMPLE_MS) return;
    if (w->samples_count == CHANGE_SAMPLES) {
        w->samples_count--;
        memmove(w->samples, w->samples + 1, w->samples_count * sizeof w->samples[0]);
    }
    w->samples[w->samples_count++] = (struct change_sample){ .at_ms = now_ms, .sent = sent };
}

/* A member that starts again begins to count anew. */
static uint64_t rate_of(const struct change_watch *w, uint64_t sent, uint64_t now_ms) {
    if (w->samples_count == 0) return NODE_UNKNOWN;
    const struct change_sample *first = &w->samples[0];
    ASSERT(now_ms >= first->at_ms);
    const uint64_t passed_ms = now_ms - first->at_ms;
    if (passed_ms < CHANGE_RATE_MS_MIN) return NODE_UNKNOWN;
    return sent > first->sent ? (sent - first->sent) * 1000 / passed_ms : 0;
}

static void show_bytes(struct change_watch *w, uint64_t sent, uint64_t now_ms) {
    struct node_change *c = &w->shown;
    c->bytes_done = sent;
    c->bytes_total = w->bytes_total;
    if (c->bytes_total != NODE_UNKNOWN && c->bytes_total < sent) c->bytes_total = sent;
    c->rate_bytes_s = rate_of(w, sent, now_ms);
    c->eta_ms = NODE_UNKNOWN;
    if (c->bytes_total == NODE_UNKNOWN || c->rate_bytes_s == NODE_UNKNOWN) return;
    if (c->rate_bytes_s == 0 || c->paused) return;
    c->eta_ms = (uint64_t)((double)(c->bytes_total - sent) * 1000.0 / (double)c->rate_bytes_s);
}

void change_watch_look(struct change_watch *w, const struct metadata *state,
                       const struct control_status *status, uint64_t now_ms) {
    if (state == NULL || state->change.id == 0) {
        *w = (struct change_watch){ .looked_ms = now_ms };
        return;
    }
    const struct ring_change *running = &state->change;
    const bool is_other = w->shown.id != running->id;
    if (!is_other && now_ms - w->looked_ms < CHANGE_LOOK_MS) return;
    if (is_other) *w = (struct change_watch){ .bytes_total = NODE_UNKNOWN };
    w->looked_ms = now_ms;
    sum_slots(state, &w->slots);
    w->shown = (struct node_change){
        .id = running->id,
        .reason = change_reason_name(running->reason),
        .slots_total = running->slots_total,
        .slots_joint = w->slots.joint,
        .slots_done = running->slots_done,
        .throttle = running->throttle,
        .paused = running->paused,
        .started_ms = running->started_ms,
    };
    find_waits(&w->shown, state, status, &w->slots);
    const uint64_t total = estimate_total(state, status, &w->slots);
    if (w->bytes_total == NODE_UNKNOWN || (total != NODE_UNKNOWN && total > w->bytes_total))
        w->bytes_total = total;
    const uint64_t sent = sent_by_all(status);
    remember(w, sent, now_ms);
    show_bytes(w, sent, now_ms);
}

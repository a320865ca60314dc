/* What nodes tell about themselves: to the leader, and from it to all. Nothing of it is stored. */
#include "control/control_internal.h"

/* Where the member is among those that are known, or belongs. */
static uint32_t place_of(const struct control *c, uint32_t member) {
    uint32_t low = 0;
    uint32_t high = c->peer_count;
    ASSERT(c->peer_count <= MEMBERS_MAX);
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (c->peers[middle].report.member < member)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct control_peer *control_find_peer(struct control *c, uint32_t member) {
    const uint32_t at = place_of(c, member);
    return at < c->peer_count && c->peers[at].report.member == member ? &c->peers[at] : NULL;
}

struct control_peer *control_take_peer(struct control *c, uint32_t member) {
    ASSERT(member != 0);
    struct control_peer *found = control_find_peer(c, member);
    if (found != NULL) return found;
    if (c->peer_count == MEMBERS_MAX) return NULL;
    uint32_t place = c->peer_count;
    for (; place > 0 && c->peers[place - 1].report.member > member; place--)
        c->peers[place] = c->peers[place - 1];
    c->peer_count++;
    c->peers[place] = (struct control_peer){ .report.member = member };
    return &c->peers[place];
}

void control_trim_peers(struct control *c) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        if (metadata_find_member(c->state, c->peers[i].report.member) == MEMBER_NONE) continue;
        c->peers[kept++] = c->peers[i];
    }
    c->peer_count = kept;
}

/* A start that is later forgets what an earlier one had reached; an earlier one says nothing. */
static void take_report(struct control *c, uint32_t member, const struct control_report *r) {
    struct control_peer *p = control_take_peer(c, member);
    if (p == NULL || r->boot < p->report.boot) return;
    struct control_report next = *r;
    if (r->boot == p->report.boot) { /* messages may overtake each other */
        if (next.epoch_adopted < p->report.epoch_adopted)
            next.epoch_adopted = p->report.epoch_adopted;
        if (next.epoch_caught_up < p->report.epoch_caught_up)
            next.epoch_caught_up = p->report.epoch_caught_up;
    }
    next.member = member;
    next.age_ms = 0;
    p->report = next;
    p->heard_ms = c->now_ms;
}

void control_on_report(struct control *c, struct control_source from) {
    if (!control_is_leader(c) || c->shown_revision == 0 || from.member == 0) return;
    if (metadata_find_member(c->state, from.member) == MEMBER_NONE) return;
    take_report(c, from.member, &c->in.reports[0]);
}

void control_on_progress(struct control *c) {
    if (c->stage != CONTROL_MEMBER || control_is_leader(c) || c->shown_revision == 0) return;
    for (uint32_t i = 0; i < c->in.report_count; i++) {
        const struct control_report *r = &c->in.reports[i];
        if (metadata_find_member(c->state, r->member) == MEMBER_NONE) continue;
        struct control_peer *p = control_take_peer(c, r->member);
        if (p == NULL) continue;
        p->report = *r;
        p->heard_ms = c->now_ms;
    }
}

static void send_report(struct control *c) {
    const struct control_report own = { .boot = c->options.boot,
                                        .epoch_adopted = c->epoch_adopted,
                                        .epoch_caught_up = c->epoch_caught_up,
                                        .load = c->load };
    c->report_due = false;
    const uint64_t pause = c->state->change.id != 0 ? CONTROL_REPORT_CHANGE_MS : CONTROL_REPORT_MS;
    c->report_at_ms = c->now_ms + pause;
    if (control_is_leader(c)) {
        take_report(c, c->self, &own);
        return;
    }
    struct control_message *m = control_begin(c, CONTROL_REPORT);
    m->report_count = 1;
    m->reports[0] = own;
    control_send(c, c->raft->leader);
}

static void send_progress(struct control *c) {
    const bool changing = c->state->change.id != 0;
    c->progress_at_ms = c->now_ms + (changing ? CONTROL_PROGRESS_MS : CONTROL_REPORT_MS);
    struct control_message *m = control_begin(c, CONTROL_PROGRESS);
    /* All at once as long as they fit: one that is new does not put off the others. */
    const bool fit = c->peer_count <= CONTROL_REPORTS_MAX;
    if (fit || c->progress_next >= c->peer_count) c->progress_next = 0;
    while (c->progress_next < c->peer_count && m->report_count < CONTROL_REPORTS_MAX) {
        const struct control_peer *p = &c->peers[c->progress_next++];
        if (p->heard_ms == 0) continue;
        struct control_report *r = &m->reports[m->report_count++];
        *r = p->report;
        r->age_ms += (uint32_t)(c->now_ms - p->heard_ms);
    }
    for (uint32_t i = 0; i < c->state->members_count; i++) {
        const uint32_t id = c->state->members[i].id;
        if (id != c->self) control_send(c, id);
    }
}

bool control_take_news_due(struct control *c) {
    if (!c->news_due || c->now_ms < c->news_at_ms) return false;
    c->news_due = false;
    c->news_at_ms = c->now_ms + CONTROL_NEWS_MS;
    return true;
}

static void ask_news(struct control *c) {
    if (control_is_leader(c)) return; /* nobody has later ones that are committed */
    control_begin(c, CONTROL_NEWS_WANTED)->revision = c->shown_revision;
    control_send(c, c->raft->leader);
}

void control_report_tick(struct control *c) {
    if (c->stage != CONTROL_MEMBER || c->shown_revision == 0 || c->raft->leader == 0) return;
    if (c->report_due || c->now_ms >= c->report_at_ms) send_report(c);
    if (control_take_news_due(c)) ask_news(c);
    if (control_is_leader(c) && c->now_ms >= c->progress_at_ms) send_progress(c);
}

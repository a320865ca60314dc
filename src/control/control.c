#include "control/control_internal.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void control_options_init(struct control_options *o) {
    *o = (struct control_options){
        .weight = 1,
        .settings = { .replication = { .replicas = 3 } },
        .replicas = 3,
        .election_ms = 1000,
        .heartbeat_ms = 100,
        .snapshot_entries = 1024,
        .batch_slots = CONTROL_BATCH_MAX,
        .gather_ms = 5000,
        .settle_ms = 2000,
        .voter_silent_ms = 60000,
        .proposal_ms = 10000,
    };
}

void control_copy_address(char to[MEMBER_ADDRESS_BYTES], struct bytes address) {
    ASSERT(address.len < MEMBER_ADDRESS_BYTES);
    memset(to, 0, MEMBER_ADDRESS_BYTES);
    if (address.len > 0) memcpy(to, address.ptr, address.len);
}

/* Ascending and each once, so that nodes with equal lists have equal tables. */
static void take_address(struct control *c, const char *address) {
    const struct bytes text = bytes_of_string(address);
    uint32_t place = 0;
    int order = 1;
    while (place < c->neighbor_count && order > 0) {
        order = bytes_compare(text, bytes_of_string(c->neighbors[place].address));
        if (order > 0) place++;
    }
    if (place < c->neighbor_count && order == 0) return;
    ASSERT(c->neighbor_count < CONTROL_NEIGHBORS_MAX);
    for (uint32_t i = c->neighbor_count; i > place; i--) c->neighbors[i] = c->neighbors[i - 1];
    c->neighbor_count++;
    c->neighbors[place] = (struct control_neighbor){ 0 };
    control_copy_address(c->neighbors[place].address, text);
}

static uint64_t list_hash(const struct control *c) {
    struct buffer all;
    buffer_init(&all, CONTROL_NEIGHBORS_MAX * MEMBER_ADDRESS_BYTES);
    for (uint32_t i = 0; i < c->neighbor_count; i++) {
        buffer_append_string(&all, c->neighbors[i].address);
        buffer_append_u8(&all, 0);
    }
    ASSERT(!all.overflowed);
    const uint64_t hash = hash_xxh3(buffer_bytes(&all)) | 1; /* 0 = no list */
    buffer_deinit(&all);
    return hash;
}

static void init_buffers(struct control *c) {
    buffer_init(&c->out_bytes, CONTROL_MESSAGE_BYTES_MAX);
    buffer_init(&c->raft_bytes, RAFT_MESSAGE_BYTES_MAX);
    buffer_init(&c->carry_bytes, CONTROL_CARRY_HEADER_BYTES + CONTROL_CARRIED_BYTES_MAX);
    buffer_init(&c->lent, CONTROL_SNAPSHOT_BYTES_MAX);
    buffer_init(&c->made, CONTROL_SNAPSHOT_BYTES_MAX);
    buffer_init(&c->pieces, CONTROL_SNAPSHOT_BYTES_MAX);
}

struct control *control_create(const struct control_options *options, const struct control_env *env,
                               const struct control_store *store) {
    const bool proxy = options->want == CONTROL_WANT_PROXY;
    ASSERT(proxy || (options->boot > 0 && options->nonce != 0));
    ASSERT((options->address == NULL) == proxy);
    ASSERT(options->address_count < FOUNDERS_MAX);
    ASSERT(options->batch_slots >= 1 && options->batch_slots <= CONTROL_BATCH_MAX);
    ASSERT(options->snapshot_entries >= 16 && options->snapshot_entries <= CONTROL_LOG_SLOTS / 4);
    struct control *c = mem_alloc_zeroed(sizeof *c);
    c->options = *options;
    c->env = *env;
    if (store != NULL) c->store = *store;
    for (uint32_t i = 0; i < options->address_count; i++) take_address(c, options->addresses[i]);
    if (!proxy) control_copy_address(c->address, bytes_of_string(options->address));
    if (options->want == CONTROL_WANT_LIST) {
        take_address(c, options->address);
        c->list = list_hash(c);
    }
    c->options.address = NULL; /* the caller's: copied, and not to be looked at again */
    c->options.addresses = NULL;
    c->random = options->nonce;
    c->sequence = (uint64_t)options->boot << 32;
    init_buffers(c);
    return c;
}

void control_destroy(struct control *c) {
    if (c == NULL) return;
    control_drop_proposals(c);
    control_member_deinit(c);
    buffer_deinit(&c->out_bytes);
    buffer_deinit(&c->raft_bytes);
    buffer_deinit(&c->carry_bytes);
    buffer_deinit(&c->lent);
    buffer_deinit(&c->made);
    buffer_deinit(&c->pieces);
    control_disk_close(c->disk);
    mem_free(c);
}

/* ---- time and dice ---- */

static void enter(struct control *c, uint64_t now_ms, uint64_t random) {
    ASSERT(now_ms >= c->now_ms);
    c->now_ms = now_ms;
    c->random ^= random;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t control_random(struct control *c) {
    c->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = c->random;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void control_refuse(struct control *c, const char *format, ...) {
    if (c->stage == CONTROL_REFUSED) return;
    char line[CONTROL_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    const int len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    ASSERT(len >= 0);
    c->stage = CONTROL_REFUSED;
    memcpy(c->waits_for, line, sizeof line);
    c->env.refused(c->env.user, line);
}

/* ---- ways to others ---- */

struct control_neighbor *control_find_neighbor(struct control *c, uint32_t member) {
    ASSERT(member != 0);
    for (uint32_t i = 0; i < c->neighbor_count; i++) {
        if (c->neighbors[i].member == member) return &c->neighbors[i];
    }
    return NULL;
}

struct control_neighbor *control_meet(struct control *c, uint32_t member, struct bytes address) {
    struct control_neighbor *n = control_find_neighbor(c, member);
    for (uint32_t i = 0; i < c->neighbor_count && n == NULL && address.len > 0; i++) {
        if (bytes_equal(bytes_of_string(c->neighbors[i].address), address)) n = &c->neighbors[i];
    }
    const bool full = c->neighbor_count == CONTROL_NEIGHBORS_MAX;
    if (n == NULL) {
        n = full ? &c->neighbors[member % CONTROL_NEIGHBORS_MAX]
                 : &c->neighbors[c->neighbor_count++];
        *n = (struct control_neighbor){ 0 };
    }
    n->member = member;
    if (address.len > 0) control_copy_address(n->address, address);
    return n;
}

struct control_message *control_begin(struct control *c, enum control_kind kind) {
    ASSERT(kind >= CONTROL_RAFT && kind < CONTROL_KINDS);
    memset(&c->out, 0, CONTROL_MESSAGE_CLEARED);
    c->out.kind = kind;
    return &c->out;
}

struct bytes control_encode_out(struct control *c) {
    buffer_reset(&c->out_bytes);
    control_message_encode(&c->out, &c->out_bytes);
    ASSERT(!c->out_bytes.overflowed);
    return buffer_bytes(&c->out_bytes);
}

static void send_straight(struct control *c, uint32_t member, struct bytes bytes) {
    if (c->shown_revision > 0 && metadata_find_member(c->state, member) != MEMBER_NONE) {
        c->env.send(c->env.user, member, bytes);
        return;
    }
    const struct control_neighbor *n = control_find_neighbor(c, member);
    if (n == NULL) return;
    /* A leader that joined after the last state seen here can only be answered where it asks. */
    const bool stranger = c->shown_revision > 0 && n->guest != 0;
    if (n->address[0] != 0 && !stranger)
        c->env.send_address(c->env.user, n->address, bytes);
    else if (n->guest != 0)
        c->env.reply(c->env.user, n->guest, bytes);
}

void control_send(struct control *c, uint32_t member) {
    ASSERT(member != 0);
    if (c->stage == CONTROL_REFUSED || member == c->self) return;
    const struct bytes bytes = control_encode_out(c);
    send_straight(c, member, bytes);
    control_carry(c, member, bytes);
}

void control_send_address(struct control *c, const char *address) {
    ASSERT(address[0] != 0);
    if (c->stage == CONTROL_REFUSED) return;
    c->env.send_address(c->env.user, address, control_encode_out(c));
}

void control_answer(struct control *c, struct control_source to) {
    if (c->stage == CONTROL_REFUSED) return;
    if (to.member != 0)
        c->env.send(c->env.user, to.member, control_encode_out(c));
    else if (to.guest != 0)
        c->env.reply(c->env.user, to.guest, control_encode_out(c));
}

/* ---- the calls ---- */

STATUS control_restore(struct control *c, const struct raft_store_restored *restored,
                       uint64_t now_ms, uint64_t random) {
    ASSERT(!c->restored);
    enter(c, now_ms, random);
    c->leader_heard_ms = now_ms;
    c->restored = true;
    if (restored != NULL) {
        ASSERT(c->options.want != CONTROL_WANT_PROXY);
        TRY(control_member_restore(c, restored));
    } else if (c->options.want == CONTROL_WANT_ALONE) {
        TRY(control_found_alone(c));
    } else {
        control_gather_begin(c);
    }
    control_advance(c);
    ASSERT(control_check(c));
    return status_of(ST_OK);
}

/* Leave when the store can take no more: what comes again is taken then. */
static bool may_step(struct control *c) {
    ASSERT(c->restored);
    if (c->stage == CONTROL_REFUSED) return false;
    return c->stage != CONTROL_MEMBER || c->store.has_room(c->store.user);
}

static void tick_member(struct control *c) {
    if (c->now_ms >= c->raft_wake_ms) (void)control_step(c, (struct raft_event){ 0 });
    if (c->raft->leader != 0) c->leader_heard_ms = c->now_ms;
    if (c->transfer_to != 0 && c->raft->leader != 0) {
        const uint32_t to = c->transfer_to;
        c->transfer_to = 0;
        if (control_is_leader(c)) {
            const struct raft_event event = { .kind = RAFT_TRANSFER, .node = to };
            if (control_step(c, event).code == ST_BUSY) c->transfer_to = to; /* behind that one */
        } else {
            control_begin(c, CONTROL_TRANSFER)->member = to;
            control_send(c, c->raft->leader);
        }
    }
    control_carry_tick(c);
    control_report_tick(c);
    control_lead(c);
    control_pump_proposals(c);
}

uint64_t control_tick(struct control *c, uint64_t now_ms, uint64_t wall_ms, uint64_t random) {
    enter(c, now_ms, random);
    c->wall_ms = wall_ms;
    if (!may_step(c)) {
        /* A store that waits for space on the disk is made to try again. */
        if (c->stage == CONTROL_MEMBER) c->store.flush(c->store.user);
        return now_ms + CONTROL_TICK_MS;
    }
    control_ask(c);
    if (c->stage == CONTROL_MEMBER) tick_member(c);
    control_advance(c);
    const uint64_t latest = now_ms + CONTROL_TICK_MS;
    if (c->stage != CONTROL_MEMBER || c->raft_wake_ms > latest) return latest;
    return c->raft_wake_ms > now_ms ? c->raft_wake_ms : now_ms + 1;
}

static void on_removed(struct control *c) {
    if (c->stage != CONTROL_MEMBER || c->in.member != c->self) return;
    if (memcmp(&c->in.cluster, &c->cluster, sizeof c->cluster) != 0) return;
    control_refuse(c, "member %u was removed from the cluster", c->self);
}

/* A read makes the leader send a round of heartbeats, which tell how far the log is committed. */
static void on_news_wanted(struct control *c) {
    if (!control_is_leader(c) || c->now_ms < c->news_at_ms) return;
    if (c->in.revision >= c->shown_revision) return;
    c->news_at_ms = c->now_ms + CONTROL_NEWS_MS;
    (void)control_step(c, (struct raft_event){ .kind = RAFT_READ });
}

static void on_transfer(struct control *c) {
    if (control_is_leader(c)) c->transfer_to = c->in.member;
}

static void dispatch(struct control *c, struct control_source from) {
    switch (c->in.kind) {
    case CONTROL_RAFT: control_on_raft(c, from); break;
    case CONTROL_WHO: control_on_who(c, from); break;
    case CONTROL_I_AM: control_on_i_am(c); break;
    case CONTROL_JOIN: control_on_join(c, from); break;
    case CONTROL_JOINED: control_on_joined(c); break;
    case CONTROL_JOIN_REFUSED: control_on_join_refused(c); break;
    case CONTROL_PROPOSE: control_on_propose(c); break;
    case CONTROL_REPORT: control_on_report(c, from); break;
    case CONTROL_PROGRESS: control_on_progress(c); break;
    case CONTROL_NEWS_WANTED: on_news_wanted(c); break;
    case CONTROL_METADATA_WANTED: control_on_metadata_wanted(c, from); break;
    case CONTROL_METADATA: control_on_metadata(c); break;
    case CONTROL_REMOVED: on_removed(c); break;
    case CONTROL_TRANSFER: on_transfer(c); break;
    case CONTROL_CARRY: break; /* one in another: nobody sends that */
    case CONTROL_KINDS: ASSERT(false);
    }
}

void control_receive(struct control *c, struct control_source from, struct bytes bytes,
                     uint64_t now_ms, uint64_t random) {
    enter(c, now_ms, random);
    if (!may_step(c)) return;
    if (!status_ok(control_message_decode(bytes, &c->in))) return;
    c->carrier = 0;
    if (c->in.kind != CONTROL_CARRY || control_on_carry(c, &from)) dispatch(c, from);
    control_advance(c);
    ASSERT(control_check(c));
}

void control_linked(struct control *c, uint32_t member, bool up) {
    ASSERT(member != 0);
    if (c->raft == NULL) return;
    if (up && member == c->raft->leader) c->report_due = true;
    if (!up && !raft_config_is_voter(&c->raft->config, member)) return;
    uint32_t place = 0; /* one that is free, if there is any */
    for (uint32_t i = 0; i < RAFT_VOTERS_MAX; i++) {
        if (c->lost[i] == member) c->lost[i] = 0;
        if (c->lost[i] == 0) place = i;
    }
    if (!up) c->lost[place] = member;
}

void control_adopted(struct control *c, uint64_t epoch) {
    ASSERT(epoch >= c->epoch_adopted);
    if (epoch == c->epoch_adopted) return;
    c->epoch_adopted = epoch;
    c->report_due = true;
}

void control_caught_up(struct control *c, uint64_t epoch) {
    ASSERT(epoch <= c->epoch_adopted);
    if (epoch <= c->epoch_caught_up) return;
    c->epoch_caught_up = epoch;
    c->report_due = true;
}

void control_load(struct control *c, const struct control_load *load) {
    ASSERT(c->restored);
    c->load = *load;
}

void control_news_wanted(struct control *c) {
    ASSERT(c->restored);
    c->news_due = true;
}

void control_transfer(struct control *c, uint32_t member) {
    ASSERT(member != 0);
    c->transfer_to = member;
}

/* ---- what people see ---- */

const struct metadata *control_state(const struct control *c) {
    return c->shown_revision > 0 ? c->state : NULL;
}

static void tell_reports(const struct control *c, struct control_status *s) {
    ASSERT(c->peer_count <= MEMBERS_MAX);
    for (uint32_t i = 0; i < c->peer_count; i++) {
        const struct control_peer *p = &c->peers[i];
        struct control_report *r = &s->reports[s->report_count];
        if (p->heard_ms == 0) continue;
        *r = p->report;
        r->age_ms += (uint32_t)(c->now_ms - p->heard_ms);
        s->report_count++;
    }
}

static void tell_wait(const struct control *c, struct control_status *s) {
    memcpy(s->waits_for, c->waits_for, sizeof s->waits_for);
    if (c->stage != CONTROL_MEMBER) return;
    const char *line = "";
    if (c->raft->leader == 0)
        line = "a leader: a majority of the voters must be reached";
    else if (!s->ready)
        line = "the state of the cluster";
    else if (!c->boot_told)
        line = "the leader to take note of this start";
    (void)snprintf(s->waits_for, sizeof s->waits_for, "%s", line);
}

void control_status(const struct control *c, struct control_status *ret_status) {
    struct control_status *s = ret_status;
    memset(s, 0, offsetof(struct control_status, learners));
    s->stage = c->stage;
    s->self = c->self;
    s->ready = c->shown_revision > 0;
    s->epoch = c->shown_epoch;
    s->revision = c->shown_revision;
    s->log_applied = c->applied;
    tell_wait(c, s);
    tell_reports(c, s);
    if (c->raft == NULL) return;
    const struct raft_config *config = &c->raft->config;
    s->leader = c->raft->leader;
    s->term = c->raft->term;
    s->voter_count = config->voter_count;
    memcpy(s->voters, config->voters, sizeof s->voters);
    s->learner_count = config->learner_count < MEMBERS_MAX ? config->learner_count : MEMBERS_MAX;
    memcpy(s->learners, config->learners, s->learner_count * sizeof *s->learners);
}

void control_status_copy(const struct control_status *from, struct control_status *ret_status) {
    ASSERT(from->learner_count <= MEMBERS_MAX);
    ASSERT(from->report_count <= MEMBERS_MAX);
    memcpy(ret_status, from, offsetof(struct control_status, learners));
    memcpy(ret_status->learners, from->learners, from->learner_count * sizeof from->learners[0]);
    memcpy(ret_status->reports, from->reports, from->report_count * sizeof from->reports[0]);
}

const struct control_report *control_status_report(const struct control_status *s,
                                                   uint32_t member) {
    uint32_t low = 0;
    uint32_t high = s->report_count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (s->reports[middle].member < member)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->report_count && s->reports[low].member == member ? &s->reports[low] : NULL;
}

bool control_check(const struct control *c) {
    if ((uint32_t)c->stage >= CONTROL_STAGES) return false;
    if (c->stage == CONTROL_MEMBER && (c->raft == NULL || c->self == 0)) return false;
    if (c->stage == CONTROL_PROXY && c->raft != NULL) return false;
    if (c->neighbor_count > CONTROL_NEIGHBORS_MAX || c->peer_count > MEMBERS_MAX) return false;
    if (c->proposal_count > CONTROL_PROPOSALS_MAX) return false;
    if (c->stride != 0 && c->stride <= c->applied) return false;
    if (c->epoch_caught_up > c->epoch_adopted) return false;
    if (c->head_sequence > c->sequence) return false;
    if (c->head_sequence != 0 && c->proposal_count == 0) return false;
    for (uint32_t i = 1; i < c->peer_count; i++) {
        if (c->peers[i - 1].report.member >= c->peers[i].report.member) return false;
    }
    return true;
}

/* A member's Raft core, its store, and the state: what is durable is applied and published. */
#include "control/control_internal.h"

#include "base/mem.h"

#define CHUNK_BYTES (128u * 1024)
#define INFLIGHT 8u

static void options_of_raft(const struct control *c, struct raft_options *ret_options) {
    *ret_options = (struct raft_options){
        .id = c->self,
        .election_ms = c->options.election_ms,
        .heartbeat_ms = c->options.heartbeat_ms,
        .batch_entries_max = RAFT_MESSAGE_ENTRIES_MAX,
        .batch_bytes_max = RAFT_BATCH_BYTES_MAX,
        .inflight_max = INFLIGHT,
        .chunk_bytes = CHUNK_BYTES,
        .log_slots_max = CONTROL_LOG_SLOTS,
        .log_bytes_max = CONTROL_LOG_BYTES,
    };
}

/* ---- snapshots: founders while there is no cluster, and the state ---- */

static void encode_snapshot(const struct control *c, const struct metadata *state,
                            struct buffer *out) {
    buffer_reset(out);
    const bool founding = state->epoch == 0 && !control_has_cluster(c);
    const uint32_t founders = founding ? c->neighbor_count : 0;
    buffer_append_u8(out, (uint8_t)founders);
    for (uint32_t i = 0; i < founders; i++) {
        ASSERT(c->neighbors[i].member == i + 1);
        const struct bytes address = bytes_of_string(c->neighbors[i].address);
        buffer_append_u64_le(out, c->neighbors[i].nonce);
        buffer_append_u8(out, (uint8_t)address.len);
        buffer_append(out, address);
    }
    metadata_encode(state, out);
    ASSERT(!out->overflowed);
}

/* Founders take the place of the neighbors, but not for who joined: they may be long gone. */
static STATUS decode_snapshot(struct control *c, struct bytes in, struct metadata **ret_state) {
    struct cursor cursor = cursor_of(in);
    const uint32_t founders = cursor_u8(&cursor);
    const bool joined = control_has_cluster(c);
    if (founders > FOUNDERS_MAX) return status_of(ST_CORRUPT);
    if (founders > 0 && !joined) c->neighbor_count = 0;
    for (uint32_t i = 0; i < founders; i++) {
        struct control_neighbor n = { .member = i + 1, .nonce = cursor_u64_le(&cursor) };
        const uint8_t len = cursor_u8(&cursor);
        const struct bytes address = cursor_take(&cursor, len);
        if (cursor.failed || len == 0 || len >= MEMBER_ADDRESS_BYTES) return status_of(ST_CORRUPT);
        if (joined) continue;
        control_copy_address(n.address, address);
        c->neighbors[c->neighbor_count++] = n;
    }
    if (cursor.failed) return status_of(ST_CORRUPT);
    return metadata_decode(cursor.rest, ret_state);
}

/* ---- beginning ---- */

/* The core and a state, from a snapshot whose data are in c->lent; index 0: none. */
static STATUS start(struct control *c, struct raft_hard_state hard, struct raft_snapshot snapshot) {
    ASSERT(c->raft == NULL && c->state == NULL);
    ASSERT(c->self != 0);
    struct raft_options options;
    options_of_raft(c, &options);
    snapshot.data = buffer_bytes(&c->lent);
    if (snapshot.index > 0)
        TRY(decode_snapshot(c, snapshot.data, &c->state));
    else
        c->state = metadata_create();
    c->raft = mem_alloc(sizeof *c->raft);
    const struct status begun = raft_init(c->raft, &options, hard, &snapshot);
    if (!status_ok(begun)) {
        mem_free(c->raft);
        c->raft = NULL;
        return begun;
    }
    c->fx = mem_alloc_zeroed(sizeof *c->fx);
    c->applied = snapshot.index;
    c->raft_wake_ms = c->now_ms;
    c->leader_heard_ms = c->leader_direct_ms = c->now_ms;
    return status_of(ST_OK);
}

static struct raft_store_owner owner_of(const struct control *c) {
    struct raft_store_owner owner = { .member = c->self };
    static_assert(sizeof owner.cluster == sizeof c->cluster, "one kind of id");
    memcpy(owner.cluster, &c->cluster, sizeof owner.cluster);
    return owner;
}

/* The largest odd number up to five. */
uint32_t control_first_voters(uint32_t count) {
    ASSERT(count >= 1);
    const uint32_t odd = count % 2 == 1 ? count : count - 1;
    return odd == 0 ? 1 : odd < 5 ? odd : 5;
}

/* Store the first snapshot of a group, c->lent, and go on from it. */
static STATUS found(struct control *c, uint32_t members) {
    static struct raft_config config; /* one thread founds at a time, and once */
    uint8_t bytes[RAFT_CONFIG_BYTES_MAX];
    memset(&config, 0, sizeof config);
    config.voter_count = control_first_voters(members);
    config.learner_count = members - config.voter_count;
    for (uint32_t i = 0; i < members; i++) {
        if (i < config.voter_count)
            config.voters[i] = i + 1;
        else
            config.learners[i - config.voter_count] = i + 1;
    }
    if (MUTANT("control_founds_without_majority"))
        config = (struct raft_config){ .voter_count = 1, .voters = { c->self } };
    const size_t len = raft_config_encode(&config, bytes);
    const struct raft_snapshot snapshot = { .index = RAFT_BOOT_INDEX,
                                            .term = RAFT_BOOT_TERM,
                                            .config = bytes_of(bytes, len),
                                            .data = buffer_bytes(&c->lent) };
    const struct raft_store_owner owner = owner_of(c);
    TRY(c->store.create(c->store.user, &owner, &snapshot));
    TRY(start(c, (struct raft_hard_state){ 0 }, snapshot));
    c->stage = CONTROL_MEMBER;
    return status_of(ST_OK);
}

static void publish(struct control *c);

STATUS control_found_alone(struct control *c) {
    ASSERT(c->raft == NULL);
    struct metadata_command command = {
        .kind = METADATA_BOOTSTRAP,
        .proposal = { .node = 1, .sequence = ++c->sequence },
        .settings = c->options.settings,
        .replicas = c->options.replicas,
        .first_count = 1,
    };
    command.first[0] = (struct member_wish){ .id = 1,
                                             .weight = c->options.weight,
                                             .zone = c->options.zone,
                                             .address = bytes_of_string(c->address) };
    put_u64_le(command.cluster.bytes, control_random(c));
    put_u64_le(command.cluster.bytes + 8, control_random(c) | 1);
    struct metadata *state = metadata_create();
    const struct metadata_result made = metadata_apply(state, &command);
    if (!metadata_result_ok(made)) {
        metadata_destroy(state);
        return status_of(ST_INVALID); /* settings or address, which the caller has checked */
    }
    c->self = 1;
    c->cluster = command.cluster;
    c->neighbor_count = 0;
    encode_snapshot(c, state, &c->lent);
    metadata_destroy(state);
    TRY(found(c, 1));
    publish(c);
    return status_of(ST_OK);
}

STATUS control_found_list(struct control *c) {
    ASSERT(c->raft == NULL);
    ASSERT(!control_has_cluster(c));
    for (uint32_t i = 0; i < c->neighbor_count; i++) {
        c->neighbors[i].member = i + 1;
        if (strcmp(c->neighbors[i].address, c->address) != 0) continue;
        c->self = i + 1;
        c->neighbors[i].nonce = c->options.nonce;
    }
    ASSERT(c->self != 0);
    struct metadata *none = metadata_create();
    encode_snapshot(c, none, &c->lent);
    metadata_destroy(none);
    return found(c, c->neighbor_count);
}

STATUS control_found_joined(struct control *c, uint32_t member) {
    ASSERT(c->raft == NULL);
    ASSERT(control_has_cluster(c));
    c->self = member;
    const struct raft_snapshot none = { 0 };
    const struct raft_store_owner owner = owner_of(c);
    TRY(c->store.create(c->store.user, &owner, &none));
    buffer_reset(&c->lent);
    TRY(start(c, (struct raft_hard_state){ 0 }, none));
    c->stage = CONTROL_MEMBER;
    return status_of(ST_OK);
}

/* ---- the state ---- */

/* One committed entry. */
static void apply(struct control *c, uint64_t index) {
    ASSERT(index == c->applied + 1);
    static struct metadata_command command; /* large; one thread */
    const struct raft_entry entry = raft_log_entry(&c->raft->log, index);
    c->applied = index;
    if (entry.kind != RAFT_ENTRY_DATA) return;
    const struct status s = metadata_command_decode(entry.data, &command);
    if (!status_ok(s)) {
        control_refuse(c, "entry %llu of the log is %s: a later release is needed",
                       (unsigned long long)index, status_name(s));
        return;
    }
    (void)metadata_apply(c->state, &command);
}

STATUS control_member_restore(struct control *c, const struct raft_store_restored *r) {
    ASSERT(r->owner.member != 0);
    c->self = r->owner.member;
    memcpy(&c->cluster, r->owner.cluster, sizeof c->cluster);
    buffer_reset(&c->lent);
    buffer_append(&c->lent, r->snapshot.data);
    if (c->lent.overflowed) return status_of(ST_CORRUPT);
    TRY(start(c, r->hard, r->snapshot));
    for (size_t i = 0; i < r->entry_count; i++) {
        const struct status s = raft_restore(c->raft, &r->entries[i]);
        if (s.code == ST_CONFLICT) {
            c->store.truncate(c->store.user, r->entries[i].index);
            break;
        }
        TRY(s);
    }
    TRY(raft_restore_commit(c->raft, r->applied));
    c->stage = CONTROL_MEMBER;
    while (c->applied < r->applied && c->stage == CONTROL_MEMBER) apply(c, c->applied + 1);
    publish(c);
    return status_of(ST_OK);
}

void control_member_deinit(struct control *c) {
    if (c->raft != NULL) raft_deinit(c->raft);
    mem_free(c->raft);
    mem_free(c->fx);
    metadata_destroy(c->state);
    metadata_destroy(c->install_state);
    c->raft = NULL;
    c->state = c->install_state = NULL;
}

/* Whether this start of this data directory may go on as the member that the state has. */
static bool may_go_on(struct control *c) {
    const uint32_t at = metadata_find_member(c->state, c->self);
    /* The log has not come to where it was added. */
    if (metadata_member_state(c->state, c->self) == MEMBER_UNKNOWN) return false;
    if (at == MEMBER_NONE) {
        control_refuse(c, "member %u was removed from the cluster", c->self);
        return false;
    }
    const struct metadata_member *self = &c->state->members[at];
    if (self->nonce != 0 && self->nonce != c->options.nonce) {
        control_refuse(c, "member %u is another data directory than this one", c->self);
        return false;
    }
    if (self->boot > c->options.boot) {
        control_refuse(c,
                       "this is an old copy of the data directory of member %u: it has started "
                       "%u times, and this copy %u times",
                       c->self, self->boot, c->options.boot);
        return false;
    }
    c->boot_told = self->boot == c->options.boot;
    return true;
}

/* Show the state, all of which is durable, if it is another one than before. */
static void publish(struct control *c) {
    if (c->state->epoch == 0 || c->stage != CONTROL_MEMBER) return;
    if (!control_has_cluster(c)) {
        c->cluster = c->state->cluster;
        c->store.cluster(c->store.user, c->cluster.bytes);
    }
    /* One that joins hears the log from its beginning, of a time before it was a member. */
    if (metadata_member_state(c->state, c->self) == MEMBER_UNKNOWN) return;
    if (!may_go_on(c)) return;
    if (c->state->revision != c->shown_revision) {
        ASSERT(c->state->revision > c->shown_revision);
        ASSERT(c->state->epoch >= c->shown_epoch);
        c->shown_revision = c->state->revision;
        c->shown_epoch = c->state->epoch;
        c->shown_ms = c->now_ms;
        c->env.publish(c->env.user, c->state, c->self);
        control_trim_peers(c);
    }
    control_settle_proposals(c);
    if (!c->boot_told) control_propose_boot(c);
}

/* Whoever loses its membership by this stride hears of it while there is a way to it. */
static void tell_removed(struct control *c, const struct metadata_member *before, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (metadata_find_member(c->state, before[i].id) != MEMBER_NONE) continue;
        if (!control_is_leader(c) || before[i].id == c->self) continue;
        struct control_message *m = control_begin(c, CONTROL_REMOVED);
        m->cluster = c->cluster;
        m->member = before[i].id;
        if (before[i].address[0] != 0) control_send_address(c, before[i].address);
    }
}

static void settle_stride(struct control *c) {
    ASSERT(c->stride > c->applied);
    static struct metadata_member before[MEMBERS_MAX]; /* large; one thread */
    const uint32_t count = control_is_leader(c) ? c->state->members_count : 0; /* who tells */
    memcpy(before, c->state->members, count * sizeof *before);
    const uint64_t end = c->stride;
    c->stride = 0;
    while (c->applied < end && c->stage == CONTROL_MEMBER) apply(c, c->applied + 1);
    tell_removed(c, before, count);
    publish(c);
}

/* ---- steps of the core ---- */

static void store_effects(struct control *c) {
    const struct raft_effects *fx = c->fx;
    const struct control_store *s = &c->store;
    if (fx->hard_state_changed) s->hard(s->user, fx->hard_state);
    if (fx->truncate_from != 0) s->truncate(s->user, fx->truncate_from);
    for (uint64_t i = fx->append_first; fx->append_first != 0 && i <= fx->append_last; i++) {
        const struct raft_entry entry = raft_log_entry(&c->raft->log, i);
        s->append(s->user, &entry);
    }
    if (fx->mark.sequence != 0) s->mark(s->user, fx->mark);
}

static void take_piece(struct control *c) {
    ASSERT(c->install_index == 0);
    if (c->fx->snapshot_offset == 0) buffer_reset(&c->pieces);
    ASSERT(c->pieces.overflowed || buffer_len(&c->pieces) == c->fx->snapshot_offset);
    buffer_append(&c->pieces, c->fx->snapshot_data);
}

/* What cannot be read is not stored: nothing could go on from it. */
static void begin_install(struct control *c) {
    ASSERT(c->install_state == NULL);
    const struct bytes data = buffer_bytes(&c->pieces);
    struct status s = status_of(ST_CORRUPT);
    if (!c->pieces.overflowed) s = decode_snapshot(c, data, &c->install_state);
    if (!status_ok(s)) {
        control_refuse(c, "the leader's snapshot is %s: a later release is needed", status_name(s));
        return;
    }
    struct raft_snapshot snapshot = c->fx->snapshot;
    snapshot.data = data;
    c->install_index = snapshot.index;
    c->store.install(c->store.user, &snapshot);
}

static void send_messages(struct control *c) {
    for (uint32_t i = 0; i < c->fx->message_count; i++) {
        const struct raft_message *message = &c->fx->messages[i];
        buffer_reset(&c->raft_bytes);
        raft_message_encode(message, &c->raft_bytes);
        ASSERT(!c->raft_bytes.overflowed);
        struct control_message *m = control_begin(c, CONTROL_RAFT);
        m->cluster = c->cluster;
        m->bytes = buffer_bytes(&c->raft_bytes);
        control_send(c, message->to);
    }
}

struct status control_step(struct control *c, struct raft_event event) {
    ASSERT(c->raft != NULL);
    struct status result = status_of(ST_OK);
    for (bool first = true; first || c->fx->more; first = false) {
        if (c->stage != CONTROL_MEMBER) return status_of(ST_CONFLICT);
        if (!first) event = (struct raft_event){ .kind = RAFT_CONTINUE };
        event.now_ms = c->now_ms;
        event.random = control_random(c);
        raft_step(c->raft, &event, c->fx);
        if (first) result = c->fx->result;
        store_effects(c);
        if (c->fx->snapshot_write) take_piece(c);
        if (c->fx->snapshot_install) begin_install(c);
        send_messages(c);
        c->raft_wake_ms = c->fx->wake_at_ms;
    }
    return result;
}

static bool removed_from(const struct control *c, uint32_t member) {
    return c->shown_revision > 0 && metadata_member_state(c->state, member) == MEMBER_REMOVED;
}

void control_on_raft(struct control *c, struct control_source from) {
    if (c->stage != CONTROL_MEMBER) return;
    static const struct cluster_id none;
    const bool named = memcmp(&c->in.cluster, &none, sizeof none) != 0;
    const bool other = memcmp(&c->in.cluster, &c->cluster, sizeof c->cluster) != 0;
    if (named && other && control_has_cluster(c)) return;
    struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
    struct raft_message message;
    if (!status_ok(raft_message_decode(c->in.bytes, entries, &message))) return;
    if (message.to != c->self || (from.member != 0 && from.member != message.from)) return;
    if (removed_from(c, message.from)) {
        struct control_message *m = control_begin(c, CONTROL_REMOVED);
        m->cluster = c->cluster;
        m->member = message.from;
        control_answer(c, from);
        return;
    }
    if (from.member == 0 && from.guest != 0) {
        /* Founders are known, and nobody else is to be taken for one. */
        struct control_neighbor *n = control_has_cluster(c)
                                         ? control_meet(c, message.from, BYTES_NONE)
                                         : control_find_neighbor(c, message.from);
        if (n != NULL) n->guest = from.guest;
    }
    const struct raft_event event = { .kind = RAFT_RECEIVE, .message = &message };
    (void)control_step(c, event);
    if (c->stage == CONTROL_MEMBER && message.from == c->raft->leader) control_heard_leader(c);
}

/* ---- snapshots of this node, and what is durable ---- */

static void offer_made(struct control *c) {
    ASSERT(c->made_index != 0 && c->made_durable);
    const struct status s = control_step(c, (struct raft_event){ .kind = RAFT_SNAPSHOT_MADE,
                                                                 .index = c->made_index,
                                                                 .data = buffer_bytes(&c->made) });
    if (s.code == ST_BUSY) return; /* again with the next write that is durable */
    c->made_index = 0;
    c->made_durable = false;
    if (!status_ok(s)) return; /* the leader's, installed meanwhile, is newer */
    const struct buffer old = c->lent;
    c->lent = c->made;
    c->made = old;
}

static void finish_install(struct control *c, uint64_t index) {
    ASSERT(c->install_state != NULL);
    ASSERT(index == c->install_index);
    const struct raft_event event = { .kind = RAFT_SNAPSHOT_INSTALLED,
                                      .index = index,
                                      .data = buffer_bytes(&c->pieces) };
    const struct status s = control_step(c, event);
    ASSERT(status_ok(s)); /* the core has seen these very bytes */
    const struct buffer old = c->lent;
    c->lent = c->pieces;
    c->pieces = old;
    buffer_reset(&c->pieces);
    metadata_destroy(c->state);
    c->state = c->install_state;
    c->install_state = NULL;
    c->install_index = 0;
    c->applied = index;
    c->stride = 0;
    publish(c);
}

static void maybe_snapshot(struct control *c) {
    if (c->made_index != 0 || c->install_index != 0 || c->stride != 0) return;
    if (c->store.is_replacing(c->store.user)) return;
    const uint64_t base = c->raft->log.base_index;
    if (base == 0 || c->applied <= base || c->applied > c->raft->applied) return;
    if (c->applied - base < c->options.snapshot_entries && !c->fx->compact_wanted) return;
    uint8_t config[RAFT_CONFIG_BYTES_MAX];
    struct raft_snapshot snapshot;
    if (!status_ok(raft_describe(c->raft, c->applied, config, &snapshot))) return;
    encode_snapshot(c, c->state, &c->made);
    snapshot.data = buffer_bytes(&c->made);
    c->made_index = snapshot.index;
    c->store.snapshot(c->store.user, &snapshot);
}

void control_stored(struct control *c, const struct raft_store_done *done, uint64_t now_ms,
                    uint64_t random) {
    ASSERT(now_ms >= c->now_ms);
    c->now_ms = now_ms;
    c->random ^= random;
    if (c->stage != CONTROL_MEMBER) return;
    if (done->mark.sequence != 0)
        (void)control_step(c, (struct raft_event){ .kind = RAFT_STORED, .mark = done->mark });
    if (c->stride != 0 && done->applied >= c->stride) settle_stride(c);
    if (c->made_index != 0 && done->snapshot_index == c->made_index) c->made_durable = true;
    if (c->stage == CONTROL_MEMBER && c->made_durable) offer_made(c);
    if (c->stage == CONTROL_MEMBER && c->install_index != 0 &&
        done->install_index == c->install_index)
        finish_install(c, done->install_index);
    control_advance(c);
    ASSERT(control_check(c));
}

void control_advance(struct control *c) {
    if (c->stage != CONTROL_MEMBER) return;
    if (c->stride == 0 && c->install_index == 0 && c->raft->applied > c->applied) {
        c->stride = c->raft->applied;
        c->stride_ms = c->now_ms;
        c->store.applied(c->store.user, c->stride);
        if (MUTANT("control_publishes_early")) settle_stride(c);
    }
    if (c->stage != CONTROL_MEMBER) return;
    maybe_snapshot(c);
    c->store.flush(c->store.user);
}

bool control_is_leader(const struct control *c) {
    return c->stage == CONTROL_MEMBER && c->raft->role == RAFT_LEADER;
}

bool control_leads_quietly(const struct control *c) {
    if (!control_is_leader(c) || c->stride != 0) return false;
    return c->raft->commit >= c->raft->term_start && c->raft->log.last_index == c->applied;
}

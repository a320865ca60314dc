/* Before a node is a member: it asks who is there, begins with them, or asks to join. */
#include "control/control_internal.h"

#include <stdio.h>

#define PROXY_ASK_MS 1000u /* for news, once there is a state */

void control_gather_begin(struct control *c) {
    ASSERT(c->raft == NULL);
    static const enum control_stage stages[] = {
        [CONTROL_WANT_ALONE] = CONTROL_MEMBER,
        [CONTROL_WANT_LIST] = CONTROL_GATHERING,
        [CONTROL_WANT_JOIN] = CONTROL_JOINING,
        [CONTROL_WANT_PROXY] = CONTROL_PROXY,
    };
    ASSERT(c->options.want != CONTROL_WANT_ALONE);
    c->stage = stages[c->options.want];
    c->ask_at_ms = c->gather_since_ms = c->now_ms;
    (void)snprintf(c->waits_for, sizeof c->waits_for, "an answer of the nodes it was told of");
}

static bool same_cluster(const struct control *c, const struct cluster_id *id) {
    return memcmp(id, &c->cluster, sizeof c->cluster) == 0;
}

static bool same_list(const struct control *c, const struct control_who *w) {
    return w->list != 0 && w->list == c->list;
}

/* ---- questions ---- */

static void tell_self(const struct control *c, struct control_who *w) {
    *w = (struct control_who){ .person = CONTROL_PERSON_OTHER, .list = c->list };
    if (c->options.want != CONTROL_WANT_PROXY) {
        w->nonce = c->options.nonce;
        w->address = bytes_of_string(c->address);
    }
    if (c->stage == CONTROL_GATHERING) w->person = CONTROL_PERSON_FRESH;
    if (c->stage != CONTROL_MEMBER) return;
    w->person = control_has_cluster(c) ? CONTROL_PERSON_MEMBER : CONTROL_PERSON_BEGUN;
    w->cluster = c->cluster;
    w->member = c->self;
}

static void ask_who(struct control *c, const char *address) {
    struct control_message *m = control_begin(c, CONTROL_WHO);
    tell_self(c, &m->who);
    control_send_address(c, address);
}

static void ask_join(struct control *c, const char *address) {
    struct control_message *m = control_begin(c, CONTROL_JOIN);
    m->weight = c->options.weight;
    m->zone = c->options.zone;
    m->nonce = c->options.nonce;
    m->address = bytes_of_string(c->address);
    control_send_address(c, address);
}

static void ask_metadata(struct control *c, const char *address) {
    struct control_message *m = control_begin(c, CONTROL_METADATA_WANTED);
    m->cluster = c->cluster;
    m->revision = c->shown_revision;
    control_send_address(c, address);
}

/* Those of the last state if there is one, else those it was told of, one after the other.
 * NULL: nobody has an address that is not this node's. */
static const char *next_address(struct control *c) {
    const bool shown = c->shown_revision > 0;
    const uint32_t count = shown ? c->state->members_count : c->neighbor_count;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = c->ask_turn++ % count;
        const char *address = shown ? c->state->members[at].address : c->neighbors[at].address;
        if (address[0] != 0 && strcmp(address, c->address) != 0) return address;
    }
    return NULL;
}

/* A member that was added but has no state yet waits for the leader to find it. */
static bool waits_for_state(const struct control *c) {
    return c->state->epoch == 0 && control_has_cluster(c) && c->raft->leader == 0;
}

static void ask_as_member(struct control *c) {
    const bool silent = c->now_ms - c->leader_heard_ms >= CONTROL_ALERTS_MS_MAX;
    const bool waits = waits_for_state(c);
    if (!silent && !waits) return;
    const char *address = next_address(c);
    if (address == NULL) return;
    if (waits) ask_join(c, address);
    if (silent) ask_who(c, address);
}

static void gather_evaluate(struct control *c);

void control_ask(struct control *c) {
    /* A proxy that somebody refused for its old epoch does not wait for its next question. */
    const bool wants_news = c->stage == CONTROL_PROXY && control_take_news_due(c);
    if (!wants_news && c->now_ms < c->ask_at_ms) return;
    c->ask_at_ms = c->now_ms + CONTROL_ASK_MS;
    const char *address = NULL;
    switch (c->stage) {
    case CONTROL_GATHERING:
        for (uint32_t i = 0; i < c->neighbor_count; i++) {
            if (strcmp(c->neighbors[i].address, c->address) == 0) continue;
            ask_who(c, c->neighbors[i].address);
        }
        gather_evaluate(c);
        break;
    case CONTROL_JOINING:
        address = next_address(c);
        if (address != NULL) ask_join(c, address);
        break;
    case CONTROL_PROXY:
        address = next_address(c);
        if (address != NULL) ask_metadata(c, address);
        if (c->shown_revision > 0) c->ask_at_ms = c->now_ms + PROXY_ASK_MS;
        break;
    case CONTROL_MEMBER: ask_as_member(c); break;
    case CONTROL_REFUSED:
    case CONTROL_STAGES: break;
    }
}

/* ---- WHO and I_AM ---- */

/* One that began with this node's list and has not heard of the cluster since knows itself by its
 * number only. It has never held anything. */
static enum control_yours judge_founder(const struct control *c, const struct control_who *w) {
    const bool began = w->person == CONTROL_PERSON_BEGUN && same_list(c, w);
    if (!began || c->shown_revision == 0) return CONTROL_YOURS_FINE;
    const bool gone = metadata_member_state(c->state, w->member) == MEMBER_REMOVED;
    return gone ? CONTROL_YOURS_REMOVED : CONTROL_YOURS_FINE;
}

/* What this node has against the one that asks. */
static enum control_yours judge(struct control *c, const struct control_who *w) {
    if (c->stage != CONTROL_MEMBER) return CONTROL_YOURS_FINE;
    if (w->person == CONTROL_PERSON_MEMBER && c->shown_revision > 0) {
        if (!same_cluster(c, &w->cluster)) return CONTROL_YOURS_FINE;
        const uint32_t at = metadata_find_member(c->state, w->member);
        if (at == MEMBER_NONE && metadata_member_state(c->state, w->member) == MEMBER_REMOVED)
            return CONTROL_YOURS_REMOVED;
        if (at == MEMBER_NONE || c->state->members[at].nonce == 0) return CONTROL_YOURS_FINE;
        return c->state->members[at].nonce == w->nonce ? CONTROL_YOURS_FINE : CONTROL_YOURS_OTHER;
    }
    if (control_has_cluster(c)) return judge_founder(c, w);
    if (w->nonce == 0) return CONTROL_YOURS_FINE;
    /* A founder that comes back with an empty disk has promised what it does not know of. */
    for (uint32_t i = 0; i < c->neighbor_count; i++) {
        struct control_neighbor *n = &c->neighbors[i];
        if (!bytes_equal(bytes_of_string(n->address), w->address)) continue;
        if (n->nonce == 0) n->nonce = w->nonce;
        return n->nonce == w->nonce ? CONTROL_YOURS_FINE : CONTROL_YOURS_OTHER;
    }
    return CONTROL_YOURS_FINE;
}

void control_on_who(struct control *c, struct control_source from) {
    const enum control_yours yours = judge(c, &c->in.who);
    struct control_message *m = control_begin(c, CONTROL_I_AM);
    tell_self(c, &m->who);
    m->yours = yours;
    control_answer(c, from);
}

struct gathered {
    uint32_t count;  /* of the list that can begin, this node among them */
    uint32_t voters; /* of them, first voters */
    bool refused;    /* somebody knows this address with another disk */
    uint32_t others; /* that have another list */
    uint32_t silent; /* that have not answered */
    uint32_t last;   /* one of those that hold it up */
};

static void count_gathered(const struct control *c, struct gathered *ret_gathered) {
    struct gathered g = { 0 };
    const uint32_t voters = control_first_voters(c->neighbor_count);
    for (uint32_t i = 0; i < c->neighbor_count; i++) {
        const struct control_neighbor *n = &c->neighbors[i];
        const bool self = strcmp(n->address, c->address) == 0;
        g.refused |= n->refuses;
        if (self || n->counts) {
            g.count++;
            g.voters += i < voters;
            continue;
        }
        g.others += n->heard && n->other_list;
        g.silent += !n->heard;
        g.last = i;
    }
    *ret_gathered = g;
}

/* After some patience with those that start late, and would have to join as new members: a
 * majority of the list, and of those of it who will vote, must be there and as new as this
 * node: then nobody else can have begun with a majority of this list that has lost nothing. */
static void gather_evaluate(struct control *c) {
    ASSERT(c->stage == CONTROL_GATHERING);
    struct gathered g;
    count_gathered(c, &g);
    const uint32_t voters = control_first_voters(c->neighbor_count);
    const bool patient = c->now_ms - c->gather_since_ms < c->options.gather_ms;
    const uint32_t needed = patient ? c->neighbor_count : membership_majority(c->neighbor_count);
    bool enough = g.count >= needed && g.voters >= membership_majority(voters) && !g.refused;
    if (MUTANT("control_founds_without_majority")) enough = true;
    if (enough) {
        const struct status s = control_found_list(c);
        if (!status_ok(s))
            control_refuse(c, "the store of the control plane cannot be made: %s", status_name(s));
        return;
    }
    if (g.refused) {
        (void)snprintf(c->waits_for, sizeof c->waits_for,
                       "a cluster to join: this address began one with another data directory");
        return;
    }
    (void)snprintf(c->waits_for, sizeof c->waits_for,
                   "a majority of its list: %u of %u are there, %u have another list, for "
                   "example %.128s is missing",
                   g.count, c->neighbor_count, g.others, c->neighbors[g.last].address);
}

static void gather_heard(struct control *c) {
    const struct control_who *w = &c->in.who;
    if (w->person == CONTROL_PERSON_MEMBER && !MUTANT("control_founds_without_majority")) {
        c->stage = CONTROL_JOINING;
        (void)snprintf(c->waits_for, sizeof c->waits_for, "a member id of the cluster it found");
        return;
    }
    for (uint32_t i = 0; i < c->neighbor_count; i++) {
        struct control_neighbor *n = &c->neighbors[i];
        if (!bytes_equal(bytes_of_string(n->address), w->address)) continue;
        const bool begins = w->person == CONTROL_PERSON_FRESH || w->person == CONTROL_PERSON_BEGUN;
        n->heard = true;
        n->other_list = w->list != c->list;
        n->counts = begins && !n->other_list;
        n->refuses = c->in.yours == CONTROL_YOURS_OTHER;
        n->nonce = w->nonce;
    }
    gather_evaluate(c);
}

void control_on_i_am(struct control *c) {
    if (c->stage == CONTROL_GATHERING) gather_heard(c);
    if (c->stage != CONTROL_MEMBER || c->in.yours != CONTROL_YOURS_REMOVED) return;
    const struct control_who *w = &c->in.who;
    const bool began = w->person == CONTROL_PERSON_MEMBER && same_list(c, w);
    if (control_has_cluster(c) ? !same_cluster(c, &w->cluster) : !began) return;
    control_refuse(c, "member %u was removed from the cluster", c->self);
}

/* ---- JOIN ---- */

static void tell_refused(struct control *c, uint64_t nonce, enum metadata_code code) {
    struct control_message *m = control_begin(c, CONTROL_JOIN_REFUSED);
    m->nonce = nonce;
    m->code = code;
}

static void add_contact(const struct control *c, struct control_message *m, uint32_t at) {
    if (at == MEMBER_NONE || m->contact_count == CONTROL_CONTACTS_MAX) return;
    const struct metadata_member *member = &c->state->members[at];
    if (member->address[0] == 0 || member->id == m->member) return;
    m->contacts[m->contact_count++] =
        (struct control_contact){ member->id, bytes_of_string(member->address) };
}

/* The answer to a JOIN in c->out; false: nothing can be said yet. */
static bool join_answer(struct control *c, uint64_t nonce) {
    const uint32_t at = metadata_find_nonce(c->state, nonce);
    if (at == MEMBER_NONE) return false;
    if (c->state->members[at].boot > 0) {
        tell_refused(c, nonce, META_BOOT);
        return true;
    }
    struct control_message *m = control_begin(c, CONTROL_JOINED);
    m->cluster = c->cluster;
    m->member = c->state->members[at].id;
    m->nonce = nonce;
    /* Voters are among them: one of those leads. */
    for (uint32_t i = 0; i < c->raft->config.voter_count; i++)
        add_contact(c, m, metadata_find_member(c->state, c->raft->config.voters[i]));
    for (uint32_t i = 0; i < c->state->members_count; i++) {
        if (!raft_config_is_voter(&c->raft->config, c->state->members[i].id)) add_contact(c, m, i);
    }
    return m->contact_count > 0;
}

void control_tell_joined(struct control *c, uint64_t nonce, uint64_t guest,
                         struct metadata_result result) {
    ASSERT(nonce != 0);
    if (guest == 0) return;
    if (!metadata_result_ok(result))
        tell_refused(c, nonce, result.code);
    else if (!join_answer(c, nonce))
        return;
    control_answer(c, (struct control_source){ .guest = guest });
}

/* Planted: takes an address for the proof that it is the same member. */
static bool answer_by_address(struct control *c, struct control_source from) {
    const uint32_t at = metadata_find_address(c->state, c->in.address);
    if (at == MEMBER_NONE || c->state->members[at].id == c->self) return false;
    struct control_message *m = control_begin(c, CONTROL_JOINED);
    m->cluster = c->cluster;
    m->member = c->state->members[at].id;
    m->nonce = c->in.nonce;
    m->contact_count = 1;
    m->contacts[0] = (struct control_contact){ c->self, bytes_of_string(c->address) };
    control_answer(c, from);
    return true;
}

void control_on_join(struct control *c, struct control_source from) {
    if (c->stage != CONTROL_MEMBER || c->shown_revision == 0) return;
    if (MUTANT("control_reuses_id") && answer_by_address(c, from)) return;
    if (join_answer(c, c->in.nonce)) {
        control_answer(c, from);
        return;
    }
    if (metadata_find_nonce(c->state, c->in.nonce) != MEMBER_NONE) return;
    (void)control_propose_join(c, &c->in, from.member == 0 ? from.guest : 0);
}

static void take_contacts(struct control *c) {
    c->neighbor_count = 0;
    for (uint32_t i = 0; i < c->in.contact_count; i++)
        (void)control_meet(c, c->in.contacts[i].member, c->in.contacts[i].address);
}

void control_on_joined(struct control *c) {
    if (c->in.nonce != c->options.nonce) return;
    if (c->stage == CONTROL_MEMBER) {
        if (c->shown_revision == 0 && c->in.member == c->self && same_cluster(c, &c->in.cluster))
            take_contacts(c);
        return;
    }
    if (c->stage != CONTROL_JOINING) return;
    c->cluster = c->in.cluster;
    take_contacts(c);
    const struct status s = control_found_joined(c, c->in.member);
    if (!status_ok(s))
        control_refuse(c, "the store of the control plane cannot be made: %s", status_name(s));
}

void control_on_join_refused(struct control *c) {
    if (c->stage != CONTROL_JOINING || c->in.nonce != c->options.nonce) return;
    if (c->in.code == META_BOOT) {
        control_refuse(c, "this data directory has been a member before, and what it had stored "
                          "of the cluster is gone: start with a new one");
        return;
    }
    (void)snprintf(c->waits_for, sizeof c->waits_for, "to be let in: %s",
                   metadata_code_text(c->in.code));
}

/* ---- proxies ---- */

void control_on_metadata_wanted(struct control *c, struct control_source from) {
    if (c->stage != CONTROL_MEMBER || c->shown_revision == 0) return;
    if (c->in.revision != 0 && !same_cluster(c, &c->in.cluster)) return;
    const bool same = c->in.revision >= c->shown_revision;
    struct buffer state;
    buffer_init(&state, METADATA_SNAPSHOT_BYTES_MAX);
    if (!same) metadata_encode(c->state, &state);
    ASSERT(!state.overflowed);
    struct control_message *m = control_begin(c, CONTROL_METADATA);
    m->cluster = c->cluster;
    m->revision = c->shown_revision;
    m->bytes = buffer_bytes(&state);
    control_answer(c, from);
    buffer_deinit(&state);
}

void control_on_metadata(struct control *c) {
    if (c->stage != CONTROL_PROXY || c->in.bytes.len == 0) return;
    if (c->in.revision <= c->shown_revision) return;
    if (control_has_cluster(c) && !same_cluster(c, &c->in.cluster)) return;
    struct metadata *state = NULL;
    if (!status_ok(metadata_decode(c->in.bytes, &state))) return;
    const bool named = memcmp(&state->cluster, &c->in.cluster, sizeof state->cluster) == 0;
    if (!named || state->revision != c->in.revision || state->epoch < c->shown_epoch) {
        metadata_destroy(state);
        return;
    }
    metadata_destroy(c->state);
    c->state = state;
    c->cluster = state->cluster;
    c->shown_revision = state->revision;
    c->shown_epoch = state->epoch;
    c->waits_for[0] = 0;
    c->env.publish(c->env.user, state, 0);
}

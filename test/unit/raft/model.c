#include "test/unit/raft/model.h"

#include "base/assert.h"
#include "base/mem.h"

#define ELECTION_MS 100u
#define HEARTBEAT_MS 25u
#define CHUNK_BYTES 64u
#define STEADY_MS 1000u

const struct model_core model_core_sound = { raft_init,   raft_restore, raft_restore_commit,
                                             raft_deinit, raft_step,    raft_describe };

static struct raft_effects effects; /* of the step at hand */
static struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];
static struct buffer wire;

static uint64_t below(struct model *m, uint64_t bound) {
    return sim_random_below(&m->random, bound);
}

static bool chance(struct model *m, uint64_t part, uint64_t whole) {
    return sim_random_below(&m->random, whole) < part;
}

static struct model_node *node_of(struct model *m, uint32_t id) {
    ASSERT(id >= 1 && id <= m->node_count);
    return &m->nodes[id - 1];
}

/* ---- network ---- */

static void put_packet(struct model *m, const struct raft_message *message) {
    if (m->packet_count == MODEL_PACKETS_MAX) return;
    uint64_t delay_ms = 1 + below(m, m->hazards.delay_ms + 1);
    if (chance(m, m->hazards.late, 1000)) delay_ms *= 1 + below(m, 10);
    struct model_packet *p = &m->packets[m->packet_count++];
    *p = (struct model_packet){ .at_ms = m->now_ms + delay_ms,
                                .from = message->from,
                                .to = message->to };
    const struct bytes bytes = buffer_bytes(&wire);
    p->len = (uint32_t)bytes.len;
    p->bytes = mem_alloc(bytes.len);
    memcpy(p->bytes, bytes.ptr, bytes.len);
}

static void send_message(struct model *m, struct model_node *n,
                         const struct raft_message *message) {
    model_check_message(m, n, message);
    if (m->cut[message->from][message->to]) return;
    if (chance(m, m->hazards.loss, 1000)) return;
    buffer_reset(&wire);
    raft_message_encode(message, &wire);
    ASSERT(!wire.overflowed);
    put_packet(m, message);
    if (chance(m, m->hazards.repeat, 1000)) put_packet(m, message);
}

/* ---- disk ---- */

static void free_op(struct model_op *op) {
    mem_free(op->entries);
    mem_free(op->snapshot);
}

static struct model_op *add_op(struct model *m, struct model_node *n, enum model_op_kind kind) {
    struct model_disk *d = &n->disk;
    ASSERT(d->op_count < MODEL_OPS_MAX);
    uint64_t disk_ms = below(m, m->hazards.disk_ms + 1);
    if (m->now_ms < n->slow_disk_until_ms) disk_ms = 20 + below(m, 200);
    uint64_t done_ms = m->now_ms + disk_ms;
    if (d->op_count > 0) {
        const uint32_t last = (d->op_first + d->op_count - 1) % MODEL_OPS_MAX;
        if (done_ms < d->ops[last].done_ms) done_ms = d->ops[last].done_ms;
    }
    struct model_op *op = &d->ops[(d->op_first + d->op_count) % MODEL_OPS_MAX];
    d->op_count++;
    *op = (struct model_op){ .kind = kind, .done_ms = done_ms };
    return op;
}

static void add_write(struct model *m, struct model_node *n, const struct raft_effects *fx) {
    struct model_op *op = add_op(m, n, MODEL_OP_WRITE);
    op->hard_changed = fx->hard_state_changed;
    op->hard = fx->hard_state;
    op->truncate_from = fx->truncate_from;
    op->mark = fx->mark;
    if (fx->append_first == 0) return;
    op->append_first = fx->append_first;
    op->append_count = (uint32_t)(fx->append_last - fx->append_first + 1);
    op->entries = mem_alloc_zeroed(op->append_count * sizeof *op->entries);
    for (uint32_t i = 0; i < op->append_count; i++) {
        const struct raft_entry e = raft_log_entry(&n->raft.log, fx->append_first + i);
        ASSERT(e.data.len <= MODEL_DATA_BYTES_MAX);
        op->entries[i].term = e.term;
        op->entries[i].kind = e.kind;
        op->entries[i].len = (uint32_t)e.data.len;
        if (e.data.len > 0) memcpy(op->entries[i].data, e.data.ptr, e.data.len);
    }
}

/* Carry out the first `parts` parts of a write: hard state, cut, each entry. */
static void write_parts(struct model_disk *d, const struct model_op *op, uint32_t parts) {
    ASSERT(op->kind == MODEL_OP_WRITE);
    if (parts >= 1 && op->hard_changed) d->hard = op->hard;
    if (parts >= 2 && op->truncate_from != 0) d->last = op->truncate_from - 1;
    for (uint32_t i = 0; i < op->append_count && parts >= 3 + i; i++) {
        const uint64_t index = op->append_first + i;
        ASSERT(index == d->last + 1);
        ASSERT(index < MODEL_INDEX_MAX);
        d->log[index] = op->entries[i];
        d->last = index;
    }
}

static uint32_t parts_of(const struct model_op *op) {
    return 2 + op->append_count;
}

static void take_snapshot(struct model_disk *d, const struct model_snapshot *s) {
    if (s->state.index <= d->snapshot.state.index) return;
    d->snapshot = *s;
}

static void take_applied(struct model_disk *d, uint64_t index) {
    ASSERT(index <= d->last); /* the entries were written before */
    if (index > d->applied) d->applied = index;
}

/* Power is lost: some writes on the way are durable, one perhaps in part, the rest is gone. */
static void crash(struct model *m, struct model_node *n) {
    ASSERT(n->up);
    struct model_disk *d = &n->disk;
    uint32_t whole = (uint32_t)below(m, d->op_count + 1);
    if (chance(m, 1, 2)) whole = 0;
    for (uint32_t i = 0; i < d->op_count; i++) {
        struct model_op *op = &d->ops[(d->op_first + i) % MODEL_OPS_MAX];
        if (op->kind == MODEL_OP_WRITE) {
            if (i < whole) write_parts(d, op, parts_of(op));
            if (i == whole) write_parts(d, op, (uint32_t)below(m, parts_of(op) + 1));
        } else if (i < whole && op->kind == MODEL_OP_APPLIED) {
            take_applied(d, op->applied);
        } else if (i < whole) {
            take_snapshot(d, op->snapshot);
            if (op->kind == MODEL_OP_INSTALL) {
                d->first = op->snapshot->state.index + 1;
                d->last = op->snapshot->state.index;
            }
        }
        free_op(op);
    }
    d->op_first = d->op_count = 0;
    m->core->deinit(&n->raft);
    n->up = false;
    n->up_at_ms = m->now_ms + below(m, m->hazards.down_ms + 1);
}

static void start(struct model *m, struct model_node *n) {
    ASSERT(!n->up);
    struct model_disk *d = &n->disk;
    const struct raft_options options = {
        .id = n->id,
        .election_ms = ELECTION_MS,
        .heartbeat_ms = HEARTBEAT_MS,
        .batch_entries_max = m->batch_entries,
        .batch_bytes_max = 256,
        .inflight_max = m->inflight,
        .chunk_bytes = CHUNK_BYTES,
        .log_slots_max = m->log_slots,
        .log_bytes_max = m->log_bytes,
    };
    n->lent_turn = 0;
    n->lent[0] = d->snapshot;
    struct model_snapshot *s = &n->lent[0];
    struct raft_snapshot snapshot = { .index = s->state.index, .term = s->term };
    snapshot.config = bytes_of(s->config, s->config_len);
    if (s->state.index > 0) snapshot.data = bytes_of(s->data, sizeof s->data);
    const struct status begun = m->core->init(&n->raft, &options, d->hard, &snapshot);
    ASSERT(status_ok(begun));
    for (uint64_t i = d->first; i <= d->last; i++) {
        const struct model_entry *e = &d->log[i];
        const struct raft_entry entry = {
            .index = i,
            .term = e->term,
            .kind = (enum raft_entry_kind)e->kind,
            .data = bytes_of(e->data, e->len),
        };
        const struct status s2 = m->core->restore(&n->raft, &entry);
        if (status_ok(s2)) continue;
        if (s2.code != ST_CONFLICT) model_fail(m, n, "a log that cannot be restored");
        d->last = i - 1;
    }
    if (d->last < s->state.index) { /* all of it is in the snapshot */
        d->last = s->state.index;
        d->first = d->last + 1;
    }
    if (!status_ok(m->core->restore_commit(&n->raft, d->applied)))
        model_fail(m, n, "what was applied is not in the log");
    n->state = s->state;
    n->stepped = false;
    n->snapshot_busy = false;
    n->life++;
    n->up = true;
    n->wake_ms = m->now_ms;
    model_check_start(m, n);
}

/* ---- one step of one node ---- */

static void apply(struct model *m, struct model_node *n, const struct raft_effects *fx) {
    for (uint64_t i = fx->apply_first; i != 0 && i <= fx->apply_last; i++) {
        const struct raft_entry e = raft_log_entry(&n->raft.log, i);
        if (n->state.index != i - 1) return model_fail(m, n, "applied out of order");
        n->state.index = i;
        n->state.hash = model_hash_state(n->state.hash, e.term, model_hash_entry(e.kind, e.data));
        if (i <= m->committed && n->state.hash != m->hash[i])
            return model_fail(m, n, "state machine safety");
    }
}

static void encode_state(struct model_snapshot *s) {
    put_u64_le(s->data, s->state.index);
    put_u64_le(s->data + 8, s->state.hash);
    for (uint32_t i = 16; i < sizeof s->data; i++) s->data[i] = (uint8_t)(s->state.index * 31 + i);
}

static void make_snapshot(struct model *m, struct model_node *n) {
    uint8_t config[RAFT_CONFIG_BYTES_MAX];
    struct raft_snapshot about;
    if (n->snapshot_busy || n->state.index <= n->raft.log.base_index) return;
    if (n->raft.incoming.installing) return;
    const struct status s = m->core->describe(&n->raft, n->state.index, config, &about);
    if (!status_ok(s)) return model_fail(m, n, "a state that cannot be described");
    struct model_op *op = add_op(m, n, MODEL_OP_SNAPSHOT);
    op->snapshot = mem_alloc_zeroed(sizeof *op->snapshot);
    op->snapshot->state = n->state;
    op->snapshot->term = about.term;
    ASSERT(about.config.len <= sizeof op->snapshot->config);
    op->snapshot->config_len = (uint32_t)about.config.len;
    memcpy(op->snapshot->config, about.config.ptr, about.config.len);
    encode_state(op->snapshot);
    n->snapshot_busy = true;
}

static void keep_chunk(struct model *m, struct model_node *n, const struct raft_effects *fx) {
    if (fx->snapshot_offset + fx->snapshot_data.len > MODEL_SNAPSHOT_BYTES)
        return model_fail(m, n, "a snapshot too long");
    if (fx->snapshot_data.len > 0)
        memcpy(n->incoming.data + fx->snapshot_offset, fx->snapshot_data.ptr,
               fx->snapshot_data.len);
}

static void begin_install(struct model *m, struct model_node *n, const struct raft_effects *fx) {
    struct model_op *op = add_op(m, n, MODEL_OP_INSTALL);
    op->snapshot = mem_alloc_zeroed(sizeof *op->snapshot);
    *op->snapshot = n->incoming;
    op->snapshot->state.index = get_u64_le(n->incoming.data);
    op->snapshot->state.hash = get_u64_le(n->incoming.data + 8);
    op->snapshot->term = fx->snapshot.term;
    op->snapshot->config_len = (uint32_t)fx->snapshot.config.len;
    memcpy(op->snapshot->config, fx->snapshot.config.ptr, fx->snapshot.config.len);
    const uint64_t index = op->snapshot->state.index;
    if (index != fx->snapshot.index || index > m->committed ||
        op->snapshot->state.hash != m->hash[index])
        model_fail(m, n, "a snapshot with another state");
    m->installs++;
}

static void step_once(struct model *m, struct model_node *n, struct raft_event event) {
    ASSERT(n->up);
    const uint64_t commit_before = n->raft.commit;
    event.now_ms = m->now_ms;
    event.random = sim_random_next(&m->random);
    m->events++;
    m->core->step(&n->raft, &event, &effects);
    const struct raft_effects *fx = &effects;
    model_check_step(m, n, &event, fx, commit_before);
    if (m->wrong != NULL) return;
    if (fx->mark.sequence != 0) add_write(m, n, fx);
    if (fx->snapshot_write) keep_chunk(m, n, fx);
    if (fx->snapshot_install) begin_install(m, n, fx);
    apply(m, n, fx);
    for (uint32_t i = 0; i < fx->message_count; i++) send_message(m, n, &fx->messages[i]);
    n->wake_ms = fx->wake_at_ms;
    if (fx->apply_first != 0 && chance(m, 1, 2))
        add_op(m, n, MODEL_OP_APPLIED)->applied = n->state.index;
    if (!n->stepped && n->state.index < n->disk.applied)
        model_fail(m, n, "a restart behind what was applied");
    n->stepped = true;
    if (fx->compact_wanted) make_snapshot(m, n);
}

static struct status step(struct model *m, struct model_node *n, struct raft_event event) {
    step_once(m, n, event);
    const struct status result = effects.result;
    while (effects.more && m->wrong == NULL)
        step_once(m, n, (struct raft_event){ .kind = RAFT_CONTINUE });
    /* A caller does not take events while its disk is so far behind. */
    if (n->disk.op_count > MODEL_OPS_MAX - 16 && m->wrong == NULL) crash(m, n);
    return result;
}

static void stored(struct model *m, struct model_node *n, struct raft_mark *mark) {
    if (mark->sequence == 0) return;
    const struct raft_mark given = *mark;
    mark->sequence = 0;
    (void)step(m, n, (struct raft_event){ .kind = RAFT_STORED, .mark = given });
}

static void snapshot_done(struct model *m, struct model_node *n, const struct model_op *op) {
    struct model_snapshot *s = op->snapshot;
    const bool install = op->kind == MODEL_OP_INSTALL;
    const bool newer = s->state.index > n->disk.snapshot.state.index;
    take_snapshot(&n->disk, s);
    if (!install) n->snapshot_busy = false;
    if (install && chance(m, 1, 8)) { /* the log is not erased yet */
        crash(m, n);
        start(m, n);
        return;
    }
    if (install) {
        n->disk.last = s->state.index;
        n->disk.first = s->state.index + 1;
        n->state = s->state;
    } else if (newer && chance(m, 1, 2)) {
        n->disk.first = s->state.index + 1;
    }
    struct model_snapshot *lent = &n->lent[1 - n->lent_turn];
    *lent = *s;
    const struct status result =
        step(m, n,
             (struct raft_event){ .kind = install ? RAFT_SNAPSHOT_INSTALLED : RAFT_SNAPSHOT_MADE,
                                  .index = s->state.index,
                                  .data = bytes_of(lent->data, sizeof lent->data) });
    /* BUSY: a cut that is still on its way hides that the entries are durable. */
    const bool later = result.code == ST_CONFLICT || result.code == ST_BUSY;
    if (status_ok(result))
        n->lent_turn = 1 - n->lent_turn;
    else if (install || !later)
        model_fail(m, n, "a snapshot was refused");
}

static void turn_disk(struct model *m, struct model_node *n) {
    struct model_disk *d = &n->disk;
    struct raft_mark mark = { 0, 0 };
    const uint32_t life = n->life;
    while (n->up && d->op_count > 0 && d->ops[d->op_first].done_ms <= m->now_ms &&
           m->wrong == NULL) {
        struct model_op op = d->ops[d->op_first];
        d->op_first = (d->op_first + 1) % MODEL_OPS_MAX;
        d->op_count--;
        if (op.kind == MODEL_OP_WRITE) {
            write_parts(d, &op, parts_of(&op));
            mark = op.mark;
            if (chance(m, 1, 2)) stored(m, n, &mark); /* else the next covers it */
        } else if (op.kind == MODEL_OP_APPLIED) {
            take_applied(d, op.applied);
        } else {
            if (chance(m, 1, 2)) stored(m, n, &mark); /* a mark may also come later */
            if (n->up && m->wrong == NULL) snapshot_done(m, n, &op);
            if (n->life != life) mark.sequence = 0; /* of before the crash */
        }
        free_op(&op);
    }
    if (n->up && m->wrong == NULL) stored(m, n, &mark);
}

/* ---- what happens to all ---- */

static void deliver(struct model *m) {
    const uint32_t count = m->packet_count;
    for (uint32_t i = 0; i < count && i < m->packet_count && m->wrong == NULL;) {
        struct model_packet p = m->packets[i];
        if (p.at_ms > m->now_ms) {
            i++;
            continue;
        }
        m->packets[i] = m->packets[--m->packet_count];
        struct model_node *n = node_of(m, p.to);
        struct raft_message message;
        const struct status s = raft_message_decode(bytes_of(p.bytes, p.len), entries, &message);
        ASSERT(status_ok(s));
        if (n->up && !m->cut[p.from][p.to])
            (void)step(m, n, (struct raft_event){ .kind = RAFT_RECEIVE, .message = &message });
        mem_free(p.bytes);
    }
}

static struct model_node *any_leader(struct model *m) {
    const uint32_t first = (uint32_t)below(m, m->node_count);
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[(first + i) % m->node_count];
        if (n->up && n->raft.role == RAFT_LEADER) return n;
    }
    return NULL;
}

static struct status propose(struct model *m, struct model_node *n) {
    uint8_t data[MODEL_DATA_BYTES_MAX];
    const size_t len = 8 + below(m, sizeof data - 8);
    memset(data, (int)(m->proposals & 0xff), sizeof data);
    put_u64_le(data, ++m->proposals);
    return step(m, n, (struct raft_event){ .kind = RAFT_PROPOSE, .data = bytes_of(data, len) });
}

static void ask(struct model *m) {
    struct model_node *n = any_leader(m);
    if (n == NULL) return;
    if (chance(m, m->hazards.propose, 1000)) (void)propose(m, n);
    if (!n->up || m->wrong != NULL) return;
    if (chance(m, m->hazards.read, 1000) && m->reads_asked < MODEL_READS_MAX) {
        const uint32_t id = m->reads_asked++;
        m->reads[id].at_least = m->committed;
        (void)step(m, n, (struct raft_event){ .kind = RAFT_READ, .id = id });
    }
    if (!n->up || m->wrong != NULL) return;
    const uint32_t any = 1 + (uint32_t)below(m, m->node_count);
    if (chance(m, m->hazards.change, 10000)) {
        const struct raft_change change = { (enum raft_change_kind)(1 + below(m, 4)), any };
        (void)step(m, n, (struct raft_event){ .kind = RAFT_CHANGE, .change = change });
    }
    if (!n->up || m->wrong != NULL) return;
    if (chance(m, m->hazards.transfer, 10000))
        (void)step(m, n, (struct raft_event){ .kind = RAFT_TRANSFER, .node = any });
}

void model_isolate(struct model *m, uint32_t id, bool cut) {
    for (uint32_t i = 1; i <= m->node_count; i++) m->cut[i][id] = m->cut[id][i] = cut;
}

static void part(struct model *m) {
    const uint32_t id = 1 + (uint32_t)below(m, m->node_count);
    const uint32_t other = 1 + (uint32_t)below(m, m->node_count);
    const uint64_t sides = sim_random_next(&m->random);
    memset(m->cut, 0, sizeof m->cut);
    m->heal_links_ms = m->now_ms + 50 + below(m, 1200);
    switch (below(m, 5)) {
    case 0: model_isolate(m, id, true); break;
    case 1: m->cut[id][other] = true; break;
    case 2: /* it hears nothing */
        for (uint32_t i = 1; i <= m->node_count; i++) m->cut[i][id] = true;
        break;
    case 3: /* nothing of it is heard */
        for (uint32_t i = 1; i <= m->node_count; i++) m->cut[id][i] = true;
        break;
    default:
        for (uint32_t a = 1; a <= m->node_count; a++) {
            for (uint32_t b = 1; b <= m->node_count; b++)
                m->cut[a][b] = (sides >> a & 1) != (sides >> b & 1);
        }
    }
}

static void turn_node(struct model *m, struct model_node *n) {
    if (!n->up && m->now_ms >= n->up_at_ms) start(m, n);
    if (!n->up) return;
    turn_disk(m, n);
    if (!n->up || m->wrong != NULL) return;
    if (m->now_ms >= n->wake_ms) (void)step(m, n, (struct raft_event){ .kind = RAFT_TICK });
    if (!n->up || m->wrong != NULL) return;
    if (chance(m, m->hazards.slow, 100000)) n->slow_disk_until_ms = m->now_ms + below(m, 400);
    if (chance(m, 2, 1000)) make_snapshot(m, n);
    if (chance(m, m->hazards.crash, 100000)) crash(m, n);
}

void model_run(struct model *m, uint64_t ms) {
    const uint64_t end_ms = m->now_ms + ms;
    while (m->now_ms < end_ms && m->wrong == NULL) {
        m->now_ms++;
        if (m->heal_links_ms != 0 && m->now_ms >= m->heal_links_ms) {
            m->heal_links_ms = 0;
            memset(m->cut, 0, sizeof m->cut);
        }
        if (chance(m, m->hazards.partition, 100000)) part(m);
        for (uint32_t i = 0; i < m->node_count && m->wrong == NULL; i++) turn_node(m, &m->nodes[i]);
        if (m->wrong == NULL) deliver(m);
        if (m->wrong == NULL) ask(m);
        if (m->committed + 512 > MODEL_INDEX_MAX) m->hazards.propose = 0;
    }
}

struct model_node *model_leader(struct model *m) {
    struct model_node *best = NULL;
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[i];
        if (!n->up || n->raft.role != RAFT_LEADER) continue;
        if (best == NULL || n->raft.term > best->raft.term) best = n;
    }
    return best;
}

void model_heal(struct model *m) {
    m->hazards = (struct model_hazards){ .delay_ms = 2, .disk_ms = 1, .down_ms = 1 };
    m->heal_links_ms = 0;
    memset(m->cut, 0, sizeof m->cut);
    for (uint32_t i = 0; i < m->node_count; i++) {
        m->nodes[i].slow_disk_until_ms = 0;
        if (m->nodes[i].up_at_ms > m->now_ms) m->nodes[i].up_at_ms = m->now_ms;
    }
}

/* ---- a life ---- */

static void boot(struct model *m, uint32_t voters) {
    struct raft_config config = { .voter_count = voters };
    for (uint32_t i = 0; i < voters; i++) config.voters[i] = i + 1;
    struct model_snapshot first = { .state = { RAFT_BOOT_INDEX, 0 }, .term = RAFT_BOOT_TERM };
    first.config_len = (uint32_t)raft_config_encode(&config, first.config);
    encode_state(&first);
    m->committed = RAFT_BOOT_INDEX;
    m->log[RAFT_BOOT_INDEX].term = RAFT_BOOT_TERM;
    m->config[RAFT_BOOT_INDEX] = model_config_of(&config);
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[i];
        n->id = i + 1;
        n->disk.first = 1;
        if (i < voters) {
            n->disk.snapshot = first;
            n->disk.last = RAFT_BOOT_INDEX;
            n->disk.first = RAFT_BOOT_INDEX + 1;
        }
        start(m, n);
    }
}

static uint32_t rate(struct model *m, uint32_t most) {
    return chance(m, 1, 3) ? 0 : (uint32_t)below(m, most + 1);
}

struct model *model_create(const struct model_core *core, uint64_t seed) {
    struct model *m = mem_alloc_zeroed(sizeof *m);
    m->core = core;
    m->random = sim_random_of(seed);
    if (wire.bytes_max == 0) buffer_init(&wire, RAFT_MESSAGE_BYTES_MAX);
    const uint32_t voters = 3 + (uint32_t)below(m, 5);
    m->node_count = voters + (uint32_t)below(m, MODEL_NODES_MAX - voters + 1);
    m->log_slots = chance(m, 1, 3) ? 32 : 256;
    m->log_bytes = chance(m, 1, 3) ? 1024 : 16384;
    m->batch_entries = 1 + (uint32_t)below(m, 8);
    m->inflight = 1 + (uint32_t)below(m, 8);
    m->hazards = (struct model_hazards){
        .loss = rate(m, 200),
        .repeat = rate(m, 200),
        .delay_ms = 1 + (uint32_t)below(m, 30),
        .late = rate(m, 100),
        .crash = rate(m, 150),
        .partition = rate(m, 300),
        .change = rate(m, 200),
        .transfer = rate(m, 50),
        .disk_ms = (uint32_t)below(m, 20),
        .slow = rate(m, 100),
        .propose = 20 + (uint32_t)below(m, 300),
        .read = rate(m, 100),
        .down_ms = 1 + (uint32_t)below(m, 500),
    };
    boot(m, voters);
    return m;
}

void model_make_restless(struct model *m) {
    m->hazards.crash = 800;
    m->hazards.partition = 0;
    m->hazards.down_ms = 3;
    m->hazards.delay_ms = 60;
    m->hazards.late = 100;
    m->hazards.repeat = 200;
}

void model_destroy(struct model *m) {
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[i];
        for (uint32_t k = 0; k < n->disk.op_count; k++)
            free_op(&n->disk.ops[(n->disk.op_first + k) % MODEL_OPS_MAX]);
        if (n->up) m->core->deinit(&n->raft);
    }
    for (uint32_t i = 0; i < m->packet_count; i++) mem_free(m->packets[i].bytes);
    mem_free(m);
}

/* Whether every member of the newest config has committed all that is committed. */
static bool all_agree(const struct model *m) {
    const struct model_config c = m->config[m->committed];
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        if (((c.voters | c.learners) >> n->id & 1) == 0) continue;
        if (!n->up || n->raft.commit != m->committed || n->state.index != m->committed)
            return false;
    }
    return true;
}

/* After healing an entry commits, and everyone gets it. */
static void check_liveness(struct model *m) {
    model_heal(m);
    bool progress = false;
    for (uint32_t i = 0; i < 200 && !progress && m->wrong == NULL; i++) {
        model_run(m, ELECTION_MS);
        struct model_node *n = model_leader(m);
        if (n == NULL || m->wrong != NULL) continue;
        const uint64_t before = m->committed;
        if (!status_ok(propose(m, n))) continue;
        model_run(m, 2 * HEARTBEAT_MS);
        progress = m->committed > before;
    }
    if (m->wrong == NULL && !progress) model_fail(m, &m->nodes[0], "liveness: nothing commits");
    for (uint32_t i = 0; i < 100 && !all_agree(m) && m->wrong == NULL; i++)
        model_run(m, ELECTION_MS);
    if (m->wrong == NULL && !all_agree(m)) model_fail(m, &m->nodes[0], "liveness: one is behind");
}

/* A voter that was cut off for a while comes back and changes nothing (9.6). */
static void check_return(struct model *m) {
    model_run(m, STEADY_MS);
    struct model_node *leader = model_leader(m);
    if (m->wrong != NULL) return;
    if (leader == NULL) return model_fail(m, &m->nodes[0], "liveness: the leader is gone");
    const uint64_t term = leader->raft.term;
    const struct raft_config *c = &leader->raft.config;
    uint32_t away = 0;
    for (uint32_t i = 0; i < c->voter_count; i++) {
        if (c->voters[i] != leader->id) away = c->voters[i];
    }
    if (away == 0 || c->voter_count < 3) return;
    model_isolate(m, away, true);
    model_run(m, 8 * ELECTION_MS);
    model_isolate(m, away, false);
    model_run(m, 8 * ELECTION_MS);
    if (m->wrong != NULL) return;
    if (model_leader(m) != leader || leader->raft.term != term)
        model_fail(m, leader, "a returning node disturbs the term");
}

const char *model_live(struct model *m) {
    model_run(m, 2000 + below(m, 4000));
    if (m->wrong == NULL) check_liveness(m);
    if (m->wrong == NULL) check_return(m);
    return m->wrong;
}

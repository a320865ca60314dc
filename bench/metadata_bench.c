/* metadata_bench : what the metadata costs, for 3 to MEMBERS_MAX members, and the placement
 * alone for as many as a ring takes. Sizes in bytes, times in microseconds (best of ROUNDS). */
#include "base/mem.h"
#include "cluster/metadata_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5u
#define WEARS 100u

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static const struct cluster_id cluster = { { 1 } };

/* Apply as the first member, and end the program if it is refused. */
static double apply(struct metadata *m, struct metadata_command *c) {
    static uint64_t sequence;
    c->cluster = cluster;
    c->proposal = (struct proposal){ .node = 1, .sequence = ++sequence };
    const double begin = now_us();
    const struct metadata_result result = metadata_apply(m, c);
    const double end = now_us();
    if (metadata_result_ok(result)) return end - begin;
    fprintf(stderr, "metadata_bench: %s\n", metadata_code_text(result.code));
    exit(1);
}

static double bootstrap(struct metadata *m, uint32_t members, uint32_t replicas) {
    static struct metadata_command c;
    static char addresses[FOUNDERS_MAX][24];
    c = (struct metadata_command){ .kind = METADATA_BOOTSTRAP, .replicas = replicas };
    c.settings.replication.replicas = (uint8_t)replicas;
    c.first_count = members;
    for (uint32_t i = 0; i < members; i++) {
        (void)snprintf(addresses[i], sizeof addresses[i], "192.168.100.%u:7000", i + 1);
        c.first[i] = (struct member_wish){ .id = i + 1,
                                           .weight = 1,
                                           .address = bytes_of_string(addresses[i]) };
    }
    return apply(m, &c);
}

/* Up to `most` of the slots that are in `from`, to the next phase. */
static double step(struct metadata *m, enum slot_phase from, uint32_t most) {
    static struct metadata_command c;
    static uint8_t packed[SLOT_RANGES_MAX * 4];
    c = (struct metadata_command){ .change = m->change.id };
    c.kind = from == SLOT_OLD ? METADATA_SLOTS_JOINT : METADATA_SLOTS_NEW;
    for (uint32_t slot = 0; slot < RING_SLOTS && most > 0; slot++) {
        if (m->slots.phases[slot] != from) continue;
        uint8_t *last = packed + c.ranges.count * UINT64_C(4);
        const bool extends = c.ranges.count > 0 && get_u16_le(last - 2) + 1u == slot;
        if (!extends) {
            put_u16_le(last, (uint16_t)slot);
            last += 4;
            c.ranges.count++;
        }
        put_u16_le(last - 2, (uint16_t)slot);
        most--;
    }
    c.ranges.packed = bytes_of(packed, c.ranges.count * UINT64_C(4));
    return c.ranges.count == 0 ? 0 : apply(m, &c);
}

/* More members than begin a cluster join it, by one change. */
static double join(struct metadata *m, uint32_t members) {
    static struct metadata_command c;
    double took = 0;
    for (uint32_t id = m->member_last + 1; id <= members; id++) {
        char address[24];
        (void)snprintf(address, sizeof address, "192.168.%u.%u:7000", id / 256, id % 256);
        c = (struct metadata_command){ .kind = METADATA_MEMBER_ADD };
        c.member = (struct member_wish){ .weight = 1, .address = bytes_of_string(address) };
        (void)apply(m, &c);
        c.kind = METADATA_MEMBER_BOOT;
        c.member = (struct member_wish){ .id = id, .boot = 1 };
        (void)apply(m, &c);
    }
    c = (struct metadata_command){ .kind = METADATA_CHANGE_BEGIN };
    metadata_inputs(m, &c.target);
    took = apply(m, &c);
    (void)step(m, SLOT_OLD, RING_SLOTS);
    (void)step(m, SLOT_JOINT, RING_SLOTS);
    return took;
}

/* The last member leaves: begin that. */
static double begin(struct metadata *m) {
    static struct metadata_command c;
    c = (struct metadata_command){ .kind = METADATA_MEMBER_LEAVE, .accept_loss = true };
    c.member.id = m->member_last;
    (void)apply(m, &c);
    c = (struct metadata_command){ .kind = METADATA_CHANGE_BEGIN, .accept_loss = true };
    metadata_inputs(m, &c.target);
    return apply(m, &c);
}

/* One change after the other, by weights: what was in long runs of slots gets mixed. */
static void wear(struct metadata *m) {
    static struct metadata_command c;
    for (uint32_t i = 0; i < WEARS; i++) {
        c = (struct metadata_command){ .kind = METADATA_MEMBER_WEIGHT };
        c.member.id = m->members[i % m->members_count].id;
        c.member.weight = 1 + i * 7 % 10;
        (void)apply(m, &c);
        c = (struct metadata_command){ .kind = METADATA_CHANGE_BEGIN };
        metadata_inputs(m, &c.target);
        (void)apply(m, &c);
        (void)step(m, SLOT_OLD, RING_SLOTS);
        (void)step(m, SLOT_JOINT, RING_SLOTS);
    }
}

enum figure {
    AT_REST,
    WORN,
    IN_CHANGE,
    BOOTSTRAP_US,
    BEGIN_US,
    STEP_US,
    ENCODE_US,
    DECODE_US,
    PLAN_US,
    FIGURES,
};

static void least(double *figure, double value) {
    if (*figure == 0 || value < *figure) *figure = value;
}

static void snapshot(const struct metadata *m, double *figures, enum figure size) {
    struct buffer out;
    struct metadata *again = NULL;
    buffer_init(&out, METADATA_SNAPSHOT_BYTES_MAX);
    double at = now_us();
    metadata_encode(m, &out);
    const double encode = now_us() - at;
    figures[size] = (double)buffer_len(&out);
    at = now_us();
    if (!status_ok(metadata_decode(buffer_bytes(&out), &again))) exit(1);
    const double decode = now_us() - at;
    if (size == IN_CHANGE) least(&figures[ENCODE_US], encode);
    if (size == IN_CHANGE) least(&figures[DECODE_US], decode);
    metadata_destroy(again);
    buffer_deinit(&out);
}

static void run(uint32_t members, uint32_t replicas) {
    double figures[FIGURES] = { 0 };
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct metadata *m = metadata_create();
        struct metadata_plan *plan = NULL;
        struct ring_inputs inputs;
        const uint32_t founders = members < FOUNDERS_MAX ? members : FOUNDERS_MAX;
        double made = bootstrap(m, founders, replicas);
        if (members > founders) made = join(m, members);
        least(&figures[BOOTSTRAP_US], made);
        snapshot(m, figures, AT_REST);
        metadata_inputs(m, &inputs);
        inputs.count--;
        const double at = now_us();
        if (!status_ok(metadata_plan_create(m, &inputs, &plan))) exit(1);
        least(&figures[PLAN_US], now_us() - at);
        metadata_plan_destroy(plan);
        wear(m);
        snapshot(m, figures, WORN);
        least(&figures[BEGIN_US], begin(m));
        least(&figures[STEP_US], step(m, SLOT_OLD, 100));
        snapshot(m, figures, IN_CHANGE);
        metadata_destroy(m);
    }
    printf("%7u %2u", members, replicas);
    for (uint32_t i = 0; i < FIGURES; i++) printf(" %9.0f", figures[i]);
    printf("\n");
}

/* A table for the ring's own maximum, and one member less. */
static void run_ring(void) {
    struct ring_member *members = mem_alloc_zeroed(RING_MEMBERS_MAX * sizeof *members);
    for (uint32_t i = 0; i < RING_MEMBERS_MAX; i++)
        members[i] = (struct ring_member){ i + 1, 1, 0 };
    struct ring *first = NULL, *next = NULL;
    const double a = now_us();
    if (!status_ok(ring_create(members, RING_MEMBERS_MAX, 3, NULL, &first))) exit(1);
    const double b = now_us();
    if (!status_ok(ring_create(members, RING_MEMBERS_MAX - 1, 3, first, &next))) exit(1);
    const double c = now_us();
    printf("ring alone, %u members: first %.0f us, next %.0f us\n", RING_MEMBERS_MAX, b - a, c - b);
    ring_destroy(first);
    ring_destroy(next);
    mem_free(members);
}

int main(void) {
    printf("state %zu bytes, slot table %zu of them, plan %zu\n", sizeof(struct metadata),
           sizeof(struct slot_table), sizeof(struct metadata_plan));
    printf(
        "members  N   at rest      worn in change bootstrap     begin  100slots    encode    decode"
        "      plan\n");
    run(3, 3);
    run(10, 3);
    run(64, 3);
    run(64, 7);
    run(1000, 3);
    run(1000, 7);
    run_ring();
    return 0;
}

/* Any bytes as a command, applied to a state in the middle of a change, or as a snapshot; the
 * first byte chooses. What is decoded has one encoding only: the bytes must come back. */
#include "cluster/metadata.h"

#include "base/assert.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MODE_COMMAND 0u   /* a command as it is */
#define MODE_ADDRESSED 1u /* the same for this cluster, by a member, with a new sequence */
#define MODE_SNAPSHOT 2u  /* a snapshot */
#define MODE_TABLE 3u     /* what is behind the members of a good snapshot */
#define MODES 4u

static const struct cluster_id cluster = { { 1 } };

static struct metadata_result apply(struct metadata *m, struct metadata_command *c) {
    static uint64_t sequence;
    c->cluster = cluster;
    c->proposal = (struct proposal){ .node = 1, .sequence = ++sequence };
    return metadata_apply(m, c);
}

/* Three members, and a fourth that joins and has started. */
static struct metadata *quiet_state(void) {
    static struct metadata_command c;
    struct metadata *m = metadata_create();
    c.kind = METADATA_BOOTSTRAP;
    c.replicas = 3;
    c.settings.replication.replicas = 3;
    c.first_count = 3;
    const struct bytes addresses[] = { BYTES_LIT("a:1"), BYTES_LIT("b:1"), BYTES_LIT("c:1") };
    for (uint32_t i = 0; i < 3; i++)
        c.first[i] = (struct member_wish){ .id = i + 1, .weight = 1, .address = addresses[i] };
    ASSERT(metadata_result_ok(apply(m, &c)));
    c = (struct metadata_command){ .kind = METADATA_MEMBER_ADD,
                                   .member = { .weight = 1, .address = BYTES_LIT("d:1") } };
    ASSERT(metadata_result_ok(apply(m, &c)));
    c = (struct metadata_command){ .kind = METADATA_MEMBER_BOOT, .member = { .id = 4, .boot = 1 } };
    ASSERT(metadata_result_ok(apply(m, &c)));
    return m;
}

/* The same, and it gets slots, of which one is joint. Made once. */
static const struct metadata *state(void) {
    static struct metadata *m;
    static struct metadata_command c;
    if (m != NULL) return m;
    m = quiet_state();
    c = (struct metadata_command){ .kind = METADATA_CHANGE_BEGIN };
    metadata_inputs(m, &c.target);
    ASSERT(metadata_result_ok(apply(m, &c)));
    uint32_t slot = 0;
    while (m->slots.phases[slot] != SLOT_OLD) slot++;
    uint8_t range[4];
    put_u16_le(range, (uint16_t)slot);
    put_u16_le(range + 2, (uint16_t)slot);
    c = (struct metadata_command){ .kind = METADATA_SLOTS_JOINT,
                                   .change = 1,
                                   .ranges = { 1, bytes_of(range, sizeof range) } };
    ASSERT(metadata_result_ok(apply(m, &c)));
    ASSERT(metadata_check(m));
    return m;
}

static void fuzz_command(struct bytes in, bool addressed) {
    static struct metadata_command c;
    if (!status_ok(metadata_command_decode(in, &c))) return;
    struct buffer out;
    buffer_init(&out, METADATA_COMMAND_BYTES_MAX);
    metadata_command_encode(&c, &out);
    ASSERT(bytes_equal(buffer_bytes(&out), in));
    buffer_deinit(&out);

    struct metadata *m = metadata_clone(state());
    const uint64_t revision = m->revision;
    const struct metadata_result result = addressed ? apply(m, &c) : metadata_apply(m, &c);
    ASSERT((uint32_t)result.code < META_CODES);
    ASSERT(m->revision == revision + metadata_result_ok(result) || !addressed);
    ASSERT(metadata_check(m));
    metadata_destroy(m);

    m = metadata_create();
    (void)metadata_apply(m, &c);
    ASSERT(metadata_check(m));
    metadata_destroy(m);
}

static void fuzz_snapshot(struct bytes in) {
    struct metadata *m = NULL;
    if (!status_ok(metadata_decode(in, &m))) return;
    ASSERT(metadata_check(m));
    struct buffer out;
    buffer_init(&out, METADATA_SNAPSHOT_BYTES_MAX);
    metadata_encode(m, &out);
    ASSERT(bytes_equal(buffer_bytes(&out), in));
    buffer_deinit(&out);
    metadata_destroy(m);
}

/* The slot table is at the end of a snapshot, and few inputs would get there by themselves. */
static void fuzz_table(struct bytes in) {
    static struct buffer whole;
    static size_t head_len;
    if (head_len == 0) {
        struct buffer table;
        struct metadata *m = quiet_state();
        buffer_init(&whole, METADATA_SNAPSHOT_BYTES_MAX);
        buffer_init(&table, SLOT_TABLE_BYTES_MAX);
        metadata_encode(m, &whole);
        slot_table_encode(&m->slots, m->epoch, &table);
        head_len = buffer_len(&whole) - buffer_len(&table);
        buffer_deinit(&table);
        metadata_destroy(m);
    }
    const size_t len = head_len + in.len;
    uint8_t *exact = mem_alloc(len);
    memcpy(exact, buffer_bytes(&whole).ptr, head_len);
    if (in.len > 0) memcpy(exact + head_len, in.ptr, in.len);
    fuzz_snapshot(bytes_of(exact, len));
    mem_free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    /* The bytes end where the block ends, so that a read behind them is seen. */
    uint8_t *exact = mem_alloc(size);
    memcpy(exact, data, size);
    const struct bytes in = bytes_of(exact + 1, size - 1);
    switch (data[0] % MODES) {
    case MODE_COMMAND: fuzz_command(in, false); break;
    case MODE_ADDRESSED: fuzz_command(in, true); break;
    case MODE_SNAPSHOT: fuzz_snapshot(in); break;
    default: fuzz_table(in);
    }
    mem_free(exact);
    return 0;
}

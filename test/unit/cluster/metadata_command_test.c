#include "cluster/metadata_command.h"

#include "metadata_world.h"

static struct bytes encode(const struct metadata_command *c, struct buffer *out) {
    buffer_init(out, METADATA_COMMAND_BYTES_MAX);
    metadata_command_encode(c, out);
    CHECK(!out->overflowed);
    return buffer_bytes(out);
}

static const uint8_t ranges[8] = { 3, 0, 9, 0, 11, 0, 0xff, 0x3f };

/* One command of each kind, with every field that it has. */
static void example(enum metadata_kind kind, struct metadata_command *c) {
    meta_world_bootstrap(c, 3, 3);
    const struct member_wish first = c->first[0];
    if (kind == METADATA_BOOTSTRAP) return;
    *c = (struct metadata_command){ .kind = kind,
                                    .proposal = { 7, 8 },
                                    .cluster = meta_world_cluster };
    c->accept_loss = kind == METADATA_MEMBER_LEAVE || kind == METADATA_CHANGE_BEGIN;
    if (kind >= METADATA_MEMBER_ADD && kind <= METADATA_MEMBER_REMOVE) c->member.id = 5;
    if (kind == METADATA_MEMBER_ADD || kind == METADATA_MEMBER_BOOT)
        c->member.address = first.address;
    if (kind == METADATA_MEMBER_ADD || kind == METADATA_MEMBER_WEIGHT) c->member.weight = 77;
    if (kind == METADATA_MEMBER_ADD) c->member.zone = 4;
    if (kind == METADATA_MEMBER_BOOT) c->member.boot = 6;
    if (kind == METADATA_MEMBER_ADD) c->member.replaces = 2;
    if (kind == METADATA_MEMBER_ADD || kind == METADATA_MEMBER_BOOT)
        c->member.nonce = UINT64_C(0x1122334455667788);
    if (kind == METADATA_KEYSPACE_CREATE) c->name = BYTES_LIT("orders");
    const bool alters = kind == METADATA_KEYSPACE_ALTER || kind == METADATA_KEYSPACE_WIDEN;
    if (alters || kind == METADATA_KEYSPACE_DROP) c->keyspace = 300;
    if (alters || kind == METADATA_KEYSPACE_CREATE)
        c->settings = (struct keyspace_settings){ { 5, 4, 2 }, KEYSPACE_STRICT, 9 };
    if (kind == METADATA_CHANGE_BEGIN) {
        c->target = (struct ring_inputs){ 3, 2, { { 1, 2, 3 }, { 4, 5, 6 } } };
        c->reason = CHANGE_EVICT;
        c->started_ms = 1234567890123;
    }
    if (kind == METADATA_CHANGE_BEGIN || kind == METADATA_CHANGE_THROTTLE) c->throttle = 555;
    if (kind > METADATA_CHANGE_BEGIN && kind <= METADATA_CHANGE_CANCEL) c->change = 21;
    if (kind == METADATA_REPLICAS) c->replicas = 5;
    if (kind == METADATA_SLOTS_JOINT || kind == METADATA_SLOTS_NEW)
        c->ranges = (struct slot_ranges){ 2, bytes_of(ranges, sizeof ranges) };
}

/* Every kind is decoded to what was encoded, and refused when cut off or too long. */
TEST(metadata_command, every_kind) {
    for (enum metadata_kind kind = METADATA_BOOTSTRAP; kind < METADATA_KINDS; kind++) {
        static struct metadata_command c, d;
        struct buffer out, again;
        example(kind, &c);
        const struct bytes all = encode(&c, &out);
        CHECK_OK(metadata_command_decode(all, &d));
        CHECK_EQ(d.kind, kind);
        CHECK_EQ(d.proposal.node, c.proposal.node);
        CHECK_EQ(d.proposal.sequence, c.proposal.sequence);
        CHECK(memcmp(&d.cluster, &meta_world_cluster, sizeof d.cluster) == 0);
        CHECK_EQ(d.accept_loss, c.accept_loss);
        CHECK_EQ(d.member.id, c.member.id);
        CHECK_EQ(d.member.weight, c.member.weight);
        CHECK_EQ(d.member.zone, c.member.zone);
        CHECK_EQ(d.member.boot, c.member.boot);
        CHECK_EQ(d.member.nonce, c.member.nonce);
        CHECK_EQ(d.member.replaces, c.member.replaces);
        CHECK_BYTES(d.member.address, c.member.address);
        CHECK_EQ(d.first_count, c.first_count);
        CHECK_EQ(d.keyspace, c.keyspace);
        CHECK_BYTES(d.name, c.name);
        CHECK(memcmp(&d.settings.replication, &c.settings.replication, 3) == 0);
        CHECK_EQ(d.settings.discipline, c.settings.discipline);
        CHECK_EQ(d.settings.ttl_ms, c.settings.ttl_ms);
        CHECK(memcmp(&d.target, &c.target, sizeof d.target) == 0);
        CHECK_EQ(d.reason, c.reason);
        CHECK_EQ(d.started_ms, c.started_ms);
        CHECK_EQ(d.throttle, c.throttle);
        CHECK_EQ(d.change, c.change);
        CHECK_EQ(d.replicas, c.replicas);
        CHECK_EQ(d.ranges.count, c.ranges.count);
        CHECK_BYTES(encode(&d, &again), all);
        for (size_t len = 0; len < all.len; len++) {
            uint8_t *exact = mem_alloc(len + 1);
            memcpy(exact, all.ptr, len);
            CHECK_STATUS(metadata_command_decode(bytes_of(exact, len), &d), ST_CORRUPT);
            mem_free(exact);
        }
        buffer_append_u8(&out, 0);
        CHECK_STATUS(metadata_command_decode(buffer_bytes(&out), &d), ST_CORRUPT);
        buffer_deinit(&again);
        buffer_deinit(&out);
    }
}

/* Decode `c` with the byte at `at` set. */
static enum status_code with(const struct metadata_command *c, size_t at, uint8_t value) {
    static struct metadata_command d;
    struct buffer out;
    const struct bytes all = encode(c, &out);
    CHECK(at < all.len);
    out.ptr[at] = value;
    const enum status_code code = metadata_command_decode(all, &d).code;
    buffer_deinit(&out);
    return code;
}

/* What a later release may write is told from what nobody writes. */
TEST(metadata_command, header) {
    static struct metadata_command c;
    example(METADATA_MEMBER_ADD, &c);
    CHECK_EQ(with(&c, 0, 2), ST_INVALID);
    CHECK_EQ(with(&c, 2, METADATA_KINDS), ST_INVALID);
    CHECK_EQ(with(&c, 2, 255), ST_INVALID);
    CHECK_EQ(with(&c, 2, 0), ST_CORRUPT);
    CHECK_EQ(with(&c, 3, 1), ST_CORRUPT); /* nothing to accept here */
    CHECK_EQ(with(&c, 3, 2), ST_CORRUPT);
    CHECK_EQ(with(&c, 8, 0), ST_CORRUPT); /* sequence 0 */
    example(METADATA_MEMBER_LEAVE, &c);
    CHECK_EQ(with(&c, 3, 0), ST_OK);
}

/* Counts, lengths and order within their bounds. */
TEST(metadata_command, bounds) {
    static struct metadata_command c;
    const size_t payload = METADATA_COMMAND_HEADER_BYTES;
    example(METADATA_MEMBER_ADD, &c);
    CHECK_EQ(with(&c, payload + 24, MEMBER_ADDRESS_BYTES), ST_CORRUPT);
    example(METADATA_KEYSPACE_CREATE, &c);
    CHECK_EQ(with(&c, payload + 3, KEYSPACE_DISCIPLINES), ST_CORRUPT);
    CHECK_EQ(with(&c, payload + 12, KEYSPACE_NAME_BYTES_MAX + 1), ST_CORRUPT);
    example(METADATA_BOOTSTRAP, &c);
    CHECK_EQ(with(&c, payload + 13, 0), ST_CORRUPT);
    CHECK_EQ(with(&c, payload + 13, FOUNDERS_MAX + 1), ST_CORRUPT);
    CHECK_EQ(with(&c, payload + 15, 2), ST_CORRUPT); /* ids 2, 2, 3 */
    example(METADATA_CHANGE_BEGIN, &c);
    CHECK_EQ(with(&c, payload, CHANGE_REASONS), ST_CORRUPT);
    CHECK_EQ(with(&c, payload + 2, 0), ST_CORRUPT);
    CHECK_EQ(with(&c, payload + 20, 4), ST_CORRUPT); /* ids 4, 4 */
    example(METADATA_SLOTS_JOINT, &c);
    CHECK_EQ(with(&c, payload + 8, 0), ST_CORRUPT);
    CHECK_EQ(with(&c, payload + 14, 10), ST_CORRUPT); /* 10 and 11 would be one range */
    CHECK_EQ(with(&c, payload + 12, 2), ST_CORRUPT);  /* the last before the first */
    CHECK_EQ(with(&c, payload + 17, 0x40), ST_CORRUPT);
}

/* The longest commands fit. */
TEST(metadata_command, longest) {
    static struct metadata_command c, d;
    static uint8_t packed[SLOT_RANGES_MAX * 4];
    for (uint32_t i = 0; i < SLOT_RANGES_MAX; i++) {
        put_u16_le(packed + i * 4, (uint16_t)(2 * i));
        put_u16_le(packed + i * 4 + 2, (uint16_t)(2 * i));
    }
    struct buffer out;
    example(METADATA_SLOTS_NEW, &c);
    c.ranges = (struct slot_ranges){ SLOT_RANGES_MAX, bytes_of(packed, sizeof packed) };
    CHECK_OK(metadata_command_decode(encode(&c, &out), &d));
    CHECK_EQ(d.ranges.count, SLOT_RANGES_MAX);
    buffer_deinit(&out);

    static uint8_t address[MEMBER_ADDRESS_BYTES - 1];
    meta_world_bootstrap(&c, FOUNDERS_MAX, 3);
    for (uint32_t i = 0; i < FOUNDERS_MAX; i++)
        c.first[i].address = bytes_of(address, sizeof address);
    CHECK_OK(metadata_command_decode(encode(&c, &out), &d));
    CHECK_EQ(d.first_count, FOUNDERS_MAX);
    buffer_deinit(&out);

    example(METADATA_CHANGE_BEGIN, &c);
    c.target.count = MEMBERS_MAX;
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        c.target.members[i] = (struct ring_member){ i + 1, RING_WEIGHT_MAX, i };
    CHECK_OK(metadata_command_decode(encode(&c, &out), &d));
    CHECK_EQ(d.target.count, MEMBERS_MAX);
    CHECK_EQ(d.target.members[MEMBERS_MAX - 1].id, MEMBERS_MAX);
    buffer_deinit(&out);
}

/* The first frames of a stream say who is there, and are refused when they contradict
 * themselves. */
#include "peer_support.h"

static const struct peer_hello member = {
    .version = PEER_VERSION,
    .shards = SHARDS_MAX,
    .from_shard = SHARDS_MAX - 1,
    .to_shard = SHARDS_MAX - 1,
    .member = UINT32_MAX,
    .node_id = UINT32_MAX,
    .boot_count = UINT32_MAX,
    .flags = PEER_HELLO_FRESH,
    .cluster = { 1, 2, 3, [PEER_CLUSTER_BYTES - 1] = 9 },
    .wall_ms = UINT64_MAX,
};

/* The payload of `m`, a copy at `p`, which has room for the longest; returns its length. */
static size_t hello_bytes(const struct peer_hello *m, uint8_t *p) {
    struct buffer space;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    peer_hello_encode(m, &space);
    const size_t len = buffer_len(&space);
    memcpy(p, buffer_bytes(&space).ptr, len);
    buffer_deinit(&space);
    return len;
}

TEST(peer_greeting, hello_carries_everything) {
    uint8_t p[1024];
    char text[PEER_TEXT_BYTES_MAX];
    memset(text, '~', sizeof text);
    struct peer_hello m = member;
    m.address = bytes_of(text, sizeof text);
    m.release = bytes_of(text, sizeof text);
    const size_t len = hello_bytes(&m, p);
    struct peer_hello back;
    CHECK_OK(peer_hello_decode(bytes_of(p, len), &back));
    CHECK_EQ(back.version, m.version);
    CHECK_EQ(back.shards, m.shards);
    CHECK_EQ(back.from_shard, m.from_shard);
    CHECK_EQ(back.to_shard, m.to_shard);
    CHECK_EQ(back.member, m.member);
    CHECK_EQ(back.node_id, m.node_id);
    CHECK_EQ(back.boot_count, m.boot_count);
    CHECK_EQ(back.flags, m.flags);
    CHECK(memcmp(back.cluster, m.cluster, sizeof m.cluster) == 0);
    CHECK_EQ(back.wall_ms, m.wall_ms);
    CHECK_BYTES(back.address, m.address);
    CHECK_BYTES(back.release, m.release);
}

/* Another version is told from damage by its first two bytes, whatever follows them. */
TEST(peer_greeting, another_version_is_not_corrupt) {
    uint8_t p[1024];
    struct peer_hello back = { .shards = 99 };
    const size_t len = hello_bytes(&member, p);
    for (uint32_t version = 0; version <= UINT16_MAX; version++) {
        if (version == PEER_VERSION) continue;
        put_u16_le(p, (uint16_t)version);
        CHECK_STATUS(peer_hello_decode(bytes_of(p, len), &back), ST_INVALID);
        CHECK_STATUS(peer_hello_decode(bytes_of(p, 2), &back), ST_INVALID);
    }
    CHECK_STATUS(peer_hello_decode(bytes_of(p, 1), &back), ST_CORRUPT);
    CHECK_EQ(back.shards, 99);
}

static void hello_refuses(size_t at, uint8_t value) {
    uint8_t p[1024];
    struct peer_hello back;
    struct peer_hello m = member;
    m.address = BYTES_LIT("a:1");
    const size_t len = hello_bytes(&m, p);
    CHECK_OK(peer_hello_decode(bytes_of(p, len), &back));
    CHECK(at < len && p[at] != value);
    p[at] = value;
    CHECK_STATUS(peer_hello_decode(bytes_of(p, len), &back), ST_CORRUPT);
}

TEST(peer_greeting, hello_contradictions_are_corrupt) {
    hello_refuses(2, 0);                                    /* no shards */
    hello_refuses(2, SHARDS_MAX + 1);                       /* too many */
    hello_refuses(3, 1);                                    /* too many, by the high byte */
    hello_refuses(2, SHARDS_MAX - 1);                       /* from a shard it has not */
    hello_refuses(6, SHARDS_MAX);                           /* to a shard that nobody has */
    hello_refuses(20, PEER_HELLO_PROXY | PEER_HELLO_FRESH); /* a proxy is no member */
    hello_refuses(20, 4);                                   /* unknown flag */
    for (size_t at = 21; at < 24; at++) hello_refuses(at, 1);
    hello_refuses(49, '\n'); /* in the address: not for a log */
    hello_refuses(49, 0x7f);
    hello_refuses(49, 0);
    hello_refuses(48, 2);

    uint8_t p[1024];
    struct peer_hello back;
    const struct peer_hello proxy = { .version = PEER_VERSION,
                                      .shards = 1,
                                      .flags = PEER_HELLO_PROXY };
    const size_t len = hello_bytes(&proxy, p);
    CHECK_OK(peer_hello_decode(bytes_of(p, len), &back));
    p[8] = 1; /* a proxy with a membership id */
    CHECK_STATUS(peer_hello_decode(bytes_of(p, len), &back), ST_CORRUPT);
    p[8] = 0;
    p[12] = 1; /* a proxy with a data directory */
    CHECK_STATUS(peer_hello_decode(bytes_of(p, len), &back), ST_CORRUPT);
    p[12] = 0;
    p[24] = 1; /* of a cluster */
    CHECK_OK(peer_hello_decode(bytes_of(p, len), &back));
    CHECK_EQ(back.cluster[0], 1);
    struct peer_hello stray = member;
    memset(stray.cluster, 0, sizeof stray.cluster);
    CHECK_ABORTS(hello_bytes(&stray, p)); /* a member has a cluster */
    struct peer_hello later = member;
    later.version++;
    CHECK_ABORTS(hello_bytes(&later, p));
}

TEST(peer_greeting, refusals_are_printable) {
    char text[PEER_TEXT_BYTES_MAX + 1];
    struct bytes back;
    memset(text, 'x', sizeof text);
    CHECK_OK(peer_refuse_decode(bytes_of(text, PEER_TEXT_BYTES_MAX), &back));
    CHECK_BYTES(back, bytes_of(text, PEER_TEXT_BYTES_MAX));
    CHECK_STATUS(peer_refuse_decode(bytes_of(text, sizeof text), &back), ST_CORRUPT);
    for (int byte = 0; byte < 256; byte++) {
        const bool printable = byte >= ' ' && byte <= '~';
        text[0] = (char)byte;
        CHECK_STATUS(peer_refuse_decode(bytes_of(text, 2), &back), printable ? ST_OK : ST_CORRUPT);
    }
    CHECK_ABORTS(peer_refuse_encode(BYTES_LIT("two\nlines"), NULL));
}

TEST(peer_greeting, ping_carries_everything) {
    const struct peer_ping m = { UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2, UINT64_MAX - 3,
                                 PEER_HELLO_FRESH | PEER_HELLO_DAMAGED | PEER_PING_FORGET };
    struct buffer space;
    struct peer_ping back;
    buffer_init(&space, SUPPORT_BYTES_MAX);
    peer_ping_encode(&m, &space);
    CHECK_OK(peer_ping_decode(buffer_bytes(&space), &back));
    CHECK_EQ(back.sent_wall_ms, m.sent_wall_ms);
    CHECK_EQ(back.answer_wall_ms, m.answer_wall_ms);
    CHECK_EQ(back.verified_stamp, m.verified_stamp);
    CHECK_EQ(back.floor_stamp, m.floor_stamp);
    CHECK_EQ(back.flags, m.flags);
    space.ptr[32] = PEER_HELLO_PROXY;
    CHECK_STATUS(peer_ping_decode(buffer_bytes(&space), &back), ST_CORRUPT);
    space.ptr[32] = 0;
    for (size_t at = 33; at < 40; at++) {
        space.ptr[at] = 1;
        CHECK_STATUS(peer_ping_decode(buffer_bytes(&space), &back), ST_CORRUPT);
        space.ptr[at] = 0;
    }
    CHECK_OK(peer_ping_decode(buffer_bytes(&space), &back));
    buffer_deinit(&space);
}

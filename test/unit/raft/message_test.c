#include "raft/message.h"

#include "sim/random.h"
#include "test/unit/harness.h"

static struct raft_entry entries[RAFT_MESSAGE_ENTRIES_MAX];

static const struct raft_entry two_entries[] = {
    { .index = 8, .term = 4, .kind = RAFT_ENTRY_EMPTY },
    { .index = 9, .term = 5, .kind = RAFT_ENTRY_DATA, .data = { (const uint8_t *)"ab", 2 } },
};

static const uint8_t change_bytes[RAFT_CHANGE_BYTES] = { 1, 9, 0, 0, 0 };
static const uint8_t config_bytes[] = { 1, 0, 1, 0, 3, 0, 0, 0, 4, 0, 0, 0 };

#define COMMON(kind_) .kind = (kind_), .from = 1, .to = 2, .term = 6

/* One message of each kind, with every field that it has. */
static const struct raft_message samples[] = {
    { COMMON(RAFT_PRE_VOTE), .index = 7, .log_term = 3 },
    { COMMON(RAFT_PRE_VOTE_REPLY), .refused = true },
    { COMMON(RAFT_VOTE), .index = 7, .log_term = 3, .transfer = true },
    { COMMON(RAFT_VOTE_REPLY) },
    { COMMON(RAFT_APPEND), .index = 7, .log_term = 3, .commit = 5, .entries = two_entries,
      .entry_count = 2 },
    { COMMON(RAFT_APPEND), .index = 7, .log_term = 3, .commit = 5 },
    { COMMON(RAFT_APPEND_REPLY), .index = 7 },
    { COMMON(RAFT_APPEND_REPLY), .refused = true, .index = 7, .log_term = 2, .hint = 4 },
    { COMMON(RAFT_HEARTBEAT), .commit = 5, .round = 77 },
    { COMMON(RAFT_HEARTBEAT_REPLY), .round = 77 },
    { COMMON(RAFT_SNAPSHOT), .index = 7, .log_term = 3, .offset = 3, .total = 6,
      .checksum = 0xc0ffee, .config = { config_bytes, sizeof config_bytes },
      .data = { (const uint8_t *)"xyz", 3 } },
    { COMMON(RAFT_SNAPSHOT_REPLY), .index = 7, .offset = 6, .checksum = 0xc0ffee },
    { COMMON(RAFT_TIMEOUT_NOW) },
};
#define SAMPLES (sizeof samples / sizeof *samples)

static struct bytes encode(const struct raft_message *m, struct buffer *out) {
    buffer_reset(out);
    raft_message_encode(m, out);
    CHECK(!out->overflowed);
    return buffer_bytes(out);
}

/* What is decoded is what was encoded, field by field, and encodes to the same bytes; nothing
 * shorter or longer is taken, and no changed byte goes unnoticed by being encoded otherwise. */
TEST(raft_message, round_trip) {
    struct buffer first;
    struct buffer second;
    buffer_init(&first, RAFT_MESSAGE_BYTES_MAX);
    buffer_init(&second, RAFT_MESSAGE_BYTES_MAX);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct raft_message back;
        CHECK(raft_message_check(&samples[i]));
        const struct bytes bytes = encode(&samples[i], &first);
        CHECK_OK(raft_message_decode(bytes, entries, &back));
        CHECK_EQ(back.kind, samples[i].kind);
        CHECK_EQ(back.index, samples[i].index);
        CHECK_EQ(back.log_term, samples[i].log_term);
        CHECK_EQ(back.commit, samples[i].commit);
        CHECK_EQ(back.hint, samples[i].hint);
        CHECK_EQ(back.round, samples[i].round);
        CHECK_EQ(back.offset, samples[i].offset);
        CHECK_EQ(back.total, samples[i].total);
        CHECK_EQ(back.checksum, samples[i].checksum);
        CHECK_EQ(back.refused, samples[i].refused);
        CHECK_EQ(back.transfer, samples[i].transfer);
        CHECK_EQ(back.entry_count, samples[i].entry_count);
        CHECK_BYTES(back.config, samples[i].config);
        CHECK_BYTES(back.data, samples[i].data);
        CHECK_BYTES(encode(&back, &second), bytes);

        uint8_t copy[256];
        memcpy(copy, bytes.ptr, bytes.len);
        for (size_t len = 0; len < bytes.len; len++)
            CHECK_STATUS(raft_message_decode(bytes_of(copy, len), entries, &back), ST_CORRUPT);
        copy[bytes.len] = 0;
        CHECK_STATUS(raft_message_decode(bytes_of(copy, bytes.len + 1), entries, &back),
                     ST_CORRUPT);
        for (size_t bit = 0; bit < bytes.len * 8; bit++) {
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            const struct bytes flipped = bytes_of(copy, bytes.len);
            if (status_ok(raft_message_decode(flipped, entries, &back)))
                CHECK_BYTES(encode(&back, &second), flipped);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    buffer_deinit(&second);
    buffer_deinit(&first);
}

/* The bytes are those that are drawn. */
TEST(raft_message, drawn_bytes) {
    const uint8_t drawn[] = {
        1, 5, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 6, 0,   0,   0, 0, 0, 0, 0, /* header */
        7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0,   0,   0,             /* index, its term */
        5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0,                             /* commit, entries */
        4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,                          /* 8/4, empty */
        5, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 'a', 'b',                /* 9/5, "ab" */
    };
    struct buffer out;
    buffer_init(&out, RAFT_MESSAGE_BYTES_MAX);
    CHECK_BYTES(encode(&samples[4], &out), bytes_of(drawn, sizeof drawn));
    buffer_deinit(&out);
}

/* What breaks a rule of its kind. */
TEST(raft_message, rules) {
    struct raft_message m = samples[0];
    m.to = m.from;
    CHECK(!raft_message_check(&m));
    m = samples[0], m.log_term = 6; /* a vote for a term that the log has already */
    CHECK(!raft_message_check(&m));
    m = samples[0], m.log_term = 0;
    CHECK(!raft_message_check(&m));
    m = samples[3], m.transfer = true;
    CHECK(!raft_message_check(&m));
    m = samples[8], m.refused = true;
    CHECK(!raft_message_check(&m));
    m = samples[6], m.hint = 1;
    CHECK(!raft_message_check(&m));
    m = samples[10], m.offset = 4; /* past the end */
    CHECK(!raft_message_check(&m));
    m = samples[10], m.config.len--;
    CHECK(!raft_message_check(&m));
    m = samples[10], m.total = RAFT_SNAPSHOT_BYTES_MAX + 1;
    CHECK(!raft_message_check(&m));

    struct raft_entry bad[2];
    m = samples[4], m.entries = bad;
    memcpy(bad, two_entries, sizeof bad);
    CHECK(raft_message_check(&m));
    bad[1].index = 10;
    CHECK(!raft_message_check(&m));
    memcpy(bad, two_entries, sizeof bad), bad[0].term = 2; /* before its predecessor's */
    CHECK(!raft_message_check(&m));
    memcpy(bad, two_entries, sizeof bad), bad[1].term = 7; /* after the leader's */
    CHECK(!raft_message_check(&m));
    memcpy(bad, two_entries, sizeof bad), bad[1].kind = RAFT_ENTRY_EMPTY;
    CHECK(!raft_message_check(&m));
    memcpy(bad, two_entries, sizeof bad), bad[1].kind = RAFT_ENTRY_CONFIG;
    CHECK(!raft_message_check(&m));
    bad[1].data = bytes_of(change_bytes, sizeof change_bytes);
    CHECK(raft_message_check(&m));
}

/* The largest messages fit into what is set aside for them. */
TEST(raft_message, largest) {
    static uint8_t data[RAFT_CHUNK_BYTES_MAX];
    static uint8_t config[RAFT_CONFIG_BYTES_MAX];
    static struct raft_config all;
    static struct raft_entry many[RAFT_MESSAGE_ENTRIES_MAX];
    struct buffer out;
    struct raft_message back;
    buffer_init(&out, RAFT_MESSAGE_BYTES_MAX);
    struct raft_message m = samples[4];
    m.entries = many;
    m.entry_count = RAFT_MESSAGE_ENTRIES_MAX;
    const size_t rest = RAFT_BATCH_BYTES_MAX / (RAFT_MESSAGE_ENTRIES_MAX - 1);
    for (uint32_t i = 0; i < RAFT_MESSAGE_ENTRIES_MAX; i++)
        many[i] =
            (struct raft_entry){ .index = 8 + i,
                                 .term = 6,
                                 .kind = RAFT_ENTRY_DATA,
                                 .data = bytes_of(data, i == 0 ? RAFT_ENTRY_BYTES_MAX : rest) };
    CHECK_OK(raft_message_decode(encode(&m, &out), entries, &back));
    m.entry_count++;
    CHECK(!raft_message_check(&m));
    m.entry_count--;
    many[5].data.len += RAFT_BATCH_BYTES_MAX - rest * (RAFT_MESSAGE_ENTRIES_MAX - 1);
    CHECK_EQ(encode(&m, &out).len, RAFT_MESSAGE_BYTES_MAX);
    many[6].data.len++;
    CHECK(!raft_message_check(&m));

    all.voter_count = 1, all.voters[0] = 5000, all.learner_count = RAFT_MEMBERS_MAX - 1;
    for (uint32_t i = 0; i < all.learner_count; i++) all.learners[i] = i + 1;
    m = samples[10];
    m.config = bytes_of(config, raft_config_encode(&all, config));
    m.data = bytes_of(data, sizeof data);
    m.total = m.offset + sizeof data;
    CHECK_OK(raft_message_decode(encode(&m, &out), entries, &back));
    buffer_deinit(&out);
}

/* Bytes of no message at all. */
TEST(raft_message, noise) {
    struct sim_random r = sim_random_of(test_seed());
    uint8_t noise[200];
    struct raft_message m;
    for (uint32_t i = 0; i < 20000; i++) {
        const size_t len = sim_random_below(&r, sizeof noise);
        for (size_t k = 0; k < len; k++) noise[k] = (uint8_t)sim_random_next(&r);
        if (len > 3) noise[0] = 1, noise[1] %= 13, noise[2] &= 3, noise[3] = 0;
        const struct status s = raft_message_decode(bytes_of(noise, len), entries, &m);
        CHECK(status_ok(s) || s.code == ST_CORRUPT);
        if (status_ok(s)) CHECK(raft_message_check(&m));
    }
}

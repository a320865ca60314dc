/* Messages between control planes: what is encoded is decoded again, and nothing else is. */
#include "control/control_message.h"

#include "base/mem.h"
#include "test/unit/harness.h"

static struct control_message m, back;

static const struct cluster_id cluster = { { 9, 8, 7 } };

static struct control_report report(uint32_t member) {
    return (struct control_report){ .member = member,
                                    .boot = 3,
                                    .age_ms = 4,
                                    .epoch_adopted = 6,
                                    .epoch_caught_up = 5,
                                    .load = { 1, 2, 3, 4, 5 } };
}

static void fill_who(struct control_who *w) {
    w->person = CONTROL_PERSON_MEMBER;
    w->cluster = cluster;
    w->member = 7;
    w->list = 11;
    w->nonce = 12;
    w->address = BYTES_LIT("10.0.0.1:7000");
}

/* One message of each kind, with every field that it has. */
static void example(enum control_kind kind) {
    memset(&m, 0, sizeof m);
    m.kind = kind;
    const bool named = kind == CONTROL_RAFT || kind == CONTROL_JOINED || kind == CONTROL_REMOVED ||
                       kind == CONTROL_METADATA || kind == CONTROL_METADATA_WANTED;
    if (named) m.cluster = cluster;
    if (kind == CONTROL_WHO || kind == CONTROL_I_AM) fill_who(&m.who);
    if (kind == CONTROL_I_AM) m.yours = CONTROL_YOURS_REMOVED;
    if (kind == CONTROL_JOINED || kind == CONTROL_REMOVED || kind == CONTROL_TRANSFER) m.member = 5;
    if (kind == CONTROL_JOIN) m.weight = 2, m.zone = 3, m.address = BYTES_LIT("a:1");
    if (kind >= CONTROL_JOIN && kind <= CONTROL_JOIN_REFUSED) m.nonce = 99;
    if (kind == CONTROL_JOIN_REFUSED) m.code = META_BOOT;
    if (kind == CONTROL_CARRY) m.sender = 6, m.member = 7;
    if (kind == CONTROL_RAFT || kind == CONTROL_PROPOSE || kind == CONTROL_METADATA ||
        kind == CONTROL_CARRY)
        m.bytes = BYTES_LIT("abc");
    if (kind == CONTROL_JOINED) {
        m.contact_count = 2;
        m.contacts[0] = (struct control_contact){ 1, BYTES_LIT("a:1") };
        m.contacts[1] = (struct control_contact){ 2, BYTES_LIT("b:1") };
    }
    if (kind == CONTROL_REPORT || kind == CONTROL_PROGRESS) {
        m.report_count = kind == CONTROL_REPORT ? 1 : 2;
        m.reports[0] = report(1);
        m.reports[1] = report(2);
    }
    if (kind >= CONTROL_NEWS_WANTED && kind <= CONTROL_METADATA) m.revision = 77;
}

static struct bytes encode(struct buffer *out) {
    buffer_init(out, CONTROL_MESSAGE_BYTES_MAX);
    control_message_encode(&m, out);
    CHECK(!out->overflowed);
    return buffer_bytes(out);
}

static bool has_tail(enum control_kind kind) {
    return kind == CONTROL_RAFT || kind == CONTROL_PROPOSE || kind == CONTROL_METADATA ||
           kind == CONTROL_CARRY;
}

/* Every kind comes back as it was, and is refused when it is cut off or too long. */
TEST(control_message, every_kind) {
    for (enum control_kind kind = CONTROL_RAFT; kind < CONTROL_KINDS; kind++) {
        struct buffer out, again;
        example(kind);
        const struct bytes all = encode(&out);
        CHECK_OK(control_message_decode(all, &back));
        CHECK_EQ(back.kind, kind);
        CHECK_EQ(back.member, m.member);
        CHECK_EQ(back.sender, m.sender);
        CHECK_EQ(back.nonce, m.nonce);
        CHECK_EQ(back.contact_count, m.contact_count);
        CHECK_EQ(back.report_count, m.report_count);
        CHECK_BYTES(back.bytes, m.bytes);
        m = back;
        CHECK_BYTES(encode(&again), all);
        buffer_deinit(&again);
        const size_t fields = all.len - back.bytes.len;
        for (size_t len = 0; len < fields; len++)
            CHECK_STATUS(control_message_decode(bytes_of(all.ptr, len), &back), ST_CORRUPT);
        buffer_append_u8(&out, 0);
        const struct status longer = control_message_decode(buffer_bytes(&out), &back);
        CHECK_EQ(longer.code, has_tail(kind) ? ST_OK : ST_CORRUPT);
        buffer_deinit(&out);
    }
}

/* The status of the example with one byte changed. */
static enum status_code with(enum control_kind kind, size_t offset, uint8_t value) {
    struct buffer out;
    example(kind);
    (void)encode(&out);
    CHECK(offset < buffer_len(&out));
    out.ptr[out.start + offset] = value;
    const struct status s = control_message_decode(buffer_bytes(&out), &back);
    buffer_deinit(&out);
    return s.code;
}

/* Kinds, counts, lengths and what must not be zero. */
TEST(control_message, bounds) {
    CHECK_EQ(with(CONTROL_RAFT, 0, 0), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_RAFT, 0, CONTROL_KINDS), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_WHO, 1, CONTROL_PERSONS), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_WHO, 1, CONTROL_PERSON_FRESH), ST_CORRUPT); /* and yet of a cluster */
    CHECK_EQ(with(CONTROL_WHO, 18, 0), ST_CORRUPT);                   /* a member without an id */
    CHECK_EQ(with(CONTROL_WHO, 30, 0), ST_CORRUPT);                   /* an address, no nonce */
    CHECK_EQ(with(CONTROL_WHO, 38, MEMBER_ADDRESS_BYTES), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_I_AM, 52, CONTROL_YOURS_COUNT), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_JOINED, 17, 0), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_JOINED, 29, 0), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_JOINED, 29, CONTROL_CONTACTS_MAX + 1), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_JOIN_REFUSED, 9, META_OK), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_JOIN_REFUSED, 9, META_CODES), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_REPORT, 13, 7), ST_CORRUPT); /* caught up before it was adopted */
    CHECK_EQ(with(CONTROL_PROGRESS, 1, CONTROL_REPORTS_MAX + 1),
             ST_CORRUPT);                               /* more than there can be */
    CHECK_EQ(with(CONTROL_PROGRESS, 2, 2), ST_CORRUPT); /* 2 and 2 */
    CHECK_EQ(with(CONTROL_METADATA_WANTED, 17, 0), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_TRANSFER, 1, 0), ST_CORRUPT);
    CHECK_EQ(with(CONTROL_CARRY, 1, 0), ST_CORRUPT); /* of nobody */
    CHECK_EQ(with(CONTROL_CARRY, 1, 7), ST_CORRUPT); /* for itself */
    CHECK_EQ(with(CONTROL_CARRY, 5, 0), ST_OK);      /* for the leader */
}

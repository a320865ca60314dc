/* What bytes of a raft store are taken for, and what is refused: every bit flipped, every length
 * cut, every rule broken. */
#include "control/raft_store_record.h"

#include "base/mem.h"
#include "test/unit/harness.h"

#include <string.h>

#define FILE_BYTES_MAX 8192u

static const struct raft_store_identity identity = { 9, 0x5a17 };
static struct buffer file;
static uint8_t config[RAFT_CONFIG_BYTES_MAX];

static struct raft_snapshot snapshot_of(uint64_t index) {
    const struct raft_config c = { .voter_count = 1, .voters = { 4 } };
    return (struct raft_snapshot){ .index = index,
                                   .term = 2,
                                   .config = bytes_of(config, raft_config_encode(&c, config)),
                                   .data = BYTES_LIT("the state") };
}

/* A file with a head of two entries behind index 5: 6/2 and 7/3, applied 6. */
static void begin(void) {
    static struct raft_entry entries[2];
    entries[0] = (struct raft_entry){ 6, 2, RAFT_ENTRY_DATA, BYTES_LIT("six") };
    entries[1] = (struct raft_entry){ 7, 3, RAFT_ENTRY_EMPTY, BYTES_NONE };
    const struct raft_store_restored content = {
        .owner = { .member = 3 },
        .hard = { 3, 1 },
        .snapshot = snapshot_of(5),
        .applied = 6,
        .entries = entries,
        .entry_count = 2,
    };
    if (file.bytes_max == 0) buffer_init(&file, FILE_BYTES_MAX);
    buffer_reset(&file);
    raft_store_content_encode(&content, identity, &file);
    CHECK_EQ(buffer_len(&file), raft_store_content_bytes(&content));
}

/* Give what was put behind `from` its checksums. */
static void finish(size_t from) {
    raft_store_finish(identity, from, file.ptr + from, buffer_len(&file) - from);
}

/* One write: a seal and an entry of this index and term. */
static size_t write_entry(uint64_t index, uint64_t term) {
    const size_t from = buffer_len(&file);
    const struct raft_entry e = { index, term, RAFT_ENTRY_DATA, BYTES_LIT("more") };
    raft_store_put_seal(&file);
    raft_store_put_entry(&file, &e);
    finish(from);
    return from;
}

static struct status load(struct bytes in, struct raft_store_restored *ret_content,
                          struct raft_store_fault *ret_fault) {
    struct raft_store_header header;
    /* The bytes end where their block ends, so that a read behind them is seen. */
    uint8_t *exact = mem_alloc(in.len);
    if (in.len > 0) memcpy(exact, in.ptr, in.len);
    const struct status s =
        raft_store_load(bytes_of(exact, in.len), identity.number, &header, ret_content, ret_fault);
    if (status_ok(s))
        ret_content->bytes = exact;
    else
        mem_free(exact);
    return s;
}

/* The header as drawn. */
TEST(raft_store_record, header) {
    uint8_t p[RAFT_STORE_HEADER_BYTES];
    const struct raft_store_header h = { identity, 100 };
    struct raft_store_header back;
    raft_store_header_encode(&h, p);
    CHECK(memcmp(p, "ATOLRFT1", 8) == 0);
    CHECK_EQ(get_u64_le(p + 8), 9);
    CHECK_EQ(get_u64_le(p + 16), 100);
    CHECK_EQ(get_u32_le(p + 24), 0x5a17);
    CHECK_OK(raft_store_header_decode(bytes_of(p, sizeof p), &back));
    CHECK_EQ(back.identity.number, 9);
    CHECK_EQ(back.identity.salt, 0x5a17);
    CHECK_EQ(back.head_bytes, 100);
    CHECK_STATUS(raft_store_header_decode(bytes_of(p, sizeof p - 1), &back), ST_CORRUPT);
    for (uint32_t bit = 0; bit < 8 * sizeof p; bit++) {
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK_STATUS(raft_store_header_decode(bytes_of(p, sizeof p), &back), ST_CORRUPT);
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* A head comes back as it was. */
TEST(raft_store_record, head) {
    struct raft_store_restored c;
    struct raft_store_fault fault;
    begin();
    CHECK_OK(load(buffer_bytes(&file), &c, &fault));
    CHECK_EQ(fault.offset, buffer_len(&file));
    CHECK_EQ(c.owner.member, 3);
    CHECK_EQ(c.hard.term, 3);
    CHECK_EQ(c.hard.vote, 1);
    CHECK_EQ(c.snapshot.index, 5);
    CHECK_EQ(c.snapshot.term, 2);
    CHECK_BYTES(c.snapshot.data, BYTES_LIT("the state"));
    CHECK_EQ(c.applied, 6);
    CHECK_EQ(c.entry_count, 2);
    CHECK_EQ(c.entries[0].index, 6);
    CHECK_BYTES(c.entries[0].data, BYTES_LIT("six"));
    CHECK_EQ(c.entries[1].term, 3);
    CHECK_EQ(c.entries[1].kind, RAFT_ENTRY_EMPTY);
    raft_store_restored_deinit(&c);

    struct raft_store_header header;
    CHECK_STATUS(raft_store_load(buffer_bytes(&file), 8, &header, &c, &fault), ST_CORRUPT);
}

/* A file of a node that has nothing yet is the shortest there is. */
TEST(raft_store_record, empty) {
    const struct raft_store_restored nothing = { .owner = { .member = 3 } };
    struct raft_store_restored c;
    struct raft_store_fault fault;
    begin();
    buffer_reset(&file);
    raft_store_content_encode(&nothing, identity, &file);
    CHECK_EQ(buffer_len(&file), raft_store_content_bytes(&nothing));
    CHECK_OK(load(buffer_bytes(&file), &c, &fault));
    CHECK_EQ(c.snapshot.index, 0);
    CHECK_EQ(c.entry_count, 0);
    raft_store_restored_deinit(&c);
}

/* Any flipped bit is noticed if a seal stands behind it, and else cuts off what follows. */
TEST(raft_store_record, every_bit) {
    struct raft_store_restored c;
    struct raft_store_fault fault;
    begin();
    (void)write_entry(8, 3);
    const size_t second = write_entry(9, 3);
    for (size_t bit = 0; bit < 8 * buffer_len(&file); bit++) {
        file.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const struct status s = load(buffer_bytes(&file), &c, &fault);
        file.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (bit / 8 < second) {
            CHECK_STATUS(s, ST_CORRUPT);
            continue;
        }
        CHECK_OK(s);
        CHECK_EQ(c.entry_count, 3);
        CHECK(fault.offset >= second);
        CHECK(fault.offset <= bit / 8);
        raft_store_restored_deinit(&c);
    }
}

/* A file cut anywhere behind its head is a shorter history; within it, it is damaged. What a disk
 * may put in the place of what is lost changes nothing. */
TEST(raft_store_record, every_length) {
    struct raft_store_restored c;
    struct raft_store_fault fault;
    static uint8_t torn[FILE_BYTES_MAX];
    begin();
    const size_t head = buffer_len(&file);
    const size_t first = write_entry(8, 3);
    const size_t second = write_entry(9, 3);
    const size_t whole = buffer_len(&file);
    CHECK_EQ(first, head);
    for (size_t len = 0; len <= whole; len++) {
        for (uint32_t rest = 0; rest < 3; rest++) {
            memset(torn, rest == 2 ? 0xff : 0, sizeof torn);
            memcpy(torn, file.ptr, len);
            const struct status s = load(bytes_of(torn, rest == 0 ? len : whole + 50), &c, &fault);
            size_t same = len; /* what is lost may have been zeros */
            while (rest != 0 && same < whole && torn[same] == file.ptr[same]) same++;
            if (same < head) {
                CHECK_STATUS(s, ST_CORRUPT);
                continue;
            }
            CHECK_OK(s);
            CHECK_EQ(c.entry_count, same >= whole ? 4 : same >= second ? 3 : 2);
            raft_store_restored_deinit(&c);
        }
    }
}

/* A write whose middle never reached the disk is cut there, whatever came through behind it. */
TEST(raft_store_record, hole_in_a_write) {
    struct raft_store_restored c;
    struct raft_store_fault fault;
    begin();
    const size_t from = buffer_len(&file);
    raft_store_put_seal(&file);
    size_t third = 0;
    for (uint64_t index = 8; index < 12; index++) {
        const struct raft_entry e = { index, 3, RAFT_ENTRY_DATA, BYTES_LIT("0123456789") };
        if (index == 10) third = buffer_len(&file);
        raft_store_put_entry(&file, &e);
    }
    finish(from);
    memset(file.ptr + third, 0, 20);
    CHECK_OK(load(buffer_bytes(&file), &c, &fault));
    CHECK_EQ(c.entry_count, 4);
    CHECK_EQ(fault.offset, third);
    raft_store_restored_deinit(&c);
    /* With a later write behind it, it was durable once. */
    (void)write_entry(12, 3);
    CHECK_STATUS(load(buffer_bytes(&file), &c, &fault), ST_CORRUPT);
    CHECK_EQ(fault.offset, third);
}

/* Records of another file, of another use of the number, or of another place count for nothing. */
TEST(raft_store_record, stale_bytes) {
    static const struct raft_store_identity others[] = { { 8, 0x5a17 }, { 9, 0x5a18 } };
    struct raft_store_restored c;
    struct raft_store_fault fault;
    for (uint32_t i = 0; i < 3; i++) {
        begin();
        const size_t from = buffer_len(&file);
        const struct raft_entry e = { 8, 3, RAFT_ENTRY_DATA, BYTES_LIT("more") };
        raft_store_put_entry(&file, &e);
        raft_store_put_seal(&file);
        if (i < 2)
            raft_store_finish(others[i], from, file.ptr + from, buffer_len(&file) - from);
        else
            raft_store_finish(identity, from + 1, file.ptr + from, buffer_len(&file) - from);
        if (i == 2) file.ptr[from] ^= 1; /* a seal that names another place proves nothing */
        CHECK_OK(load(buffer_bytes(&file), &c, &fault));
        CHECK_EQ(fault.offset, from);
        CHECK_EQ(c.entry_count, 2);
        raft_store_restored_deinit(&c);
    }
}

/* ---- rules ---- */

/* The fault of a file to which `put` has added something with right checksums. */
static const char *wrong_with(void (*put)(void)) {
    struct raft_store_restored c;
    struct raft_store_fault fault;
    begin();
    const size_t from = buffer_len(&file);
    put();
    finish(from);
    const struct status s = load(buffer_bytes(&file), &c, &fault);
    if (!status_ok(s)) return fault.what;
    raft_store_restored_deinit(&c);
    return "nothing";
}

static void put_term_back(void) {
    raft_store_put_hard(&file, (struct raft_hard_state){ 2, 0 });
}
static void put_second_vote(void) {
    raft_store_put_hard(&file, (struct raft_hard_state){ 3, 2 });
}
static void put_gap(void) {
    raft_store_put_entry(&file, &(struct raft_entry){ 9, 3, RAFT_ENTRY_EMPTY, BYTES_NONE });
}
static void put_entry_term_back(void) {
    raft_store_put_entry(&file, &(struct raft_entry){ 8, 2, RAFT_ENTRY_EMPTY, BYTES_NONE });
}
static void put_kind(void) {
    raft_store_put_entry(&file, &(struct raft_entry){ 8, 3, (enum raft_entry_kind)4, BYTES_NONE });
}
static void put_cut_applied(void) {
    raft_store_put_truncate(&file, 6);
}
static void put_cut_behind(void) {
    raft_store_put_truncate(&file, 9);
}
static void put_applied_back(void) {
    raft_store_put_applied(&file, 5);
}
static void put_applied_ahead(void) {
    raft_store_put_applied(&file, 8);
}
static void put_snapshot(void) {
    const struct raft_snapshot s = snapshot_of(9);
    raft_store_put_snapshot(&file, &s);
}
static void put_member(void) {
    raft_store_put_owner(&file, &(struct raft_store_owner){ .member = 4 });
}
static void put_clusters(void) {
    raft_store_put_owner(&file, &(struct raft_store_owner){ .cluster = { 1 }, .member = 3 });
    raft_store_put_owner(&file, &(struct raft_store_owner){ .cluster = { 2 }, .member = 3 });
}
static void put_unknown(void) {
    raft_store_put_applied(&file, 7);
    put_u32_le(file.ptr + buffer_len(&file) - 12, 8); /* its kind */
}
static void put_all_right(void) {
    raft_store_put_seal(&file);
    raft_store_put_truncate(&file, 7);
    raft_store_put_entry(&file, &(struct raft_entry){ 7, 4, RAFT_ENTRY_CONFIG, BYTES_LIT("x") });
    raft_store_put_hard(&file, (struct raft_hard_state){ 4, 0 });
    raft_store_put_hard(&file, (struct raft_hard_state){ 4, 2 });
    raft_store_put_owner(&file, &(struct raft_store_owner){ .cluster = { 1 }, .member = 3 });
    raft_store_put_applied(&file, 7);
    raft_store_put_truncate(&file, 8);
}

/* Records that are whole but break a rule were written by a bug or another version: the file is
 * refused, also at its end. */
TEST(raft_store_record, rules) {
    static const struct {
        void (*put)(void);
        const char *wrong;
    } cases[] = {
        { put_term_back, "the term goes back" },
        { put_second_vote, "a second vote in a term" },
        { put_gap, "an entry out of order" },
        { put_entry_term_back, "an entry whose term goes back" },
        { put_kind, "of another version" },
        { put_cut_applied, "it takes back what was applied" },
        { put_cut_behind, "it cuts behind the end" },
        { put_applied_back, "the applied index goes back" },
        { put_applied_ahead, "applied what is not there" },
        { put_snapshot, "not the snapshot second" },
        { put_member, "it becomes another member's" },
        { put_clusters, "the cluster's id was known" },
        { put_unknown, "of another version" },
        { put_all_right, "nothing" },
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_BYTES(bytes_of_string(wrong_with(cases[i].put)), bytes_of_string(cases[i].wrong));
}

/* A snapshot made here leaves what follows it, one of the leader's leaves nothing. */
TEST(raft_store_record, replace) {
    struct raft_store_restored c;
    struct raft_store_fault fault;
    begin();
    CHECK_OK(load(buffer_bytes(&file), &c, &fault));
    const struct raft_snapshot made = snapshot_of(6);
    raft_store_content_replace(&c, &made, false);
    CHECK_EQ(c.entry_count, 1);
    CHECK_EQ(c.entries[0].index, 7);
    CHECK_EQ(c.applied, 6);
    CHECK_EQ(c.snapshot.index, 6);
    struct raft_snapshot installed = snapshot_of(7);
    CHECK_ABORTS(raft_store_content_replace(&c, &installed, false)); /* its entry is 7/3 */
    raft_store_content_replace(&c, &installed, true);
    CHECK_EQ(c.entry_count, 0);
    CHECK_EQ(c.applied, 7);
    CHECK_EQ(c.hard.term, 3);
    CHECK_ABORTS(raft_store_content_replace(&c, &made, true));
    raft_store_restored_deinit(&c);
}

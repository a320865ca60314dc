/* What an operator may name, and what the view of a node answers without the control plane. */
#include "proto/admin.h"

#include "test/unit/harness.h"

#include <string.h>

TEST(admin, addresses) {
    static const struct {
        const char *text, *read; /* NULL = refused */
    } rows[] = {
        { "127.0.0.1:8080", "127.0.0.1:8080" },
        { "Node-1.Example.COM:1", "node-1.example.com:1" },
        { "[FD00::1]:65535", "[fd00::1]:65535" },
        { "", NULL },
        { "h", NULL },
        { ":80", NULL },
        { "h:", NULL },
        { "h:0", NULL },
        { "h:080", NULL },
        { "h:65536", NULL },
        { "h:1000000", NULL },
        { "h:-1", NULL },
        { "h:8x", NULL },
        { "http://h:80", NULL },
        { "h :80", NULL },
        { "h:80 ", NULL },
        { "fd00::1:80", NULL },
        { "[]:80", NULL },
        { "[h]x:80", NULL },
        { "-h:80", NULL },
        { "h;reboot:80", NULL },
        { "h\n:80", NULL },
        { "\xc3\xa4:80", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char address[ADMIN_ADDRESS_BYTES] = "as it was";
        const struct status s = admin_address_read(bytes_of_string(rows[i].text), address);
        CHECK_STATUS(s, rows[i].read == NULL ? ST_INVALID : ST_OK);
        CHECK(strcmp(address, rows[i].read == NULL ? "as it was" : rows[i].read) == 0);
    }
    char address[ADMIN_ADDRESS_BYTES];
    CHECK_STATUS(admin_address_read(BYTES_LIT("h:80\0"), address), ST_INVALID);
    char longest[ADMIN_ADDRESS_BYTES + 1];
    memset(longest, 'a', sizeof longest);
    memcpy(longest + ADMIN_ADDRESS_BYTES - 4, ":80", 3);
    CHECK_OK(admin_address_read(bytes_of(longest, ADMIN_ADDRESS_BYTES - 1), address));
    CHECK_EQ(strlen(address), ADMIN_ADDRESS_BYTES - 1);
    memcpy(longest + ADMIN_ADDRESS_BYTES - 4, "a:80", 4);
    CHECK_STATUS(admin_address_read(bytes_of(longest, ADMIN_ADDRESS_BYTES), address), ST_INVALID);
}

TEST(admin, names_of_nodes_and_keyspaces) {
    struct admin_request q;
    admin_request_init(&q, ADMIN_LEADER);
    CHECK(!admin_request_check(&q));
    CHECK_OK(admin_node_read(BYTES_LIT("4294967295"), &q));
    CHECK_EQ(q.node, UINT32_MAX);
    CHECK(admin_request_check(&q));
    CHECK_STATUS(admin_node_read(BYTES_LIT("4294967296"), &q), ST_INVALID);
    CHECK_STATUS(admin_node_read(BYTES_LIT("0"), &q), ST_INVALID);
    CHECK_STATUS(admin_node_read(BYTES_LIT("-1"), &q), ST_INVALID);
    admin_request_init(&q, ADMIN_LEADER);
    CHECK_OK(admin_node_read(BYTES_LIT("H:1"), &q));
    CHECK_EQ(q.node, 0);
    CHECK(strcmp(q.address, "h:1") == 0);
    CHECK(admin_request_check(&q));

    char name[KEYSPACE_NAME_BYTES_MAX + 1];
    memset(name, 'k', sizeof name);
    admin_request_init(&q, ADMIN_KEYSPACE_GET);
    CHECK(!admin_request_check(&q));
    CHECK_OK(admin_keyspace_name_read(bytes_of(name, KEYSPACE_NAME_BYTES_MAX), &q));
    CHECK(admin_request_check(&q));
    CHECK_STATUS(admin_keyspace_name_read(bytes_of(name, sizeof name), &q), ST_INVALID);
    CHECK_OK(admin_keyspace_name_read(BYTES_LIT("a-b_9"), &q));
    CHECK(strcmp(q.keyspace, "a-b_9") == 0);
    static const char *const bad[] = { "", "A", "a b", "a/b", "a.b", "\xff" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_STATUS(admin_keyspace_name_read(bytes_of_string(bad[i]), &q), ST_INVALID);
    CHECK_STATUS(admin_keyspace_name_read(BYTES_LIT("a\0b"), &q), ST_INVALID);
}

/* A request from another node is judged by this, so it has to notice what no face lets pass. */
TEST(admin, checks_what_a_face_would_not_let_pass) {
    struct admin_request q;
    admin_request_init(&q, ADMIN_NODE_WEIGHT);
    q.node = 1;
    CHECK(!admin_request_check(&q));
    q.given = ADMIN_HAS_WEIGHT;
    CHECK(!admin_request_check(&q));
    q.weight = ADMIN_WEIGHT_MAX;
    CHECK(admin_request_check(&q));
    q.weight++;
    CHECK(!admin_request_check(&q));
    admin_request_init(&q, ADMIN_CHANGE_THROTTLE);
    CHECK(!admin_request_check(&q));
    admin_request_init(&q, ADMIN_REPLICAS);
    q.replicas = REPLICAS_MAX;
    CHECK(!admin_request_check(&q));
    q.given = ADMIN_HAS_REPLICAS;
    CHECK(admin_request_check(&q));
    q.replicas++;
    CHECK(!admin_request_check(&q));
    admin_request_init(&q, ADMIN_PLAN);
    CHECK(admin_request_check(&q));
    q.plan_of = ADMIN_PLAN_JOIN;
    CHECK(!admin_request_check(&q));
    q.plan_of = ADMIN_PLAN_LEAVE;
    CHECK(!admin_request_check(&q));
    q.plan_of = ADMIN_PLAN_REPLICAS;
    CHECK(!admin_request_check(&q));
    admin_request_init(&q, ADMIN_KEYSPACE_PUT);
    memcpy(q.keyspace, "k", 2);
    CHECK(admin_request_check(&q));
    q.write_quorum = 3;
    q.given = ADMIN_HAS_REPLICAS;
    q.replicas = 2;
    CHECK(!admin_request_check(&q));
    q.replicas = 3;
    CHECK(admin_request_check(&q));
    memset(q.address, 'a', sizeof q.address);
    CHECK(!admin_request_check(&q));
    admin_request_init(&q, ADMIN_CHANGE_PAUSE);
    q.op = ADMIN_OPS;
    CHECK(!admin_request_check(&q));
}

static const struct node_member members[] = {
    { .address = "127.0.0.1:8081", .id = 1, .weight = 1, .self = true, .alive = true },
    { .address = "10.0.0.2:8082", .id = 2, .weight = 2, .zone = 5 },
    { .address = "10.0.0.3:8083", .id = 3, .weight = 1, .standing = NODE_LEAVING },
};

static struct admin_request add(const char *address, uint32_t given, uint32_t weight) {
    struct admin_request q;
    admin_request_init(&q, ADMIN_NODE_ADD);
    CHECK_OK(admin_address_read(bytes_of_string(address), q.address));
    q.given = given;
    q.weight = weight;
    return q;
}

TEST(admin, a_node_that_may_join_is_told_how) {
    const struct node_view view = { .address = "0.0.0.0:8081",
                                    .cluster = { .members_count = 3,
                                                 .members = members,
                                                 .stage = NODE_STAGE_MEMBER,
                                                 .epoch = 4 } };
    struct admin_reply r;
    struct admin_request q = add("localhost:8081", 0, 0);
    CHECK(admin_answer_from_view(&q, &view, &r));
    CHECK_EQ(r.outcome, ADMIN_DONE);
    CHECK_EQ(r.node, 1);
    q = add("10.0.0.2:8082", ADMIN_HAS_WEIGHT, 2);
    CHECK(admin_answer_from_view(&q, &view, &r));
    CHECK_EQ(r.node, 2);
    q = add("10.0.0.2:8082", ADMIN_HAS_WEIGHT, 3);
    CHECK(!admin_answer_from_view(&q, &view, &r));
    q = add("10.0.0.2:8082", ADMIN_HAS_ZONE, 0);
    CHECK(!admin_answer_from_view(&q, &view, &r));
    q = add("10.0.0.3:8083", 0, 0);
    CHECK(!admin_answer_from_view(&q, &view, &r));
    q = add("10.0.0.4:80", ADMIN_HAS_WEIGHT | ADMIN_HAS_ZONE, 7);
    q.zone = 3;
    CHECK(admin_answer_from_view(&q, &view, &r));
    CHECK_EQ(r.outcome, ADMIN_ACCEPTED);
    CHECK_EQ(r.epoch, 4);
    CHECK(strcmp(r.command, "atoll serve --listen 10.0.0.4:80 --join 127.0.0.1:8081 --weight 7 "
                            "--zone 3") == 0);
    admin_request_init(&q, ADMIN_CHANGE_PAUSE);
    CHECK(!admin_answer_from_view(&q, &view, &r));
}

/* A node alone is the member that an operator names by its address, and all else is asked of the
 * control plane. */
TEST(admin, a_node_alone_is_its_own_member) {
    const struct node_view view = { .address = "127.0.0.1:8081",
                                    .node_id = 77,
                                    .cluster = { .members_count = 1, .epoch = 1 } };
    struct admin_reply r;
    struct admin_request q = add("127.0.0.1:8081", ADMIN_HAS_WEIGHT, 1);
    CHECK(admin_answer_from_view(&q, &view, &r));
    CHECK_EQ(r.outcome, ADMIN_DONE);
    CHECK_EQ(r.node, 77);
    q = add("127.0.0.1:8082", 0, 0);
    CHECK(admin_answer_from_view(&q, &view, &r));
    CHECK_EQ(r.outcome, ADMIN_ACCEPTED);
    for (uint32_t op = ADMIN_CHANGE_PAUSE; op <= ADMIN_KEYSPACE_LIST; op++) {
        admin_request_init(&q, (enum admin_op)op);
        q.given = op == ADMIN_CHANGE_THROTTLE ? ADMIN_HAS_RATE : 0;
        CHECK(!admin_answer_from_view(&q, &view, &r));
    }
}

/* Every outcome and op has its words, and what is cut stays a text. */
TEST(admin, words) {
    struct admin_reply r;
    for (uint32_t i = 0; i < ADMIN_OUTCOMES; i++) {
        admin_reply_init(&r, (enum admin_outcome)i);
        CHECK(admin_outcome_status(r.outcome) >= 200);
        CHECK_EQ(admin_outcome_ok(r.outcome), admin_outcome_status(r.outcome) < 300);
        CHECK(admin_reply_code(&r)[0] != '\0');
        CHECK(admin_reply_text(&r)[0] != '\0');
    }
    for (uint32_t i = 0; i < ADMIN_OPS; i++) CHECK(admin_op_name((enum admin_op)i)[0] != '\0');
    char text[2 * ADMIN_MESSAGE_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    admin_reply_say(&r, "%s", text);
    CHECK_EQ(strlen(admin_reply_text(&r)), ADMIN_MESSAGE_BYTES - 1);
    r.code = "below_n";
    CHECK(strcmp(admin_reply_code(&r), "below_n") == 0);
}

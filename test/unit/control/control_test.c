/* One control plane, told step by step what happens: how it begins, joins, and is refused. */
#include "control/control.h"

#include "base/mem.h"
#include "control/control_message.h"
#include "test/unit/control/memory_disk.h"
#include "test/unit/harness.h"

#include <stdio.h>

#define SENT_MAX 64u
#define GUEST 77u

struct world {
    struct sim_random random;           /* of the disk */
    struct test_disk disk;              /* of the node */
    struct control *control;            /* under test */
    uint64_t now_ms;                    /* the clock */
    uint32_t told_count;                /* of `list`: addresses that it is told */
    uint32_t sent[CONTROL_KINDS];       /* messages by kind */
    char sent_to[MEMBER_ADDRESS_BYTES]; /* address of the last */
    struct control_message last;        /* of them; without views */
    uint32_t reports_told;              /* in the last PROGRESS */
    enum control_yours last_yours;      /* of I_AM */
    struct buffer reply;                /* last one to a guest */
    uint32_t published;                 /* states */
    uint32_t self;                      /* of the last one */
    uint64_t revision;                  /* of the last one */
    struct cluster_id cluster;          /* of the last one */
    char refused[CONTROL_LINE_BYTES];   /* empty: it was not */
};

static struct world *made(void) {
    struct world *w = mem_alloc_zeroed(sizeof *w);
    w->random = sim_random_of(1);
    w->now_ms = 1000;
    w->told_count = 3;
    test_disk_init(&w->disk, &w->random);
    buffer_init(&w->reply, CONTROL_MESSAGE_BYTES_MAX);
    return w;
}

static void note(struct world *w, struct bytes bytes) {
    CHECK_OK(control_message_decode(bytes, &w->last));
    w->sent[w->last.kind]++;
    if (w->last.kind == CONTROL_PROGRESS) w->reports_told = w->last.report_count;
}
static void on_send(void *user, uint32_t member, struct bytes bytes) {
    CHECK(member != 0);
    note(user, bytes);
}
static void on_send_address(void *user, const char *address, struct bytes bytes) {
    struct world *w = user;
    (void)snprintf(w->sent_to, sizeof w->sent_to, "%s", address);
    note(w, bytes);
}
static void on_reply(void *user, uint64_t guest, struct bytes bytes) {
    struct world *w = user;
    CHECK_EQ(guest, GUEST);
    buffer_reset(&w->reply);
    buffer_append(&w->reply, bytes);
    note(w, bytes);
}
static void on_publish(void *user, const struct metadata *state, uint32_t self) {
    struct world *w = user;
    CHECK(state->revision > w->revision || w->published == 0);
    w->published++;
    w->self = self;
    w->revision = state->revision;
    w->cluster = state->cluster;
}
static void on_refused(void *user, const char *line) {
    struct world *w = user;
    CHECK_EQ(w->refused[0], 0); /* once */
    (void)snprintf(w->refused, sizeof w->refused, "%s", line);
}

static const char *const list[] = { "10.0.0.2:7000", "10.0.0.1:7000", "10.0.0.3:7000" };

static void begin(struct world *w, enum control_want want, uint32_t boot, uint64_t nonce) {
    struct control_options o;
    control_options_init(&o);
    o.want = want;
    o.address = want == CONTROL_WANT_PROXY ? NULL : "10.0.0.2:7000";
    o.addresses = list;
    o.address_count = want == CONTROL_WANT_ALONE ? 0 : w->told_count;
    o.boot = boot;
    o.nonce = nonce;
    o.gather_ms = 500;
    w->revision = 0;
    const struct control_env env = {
        w, on_send, on_send_address, on_reply, on_publish, on_refused
    };
    struct control_store table;
    test_disk_table(&w->disk, &table);
    w->control = control_create(&o, &env, &table);
    struct raft_store_restored found;
    if (w->disk.exists) test_disk_restored(&w->disk, &found);
    CHECK_OK(control_restore(w->control, w->disk.exists ? &found : NULL, w->now_ms, 5));
}

static void end(struct world *w) {
    control_destroy(w->control);
    w->control = NULL;
    test_disk_crash(&w->disk);
}

static void destroy(struct world *w) {
    if (w->control != NULL) end(w);
    test_disk_deinit(&w->disk);
    buffer_deinit(&w->reply);
    mem_free(w);
}

static void run(struct world *w, uint32_t ms) {
    for (const uint64_t until = w->now_ms + ms; w->now_ms < until;) {
        struct raft_store_done done;
        w->now_ms += 5;
        w->disk.now_ms = w->now_ms;
        if (test_disk_poll(&w->disk, &done)) control_stored(w->control, &done, w->now_ms, 7);
        (void)control_tick(w->control, w->now_ms, w->now_ms, 11);
        CHECK(control_check(w->control));
    }
}

static void tell_from(struct world *w, struct control_source from,
                      const struct control_message *m) {
    struct buffer bytes;
    buffer_init(&bytes, CONTROL_MESSAGE_BYTES_MAX);
    control_message_encode(m, &bytes);
    control_receive(w->control, from, buffer_bytes(&bytes), w->now_ms, 3);
    buffer_deinit(&bytes);
}

static void tell(struct world *w, const struct control_message *m) {
    tell_from(w, (struct control_source){ .guest = GUEST }, m);
}

static void tell_join(struct world *w, const char *address, uint64_t nonce) {
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_JOIN;
    m.weight = 1;
    m.nonce = nonce;
    m.address = bytes_of_string(address);
    tell(w, &m);
}

static enum control_stage stage(struct world *w) {
    static struct control_status s;
    control_status(w->control, &s);
    return s.stage;
}

static bool waits(struct world *w, const char *word) {
    static struct control_status s;
    control_status(w->control, &s);
    return strstr(s.waits_for, word) != NULL;
}

/* What the answer to WHO says of the list that this node was given. */
static uint64_t list_hash(struct world *w) {
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_WHO;
    m.who.person = CONTROL_PERSON_OTHER;
    tell(w, &m);
    CHECK_EQ(w->last.kind, CONTROL_I_AM);
    return w->last.who.list;
}

static void i_am(struct world *w, enum control_person person, const char *address, uint64_t nonce,
                 uint64_t hash, enum control_yours yours) {
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_I_AM;
    m.who.person = person;
    m.who.list = hash;
    m.who.nonce = nonce;
    m.who.address = bytes_of_string(address);
    if (person >= CONTROL_PERSON_BEGUN && person <= CONTROL_PERSON_MEMBER) m.who.member = 1;
    if (person == CONTROL_PERSON_MEMBER) m.who.cluster.bytes[0] = 1;
    m.yours = yours;
    tell(w, &m);
}

/* A node by itself is a cluster at once, and the same one after a crash at any moment. */
TEST(control, alone) {
    struct world *w = made();
    begin(w, CONTROL_WANT_ALONE, 1, 42);
    CHECK_EQ(w->published, 1);
    CHECK_EQ(w->self, 1);
    const struct cluster_id cluster = w->cluster;
    end(w);
    begin(w, CONTROL_WANT_LIST, 2, 42); /* what is stored counts, not what is wanted */
    CHECK_EQ(w->published, 2);
    CHECK(memcmp(&cluster, &w->cluster, sizeof cluster) == 0);
    CHECK_EQ(stage(w), CONTROL_MEMBER);
    run(w, 4000);
    const struct metadata *state = control_state(w->control);
    CHECK_EQ(state->members[0].boot, 2);
    CHECK_EQ(state->members[0].nonce, 42);
    CHECK_EQ(w->refused[0], 0);
    destroy(w);
}

/* A copy of the data directory from before, or with another one's identity, is refused. */
TEST(control, old_copies_are_refused) {
    struct world *w = made();
    begin(w, CONTROL_WANT_ALONE, 5, 42);
    run(w, 4000);
    end(w);
    begin(w, CONTROL_WANT_ALONE, 4, 42);
    CHECK(strstr(w->refused, "old copy") != NULL);
    CHECK_EQ(stage(w), CONTROL_REFUSED);
    CHECK_EQ(w->published, 2);
    run(w, 100); /* and nothing goes on */
    end(w);
    memset(w->refused, 0, sizeof w->refused);
    begin(w, CONTROL_WANT_ALONE, 6, 43);
    CHECK(strstr(w->refused, "another data directory") != NULL);
    destroy(w);
}

static uint32_t outcomes[3], answered;
static void on_done(void *user, enum control_outcome outcome, struct metadata_result result) {
    CHECK(user == &answered);
    outcomes[outcome]++;
    if (outcome == CONTROL_ANSWERED && metadata_result_ok(result)) answered++;
}

/* A proposal is answered from the state that was published, with the reason if it is refused. */
TEST(control, proposals) {
    struct world *w = made();
    memset(outcomes, 0, sizeof outcomes);
    answered = 0;
    begin(w, CONTROL_WANT_ALONE, 1, 42);
    struct metadata_command c = { .kind = METADATA_KEYSPACE_CREATE, .name = BYTES_LIT("orders") };
    c.settings.replication.replicas = 1;
    control_propose(w->control, &c, on_done, &answered);
    control_propose(w->control, &c, on_done, &answered);
    CHECK_EQ(outcomes[CONTROL_ANSWERED], 0);
    run(w, 4000);
    CHECK_EQ(outcomes[CONTROL_ANSWERED], 2);
    CHECK_EQ(answered, 1);
    CHECK(metadata_find_name(control_state(w->control), BYTES_LIT("orders")) != NULL);
    for (uint32_t i = 0; i <= CONTROL_PROPOSALS_MAX; i++)
        control_propose(w->control, &c, on_done, &answered);
    CHECK_EQ(outcomes[CONTROL_BUSY], 1);
    destroy(w);
}

/* All of a list are waited for first, then a majority begins, under ids in order of addresses. */
TEST(control, gathering) {
    struct world *w = made();
    begin(w, CONTROL_WANT_LIST, 1, 42);
    run(w, 20);
    CHECK_EQ(w->sent[CONTROL_WHO], 2);
    const uint64_t hash = list_hash(w);
    CHECK(hash != 0);
    i_am(w, CONTROL_PERSON_FRESH, "10.0.0.1:7000", 8, hash, CONTROL_YOURS_FINE);
    CHECK_EQ(stage(w), CONTROL_GATHERING);
    CHECK(waits(w, "10.0.0.3:7000"));
    i_am(w, CONTROL_PERSON_FRESH, "10.0.0.3:7000", 9, hash + 1, CONTROL_YOURS_FINE);
    CHECK(waits(w, "1 have another list"));
    run(w, 1000);
    CHECK_EQ(stage(w), CONTROL_MEMBER);
    CHECK_EQ(w->disk.owner.member, 2);
    CHECK_EQ(w->disk.snapshot.index, RAFT_BOOT_INDEX);
    CHECK_EQ(w->published, 0); /* there is no cluster before a leader makes it */
    CHECK(w->sent[CONTROL_RAFT] == 0 || w->last.kind != CONTROL_METADATA);
    destroy(w);
}

/* Whoever has promised something with another disk must not begin again. */
TEST(control, gathering_after_a_lost_disk) {
    struct world *w = made();
    begin(w, CONTROL_WANT_LIST, 1, 42);
    const uint64_t hash = list_hash(w);
    i_am(w, CONTROL_PERSON_BEGUN, "10.0.0.1:7000", 8, hash, CONTROL_YOURS_OTHER);
    i_am(w, CONTROL_PERSON_FRESH, "10.0.0.3:7000", 9, hash, CONTROL_YOURS_FINE);
    run(w, 2000);
    CHECK_EQ(stage(w), CONTROL_GATHERING);
    CHECK(waits(w, "another data directory"));
    /* It joins when there is a cluster. */
    i_am(w, CONTROL_PERSON_MEMBER, "10.0.0.1:7000", 8, hash, CONTROL_YOURS_FINE);
    CHECK_EQ(stage(w), CONTROL_JOINING);
    run(w, 400);
    CHECK(w->sent[CONTROL_JOIN] > 0);
    CHECK(!w->disk.exists);
    destroy(w);
}

/* Begin with two others of its list; the hash of that. */
static uint64_t found(struct world *w) {
    begin(w, CONTROL_WANT_LIST, 1, 42);
    const uint64_t hash = list_hash(w);
    i_am(w, CONTROL_PERSON_FRESH, "10.0.0.1:7000", 8, hash, CONTROL_YOURS_FINE);
    i_am(w, CONTROL_PERSON_FRESH, "10.0.0.3:7000", 9, hash, CONTROL_YOURS_FINE);
    CHECK_EQ(stage(w), CONTROL_MEMBER);
    return hash;
}

/* A founder that has begun tells one that comes with another disk so. */
TEST(control, founders_know_each_other) {
    struct world *w = made();
    (void)found(w);
    end(w);
    begin(w, CONTROL_WANT_LIST, 2, 42); /* it is remembered over restarts */
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_WHO;
    m.who.address = BYTES_LIT("10.0.0.1:7000");
    m.who.nonce = 8;
    tell(w, &m);
    CHECK_EQ(w->last.yours, CONTROL_YOURS_FINE);
    CHECK_EQ(w->last.who.person, CONTROL_PERSON_BEGUN);
    m.who.nonce = 10;
    tell(w, &m);
    CHECK_EQ(w->last.yours, CONTROL_YOURS_OTHER);
    destroy(w);
}

static void joined(struct world *w, uint64_t nonce, uint32_t member) {
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_JOINED;
    m.cluster.bytes[3] = 1;
    m.member = member;
    m.nonce = nonce;
    m.contact_count = 1;
    m.contacts[0] = (struct control_contact){ 1, BYTES_LIT("10.0.0.1:7000") };
    tell(w, &m);
}

/* A member that joined has the leader's first snapshot, which names founders, when it starts again.
 * They may have left since, and it asks those that it is told of. */
TEST(control, asks_whom_it_is_told_of_and_not_the_founders) {
    struct world *w = made();
    w->told_count = 1; /* itself */
    begin(w, CONTROL_WANT_LIST, 1, 42);
    run(w, 20);
    CHECK_EQ(stage(w), CONTROL_MEMBER);
    end(w);
    CHECK(w->disk.exists);
    w->disk.owner.member = 9;
    w->disk.owner.cluster[3] = 1;
    w->told_count = 3;
    memset(w->sent, 0, sizeof w->sent);
    begin(w, CONTROL_WANT_JOIN, 2, 42);
    run(w, 10000);
    CHECK(w->sent[CONTROL_WHO] > 0);
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_I_AM;
    m.who.person = CONTROL_PERSON_MEMBER;
    m.who.cluster.bytes[3] = 1;
    m.who.member = 1;
    m.who.nonce = 8;
    m.who.address = BYTES_LIT("10.0.0.1:7000");
    m.yours = CONTROL_YOURS_REMOVED;
    tell(w, &m);
    CHECK_EQ(stage(w), CONTROL_REFUSED);
    destroy(w);
}

/* The id that a member gives is stored before anything is done with it, and only its own. */
TEST(control, joining) {
    struct world *w = made();
    begin(w, CONTROL_WANT_JOIN, 1, 42);
    run(w, 20);
    CHECK_EQ(w->last.kind, CONTROL_JOIN);
    CHECK_EQ(w->last.nonce, 42);
    joined(w, 41, 9);
    CHECK_EQ(stage(w), CONTROL_JOINING);
    joined(w, 42, 9);
    CHECK_EQ(stage(w), CONTROL_MEMBER);
    CHECK_EQ(w->disk.owner.member, 9);
    CHECK_EQ(w->disk.owner.cluster[3], 1);
    joined(w, 42, 10);
    end(w);
    begin(w, CONTROL_WANT_JOIN, 2, 42);
    CHECK_EQ(stage(w), CONTROL_MEMBER);
    CHECK_EQ(w->disk.owner.member, 9);
    w->sent[CONTROL_JOIN] = 0;
    run(w, 1000); /* nobody has come: it tells its address again */
    CHECK(w->sent[CONTROL_JOIN] > 0);
    CHECK_EQ(w->published, 0);
    destroy(w);
}

/* A refusal is shown while it may pass; one that will not stops the node. */
TEST(control, joining_refused) {
    struct world *w = made();
    begin(w, CONTROL_WANT_JOIN, 1, 42);
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_JOIN_REFUSED;
    m.nonce = 42;
    m.code = META_MEMBERS_FULL;
    tell(w, &m);
    CHECK_EQ(stage(w), CONTROL_JOINING);
    CHECK(waits(w, "as many members"));
    m.code = META_BOOT;
    m.nonce = 43;
    tell(w, &m);
    CHECK_EQ(stage(w), CONTROL_JOINING);
    m.nonce = 42;
    tell(w, &m);
    CHECK(strstr(w->refused, "has been a member before") != NULL);
    destroy(w);
}

/* A member answers a JOIN when the agreed state has it, twice with the same id. */
TEST(control, let_in) {
    struct world *w = made();
    begin(w, CONTROL_WANT_ALONE, 1, 42);
    run(w, 4000);
    tell_join(w, "10.0.0.9:7000", 50);
    CHECK_EQ(w->sent[CONTROL_JOINED], 0);
    tell_join(w, "10.0.0.9:7000", 50); /* asked again before it was carried out */
    run(w, 500);
    CHECK_EQ(w->sent[CONTROL_JOINED], 1);
    tell_join(w, "10.0.0.9:7000", 50);
    CHECK_EQ(w->sent[CONTROL_JOINED], 2);
    CHECK_EQ(control_state(w->control)->members_count, 2);
    CHECK_EQ(control_state(w->control)->member_last, 2);
    tell_join(w, "no address", 51);
    run(w, 500);
    CHECK_EQ(w->sent[CONTROL_JOIN_REFUSED], 1);
    destroy(w);
}

static void report_of(struct world *w, uint32_t member) {
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_REPORT;
    m.report_count = 1;
    m.reports[0].boot = 1;
    tell_from(w, (struct control_source){ .member = member }, &m);
}

/* The leader tells all of all as long as that fits, also when one has just become known. */
TEST(control, reports_are_told_at_once) {
    struct world *w = made();
    begin(w, CONTROL_WANT_ALONE, 1, 42);
    run(w, 4000);
    for (uint32_t member = 2; member <= 4; member++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.0.0.%u:7000", 10 + member);
        tell_join(w, address, 50 + member);
        run(w, 100);
        CHECK_EQ(control_state(w->control)->members_count, member);
        report_of(w, member);
        const uint32_t told = w->sent[CONTROL_PROGRESS];
        while (w->sent[CONTROL_PROGRESS] == told) run(w, 5);
        CHECK_EQ(w->reports_told, member);
    }
    destroy(w);
}

/* A proxy takes what is newer, of one cluster, and keeps nothing. */
TEST(control, proxy) {
    struct world *member = made();
    begin(member, CONTROL_WANT_ALONE, 1, 42);
    struct world *w = made();
    begin(w, CONTROL_WANT_PROXY, 0, 0);
    run(w, 400);
    CHECK(w->sent[CONTROL_METADATA_WANTED] > 0);
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_METADATA_WANTED;
    for (uint32_t i = 0; i < 3; i++) {
        tell(member, &m);
        control_receive(w->control, (struct control_source){ 0 }, buffer_bytes(&member->reply),
                        w->now_ms, 3);
        if (i == 1) run(member, 4000); /* it has told its start: a new revision */
    }
    CHECK_EQ(w->published, 2);
    CHECK_EQ(w->self, 0);
    CHECK_EQ(w->revision, member->revision);
    CHECK(!w->disk.exists);
    /* It asks once a second; at once if it is refused for what it does not know. */
    run(w, 2000);
    const uint32_t asked = w->sent[CONTROL_METADATA_WANTED];
    while (w->sent[CONTROL_METADATA_WANTED] == asked) run(w, 5);
    run(w, 500);
    CHECK_EQ(w->sent[CONTROL_METADATA_WANTED], asked + 1);
    control_news_wanted(w->control);
    run(w, 5);
    CHECK_EQ(w->sent[CONTROL_METADATA_WANTED], asked + 2);
    run(w, 500);
    CHECK_EQ(w->sent[CONTROL_METADATA_WANTED], asked + 2);
    m.cluster = member->cluster;
    m.revision = member->revision;
    tell(member, &m);
    CHECK_EQ(member->last.bytes.len, 0); /* nothing new */
    destroy(w);
    destroy(member);
}

/* Who was removed hears of it from any member it asks. */
TEST(control, removed) {
    struct world *w = made();
    begin(w, CONTROL_WANT_JOIN, 1, 42);
    joined(w, 42, 9);
    static struct control_message m;
    memset(&m, 0, sizeof m);
    m.kind = CONTROL_REMOVED;
    m.cluster.bytes[3] = 2; /* of another cluster */
    m.member = 9;
    tell(w, &m);
    CHECK_EQ(stage(w), CONTROL_MEMBER);
    run(w, CONTROL_ALERTS_MS_MAX + 500);
    CHECK(w->sent[CONTROL_WHO] > 0);
    m.cluster.bytes[3] = 1;
    tell(w, &m);
    CHECK(strstr(w->refused, "member 9 was removed") != NULL);
    destroy(w);
}

/* So does a founder that has not heard of the cluster yet, from those who began with it. */
TEST(control, removed_before_it_heard_of_the_cluster) {
    struct world *w = made();
    const uint64_t hash = found(w);
    i_am(w, CONTROL_PERSON_MEMBER, "10.0.0.1:7000", 8, hash + 1, CONTROL_YOURS_REMOVED);
    i_am(w, CONTROL_PERSON_MEMBER, "10.0.0.1:7000", 8, hash, CONTROL_YOURS_OTHER);
    CHECK_EQ(stage(w), CONTROL_MEMBER);
    i_am(w, CONTROL_PERSON_MEMBER, "10.0.0.1:7000", 8, hash, CONTROL_YOURS_REMOVED);
    CHECK(strstr(w->refused, "was removed") != NULL);
    destroy(w);
}

#include "shard/mailbox.h"

#include "harness.h"
#include "os/thread.h"

#define MESSAGES 200000u

static struct mailbox box;
static uint32_t payload[MESSAGES];

/* Messages come out in order, and a full mailbox refuses and keeps what it has. */
TEST(mailbox, is_a_bounded_queue) {
    static struct mailbox small;
    CHECK(mailbox_take(&small) == NULL);
    for (uint32_t i = 0; i < MAILBOX_MESSAGES_MAX; i++) CHECK(mailbox_put(&small, &payload[i]));
    CHECK(!mailbox_put(&small, &payload[0]));
    for (uint32_t i = 0; i < MAILBOX_MESSAGES_MAX; i++) CHECK(mailbox_take(&small) == &payload[i]);
    CHECK(mailbox_take(&small) == NULL);
    CHECK(mailbox_put(&small, &payload[9]));
    CHECK(mailbox_take(&small) == &payload[9]);
}

static void produce(void *user) {
    struct os *os = user;
    for (uint32_t i = 0; i < MESSAGES;) {
        payload[i] = i + 1;
        if (mailbox_put(&box, &payload[i]))
            i++;
        else
            os_sleep_ms(os, 0);
    }
}

/* Between two threads nothing is lost, doubled or torn. */
TEST(mailbox, carries_messages_between_threads) {
    struct os *os = os_create();
    struct os_thread *thread = NULL;
    CHECK_OK(os_thread_start(os, "producer", -1, produce, os, &thread));
    for (uint32_t i = 0; i < MESSAGES;) {
        const uint32_t *message = mailbox_take(&box);
        if (message == NULL) {
            os_sleep_ms(os, 0);
            continue;
        }
        if (message != &payload[i] || *message != i + 1) CHECK_EQ(*message, i + 1);
        i++;
    }
    os_thread_join(thread);
    CHECK(mailbox_take(&box) == NULL);
    os_destroy(os);
}

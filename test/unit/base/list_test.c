#include "base/list.h"

#include "harness.h"

struct item {
    int number;
    struct list link;
};

/* Nodes come out in the order they went in, and may be removed twice. */
TEST(list, keeps_order) {
    struct list head;
    struct item items[3] = { { .number = 0 }, { .number = 1 }, { .number = 2 } };
    list_init(&head);
    CHECK(list_is_empty(&head));
    for (int i = 0; i < 3; i++) list_append(&head, &items[i].link);
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    CHECK_EQ(LIST_ENTRY(list_take_first(&head), struct item, link)->number, 0);
    CHECK_EQ(LIST_ENTRY(list_take_first(&head), struct item, link)->number, 2);
    CHECK(list_take_first(&head) == NULL);
}

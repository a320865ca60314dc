/* list.h - intrusive doubly linked list with a head that is a node.
 *
 * The node lives in the struct that is listed; nothing is allocated.
 */
#ifndef ATOLL_BASE_LIST_H
#define ATOLL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next; /* the head points to itself when empty */
    struct list *prev;
};

/* The struct of `type` whose member `member` is at `node`. */
#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *head) {
    head->next = head->prev = head;
}
static inline bool list_is_empty(const struct list *head) {
    return head->next == head;
}
static inline void list_append(struct list *head, struct list *node) {
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
static inline void list_prepend(struct list *head, struct list *node) {
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    head->next = node;
}
/* The node may be removed twice: it is left pointing to itself. */
static inline void list_remove(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = node;
}
static inline struct list *list_take_first(struct list *head) {
    struct list *node = head->next;
    if (node == head) return NULL;
    list_remove(node);
    return node;
}

#endif

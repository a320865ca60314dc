#include "shard/seed.h"

#include "base/assert.h"
#include "base/mem.h"
#include "shard/link_internal.h"
#include "shard/shard.h"

#include <stdio.h>

#define SEED_UNUSED_MS 15000u

static struct seed *find(struct shard *s, const char *address) {
    for (struct list *n = s->seeds.next; n != &s->seeds; n = n->next) {
        struct seed *seed = LIST_ENTRY(n, struct seed, node);
        if (strcmp(seed->address, address) == 0) return seed;
    }
    return NULL;
}

static struct seed *create(struct shard *s, const char *address) {
    if (s->seeds_count == SEEDS_MAX) return NULL;
    struct seed *seed = mem_alloc_zeroed(sizeof *seed);
    (void)snprintf(seed->address, sizeof seed->address, "%s", address);
    seed->link = link_create_seed(s, seed);
    list_append(&s->seeds, &seed->node);
    s->seeds_count++;
    return seed;
}

static void destroy(struct shard *s, struct seed *seed) {
    ASSERT(s->seeds_count > 0);
    link_give_up(seed->link);
    list_remove(&seed->node);
    mem_free(seed);
    s->seeds_count--;
}

void seed_send(struct shard *s, const char *address, struct bytes message) {
    ASSERT(s->id == 0);
    ASSERT(strlen(address) < MEMBER_ADDRESS_BYTES);
    if (s->stop_deadline_ms != 0) return;
    struct seed *seed = find(s, address);
    if (seed == NULL) seed = create(s, address);
    if (seed == NULL) return;
    seed->used_ms = os_loop_now_ms(s->loop);
    link_send_control(seed->link, message);
}

void seeds_tick(struct shard *s) {
    const uint64_t now_ms = os_loop_now_ms(s->loop);
    for (struct list *n = s->seeds.next, *next; n != &s->seeds; n = next) {
        struct seed *seed = LIST_ENTRY(n, struct seed, node);
        next = n->next;
        if (now_ms >= seed->used_ms + SEED_UNUSED_MS) destroy(s, seed);
    }
}

void seeds_destroy(struct shard *s) {
    while (!list_is_empty(&s->seeds)) destroy(s, LIST_ENTRY(s->seeds.next, struct seed, node));
}

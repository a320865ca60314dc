/* The heap of pipes that have something to do, the earliest first. */
#include "base/assert.h"
#include "base/mem.h"
#include "sim/net_internal.h"

#define HEAP_MIN 64u

/* A total order that no address has a part in. */
static bool comes_before(const struct pipe *a, const struct pipe *b) {
    if (a->due_ns != b->due_ns) return a->due_ns < b->due_ns;
    if (a->stream->number != b->stream->number) return a->stream->number < b->stream->number;
    return a->side < b->side;
}

static void set(struct sim_net *net, uint32_t index, struct pipe *p) {
    ASSERT(index < net->heap_count);
    net->heap[index] = p;
    p->heap_index = index;
}

static void rise(struct sim_net *net, uint32_t index) {
    struct pipe *p = net->heap[index];
    while (index > 0 && comes_before(p, net->heap[(index - 1) / 2])) {
        set(net, index, net->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    set(net, index, p);
}

static void sink(struct sim_net *net, uint32_t index) {
    struct pipe *p = net->heap[index];
    for (;;) {
        uint32_t child = index * 2 + 1;
        if (child >= net->heap_count) break;
        const bool right_first =
            child + 1 < net->heap_count && comes_before(net->heap[child + 1], net->heap[child]);
        if (right_first) child++;
        if (!comes_before(net->heap[child], p)) break;
        set(net, index, net->heap[child]);
        index = child;
    }
    set(net, index, p);
}

void net_heap_put(struct sim_net *net, struct pipe *p, uint64_t due_ns) {
    ASSERT(due_ns != SIM_NEVER_NS);
    if (p->heap_index != NET_NOT_IN_HEAP && p->due_ns == due_ns) return;
    p->due_ns = due_ns;
    if (p->heap_index == NET_NOT_IN_HEAP) {
        if (net->heap_count == net->heap_capacity) {
            net->heap_capacity = net->heap_capacity == 0 ? HEAP_MIN : net->heap_capacity * 2;
            net->heap = mem_realloc(net->heap, net->heap_capacity * sizeof *net->heap);
        }
        net->heap_count++;
        set(net, net->heap_count - 1, p);
    }
    rise(net, p->heap_index);
    sink(net, p->heap_index);
    ASSERT(net->heap[p->heap_index] == p);
}

void net_heap_drop(struct sim_net *net, struct pipe *p) {
    const uint32_t index = p->heap_index;
    if (index == NET_NOT_IN_HEAP) return;
    ASSERT(net->heap[index] == p);
    struct pipe *last = net->heap[net->heap_count - 1];
    p->heap_index = NET_NOT_IN_HEAP;
    net->heap_count--;
    if (last == p) return;
    set(net, index, last);
    rise(net, index);
    sink(net, last->heap_index);
}

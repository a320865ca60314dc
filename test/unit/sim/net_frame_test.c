#include "base/mem.h"
#include "proto/peer.h"
#include "sim/random.h"
#include "test/unit/harness.h"
#include "test/unit/sim/net_world.h"

#define FRAMES 400u
#define LARGE_PAYLOAD 100000u /* of a frame that passes in pieces */
#define GOT_BYTES_MAX (64u * 1024 * 1024)

enum { TYPE_OFFSET = 8, ID_OFFSET = 16, FILL = 0x5a };

static void append_frame(struct buffer *out, uint8_t type, uint64_t id, uint32_t payload) {
    uint8_t *at = buffer_reserve(out, PEER_HEADER_BYTES + payload);
    CHECK(at != NULL);
    memset(at, 0, PEER_HEADER_BYTES);
    put_u32_le(at, payload);
    at[TYPE_OFFSET] = type;
    put_u64_le(at + ID_OFFSET, id);
    memset(at + PEER_HEADER_BYTES, FILL, payload);
    buffer_commit(out, PEER_HEADER_BYTES + payload);
}

/* What became of the frames that were sent with ids 0.. */
struct arrived {
    uint32_t times[FRAMES];
    uint32_t frames;
    uint32_t overtaken; /* frames that came after one with a higher id */
    uint32_t wrong_bits;
};

static uint32_t count_wrong_bits(struct bytes payload) {
    uint32_t wrong = 0;
    for (size_t i = 0; i < payload.len; i++)
        wrong += (uint32_t)__builtin_popcount((unsigned)(payload.ptr[i] ^ FILL));
    return wrong;
}

/* Frames whose headers are whole; damaged headers are not for this. */
static void take_frames(struct bytes in, struct arrived *ret) {
    uint64_t highest = 0;
    while (in.len > 0) {
        CHECK(in.len >= PEER_HEADER_BYTES);
        const uint32_t payload = get_u32_le(in.ptr);
        const uint64_t id = get_u64_le(in.ptr + ID_OFFSET);
        CHECK(id < FRAMES);
        CHECK(in.len >= PEER_HEADER_BYTES + payload);
        ret->frames++;
        ret->times[id]++;
        ret->overtaken += id < highest;
        if (id > highest) highest = id;
        ret->wrong_bits += count_wrong_bits(bytes_of(in.ptr + PEER_HEADER_BYTES, payload));
        in = bytes_of(in.ptr + PEER_HEADER_BYTES + payload, in.len - PEER_HEADER_BYTES - payload);
    }
}

/* Send FRAMES frames of this type and size over a peer stream, and give what arrived. */
static void run_frames(struct net_world *w, const struct sim_net_link *link, uint8_t type,
                       uint32_t payload, struct arrived *ret) {
    struct os_sock client;
    struct os_sock server;
    struct buffer out;
    struct buffer got;
    buffer_init(&out, GOT_BYTES_MAX);
    buffer_init(&got, GOT_BYTES_MAX);
    net_world_connect(w, 0, 1, &client, &server);
    sim_net_set_link(w->net, 0, 1, link);
    net_world_send(client, bytes_of(PEER_MAGIC, PEER_MAGIC_BYTES));
    for (uint32_t i = 0; i < FRAMES; i++) {
        append_frame(&out, type, i, payload);
        while (buffer_len(&out) > 0) {
            const struct bytes run = buffer_bytes(&out);
            size_t len = 0;
            const struct status st = os_sock_write(client, &run, 1, &len);
            if (status_ok(st)) buffer_consume(&out, len);
            net_world_pass_us(w, 20);
            CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
        }
    }
    net_world_pass_us(w, 1000000);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_BYTES(bytes_of(got.ptr + got.start, PEER_MAGIC_BYTES),
                bytes_of(PEER_MAGIC, PEER_MAGIC_BYTES));
    buffer_consume(&got, PEER_MAGIC_BYTES);
    *ret = (struct arrived){ 0 };
    take_frames(buffer_bytes(&got), ret);
    buffer_deinit(&out);
    buffer_deinit(&got);
    os_sock_close(&client);
    os_sock_close(&server);
}

/* Without faults every frame arrives once, in order, small or large. */
TEST(net_frame, no_faults) {
    static const uint32_t payloads[] = { 0, 100, LARGE_PAYLOAD };
    const struct sim_net_link clean = { .delay_min_us = 50, .delay_max_us = 2000 };
    for (size_t i = 0; i < 3; i++) {
        struct net_world w;
        struct arrived a;
        net_world_open(&w, test_seed(), 2);
        sim_net_set_partial_permille(w.net, 200);
        run_frames(&w, &clean, PEER_PING, payloads[i], &a);
        CHECK_EQ(a.frames, FRAMES);
        CHECK_EQ(a.overtaken, 0);
        CHECK_EQ(a.wrong_bits, 0);
        for (uint32_t id = 0; id < FRAMES; id++) CHECK_EQ(a.times[id], 1);
        CHECK_EQ(sim_net_counts(w.net).frames, FRAMES);
        net_world_close(&w);
    }
}

/* Whole frames are lost, small or large; never part of one, and HELLO never. */
TEST(net_frame, lost_frames) {
    static const uint32_t payloads[] = { 100, LARGE_PAYLOAD };
    const struct sim_net_link link = { .delay_max_us = 100, .lost_permille = 300 };
    for (size_t i = 0; i < 2; i++) {
        struct net_world w;
        struct arrived a;
        net_world_open(&w, test_seed(), 2);
        run_frames(&w, &link, PEER_PING, payloads[i], &a);
        const uint64_t lost = sim_net_counts(w.net).frames_lost;
        CHECK(lost > FRAMES / 10);
        CHECK_EQ(a.frames, FRAMES - lost);
        CHECK_EQ(a.overtaken, 0);
        for (uint32_t id = 0; id < FRAMES; id++) CHECK(a.times[id] <= 1);
        run_frames(&w, &link, PEER_HELLO, payloads[i], &a);
        CHECK_EQ(a.frames, FRAMES);
        net_world_close(&w);
    }
}

/* Frames come twice, or behind later ones, but never inside another, even if that comes
 * in pieces; large ones stay in their place. */
TEST(net_frame, repeated_and_late_frames) {
    const struct sim_net_link link = { .delay_max_us = 100,
                                       .repeated_permille = 200,
                                       .late_permille = 200 };
    struct net_world w;
    struct arrived a;
    net_world_open(&w, test_seed(), 2);
    sim_net_set_partial_permille(w.net, 200);
    run_frames(&w, &link, PEER_PING, 100, &a);
    struct sim_net_counts counts = sim_net_counts(w.net);
    CHECK(counts.frames_repeated > FRAMES / 20);
    CHECK(counts.frames_late > FRAMES / 20);
    CHECK_EQ(a.frames, FRAMES + counts.frames_repeated);
    CHECK(a.overtaken > FRAMES / 20);
    CHECK_EQ(a.wrong_bits, 0);
    for (uint32_t id = 0; id < FRAMES; id++) CHECK(a.times[id] == 1 || a.times[id] == 2);

    run_frames(&w, &link, PEER_HELLO, 100, &a);
    CHECK_EQ(sim_net_counts(w.net).frames_repeated, counts.frames_repeated);
    CHECK_EQ(a.frames, FRAMES);
    CHECK(a.overtaken > 0);
    counts = sim_net_counts(w.net);
    run_frames(&w, &link, PEER_PING, LARGE_PAYLOAD, &a);
    CHECK_EQ(a.frames, FRAMES);
    CHECK_EQ(a.overtaken, 0);
    CHECK_EQ(sim_net_counts(w.net).frames_late, counts.frames_late);
    net_world_close(&w);
}

/* A frame chosen has exactly one wrong bit, wherever it is in the frame. */
TEST(net_frame, flipped_frames) {
    static const uint32_t payloads[] = { 1000, LARGE_PAYLOAD };
    struct sim_net_link link = { .delay_max_us = 100, .flipped_permille = 1000 };
    for (size_t i = 0; i < 2; i++) {
        struct net_world w;
        struct os_sock client;
        struct os_sock server;
        struct buffer frame;
        struct buffer got;
        buffer_init(&frame, 2 * LARGE_PAYLOAD);
        buffer_init(&got, 2 * LARGE_PAYLOAD);
        net_world_open(&w, test_seed(), 2);
        sim_net_set_link(w.net, 0, 1, &link);
        append_frame(&frame, PEER_PING, 1, payloads[i]);
        for (uint32_t round = 0; round < 50; round++) {
            net_world_connect(&w, 0, 1, &client, &server);
            net_world_send(client, bytes_of(PEER_MAGIC, PEER_MAGIC_BYTES));
            struct bytes left = buffer_bytes(&frame);
            while (left.len > 0) {
                size_t len = 0;
                if (status_ok(os_sock_write(client, &left, 1, &len)))
                    left = bytes_of(left.ptr + len, left.len - len);
                net_world_pass_us(&w, 1000);
                CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
            }
            net_world_pass_us(&w, 1000);
            CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
            const struct bytes whole = buffer_bytes(&got);
            CHECK_EQ(whole.len, PEER_MAGIC_BYTES + buffer_len(&frame));
            uint32_t wrong = 0;
            for (size_t k = 0; k < buffer_len(&frame); k++)
                wrong += (uint32_t)__builtin_popcount(
                    (unsigned)(whole.ptr[PEER_MAGIC_BYTES + k] ^ frame.ptr[frame.start + k]));
            CHECK_EQ(wrong, 1);
            buffer_reset(&got);
            os_sock_close(&client);
            os_sock_close(&server);
        }
        CHECK_EQ(sim_net_counts(w.net).frames_flipped, 50);
        net_world_close(&w);
        buffer_deinit(&frame);
        buffer_deinit(&got);
    }
}

/* Streams of clients know no frames: nothing of them is lost, even if they look alike but
 * for the first bytes; and a beginning of the magic that ends is passed on. */
TEST(net_frame, other_streams_have_no_frames) {
    const struct sim_net_link link = { .delay_max_us = 100,
                                       .lost_permille = 1000,
                                       .flipped_permille = 1000 };
    struct net_world w;
    struct os_sock client;
    struct os_sock server;
    struct buffer got;
    buffer_init(&got, 4096);
    net_world_open(&w, test_seed(), 2);
    sim_net_set_link(w.net, 0, 1, &link);
    net_world_connect(&w, 0, 1, &client, &server);
    net_world_send(client, bytes_of(PEER_MAGIC, 5));
    net_world_send(client, BYTES_LIT("xyz and all the rest of it, long enough for a header"));
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_EQ(buffer_len(&got), 5 + 52);
    net_world_connect(&w, 0, 1, &client, &server);
    buffer_reset(&got);
    net_world_send(client, bytes_of(PEER_MAGIC, 5));
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_receive(server, &got), ST_WAIT);
    CHECK_EQ(buffer_len(&got), 0);
    os_sock_close(&client);
    net_world_pass_us(&w, 10000);
    CHECK_EQ(net_world_receive(server, &got), ST_NOT_FOUND);
    CHECK_BYTES(buffer_bytes(&got), bytes_of(PEER_MAGIC, 5));
    CHECK_EQ(sim_net_counts(w.net).frames, 0);
    net_world_close(&w);
    buffer_deinit(&got);
}

/* Half a second of a small cluster that talks under every fault; the hash of all it did. */
static uint64_t hash_of_run(uint64_t seed) {
    struct net_world w;
    struct os_sock streams[NET_WORLD_NODES_MAX] = { 0 };
    struct buffer frame;
    struct buffer got;
    struct sim_random r = sim_random_of(seed);
    buffer_init(&frame, 4096);
    buffer_init(&got, GOT_BYTES_MAX);
    net_world_open(&w, seed, 3);
    const struct sim_net_link hostile = { .delay_min_us = 10,
                                          .delay_max_us = 900,
                                          .lost_permille = 50,
                                          .repeated_permille = 50,
                                          .late_permille = 50,
                                          .flipped_permille = 50 };
    for (uint32_t a = 0; a < 3; a++)
        for (uint32_t b = 0; b < 3; b++) sim_net_set_link(w.net, a, b, &hostile);
    for (uint32_t turn = 0; turn < 500; turn++) {
        const uint32_t from = (uint32_t)sim_random_below(&r, 3);
        struct os_sock *s = &streams[from];
        if (s->os == NULL) {
            *s = net_world_dial(&w, from, (from + 1) % 3);
            net_world_pass_us(&w, 5000);
            const struct bytes magic = bytes_of(PEER_MAGIC, PEER_MAGIC_BYTES);
            size_t len = 0;
            if (!status_ok(os_sock_write(*s, &magic, 1, &len)) || len < magic.len) os_sock_close(s);
            continue;
        }
        append_frame(&frame, PEER_PING, turn, (uint32_t)sim_random_below(&r, 500));
        const struct bytes run = buffer_bytes(&frame);
        size_t len = 0;
        if (!status_ok(os_sock_write(*s, &run, 1, &len)) || len < run.len) os_sock_close(s);
        buffer_reset(&frame);
        if (sim_random_chance(&r, 1, 50)) (void)sim_net_reset(w.net, 0, 1);
        net_world_pass_us(&w, sim_random_below(&r, 2000));
        struct os_sock server = { 0 };
        while (status_ok(os_sock_accept(w.listener[from], &server)))
            (void)net_world_receive(server, &got);
    }
    const uint64_t hash = w.trace.hash;
    CHECK(w.trace.count > 300);
    net_world_close(&w);
    buffer_deinit(&frame);
    buffer_deinit(&got);
    return hash;
}

/* The same seed gives the same run, delivery by delivery; another seed gives another. */
TEST(net_frame, deterministic) {
    const uint64_t seed = test_seed();
    const uint64_t hash = hash_of_run(seed);
    void *moved = mem_alloc(12345); /* addresses must not matter */
    CHECK_EQ(hash, hash_of_run(seed));
    mem_free(moved);
    CHECK(hash != hash_of_run(seed + 1));
}

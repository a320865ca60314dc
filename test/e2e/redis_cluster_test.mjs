#!/usr/bin/env node
// A client that knows slots: what nodes tell of them agrees, and ioredis goes on while a fourth node joins.
import assert from "node:assert/strict";
import Redis from "ioredis";
import { eventually, finish, freePorts, startCluster, startNode, test } from "./lib.mjs";

const SLOTS = 16384;
const REQUESTS = 2000;
const JOIN_SECONDS_MAX = 60;
const FORWARDED_MAX = 20; // a busy machine makes a node look silent for a moment
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const nodes = await startCluster(3, ["--shards", "2"]);
await eventually(20, async () => (await view(nodes)).every((v) => v.nodes.every((n) => n.state === "up")));

function view(of) {
  return Promise.all(of.map(async (node) => (await fetch(`${node.url}/v1/cluster`)).json()));
}

/** CRC-16 as Redis Cluster has it, of what is between braces if there is something. */
function slotOf(key) {
  let crc = 0;
  for (const byte of Buffer.from(/^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key)) {
    crc ^= byte << 8;
    for (let i = 0; i < 8; i++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    crc &= 0xffff;
  }
  return crc % SLOTS;
}

/** For each slot the ports of its nodes, home first, by CLUSTER SLOTS. */
function bySlots(reply) {
  const found = [];
  for (const [first, last, ...keepers] of reply)
    for (let slot = first; slot <= last; slot++) {
      assert.equal(found[slot], undefined, `slot ${slot} is told twice`);
      found[slot] = keepers.map(([host, port]) => `${host}:${port}`);
    }
  return found;
}

/** For each slot its home, by CLUSTER SHARDS; all that the shard names keep some of its slots. */
function byShards(reply) {
  const found = [];
  const named = (list) => Object.fromEntries(Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]]));
  for (const shard of reply.map(named)) {
    const members = shard.nodes.map(named);
    const masters = members.filter((m) => m.role === "master");
    assert.equal(masters.length, 1);
    assert(members.every((m) => m.health === "online"), JSON.stringify(members));
    for (let i = 0; i < shard.slots.length; i += 2)
      for (let slot = shard.slots[i]; slot <= shard.slots[i + 1]; slot++) {
        assert.equal(found[slot], undefined, `slot ${slot} is told twice`);
        found[slot] = `${masters[0].endpoint}:${masters[0].port}`;
      }
  }
  return found;
}

/** The same by CLUSTER NODES. */
function byNodes(text) {
  const found = [];
  for (const line of text.trim().split("\n")) {
    const [, address, flags, , , , , linked, ...runs] = line.split(" ");
    assert.match(flags, /^(myself,)?master$/);
    assert.equal(linked, "connected");
    for (const run of runs) {
      const [first, last = first] = run.split("-").map(Number);
      for (let slot = first; slot <= last; slot++) {
        assert.equal(found[slot], undefined, `slot ${slot} is told twice`);
        found[slot] = address.split("@")[0];
      }
    }
  }
  return found;
}

/** The same by HTTP, all that keep the slot. */
async function byHttp(node) {
  const reply = await (await fetch(`${node.url}/v1/cluster/slots`)).json();
  const address = new Map((await view([node]))[0].nodes.map((n) => [n.id, n.address]));
  const found = [];
  for (const [first, last, ...keepers] of reply.runs)
    for (let slot = first; slot <= last; slot++) {
      assert.equal(found[slot], undefined, `slot ${slot} is told twice`);
      found[slot] = keepers.map((place) => address.get(reply.nodes[place]));
    }
  return found;
}

/** All nodes tell the same in all four ways; gives the lists. */
async function agree(of) {
  let first;
  for (const node of of) {
    const client = new Redis(node.port, "127.0.0.1");
    try {
      const slots = bySlots(await client.cluster("SLOTS"));
      assert.equal(slots.filter((list) => list.length === 3).length, SLOTS);
      const homes = slots.map((list) => list[0]);
      assert.deepEqual(byShards(await client.cluster("SHARDS")), homes, "SHARDS");
      assert.deepEqual(byNodes(await client.cluster("NODES")), homes, "NODES");
      assert.deepEqual(await byHttp(node), slots, "/v1/cluster/slots");
      assert.deepEqual(slots, first ?? slots, "another node");
      first ??= slots;
    } finally {
      client.disconnect();
    }
  }
  return first;
}

function owned(lists) {
  const count = new Map();
  for (const [home] of lists) count.set(home, (count.get(home) ?? 0) + 1);
  return count;
}

const address = (node) => `127.0.0.1:${node.port}`;
const cluster = new Redis.Cluster([{ host: "127.0.0.1", port: nodes[0].port }], { slotsRefreshInterval: 1000 });
const complaints = [];
cluster.on("error", (e) => complaints.push(String(e)));
cluster.on("node error", (e, where) => complaints.push(`${where}: ${e}`));
await new Promise((resolve) => cluster.once("ready", resolve));

await test("slots are told alike in four ways by all nodes", async () => {
  const count = owned(await eventually(10, () => agree(nodes)));
  assert.equal(count.size, 3);
  for (const [home, slots] of count) assert(slots > SLOTS / 3 - 2 && slots < SLOTS / 3 + 2, `${home}: ${slots}`);
});

await test("a hash tag decides the slot, and keys of one tag are asked for at once", async () => {
  for (const key of ["{user}:name", "a{user}b", "user", "{}x", "{", "{a}{b}", "plain", "é{ü}"])
    assert.equal(await cluster.cluster("KEYSLOT", key), slotOf(key), key);
  const keys = Array.from({ length: 50 }, (_, i) => `tag{user1000}:${i}`);
  assert.equal(new Set(await Promise.all(keys.map((k) => cluster.cluster("KEYSLOT", k)))).size, 1);
  assert.equal(await cluster.mset(...keys.flatMap((k, i) => [k, i])), "OK");
  assert.deepEqual(await cluster.mget(...keys), keys.map((_, i) => String(i)));
  assert.deepEqual((await cluster.pipeline(keys.map((k) => ["get", k])).exec()).map(([e, v]) => e ?? v), keys.map((_, i) => String(i)));
  assert.equal(await cluster.del(...keys), 50);
});

/** How many calls of clients each node has handed to another. */
async function forwarded() {
  const figures = await Promise.all(nodes.map(async (n) => (await fetch(`${n.url}/metrics`, { headers: { Accept: "application/json" } })).json()));
  return figures.reduce((sum, f) => sum + f.forwarded, 0);
}

const values = new Map();

await test(`${REQUESTS} SET and GET at the home of each key`, async () => {
  const before = await forwarded();
  for (let i = 0; i < REQUESTS; i += 100)
    await Promise.all(Array.from({ length: 100 }, async (_, j) => {
      const key = `key:${i + j}`;
      values.set(key, `first ${i + j}`);
      assert.equal(await cluster.set(key, values.get(key)), "OK");
      assert.equal(await cluster.get(key), values.get(key));
    }));
  await sleep(500); // figures are a moment old
  assert.equal(new Set(cluster.slots[slotOf("key:1")]).size, 3);
  assert(await forwarded() - before <= FORWARDED_MAX, `${await forwarded() - before} were handed on`);
});

await test("a fourth node joins while the client goes on", async () => {
  let over = false, requests = 0;
  const errors = [];
  const keys = [...values.keys()];
  const worker = async (w) => {
    for (let i = w; !over; i = (i + 8) % keys.length) {
      try {
        const value = `round ${requests++}`;
        values.set(keys[i], value);
        assert.equal(await cluster.set(keys[i], value), "OK");
        assert.equal(await cluster.get(keys[i]), value);
      } catch (e) {
        errors.push(e);
      }
      await sleep(2);
    }
  };
  const workers = Array.from({ length: 8 }, (_, w) => worker(w));
  try {
    const port = freePorts(1)[0];
    nodes.push(await startNode({ port, flags: ["--join", address(nodes[1]), "--shards", "2"] }));
    await eventually(JOIN_SECONDS_MAX, async () => (await view(nodes)).every((v) =>
      v.change === null && v.nodes.length === 4 && v.nodes.every((n) => n.membership === "active" && n.slots_kept > 0)));
    const during = requests;
    await eventually(10, () => cluster.slots.some((list) => list[0] === address(nodes[3])));
    await eventually(10, () => requests > during + 200);
  } finally {
    over = true;
    await Promise.all(workers);
  }
  assert.deepEqual(errors.map(String), []);
  assert.deepEqual(complaints, []);
  console.log(`# ${requests} rounds while the node joined`);
});

await test("the fourth is the home of a quarter, and all values are right", async () => {
  const lists = await eventually(10, () => agree(nodes));
  await eventually(10, () => cluster.slots.length === SLOTS && cluster.slots.every((list, i) => list[0] === lists[i][0]));
  const count = owned(cluster.slots);
  const share = count.get(address(nodes[3]));
  assert.equal(count.size, 4);
  assert(share > SLOTS / 4 - 200 && share < SLOTS / 4 + 200, `${share} slots`);
  console.log(`# ${share} of ${SLOTS} slots have the fourth node as their home`);
  await sleep(500);
  const before = await forwarded();
  for (const [key, value] of values) assert.equal(await cluster.get(key), value);
  await sleep(500);
  assert(await forwarded() - before <= FORWARDED_MAX, `${await forwarded() - before} were handed on`);
  for (const node of nodes) {
    const client = new Redis(node.port, "127.0.0.1");
    assert.deepEqual(await client.mget(...values.keys()), [...values.values()]);
    client.disconnect();
  }
});

cluster.disconnect();
await test("all nodes end in order", async () => {
  assert.deepEqual(await Promise.all(nodes.map((n) => n.stop())), [0, 0, 0, 0]);
});
finish();

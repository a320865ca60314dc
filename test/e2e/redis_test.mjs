#!/usr/bin/env node
// node-redis, ioredis, redis-cli and redis-benchmark work with a node as they do with Redis.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import Redis from "ioredis";
import { RESP_TYPES, createClient } from "redis";
import { finish, skip, startNode, test } from "./lib.mjs";

const node = await startNode({ flags: ["--shards", "2"] });
const url = `redis://127.0.0.1:${node.port}`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const cli = (args, input) => execFileSync("redis-cli", ["-p", String(node.port), ...args],
  { encoding: "utf8", input, timeout: 30000, stdio: ["pipe", "pipe", "pipe"] });

/** CRC-16 as Redis Cluster has it; the slot decides the shard. */
function shardOf(key) {
  let crc = 0;
  for (const byte of Buffer.from(key)) {
    crc ^= byte << 8;
    for (let i = 0; i < 8; i++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    crc &= 0xffff;
  }
  return (crc % 16384) % 2;
}

/** `count` keys that are not all on one shard. */
function keysOn(prefix, count) {
  const keys = Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  assert(keys.some((k) => shardOf(k) === 0) && keys.some((k) => shardOf(k) === 1), "keys on both shards");
  return keys;
}

async function nodeRedis(name, options, body) {
  const client = createClient({ url, ...options });
  client.on("error", () => {});
  await client.connect();
  await test(`node-redis ${name}`, () => body(client));
  client.destroy();
}

async function io(name, options, body) {
  const client = new Redis(node.port, "127.0.0.1", { lazyConnect: true, ...options });
  await client.connect();
  await test(`ioredis ${name}`, () => body(client));
  client.disconnect();
}

/** Strings, counters, expiry and options, by bare commands: the same for both libraries and both protocols. */
async function commands(prefix, send) {
  const equal = async (args, wanted) => assert.deepEqual(await send(args), wanted, args.join(" "));
  const fails = (args, text) => assert.rejects(send(args), (e) => e.message.startsWith(text) || assert.fail(`${args}: ${e.message}`));
  const k = `${prefix}k`;
  await equal(["SET", k, "v"], "OK");
  await equal(["GET", k], "v");
  await equal(["STRLEN", k], 1);
  await equal(["APPEND", k, "alue"], 5);
  await equal(["EXISTS", k, k, `${prefix}none`], 2);
  await equal(["TYPE", k], "string");
  await equal(["TYPE", `${prefix}none`], "none");
  await equal(["SET", k, "w", "NX"], null);
  await equal(["SET", k, "w", "XX", "GET"], "value");
  await equal(["SET", `${prefix}none`, "w", "XX"], null);
  await equal(["SET", `${prefix}none`, "w", "XX", "GET"], null);
  await equal(["SET", k, "x", "IFEQ", "other"], null);
  await equal(["SET", k, "x", "IFEQ", "w"], "OK");
  await equal(["SETNX", k, "y"], 0);
  await equal(["GETSET", k, "y"], "x");
  await equal(["GETDEL", k], "y");
  await equal(["GETDEL", k], null);
  await equal(["GETSET", k, "1"], null);
  await equal(["INCR", k], 2);
  await equal(["INCRBY", k, "40"], 42);
  await equal(["DECRBY", k, "43"], -1);
  await equal(["DECR", k], -2);
  await equal(["INCRBYFLOAT", k, "2.5"], "0.5");
  await fails(["INCR", k], "ERR value is not an integer or out of range");
  await equal(["SET", k, "9223372036854775807"], "OK");
  await fails(["INCR", k], "ERR increment or decrement would overflow");
  await equal(["GET", k], "9223372036854775807");
  await equal(["DEL", k, `${prefix}none`], 1);
  await equal(["TTL", k], -2);
  await equal(["SETEX", k, "100", "v"], "OK");
  await equal(["TTL", k], 100);
  await equal(["PERSIST", k], 1);
  await equal(["PERSIST", k], 0);
  await equal(["TTL", k], -1);
  await equal(["EXPIRE", k, "50", "XX"], 0);
  await equal(["EXPIRE", k, "50", "NX"], 1);
  await equal(["EXPIRE", k, "40", "GT"], 0);
  await equal(["EXPIRE", k, "40", "LT"], 1);
  await equal(["SET", k, "w", "KEEPTTL"], "OK");
  await equal(["TTL", k], 40);
  await equal(["SET", k, "w"], "OK");
  await equal(["TTL", k], -1);
  await equal(["GETEX", k, "EX", "30"], "w");
  await equal(["TTL", k], 30);
  await equal(["INCRBY", `${prefix}n`, "5"], 5);
  await equal(["GETEX", k, "PERSIST"], "w");
  await equal(["TTL", k], -1);
  await equal(["EXPIREAT", k, "4000000000"], 1);
  await equal(["EXPIRETIME", k], 4000000000);
  await equal(["PEXPIRETIME", k], 4000000000000);
  await equal(["EXPIREAT", k, "1"], 1);
  await equal(["GET", k], null);
  await equal(["SET", k, "v", "PX", "60"], "OK");
  await equal(["PSETEX", `${prefix}p`, "60", "v"], "OK");
  await equal(["EXISTS", k, `${prefix}p`], 2);
  await sleep(120);
  await equal(["EXISTS", k, `${prefix}p`], 0);
  await equal(["GET", k], null);
  await equal(["SET", k, "again", "NX"], "OK");
  await fails(["SET", k, "v", "EX", "0"], "ERR invalid expire time in 'set' command");
  await fails(["LPUSH", k, "v"], "ERR unknown command 'LPUSH'");
  await fails(["GET"], "ERR wrong number of arguments for 'get' command");
  await equal(["ECHO", "hello"], "hello");
  await equal(["UNLINK", k, `${prefix}n`], 2);

  const keys = keysOn(`${prefix}m`, 100);
  await equal(["MSET", ...keys.flatMap((key, i) => [key, `v${i}`])], "OK");
  await equal(["MGET", ...keys, `${prefix}none`], [...keys.map((_, i) => `v${i}`), null]);
  await equal(["EXISTS", ...keys], 100);
  await equal(["DEL", ...keys], 100);
}

for (const RESP of [2, 3]) {
  await nodeRedis(`RESP${RESP}: strings, counters, expiry`, { RESP }, (c) => commands(`nr${RESP}:`, (args) => c.sendCommand(args)));
}
await io("strings, counters, expiry", {}, (c) => commands("io:", (args) => c.call(...args)));

await nodeRedis("RESP3 maps and nulls", { RESP: 3 }, async (c) => {
  const hello = await c.sendCommand(["HELLO", "3"]);
  const entries = hello instanceof Map ? Object.fromEntries(hello) : Array.isArray(hello) ? null : hello;
  assert(entries, "HELLO gives a map");
  assert.equal(Number(entries.proto), 3);
  assert.equal(await c.get("no such key"), null);
  assert.deepEqual({ ...(await c.configGet("port")) }, { port: String(node.port) });
});

await nodeRedis("typed methods", { RESP: 3 }, async (c) => {
  assert.equal(await c.set("t", "1", { expiration: { type: "EX", value: 10 }, condition: "NX" }), "OK");
  assert.equal(await c.set("t", "1", { condition: "NX" }), null);
  assert.equal(await c.ttl("t"), 10);
  assert.equal(await c.incr("t"), 2);
  assert.equal(await c.getDel("t"), "2");
  assert.equal(await c.getEx("t", { type: "EX", value: 5 }), null);
  assert.equal(await c.mSet({ t1: "a", t2: "b" }), "OK");
  assert.deepEqual(await c.mGet(["t1", "t2", "t3"]), ["a", "b", null]);
  assert.equal(await c.dbSize() > 0, true);
  assert.equal(typeof (await c.randomKey()), "string");
  assert.match(await c.info(), /redis_version:7/);
});

const bytes = [Buffer.alloc(0), Buffer.from([0]), Buffer.from("\r\n$-1\r\n"), Buffer.from("é€𝄞"),
  Buffer.from(Array.from({ length: 256 }, (_, i) => i)), randomBytes(100000), randomBytes(1 << 20)];

await nodeRedis("keys and values are bytes", { RESP: 3 }, async (client) => {
  const c = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  for (const [i, value] of bytes.entries()) {
    const key = Buffer.concat([Buffer.from([0, 255, 13, 10, i]), value.subarray(0, 300)]);
    await c.set(key, value);
    assert.deepEqual(await c.get(key), value);
    assert.equal(await c.del(key), 1);
  }
});

await io("keys and values are bytes", {}, async (c) => {
  for (const [i, value] of bytes.entries()) {
    const key = Buffer.concat([Buffer.from([0, 255, 13, 10, i]), value.subarray(0, 300)]);
    await c.set(key, value);
    assert.deepEqual(await c.getBuffer(key), value);
    assert.equal(await c.del(key), 1);
  }
});

const COUNT = 10000;

await io("10,000 pipelined commands are answered in order", {}, async (c) => {
  const pipeline = c.pipeline();
  for (let i = 0; i < COUNT / 4; i++) {
    pipeline.set(`pipe${i}`, i).get(`pipe${i}`).incrby(`pipe${i}`, 1).get(`absent${i}`);
  }
  const results = await pipeline.exec();
  assert.equal(results.length, COUNT);
  for (let i = 0; i < COUNT / 4; i++) {
    assert.deepEqual(results.slice(4 * i, 4 * i + 4), [[null, "OK"], [null, String(i)], [null, i + 1], [null, null]]);
  }
});

for (const RESP of [2, 3]) {
  await nodeRedis(`RESP${RESP}: 10,000 commands at once are answered in order`, { RESP }, async (c) => {
    const replies = await Promise.all(Array.from({ length: COUNT }, (_, i) =>
      i % 3 === 0 ? c.incr(`count${RESP}`) : i % 3 === 1 ? c.get(`pipe${(i * 7) % 2500}`) : c.echo(`e${i}`)));
    for (const [i, reply] of replies.entries()) {
      const wanted = i % 3 === 0 ? i / 3 + 1 : i % 3 === 1 ? String(((i * 7) % 2500) + 1) : `e${i}`;
      assert.equal(reply, wanted, `reply ${i}`);
    }
  });
}

await io("an error in a pipeline is its own command's", {}, async (c) => {
  await c.set("text", "abc");
  const results = await c.pipeline().get("text").incr("text").call("NOSUCH").get("text").exec();
  assert.deepEqual(results.map(([e, v]) => e?.message.slice(0, 20) ?? v),
    ["abc", "ERR value is not an ", "ERR unknown command ", "abc"]);
});

const SCANNED = 5000;
const scanned = keysOn("scan:", SCANNED);

await nodeRedis("scanIterator sees every key once", { RESP: 3 }, async (c) => {
  await Promise.all(scanned.map((key) => c.set(key, "v")));
  for (const COUNT of [10, 333, 100000]) {
    const found = [];
    for await (const keys of c.scanIterator({ MATCH: "scan:*", COUNT })) found.push(...keys);
    assert.equal(found.length, SCANNED, `COUNT ${COUNT}`);
    assert.deepEqual(new Set(found), new Set(scanned), `COUNT ${COUNT}`);
  }
  assert.deepEqual((await c.keys("scan:12?")).sort(), Array.from({ length: 10 }, (_, i) => `scan:12${i}`));
});

await io("scanStream sees every key once, while others write", {}, async (c) => {
  const writer = new Redis(node.port, "127.0.0.1");
  let writing = true;
  const noise = (async () => {
    for (let i = 0; writing; i++) await writer.set(`noise${i % 500}`, i);
  })();
  const found = [];
  for await (const keys of c.scanStream({ match: "scan:*", count: 50 })) found.push(...keys);
  writing = false;
  await noise;
  writer.disconnect();
  assert.equal(found.length, SCANNED);
  assert.deepEqual(new Set(found), new Set(scanned));
});

await io("a scan over another connection goes on where it was", {}, async (c) => {
  const other = new Redis(node.port, "127.0.0.1");
  const found = [];
  let cursor = "0", turn = 0;
  do {
    const [next, keys] = await (turn++ % 2 ? other : c).scan(cursor, "MATCH", "scan:1*", "COUNT", 100);
    found.push(...keys);
    cursor = next;
  } while (cursor !== "0");
  other.disconnect();
  assert.deepEqual(found.sort(), scanned.filter((k) => k.startsWith("scan:1")).sort());
});

function has(program) {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

if (has("redis-cli")) {
  await test("redis-cli: replies as a person sees them", () => {
    assert.equal(cli(["set", "cli", "hello there"]), "OK\n");
    assert.equal(cli(["get", "cli"]), "hello there\n");
    assert.equal(cli(["-3", "get", "cli"]), "hello there\n");
    assert.match(cli(["nosuch"]), /^ERR unknown command 'nosuch'/);
    assert.equal(cli(["--raw", "incr", "cli:n"]), "1\n");
    assert.equal(cli(["-x", "set", "cli:x"], "a\0b\n"), "OK\n");
    assert.equal(cli(["strlen", "cli:x"]), "4\n");
    assert.equal(cli(["--scan", "--pattern", "scan:*"]).trim().split("\n").length, SCANNED);
    assert.match(cli(["info", "server"]), /redis_version:/);
    assert.equal(cli([], "set a b\nget a\n"), "OK\nb\n");
  });

  await test("redis-cli --pipe: 10,000 commands", () => {
    const part = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
    let input = "";
    for (let i = 0; i < COUNT; i++) input += `*3\r\n${part("SET")}${part(`mass:${i}`)}${part(`value ${i}`)}`;
    assert.match(cli(["--pipe"], input), /errors: 0, replies: 10000\n/);
    assert.equal(cli(["get", "mass:9999"]), "value 9999\n");
    assert.equal(cli(["--scan", "--pattern", "mass:*"]).trim().split("\n").length, COUNT);
  });
} else {
  skip("redis-cli", "it is not installed");
}

if (has("redis-benchmark")) {
  for (const [name, flags] of [["plain", []], ["pipelined, random keys", ["-P", "16", "-r", "1000"]], ["RESP3", ["-3"]]]) {
    await test(`redis-benchmark: ${name}`, async () => {
      const child = spawn("redis-benchmark", ["-p", String(node.port), "-n", "2000", "-q", "-t", "set,get,incr,mset", ...flags],
        { stdio: ["ignore", "pipe", "pipe"] });
      const timer = setTimeout(() => child.kill("SIGKILL"), 60000);
      let output = "";
      child.stdout.on("data", (data) => { output += data; });
      child.stderr.on("data", (data) => { output += data; });
      const code = await new Promise((resolve) => child.on("close", resolve));
      clearTimeout(timer);
      assert.equal(code, 0, output);
      assert.doesNotMatch(output, /err|warn/i);
      for (const line of ["SET", "GET", "INCR", "MSET"]) assert.match(output, new RegExp(`${line}.*: [\\d.]+ requests per second`));
    });
  }
} else {
  skip("redis-benchmark", "it is not installed");
}

await io("flushall", {}, async (c) => {
  assert.equal(await c.flushall(), "OK");
  assert.equal(await c.dbsize(), 0);
  assert.deepEqual(await c.scan(0), ["0", []]);
  assert.equal(await c.get("cli"), null);
  assert.equal(await c.set("after", "v"), "OK");
  assert.equal(await c.dbsize(), 1);
});

await test("the node ends well", async () => assert.equal(await node.stop(), 0));
finish();

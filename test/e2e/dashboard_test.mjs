#!/usr/bin/env node
// The dashboard of a real cluster in headless Chromium: it loads and moves, shows who dies, treats
// what users stored as text, needs nothing from elsewhere, and works with keys only.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { atoll, eventually, finish, skip, startCluster, startNode, test } from "./lib.mjs";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = process.env.CHROMIUM ?? places.find(existsSync);
const CHART = "/usr/share/javascript/chart.js/chart.min.js";
const SCRIPT = "<script>window.stolen = 1</script><img src=x onerror='window.stolen = 2'>";
const DOWN_MS = 3000;

if (executablePath === undefined) {
  if (process.env.CI) await test("dashboard: a browser", () => assert.fail("chromium is not installed; ./dev test installs it"));
  else skip("dashboard", "there is no chromium: apt-get install chromium");
  finish();
}

const nodes = await startCluster(3, ["--shards", "2", "--move-rate", "512KiB"]);
const [first, second, third] = nodes;
const put = async (key, value) => {
  const reply = await fetch(`${first.url}/v1/kv/${encodeURIComponent(key)}`, { method: "PUT", body: value });
  assert.equal(reply.status, 200);
};
await put(`xss ${SCRIPT}`, SCRIPT);
for (let i = 0; i < 25; i++) await put(`page:${String(i).padStart(2, "0")}`, `value ${i}`);

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });

/** A page of the first node, and whatever it complains of or asks for. `files` replaces some. */
async function open({ url = first.url, width = 1280, colorScheme = "light", files = {} } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  context.setDefaultTimeout(10000);
  const page = await context.newPage();
  const seen = { errors: [], requests: [] };
  page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") seen.errors.push(m.text()); });
  page.on("pageerror", (e) => seen.errors.push(String(e)));
  page.on("request", (r) => seen.requests.push(r.url()));
  for (const [path, body] of Object.entries(files))
    await page.route(`${url}${path}`, (route) => route.fulfill({ body, contentType: "text/javascript" }));
  await page.goto(`${url}/`);
  await page.waitForSelector('#connection[data-state="live"]');
  return { page, seen, close: () => context.close() };
}

const text = (page, selector) => page.locator(selector).innerText();
const row = (page, node) => page.locator(`#nodes tr[data-address="127.0.0.1:${node.port}"]`);
const state = (page, node) => row(page, node).locator(".state").innerText();
const numberOf = (s) => Number(/([\d,]+)\/s/.exec(s)[1].replaceAll(",", ""));

const main = await open();
const { page } = main;

await test("dashboard: shows nodes, ring and figures", async () => {
  await eventually(5, async () => (await page.locator("#nodes tbody tr").count()) === 3);
  await eventually(5, async () => (await page.locator("#ring-picture path").count()) === 6);
  assert.match(await text(page, "#about"), new RegExp(`127\\.0\\.0\\.1:${first.port} · version \\d`));
  assert.match(await text(page, "#cluster-summary"), /3 nodes, all there · 3 replicas \(2 to write, 2 to read\)/);
  for (const node of nodes) {
    await eventually(5, async () => (await state(page, node)) === "up");
    /* what only the node itself knows: since when it is up, memory, disk */
    await eventually(5, async () => /\d s.*[\d.]+ MiB.*[\d.]+ [KMGT]iB.*[\d.]+ [GT]iB/.test((await row(page, node).innerText()).replace(/\s+/g, " ")));
  }
  for (const title of ["Hints", "Repair", "Storage", "Compaction", "Cache"])
    await page.locator("#figures h3", { hasText: title }).waitFor();
  assert.equal(await text(page, "#change-body"), "No rebalance is running.");
});

await test("dashboard: charts move under load", async () => {
  const charts = ["throughput-chart", "latency-chart", "traffic-chart"];
  const picture = (id) => page.evaluate((name) => document.getElementById(name)?.toDataURL(), id);
  if (existsSync(CHART)) assert.equal(await page.evaluate(() => typeof window.Chart), "function");
  const before = await Promise.all(charts.map(picture));
  const load = spawn(atoll, ["bench", "--server", `127.0.0.1:${first.port}`, "--seconds", "6", "--clients", "4", "--key-prefix", "bench:"],
    { stdio: "ignore", timeout: 20000, killSignal: "SIGKILL" });
  const ended = new Promise((resolve) => load.on("exit", resolve));
  await eventually(6, async () => numberOf(await text(page, "#throughput-now")) > 50);
  await eventually(6, async () => /p99\s+[\d.]+ (µs|ms)/.test(await text(page, "#latency-now")));
  await eventually(6, async () => numberOf(/together.*/s.exec(await text(page, "#traffic-now"))[0]) > 50);
  await ended;
  if (!existsSync(CHART)) return;
  for (const [i, id] of charts.entries()) {
    const points = await page.evaluate((name) => window.Chart.getChart(name).data.datasets.flatMap((set) => set.data), id);
    assert(points.some((value) => value > 50), `${id} rises`);
    assert.notEqual(await picture(id), before[i], `${id} is drawn anew`);
  }
  await eventually(5, async () => numberOf(await text(page, "#throughput-now")) < 50);
});

await test("dashboard: a key's value, version, owners and replicas; markup is text", async () => {
  await page.fill("#key", `xss ${SCRIPT}`);
  await page.click("#look-up");
  await page.waitForSelector("#found-value");
  assert.equal(await page.locator("#found-value").textContent(), SCRIPT);
  assert.match(await text(page, "#key-result"), /\d+ bytes, version [0-9a-f]+\.[0-9a-f]+\.\d/);
  const replicas = await page.locator("#replicas tbody tr").allInnerTexts();
  assert.equal(replicas.length, 3);
  for (const replica of replicas) assert.match(replica, /127\.0\.0\.1:\d+.*value.*[0-9a-f]+\.[0-9a-f]+\.\d/s);
  await page.fill("#prefix", "xss");
  await page.click("#scan-start");
  await page.waitForSelector("#scan-rows tbody tr");
  assert.match(await text(page, "#scan-rows"), /<script>/);
  assert.equal(await page.locator("main script, main img").count(), 0);
  assert.equal(await page.evaluate(() => window.stolen), undefined);
});

await test("dashboard: put and delete ask first", async () => {
  const key = "made <b>here</b>/../%00";
  const stored = async () => {
    const reply = await fetch(`${second.url}/v1/kv/${encodeURIComponent(key)}`);
    return reply.ok ? reply.text() : reply.status;
  };
  await page.fill("#key", key);
  await page.fill("#value", "first\nsecond ü");
  await page.click("#put");
  await page.waitForSelector("#confirm[open]");
  assert.match(await text(page, "#confirm-text"), /made <b>here<\/b>/);
  await page.click("#confirm-no");
  assert.equal(await stored(), 404);
  await page.click("#put");
  await page.click("#confirm-yes");
  await eventually(5, async () => (await page.locator("#found-value").textContent()) === "first\nsecond ü");
  assert.equal(await stored(), "first\nsecond ü");
  await page.fill("#ttl", "never");
  await page.click("#put");
  await page.click("#confirm-yes");
  await page.locator("#key-result .error", { hasText: "bad_ttl" }).waitFor();
  await page.fill("#ttl", "");
  main.seen.errors = main.seen.errors.filter((e) => !e.includes("400")); /* the browser tells of it */
  await page.click("#delete");
  await page.keyboard.press("Escape");
  assert.equal(await stored(), "first\nsecond ü");
  await page.click("#delete");
  await page.click("#confirm-yes");
  await page.waitForSelector("#found-nothing");
  assert.equal(await stored(), 404);
  assert.match(await text(page, "#replicas"), /tombstone/);
});

await test("dashboard: pages of a scan", async () => {
  const keys = () => page.locator("#scan-rows tbody button").allInnerTexts();
  await page.fill("#prefix", "page:");
  await page.click("#scan-start");
  await eventually(5, async () => (await keys())[0] === "page:00");
  assert.equal((await keys()).length, 10);
  assert(await page.isDisabled("#scan-back"));
  await page.click("#scan-next");
  await eventually(5, async () => (await keys())[0] === "page:10");
  await page.click("#scan-next");
  await eventually(5, async () => (await keys())[0] === "page:20");
  assert.equal((await keys()).length, 5);
  assert(await page.isDisabled("#scan-next"));
  await page.click("#scan-back");
  await eventually(5, async () => (await keys())[0] === "page:10");
  await page.click("#scan-rows tbody button >> nth=0");
  await eventually(5, async () => (await text(page, "#found-value")) === "value 10");
});

await test("dashboard: everything is reached with the keyboard", async () => {
  const fresh = await open();
  const { page } = fresh;
  const at = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.tagName);
  await page.click("#scan-start"); /* so that `next` is not disabled */
  await page.waitForSelector("#scan-next:enabled");
  await page.click("#scan-next");
  await page.waitForSelector("#scan-back:enabled");
  await page.evaluate(() => document.querySelector(".skip").focus());
  const reached = [];
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press("Tab");
    reached.push(await at());
    if (reached.at(-1) === "scan-next") break;
  }
  const wanted = ["key", "value", "ttl", "look-up", "put", "delete", "prefix", "limit", "scan-start", "scan-back", "scan-next"];
  assert.deepEqual(reached.filter((id) => wanted.includes(id)), wanted);
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "the focus is seen");
  await page.focus("#key");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("by keyboard");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("typed");
  for (let i = 0; i < 3; i++) await page.keyboard.press("Tab");
  assert.equal(await at(), "put");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#confirm[open]");
  assert.equal(await at(), "confirm-no", "the harmless answer has the focus");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await eventually(5, async () => (await page.locator("#found-value").textContent()) === "typed");
  assert.deepEqual(fresh.seen.errors, []);
  await fresh.close();
});

await test("dashboard: a killed node turns red in time, and comes back", async () => {
  /* Rows are made anew every second; one that is gone has no colour. */
  const colour = () => eventually(2, async () => (await row(page, third).locator("td >> nth=0")
    .evaluate((cell) => getComputedStyle(cell).backgroundColor)) || false);
  const calm = await colour();
  const killed = Date.now();
  await third.stop("SIGKILL");
  await eventually(10, async () => (await state(page, third)) === "down");
  const took = Date.now() - killed;
  assert(took < DOWN_MS, `took ${took} ms`);
  assert.match(await row(page, third).getAttribute("class"), /down/);
  const [, red, green, blue] = /(\d+), (\d+), (\d+)/.exec(await colour()).map(Number);
  assert(red > green && red > blue, "red");
  assert.notEqual(await colour(), calm);
  assert.match(await text(page, "#cluster-summary"), /1 down/);
  await page.fill("#key", "page:00");
  await page.click("#look-up");
  await eventually(5, async () => /unreachable/.test(await text(page, "#replicas")));
  await put("page:00", "missed");
  await eventually(5, async () => Number(await row(page, third).locator("td").last().innerText()) > 0);
  const again = await startNode({ port: third.port, dir: third.dir, flags: third.flags });
  await eventually(10, async () => (await state(page, third)) === "up");
  third.stop = again.stop;
});

await test("dashboard: dark and light, from a phone to a desk", async () => {
  const grounds = new Set();
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 768, 1280]) {
      const other = await open({ width, colorScheme });
      await other.page.waitForSelector("#nodes tbody tr");
      await other.page.fill("#prefix", "");
      await other.page.click("#scan-start");
      await other.page.fill("#key", `xss ${SCRIPT}`);
      await other.page.click("#look-up");
      await other.page.waitForSelector("#replicas");
      const wide = await other.page.evaluate(() => document.documentElement.scrollWidth);
      assert(wide <= width, `${wide} px of ${width}, ${colorScheme}`);
      const [ratio, ground] = await other.page.evaluate(() => {
        const light = (text) => {
          const [r, g, b] = text.match(/[\d.]+/g).slice(0, 3).map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const card = getComputedStyle(document.querySelector("section")).backgroundColor;
        const shades = [light(card), light(getComputedStyle(document.querySelector("section th")).color)].sort((a, b) => b - a);
        return [(shades[0] + 0.05) / (shades[1] + 0.05), card];
      });
      assert(ratio >= 4.5, `contrast ${ratio}`);
      grounds.add(ground);
      assert.deepEqual(other.seen.errors, []);
      await other.close();
    }
  }
  assert.equal(grounds.size, 2, "two schemes");
});

await test("dashboard: numbers where there is no chart library", async () => {
  const other = await open({ files: { "/web/chart.js": "// none\n" } });
  await other.page.locator("#throughput .note", { hasText: "built without the chart library" }).waitFor();
  await eventually(5, async () => /reads\s+[\d,]+\/s/.test(await text(other.page, "#throughput-now")));
  await eventually(5, async () => /together\s+[\d,]+\/s/.test(await text(other.page, "#traffic-now")));
  assert.deepEqual(other.seen.errors, []);
  await other.close();
});

// What /v1/cluster may say while slots move, put into the page.
await test("dashboard: every figure of a rebalance", async () => {
  const other = await open();
  await other.page.evaluate(async () => {
    const { showCluster } = await import("/web/app.js");
    const cluster = await (await fetch("/v1/cluster")).json();
    showCluster({ ...cluster, leader: { id: cluster.nodes[1].id, address: cluster.nodes[1].address }, term: 4,
      change: { id: 7, reason: "add <b>node</b>", slots_total: 400, slots_joint: 16, slots_done: 100, bytes_done: 1048576,
        bytes_total: 4194304, rate_bytes_s: 1048576, eta_ms: 3000, throttle: null, paused: true, started_ms: Date.now() - 61000 } });
    window.shown = [document.querySelector("#change-body").innerText, document.querySelector("#change-body progress").value,
      document.querySelector("#cluster-summary").innerText, document.querySelector("#nodes").innerText];
  });
  const [change, value, summary, table] = await other.page.evaluate(() => window.shown);
  assert.match(change, /add <b>node<\/b>, paused: 25\.0 %/);
  assert.match(change, /100 of 400[^]*16[^]*1\.0 MiB of 4\.0 MiB[^]*3 s[^]*1 min 1 s/);
  assert.equal(value, 0.25);
  assert.match(summary, /leader 127\.0\.0\.1:\d+ · term 4/);
  assert.match(table, /leader/);
  await eventually(5, async () => (await text(other.page, "#change-body")) === "No rebalance is running.");
  assert.deepEqual(other.seen.errors, []);
  await other.close();
});

await test("dashboard: no complaints, and nothing from elsewhere", async () => {
  assert.deepEqual(main.seen.errors, []);
  assert(main.seen.requests.length > 5);
  for (const url of main.seen.requests) assert(url.startsWith(`${first.url}/`), url);
});

await test("dashboard: scripts that are not its own do not run", async () => {
  const other = await open();
  const ran = await other.page.evaluate(async () => {
    const inline = document.createElement("script");
    inline.textContent = "window.stolen = 3";
    document.body.append(inline);
    const loaded = await fetch("http://127.0.0.1:9/").then(() => true, () => false);
    return [window.stolen, loaded];
  });
  assert.deepEqual(ran, [undefined, false]);
  assert.equal(other.seen.errors.filter((e) => /Content Security Policy/i.test(e)).length >= 2, true);
  await other.close();
});

await test("dashboard: says when its node is gone, and goes on when it is back", async () => {
  await first.stop();
  await page.waitForSelector('#connection[data-state="lost"]');
  const again = await startNode({ port: first.port, dir: first.dir, flags: first.flags });
  first.stop = again.stop;
  await page.waitForSelector('#connection[data-state="live"]');
});

await test("dashboard: a node that joins, and its share on the way", async () => {
  for (let i = 0; i < 32; i++) await put(`large:${i}`, "x".repeat(262144));
  nodes.push(await startNode({ flags: ["--shards", "2", "--join", `127.0.0.1:${first.port}`] }));
  const seen = new Set();
  await eventually(60, async () => {
    const change = await text(page, "#change-body");
    const share = /^join: ([\d.]+) %/.exec(change);
    if (share !== null) seen.add(share[1]);
    return seen.size > 0 && change === "No rebalance is running.";
  });
  assert(seen.size > 1, `only ${[...seen]}`);
  await eventually(5, async () => (await page.locator("#nodes tbody tr").count()) === 4);
  await eventually(5, async () => (await page.locator("#ring-picture path").count()) === 8);
});

await browser.close();
await Promise.all(nodes.map((node) => node.stop("SIGKILL")));
finish();

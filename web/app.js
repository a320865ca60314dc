// app.js - the page: what the node streams becomes a picture, tables and charts.
import { Lines } from "./charts.js";
import { startKeys } from "./keys.js";
import { colourOf, drawRing } from "./ring.js";
import { byId, bytes, count, el, micros, percent, replacePairs, span, svg } from "./text.js";

const SILENCE_MS = 4000; /* an event comes every second */
const FIGURES_MS = 1000; /* between two looks at what all nodes do */
const RETRY_MS = 3000;

const cluster = { now: null, slots: null, ringOf: "", figures: new Map() };
let metrics = null;
let heard = 0;

/* ---- connection ---- */

function showConnection(state, text) {
  const place = byId("connection");
  if (place.dataset.state === state && place.textContent === text) return;
  place.dataset.state = state;
  place.textContent = text;
}

function listen() {
  const source = new EventSource("/v1/events");
  const take = (body) => (event) => {
    heard = Date.now();
    showConnection("live", "live");
    body(JSON.parse(event.data));
  };
  source.addEventListener("cluster", take(showCluster));
  source.addEventListener("figures", take(showFigures));
  source.addEventListener("error", () => {
    showConnection("lost", "the node does not answer; trying again");
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, RETRY_MS); /* refused, as there are too many who listen */
  });
}

setInterval(() => {
  if (heard !== 0 && Date.now() - heard > SILENCE_MS)
    showConnection("lost", `nothing heard for ${span(Date.now() - heard)}`);
}, 500);

/* ---- cluster ---- */

const isDown = (node) => node.state === "down" || node.alive === false;

const leaderId = (c) => (typeof c.leader === "object" && c.leader !== null ? c.leader.id : c.leader);

function swatch(place) {
  return svg("svg", { class: "swatch", viewBox: "0 0 12 12", "aria-hidden": "true" },
    svg("rect", { width: 12, height: 12, rx: 3, fill: colourOf(place) }));
}

function nodeRow(c, node, place) {
  const figures = (isDown(node) ? undefined : cluster.figures.get(node.id)) ?? {};
  const started = figures.started_ms ?? node.started_ms;
  const number = (text) => el("td", { class: "number" }, text);
  const marks = [node.self ? "this node" : "", leaderId(c) === node.id && c.nodes.length > 1 ? "leader" : ""].filter(Boolean);
  const name = node.self ? node.address : el("a", { href: `http://${node.address}/`, rel: "noreferrer" }, node.address);
  return el("tr", { class: isDown(node) ? "down" : "", "data-address": node.address },
    el("td", {}, swatch(place), name, marks.length > 0 ? el("span", { class: "faint" }, ` ${marks.join(", ")}`) : ""),
    el("td", { class: "state" }, node.state),
    number(percent(node.slots_owned ?? node.owned, c.slots)), number(percent(node.slots_kept ?? node.kept, c.slots)),
    number(count(node.weight)), number(node.zone || "–"),
    number(started > 0 && !isDown(node) ? span(Date.now() - started) : "–"),
    number(bytes(figures.resident_bytes)), number(bytes(figures.disk_bytes ?? node.bytes)),
    number(bytes(figures.disk_free_bytes)),
    number(node.self ? "–" : micros(node.latency_us)), number(count(node.hints_waiting)));
}

function showSummary(c) {
  const down = c.nodes.filter(isDown).length;
  const leader = c.nodes.find((node) => node.id === leaderId(c));
  const parts = [`${c.nodes.length} ${c.nodes.length === 1 ? "node" : "nodes"}${down > 0 ? `, ${down} down` : ", all there"}`,
    `${c.replicas} replicas (${c.write_quorum} to write, ${c.read_quorum} to read)`,
    leader === undefined ? "no leader: all nodes are equal" : `leader ${leader.address}`];
  if (c.term !== undefined) parts.push(`term ${c.term}`);
  parts.push(`epoch ${c.epoch}`);
  if (c.filled === false) parts.push("this node is still being filled");
  byId("cluster-summary").textContent = `${parts.join(" · ")}.`;
}

/* By slots, or by bytes while slots are still on their way, all of them at once. */
function shareDone(change) {
  const slots = change.slots_total > 0 ? change.slots_done / change.slots_total : 0;
  const moved = change.bytes_total > 0 ? change.bytes_done / change.bytes_total : 0;
  return Math.max(slots, Math.min(moved, 0.99));
}

function showChange(change) {
  const body = byId("change-body");
  if (change === null || change === undefined) {
    body.replaceChildren(el("p", {}, "No rebalance is running."));
    return;
  }
  const pairs = el("dl", { class: "now" });
  const done = change.slots_done ?? 0, total = change.slots_total ?? 0;
  const share = shareDone(change);
  replacePairs(pairs, [
    ["slots", `${count(done)} of ${count(total)}`], ["in transit", count(change.slots_joint)],
    ["moved", `${bytes(change.bytes_done)} of ${bytes(change.bytes_total)}`],
    ["a second", bytes(change.rate_bytes_s)], ["left", span(change.eta_ms)],
    ["limit", typeof change.throttle === "number" ? `${bytes(change.throttle)}/s` : String(change.throttle ?? "–")],
    ["since", change.started_ms > 0 ? span(Date.now() - change.started_ms) : "–"]]);
  body.replaceChildren(
    el("p", {}, `${change.reason ?? "rebalance"}${change.paused ? ", paused" : ""}: ${percent(share, 1)}`),
    el("progress", { max: 1, value: share, "aria-label": "Moved" }), pairs);
}

/* The slots are asked for when they may have changed, and every few seconds while they move. */
async function refreshRing() {
  const c = cluster.now;
  const key = JSON.stringify([c.epoch, c.change === null || c.change === undefined ? 0 : Math.floor(Date.now() / 5000),
    c.nodes.map((node) => [node.id, node.weight, node.zone, node.state])]);
  if (key === cluster.ringOf) return;
  cluster.ringOf = key;
  try {
    const reply = await fetch("/v1/cluster/slots", { cache: "no-store" });
    if (!reply.ok) throw new Error(`the node answers ${reply.status}`);
    drawRing(byId("ring-picture"), await reply.json(), c.nodes);
  } catch {
    cluster.ringOf = ""; /* with the next event again */
  }
}

export function showCluster(c) {
  cluster.now = c;
  const self = c.nodes.find((node) => node.self);
  if (self !== undefined) {
    byId("about").textContent = `${self.address} · version ${self.version} · ${self.shards} ${self.shards === 1 ? "shard" : "shards"}`;
    document.title = `Atoll ${self.address}`;
  }
  showSummary(c);
  showChange(c.change);
  const body = byId("nodes").tBodies[0];
  /* A link that has the focus keeps it. */
  const focused = body.contains(document.activeElement) ? document.activeElement.textContent : null;
  body.replaceChildren(...c.nodes.map((node, i) => nodeRow(c, node, i)));
  if (focused !== null) [...body.querySelectorAll("a")].find((a) => a.textContent === focused)?.focus();
  refreshRing();
}

/* ---- figures ---- */

const perSecond = (value) => `${count(value)}/s`;
const lines = {
  throughput: new Lines(byId("throughput-chart"), [
    { name: "reads", colour: "--series-1" }, { name: "writes", colour: "--series-2" }, { name: "others", colour: "--series-3" },
  ], perSecond),
  latency: new Lines(byId("latency-chart"), [
    { name: "p50", colour: "--series-1" }, { name: "p99", colour: "--series-2" },
  ], (value) => (value === 0 ? "0" : micros(value))),
  traffic: null,
  trafficOf: "",
};

function rate(name, before, seconds) {
  return before === null ? NaN : (metrics[name] - before[name]) / seconds;
}

function cards(m, before, seconds) {
  const a = (name) => `${count(rate(name, before, seconds))}/s`;
  const amount = (name) => `${bytes(rate(name, before, seconds))}/s`;
  const looks = m.cache_hits + m.cache_misses;
  return [
    ["Hints", [["waiting", count(m.hints_waiting)], ["on disk", bytes(m.hints_bytes)], ["stored", count(m.hints_stored)],
      ["replayed", count(m.hints_replayed)], ["dropped", count(m.hints_dropped)]]],
    ["Repair", [["ranges compared", a("repair_ranges")], ["records mended", count(m.repair_records)],
      ["passes, clean", count(m.repair_passes_clean)], ["passes, interrupted", count(m.repair_passes_unclean)],
      ["mended by reads", count(m.read_repairs)]]],
    ["Storage", [["records", count(m.records)], ["tombstones", count(m.tombstones)],
      ["tables", bytes(m.level_bytes.reduce((sum, n) => sum + n, 0))], ["log", bytes(m.wal_disk_bytes)],
      ["disk free", m.disk_full ? "full" : bytes(m.disk_free_bytes)]]],
    ["Compaction", [["finished", count(m.compactions)], ["reads", amount("compaction_bytes_read")],
      ["writes", amount("compaction_bytes_written")], ["write amplification", m.write_amplification.toFixed(2)],
      ["pressure", `${(m.pressure_permille / 10).toFixed(1)} %`]]],
    ["Cache", [["found", percent(m.cache_hits, looks)], ["in use", bytes(m.cache_bytes)], ["limit", bytes(m.cache_bytes_max)],
      ["read from disk", a("cache_misses")], ["dropped", a("cache_evictions")]]],
    ["Clients", [["connections", count(m.connections)], ["commands", a("commands")], ["waiting", count(m.waiting)],
      ["refused as busy", count(m.busy_refused)], ["too few replicas", count(m.quorum_failures)]]],
    ["Process", [["up for", span(m.now_ms - m.started_ms)], ["memory", bytes(m.resident_bytes)],
      ["processor", before === null ? "–" : `${(rate("cpu_us", before, seconds) / 1e4).toFixed(0)} %`],
      ["syncs", a("wal_syncs")], ["damaged blocks", count(m.corruptions)]]],
    ["Other nodes", [["links", count(m.peer_links_up)], ["in", amount("peer_bytes_in")], ["out", amount("peer_bytes_out")],
      ["handed on", a("forwarded")], ["links lost", count(m.peer_links_lost)]]],
  ];
}

function showFigures({ moment, metrics: now }) {
  const before = metrics;
  metrics = now;
  const others = moment.delete.per_second + moment.scan.per_second + moment.batch.per_second;
  lines.throughput.add([moment.read.per_second, moment.write.per_second, others]);
  lines.latency.add(moment.p99_us > 0 ? [moment.p50_us, moment.p99_us] : []);
  replacePairs(byId("throughput-now"), [["reads", perSecond(moment.read.per_second)],
    ["writes", perSecond(moment.write.per_second)], ["others", perSecond(others)]]);
  replacePairs(byId("latency-now"), [["reads p50", micros(moment.read.p50_us)], ["p99", micros(moment.read.p99_us)],
    ["writes p50", micros(moment.write.p50_us)], ["p99", micros(moment.write.p99_us)]]);
  byId("figures-body").replaceChildren(...cards(now, before, moment.seconds).map(([title, pairs]) => {
    const list = el("dl");
    replacePairs(list, pairs);
    return el("div", {}, el("h3", {}, title), list);
  }));
}

/* ---- all nodes ---- */

/* What a node did since the last look, by its own clock. */
function trafficOf(node, before) {
  const now = cluster.figures.get(node.id), then = before.get(node.id);
  if (isDown(node) || now === undefined || then === undefined) return undefined;
  const seconds = (now.now_ms - then.now_ms) / 1000;
  if (seconds <= 0 || now.started_ms !== then.started_ms) return undefined;
  const sum = (figures) => Object.values(figures.operations).reduce((total, n) => total + n, 0);
  return (sum(now) - sum(then)) / seconds;
}

function showTraffic(before) {
  const nodes = cluster.now.nodes;
  const names = nodes.map((node) => node.address).join(" ");
  if (names !== lines.trafficOf) {
    lines.traffic?.destroy();
    lines.trafficOf = names;
    lines.traffic = new Lines(byId("traffic-chart"), nodes.map((node, i) => ({ name: node.address, colour: colourOf(i) })), perSecond);
  }
  const traffic = nodes.map((node) => trafficOf(node, before));
  lines.traffic.add(traffic);
  replacePairs(byId("traffic-now"), [...nodes.map((node, i) => [node.address, perSecond(traffic[i])]),
    ["together", perSecond(traffic.reduce((sum, n) => sum + (n ?? 0), 0))]]);
}

async function lookAtAll() {
  try {
    if (document.hidden || cluster.now === null) return;
    const reply = await fetch("/v1/cluster/figures", { cache: "no-store" });
    if (!reply.ok) return;
    const { nodes } = await reply.json();
    const before = cluster.figures;
    cluster.figures = new Map(nodes.map((figures) => [figures.id, figures]));
    if (cluster.now.nodes.length > 1) showTraffic(before);
  } catch {
    /* the events say that the node is gone */
  } finally {
    setTimeout(lookAtAll, FIGURES_MS);
  }
}

startKeys();
listen();
lookAtAll();

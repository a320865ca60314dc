// keys.js - looking at one key, changing it, and walking over all of them.
import { byId, bytesOf, count, el, readable } from "./text.js";

const PREVIEW = 64;
const ask = { credentials: "same-origin", cache: "no-store" };

/** The path of a key: every byte but the safest is escaped, so that no URL parser changes it. */
export function pathOf(key) {
  return "/v1/kv/" + Array.from(key, (b) => {
    const c = String.fromCharCode(b);
    return /[A-Za-z0-9_~-]/.test(c) || (c === "." && key.length > 2) ? c : `%${b.toString(16).padStart(2, "0").toUpperCase()}`;
  }).join("");
}

async function failure(reply) {
  try {
    const { error } = await reply.json();
    return new Error(`${reply.status} ${error.code}: ${error.message}`);
  } catch {
    return new Error(`the node answers ${reply.status}`);
  }
}

function confirm(text, detail, yes) {
  const dialog = byId("confirm");
  byId("confirm-text").textContent = text;
  byId("confirm-detail").textContent = detail;
  byId("confirm-detail").hidden = detail === "";
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  byId("confirm-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/* The key in the form, or that of a row of the scan, which need not be text. */
let chosen = null;

function keyOfForm() {
  const text = byId("key").value;
  if (chosen !== null && chosen.text === text) return chosen.key;
  return new TextEncoder().encode(text);
}

function checkKey(key) {
  if (key.length === 0) throw new Error("Enter a key first.");
  if (key.every((b) => b === 0x2e) && key.length < 3)
    throw new Error("A browser cannot ask for the keys . and .. — use curl --path-as-is.");
}

const say = (...parts) => byId("key-result").replaceChildren(...parts);
const complain = (error) => say(el("p", { class: "error" }, error.message));

function replicaRow(r) {
  const down = r.state === "unreachable" || r.state === "abstains";
  return el("tr", { class: down ? "down" : "" },
    el("td", {}, r.address + (r.self ? " (this node)" : "")), el("td", { class: "state" }, r.state),
    el("td", {}, r.version ?? "–"), el("td", { class: "number" }, r.value_bytes === undefined ? "–" : count(r.value_bytes)));
}

function replicaTable(found) {
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Replicas" },
    el("table", { id: "replicas" },
      el("caption", { class: "faint" }, `Slot ${found.slot}; the first replica owns it.`),
      el("thead", {}, el("tr", {}, ...["replica", "holds", "version", "bytes"].map((t) => el("th", { scope: "col" }, t)))),
      el("tbody", {}, ...found.replicas.map(replicaRow))));
}

/* A batch of one, as a plain get of a key that is not there is an error to a browser's console. */
async function read(key) {
  const item = { op: "get", key_base64: btoa(String.fromCharCode(...key)) };
  const reply = await fetch("/v1/batch", { ...ask, method: "POST", body: JSON.stringify({ items: [item] }) });
  if (!reply.ok) throw await failure(reply);
  return (await reply.json()).results[0];
}

function valueParts(result) {
  if (result.status === 404) return [el("p", { id: "found-nothing" }, "No value is stored under this key.")];
  if (result.status !== 200) return [el("p", { class: "error" }, `${result.error?.code}: ${result.error?.message}`)];
  const data = bytesOf(result, "value");
  const expires = result.expires_at_ms > 0 ? `, expires ${new Date(result.expires_at_ms).toLocaleString("en-GB")}` : "";
  return [el("p", {}, `${count(data.length)} bytes, version ${result.version}${expires}`),
    el("pre", { id: "found-value", tabindex: 0 }, readable(data))];
}

async function lookUp() {
  const key = keyOfForm();
  checkKey(key);
  const [result, replicas] = await Promise.all([read(key), fetch(`${pathOf(key)}?replicas=true`, ask)]);
  if (!replicas.ok) throw await failure(replicas);
  say(...valueParts(result), replicaTable(await replicas.json()));
}

async function put() {
  const key = keyOfForm();
  checkKey(key);
  const value = byId("value").value;
  const ttl = byId("ttl").value.trim();
  if (!(await confirm(`Put this value under “${readable(key, 100)}”? It replaces what is there.`, value, "Put"))) return;
  const query = ttl === "" ? "" : `?ttl=${encodeURIComponent(ttl)}`;
  const reply = await fetch(pathOf(key) + query, { ...ask, method: "PUT", body: value });
  if (!reply.ok) throw await failure(reply);
  await lookUp();
}

async function remove() {
  const key = keyOfForm();
  checkKey(key);
  if (!(await confirm(`Delete “${readable(key, 100)}”?`, "", "Delete"))) return;
  const reply = await fetch(pathOf(key), { ...ask, method: "DELETE" });
  if (!reply.ok) throw await failure(reply);
  await lookUp();
}

function choose(key) {
  chosen = { text: readable(key, 1000), key };
  byId("key").value = chosen.text;
  chosen.text = byId("key").value; /* an input has no line ends */
  byId("key").scrollIntoView({ block: "center" });
  byId("key").focus();
  lookUp().catch(complain);
}

/* ---- scan ---- */

/* Cursors of the pages seen, the present one last; the first page has none. */
let pages = [null];
let next = null;
let query = "";

function scanRow(item) {
  const key = bytesOf(item, "key");
  return el("tr", {},
    el("td", { class: "long" }, el("button", { type: "button", class: "key", click: () => choose(key) }, readable(key, PREVIEW))),
    el("td", { class: "long" }, readable(bytesOf(item, "value"), PREVIEW)), el("td", {}, item.version));
}

async function scanPage() {
  const cursor = pages.at(-1);
  const reply = await fetch(`/v1/scan?${query}${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`, ask);
  if (!reply.ok) throw await failure(reply);
  const page = await reply.json();
  next = page.cursor ?? null;
  byId("scan-rows").hidden = page.items.length === 0;
  byId("scan-rows").tBodies[0].replaceChildren(...page.items.map(scanRow));
  byId("scan-state").textContent = page.items.length === 0 ? "No keys." : `Page ${pages.length}: ${page.items.length} keys.`;
  if (page.error !== undefined) byId("scan-state").textContent += ` It is not complete: ${page.error.message}`;
  byId("scan-back").disabled = pages.length === 1;
  byId("scan-next").disabled = next === null;
}

function scan() {
  scanPage().catch((error) => {
    byId("scan-state").textContent = error.message;
  });
}

export function startKeys() {
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    lookUp().catch(complain);
  });
  byId("put").addEventListener("click", () => put().catch(complain));
  byId("delete").addEventListener("click", () => remove().catch(complain));
  byId("scan-form").addEventListener("submit", (event) => {
    event.preventDefault();
    query = `prefix=${encodeURIComponent(byId("prefix").value)}&limit=${byId("limit").value}`;
    pages = [null];
    scan();
  });
  byId("scan-next").addEventListener("click", () => {
    pages.push(next);
    scan();
  });
  byId("scan-back").addEventListener("click", () => {
    pages.pop();
    scan();
  });
}

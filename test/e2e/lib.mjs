// lib.mjs - what the Node tests share: results, free ports, nodes.
//
// ATOLL is the binary under test; it comes from ./dev test, and has a default
// for a test run by hand. Nodes end with the test.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
export const atoll = process.env.ATOLL ?? join(here, "../../build/atoll");
export const work = mkdtempSync(join(tmpdir(), "e2e-"));
const children = new Set();
let failed = 0;

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(work, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

/** One result: `body` throws, rejects, or is fine. */
export async function test(name, body) {
  try {
    await body();
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    console.log(String(error?.stack ?? error).replace(/^/gm, "# "));
    console.log(`not ok ${name}`);
  }
}

export function skip(name, why) {
  console.log(`skip ${name}: ${why}`);
}

export function freePorts(count) {
  return execFileSync(join(here, "ports"), [String(count)], { encoding: "utf8" })
    .trim().split("\n").map(Number);
}

/** Call `body` until it neither throws nor gives false, or `seconds` are over. */
export async function eventually(seconds, body) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    let error;
    try {
      const value = await body();
      if (value !== false) return value;
    } catch (e) {
      error = e;
    }
    if (Date.now() > end) throw error ?? new Error(`not so after ${seconds} s: ${body}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Start a node and wait until it is ready. */
export async function startNode({ port = freePorts(1)[0], dir = join(work, `node-${port}`), flags = [] } = {}) {
  const log = `${dir}.log`;
  const out = openSync(log, "a");
  const child = spawn(atoll, ["serve", "--port", String(port), "--dir", dir, ...flags],
    { stdio: ["ignore", out, out] });
  children.add(child);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  ended.then(() => children.delete(child));
  const url = `http://127.0.0.1:${port}`;
  try {
    await eventually(10, async () => (await fetch(`${url}/ready`)).ok);
  } catch (error) {
    throw new Error(`node on port ${port} is not ready\n${readFileSync(log, "utf8")}`, { cause: error });
  }
  return { port, dir, url, log, child, flags,
    stop: (signal = "SIGTERM") => { child.kill(signal); return ended; } };
}

/** Start nodes that share the keys. */
export function startCluster(count = 3, flags = []) {
  const ports = freePorts(count);
  const peers = ports.map((port) => `127.0.0.1:${port}`).join(",");
  return Promise.all(ports.map((port) => startNode({ port, flags: ["--peers", peers, ...flags] })));
}

/** Say whether the test passed, and end it. */
export function finish() {
  process.exit(failed === 0 ? 0 : 1);
}

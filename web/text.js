// text.js - making elements and printing numbers. Text only ever becomes text: nothing here, or
// in any other file of the page, parses HTML.

/** An element with these attributes and children; strings become text nodes. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child ?? "–"))));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Pairs of a term and what it is now. */
export function replacePairs(list, pairs) {
  list.replaceChildren(...pairs.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

const numbers = new Intl.NumberFormat("en");

export function count(value) {
  return Number.isFinite(value) ? numbers.format(Math.round(value)) : "–";
}

export function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function micros(value) {
  if (!Number.isFinite(value) || value <= 0) return "–";
  if (value < 1000) return `${Math.round(value)} µs`;
  return value < 1e6 ? `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} ms` : `${(value / 1e6).toFixed(2)} s`;
}

export function span(ms) {
  if (!Number.isFinite(ms) || ms < 0) return "–";
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

export function percent(part, whole) {
  return whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "–";
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Bytes as a person can read them: as text if they are UTF-8, else in hex; not too much of them. */
export function readable(data, most = 16384) {
  const part = data.subarray(0, most);
  const rest = data.length > most ? `\n… ${count(data.length - most)} bytes more` : "";
  try {
    return decoder.decode(data).slice(0, most) + rest;
  } catch {
    return Array.from(part.subarray(0, 4096), (b) => b.toString(16).padStart(2, "0")).join(" ") + rest;
  }
}

/** A text or base64 member of the node's JSON as bytes. */
export function bytesOf(item, name) {
  if (typeof item[name] === "string") return new TextEncoder().encode(item[name]);
  const text = atob(item[`${name}_base64`] ?? "");
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

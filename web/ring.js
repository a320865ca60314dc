// ring.js - the picture of the slots: which node owns which, and how much each owns.
import { svg } from "./text.js";

const OUTER = [100, 74];
const INNER = [70, 50];
const PALETTE = ["#0b8aa5", "#d9731a", "#7656d6", "#3b9b46", "#c2417f", "#8a7a1d", "#3f6fd1", "#a05a3c"];

/** The colour of the node in this place of the list; distinct for as many as there are. */
export function colourOf(place) {
  if (place < PALETTE.length) return PALETTE[place];
  return `hsl(${Math.round((place * 137.508) % 360)} 55% 48%)`;
}

function arc(from, to, [far, near]) {
  const end = Math.min(to, from + 0.99999);
  const point = (at, radius) => {
    const angle = 2 * Math.PI * at - Math.PI / 2;
    return `${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`;
  };
  const large = end - from > 0.5 ? 1 : 0;
  return `M${point(from, far)}A${far} ${far} 0 ${large} 1 ${point(end, far)}` +
    `L${point(end, near)}A${near} ${near} 0 ${large} 0 ${point(from, near)}Z`;
}

/** Draw `slots` as GET /v1/cluster/slots gives them; `nodes` as GET /v1/cluster does. */
export function drawRing(picture, slots, nodes) {
  const place = new Map(nodes.map((node, i) => [node.id, i]));
  const paths = nodes.map(() => "");
  const owned = nodes.map(() => 0);
  let first = 0;
  const end = (run, last) => {
    const owner = place.get(slots.nodes[run[2]]);
    if (owner === undefined) return;
    owned[owner] += last - first + 1;
    paths[owner] += arc(first / slots.slots, (last + 1) / slots.slots, OUTER);
  };
  slots.runs.forEach((run, i) => {
    const next = slots.runs[i + 1];
    if (next !== undefined && next[2] === run[2]) return; /* the same owner goes on */
    end(run, run[1]);
    first = run[1] + 1;
  });
  const parts = [];
  let from = 0;
  nodes.forEach((node, i) => {
    const down = node.state === "down" ? 0.35 : 1;
    const title = `${node.address}: ${owned[i]} slots, weight ${node.weight}, zone ${node.zone || "none"}, ${node.state}`;
    const shape = (d) => svg("path", { d, fill: colourOf(i), opacity: down }, svg("title", {}, title));
    parts.push(shape(paths[i]));
    if (owned[i] > 0) parts.push(shape(arc(from, from + owned[i] / slots.slots, INNER)));
    from += owned[i] / slots.slots;
  });
  parts.push(
    svg("text", { x: 0, y: -2, "text-anchor": "middle", fill: "currentColor", "font-size": 20, "font-weight": 600 }, nodes.length),
    svg("text", { x: 0, y: 16, "text-anchor": "middle", fill: "currentColor", "font-size": 12 }, nodes.length === 1 ? "node" : "nodes"));
  picture.replaceChildren(...parts);
}

// The graph of roles: boxes of processes, arrows of channels with their rates.
import { drawn, number } from "./dom.js";

const [WIDTH, HEIGHT, GAP, LANE] = [150, 54, 190, 26];

/** Return a drawing of the roles of a run and of what flows between them. */
export function graph(run) {
  const roles = Object.keys(run.roles);
  const column = new Map(roles.map((role, index) => [role, index]));
  const edges = flows(run.channels).filter((edge) => column.has(edge.from) && column.has(edge.to))
    .map((edge) => ({ ...edge, start: column.get(edge.from), end: column.get(edge.to) }));
  const near = edges.filter((edge) => Math.abs(edge.start - edge.end) === 1);
  const far = edges.filter((edge) => Math.abs(edge.start - edge.end) > 1);
  const rows = Math.max(1, ...near.map((edge) => place(near, edge) + 1));
  const top = 12 + LANE * far.length;
  const height = Math.max(HEIGHT, LANE * rows + 10);
  const size = [Math.max(1, roles.length) * (WIDTH + GAP) - GAP + 20, top + height + 12];
  return drawn("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, width: size[0], height: size[1], role: "img", "aria-label": "roles and channels of the run" },
    ...near.flatMap((edge) => straight(edge, top + 18 + LANE * place(near, edge))),
    ...far.flatMap((edge, index) => around(edge, index, top)),
    ...roles.map((role, index) => box(role, run.roles[role], { x: left(index), y: top, height })));
}

const left = (index) => 10 + index * (WIDTH + GAP);

/** Return which of the arrows between the same two neighbours an edge is. */
function place(edges, edge) {
  const pair = (one) => Math.min(one.start, one.end);
  return edges.filter((other) => pair(other) === pair(edge)).indexOf(edge);
}

function box(role, processes, { x, y, height }) {
  const alive = processes.filter((each) => each.state === "running").length;
  const restarts = processes.reduce((sum, each) => sum + each.restarts, 0);
  return drawn("g", {}, drawn("rect", { x, y, width: WIDTH, height, rx: 8 }),
    label(role, x + 12, y + 22), label(`${alive} of ${processes.length} run${restarts ? `, ${restarts} restarts` : ""}`, x + 12, y + 40, "dim"));
}

/** Return from, to, channel and rates for each pair of roles that share a channel. */
function flows(channels) {
  return channels.filter((channel) => channel.kind !== "control").flatMap((channel) => {
    const roles = (verb) => [...new Set(channel.processes.filter((end) => end.end === verb).map((end) => end.process.split("/")[0]))];
    const [from, to] = [roles("send"), roles("receive")];
    return from.flatMap((sender) => to.filter((receiver) => receiver !== sender).map((receiver) => ({ from: sender, to: receiver, channel })));
  });
}

/** An arrow between neighbours. */
function straight({ start, end, channel }, y) {
  const forward = start < end;
  const [from, to] = forward ? [left(start) + WIDTH, left(end)] : [left(start), left(end) + WIDTH];
  const side = forward ? -6 : 6;
  return [line(channel, `M${from},${y} L${to},${y} m${side},-4 L${to},${y} l${side},4`), label(words(channel), (from + to) / 2, y - 5, "dim middle")];
}

/** An arrow above the boxes between two roles. */
function around({ start, end, channel }, index, top) {
  const [from, to] = [start, end].map((at) => left(at) + 24 + 12 * index);
  const y = 16 + LANE * index;
  return [line(channel, `M${from},${top} L${from},${y} L${to},${y} L${to},${top} m-4,-6 L${to},${top} l4,-6`), label(words(channel), (from + to) / 2, y - 4, "dim middle")];
}

function line(channel, path) {
  return drawn("path", { class: (channel.blocked_share ?? 0) > 0.5 ? "flow blocked" : "flow", d: path });
}

function words(channel) {
  const rate = channel.messages_per_second === null ? "" : ` ${number(channel.messages_per_second, 1)}/s`;
  return `${channel.name}${rate}${channel.depth ? `, depth ${number(channel.depth)}` : ""}`;
}

function label(words, x, y, kind = "") {
  const made = drawn("text", { x, y, class: kind });
  made.textContent = words;
  return made;
}

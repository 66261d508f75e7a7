// One plot: curves of one number, zoomed by dragging or by the keyboard, drawn by uPlot.
import { element, number } from "./dom.js";

const HEIGHT = 278;
const SHOWN = 8; // values named beside the pointer, the nearest first
const AXES = { steps: short, hours: (value) => String(Math.round(1000 * value) / 1000), time: null };

export class Plot {
  /** `zoomed` is called with { from, to }, or with {} for the whole curve; `closed` when the person closes the plot. */
  constructor(key, { zoomed, closed }) {
    this.key = key;
    this.window = {};
    this.told = { zoomed, closed };
    this.close = element("button", { type: "button", title: "close", "aria-label": `close ${key}` }, "✕");
    this.close.addEventListener("click", closed);
    this.area = element("div", { className: "area", tabIndex: 0, role: "img", "aria-label": `curves of ${key}; plus and minus zoom, arrows move, 0 shows all` });
    this.area.addEventListener("keydown", (event) => this.press(event));
    this.tip = element("div", { className: "tip", hidden: true });
    this.box = element("div", { className: "plot" }, this.close, element("h3", {}, key), this.area, this.tip);
    new ResizeObserver(() => this.drawn?.setSize(this.size())).observe(this.area);
  }

  /** Draw curves: [{ name, colour, x, y }], each by its own x. */
  draw(curves, axis, log) {
    const kind = JSON.stringify([axis, log, curves.map(({ name, colour }) => [name, colour])]);
    const data = aligned(curves);
    Object.assign(this.area.dataset, { curves: curves.length, last: data[0][data[0].length - 1] ?? "" });
    if (kind === this.kind) {
      this.curves = curves;
      this.drawn.setData(data, false);
      this.fit();
      return;
    }
    this.kind = kind;
    this.drawn?.destroy();
    this.curves = curves;
    this.drawn = new uPlot(this.options(curves, axis, log), data, this.area);
    this.fit();
  }

  /** Draw again in other colours. */
  redraw() { this.drawn?.redraw(false, true); }

  size() { return { width: Math.max(120, this.area.clientWidth), height: HEIGHT - 30 }; }

  options(curves, axis, log) {
    const line = { stroke: () => colour("--text"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line"), width: 1 }, font: "11px system-ui, sans-serif" };
    const words = AXES[axis] && ((_, values) => values.map(AXES[axis]));
    return {
      ...this.size(), legend: { show: false }, padding: [8, 12, 0, 0],
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
      scales: { x: { time: axis === "time", auto: false }, y: { distr: log ? 3 : 1 } },
      axes: [{ ...line, ...(words ? { values: words } : {}), size: 30 }, { ...line, values: (_, values) => values.map((value) => (value === null ? "" : short(value))), size: 52 }],
      series: [{}, ...curves.map((each) => ({ label: each.name, stroke: each.colour, width: 1.6, points: { show: each.x.length < 3 } }))],
      hooks: { setSelect: [(drawn) => this.select(drawn)], setCursor: [(drawn) => this.point(drawn, axis)], ready: [(drawn) => drawn.over.addEventListener("dblclick", () => this.zoom({}))] },
    };
  }

  /** Show the window that was chosen, or all of the curves. */
  fit() {
    const [all, { from, to }] = [this.ends(), this.window];
    this.drawn.setScale("x", { min: from ?? all[0], max: to ?? all[1] });
  }

  ends() {
    const x = this.drawn.data[0];
    const [first, last] = [x[0] ?? 0, x[x.length - 1] ?? 1];
    return first < last ? [first, last] : [first - 0.5, last + 0.5];
  }

  select(drawn) {
    if (drawn.select.width < 3) return;
    const [from, to] = [drawn.select.left, drawn.select.left + drawn.select.width].map((at) => drawn.posToVal(at, "x"));
    drawn.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.zoom({ from, to });
  }

  zoom(window) {
    this.window = window;
    this.fit();
    this.told.zoomed(this);
  }

  press(event) {
    if (!this.drawn) return;
    const { min, max } = this.drawn.scales.x;
    const [span, middle] = [max - min, (max + min) / 2];
    const to = { "+": [middle - span / 4, middle + span / 4], "=": [middle - span / 4, middle + span / 4], "-": [middle - span, middle + span], ArrowLeft: [min - span / 4, max - span / 4], ArrowRight: [min + span / 4, max + span / 4] }[event.key];
    if (event.key === "0" || event.key === "Escape") this.zoom({});
    else if (to) this.zoom({ from: to[0], to: to[1] });
    else return;
    event.preventDefault();
  }

  /** Name the values at the pointer. */
  point(drawn, axis) {
    const { idx: index, left, top } = drawn.cursor;
    this.tip.hidden = index === null || index === undefined || left < 0;
    if (this.tip.hidden) return;
    const x = drawn.data[0][index];
    const near = this.curves.map((each, at) => ({ ...each, value: each.x.at(-1) >= x ? nearest(drawn.data[at + 1], index) : null })).filter((each) => each.value !== null)
      .sort((one, other) => Math.abs(drawn.valToPos(one.value, "y") - top) - Math.abs(drawn.valToPos(other.value, "y") - top)).slice(0, SHOWN);
    const at = axis === "time" ? new Date(1000 * x).toLocaleString() : `${number(x, axis === "hours" ? 3 : 0)} ${axis}`;
    this.tip.replaceChildren(element("b", {}, at), ...near.map((each) => row(each)));
    this.tip.className = left > drawn.over.clientWidth / 2 ? "tip left" : "tip";
  }
}

function row({ name, colour: stroke, value }) {
  const swatch = element("span", { className: "swatch" });
  swatch.style.background = stroke;
  return element("div", {}, swatch, `${name} `, element("b", {}, number(value, Math.abs(value) < 10 ? 4 : 1)));
}

/** Return x of all curves, and for each its y there; undefined where it has no point. */
function aligned(curves) {
  const some = curves.map(({ x, y }) => [x, y]);
  return some.length ? uPlot.join(some) : [[]];
}

/** Return the value at an index, or the last one before it. */
function nearest(values, index) {
  for (let at = index; at >= 0 && at > index - 500; at -= 1) if (values[at] !== undefined && values[at] !== null) return values[at];
  return null;
}

/** Return 1,500 as 1.5k and 3e6 as 3M. */
function short(value) {
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (size >= unit) return `${Number((value / unit).toPrecision(4))}${letter}`;
  return size && size < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}

const colour = (name) => getComputedStyle(document.body).getPropertyValue(name);

// The curves of the chosen runs, one plot a number. The server thins them for the window that is seen.
import { ask, element, runPath } from "./dom.js";

const FIRST = ["learner.episode_return", "master.episode_return", "evaluator.eval_return", "learner.steps_per_second", "master.steps_per_second"];
const REST_MS = 2000; // of runs that are over, nothing new is asked

export class Curves {
  constructor(page) {
    this.place = page.getElementById("curves");
    this.axis = page.getElementById("axis");
    this.smooth = page.getElementById("smooth");
    this.log = page.getElementById("log");
    this.add = page.getElementById("add");
    this.runs = [];
    this.plots = new Map();
    this.known = new Map(); // run -> names of its curves
    this.axis.addEventListener("change", () => this.again(true));
    this.smooth.addEventListener("input", () => this.draw());
    this.log.addEventListener("change", () => this.draw());
    this.add.addEventListener("change", () => this.open(this.add.value));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async choose(runs) {
    this.runs = runs;
    await Promise.all(runs.filter((run) => !this.known.has(run.name)).map((run) => this.learn(run.name)));
    await this.again(false);
  }

  async learn(name) {
    const names = Object.keys((await ask(runPath(name))).curves);
    if (names.length) this.known.set(name, names);
    const all = new Set([...this.known.values()].flat());
    const offered = [...all].sort().filter((key) => !this.plots.has(key));
    this.add.replaceChildren(element("option", { value: "" }, "add a curve"), ...offered.map((key) => element("option", { value: key }, key)));
    for (const key of FIRST) if (all.has(key) && !this.plots.has(key) && !this.closed?.has(key)) this.make(key);
  }

  async open(key) {
    if (!key) return;
    this.make(key);
    [...this.add.options].find((option) => option.value === key)?.remove();
    this.add.value = "";
    await this.fetch(this.plots.get(key));
  }

  make(key) {
    const close = element("button", { type: "button", title: "close", "aria-label": `close ${key}` }, "✕");
    const area = element("div", { className: "area", style: "height:100%" });
    const box = element("div", { className: "plot" }, close, area);
    const plot = { key, box, area, data: new Map(), window: {}, asked: 0 };
    close.addEventListener("click", () => {
      (this.closed ??= new Set()).add(key);
      this.plots.delete(key);
      box.remove();
      this.add.append(element("option", { value: key }, key));
    });
    this.plots.set(key, plot);
    this.place.append(box);
  }

  async refresh(runs) {
    const states = new Map(runs.map((run) => [run.name, run]));
    const going = this.runs.filter((run) => states.get(run.name)?.state === "running" || run.state === "running");
    this.runs = this.runs.filter((run) => states.has(run.name)).map((run) => ({ ...run, state: states.get(run.name).state }));
    await Promise.all(going.filter((run) => !this.known.has(run.name)).map((run) => this.learn(run.name)));
    if (going.length) await Promise.all([...this.plots.values()].map((plot) => this.fetch(plot, going)));
  }

  async again(whole) {
    for (const plot of this.plots.values()) {
      if (whole) plot.window = {};
      plot.data.clear();
    }
    await Promise.all([...this.plots.values()].map((plot) => this.fetch(plot)));
  }

  async fetch(plot, runs = this.runs) {
    const points = Math.max(200, Math.min(2000, Math.round(2 * plot.area.clientWidth)));
    const about = { key: plot.key, axis: this.axis.value, points, ...plot.window };
    await Promise.all(runs.map(async (run) => {
      plot.data.set(run.name, await ask(runPath(run.name, "/curve"), about));
    }));
    this.drawOne(plot);
  }

  draw() { for (const plot of this.plots.values()) this.drawOne(plot); }

  drawOne(plot) {
    const traces = this.runs.filter((run) => plot.data.get(run.name)?.x.length).map((run) => this.trace(run, plot.data.get(run.name)));
    const style = getComputedStyle(document.body);
    const [text, line] = [style.getPropertyValue("--text"), style.getPropertyValue("--line")];
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line };
    const layout = {
      title: { text: escaped(plot.key), font: { size: 13 } }, showlegend: false, uirevision: this.axis.value + this.log.checked,
      margin: { l: 56, r: 10, t: 34, b: 34 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent", font: { color: text, size: 11 },
      xaxis: { ...axis, type: this.axis.value === "time" ? "date" : "linear" }, yaxis: { ...axis, type: this.log.checked ? "log" : "linear" },
      hovermode: "x unified", hoverlabel: { bgcolor: style.getPropertyValue("--card") },
    };
    Plotly.react(plot.area, traces, layout, { responsive: true, displaylogo: false, displayModeBar: false });
    if (!plot.listens) {
      plot.listens = true;
      plot.area.on("plotly_relayout", (change) => this.zoomed(plot, change));
    }
  }

  trace(run, { x, y }) {
    const shown = this.axis.value === "time" ? x.map((seconds) => new Date(1000 * seconds)) : x;
    const mode = x.length < 3 ? "lines+markers" : "lines";
    return { x: shown, y: smoothed(y, Number(this.smooth.value)), name: escaped(run.name), type: "scatter", mode, line: { color: run.colour, width: 1.6 } };
  }

  zoomed(plot, change) {
    if (change["xaxis.autorange"]) plot.window = {};
    else if (change["xaxis.range[0]"] !== undefined) {
      const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]].map((end) => this.axis.value === "time" ? Date.parse(end) / 1000 : end);
      plot.window = { from, to };
    } else return;
    this.fetch(plot);
  }
}

/** Return the exponential mean, corrected for its beginning; 0 changes nothing. */
function smoothed(values, keep) {
  if (!keep) return values;
  let [mean, weight] = [0, 0];
  return values.map((value) => {
    mean = keep * mean + (1 - keep) * value;
    weight = keep * weight + (1 - keep);
    return mean / weight;
  });
}

/** Plotly reads a little markup in names; there is none in ours. */
const escaped = (name) => name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

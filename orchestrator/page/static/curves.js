// The curves of the chosen runs, one plot a number. The server thins them for the window that is seen.
import { ask, element } from "./dom.js";
import { Plot } from "./plot.js";

const FIRST = ["learner.episode_return", "master.episode_return", "evaluator.eval_return", "learner.steps_per_second", "master.steps_per_second"];
const AT_ONCE = 50; // runs in one question

export class Curves {
  constructor(page) {
    this.place = page.getElementById("curves");
    this.axis = page.getElementById("axis");
    this.smooth = page.getElementById("smooth");
    this.log = page.getElementById("log");
    this.add = page.getElementById("add");
    this.runs = [];
    this.plots = new Map();
    this.closed = new Set();
    this.data = new Map(); // plot key -> run -> { mark, x, y }
    this.grown = new Set(); // keys of plots with points that are not drawn yet
    this.names = [];
    this.axis.addEventListener("change", () => this.again());
    this.smooth.addEventListener("input", () => this.draw());
    this.log.addEventListener("change", () => this.draw());
    this.add.addEventListener("change", () => this.open(this.add.value));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plots.forEach((plot) => plot.redraw()));
  }

  async choose(runs) {
    this.runs = runs;
    for (const key of this.plots.keys()) this.grown.add(key);
    await this.look();
  }

  /** Take up what is new of the chosen runs. `runs` are all that there are. */
  async refresh(runs) {
    const states = new Map(runs.map((run) => [run.name, run.state]));
    const there = this.runs.filter((run) => states.has(run.name));
    const going = there.some((run) => run.state === "running" || states.get(run.name) === "running");
    this.runs = there.map((run) => ({ ...run, state: states.get(run.name) }));
    if (going || !this.names.length) await this.look();
  }

  /** Ask for the curves of all plots, those that first plots need too, and draw what has changed. */
  async look(only = null) {
    const asked = this.runs.map((run) => run.name);
    for (let at = 0; at < asked.length; at += AT_ONCE) await this.ask(asked.slice(at, at + AT_ONCE), only);
    for (const key of this.grown) if (this.plots.has(key)) this.drawOne(this.plots.get(key));
    this.grown.clear();
  }

  async ask(runs, only) {
    const open = only ? [only] : [...this.plots.values()];
    const plots = open.length ? open : FIRST.map((key) => ({ key, window: {} })); // nothing is drawn yet
    const about = { axis: this.axis.value, points: this.points() };
    const questions = plots.map((plot) => ({ key: plot.key, window: plot.window, marks: this.marks(plot.key, runs, about.points) }));
    const answer = await ask("/api/curves", { ask: JSON.stringify({ ...about, runs, curves: questions }) });
    if (about.axis !== this.axis.value) return;
    for (const { key, window } of questions) if ((this.plots.get(key)?.window ?? window) === window) this.take(key, answer.curves[key]);
    this.offer(answer.names);
  }

  /** Return marks of what there is of each run, so that only later points are sent; -1 asks for all, thinned anew. */
  marks(key, runs, points) {
    const kept = this.data.get(key);
    return runs.map((run) => (kept?.has(run) && kept.get(run).x.length <= 2 * points ? kept.get(run).mark : -1));
  }

  /** Keep what an answer brought: a whole curve, or the points after those of the mark `since`. */
  take(key, found) {
    const kept = this.data.get(key) ?? new Map();
    this.data.set(key, kept);
    for (const [run, { mark, since, x, y }] of Object.entries(found)) {
      const before = since === -1 ? { mark: -1, x: [], y: [] } : kept.get(run);
      if (before?.mark !== since) continue;
      kept.set(run, { mark, x: before.x.concat(x), y: before.y.concat(y) });
      this.grown.add(key);
    }
  }

  /** Offer the names of curves, and make the plots that are shown unasked. */
  offer(names) {
    const all = [...new Set([...this.names, ...names])].sort();
    if (all.length !== this.names.length) this.names = all;
    const offered = this.names.filter((key) => !this.plots.has(key));
    if (offered.join("\n") !== this.offered) {
      this.offered = offered.join("\n");
      this.add.replaceChildren(element("option", { value: "" }, "add a curve"), ...offered.map((key) => element("option", { value: key }, key)));
    }
    for (const key of FIRST) if (this.names.includes(key) && !this.plots.has(key) && !this.closed.has(key)) this.make(key);
  }

  async open(key) {
    if (!key) return;
    this.closed.delete(key);
    await this.look(this.make(key));
    this.add.value = "";
  }

  make(key) {
    const zoomed = (plot) => this.anew(plot);
    const plot = new Plot(key, { zoomed, closed: () => this.close(key) });
    this.plots.set(key, plot);
    this.place.append(plot.box);
    this.offered = null;
    return plot;
  }

  close(key) {
    this.closed.add(key);
    this.plots.get(key).box.remove();
    this.plots.delete(key);
    this.data.delete(key);
    this.offered = null;
    this.offer([]);
  }

  /** Ask for one plot anew, in another window. */
  async anew(plot) {
    for (const curve of this.data.get(plot.key)?.values() ?? []) curve.mark = -1;
    await this.look(plot);
  }

  async again() {
    this.data.clear();
    for (const plot of this.plots.values()) plot.window = {};
    await this.look();
  }

  points() {
    const width = [...this.plots.values()][0]?.area.clientWidth ?? 600;
    return Math.max(200, Math.min(2000, 2 * width));
  }

  draw() { for (const plot of this.plots.values()) this.drawOne(plot); }

  drawOne(plot) {
    const kept = this.data.get(plot.key);
    const shown = this.runs.filter((run) => kept?.get(run.name)?.x.length);
    const curves = shown.map(({ name, colour }) => ({ name, colour, x: kept.get(name).x, y: smoothed(kept.get(name).y, Number(this.smooth.value)) }));
    plot.draw(curves, this.axis.value, this.log.checked);
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

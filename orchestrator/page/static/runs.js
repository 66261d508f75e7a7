// The list of runs: which there are, and which of them are chosen.
import { element, number } from "./dom.js";

const COLOURS = ["#1f77b4", "#e6550d", "#2ca02c", "#9467bd", "#d62728", "#17a2b8", "#bc8f00", "#e377c2", "#8c564b", "#7f7f7f"];
const GROUP_LABELS = ["sweep", "group"];

export class RunList {
  constructor(page, { chosen, opened }) {
    this.place = page.getElementById("runs");
    this.filter = page.getElementById("filter");
    this.told = { chosen, opened };
    this.chosen = new Set();
    this.rows = new Map();
    this.runs = [];
    this.filter.addEventListener("input", () => this.draw());
  }

  update(runs) {
    this.runs = runs;
    const there = new Set(runs.map((run) => run.name));
    for (const name of this.chosen) if (!there.has(name)) this.chosen.delete(name);
    this.draw();
  }

  choose(names, on = true) {
    for (const name of names) on ? this.chosen.add(name) : this.chosen.delete(name);
    this.draw();
    this.told.chosen(this.selected());
  }

  firstChosen() { return [...this.chosen][0]; }

  selected() {
    return this.runs.filter((run) => this.chosen.has(run.name)).map((run) => ({ ...run, colour: this.colour(run.name) }));
  }

  /** A colour stays that of its run while others come and go. */
  colour(name) {
    if (!this.rows.has(name)) this.rows.set(name, { colour: COLOURS[this.rows.size % COLOURS.length] });
    return this.rows.get(name).colour;
  }

  draw() {
    const words = this.filter.value.trim().toLowerCase();
    const shown = this.runs.filter((run) => !words || about(run).includes(words));
    const groups = new Map();
    for (const run of shown) {
      const group = GROUP_LABELS.map((label) => run.labels[label]).find(Boolean) ?? "";
      groups.set(group, [...(groups.get(group) ?? []), run]);
    }
    const wanted = [];
    for (const [group, runs] of [...groups].sort()) {
      if (group) wanted.push(this.header(group, runs));
      wanted.push(...runs.map((run) => this.row(run)));
    }
    if (!wanted.length) wanted.push(element("p", { className: "empty" }, words ? "no run has that" : "no runs yet: surreal create experiment.yaml"));
    this.replace(wanted);
  }

  /** Put nodes in place only where they differ, so that the keyboard's place is kept. */
  replace(wanted) {
    const now = [...this.place.children];
    if (now.length !== wanted.length || now.some((node, index) => node !== wanted[index])) this.place.replaceChildren(...wanted);
  }

  header(group, runs) {
    const names = runs.map((run) => run.name);
    const key = `group ${group}`;
    const box = this.rows.get(key)?.box ?? element("input", { type: "checkbox" });
    const row = this.rows.get(key)?.row ?? element("label", { className: "group" }, box, element("span"));
    this.rows.set(key, { box, row, colour: "" });
    box.checked = names.every((name) => this.chosen.has(name));
    box.onchange = () => this.choose(names, box.checked);
    row.lastChild.textContent = `${group} (${runs.length})`;
    return row;
  }

  row(run) {
    this.colour(run.name);
    const kept = this.rows.get(run.name);
    if (!kept.node) Object.assign(kept, this.newRow(run.name, kept.colour));
    const chosen = this.chosen.has(run.name);
    kept.node.className = chosen ? "run chosen" : "run";
    kept.box.checked = chosen;
    kept.state.textContent = run.state;
    kept.state.className = `state ${run.state}`;
    kept.facts.textContent = `${number(run.steps)} steps, return ${number(run.episode_return, 1)}`;
    kept.bar.max = run.total_steps || 1;
    kept.bar.value = run.steps || 0;
    return kept.node;
  }

  newRow(name, colour) {
    const box = element("input", { type: "checkbox", "aria-label": `show the curves of ${name}` });
    box.addEventListener("change", () => this.choose([name], box.checked));
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = colour;
    const open = element("button", { type: "button", title: name }, name);
    open.addEventListener("click", () => this.told.opened(name));
    const [state, facts, bar] = [element("span"), element("span", { className: "facts" }), element("progress", { "aria-label": `progress of ${name}` })];
    return { box, state, facts, bar, node: element("div", { className: "run" }, box, swatch, open, state, bar, facts) };
  }
}

const about = (run) => [run.name, run.state, ...Object.entries(run.labels).flat()].join(" ").toLowerCase();

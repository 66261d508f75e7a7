// One run in detail: processes, graph of its roles, channels, logs, plan, films.
import { ask, duration, element, number, runPath, table, Words } from "./dom.js";
import { graph } from "./graph.js";

export class Detail {
  constructor(page) {
    this.section = page.getElementById("detail");
    this.title = page.getElementById("detail-name");
    this.reason = page.getElementById("detail-reason");
    this.tabs = page.getElementById("tabs");
    this.panel = page.getElementById("panel");
    this.parts = { Overview: overview, Processes: processes, Channels: channels, Logs: logs, Plan: plan, Films: films };
    this.part = "Overview";
    this.makeTabs();
  }

  makeTabs() {
    for (const part of Object.keys(this.parts)) {
      const tab = element("button", { type: "button", role: "tab" }, part);
      tab.addEventListener("click", () => this.show(part));
      tab.addEventListener("keydown", (event) => this.step(event));
      this.tabs.append(tab);
    }
  }

  /** Arrow keys move between the tabs, as readers of the screen expect. */
  step(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const all = Object.keys(this.parts);
    const next = (all.indexOf(this.part) + by + all.length) % all.length;
    this.tabs.children[next].focus();
    this.show(all[next]);
  }

  async open(name) {
    this.name = name;
    this.section.hidden = false;
    await this.draw(true);
  }

  async show(part) {
    this.part = part;
    this.panel.replaceChildren();
    await this.draw(true);
  }

  async refresh(runs) {
    if (!this.name) return;
    const run = runs.find((each) => each.name === this.name);
    if (!run) {
      this.reason.textContent = `${this.name} is gone: it was deleted.`;
      return;
    }
    if (run.state === "running" || run.state !== this.state) await this.draw(false);
  }

  async draw(whole) {
    if (!this.name) return;
    [...this.tabs.children].forEach((tab) => {
      tab.setAttribute("aria-selected", String(tab.textContent === this.part));
      tab.tabIndex = tab.textContent === this.part ? 0 : -1;
    });
    const [name, part] = [this.name, this.part];
    const run = await ask(runPath(name));
    if (name !== this.name || part !== this.part) return;
    this.state = run.state;
    this.title.textContent = `${name}: ${run.state}`;
    this.reason.textContent = run.reason;
    if (whole || !["Plan", "Films"].includes(part)) await this.parts[part](this.panel, run);
  }
}

function overview(panel, run) {
  const facts = [
    ["steps", `${number(run.steps)} of ${number(run.total_steps)}`], ["speed", `${number(run.steps_per_second)} steps/s`],
    ["return", number(run.episode_return, 1)], ["evaluation", number(run.eval_return, 1)], ["staleness", number(run.staleness, 2)],
    ["elapsed", duration(run.elapsed)], ["left", run.state === "running" ? duration(run.eta_seconds) : "-"],
    ["cost", cost(run)], ["folder", run.folder],
  ];
  panel.replaceChildren(graph(run), table(["", ""], facts));
}

function cost(run) {
  if (run.hours === null || run.hours === undefined) return "-";
  const dollars = run.cost === null || run.cost === undefined ? "no price is known" : `$${run.cost.toFixed(2)}`;
  return `${dollars} for ${number(run.hours, 2)} hours so far`;
}

function processes(panel, run) {
  const rows = Object.entries(run.roles).flatMap(([role, all]) => all.map((each) =>
    [`${role}/${each.index}`, each.state, number(each.restarts), each.node, new Words(each.reason)]));
  panel.replaceChildren(table(["process", "state", "restarts", "machine", "last words"], rows));
}

function channels(panel, run) {
  const rows = run.channels.map((each) => [each.name, each.kind, number(each.messages_per_second, 1), number(each.bytes_per_second === null ? null : each.bytes_per_second / 1e6, 2),
    each.blocked_share === null ? "-" : `${Math.round(100 * each.blocked_share)} %`, number(each.depth), number(each.dropped), number(each.resent)]);
  panel.replaceChildren(rows.length ? table(["channel", "kind", "messages/s", "MB/s", "blocked", "depth", "dropped", "resent"], rows)
    : element("p", { className: "empty" }, "no process has reported its channels"));
}

async function logs(panel, run) {
  const chosen = panel.querySelector("select")?.value ?? "";
  const lines = await ask(runPath(run.name, "/logs"), { source: chosen });
  const sources = ["", ...Object.keys(run.roles), "supervisor"].map((source) => element("option", { value: source, selected: source === chosen }, source || "all processes"));
  const select = element("select", { "aria-label": "Source of the log" }, ...sources);
  const text = lines.map((line) => `${line.source.padEnd(14)} ${line.text}`).join("\n");
  const shown = panel.querySelector("pre");
  if (shown && panel.querySelector("select")) {
    if (shown.textContent === text) return;
    const atEnd = shown.scrollTop + shown.clientHeight >= shown.scrollHeight - 8;
    shown.textContent = text;
    if (atEnd) shown.scrollTop = shown.scrollHeight;
    return;
  }
  select.addEventListener("change", () => logs(panel, run));
  const made = element("pre", { tabIndex: 0, "aria-label": "Log" }, text);
  panel.replaceChildren(select, made);
  made.scrollTop = made.scrollHeight;
}

async function plan(panel, run) {
  const found = await ask(runPath(run.name, "/plan"));
  panel.replaceChildren(element("pre", { tabIndex: 0 }, Object.keys(found).length ? JSON.stringify(found, null, 2) : "the plan cannot be read now"));
}

async function films(panel, run) {
  const names = await ask(runPath(run.name, "/videos"));
  const shown = names.map((name) => element("figure", {}, element("video", { src: runPath(run.name, `/videos/${encodeURIComponent(name)}`), controls: true, preload: "metadata" }), element("figcaption", {}, name)));
  panel.replaceChildren(...(shown.length ? shown : [element("p", { className: "empty" }, "no film is in the folder videos/ of this run")]));
}

// The page: it asks for the runs every second, and for what is chosen of them while it is seen.
import { ask } from "./dom.js";
import { Curves } from "./curves.js";
import { Detail } from "./detail.js";
import { RunList } from "./runs.js";

const INTERVAL_MS = 1000;
const MANY = 8; // runs whose curves are shown unasked

const health = document.getElementById("health");
const curves = new Curves(document);
const detail = new Detail(document);
const list = new RunList(document, {
  chosen: (runs) => curves.choose(runs),
  opened: (name) => detail.open(name),
});

let first = true;
async function look() {
  try {
    const runs = await ask("/api/runs");
    list.update(runs);
    if (first && runs.length) {
      first = false;
      const names = [...runs.filter((run) => run.state === "running"), ...runs].map((run) => run.name);
      list.choose([...new Set(names)].slice(0, MANY));
      await detail.open(list.firstChosen());
    } else await Promise.all([curves.refresh(runs), detail.refresh(runs)]);
    const going = runs.filter((run) => run.state === "running").length;
    health.textContent = `${runs.length} runs, ${going} running`;
    health.className = "";
  } catch (error) {
    health.textContent = error instanceof TypeError ? "no connection to surreal open; trying again" : error.message;
    health.className = "away";
  }
}

async function watch() {
  if (!document.hidden) await look();
  setTimeout(watch, INTERVAL_MS);
}
watch();

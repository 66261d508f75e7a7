// Elements are made of words only: text of a run never becomes markup.

/** Return an element with properties and children; strings become text. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Return an SVG element with attributes and children. */
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Return a table of rows; the first holds the headers. A cell is a string, or an element. */
export function table(headers, rows) {
  const head = element("tr", {}, ...headers.map((header) => element("th", { scope: "col" }, header)));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", cell instanceof Words ? { className: "words" } : {}, String(cell)))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

/** A cell that may break into lines. */
export class Words {
  constructor(text) { this.text = text; }
  toString() { return this.text; }
}

/** Return JSON of the server. Throws an Error with the server's sentence. */
export async function ask(path, values = {}) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  const query = new URLSearchParams(given).toString();
  const answer = await fetch(query ? `${path}?${query}` : path);
  const data = await answer.json().catch(() => ({ error: `${answer.status} ${answer.statusText}` }));
  if (!answer.ok) throw new Error(data.error);
  return data;
}

/** Return the path of a run in the server's interface. */
export const runPath = (name, part = "") => `/api/runs/${encodeURIComponent(name)}${part}`;

export const number = (value, digits = 0) => value === null || value === undefined ? "-"
  : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "-";
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${(seconds / length).toFixed(1)} ${unit}`;
  }
  return `${Math.round(seconds)} s`;
}

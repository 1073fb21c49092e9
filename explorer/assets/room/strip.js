// Every parameter in one table: sorted, searched, and chosen. Only the rows in sight are in the page.

import { make } from "../graphview/dom.js";
import { t } from "../texts.js";
import { write } from "./bar.js";
import { drawSpark } from "./spark.js";
import { grouped, told } from "./scales.js";
import { stepOf } from "./state.js";

const ROW_HEIGHT = 30;
const SIGHT = 9; // rows in sight at most
const SPARE = 4; // rows beyond each edge, so that the keyboard finds the next one
const RESORT_MS = 1500; // while training: rows that change places ten times a second can't be read
const COLUMNS = [
  { key: "name", title: t("Parameter") },
  { key: "gradient", title: t("Gradient"), unit: "rms" },
  { key: "spark", title: t("over the steps") },
  { key: "update", title: t("Update ratio"), unit: "‖Δw‖/‖w‖" },
  { key: "weight", title: t("Weight"), unit: "rms" },
  { key: "frozen", title: t("Freeze") },
];
const SORTED = ["name", "gradient", "update", "weight"];

/** The table *Parameters*. */
export function createStrip(room) {
  const search = make("input", { type: "search", placeholder: t("Find a parameter"), "aria-label": t("Find a parameter"), oninput: () => refresh(true) });
  const count = make("span", { class: "count", role: "status" });
  const every = make("input", { type: "checkbox", "aria-label": t("Freeze all that are shown"), title: t("Freeze all that are shown"), onchange: () => freeze(sorted.map((index) => room.state.run.rows[index].id), every.checked) });
  const heads = COLUMNS.map((column) => head(column));
  const body = make("tbody", {});
  const [above, below] = [make("tr", { "aria-hidden": "true" }), make("tr", { "aria-hidden": "true" })];
  const table = make("table", { "aria-label": t("Parameters") }, make("thead", {}, make("tr", {}, ...heads)), body);
  const scroller = make("div", { class: "scroller", tabindex: "-1", onscroll: () => refresh(false) }, table);
  const element = make("section", { class: "card strip", "aria-label": t("All parameters") }, make("header", {}, make("h3", {}, t("Parameters")), count, search), scroller);
  const made = new Map();
  let order = { key: "name", down: false };
  let sorted = [];
  let when = 0;
  let wanted = false;
  let visible = true; // out of sight nothing of it is brought up to date

  function head({ key, title, unit }) {
    const text = unit ? [title, " ", make("small", {}, unit)] : [title];
    if (!SORTED.includes(key)) return make("th", { scope: "col", class: key }, ...text, ...(key === "frozen" ? [" ", every] : []));
    const button = make("button", { type: "button", onclick: () => sortBy(key) }, ...text, make("i", { class: "arrow", "aria-hidden": "true" }));
    return make("th", { scope: "col", class: key, "aria-sort": key === "name" ? "ascending" : "none" }, button);
  }

  /** A layer's parameters share its name: what is searched is frozen together. */
  function freeze(ids, value) {
    room.send({ type: "freeze", ids, value });
  }

  function sortBy(key) {
    order = { key, down: order.key === key ? !order.down : key !== "name" };
    heads.forEach((own, i) => SORTED.includes(COLUMNS[i].key) && own.setAttribute("aria-sort", COLUMNS[i].key === key ? (order.down ? "descending" : "ascending") : "none"));
    scroller.scrollTop = 0;
    refresh(true);
  }

  // ---- which rows, in which order ----

  function sort(run) {
    const text = search.value.trim().toLowerCase();
    const rows = run.rows.map((_, index) => index).filter((index) => run.rows[index].kind === "parameter");
    const found = text ? rows.filter((index) => run.rows[index].name.toLowerCase().includes(text)) : rows;
    const column = run.columnOf(stepOf(room.state));
    if (order.key !== "name") {
      const values = new Map(found.map((index) => [index, rank(run.held(order.key, index, column)[0])]));
      found.sort((a, b) => values.get(a) - values.get(b) || a - b);
    }
    if (order.down) found.reverse();
    sorted = found;
    write(count, text ? t("{count} of {count_all}", { count: grouped(found.length), count_all: grouped(rows.length) }) : grouped(rows.length));
    table.setAttribute("aria-rowcount", String(found.length + 1));
  }

  // ---- the rows in sight ----

  function refresh(anew) {
    wanted = wanted || anew;
    room.soon();
  }

  function paint(all) {
    const { run, status } = room.state;
    if (!run || !(visible || all)) return;
    if (wanted || performance.now() - when > (status.playing ? RESORT_MS : 0)) {
      sort(run);
      when = performance.now();
      wanted = false;
    }
    element.classList.toggle("elsewhere", Boolean(status.follows)); // nothing of it can be frozen from here
    const held = sorted.filter((index) => run.rows[index].frozen).length;
    every.checked = held > 0 && held === sorted.length;
    every.indeterminate = held > 0 && held < sorted.length;
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW_HEIGHT) - SPARE);
    const end = Math.min(sorted.length, first + SIGHT + 2 * SPARE);
    place(run, first, end);
    const column = run.columnOf(stepOf(room.state));
    for (let i = first; i < end; i++) fill(made.get(keyOf(run.rows[sorted[i]])), run, sorted[i], column, i);
  }

  function place(run, first, end) {
    const shown = sorted.slice(first, end).map((index) => run.rows[index]);
    const keys = new Set(shown.map(keyOf));
    for (const [key, { row }] of made) {
      if (keys.has(key)) continue;
      row.remove();
      made.delete(key);
    }
    above.style.height = `${first * ROW_HEIGHT}px`;
    below.style.height = `${(sorted.length - end) * ROW_HEIGHT}px`;
    scroller.style.height = `${ROW_HEIGHT * Math.min(Math.max(sorted.length, 1), SIGHT) + 35}px`;
    const rows = shown.map((row) => (made.get(keyOf(row)) || makeRow(row)).row);
    // put only what isn't in its place: a row that has the focus must not leave the page
    [above, ...rows, below].forEach((row, i) => body.children[i] !== row && body.insertBefore(row, body.children[i] || null));
  }

  /** Another model has other parameters under the same ids. */
  function keyOf({ id, name }) {
    return `${id} ${name}`;
  }

  function makeRow({ id, name }) {
    const button = make("button", { type: "button", class: "link", title: name, onclick: () => room.choose(id) }, make("bdi", {}, name));
    const box = make("input", { type: "checkbox", "aria-label": t("Freeze {name}", { name }), onchange: () => freeze([id], box.checked) });
    const spark = make("canvas", { class: "spark", "aria-hidden": "true" });
    const [gradient, update, weight] = [make("td", {}), make("td", { class: "update" }), make("td", { class: "weight" })];
    const row = make("tr", {}, make("th", { scope: "row" }, button), gradient, make("td", { class: "spark" }, spark), update, weight, make("td", { class: "frozen" }, box));
    const own = { row, gradient, update, weight, spark, box };
    made.set(keyOf({ id, name }), own);
    return own;
  }

  function fill(own, run, index, column, place) {
    const [gradient, update, weight] = ["gradient", "update", "weight"].map((key) => run.held(key, index, column)[0]);
    write(own.gradient, told(gradient));
    write(own.update, weight === 0 && update === -Infinity ? "–" : told(update)); // of nothing there is no share
    write(own.weight, told(weight));
    const { id, frozen } = run.rows[index];
    if (own.box.checked !== Boolean(frozen)) own.box.checked = Boolean(frozen);
    own.row.setAttribute("aria-rowindex", String(place + 2));
    own.row.classList.toggle("chosen", id === room.state.row);
    own.row.classList.toggle("frozen", Boolean(frozen));
    drawSpark(own.spark, run, index, room);
  }

  room.subscribe((changed) => {
    if (["run", "hover", "row", "status", "theme"].some((key) => changed.has(key))) refresh(changed.has("run") && !room.state.status.playing);
  });
  return {
    element,
    field: scroller,
    paint,
    sized: () => undefined,
    set visible(shown) {
      visible = shown;
      refresh(false);
    },
  };
}

/** What isn't recorded comes first, what isn't finite last. */
function rank(value) {
  if (Number.isNaN(value)) return -1;
  return value === -Infinity ? Infinity : value;
}

// The table twin of the graph: everything the picture says, as rows, for screen readers and for those who prefer it.

import { t, translated } from "../texts.js";
import { make } from "./dom.js";
import { spoken, stateInWords, stateOf } from "./store.js";
import { beforeAfter } from "./whatif.js";

const TOGETHER = 64; // rows that are laid out anew when one of them changes: of thousands that would take a frame

/** The table and a line that says each step aloud. */
export function createTable(store, actions) {
  const head = make("tr", {}, ...[t("Name"), t("Operation"), t("Shape"), t("Value"), t("Gradient"), t("State")].map((text) => make("th", { scope: "col" }, text)));
  const table = make("table", { "aria-label": t("Compute graph") }, make("thead", {}, head));
  const element = make("div", { class: "twin", tabindex: "-1" }, table);
  const live = make("p", { class: "live", role: "status", "aria-live": "polite" });
  const rows = new Map();
  let shown = false; // unseen, it can be read, but Tab doesn't lead where nothing is to be seen

  function build() {
    rows.clear();
    const { scene } = store.state;
    for (const box of scene.boxes) {
      const name = make("button", { type: "button", class: "link", tabindex: shown ? "0" : "-1", onclick: () => actions.select(box.node) }, box.name);
      const cells = [make("td", {}, translated(box.operation)), make("td", {}, box.shape), make("td"), make("td"), make("td")];
      rows.set(box.id, { box, cells, name, row: make("tr", {}, make("th", { scope: "row" }, name), ...cells) });
    }
    const all = [...rows.values()].map(({ row }) => row);
    const groups = [];
    for (let first = 0; first < all.length; first += TOGETHER) groups.push(make("tbody", {}, ...all.slice(first, first + TOGETHER)));
    table.replaceChildren(table.tHead, ...groups);
  }

  function fill(entry) {
    const { figures, position, whatif, plain } = store.state;
    const own = figures && figures.boxes[entry.box.id];
    const before = (whatif && plain[entry.box.id]) || {};
    const moved = whatif && whatif.boxes[entry.box.id];
    const state = stateOf(entry.box, position);
    const texts = [
      state === "not reached" ? "–" : textOf(own && own.value, before.value),
      state === "gradient" ? textOf(own && own.grad, before.grad) : "–",
      moved && ((moved.value && state !== "not reached") || (moved.grad && state === "gradient")) ? `${stateInWords(state)} · ${t("changed")}` : stateInWords(state),
    ];
    texts.forEach((text, i) => {
      const cell = entry.cells[i + 2];
      if (cell.textContent !== text) cell.textContent = text;
    });
    entry.row.dataset.state = state;
  }

  let before = 0;
  store.subscribe((changed) => {
    const { scene, position } = store.state;
    if (!scene) return;
    if (changed.has("scene")) build();
    if (["scene", "figures", "whatif", "plain"].some((key) => changed.has(key))) rows.forEach(fill);
    else if (changed.has("position")) {
      const stops = scene.stops.slice(Math.min(before, position), Math.max(before, position));
      for (const stop of stops) fill(rows.get(stop.box));
    }
    if (changed.has("position")) live.textContent = aloud();
    before = position;
  });

  function aloud() {
    const { scene, position, figures } = store.state;
    const stop = position > 0 ? scene.stops[position - 1] : null;
    const own = stop && figures && figures.boxes[stop.box];
    if (!own) return spoken(store.state);
    const picture = stop.phase === "Backward" ? own.grad : own.value;
    return `${spoken(store.state)}${picture ? `, ${stateInWords(stop.phase === "Backward" ? "gradient" : "value")} ${textOf(picture)}` : ""}`;
  }

  return {
    element,
    live,
    toggle(now) {
      shown = now;
      element.classList.toggle("shown", shown);
      for (const { name } of rows.values()) name.tabIndex = shown ? 0 : -1;
    },
    /** Say a box aloud: what its row has. */
    say(id) {
      const { box, cells } = rows.get(id);
      const [operation, shape, value, gradient, state] = cells.map((cell) => cell.textContent);
      const numbers = [[t("value"), value], [t("gradient"), gradient]].filter(([, text]) => text !== "–").map((pair) => pair.join(" "));
      live.textContent = [box.name, operation, shape, ...numbers, state, ...(box.opens ? [t("Enter opens it")] : [])].join(", ");
    },
  };
}

function textOf(picture, before = null) {
  if (!picture) return "–";
  const text = beforeAfter(picture, before);
  return picture.shape.length ? `rms ${text}` : text;
}

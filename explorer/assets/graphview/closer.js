// A gradient looked at closer: checked by differences, and moved by several optimisers.

import { t } from "../texts.js";
import { make } from "./dom.js";
import { createValley } from "./valley.js";

/** Keeps what was found for each box until the numbers change. */
export function createCloser(store, look, actions, changed) {
  let found = new Map();
  let asked = new Set();

  function ask(key, request) {
    asked.add(key);
    request();
    changed();
  }

  function button(key, text, request) {
    const waits = asked.has(key);
    const made = make("button", { type: "button", class: "quiet", disabled: waits, onclick: () => ask(key, request) }, waits ? `${text}…` : text);
    return made;
  }

  /** Which argument leaves of the loss a box holds: itself, or what is folded into it. */
  function leaves(box) {
    if (box.kind === "parameter" || box.kind === "input") return /float/.test(box.shape) ? [["", box.node]] : [];
    return box.holds;
  }

  return {
    /** Buttons that check a gradient, and the picture of the last check. */
    valley(box, index) {
      const own = leaves(box);
      if (!own.length || store.state.whatif) return null;
      const buttons = own.map(([name, node]) => button(`valley ${box.id} ${node}`, name ? t("Check {name} by differences", { name }) : t("Check by differences"), () => actions.check(node, name ? null : index)));
      const seen = found.get(`valley ${box.id}`);
      return make("div", { class: "closer" }, make("div", { class: "row" }, ...buttons), seen ? createValley(seen, look, store.state.theme) : null);
    },
    /** Buttons that compare optimisers, and the last comparison. */
    moves(box) {
      const own = leaves(box).filter(([, node]) => store.state.status && store.state.status.updates[node]);
      if (!own.length || store.state.whatif) return null;
      const buttons = own.map(([name, node]) => button(`moves ${box.id} ${node}`, name ? t("Other optimisers on {name}", { name }) : t("Other optimisers"), () => actions.moves(node)));
      const seen = found.get(`moves ${box.id}`);
      return make("div", { class: "closer" }, make("div", { class: "row" }, ...buttons), seen ? comparison(seen, nameIn(own, seen.node)) : null);
    },
    take(what, box, more) {
      found.set(`${what} ${box}`, more);
      asked = new Set([...asked].filter((key) => !key.startsWith(`${what} ${box} `)));
      changed();
    },
    forget() {
      found = new Map();
      asked = new Set();
    },
    release() {
      asked = new Set();
    },
  };
}

function nameIn(leaves, node) {
  const own = leaves.find(([, id]) => id === node);
  return own ? own[0] : "";
}

function comparison({ rows, rate, gradient }, name) {
  const largest = rows.reduce((most, row) => Math.max(most, row.size || 0), 0);
  const head = make("tr", {}, ...[t("Optimiser"), "‖Δw‖", "cos", "ΔL"].map((text) => make("th", { scope: "col" }, text)));
  head.children[2].title = t("Cosine of the angle between the update and −gradient: 1 is straight down");
  head.children[3].title = t("Change of the loss that the gradient promises for this update");
  const lines = rows.map((row) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, row.name),
      make("td", {}, make("i", { class: "bar", style: `width: ${largest ? Math.max((48 * (row.size || 0)) / largest, 1) : 0}px` }), ` ${row.size_text}`),
      make("td", {}, row.cosine === null ? "–" : row.cosine.toFixed(2)),
      make("td", {}, row.expected),
    ),
  );
  return make(
    "div",
    { class: "moves" },
    make("table", { "aria-label": name ? t("Optimisers on this gradient of {name}", { name }) : t("Optimisers on this gradient") }, make("thead", {}, head), make("tbody", {}, ...lines)),
    make("p", { class: "note" }, t("Backpropagation computes one gradient, ‖∂L/∂{name}‖ = {gradient}; each optimiser moves by it in its own way. ΔL is the change of the loss that the gradient promises. First steps, at rate {rate}: with nothing remembered yet, momentum moves as SGD does.", { name: name || "w", gradient, rate })),
  );
}

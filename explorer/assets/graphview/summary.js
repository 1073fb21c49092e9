// What a folded scope costs, in a few rows: counted when it is selected.

import { t } from "../texts.js";
import { make } from "./dom.js";

const ROWS = [
  ["parameters", t("Parameters"), t("numbers that are trained in it"), (share) => t("{share} of all", { share })],
  ["forward", t("Forward"), t("floating-point operations of one pass"), (share) => t("{share} of the pass", { share })],
  ["backward", t("Backward"), t("operations on the way back"), (share) => t("{share} of the way back", { share })],
  ["kept", t("Kept"), t("bytes of its residuals: what the forward pass keeps for the backward pass"), (share) => t("{share} of all residuals", { share })],
  ["gradient", t("Gradient"), t("squared norm of the gradient of its parameters, of that of all: how much of a step of plain gradient descent falls to it"), (share) => t("{share} of ‖∂L/∂w‖²", { share })],
];

/** The summaries of a pass; `ask` has one made. */
export function createSummaries(ask, made) {
  const known = new Map();
  const asked = new Set();

  return {
    /** The card of a fold: what is known of it, or that it is being counted. */
    card(box) {
      const found = known.get(box.id);
      if (!found && !asked.has(box.id)) {
        asked.add(box.id);
        ask(box.id);
      }
      const rows = found ? ROWS.map(([name, label, means, share]) => row(label, means, found[name], share)) : [];
      const body = found ? make("table", {}, ...rows) : make("p", { class: "note" }, t("Counting what it costs…"));
      return make("div", { class: `card summary${found ? "" : " needs-server"}` }, make("h3", {}, make("span", {}, t("All that is in it"))), body);
    },
    take(id, summary) {
      known.set(id, summary);
      made();
    },
    forget() {
      known.clear();
      asked.clear();
    },
  };
}

function row(label, means, [amount, part], share) {
  return make("tr", { title: means }, make("th", { scope: "row" }, label), make("td", {}, amount), make("td", {}, share(part)));
}

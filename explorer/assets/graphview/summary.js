// What a folded scope costs, in a few rows: counted when one asks.

import { t } from "../texts.js";
import { make } from "./dom.js";

const ROWS = [
  ["parameters", t("Parameters"), t("numbers that are trained in it"), (share) => t("{share} of all", { share })],
  ["forward", t("Forward"), t("floating-point operations of one pass"), (share) => t("{share} of the pass", { share })],
  ["backward", t("Backward"), t("operations on the way back"), (share) => t("{share} of the way back", { share })],
  ["kept", t("Kept"), t("bytes of its residuals: what the forward pass keeps for the backward pass"), (share) => t("{share} of all residuals", { share })],
  ["gradient", t("Gradient"), t("squared norm of the gradient of its parameters, of that of all: how much of a step of plain gradient descent falls to it"), (share) => t("{share} of ‖∂L/∂w‖²", { share })],
];

/** The summaries of a pass; `ask` has one made, for a fold whose card was opened: the playhead alone asks for nothing. */
export function createSummaries(ask) {
  const known = new Map();
  const asked = new Set();
  const opened = new Set();
  let shown = { box: null, element: null };

  function want(id) {
    if (!opened.has(id) || known.has(id) || asked.has(id)) return;
    asked.add(id);
    ask(id);
  }

  function body(id) {
    const found = known.get(id);
    if (!found) return make("p", { class: "note" }, t("Counting what it costs…"));
    return make("table", {}, ...ROWS.map(([name, label, means, share]) => row(label, means, found[name], share)));
  }

  return {
    /** The card of a fold: closed, what is known of it, or that it is being counted. */
    card(box) {
      const turn = () => {
        if (!opened.delete(box.id)) opened.add(box.id);
        want(box.id);
      };
      const element = make(
        "details",
        { class: `card summary${known.has(box.id) ? "" : " needs-server"}`, open: opened.has(box.id) },
        make("summary", { onclick: turn }, t("All that is in it")),
        body(box.id),
      );
      shown = { box: box.id, element };
      want(box.id);
      return element;
    },
    take(id, summary) {
      known.set(id, summary);
      if (shown.box !== id) return;
      shown.element.lastChild.replaceWith(body(id));
      shown.element.classList.remove("needs-server");
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

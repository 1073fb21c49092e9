// Two runs from one seed side by side: which is which, and which of them to go on with.

import { make } from "../graphview/dom.js";
import { t, translated } from "../texts.js";

/** The line above the charts while two runs are compared. */
export function createCompare(room) {
  const words = make("p", {});
  const keep = (which, text) => make("button", { type: "button", class: which, onclick: () => room.send({ type: "keep", which }) }, text);
  const element = make("div", { class: "card comparing", role: "group", "aria-label": t("Comparison"), hidden: true }, words, keep("old", t("Keep the old run")), keep("new", t("Keep the new run")));

  room.subscribe((changed, state) => {
    if (!changed.has("second") && !changed.has("title")) return;
    element.hidden = !state.second;
    words.replaceChildren(t("Side by side from the same seed, on the same scales:"), " ", make("b", {}, t("before")), ", ", make("b", {}, t("after: {title}", { title: translated(state.title) })));
  });
  return { element };
}

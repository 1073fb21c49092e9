// Two runs from one seed side by side: which is which, and which of them to go on with.

import { make } from "../graphview/dom.js";

/** The line above the charts while two runs are compared. */
export function createCompare(room) {
  const words = make("p", {});
  const keep = (which, text) => make("button", { type: "button", class: which, onclick: () => room.send({ type: "keep", which }) }, text);
  const element = make("div", { class: "card comparing", role: "group", "aria-label": "Comparison", hidden: true }, words, keep("old", "Keep the old run"), keep("new", "Keep the new run"));

  room.subscribe((changed, state) => {
    if (!changed.has("second") && !changed.has("title")) return;
    element.hidden = !state.second;
    words.replaceChildren("Side by side from the same seed, on the same scales: ", make("b", {}, "before"), ", and ", make("b", {}, `after: ${state.title}`));
  });
  return { element };
}

// Presenting: large type and nothing but the graph, or nothing but the training; a clicker's keys; a dark screen.

const MODES = ["graph", "training"];

/** How the page is presented: `graph`, `training`, or not at all. */
export function presenting() {
  return document.documentElement.dataset.present || "";
}

/** Present, or no longer; the address keeps it. */
export function present(mode = presenting() ? "" : MODES[0]) {
  const { dataset } = document.documentElement;
  if (mode) dataset.present = mode;
  else delete dataset.present;
  delete dataset.dark;
  const address = new URL(location.href);
  const rest = address.search.replace(/^\?|(^|&)present(=[^&]*)?(?=&|$)/g, "").replace(/^&/, "");
  address.search = [rest, mode && "present"].filter(Boolean).join("&");
  history.replaceState(null, "", address);
}

/** From the graph to the training, where a lesson or a link doesn't hide it, and back. */
export function other() {
  const there = document.querySelector(":root:not([data-hides~=training]) .page > .train:not([hidden])");
  if (presenting() === "training" || (presenting() && there)) document.documentElement.dataset.present = MODES[1 - MODES.indexOf(presenting())];
}

/** Back to the graph. */
export function graphAgain() {
  if (presenting() === "training") other();
}

/** Whether a key is for presenting, wherever the focus is: a lesson's card keeps others to itself. */
export function isOfPresenting(key) {
  return key.toLowerCase() === "p" || (Boolean(presenting()) && ["b", ".", "r", "escape"].includes(key.toLowerCase()));
}

/** The keys of a clicker: on, back, and dark; in a lesson its card hears the first two before. */
export function clickerKeys({ forward, back }) {
  return { PageDown: forward, PageUp: back, b: dark, ".": dark };
}

function dark() {
  document.documentElement.toggleAttribute("data-dark");
}

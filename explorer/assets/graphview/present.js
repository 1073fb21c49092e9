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

/** From the graph to the training, unless a lesson hides that, and back. */
export function other() {
  const training = document.querySelector(".page > .train");
  if (presenting() && training && !training.hidden) document.documentElement.dataset.present = MODES[1 - MODES.indexOf(presenting())];
}

/** The keys of a clicker: on, back, and dark. In a lesson its card takes on and back for itself. */
export function clickerKeys({ forward, back }) {
  return { PageDown: forward, PageUp: back, b: dark, ".": dark };
}

function dark() {
  document.documentElement.toggleAttribute("data-dark");
}

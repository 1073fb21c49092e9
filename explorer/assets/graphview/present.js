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

/** From the graph to the training, and back. */
export function other() {
  if (presenting()) document.documentElement.dataset.present = MODES[1 - MODES.indexOf(presenting())];
}

/** The keys of a clicker: on, back, and dark; in a lesson it goes from beat to beat. */
export function clickerKeys({ forward, back }) {
  const inLesson = (name, does) => {
    const button = document.querySelector(`.in-lesson .lesson-card .${name}:not([hidden])`);
    if (button) button.click();
    else does();
  };
  return { PageDown: () => inLesson("next", forward), PageUp: () => inLesson("before", back), b: dark, ".": dark };
}

function dark() {
  document.documentElement.toggleAttribute("data-dark");
}

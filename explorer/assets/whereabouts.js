// Where things are on the page: a part that points at something asks, the part that shows it answers. They know a name
// for it and a rectangle, and nothing of each other.

/** The rectangle of a thing in the window, and those of what lies around it; none if nobody shows it. */
export function whereIs(kind, name) {
  const asked = { kind, name, rect: null, around: [] };
  window.dispatchEvent(new CustomEvent("whereabouts", { detail: asked }));
  return asked;
}

/** Answer for what one shows: `find(kind, name)` gives `{rect, around}`, both if there are any. Returns a function that stops it. */
export function answerWhere(find) {
  const answer = ({ detail }) => {
    const { rect, around = [] } = find(detail.kind, detail.name);
    detail.rect = detail.rect || rect;
    detail.around.push(...around);
  };
  window.addEventListener("whereabouts", answer);
  return () => window.removeEventListener("whereabouts", answer);
}

/** Say that something may have moved. */
export function sayMoved() {
  window.dispatchEvent(new CustomEvent("moved"));
}

/** The rectangle of an element in the window; none while it isn't seen. */
export function rectOf(element) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return width && height ? { left, top, width, height } : null;
}

// The graph by keyboard: the arrows go from box to box, and each box is said aloud.

import { t } from "../texts.js";
import { make } from "./dom.js";

const WAYS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

/** What Tab reaches on the graph; `does` selects a box, and says one aloud. */
export function createWalker(store, does) {
  const element = make("div", { class: "walker", tabindex: "0", role: "application", "aria-label": t("Boxes of the graph"), "aria-description": t("Arrows go from box to box, Enter opens one, Shift + Enter folds what is around it.") });
  let goesTo = null; // what a fold is expected to show

  const chosen = () => store.state.scene && store.state.scene.byId.get(store.state.selected);

  function go(box) {
    if (!box) return;
    does.select(box.id);
    does.say(box.id);
  }

  function walk([dx, dy]) {
    const from = chosen();
    go(from ? nearest(store.state.scene.boxes, from, dx, dy) : store.state.scene.boxes[0]);
  }

  element.addEventListener("focus", () => store.state.scene && go(chosen() || store.state.scene.boxes[0]));
  element.addEventListener("keydown", (event) => {
    const { scene } = store.state;
    if (!scene || event.ctrlKey || event.metaKey || event.altKey) return;
    const box = chosen();
    if (event.key === "Enter" && box) goesTo = expected(box, event.shiftKey); // folding itself is the page's
    else if (event.key === "Home") go(scene.boxes[0]);
    else if (event.key === "End") go(scene.boxes[scene.boxes.length - 1]);
    else if (WAYS[event.key]) walk(WAYS[event.key]);
    if (event.key !== "Home" && event.key !== "End" && !WAYS[event.key]) return;
    event.preventDefault();
    event.stopPropagation(); // elsewhere these keys move the playhead
  });
  store.subscribe((changed, { scene }) => {
    if (!changed.has("scene") || !goesTo) return;
    const found = scene.boxes.find(goesTo);
    goesTo = null;
    if (found) queueMicrotask(() => go(found)); // after everyone else has seen the scene
  });
  return element;
}

/** Which box is meant after a fold: the first inside what opens, or the one that stands for what is folded. */
function expected(box, folds) {
  if (folds) return box.parent ? (own) => own.opens === box.parent : null;
  return box.opens ? (own) => own.parent === box.opens : null;
}

/** The box that one would call the next one that way: near, and not far aside. */
function nearest(boxes, from, dx, dy) {
  const middle = ({ x, y, w, h }) => [x + w / 2, y + h / 2];
  const [fromX, fromY] = middle(from);
  let [best, least] = [null, Infinity];
  for (const box of boxes) {
    const [x, y] = middle(box);
    const ahead = (x - fromX) * dx + (y - fromY) * dy;
    const far = ahead + 2.5 * Math.abs(dx ? y - fromY : x - fromX);
    if (ahead > 1 && far < least) [best, least] = [box, far];
  }
  return best;
}

// Where one stands, told as it changes to those who follow: often enough to be followed, no oftener.

import { currentStop } from "./store.js";

const TELL_MS = 60;

/** Nothing is told until it is switched `on`. */
export function createLive(store, inspector, send) {
  const live = { on: false, tell };
  let timer = 0;
  let last = 0;

  function tell() {
    timer = 0;
    last = performance.now();
    const stop = currentStop(store.state);
    send({ type: "at", position: store.state.position, at: stop && [stop.phase, stop.box], node: store.state.selected, entry: inspector.entry() });
  }

  store.subscribe((changed) => {
    if (!live.on || timer || !["position", "selected", "looked", "scene"].some((key) => changed.has(key))) return;
    timer = setTimeout(tell, Math.max(0, last + TELL_MS - performance.now()));
  });
  return live;
}

// What is going on that takes long, and for how many seconds it has: the graph is there meanwhile.

import { t, translated } from "../texts.js";
import { make } from "./dom.js";

const SECOND = 1000;

/** A line over the graph; `say("")` takes it away. */
export function createBusy() {
  const words = make("span");
  const seconds = make("span", { class: "seconds", "aria-hidden": "true" }); // said aloud once, not every second
  const element = make("p", { class: "busy-note", role: "status", hidden: true }, words, " ", seconds);
  let since = 0;
  let timer = 0;

  function count() {
    seconds.textContent = t("{seconds} s", { seconds: Math.round((performance.now() - since) / SECOND) });
  }

  function say(text) {
    clearInterval(timer);
    element.hidden = !text;
    words.textContent = translated(text);
    if (!text) return;
    since = performance.now();
    count();
    timer = setInterval(count, SECOND);
  }

  return { element, say };
}

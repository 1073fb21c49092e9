// What stands where the page would: the server is full, or the page was put to rest because nobody used it.

import { t } from "../texts.js";

const AGAIN_SECONDS = 10;

/** Fill the door. `given` is what the server told: `which` it is, and how many `pages` of the `most` are open. */
export function start({ which, pages, most }) {
  const door = document.querySelector(".door");
  const say = (tag, text, more = {}) => door.appendChild(Object.assign(document.createElement(tag), { textContent: text, ...more }));
  if (which === "rested") {
    say("h1", t("This page was put to rest"));
    say("p", t("Nobody had used it for an hour, and others share the server. What it showed can be shown again from the seed."));
    say("button", t("Come back"), { className: "main", onclick: () => location.assign(`./${location.search}`) }).focus();
    return;
  }
  say("h1", t("All places are taken"));
  const standing = say("p", "");
  const soon = say("p", "", { className: "soon" });
  const now = say("button", t("Try again now"), { className: "main" });
  const join = say("p", t("To follow a class no place is needed:") + " ");
  join.append(Object.assign(document.createElement("a"), { href: "join", textContent: t("Join a class") }));
  standing.setAttribute("role", "status");
  wait({ standing, soon, now, pages, most });
}

/** Ask now and then whether a place is free, and take it. */
function wait({ standing, soon, now, pages, most }) {
  let left = AGAIN_SECONDS;
  const show = (count) => {
    const text = t("{count} people are here, as many as this server takes at a time.", { count });
    if (standing.textContent !== text) standing.textContent = text;
  };
  const ask = async () => {
    left = AGAIN_SECONDS + 4 * Math.random(); // not everybody in the same moment
    try {
      const found = await (await fetch("health", { cache: "no-store" })).json();
      if (found.pages < most) location.reload();
      else show(found.pages);
    } catch (error) {
      // the server is away for a moment: asked again like any other time
    }
  };
  show(pages);
  now.addEventListener("click", ask);
  setInterval(() => {
    left -= 1;
    if (left <= 0) ask();
    soon.textContent = t("Trying again by itself in {count} s", { count: Math.max(Math.ceil(left), 1) });
  }, 1000);
}

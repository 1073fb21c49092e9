// The keyboard: everything that a mouse can do.

import { make } from "./dom.js";
import { t } from "../texts.js";
import { clickerKeys, graphAgain, other, present, presenting } from "./present.js";

const HELP = [
  ["→  ←", t("one step forward, one step back")],
  [t("Home  End"), t("start and end of the pass")],
  ["F  L  B  U", t("jump to Forward, Loss, Backward, Update")],
  [t("Space"), t("play and pause")],
  [t("Enter"), t("open the selected fold; Shift + Enter folds what is around it")],
  ["→ ← ↑ ↓", t("on the graph, where Tab leads: from box to box, each said aloud")],
  ["T", t("train one step")],
  ["+  −  0", t("zoom in, zoom out, fit")],
  ["/", t("find a node")],
  ["W", t("show the ways from the selected box to the loss, and how many there are; W or Esc ends it")],
  ["P", t("present: large type; then PageUp and PageDown, B or . for a dark screen, R for the training")],
  ["?", t("this help; Esc closes it")],
];

/** What each key does, as a dialog. */
export function createHelp() {
  const rows = HELP.map(([keys, does]) => make("tr", {}, make("th", { scope: "row" }, keys), make("td", {}, does)));
  const close = make("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, t("Close"));
  const dialog = make("dialog", { class: "help", "aria-label": t("Help") }, make("h2", {}, t("Keys")), make("table", {}, ...rows), close);
  return dialog;
}

/** Listen for keys on the page; returns a function that stops listening. */
export function listen(target, commands) {
  const table = {
    ArrowRight: commands.forward,
    ArrowLeft: commands.back,
    Home: commands.home,
    End: commands.end,
    " ": commands.play,
    Enter: commands.open,
    "+": () => commands.zoom(1.25),
    "=": () => commands.zoom(1.25),
    "-": () => commands.zoom(1 / 1.25),
    0: commands.fit,
    "?": commands.help,
    "/": commands.find,
    t: commands.train,
    w: commands.ways,
    ...(target === window ? { p: () => present(), r: other } : {}),
    Escape: () => (commands.escape(), graphAgain()),
  };
  const clicker = clickerKeys(commands);
  for (const letter of "FLBU") table[letter.toLowerCase()] = () => commands.jump(letter);

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const focus = event.composedPath()[0];
    const kind = focus instanceof Element ? focus.tagName : "";
    const typing = kind === "INPUT" || kind === "TEXTAREA" || kind === "SELECT" || (focus instanceof Element && focus.isContentEditable);
    if (typing && event.key !== "Escape") return;
    const pressing = kind === "BUTTON" || kind === "A" || kind === "SUMMARY";
    if (pressing && (event.key === " " || event.key === "Enter")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const command = (target === window && presenting() && clicker[key]) || table[key];
    if (!command) return;
    event.preventDefault();
    command(event);
  }

  const pressedButton = () => present();
  target.addEventListener("keydown", pressed);
  if (target === window) target.addEventListener("present", pressedButton);
  return () => {
    target.removeEventListener("keydown", pressed);
    target.removeEventListener("present", pressedButton);
  };
}

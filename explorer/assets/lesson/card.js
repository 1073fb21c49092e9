// The card: prose, a question and what is said of the answer, and the way on.

import { make, stressed } from "../graphview/dom.js";
import { isOfPresenting, presenting } from "../graphview/present.js";
import { t } from "../texts.js";

const SIGNS = { positive: t("positive"), zero: t("zero"), negative: t("negative") };

/** The card of a beat; `finish` is called at the end of the lesson. */
export function createCard(send, finish) {
  const heading = make("h2", {});
  const count = make("span", { class: "count" });
  const close = make("button", { type: "button", class: "end", "aria-label": t("End the lesson"), title: t("End the lesson"), onclick: () => send({ type: "lesson", name: "" }) }, "×");
  const prose = make("div", { class: "prose", lang: "en", "aria-live": "polite" });
  const asked = make("div", { class: "asked", lang: "en" });
  const hint = make("p", { class: "hint", role: "status", lang: "en" });
  const then = make("div", { class: "then", role: "status", lang: "en" });
  const before = make("button", { type: "button", class: "before", onclick: () => go(-1) }, t("Back"));
  const next = make("button", { type: "button", class: "next", onclick: () => go(1) });
  const solve = make("button", { type: "button", class: "solve", onclick: () => wants({ type: "solve" }) }, t("Show me"));
  const home = make("button", { type: "button", class: "home", hidden: true, onclick: () => back() }, t("Back to the lesson"));
  const row = make("footer", {}, before, home, solve, next);
  const bar = make("div", { class: "done", "aria-hidden": "true" });
  const element = make(
    "section",
    { class: "lesson-card", role: "region", "aria-label": t("Lesson"), hidden: true },
    bar,
    make("header", {}, heading, count, close),
    prose,
    asked,
    hint,
    then,
    row,
  );
  let told = null;
  document.body.append(element);

  /** Send what is wanted; the card says that it waits, if that takes a moment. */
  function wants(message) {
    element.classList.add("busy");
    element.setAttribute("aria-busy", "true");
    send(message);
  }

  /** Nothing is waited for any longer. */
  function rest() {
    element.classList.remove("busy");
    element.removeAttribute("aria-busy");
  }

  function go(by) {
    if (by > 0 && told.beat === told.beats - 1) finish();
    else if (told.beat + by >= 0) wants({ type: "beat", number: told.beat + by });
  }

  function back() {
    home.hidden = true;
    wants({ type: "back" });
  }

  function answer(value) {
    if (String(value).trim()) wants({ type: "answer", value: String(value) });
  }

  function show(given, moved) {
    told = given;
    const { ask, state } = told;
    const open = Boolean(ask) && state === "asking";
    const focused = element.contains(document.activeElement);
    element.hidden = false;
    rest();
    if (moved) home.hidden = true;
    heading.textContent = told.title;
    count.textContent = t("{number} of {count}", { number: told.beat + 1, count: told.beats });
    bar.style.width = `${(100 * (told.beat + (open ? 0.5 : 1))) / told.beats}%`;
    paragraphs(prose, told.prose);
    if (moved) asked.replaceChildren(...(ask ? question(ask, open) : []));
    hint.textContent = told.hint;
    hint.hidden = !told.hint;
    element.classList.toggle("missed", Boolean(told.hint));
    if (told.hint && !moved) shake(element);
    paragraphs(then, told.then);
    then.hidden = !told.then.length;
    before.disabled = told.beat === 0;
    solve.hidden = !open;
    next.hidden = open;
    next.textContent = told.beat === told.beats - 1 ? t("Finish") : t("Next");
    if (focused && moved) (asked.querySelector("input, button") || next).focus({ preventScroll: true });
    else if (focused && told.hint) asked.querySelector("input")?.select();
  }

  function question(ask, open) {
    const words = make("p", { class: "question" }, ...stressed(ask.question));
    if (!open) return [words, make("p", { class: `answer ${told.state}` }, told.state === "right" ? `✓ ${labelled(ask, ask.answer)}` : labelled(ask, ask.answer))];
    return [words, ask.kind === "number" ? entry() : choices(ask)];
  }

  function entry() {
    const field = make("input", { type: "text", inputmode: "text", autocomplete: "off", "aria-label": t("Your prediction"), placeholder: t("Your prediction") });
    return make(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          answer(field.value);
        },
      },
      field,
      make("button", { type: "submit" }, t("Answer")),
    );
  }

  function choices(ask) {
    const buttons = ask.options.map((option) => make("button", { type: "button", onclick: () => answer(option) }, labelled(ask, option)));
    return make("div", { class: "choices", role: "group", "aria-label": t("Your prediction") }, ...buttons);
  }

  /** A box on the picture that was clicked, where one of them is the answer. */
  function pick(box) {
    const ask = told && told.state === "asking" && told.ask;
    const place = ask && ask.kind === "node" ? ask.boxes.indexOf(box) : -1;
    if (place >= 0) answer(ask.options[place]);
  }

  /** Whatever is pressed on the page outside the card may lead away from where the beat is. */
  function strays(event) {
    const onPage = event.type === "keydown" || event.composedPath().includes(document.querySelector("main"));
    if (told && !element.hidden && onPage && !event.composedPath().includes(element)) home.hidden = false;
  }

  function keys(event) {
    if (isOfPresenting(event.key)) return;
    const inside = event.composedPath().includes(element);
    const typing = event.composedPath()[0].tagName === "INPUT" && !(inside && presenting()); // a clicker goes on all the same
    const on = presenting() && next.hidden ? solve : next; // who presents has asked the room
    if (!element.hidden && !typing && event.key === "PageDown" && !on.hidden) on.click();
    else if (!element.hidden && !typing && event.key === "PageUp") go(-1);
    else if (!inside) return strays(event);
    event.stopPropagation(); // arrows and letters belong to the playhead elsewhere
    if (event.key.startsWith("Page")) event.preventDefault();
  }

  addEventListener("pointerdown", strays, true);
  addEventListener("keydown", keys, true);

  return {
    element,
    show,
    rest,
    pick,
    hide() {
      element.hidden = true;
      told = null;
    },
    remove() {
      removeEventListener("pointerdown", strays, true);
      removeEventListener("keydown", keys, true);
      element.remove();
    },
  };
}

function labelled(ask, option) {
  return ask.kind === "sign" ? SIGNS[option] : option;
}

function paragraphs(element, texts) {
  const text = texts.join("\n");
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(...texts.map((one) => make("p", {}, ...stressed(one))));
}

function shake(element) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  element.animate([{ translate: "0" }, { translate: "-5px" }, { translate: "4px" }, { translate: "0" }], { duration: 220 });
}

// What was found: a sentence, its factors layer by layer, its effects, and what can be done about it.

import { make } from "../graphview/dom.js";
import { t, translated } from "../texts.js";
import { told } from "./scales.js";

const NAMES = {
  vanishing: t("Vanishing gradient"),
  exploding: t("Exploding gradient"),
  dead: t("Dead units"),
  saturated: t("Saturated units"),
  symmetry: t("Symmetry"),
  nonfinite: t("Not finite"),
  plateau: t("Plateau"),
  update_too_small: t("Updates too small"),
  update_too_large: t("Updates too large"),
  cut: t("Gradient cut off"),
};
/** What a kind of finding is called. */
export const nameOf = (kind) => NAMES[kind] || kind;

const MEANING = t("How much of the gradient each layer passes on to the one before it: the factors, their product, and what was measured on this run.");
const PLAIN = new Set(["norm", "residual", "time", "other", "alignment"]); // told where they make a difference
const FACTORS = [
  ["activation_slope", t("Activation slope")],
  ["weight_gain", t("Weight gain")],
  ["norm", t("Normalisation")],
  ["residual", t("Residual")],
  ["time", t("Through time")],
  ["other", t("Other")],
  ["alignment", t("Alignment")],
  ["product", t("Product")],
  ["measured", t("Measured")],
];

/** The list *Findings*; of two runs, each has its own. */
export function createFindings(room) {
  const lists = [t("Findings"), t("Findings of the other run")].map((name) => make("ul", { class: "findings", role: "list", "aria-label": name }));
  const titles = lists.map(() => make("h3", { class: "whose", hidden: true }));
  const none = lists.map(() => make("p", { class: "card none", hidden: true }, t("No trouble found.")));
  const columns = lists.map((list, i) => make("div", { class: "column" }, titles[i], list, none[i]));
  const element = make("div", { class: "found", hidden: false }, ...columns);
  columns[1].hidden = true;

  function show(state) {
    fillList(lists[0], state.findings, room, true);
    fillList(lists[1], state.otherFindings, room, false);
    const two = Boolean(state.second);
    columns[1].hidden = !two;
    element.classList.toggle("two", two);
    element.classList.toggle("empty", !two && !state.findings.length);
    [state.findings, state.otherFindings].forEach((findings, i) => {
      titles[i].hidden = !two;
      titles[i].textContent = i ? t("After: {title}", { title: translated(state.title) }) : t("Before");
      none[i].hidden = !two || findings.length > 0 || (i === 1 && !state.judged);
    });
  }

  room.subscribe((changed, state) => {
    if (["findings", "otherFindings", "judged", "second", "title"].some((key) => changed.has(key))) show(state);
  });
  return { element };
}

/** Lines are made again only when what they say changes, and stay open where they were. */
function fillList(list, findings, room, offers) {
  const text = JSON.stringify(findings);
  if (list.dataset.text === text) return;
  list.dataset.text = text;
  const open = new Set([...list.querySelectorAll("details[open]")].map((details) => details.dataset.key));
  const focused = list.getRootNode().activeElement;
  const focus = focused && list.contains(focused) ? focused.dataset.key : null;
  list.replaceChildren(...findings.map((finding, i) => line(finding, i, room, offers, open)));
  if (focus) list.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

function line(finding, index, room, offers, open) {
  const key = `${finding.kind} ${(finding.where || []).join(" ")}`;
  const remedies = offers ? finding.remedies || [] : [];
  return make(
    "li",
    { class: "card finding" },
    make("p", { class: "sentence" }, make("b", { class: "kind" }, nameOf(finding.kind)), " ", translated(finding.sentence)),
    effectsOf(finding),
    make("div", { class: "does" }, ...remedies.map((remedy, j) => remedyOf(remedy, `${key} ${j}`, () => room.send({ type: "remedy", finding: index, remedy: j })))),
    factorsOf(finding, key, open),
  );
}

/** A button; advice where it is about somebody's own code. */
function remedyOf({ label, change }, key, onclick) {
  if (!Object.keys(change || {}).length) return make("p", { class: "advice" }, translated(label));
  const changes = Object.entries(change).map(([name, value]) => `${name} ${value}`).join(", ");
  const title = t("Runs again from the same seed with {changes}, side by side with this run.", { changes });
  return make("button", { type: "button", class: "remedy", "data-key": key, title, onclick }, translated(label));
}

function effectsOf({ effects = [] }) {
  return effects.length ? make("p", { class: "effects" }, make("span", {}, t("What follows from it:"), " "), effects.map(translated).join(" · ")) : null;
}

function factorsOf(finding, key, open) {
  const { factors = [], lesson, cause } = finding;
  const tells = (name, value) => Number.isFinite(value) && !(PLAIN.has(name) && Math.abs(value - 1) < 0.005);
  const columns = FACTORS.filter(([name]) => factors.some((factor) => tells(name, factor[name])));
  if (!columns.length && !lesson) return null;
  const summary = make("summary", { "data-key": `${key} why` }, cause ? t("Why: {cause}", { cause: translated(cause) }) : t("Why"));
  return make("details", { open: open.has(key), "data-key": key }, summary, ...(columns.length ? [make("p", { class: "meaning" }, MEANING), factorTable(factors, columns)] : []), lesson ? lessonOf(lesson) : null);
}

function factorTable(factors, columns) {
  const head = make("tr", {}, make("th", { scope: "col" }, t("Layer")), ...columns.map(([name, title]) => make("th", { scope: "col", class: name }, title)));
  const rows = factors.map((factor) =>
    make("tr", {}, make("th", { scope: "row" }, factor.layer), ...columns.map(([name]) => make("td", { class: name }, Number.isFinite(factor[name]) ? `×${told(factor[name])}` : "–"))),
  );
  return make("div", { class: "factors", tabindex: "0", role: "region", "aria-label": t("Factors") }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
}

/** The lesson that explains it, begun on this page. */
function lessonOf(name) {
  const begin = (event) => {
    event.preventDefault();
    window.dispatchEvent(new CustomEvent("lesson", { detail: { name } }));
  };
  return make("p", { class: "lesson" }, make("a", { href: `?lesson=${encodeURIComponent(name)}`, onclick: begin }, t("A lesson on this")));
}

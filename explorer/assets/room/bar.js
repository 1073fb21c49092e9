// The control card: train, pause, step, reset; what the last step did; the step slider; what may change while it trains.

import { icon, iconButton, make } from "../graphview/dom.js";
import { t, translated } from "../texts.js";
import { nameOf } from "./findings.js";
import { grouped, told } from "./scales.js";
import { showsNext, stepOf } from "./state.js";
import { createStepper } from "./stepper.js";

/** The card with the buttons. */
export function createBar(room) {
  const play = make("button", { type: "button", class: "play", onclick: () => room.send({ type: room.state.status.playing ? "pause" : "play" }) });
  const one = make("button", { type: "button", class: "train", onclick: () => room.send({ type: "train" }) }, t("Train one step"));
  const reset = iconButton("reset", t("Reset"), () => room.send({ type: "reset" }));
  const save = iconButton("disk", t("Save the run"), () => room.send({ type: "save" }));
  const more = [10, 100].map((count) => make("button", { type: "button", class: "more", "aria-label": t("Train {count} steps", { count }), title: t("Train {count} steps", { count }), onclick: () => room.send({ type: "steps", count }) }, `+${count}`));
  const text = make("p", { class: "told", role: "status" });
  const aside = make("p", { class: "aside" });
  const trouble = make("button", { type: "button", class: "trouble", hidden: true, onclick: toTrouble });
  const calm = make("p", { class: "calm" });
  const stepper = createStepper(room);
  const knobs = make("div", { class: "knobs" });
  let walked = 0;
  const element = make(
    "div",
    { class: "card bar" },
    make("div", { class: "buttons" }, play, one, save, reset),
    text,
    aside,
    trouble,
    make("div", { class: "stepping" }, stepper.element, ...more),
    knobs,
    calm,
  );

  function showButtons({ status }) {
    const known = Boolean(status.title);
    const label = status.follows ? (status.playing ? t("Hold this step") : t("Follow")) : status.playing ? t("Pause") : t("Train");
    if (play.getAttribute("aria-label") !== label) {
      play.setAttribute("aria-label", label);
      play.replaceChildren(icon(status.playing ? "pause" : "play"), label);
    }
    play.disabled = reset.disabled = save.disabled = !known;
    for (const button of [one, reset, save, ...more]) button.hidden = Boolean(status.follows);
    if (!status.local) save.hidden = true;
    for (const button of [one, ...more]) button.disabled = !known || Boolean(status.playing);
  }

  function showTold({ status, run }) {
    if (!status.title) {
      text.replaceChildren();
      write(aside, "");
      return;
    }
    // ten numbers a second can't be listened to, and what a walked step did is said over the graph
    text.setAttribute("aria-live", status.playing || status.run !== walked ? "off" : "polite");
    walked = status.run;
    const words = `${translated(status.measure)} ${status.before}${status.trained ? ` → ${status.after}` : ""}`;
    const which = showsNext(room.state) ? ` ${t("in the next pass")}` : "";
    if (text.textContent !== words + which) text.replaceChildren(make("b", {}, words), make("small", {}, which));
    const count = status.step + (status.trained ? 1 : 0);
    if (status.follows) {
      write(aside, followed(status));
      return;
    }
    const made = count === 1 ? t("1 update made") : t("{count} updates made", { count: grouped(count) });
    const on = t("this pass: {on}", { on: translated(status.on) });
    const accuracy = accuracyOf(room.state, run);
    write(aside, `${made} · ${accuracy || on}${status.scaling ? ` · ${translated(status.scaling)}` : ""}`);
    aside.title = on;
  }

  function showCalm({ status, run, findings, judged }) {
    const words = findings.length || !judged || !status.title ? "" : calmWords(run, status);
    const saved = status.saved && status.saved.step === status.step ? translated(status.saved.text) : ""; // until it trains on
    write(calm, translated(status.busy) || saved || words);
    calm.classList.toggle("busy", Boolean(status.busy));
    trouble.hidden = !findings.length || !status.title;
    write(trouble, t("Found: {names}", { names: findings.map(({ kind }) => nameOf(kind)).join(", ") }));
  }

  /** The findings lie below, out of sight on most screens. */
  function toTrouble() {
    const first = element.getRootNode().querySelector(".finding");
    if (!first) return;
    first.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    first.querySelector("button, summary, a")?.focus({ preventScroll: true });
  }

  room.subscribe((changed, state) => {
    if (changed.has("status")) {
      showButtons(state);
      showKnobs(knobs, room, state.status.knobs || []);
    }
    if (changed.has("status") || changed.has("run") || changed.has("hover")) showTold(state);
    if (changed.has("status") || changed.has("run") || changed.has("findings") || changed.has("judged")) showCalm(state);
  });
  showButtons(room.state);
  return { element };
}

/** Put a text into an element, if it isn't there: what doesn't change needn't be laid out again. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Of a loop in another process: which of its steps is shown, and whether it goes on. */
function followed({ step, follows }) {
  const own = follows.every > 0;
  const shown = own
    ? t("the graph shows step {step} of your own loop", { step: grouped(step) })
    : t("the graph shows step {step} of the training", { step: grouped(step) });
  const read = own ? t("read every {count} steps, short ones more seldom", { count: grouped(follows.every) }) : t("a command trains it");
  return `${shown} · ${follows.ended ? t("it has ended") : read}`;
}

/** The last ones that were measured; they say of which step, where it isn't the one that is shown. */
function accuracyOf(state, run) {
  if (!run) return "";
  const now = run.columnOf(stepOf(state));
  const at = (name) => (run.series(name) ? run.series(name).last.findLastIndex((value, column) => column <= now && !Number.isNaN(value)) : -1);
  const [of, ofTest] = [at("accuracy"), at("test_accuracy")];
  if (of < 0) return "";
  const train = told(run.series("accuracy").last[of]);
  const words = ofTest < 0 ? t("accuracy {train}", { train }) : t("accuracy {train} (test {test})", { train, test: told(run.series("test_accuracy").last[ofTest]) });
  return of === now ? words : `${words} (${t("last measured at step {step}", { step: grouped(run.ends[of]) })})`;
}

function calmWords(run, status) {
  const steps = run ? run.last - run.first + 1 : 0;
  if (!steps || (steps === 1 && !status.trained)) return t("Nothing to judge yet: train a few steps.");
  if (status.large) return t("Not judged: of a graph of this size only statistics are read.");
  return steps === 1 ? t("No trouble found in the last step.") : t("No trouble found in the last {count} steps.", { count: grouped(steps) });
}

/** What may change mid-run, as native controls; made again only when there are others. */
function showKnobs(element, room, knobs) {
  const shape = JSON.stringify(knobs.map(({ name, options }) => [name, options]));
  if (element.dataset.shape !== shape) {
    element.dataset.shape = shape;
    element.replaceChildren(...knobs.map((knob) => make("label", {}, make("span", {}, translated(knob.label)), control(room, knob))));
  }
  knobs.forEach(({ value }, i) => {
    const own = element.children[i].lastChild;
    // not while it is being typed into
    if (own.getRootNode().activeElement !== own && own.value !== String(value)) own.value = value;
  });
}

function control(room, { name, value, options, low, high, step }) {
  const send = (given) => room.send({ type: "set", name, value: given });
  if (options) return make("select", { name, onchange: (event) => send(event.target.value) }, ...options.map(([own, text]) => make("option", { value: own, selected: own === value }, translated(text))));
  return make("input", { name, type: "number", min: low, max: high, step: step || "any", value, onchange: (event) => send(Number(event.target.value)) });
}

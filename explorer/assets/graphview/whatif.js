// What if: one entry of an array is changed by hand, and the whole pass runs again with it.

import { t, translated } from "../texts.js";
import { make } from "./dom.js";
import { floats, short } from "./palette.js";
import { rectOf } from "../whereabouts.js";

const ANSWER_MS = 20_000; // after that long without an answer another change is sent all the same
const STEPS = 200;
const NAME = "\u0000"; // stands in a sentence for an element

/** Sends changes one at a time: of those that are made while one is under way only the latest counts. */
export function createPost(send) {
  let number = 0;
  let flight = null;
  let next = null;

  function dispatch(message) {
    number += 1;
    flight = { number, since: performance.now() };
    send({ ...message, number });
  }

  return {
    send(message) {
      if (flight && performance.now() - flight.since < ANSWER_MS) next = message;
      else dispatch(message);
    },
    /** The answer to a change has come, or all of them are over. */
    heard(answered) {
      if (!flight || answered < flight.number) return;
      flight = null;
      const message = next;
      next = null;
      if (message) dispatch(message);
    },
  };
}

/** The tool in the inspector that changes the entry that is looked at. */
export function createWhatIf(store, actions) {
  const post = createPost(actions.change);
  const title = make("span", { class: "place" });
  const range = make("input", { type: "range", "aria-label": t("What if") });
  const number = make("input", { type: "number", step: "any", "aria-label": t("What if, as a number") });
  const effect = make("p", { class: "effect" });
  const ablate = make("button", { type: "button", class: "quiet", onclick: () => ablateUnit() });
  const undo = make("button", { type: "button", class: "quiet", onclick: () => actions.undo() }, t("Undo all changes"));
  const hint = make("p", { class: "note" });
  const dial = make("div", { class: "dial" }, range, number);
  const element = make("details", { class: "card whatif" }, make("summary", {}, title), dial, hint, effect, make("div", { class: "row" }, ablate, undo));
  let here = null; // box, index and range that the dial is set to

  function set(value) {
    if (!here || !Number.isFinite(value)) return;
    const { box, index } = here;
    post.send({ type: "edit", node: box.node, box: box.id, index, value });
  }

  function ablateUnit() {
    const { box, index } = here;
    post.send({ type: "ablate", node: box.node, box: box.id, index, unit: index[index.length - 1] });
  }

  range.addEventListener("input", () => {
    number.value = String(Number(Number(range.value).toPrecision(4)));
    set(Number(range.value));
  });
  number.addEventListener("change", () => {
    if (number.value !== "") set(Number(number.value));
  });
  element.addEventListener("toggle", () => element.open && actions.prepare());

  /** Set the dial to an entry of the selected box. */
  function show(box, picture, index) {
    const plain = store.state.whatif && store.state.plain[box.id];
    const known = picture && picture.data && !/bool|complex|key/.test(box.shape);
    element.hidden = !picture || /bool|complex|key/.test(box.shape);
    if (element.hidden) return;
    const entry = index || picture.shape.map(() => 0);
    const name = `${nameOf(box)}${entry.length ? `[${entry.join(", ")}]` : ""}`;
    title.replaceChildren(...around(t("What if {name} were another number?", { name: NAME }), make("b", {}, name)));
    dial.hidden = !known;
    hint.hidden = known && !box.opens;
    hint.textContent = known ? t("Open the box to change its weights.") : t("Too large to change entry by entry: ablate a unit.");
    if (known) turn(box, picture, entry, name, plain);
    else here = { box, index: entry };
    ablate.hidden = !(picture.shape.length > 1 && (box.kind === "operation" || box.kind === "fold"));
    ablate.textContent = t("Ablate unit {unit}", { unit: entry[entry.length - 1] });
    ablate.title = t("Set this unit to zero on the whole batch");
    tell();
  }

  function turn(box, picture, index, name, plain) {
    const numbers = floats(picture.data);
    const at = index.reduce((place, i, axis) => place * picture.shape[axis] + i, 0);
    const same = here && here.box.id === box.id && String(here.index) === String(index);
    if (!same) {
      const before = plain && plain.value && plain.value.data ? floats(plain.value.data) : numbers;
      const whole = /int/.test(box.shape);
      const finite = before.filter(Number.isFinite);
      const [low, high] = finite.length ? [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))] : [-1, 1];
      const room = whole ? 0 : Math.max(high - low, Number.isFinite(before[at]) ? Math.abs(before[at]) : 0, 0.5);
      here = { box, index, low: low - room, high: high + room, whole };
      Object.assign(range, { min: String(here.low), max: String(here.high), step: whole ? "1" : String((here.high - here.low) / STEPS) });
      number.step = whole ? "1" : "any";
      range.setAttribute("aria-label", t("What if {name}", { name }));
      number.setAttribute("aria-label", t("What if {name}, as a number", { name }));
    }
    here.box = box;
    const active = element.getRootNode().activeElement;
    const typed = (value) => (Number.isFinite(value) ? String(value) : ""); // an input has no other numbers
    if (active !== range) range.value = typed(numbers[at]);
    if (active !== number) number.value = typed(Number(numbers[at].toPrecision(4)));
    range.setAttribute("aria-valuetext", short(numbers[at]));
  }

  function tell() {
    const { whatif, preparing, status } = store.state;
    undo.hidden = !whatif;
    const measure = translated((status && status.measure) || "loss");
    effect.textContent = preparing ? t("Compiling a pass that can be changed…") : whatif ? `${measure} ${whatif.loss[0]} → ${whatif.loss[1]}` : "";
    effect.hidden = !effect.textContent;
  }

  store.subscribe((changed) => {
    if (changed.has("whatif") || changed.has("preparing")) tell();
    if (changed.has("whatif")) post.heard(store.state.whatif ? store.state.whatif.heard : Infinity);
    if (changed.has("preparing") && !store.state.preparing) post.heard(Infinity);
  });
  return { element, show, failed: () => post.heard(Infinity) };
}

/** Says, over the graph, that what is shown is no real step, and leads back to it. */
export function createBanner(store, canvas, actions) {
  const text = make("span", { role: "status" });
  const back = make("button", { type: "button", class: "quiet", onclick: () => actions.undo() }, t("Back to the real step"));
  const element = make("div", { class: "banner", hidden: true }, text, back);

  /** Below, where it would cover the box that is being changed. */
  function makeWay() {
    const { whatif, scene } = store.state;
    const box = whatif && scene.byId.get(whatif.changes[whatif.changes.length - 1].box);
    element.classList.remove("low");
    const [own, shown] = box ? [rectOf(element), canvas.onScreen(box)] : [];
    if (own) element.classList.toggle("low", shown.top < own.top + own.height && shown.top + shown.height > own.top);
  }

  canvas.onPaint(makeWay);

  store.subscribe((changed) => {
    if (!changed.has("whatif")) return;
    const { whatif, status } = store.state;
    element.hidden = !whatif;
    if (!whatif) return;
    const last = whatif.changes[whatif.changes.length - 1];
    const more = whatif.changes.length > 1 ? ` ${t("and {count} more", { count: whatif.changes.length - 1 })}` : "";
    const place = placeOf(last, store.state.scene);
    const what = last.unit ? `${place} = 0` : `${place}: ${last.before} → ${last.after}`;
    const measure = translated((status && status.measure) || "loss");
    text.replaceChildren(make("b", {}, t("What if?")), ` ${what}${more} · `, make("b", {}, `${measure} ${whatif.loss[0]} → ${whatif.loss[1]}`));
  });
  return { element };
}

/** What one box shows, before and after: texts as in ``0.48 → 0.5``; only the number where it stayed. */
export function beforeAfter(picture, plain) {
  return plain && plain.rms !== picture.rms ? `${plain.rms} → ${picture.rms}` : picture.rms;
}

/** Where to put the playhead so that all of a changed pass is seen. */
export function wayBack(scene) {
  const back = scene.phases.find((phase) => phase.name === "Backward");
  return back && back.count ? back.first + back.count - 1 : scene.stops.length;
}

/** A changed entry, called as the box is that shows it. */
function placeOf(change, scene) {
  const box = scene.byId.get(change.box);
  const name = box && box.node === change.node ? nameOf(box) : change.name;
  const where = [...(change.unit ? ["…"] : []), ...change.index];
  return where.length ? `${name}[${where.join(", ")}]` : name;
}

/** A sentence with an element at the place of a name. */
function around(sentence, element) {
  const [before, after] = sentence.split(NAME);
  return [before, element, after];
}

function nameOf(box) {
  const last = box.name.split("/").pop();
  return last.includes(".") ? last.slice(last.indexOf(".") + 1) : last;
}

// One lane a device: its examples, its loss, the size of its gradient for each parameter; the mean below, and the proof.

import { make } from "../graphview/dom.js";
import { colourOf, short } from "../graphview/palette.js";
import { QUANTITIES } from "../room/quantities.js";
import { grouped, percent } from "../room/scales.js";
import { t } from "../texts.js";

const FEW = 12; // examples that are named; of more, the first ones
const CLOSE = 1e-3; // how far parameters may differ, relative, and still count as the same but for rounding

/** The table of lanes. */
export function createLanes(room) {
  const table = make("table", { class: "lanes" });
  const scale = make("div", { class: "scale" });
  const proof = make("ul", { class: "proof", "aria-label": t("Proof") });
  const element = make("div", { class: "part" }, make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": t("What each device has") }, table), scale, proof);
  let built = "";
  let rows = [];

  function build(seen) {
    const heads = [t("Device"), t("Its examples"), t("Its loss"), ...seen.names.map(shortName), ""];
    const head = make("tr", {}, ...heads.map((text, i) => make("th", { scope: "col", class: i > 2 && text ? "name" : "", title: seen.names[i - 3] || "" }, make("span", {}, text))));
    rows = [...seen.devices, null].map((own, device) => lane(own, device, seen));
    table.replaceChildren(make("caption", { class: "unseen" }, t("What each device has of this step")), make("thead", {}, head), make("tbody", {}, ...rows.map(({ row }) => row)));
  }

  function lane(own, device, seen) {
    const mean = own === null;
    const name = make("th", { scope: "row" }, mean ? t("Mean of all") : t("Device {device}", { device }));
    const [examples, loss] = [make("td", { class: "examples" }), make("td", { class: "number" })];
    const cells = seen.names.map(() => make("td", { class: "size" }));
    const buttons = mean
      ? []
      : [
          make("button", { type: "button", onclick: () => room.send({ type: "straggle", device }), "aria-label": t("Slow device {device} down", { device }) }, t("Slow down")),
          make("button", { type: "button", onclick: () => room.send({ type: "divide", devices: room.told.split.devices - 1 }), "aria-label": t("Drop device {device}", { device }) }, t("Drop")),
        ];
    return { row: make("tr", { class: mean ? "mean" : "" }, name, examples, loss, ...cells, make("td", {}, make("div", { class: "does" }, ...buttons))), examples, loss, cells, buttons };
  }

  function paint() {
    const { look: seen } = room.told;
    const key = `${seen.devices.length} ${seen.names.join()}`;
    if (key !== built) build(seen);
    built = key;
    rows.forEach((lane, device) => {
      const own = seen.devices[device];
      const sizes = own ? own.gradient : seen.mean;
      lane.examples.textContent = own ? examplesOf(own, seen) : t("the whole batch");
      lane.examples.title = own ? own.examples.join(", ") : "";
      lane.loss.textContent = number(own ? own.loss : seen.loss);
      lane.cells.forEach((cell, i) => fill(cell, sizes[i], room, `${seen.names[i]}: ${number(sizes[i])}`));
      if (own) lane.buttons[0].disabled = trying(room.told);
      if (own && lane.buttons[1]) lane.buttons[1].title = lossOf(seen.lost[device]);
    });
    QUANTITIES.gradient.legend(scale, room.look, room.theme);
    proof.replaceChildren(...proofOf(seen).map((text) => make("li", {}, text)));
  }

  return { element, paint };
}

function proofOf({ proof, step, lost, memory, split, history }) {
  const found = [
    t("One device on the whole batch finds the same: loss off by {loss}, gradient by {gradient}, parameters after the update by {update} (relative).", { loss: number(proof.loss), gradient: number(proof.gradient), update: number(proof.update) }),
    proof.replicas ? t("All devices hold the same parameters after it, bit for bit.") : t("The devices hold different parameters after it."),
    sinceThen(proof, step),
    t("Were device 0 lost and its examples left out, the gradient of this step would be off by {off}; divided anew, it is the same as before.", { off: percent(lost[0][0]) }),
  ];
  const changes = history.map(({ step: from, devices }) => t("from step {step} on {devices}", { step: grouped(from), devices }));
  if (history.length > 1) found.push(t("Devices so far: {changes}. Training goes on as if nothing had changed.", { changes: changes.join(", ") }));
  if (!memory[1]) found.push(t("Plain SGD remembers nothing from step to step: choose momentum or Adam to divide its memory."));
  else found.push(split.sharded ? t("Of the optimiser's memory, {all} bytes, each device keeps {own}: it updates its slice of the parameters and gets the others' slices.", { all: grouped(memory[1]), own: grouped(memory[0]) }) : t("Each device keeps all {all} bytes of the optimiser's memory.", { all: grouped(memory[1]) }));
  if (memory[1] && split.sharded) found.push(t("A device that is dropped here hands its slice on first; one that died would take it along, and training would go on from the last save."));
  return found;
}

/** How far the two runs are apart: from where they began to the step that is shown. */
function sinceThen({ began, run }, step) {
  const places = { began: grouped(began), step: grouped(step), off: number(run) };
  if (run >= CLOSE) return t("Trained to step {step} on these devices and on one, parameters differ by {off}: in so many steps, what is rounded otherwise has grown, as between any two machines. Each single step agrees, as above.", places);
  if (began && began === step) return t("The devices have just taken over the training at step {step}: they were far behind.", places);
  return began
    ? t("Trained from step {began} to step {step} on these devices and on one, parameters differ by {off}.", places)
    : t("Trained to step {step} on these devices and on one, parameters differ by {off}.", places);
}

/** Examples by number, a line between those of two micro-batches. */
function examplesOf({ examples, share }, { split, piece }) {
  if (!examples.length) return t("none");
  const gap = (i) => (i && i % piece === 0 && split.pieces > 1 ? " | " : " ");
  const first = examples.slice(0, FEW).map((example, i) => `${i ? gap(i) : ""}${example}`);
  return `${examples.length} (${percent(share)}): ${first.join("")}${examples.length > FEW ? " …" : ""}`;
}

/** Whether somebody waits for what was tried. */
export function trying({ waiting }) {
  return waiting.includes("drift") || waiting.includes("straggle");
}

function lossOf([off]) {
  return t("Without its examples the gradient would be off by {off}; the others take them over instead.", { off: percent(off) });
}

/** A cell in the colour of its number on the fixed scale, the number in it. */
export function fill(cell, value, { look, theme }, title = "") {
  const shown = value === null ? NaN : value;
  const colour = value === null ? "transparent" : colourOf(shown, look, theme);
  cell.style.background = colour;
  cell.style.color = value === null ? "" : inkOn(colour);
  cell.textContent = number(value);
  if (title) cell.title = title;
}

/** A number as people write it; a line where there is none. */
export function number(value) {
  return value === null || value === undefined ? "–" : short(value);
}

function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#14171c" : "#ffffff";
}

/** A parameter's name without what all of them begin with. */
export function shortName(name) {
  return name.replace(/^params\./, "");
}

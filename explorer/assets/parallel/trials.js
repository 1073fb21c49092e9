// What goes wrong: replicas that don't wait for one another, and one that all others wait for.

import { make } from "../graphview/dom.js";
import { t } from "../texts.js";
import { number, trying } from "./lanes.js";

const SPACE = "http://www.w3.org/2000/svg";
const [WIDE, HIGH, LEFT] = [420, 130, 44];

/** Two experiments, each begun by a button. */
export function createTrials(room) {
  const buttons = [
    make("button", { type: "button", onclick: () => room.send({ type: "drift", meet: 0 }) }, t("Never synchronise")),
    make("button", { type: "button", onclick: () => room.send({ type: "drift", meet: 10 }) }, t("Synchronise every 10 steps")),
  ];
  const [drift, straggle] = [make("div", { class: "found" }), make("div", { class: "found" })];
  const without = make("div", { class: "trial" }, make("h4", {}, t("Without synchronisation")), make("p", { class: "words" }, t("From this step on each device follows its own gradient for 100 steps. The training itself is left as it is.")), make("div", { class: "buttons" }, ...buttons), drift);
  const slow = make("div", { class: "trial" }, make("h4", {}, t("One that is slow")), make("p", { class: "words" }, t("Slow a device down, above: it sleeps before it has its gradient, for 0.2 s in each of three steps. Times are measured on the devices.")), straggle);
  const element = make("div", { class: "part trials" }, without, slow);

  function paint() {
    const { told } = room;
    for (const button of buttons) button.disabled = trying(told);
    drift.replaceChildren(...(told.drift ? driftOf(told.drift) : []));
    straggle.replaceChildren(...(told.straggle ? timesOf(told.straggle) : []));
  }

  return { element, paint };
}

function driftOf({ spread, meet, scores, steps, step }) {
  const end = spread[spread.length - 1];
  const peak = Math.max(...spread.filter((value) => value !== null));
  const label = t("How far the replicas lie from their mean, relative to it: {end} after {steps} steps", { end: number(end), steps });
  const each = scores.apart.map(number).join(", ");
  const said = [
    meet ? t("From step {step} on, with a mean of all parameters every {meet} steps: at most {peak} apart.", { step, meet, peak: number(peak) }) : t("From step {step} on: {end} apart after {steps} steps, relative to their mean.", { step, end: number(end), steps }),
    t("Loss on fixed examples: {each} on the devices; {mean} with the mean of their parameters; {together} where every step was synchronised.", { each, mean: number(scores.mean[0]), together: number(scores.together[0]) }),
  ];
  return [curve(spread, peak, label), ...said.map((text) => make("p", { class: "words" }, text))];
}

function curve(values, peak, label) {
  const svg = drawing(label, HIGH);
  const top = peak || 1;
  const x = (i) => LEFT + ((WIDE - LEFT - 6) * i) / Math.max(values.length - 1, 1);
  const y = (value) => HIGH - 20 - ((HIGH - 30) * value) / top;
  for (const value of [0, top]) {
    svg.append(shape("line", { x1: LEFT, x2: WIDE - 6, y1: y(value), y2: y(value), class: "axis" }));
    svg.append(shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, number(value)));
  }
  svg.append(shape("text", { x: LEFT, y: HIGH - 4 }, "0"), shape("text", { x: WIDE - 6, y: HIGH - 4, "text-anchor": "end" }, String(values.length)));
  svg.append(shape("polyline", { class: "curve", points: values.map((value, i) => `${x(i)},${y(value ?? top)}`).join(" ") }));
  return svg;
}

function timesOf({ stamps, slow, seconds, waited }) {
  const devices = stamps[0].length;
  const end = Math.max(...stamps.flat(2));
  const label = t("What each device does, over {seconds} s", { seconds: end.toFixed(2) });
  const svg = drawing(label, 22 * devices + 22);
  const x = (second) => LEFT + ((WIDE - LEFT - 6) * second) / end;
  for (let device = 0; device < devices; device++) {
    svg.append(shape("text", { x: LEFT - 8, y: 22 * device + 17, "text-anchor": "end" }, String(device)));
    for (const step of stamps) {
      const [begun, found, met] = step[device];
      svg.append(shape("rect", { class: "works", x: x(begun), width: Math.max(x(found) - x(begun), 1), y: 22 * device + 5, height: 16 }));
      svg.append(shape("rect", { class: "waits", x: x(found), width: Math.max(x(met) - x(found), 1), y: 22 * device + 5, height: 16 }));
    }
  }
  svg.append(shape("text", { x: LEFT, y: 22 * devices + 18 }, "0 s"), shape("text", { x: WIDE - 6, y: 22 * devices + 18, "text-anchor": "end" }, `${end.toFixed(2)} s`));
  const others = waited.filter((_, device) => device !== slow);
  const mean = others.reduce((sum, value) => sum + value, 0) / Math.max(others.length, 1);
  const key = make("p", { class: "key" }, make("span", { class: "works" }), t("its own gradient"), make("span", { class: "waits" }), t("waiting for the others"));
  const words = t("Device {slow} sleeps {seconds} s in each step, and the others wait {waited} s for it. Time is lost, and nothing else: the mean is the same, whenever it comes.", { slow, seconds, waited: mean.toFixed(2) });
  return [svg, key, make("p", { class: "words" }, words)];
}

function drawing(label, height) {
  return shape("svg", { viewBox: `0 0 ${WIDE} ${height}`, role: "img", "aria-label": label });
}

function shape(name, attributes, text) {
  const found = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  if (text !== undefined) found.textContent = text;
  return found;
}

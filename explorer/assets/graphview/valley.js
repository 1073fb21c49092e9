// Gradient checking as a picture: relative error of differences over the size of their step, both on logarithmic axes.

import { t, translated } from "../texts.js";
import { make } from "./dom.js";
import { short } from "./palette.js";

const SIZE = { width: 300, height: 196 };
const EDGE_OF = { left: 38, right: 8, top: 8, bottom: 34 };
const KINDS = { central: t("central"), forward: t("forward") };
const STROKES = { central: [], forward: [5, 3] };

/** The picture of one check, with its verdict, its legend, and all of it in words. */
export function createValley(found, look, theme) {
  const canvas = make("canvas", { class: "valley", role: "img", "aria-label": inWords(found) });
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  Object.assign(canvas, { width: SIZE.width * ratio, height: SIZE.height * ratio });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  paintValley(context, found, look.ink[theme]);
  const kinds = found.curves.map((curve) => make("li", { class: `${curve.dtype} ${curve.kind}` }, make("i"), `${KINDS[curve.kind]}, ${curve.dtype}`));
  return make(
    "figure",
    { class: "checked" },
    canvas,
    make("ul", { class: "keys" }, ...kinds),
    make("figcaption", { class: found.verdict === "agrees" ? "good" : "warned" }, `${found.verdict === "agrees" ? "✓ " : "! "}${translated(found.sentence)}`),
    make("p", { class: "note" }, slopesInWords(found)),
  );
}

function paintValley(context, found, ink) {
  const scale = scaleOf(found);
  grid(context, scale, ink);
  for (const curve of found.curves) {
    context.strokeStyle = curve.dtype === "float64" ? ink.accent : ink.quiet;
    context.lineWidth = curve.kind === "central" ? 1.8 : 1.2;
    context.setLineDash(STROKES[curve.kind]);
    context.stroke(line(found.steps, curve.errors, scale));
  }
  context.setLineDash([]);
  const finest = found.curves[found.curves.length - 1];
  for (const curve of found.curves) if (curve.kind === "central") best(context, curve, scale, ink, curve === finest);
  named(context, found, finest, scale, ink);
}

function scaleOf(found) {
  const errors = found.curves.flatMap((curve) => curve.errors).filter((error) => error > 0);
  const low = Math.max(Math.floor(Math.log10(errors.reduce((a, b) => Math.min(a, b), 1e-2))), -17);
  const [first, last] = [found.steps[0], found.steps[found.steps.length - 1]].map(Math.log10);
  const wide = SIZE.width - EDGE_OF.left - EDGE_OF.right;
  const tall = SIZE.height - EDGE_OF.top - EDGE_OF.bottom;
  return {
    low,
    first,
    last,
    x: (step) => EDGE_OF.left + ((Math.log10(step) - first) / (last - first)) * wide,
    y: (error) => EDGE_OF.top + ((0.4 - Math.min(Math.max(Math.log10(error), low), 0.4)) / (0.4 - low)) * tall,
  };
}

function grid(context, scale, ink) {
  context.font = '10px Inter, "Segoe UI", system-ui, sans-serif';
  context.strokeStyle = ink.line;
  context.fillStyle = ink.quiet;
  context.lineWidth = 0.7;
  const [left, right, bottom] = [EDGE_OF.left, SIZE.width - EDGE_OF.right, SIZE.height - EDGE_OF.bottom];
  const every = scale.low < -9 ? 4 : 2;
  for (let power = 0; power >= scale.low; power -= every) {
    const y = scale.y(10 ** power);
    context.beginPath();
    context.moveTo(left, y);
    context.lineTo(right, y);
    context.stroke();
    context.textAlign = "right";
    power10(context, power, left - 4, y + 3);
  }
  context.textAlign = "center";
  for (let power = scale.first; power <= scale.last; power += 3) power10(context, power, scale.x(10 ** power), bottom + 12);
  context.fillText(t("size ε of the step"), (left + right) / 2, SIZE.height - 4);
  context.save();
  context.translate(9, (EDGE_OF.top + bottom) / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(t("relative error"), 0, 0);
  context.restore();
  context.textAlign = "start";
}

function power10(context, power, x, y) {
  const raised = [...String(Math.round(power))].map((sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(sign)]).join("");
  context.fillText(Math.round(power) === 0 ? "1" : `10${raised}`, x, y);
}

function line(steps, errors, scale) {
  const path = new Path2D();
  let down = false;
  steps.forEach((step, i) => {
    const error = errors[i];
    if (error === null) down = false;
    else if (down) path.lineTo(scale.x(step), scale.y(error || 1e-30));
    else path.moveTo(scale.x(step), scale.y(error || 1e-30));
    down = error !== null;
  });
  return path;
}

/** The bottom of a valley. */
function best(context, curve, scale, ink, tells) {
  if (curve.best_error === null) return;
  const [x, y] = [scale.x(curve.best_step), scale.y(curve.best_error || 1e-30)];
  context.strokeStyle = ink.text;
  context.fillStyle = ink.panel;
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(x, y, 3.5, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  if (tells) written(context, t("best ε {step}", { step: short(curve.best_step) }), Math.min(x + 6, SIZE.width - 76), Math.min(y + 13, SIZE.height - EDGE_OF.bottom - 3), ink);
}

/** The two sides of the finest central curve, by their slopes. */
function named(context, found, curve, scale, ink) {
  const at = (step) => curve.errors[found.steps.findIndex((own) => own >= step)];
  const left = curve.best_step * 1e-4;
  const right = Math.min(curve.best_step * 1e3, 0.05);
  if (curve.rounding !== null && at(left)) written(context, t("rounding, slope {slope}", { slope: oneDigit(curve.rounding) }), Math.max(scale.x(left) - 40, EDGE_OF.left + 3), Math.max(scale.y(at(left)) - 12, 20), ink);
  if (curve.truncation !== null && at(right)) written(context, t("truncation, slope {slope}", { slope: oneDigit(curve.truncation) }), Math.min(scale.x(right) - 20, SIZE.width - 118), Math.max(scale.y(at(right)) - 14, 20), ink);
}

function written(context, text, x, y, ink) {
  context.font = '600 10px Inter, "Segoe UI", system-ui, sans-serif';
  context.strokeStyle = ink.panel;
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeText(text, x, y);
  context.fillStyle = ink.text;
  context.fillText(text, x, y);
}

function oneDigit(slope) {
  return short(Number(slope.toFixed(1)));
}

function slopesInWords(found) {
  const curve = found.curves[found.curves.length - 1];
  const left = curve.rounding === null ? "" : t("Too small a step, and the rounding of the loss is divided by it: slope {slope}.", { slope: oneDigit(curve.rounding) });
  const right = curve.truncation === null ? "" : t("Too large a step, and the function bends on the way: slope {slope}.", { slope: oneDigit(curve.truncation) });
  return [left, right].filter(Boolean).join(" ");
}

/** The picture for those who don't see it. */
function inWords(found) {
  const least = (curve) => (curve.best_error === null ? t("no step gives one") : t("least error {error} at a step of {step}", { error: short(curve.best_error), step: short(curve.best_step) }));
  const curves = found.curves.map((curve) => t("{kind} differences in {dtype}: {least}", { kind: KINDS[curve.kind], dtype: curve.dtype, least: least(curve) }));
  return `${t("Relative error of differences by the size of their step, for {name}.", { name: found.name })} ${curves.join("; ")}. ${translated(found.sentence)}`;
}

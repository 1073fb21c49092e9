// What can be shown of a row: magnitudes on the page's one logarithmic scale, shares from none to all.

import { make } from "../graphview/dom.js";
import { colourOf } from "../graphview/palette.js";
import { t } from "../texts.js";
import { percent, power, told } from "./scales.js";

const SHARES = 64;

/** Each quantity of a frame: its name on the page, alone and within a line (of a layer a more exact one), how its numbers are written, and its scale of colours. */
export const QUANTITIES = {
  gradient: { title: t("Gradient"), name: t("gradient"), ofLayer: t("gradient before its activation"), unit: t("root mean square"), text: told, legend: magnitudes },
  value: { title: t("Activation"), name: t("activation"), unit: t("root mean square"), text: told, legend: magnitudes },
  weight: { title: t("Weight"), name: t("weight"), unit: t("root mean square"), text: told, legend: magnitudes },
  update: { title: t("Update ratio"), name: t("update ratio"), unit: "‖Δw‖ / ‖w‖", text: told, legend: magnitudes },
  zeros: { title: t("Zero share"), name: t("zero share"), unit: t("of all entries"), text: percent, legend: shares, share: true },
  zero_gradient: { title: t("Zero gradients"), name: t("zero gradients"), unit: t("of all entries"), text: percent, legend: shares, share: true },
  dead: { title: t("Dead units"), name: t("dead units"), unit: t("of all units"), text: percent, legend: shares, share: true },
  saturated: { title: t("Saturated share"), name: t("saturated share"), unit: t("of all entries"), text: percent, legend: shares, share: true },
};

const made = new Map();

/** A function from a number to its colour as a pixel; 0 is transparent. */
export function shades(quantity, look, theme) {
  const key = `${quantity.share ? "share" : "magnitude"} ${theme}`;
  if (!made.has(key)) made.set(key, quantity.share ? shadeOfShare(look, theme) : shadeOfMagnitude(look, theme));
  return made.get(key);
}

function shadeOfMagnitude(look, theme) {
  const { low, high, levels } = look.scale;
  const table = Uint32Array.from(look.palettes[theme], pixel);
  const unit = levels / (high - low);
  return (value) => {
    if (value === 0) return table[0];
    if (value === Infinity) return table[2 * levels + 2];
    if (value === -Infinity) return table[2 * levels + 1]; // a NaN that was computed
    const level = Math.floor((Math.log10(Math.abs(value)) - low) * unit);
    return table[1 + Math.min(Math.max(level, 0), levels - 1)];
  };
}

function shadeOfShare(look, theme) {
  const table = Uint32Array.from({ length: SHARES + 1 }, (_, i) => pixel(shareColour(look.ink[theme], i / SHARES)));
  return (value) => table[Math.round(Math.min(Math.max(value, 0), 1) * SHARES)];
}

/** A colour between the panel's and the warning's. */
export function shareColour(ink, share) {
  return mixed(ink.panel, ink.warn, share);
}

/** A colour as far between two others as `share` says. */
export function mixed(from, to, share) {
  const part = (colour, i) => parseInt(colour.slice(i, i + 2), 16);
  return `#${[1, 3, 5].map((i) => Math.round(part(from, i) + (part(to, i) - part(from, i)) * share).toString(16).padStart(2, "0")).join("")}`;
}

/** A colour as a pixel of an image. */
export function pixel(colour) {
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function magnitudes(element, look, theme) {
  if (element.dataset.shows === `magnitude ${theme}`) return;
  element.dataset.shows = `magnitude ${theme}`;
  const { low, high } = look.scale;
  const colours = Array.from({ length: 40 }, (_, i) => colourOf(10 ** (low + ((high - low) * (i + 0.5)) / 40), look, theme));
  element.replaceChildren(
    key(power(low), colours, power(high)),
    swatch(colourOf(0, look, theme), t("exactly 0")),
    swatch(colourOf(NaN, look, theme), "NaN"),
    swatch(colourOf(Infinity, look, theme), "∞"),
    swatch("", t("not recorded")),
  );
}

function shares(element, look, theme) {
  if (element.dataset.shows === `share ${theme}`) return;
  element.dataset.shows = `share ${theme}`;
  const colours = Array.from({ length: 40 }, (_, i) => shareColour(look.ink[theme], i / 39));
  element.replaceChildren(key(t("none"), colours, t("all")), swatch("", t("not recorded")));
}

function key(from, colours, to) {
  const bar = make("i", { class: "ramp", style: `background: linear-gradient(to right, ${colours.join(", ")})` });
  return make("span", { class: "key" }, from, bar, to);
}

function swatch(colour, text) {
  return make("span", { class: "key" }, make("i", { class: colour ? "patch" : "patch hatched", style: colour ? `background: ${colour}` : "" }), text);
}

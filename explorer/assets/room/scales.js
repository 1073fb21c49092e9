// Scales, their ticks, and numbers as people write them.

import { short } from "../graphview/palette.js";

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

/** A power of ten: `10⁻³`. */
export function power(exponent) {
  return `10${String(exponent).replace(/[-\d]/g, (sign) => RAISED[sign])}`;
}

/** A whole number with its thousands apart: `1,000`. */
export function grouped(count) {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A number of an array in which −∞ stands for a NaN that was computed, and NaN for nothing recorded. */
export function told(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  return value === -Infinity ? "NaN" : short(value);
}

/** A share as people say it: `12 %`. */
export function percent(share) {
  if (!Number.isFinite(share)) return told(share);
  const whole = 100 * share;
  return `${whole && whole < 1 ? "under 1" : whole > 99 && whole < 100 ? "over 99" : Math.round(whole)} %`;
}

/** Round numbers between two others, about as many as asked for. */
export function rounds(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  if (!(rough > 0) || !Number.isFinite(rough)) return [low];
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((many) => many * unit >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step && found.length < 40; i++) found.push(i * step);
  return found;
}

/** Values to pixels in proportion. */
export function linear(low, high, from, to) {
  const unit = (to - from) / (high - low || 1);
  return {
    low,
    high,
    at: (value) => from + (value - low) * unit,
    invert: (place) => low + (place - from) / unit,
    ticks(count) {
      const few = rounds(low, high, count);
      const values = few.length > 1 ? few : rounds(low, high, 2 * count); // one number is no scale
      return values.map((value) => [value, plain(value, high - low)]);
    },
  };
}

/** Values to pixels by their logarithm; `low` and `high` are powers of ten, what is beyond lies at the ends. */
export function logarithmic(low, high, from, to) {
  const unit = (to - from) / (high - low || 1);
  const at = (value) => from + (Math.min(Math.max(Math.log10(value), low), high) - low) * unit;
  const ticks = (count) => {
    const decades = Math.floor(high + 1e-9) - Math.ceil(low - 1e-9);
    if (decades < 2) return rounds(10 ** low, 10 ** high, count).filter((value) => value > 0).map((value) => [value, short(value)]);
    const every = Math.max(1, Math.ceil(decades / count));
    const found = [];
    for (let e = Math.ceil((low - 1e-9) / every) * every; e <= high + 1e-9; e += every) found.push([10 ** e, power(e)]);
    return found;
  };
  return { low, high, at, ticks };
}

/** Magnitudes on the page's fixed scale; below it a lane of its own for exactly zero, at its top what overflowed. */
export function fixedScale({ low, high }, from, to) {
  const lane = 15;
  const own = logarithmic(low, high, from - lane, to);
  // the ends of the scale always among them: what lies at the lower one may be less
  const ticks = (count) => {
    const every = [1, 2, 5, high - low].find((step) => (high - low) / step <= count) || high - low;
    const found = [[0, "0"]];
    for (let e = low; e <= high; e += every) found.push([10 ** e, power(e)]);
    return found;
  };
  return { at: (value) => (value === 0 ? from - 2 : Number.isFinite(value) ? own.at(Math.abs(value)) : to), below: (value) => value !== 0 && Math.abs(value) < 10 ** low, ticks };
}

/** Steps to pixels: a step is as wide as its column in a heat map, and stands in its middle elsewhere. */
export function stepScale(runs, from, to) {
  const first = Math.min(...runs.map((run) => run.first));
  const reached = Math.max(...runs.map((run) => run.last));
  const last = Math.max(reached + 1, first + 12); // room at the start, so that the first steps don't jump about
  const { at, invert } = linear(first, last, from, to);
  return {
    first,
    last,
    edge: at,
    at: (step) => at(step + 0.5),
    step: (place) => Math.floor(invert(place)),
    ticks: (count) => rounds(first, reached, count).filter(Number.isInteger).map((step) => [step, grouped(step)]),
  };
}

function plain(value, span) {
  if (Math.abs(value) >= 1e5 || (Math.abs(value) < 1e-4 && value)) return short(value);
  const digits = Math.max(0, Math.min(7, 1 - Math.floor(Math.log10(span || 1))));
  return String(Number(value.toFixed(digits))).replace("-", "−");
}

// How the entries of one layer spread over magnitudes, step after step: its gradient, its activation, its weight.

import { make } from "../graphview/dom.js";
import { t } from "../texts.js";
import { drawAxes, drawEmpty, drawSteps, hatch } from "./axes.js";
import { alongSteps, createPlot, FACE, showLegend } from "./plot.js";
import { pixel } from "./quantities.js";
import { grouped, logarithmic, power, stepScale } from "./scales.js";
import { decoder } from "./state.js";

const SPREADS = [
  { quantity: "gradient", title: t("Gradient"), name: t("gradient"), hue: "backward" },
  { quantity: "value", title: t("Activation"), name: t("activation"), hue: "forward" },
  { quantity: "weight", title: t("Weight"), name: t("weight"), hue: "accent" },
];
const LEAST = 2; // pixels that a column is wide at least
const BETWEEN = 48; // room for the numbers of the axis of each part, and for half a marker

/** The histograms, and the choice of a layer. */
export function createHistograms(room) {
  const select = make("select", { "aria-label": t("Layer of the histograms"), onchange: () => room.set({ spread: select.value }) });
  const images = new Map();
  let open = null;
  let parts = [];

  const chart = {
    name: "spread",
    title: t("How the entries spread"),
    height: 180,
    depends: ["run", "extras", "row", "spread", "status"],
    gutter: () => ({ left: 44, right: 12, top: 34, bottom: 34 }),
    paint(context, area, plot) {
      const { state } = room;
      const ink = room.ink();
      parts = [];
      const { steps = [], rows = [] } = state.extras.histograms || {};
      if (!state.run || !steps.length || !rows.length) return drawEmpty(context, area, t("Nothing recorded yet."), ink);
      openSpreads(state.extras);
      showNames();
      const row = rowShown();
      const shown = SPREADS.filter(({ quantity }) => open.arrays[quantity]);
      parts = layOut(area, shown, { first: state.run.first, last: Math.max(state.run.last, open.steps[open.steps.length - 1]) });
      parts.forEach((part) => paintSpread(context, part, row, ink));
      plot.x = parts[0].x;
      showLegend(plot.legend, gaps() ? [[t("not recorded"), ink.pale, "hatched"]] : []);
    },
    over(context, area, plot) {
      if (!parts.length) return false;
      plot.say(spokenSpreads(rowShown()));
      return parts.map((part) => drawSteps(context, part.area, part.x, room.state, room.ink())).some(Boolean);
    },
    ...within(room, () => parts),
  };
  const plot = createPlot(room, chart);
  plot.controls.append(select);

  function openSpreads(extras) {
    if (open && open.extras === extras) return;
    const decoded = decoder();
    const own = extras.histograms;
    const edges = decoded("edges", own.edges);
    const arrays = Object.fromEntries(SPREADS.map(({ quantity }) => [quantity, decoded(quantity, own[quantity])]));
    open = { extras, names: own.rows, steps: own.steps, reach: own.reach || 0, edges, bins: edges.length - 1, arrays };
    images.clear();
  }

  function showNames() {
    if (select.dataset.known === String(open.names)) return;
    select.dataset.known = String(open.names);
    select.replaceChildren(...open.names.map((name) => make("option", { value: name }, name)));
  }

  /** The row chosen here, else the one chosen anywhere, else the first. */
  function rowShown() {
    const { run, row, spread } = room.state;
    const chosen = run.rows.find(({ id }) => id === row);
    const found = [spread, chosen && chosen.name].map((name) => open.names.indexOf(name)).find((index) => index >= 0) ?? 0;
    select.value = open.names[found];
    return found;
  }

  function counts(quantity, row) {
    const each = open.steps.length * open.bins;
    return open.arrays[quantity].subarray(row * each, (row + 1) * each);
  }

  function layOut(area, shown, steps) {
    const across = area.w > 460 ? shown.length : 1;
    const down = Math.ceil(shown.length / across);
    const width = (area.w - BETWEEN * (across - 1)) / across;
    const height = (area.h - 62 * (down - 1)) / down;
    plot.height(34 + 34 + (down > 1 ? shown.length * 110 + 62 * (down - 1) : 116));
    return shown.map((spread, i) => {
      const x = area.x + (i % across) * (width + BETWEEN);
      const own = { ...area, x, y: area.y + Math.floor(i / across) * (height + 62), w: width, h: Math.max(height, 1) };
      const { edges, bins } = open;
      return { ...spread, area: own, x: stepScale([steps], own.x, own.x + own.w), y: logarithmic(edges[0], edges[bins], own.y + own.h, own.y) };
    });
  }

  function paintSpread(context, { quantity, title, hue, area, x, y }, row, ink) {
    drawAxes(context, area, { x, y: { ...y, ticks: (count) => y.ticks(Math.min(count, 4)) }, across: t("training step") }, ink);
    context.fillStyle = hatch(context, ink.line);
    context.fillRect(area.x, area.y, area.w, area.h);
    context.imageSmoothingEnabled = false;
    context.fillStyle = ink.panel;
    const picture = pictureOf(quantity, row, ink[hue]);
    open.steps.forEach((step, i) => {
      const [left, right] = stripe(x, i);
      context.fillRect(left, area.y, right - left, area.h);
      context.drawImage(picture, i, 0, 1, open.bins, left, area.y, right - left, area.h);
    });
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.font = `600 11.5px ${FACE}`;
    context.fillStyle = ink[hue];
    context.fillText(title, area.x, area.y - 8);
    const after = area.x + context.measureText(title).width + 6;
    context.font = `11px ${FACE}`;
    context.fillStyle = ink.quiet;
    const none = !counts(quantity, row).some((count) => count > 0);
    context.fillText(none ? t("none on this scale") : area.w > 210 ? t("magnitude of its entries") : t("magnitude"), after, area.y - 8);
  }

  /** From where to where a pass that was looked at is drawn: half-way to its neighbours, as far as one stands for others. */
  function stripe(x, i) {
    const { run } = room.state;
    const { steps, reach } = open;
    const half = (a, b) => Math.floor((steps[a] + steps[b]) / 2) + 1;
    const from = Math.max(i ? half(i - 1, i) : run.first, steps[i] - reach);
    const to = i + 1 < steps.length ? Math.min(half(i, i + 1), steps[i] + reach + 1) : Math.max(Math.min(steps[i] + reach, run.last), steps[i]) + 1;
    const right = Math.round(x.edge(to)); // whole pixels: half ones leave seams
    return [Math.min(Math.round(x.edge(from)), right - LEAST), right];
  }

  /** Whether any step is further than that from the passes that were looked at. */
  function gaps() {
    const { steps, reach } = open;
    return steps.some((step, i) => i > 0 && step - steps[i - 1] > 2 * reach + 1) || room.state.run.last - steps[steps.length - 1] > reach;
  }

  /** The pass that is spoken of: the one under the pointer, if it was looked at, else the one on the graph, or the last. */
  function passShown() {
    const { run, hover, status } = room.state;
    if (hover === null) return stepColumn(open.steps, status.playing ? Infinity : (run.frame.shown ?? Infinity));
    const { x } = parts[0];
    return open.steps.findLastIndex((_, i) => {
      const [left, right] = stripe(x, i);
      return x.at(hover) >= left && x.at(hover) <= right;
    });
  }

  /** Steps × bins as a picture: the more of the entries of a step, the stronger. */
  function pictureOf(quantity, row, hue) {
    const key = `${quantity} ${row} ${hue}`;
    if (!images.has(key)) images.set(key, densities(counts(quantity, row), open.steps.length, open.bins, hue));
    return images.get(key);
  }

  function spokenSpreads(row) {
    const column = passShown();
    if (column < 0) return `${t("step {step}", { step: grouped(room.state.hover) })} · ${t("not recorded")}`;
    const texts = parts.map(({ quantity, name }) => {
      const own = counts(quantity, row).subarray(column * open.bins, (column + 1) * open.bins);
      return t("{name} mostly {middle}", { name, middle: middleOf(own, open.edges) });
    });
    return `${t("step {step}", { step: grouped(open.steps[column]) })} · ${texts.join(" · ")}`;
  }

  return plot;
}

function densities(counts, steps, bins, hue) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: steps, height: bins });
  const image = new ImageData(steps, bins);
  const cells = new Uint32Array(image.data.buffer);
  const colour = pixel(hue) & 0xffffff;
  for (let step = 0; step < steps; step++) {
    const own = counts.subarray(step * bins, (step + 1) * bins);
    let most = 0;
    for (let bin = 0; bin < bins; bin++) if (own[bin] > most) most = own[bin];
    for (let bin = 0; bin < bins; bin++) {
      // square root: the thin ends of a spread matter, and would not be seen in proportion
      const alpha = most ? Math.round(255 * Math.sqrt(own[bin] / most)) : 0;
      cells[(bins - 1 - bin) * steps + step] = (alpha << 24) | colour;
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function stepColumn(steps, step) {
  const after = steps.findIndex((own) => own > step);
  return after < 0 ? steps.length - 1 : Math.max(after - 1, 0);
}

/** Where the middle half of the entries lies: `10⁻⁴ to 0.01`. */
function middleOf(counts, edges) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (!all) return t("off this scale");
  const at = (share) => {
    let sum = 0;
    return edges[counts.findIndex((count) => (sum += count) >= share * all)];
  };
  const [low, high] = [Math.round(at(0.25)), Math.round(at(0.75))];
  const text = (exponent) => (Math.abs(exponent) < 3 ? String(10 ** exponent) : power(exponent));
  return low === high ? t("about {number}", { number: text(low) }) : t("{count_low} to {count_high}", { count_low: text(low), count_high: text(high) });
}

/** The pointer in one of several parts that share their steps. */
function within(room, parts) {
  const steps = alongSteps(room);
  const part = ({ x, y }) => parts().find(({ area }) => x >= area.x && x <= area.x + area.w && y >= area.y && y <= area.y + area.h);
  const on = (does) => (place) => {
    const found = part(place);
    if (found) does(place, found);
    else room.set({ hover: null });
  };
  return { point: on(steps.point), leave: steps.leave, press: (place) => part(place) && steps.press(place, part(place)) };
}

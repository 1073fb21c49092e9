// A card with a chart in it: title, controls, one line of numbers, and two canvases, the upper for what follows the pointer.

import { make } from "../graphview/dom.js";

export const FACE = 'Inter, "Segoe UI", system-ui, -apple-system, Helvetica, Arial, sans-serif';
const GUTTER = { left: 46, right: 12, top: 20, bottom: 34 };

/**
 * A chart. `chart` holds: name, title, depends (keys of the state that repaint it), paint(context, area, plot),
 * over(context, area, plot), height, and, if wanted, gutter(width), point(place, plot), leave(), press(place, plot), keys.
 * What `over` returns is false where it left no ink.
 */
export function createPlot(room, chart) {
  const base = make("canvas", { class: "base", role: "img", "aria-label": chart.title });
  const over = make("canvas", { class: "over", "aria-hidden": "true" });
  const field = make("div", { class: "field" }, base, over);
  const legend = make("div", { class: "legend-row" });
  const controls = make("div", { class: "controls" });
  const readout = make("p", { class: "readout" });
  const head = make("header", {}, make("h3", {}, chart.title), legend, controls);
  const element = make("section", { class: `card chart ${chart.name}`, "aria-label": chart.title }, head, readout, field);
  const size = { width: 0, height: 0, ratio: 1 };
  const dirty = { base: true, over: true };
  let inked = true; // whether there is anything on the upper canvas: an empty one needn't be handed on once more
  const depends = new Set([...chart.depends, "theme"]);
  field.style.minHeight = `${chart.height}px`;

  const plot = {
    element,
    field,
    legend,
    controls,
    visible: true,
    x: null,
    y: null,
    area: null,
    say(text) {
      if (readout.textContent === text) return;
      readout.textContent = text;
      base.setAttribute("aria-label", `${chart.title}. ${text}`);
    },
    height(pixels) {
      field.style.minHeight = `${Math.round(pixels)}px`;
    },
    /** The element's new size, from an observer: nothing is asked of the layout while painting. */
    sized(width, height) {
      const ratio = Math.min(window.devicePixelRatio || 1, 2);
      if (width === size.width && height === size.height && ratio === size.ratio) return;
      Object.assign(size, { width, height, ratio });
      dirty.base = dirty.over = true;
    },
    changed(keys) {
      for (const key of keys) {
        if (depends.has(key)) dirty.base = dirty.over = true;
        else if (key === "hover" || key === "overRow" || key === "row") dirty.over = true;
      }
    },
    /** Paint what is out of date; what is out of sight stays so until it is seen. */
    refresh(force) {
      if (force) dirty.base = dirty.over = true;
      if ((!plot.visible && !force) || !size.width || element.hidden) return;
      if (dirty.base) paintOn(base, (context, area) => chart.paint(context, area, plot));
      if (chart.over && plot.x !== undefined && (dirty.over || dirty.base)) paintOver();
      dirty.base = dirty.over = false;
    },
  };

  function paintOver() {
    const before = inked;
    paintOn(over, (context, area) => (inked = chart.over(context, area, plot) !== false), !before);
  }

  function paintOn(canvas, paint, blank = false) {
    const { width, height, ratio } = size;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) {
      Object.assign(canvas, { width: w, height: h });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (!blank) context.clearRect(0, 0, width, height);
    const { left, right, top, bottom } = { ...GUTTER, ...(chart.gutter ? chart.gutter(width, context) : {}) };
    plot.area = { x: left, y: top, w: Math.max(width - left - right, 1), h: Math.max(height - top - bottom, 1), width, height };
    paint(context, plot.area);
  }

  const place = (event) => {
    const box = field.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  field.addEventListener("pointermove", (event) => chart.point && plot.area && chart.point(place(event), plot));
  field.addEventListener("pointerleave", () => chart.leave && chart.leave(plot));
  field.addEventListener("click", (event) => chart.press && plot.area && chart.press(place(event), plot));
  if (chart.keys) listenToKeys(base, chart, plot);
  room.add(plot);
  return plot;
}

/** Keys of a chart that can be walked in; they are not meant for the rest of the page. */
function listenToKeys(canvas, chart, plot) {
  canvas.tabIndex = 0;
  canvas.addEventListener("keydown", (event) => {
    const does = chart.keys[event.key];
    if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    does(plot, event);
  });
}

/** What every chart over steps does with the pointer: hover a step, go back to it. */
export function alongSteps(room) {
  const stepAt = (place, plot) => {
    const { x, area } = plot;
    if (!x || !room.state.run || place.x < area.x - 6 || place.x > area.x + area.w + 6) return null;
    const { first, last } = room.state.run;
    return Math.min(Math.max(x.step(place.x), first), last);
  };
  return {
    point: (place, plot) => room.set({ hover: stepAt(place, plot) }),
    leave: () => room.set({ hover: null }),
    press(place, plot) {
      const step = stepAt(place, plot);
      if (step !== null) room.rewind(step);
    },
  };
}

/** One of a few choices, as buttons side by side. */
export function choice(label, options, pick) {
  const buttons = options.map(([value, text]) => make("button", { type: "button", "data-value": value, "aria-pressed": "false", onclick: () => pick(value) }, text));
  const element = make("div", { class: "segmented", role: "group", "aria-label": label }, ...buttons);
  const show = (chosen) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.value === chosen)));
  return { element, show };
}

/** Entries of a legend: `[text, colour, dash]`; made again only when they change. */
export function showLegend(element, entries) {
  const key = JSON.stringify(entries);
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.replaceChildren(
    ...entries.map(([text, colour, kind]) => make("span", { class: "entry" }, make("i", { class: `swatch ${kind}`, style: `--hue: ${colour}` }), text)),
  );
}

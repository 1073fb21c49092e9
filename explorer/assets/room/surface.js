// A slice of the loss surface from above, with the way that the run has walked on it.

import { make } from "../graphview/dom.js";
import { t, translated } from "../texts.js";
import { drawAxes, drawDot, drawEmpty, drawLine } from "./axes.js";
import { traceContour } from "./contours.js";
import { createPlot, showLegend } from "./plot.js";
import { mixed, pixel } from "./quantities.js";
import { grouped, linear, percent, told } from "./scales.js";
import { decoder } from "./state.js";

const LEVELS = 12;
const NEAR = 16; // pixels from the pointer to a point of the way

/** The surface is drawn when that is asked for: it costs a thousand passes. */
export function createSurface(room) {
  const picture = document.createElement("canvas");
  let open = null;
  let painted = {};
  let waits = false;
  let over = null;

  const button = make("button", { type: "button", class: "more", onclick: ask }, t("Draw"));

  function ask() {
    waits = true;
    room.send({ type: "survey" });
    label();
  }

  function label() {
    button.disabled = waits;
    button.textContent = waits ? t("Drawing…") : open ? t("Draw again") : t("Draw");
  }

  const chart = {
    name: "surface",
    title: t("Loss surface"),
    height: 300,
    depends: ["surface", "run"],
    paint(context, area, plot) {
      const ink = room.ink();
      const { surface } = room.state;
      if (!open) {
        showLegend(plot.legend, []);
        plot.say(translated(surface.error || ""));
        return drawEmpty(context, area, t("The loss around here, and the way that led here."), ink);
      }
      const square = squareIn(area);
      plot.x = linear(open.range[0], open.range[1], square.x, square.x + square.w);
      plot.y = linear(open.range[2], open.range[3], square.y + square.h, square.y);
      paintHeights(context, square, ink);
      paintLevels(context, plot, ink);
      paintWay(context, plot, ink);
      drawAxes(context, square, { x: plot.x, y: plot.y, across: translated(open.labels[0]), up: translated(open.labels[1]), bare: true }, ink);
      plot.say(spoken());
      showLegend(plot.legend, [[t("start"), ink.text, "dot hollow"], [t("now"), ink.text, "dot round"]]);
    },
    point(place, plot) {
      const found = nearest(place, plot);
      if (found === over) return;
      over = found;
      plot.say(spoken());
      plot.field.style.cursor = over === null ? "" : "pointer";
    },
    leave(plot) {
      over = null;
      if (open) plot.say(spoken());
    },
    press(place, plot) {
      const found = nearest(place, plot);
      if (found !== null) room.rewind(open.steps[found]);
    },
  };

  function paintHeights(context, square, ink) {
    if (painted.open !== open || painted.ink !== ink) {
      painted = { open, ink };
      heightsInto(picture, open, ink);
    }
    // a number stands for a point, and its pixel reaches half a cell around it
    const [across, up] = [square.w / (open.columns - 1), square.h / (open.rows - 1)];
    context.save();
    context.beginPath();
    context.rect(square.x, square.y, square.w, square.h);
    context.clip();
    context.imageSmoothingEnabled = true;
    context.drawImage(picture, square.x - across / 2, square.y - up / 2, square.w + across, square.h + up);
    context.restore();
  }

  function paintLevels(context, plot, ink) {
    const { rows, columns, at, range } = open;
    const x = (column) => plot.x.at(range[0] + ((range[1] - range[0]) * column) / (columns - 1));
    const y = (row) => plot.y.at(range[2] + ((range[3] - range[2]) * row) / (rows - 1));
    context.strokeStyle = ink.text;
    context.globalAlpha = 0.35;
    context.lineWidth = 0.8;
    context.beginPath();
    for (let i = 1; i < LEVELS; i++) traceContour(context, rows, columns, at, i / LEVELS, (row, column) => [x(column), y(row)]);
    context.stroke();
    context.globalAlpha = 1;
  }

  function paintWay(context, plot, ink) {
    const points = open.way.map(([a, b]) => [plot.x.at(a), plot.y.at(b)]);
    drawLine(context, points, ink.panel, { width: 5, alpha: 0.8 });
    drawLine(context, points, ink.text, { width: 2 });
    points.slice(1, -1).forEach((point) => drawDot(context, point, ink.text, "round", 1.8));
    drawDot(context, points[0], ink.panel, "round", 4.5, ink.text);
    if (points.length > 1) drawDot(context, points[points.length - 1], ink.text, "round", 4.5, ink.panel);
    const shown = room.state.run && open.steps.indexOf(room.state.run.frame.shown);
    if (shown > 0) drawDot(context, points[shown], "transparent", "round", 8, ink.accent);
  }

  function nearest({ x, y }, plot) {
    if (!open || !plot.x) return null;
    const far = open.way.map(([a, b]) => Math.hypot(plot.x.at(a) - x, plot.y.at(b) - y));
    const least = Math.min(...far);
    return least <= NEAR ? far.indexOf(least) : null;
  }

  function spoken() {
    if (over !== null) return `${t("step {step}", { step: grouped(open.steps[over]) })} · ${t("click to go back there")}`;
    const share = open.share === null ? "" : ` · ${t("{share} of the way lies in this plane", { share: percent(open.share) })}`;
    return `${t("loss {low} to {high} on {on}", { low: told(open.low), high: told(open.high), on: translated(open.on) })}${share}`;
  }

  const plot = createPlot(room, chart);
  plot.controls.append(button);
  room.subscribe((changed) => {
    if (!changed.has("surface")) return;
    const { surface } = room.state;
    open = surface.losses ? openSurface(surface) : null;
    [waits, over] = [false, null];
    label();
  });
  return plot;
}

/** The largest square, in the middle. */
function squareIn(area) {
  const side = Math.min(area.w, area.h);
  return { ...area, x: area.x + (area.w - side) / 2, w: side, h: side };
}

/** Decoded; heights from 0 to 1 by the logarithm of the loss, which falls over powers of ten, where it has one. */
function openSurface(given) {
  const decoded = decoder();
  const [rows, columns] = given.size;
  const [losses, path] = [decoded("losses", given.losses), decoded("path", given.path)];
  const finite = losses.filter(Number.isFinite);
  const [low, high] = finite.reduce(([a, b], loss) => [Math.min(a, loss), Math.max(b, loss)], [Infinity, -Infinity]);
  const height = low > 0 ? Math.log : (loss) => loss;
  const span = height(high) - height(low) || 1;
  const at = (row, column) => (height(losses[row * columns + column]) - height(low)) / span;
  const way = given.steps.map((_, i) => [path[2 * i], path[2 * i + 1]]);
  return { ...given, given, rows, columns, at, way, low, high };
}

/** A pixel a number, dark where the loss is high; row 0 is the lowest. */
function heightsInto(canvas, { rows, columns, at }, ink) {
  Object.assign(canvas, { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  const cells = new Uint32Array(image.data.buffer);
  const table = Array.from({ length: 65 }, (_, i) => pixel(mixed(ink.panel, ink.update, (0.8 * i) / 64)));
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const height = at(row, column);
      cells[(rows - 1 - row) * columns + column] = table[height >= 0 ? Math.min(Math.round(64 * height), 64) : 64]; // 64: no number either
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

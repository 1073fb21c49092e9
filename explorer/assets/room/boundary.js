// What the network makes of the plane: its scores as colours, the line where it is undecided, and the points.

import { t } from "../texts.js";
import { drawAxes, drawDot, drawEmpty } from "./axes.js";
import { traceContour } from "./contours.js";
import { createPlot, FACE, showLegend } from "./plot.js";
import { mixed, pixel } from "./quantities.js";
import { grouped, linear, percent, told } from "./scales.js";
import { decoder } from "./state.js";

const PLANE = { widest: 320, between: 14, label: 18 }; // two that are compared stand side by side, a label above each

/** The decision boundary; a hovered unit takes its place. Of two runs one beside the other, in the same colours. */
export function createBoundary(room) {
  const canvases = [document.createElement("canvas"), document.createElement("canvas")];
  let opened = [];
  let painted = [];

  const chart = {
    name: "boundary",
    title: t("Decision boundary"),
    height: 300,
    depends: ["extras", "unit", "second"],
    gutter: (width) => ({ left: 34, right: Math.max(12, width - 34 - (secondOf(room.state).boundary ? 2 * PLANE.widest + PLANE.between : PLANE.widest)), top: 8, bottom: 34 }),
    paint(context, area, plot) {
      const ink = room.ink();
      const given = [room.state.extras.boundary, secondOf(room.state).boundary].filter(Boolean);
      if (!given[0]) return drawEmpty(context, area, t("For tasks in the plane."), ink);
      opened = given.map((each, i) => openPlane(each, opened[i]));
      const unit = opened[0].units.find(({ id }) => id === room.state.unit) || null;
      const squares = squaresIn(area, opened.length);
      plot.height(squares[0].w + squares[0].y - area.y + 42);
      opened.forEach((open, i) => drawPlane(context, plot, squares[i], { open, shown: (i === 0 && unit) || open, which: i }, ink));
      if (opened.length > 1) squares.forEach((square, i) => drawLabel(context, square, labelOf(room.state, i), ink));
      plot.say(spokenPlanes(room.state, opened, unit));
      showLegend(plot.legend, legendOfPlane(opened[0], ink)); // with a unit too: the card must not change its height under the pointer
    },
  };

  function drawPlane(context, plot, square, { open, shown, which }, ink) {
    plot.x = linear(open.range[0], open.range[1], square.x, square.x + square.w);
    plot.y = linear(open.range[2], open.range[3], square.y + square.h, square.y);
    paintScores(context, square, shown, which, ink);
    drawZero(context, square, shown, ink);
    drawPoints(context, plot, open, ink, opened.length > 1 ? 2.2 : 2.9);
    const up = which === 0 && { ...plot.y, ticks: (count) => plot.y.ticks(Math.min(count, 5)) };
    drawAxes(context, square, { x: plot.x, y: up, across: which === 0 && t("x₁ across, x₂ up"), bare: true }, ink);
  }

  function paintScores(context, area, shown, which, ink) {
    const picture = canvases[which];
    const before = painted[which] || {};
    if (before.shown !== shown || before.ink !== ink) {
      painted[which] = { shown, ink };
      scoresInto(picture, [shown], hues(ink, room));
    }
    context.imageSmoothingEnabled = true;
    context.drawImage(picture, area.x, area.y, area.w, area.h);
  }

  return createPlot(room, chart);
}

/** What there is to show of the second run's pass, where two are compared. */
export function secondOf({ extras, second }) {
  return (second && extras.second) || {};
}

/** `before`, or `after` with its step where that is another one. */
export function labelOf(state, which) {
  const { step } = secondOf(state);
  return which && step !== state.run.frame.shown ? t("{name} · step {step}", { name: state.names[which], step: grouped(step) }) : state.names[which];
}

function squaresIn(area, count) {
  const side = (area.w - PLANE.between * (count - 1)) / count;
  const top = area.y + (count > 1 ? PLANE.label - 8 : 0);
  return Array.from({ length: count }, (_, i) => ({ ...area, x: area.x + i * (side + PLANE.between), y: top, w: side, h: Math.min(side, area.h - (top - area.y)) }));
}

function drawLabel(context, { x, y }, text, ink) {
  context.font = `600 11px ${FACE}`;
  context.fillStyle = ink.text;
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText(text, x, y - 6);
}

function spokenPlanes(state, opened, unit) {
  const spoken = opened.map((open, i) => spokenPlane(open, i ? null : unit));
  if (!state.second) return spoken[0];
  return spoken.map((text, i) => `${labelOf(state, i)}: ${text}`).join(" · ");
}

/** A scene of the plane, decoded; what has not changed is kept. */
export function openPlane(given, before) {
  if (before && before.given === given) return before;
  const decoded = decoder();
  const [rows, columns] = given.size;
  const scores = decoded("scores", given.scores);
  const [points, held] = [decoded("points", given.points), decoded("held", given.held)];
  const values = scores.some((score) => score < 0 || score > 1);
  const centre = values ? 0 : 0.5;
  const most = values ? largest(scores) : 0.5;
  const units = (given.units || []).map((unit) => openUnit(unit));
  return { given, rows, columns, scores, points, held, values, centre, most, units, range: given.range };
}

function openUnit(unit) {
  const scores = decoder()("unit", unit.scores);
  const side = unit.size ? unit.size[0] : Math.round(Math.sqrt(scores.length));
  // a unit is drawn on its own scale: what matters is where it turns, not how strong it is
  return { ...unit, scores, rows: side, columns: scores.length / side, centre: 0, most: largest(scores) };
}

function largest(values) {
  let most = 0;
  for (const value of values) if (Math.abs(value) > most && Number.isFinite(value)) most = Math.abs(value);
  return most || 1;
}

/** From one class over the panel's colour to the other. */
export function hues(ink, room) {
  const colours = room.look.palettes[room.state.theme];
  const { levels } = room.look.scale;
  const at = Math.round(levels * 0.62);
  return { plus: colours[at], minus: colours[levels + at], middle: ink.panel };
}

const ramps = new Map();

function ramp({ plus, minus, middle }) {
  const key = plus + minus + middle;
  if (!ramps.has(key)) {
    const colours = Array.from({ length: 129 }, (_, i) => mixed(middle, i < 64 ? minus : plus, (0.82 * Math.abs(i - 64)) / 64));
    ramps.set(key, Uint32Array.from(colours, pixel));
  }
  return ramps.get(key);
}

/** Pictures of scores one beside the other, a pixel a cell; row 0 is the lowest of the plane. */
export function scoresInto(canvas, pictures, colours) {
  const wide = pictures.reduce((sum, { columns }) => sum + columns, 0);
  const tall = Math.max(...pictures.map(({ rows }) => rows));
  if (canvas.width !== wide || canvas.height !== tall) Object.assign(canvas, { width: wide, height: tall });
  const image = new ImageData(wide, tall);
  const cells = new Uint32Array(image.data.buffer);
  const table = ramp(colours);
  let left = 0;
  for (const { scores, rows, columns, centre, most } of pictures) {
    for (let row = 0; row < rows; row++) {
      const begin = (rows - 1 - row) * wide + left;
      for (let column = 0; column < columns; column++) {
        const place = Math.round(64 + (64 * (scores[row * columns + column] - centre)) / most);
        cells[begin + column] = table[place >= 0 ? Math.min(place, 128) : place < 0 ? 0 : 64]; // 64: NaN
      }
    }
    left += columns;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Where the score is undecided. */
function drawZero(context, area, { scores, rows, columns, centre }, ink) {
  const place = (row, column) => [area.x + ((column + 0.5) / columns) * area.w, area.y + area.h - ((row + 0.5) / rows) * area.h];
  context.strokeStyle = ink.text;
  context.lineWidth = 1.4;
  context.beginPath();
  traceContour(context, rows, columns, (row, column) => scores[row * columns + column], centre, place);
  context.stroke();
}

function drawPoints(context, plot, { points, held, values, centre }, ink, size) {
  context.save();
  for (const [array, test] of [[held, true], [points, false]]) {
    for (let i = 0; array && i < array.length; i += 3) {
      const place = [plot.x.at(array[i]), plot.y.at(array[i + 1])];
      const plus = array[i + 2] > (values ? 0 : centre);
      drawDot(context, place, test ? ink.panel : plus ? ink.accent : ink.warn, plus ? "round" : "triangle", size, test ? (plus ? ink.accent : ink.warn) : ink.panel);
    }
  }
  context.restore();
}

function legendOfPlane({ values, held }, ink) {
  const [one, other] = values ? [t("above 0"), t("below 0")] : [t("class 1"), t("class 0")];
  return [[one, ink.accent, "dot round"], [other, ink.warn, "dot triangle"], ...(held && held.length ? [[t("test: hollow"), ink.text, "dot hollow"]] : [])];
}

function spokenPlane({ values, points, scores }, unit) {
  if (unit) {
    const [low, high] = unit.scores.reduce(([a, b], score) => [Math.min(a, score), Math.max(b, score)], [Infinity, -Infinity]);
    return t("unit {unit} of {layer}: from {low} to {high}", { unit: unit.unit, layer: unit.layer, low: told(low), high: told(high) });
  }
  const share = scores.filter((score) => score > (values ? 0 : 0.5)).length / scores.length;
  const where = values ? t("above 0") : t("class 1");
  return t("{count} points · {share} of the plane: {where}", { count: points ? points.length / 3 : 0, share: percent(share), where });
}

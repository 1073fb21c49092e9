// What the network makes of the plane: its scores as colours, the line where it is undecided, and the points.

import { drawAxes, drawDot, drawEmpty } from "./axes.js";
import { createPlot, showLegend } from "./plot.js";
import { mixed } from "./quantities.js";
import { linear, told } from "./scales.js";
import { decoder } from "./state.js";

/** The decision boundary; a hovered unit takes its place. */
export function createBoundary(room) {
  const picture = document.createElement("canvas");
  let open = null;
  let painted = "";

  const chart = {
    name: "boundary",
    title: "Decision boundary",
    height: 300,
    depends: ["extras", "unit"],
    gutter: (width) => ({ left: 34, right: Math.max(12, width - 34 - 320), top: 8, bottom: 34 }),
    paint(context, area, plot) {
      const ink = room.ink();
      const given = room.state.extras.boundary;
      if (!given) return drawEmpty(context, area, "For tasks in the plane.", ink);
      open = openPlane(given, open);
      const unit = open.units.find(({ id }) => id === room.state.unit) || null;
      const square = { ...area, h: Math.min(area.w, area.h) };
      plot.height(square.w + 42);
      const shown = unit || open;
      plot.x = linear(open.range[0], open.range[1], square.x, square.x + square.w);
      plot.y = linear(open.range[2], open.range[3], square.y + square.h, square.y);
      paintScores(context, square, shown, ink);
      drawZero(context, square, shown, ink);
      if (!unit) drawPoints(context, plot, open, ink);
      drawAxes(context, square, { x: plot.x, y: { ...plot.y, ticks: (count) => plot.y.ticks(Math.min(count, 5)) }, across: "first input (x₁), and up the second (x₂)" }, ink);
      plot.say(spokenPlane(open, unit));
      showLegend(plot.legend, unit ? [] : legendOfPlane(open, ink));
    },
  };

  function paintScores(context, area, shown, ink) {
    const key = `${shown.text.length} ${shown.text} ${ink.page}`;
    if (painted !== key) {
      painted = key;
      scoresInto(picture, shown, hues(ink, room));
    }
    context.imageSmoothingEnabled = true;
    context.drawImage(picture, area.x, area.y, area.w, area.h);
  }

  return createPlot(room, chart);
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
  return { given, text: given.scores, rows, columns, scores, points, held, values, centre, most, units, range: given.range };
}

function openUnit(unit) {
  const scores = decoder()("unit", unit.scores);
  const side = unit.size ? unit.size[0] : Math.round(Math.sqrt(scores.length));
  // a unit is drawn on its own scale: what matters is where it turns, not how strong it is
  return { ...unit, text: unit.scores, scores, rows: side, columns: scores.length / side, centre: 0, most: largest(scores) };
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
    ramps.set(key, colours.map((colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16))));
  }
  return ramps.get(key);
}

/** Scores as a picture, a pixel a cell; row 0 is the lowest of the plane. */
export function scoresInto(canvas, { scores, rows, columns, centre, most }, colours) {
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  const table = ramp(colours);
  for (let i = 0; i < scores.length; i++) {
    const place = Math.round(64 + 64 * Math.min(Math.max((scores[i] - centre) / most, -1), 1));
    const [red, green, blue] = table[Number.isNaN(place) ? 64 : place];
    const at = 4 * ((rows - 1 - Math.floor(i / columns)) * columns + (i % columns));
    image.data[at] = red;
    image.data[at + 1] = green;
    image.data[at + 2] = blue;
    image.data[at + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Where the score is undecided: marching squares over the cells. */
function drawZero(context, area, { scores, rows, columns, centre }, ink) {
  const at = (row, column) => scores[row * columns + column] - centre;
  const x = (column) => area.x + ((column + 0.5) / columns) * area.w;
  const y = (row) => area.y + area.h - ((row + 0.5) / rows) * area.h;
  context.strokeStyle = ink.text;
  context.lineWidth = 1.4;
  context.beginPath();
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const corners = [[row, column], [row, column + 1], [row + 1, column + 1], [row + 1, column]];
      const crossed = [];
      for (let i = 0; i < 4; i++) {
        const [from, to] = [corners[i], corners[(i + 1) % 4]];
        const [a, b] = [at(...from), at(...to)];
        if (a < 0 === b < 0) continue;
        const t = a / (a - b);
        crossed.push([x(from[1] + (to[1] - from[1]) * t), y(from[0] + (to[0] - from[0]) * t)]);
      }
      for (let i = 0; i + 1 < crossed.length; i += 2) {
        context.moveTo(...crossed[i]);
        context.lineTo(...crossed[i + 1]);
      }
    }
  }
  context.stroke();
}

function drawPoints(context, plot, { points, held, values, centre }, ink) {
  context.save();
  for (const [array, test] of [[held, true], [points, false]]) {
    for (let i = 0; array && i < array.length; i += 3) {
      const place = [plot.x.at(array[i]), plot.y.at(array[i + 1])];
      const plus = array[i + 2] > (values ? 0 : centre);
      drawDot(context, place, test ? ink.panel : plus ? ink.accent : ink.warn, plus ? "round" : "triangle", 2.9, test ? (plus ? ink.accent : ink.warn) : ink.panel);
    }
  }
  context.restore();
}

function legendOfPlane({ values, held }, ink) {
  const [one, other] = values ? ["above 0", "below 0"] : ["class 1", "class 0"];
  return [[one, ink.accent, "dot round"], [other, ink.warn, "dot triangle"], ...(held && held.length ? [["test: hollow", ink.text, "dot hollow"]] : [])];
}

function spokenPlane({ values, points, scores }, unit) {
  if (unit) {
    const [low, high] = unit.scores.reduce(([a, b], score) => [Math.min(a, score), Math.max(b, score)], [Infinity, -Infinity]);
    return `unit ${unit.unit} of ${unit.layer}: from ${told(low)} to ${told(high)}`;
  }
  const share = scores.filter((score) => score > (values ? 0 : 0.5)).length / scores.length;
  return `${points ? points.length / 3 : 0} training points · ${Math.round(100 * share)} % of the plane is ${values ? "above 0" : "class 1"}`;
}

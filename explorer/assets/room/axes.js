// What charts share on the canvas: axes, grid, hairlines, dashes, and the mark of what isn't there.

import { FACE } from "./plot.js";

const SMALL = `11px ${FACE}`;

/** A line at whole pixels, so that it is sharp. */
const sharp = (place) => Math.round(place) + 0.5;

/** Grid and ticks of both axes, and what they measure. */
export function drawAxes(context, area, { x, y, across, up, bare }, ink) {
  context.font = SMALL;
  context.lineWidth = 1;
  if (y) drawUp(context, area, y, ink, bare);
  if (x) drawAcross(context, area, x, ink);
  context.fillStyle = ink.quiet;
  context.textBaseline = "alphabetic";
  if (up) {
    context.textAlign = "left";
    context.fillText(up, 2, 10);
  }
  if (across) {
    context.textAlign = "center";
    context.fillText(across, area.x + area.w / 2, area.y + area.h + 29);
  }
}

function drawUp(context, area, y, ink, bare) {
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.strokeStyle = ink.line;
  context.beginPath();
  for (const [value, text] of y.ticks(Math.min(Math.max(3, Math.floor(area.h / 28)), 7))) {
    const place = sharp(y.at(value));
    context.moveTo(bare ? area.x - 4 : area.x, place); // no grid over a picture
    context.lineTo(bare ? area.x : area.x + area.w, place);
    context.fillStyle = ink.quiet;
    context.fillText(text, area.x - 6, place);
  }
  context.globalAlpha = 0.65;
  context.stroke();
  context.globalAlpha = 1;
}

function drawAcross(context, area, x, ink) {
  const bottom = area.y + area.h;
  context.textAlign = "center";
  context.textBaseline = "top";
  context.strokeStyle = ink.pale;
  context.beginPath();
  context.moveTo(area.x, sharp(bottom));
  context.lineTo(area.x + area.w, sharp(bottom));
  context.fillStyle = ink.quiet;
  for (const [value, text] of x.ticks(Math.max(2, Math.floor(area.w / 62)))) {
    const place = sharp(x.at(value));
    context.moveTo(place, bottom);
    context.lineTo(place, bottom + 4);
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(place, area.width - half), bottom + 6); // the last one is not cut off
  }
  context.stroke();
}

/** A line through points; `null` breaks it. */
export function drawLine(context, points, colour, { width = 2, dash = [], alpha = 1 } = {}) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.globalAlpha = alpha;
  context.lineJoin = "round";
  context.setLineDash(dash);
  context.beginPath();
  let pen = false;
  for (const point of points) {
    if (point) pen ? context.lineTo(point[0], point[1]) : context.moveTo(point[0], point[1]);
    pen = Boolean(point);
  }
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

/** A dot of one of four shapes: colour never says it alone. */
export function drawDot(context, [x, y], colour, shape, size = 3.5, ground = "") {
  context.beginPath();
  if (shape === "square") context.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
  else if (shape === "triangle") {
    context.moveTo(x, y - size * 1.2);
    context.lineTo(x + size * 1.1, y + size * 0.8);
    context.lineTo(x - size * 1.1, y + size * 0.8);
    context.closePath();
  } else if (shape === "below") {
    context.moveTo(x, y + size * 1.2);
    context.lineTo(x + size * 1.1, y - size * 0.8);
    context.lineTo(x - size * 1.1, y - size * 0.8);
    context.closePath();
  } else context.arc(x, y, size, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  if (ground) {
    context.lineWidth = 1;
    context.strokeStyle = ground;
    context.stroke();
  }
}

/** The hovered step as a hairline, and the step that the graph shows as a firm one with a foot; whether there is one. */
export function drawSteps(context, area, x, state, ink) {
  const { run, hover } = state;
  const line = (step, colour, dash) => {
    const place = sharp(Math.min(Math.max(x.at(step), area.x), area.x + area.w));
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(place, area.y);
    context.lineTo(place, area.y + area.h);
    context.stroke();
    context.setLineDash([]);
    return place;
  };
  const { shown } = run.frame;
  const firm = shown !== undefined && shown !== null && !state.status.playing && run.count > 1;
  if (firm) {
    const place = line(shown, ink.quiet, []);
    context.fillStyle = ink.text;
    context.beginPath();
    context.moveTo(place, area.y + area.h - 6);
    context.lineTo(place + 4.5, area.y + area.h + 1);
    context.lineTo(place - 4.5, area.y + area.h + 1);
    context.fill();
  }
  if (hover !== null) line(hover, ink.text, [3, 3]);
  return firm || hover !== null;
}

const hatches = new Map();

/** A pattern for what wasn't recorded: lines, so that it is no colour of the scale. */
export function hatch(context, colour) {
  if (!hatches.has(colour)) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const own = tile.getContext("2d");
    own.strokeStyle = colour;
    own.lineWidth = 1;
    own.beginPath();
    for (const shift of [-6, 0, 6]) {
      own.moveTo(shift, 6);
      own.lineTo(shift + 6, 0);
    }
    own.stroke();
    hatches.set(colour, tile);
  }
  return context.createPattern(hatches.get(colour), "repeat");
}

/** Words in the middle of a chart that has nothing to show yet. */
export function drawEmpty(context, area, words, ink) {
  context.font = `12.5px ${FACE}`;
  context.fillStyle = ink.quiet;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(words, area.width / 2, area.height / 2, area.width - 16);
}

/** As much of the end of a text as fits: the end of a name is what tells it from others. */
export function cut(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`…${text.slice(-middle)}`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low ? `…${text.slice(-low)}` : "";
}

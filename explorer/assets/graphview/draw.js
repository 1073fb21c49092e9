// How boxes, wires and open scopes look on a canvas, in the coordinates of the scene.

import { t } from "../texts.js";
import { pixels } from "./palette.js";
import { stateOf } from "./store.js";
import { beforeAfter } from "./whatif.js";

const READABLE_PX = 7.5; // smaller texts leave their room to the pictures
const NO_TEXTS = 0.28;
const FONT = 'Inter, "Segoe UI", system-ui, -apple-system, Helvetica, Arial, sans-serif';

/** Paths and fitted texts, made once for each scene. */
export function prepareDrawing(scene, context) {
  for (const wire of scene.wires) {
    const [x, y, ...rest] = wire.path;
    const path = new Path2D();
    path.moveTo(x, y);
    for (let i = 0; i < rest.length; i += 6) path.bezierCurveTo(...rest.slice(i, i + 6));
    wire.drawing = path;
    wire.pieces = pieces(wire.path);
    wire.ends = { start: angle(wire.path, 0), end: angle(wire.path, wire.path.length - 4) };
  }
  scene.fitted = "";
}

/** Sizes of texts in the coordinates of the scene: zoomed out they grow, as far as a box has room, to stay readable. */
function typeAt(scale) {
  const sized = (pixels, least, most) => Math.min(Math.max(Math.round((2 * pixels) / scale) / 2, least), most);
  const [label, detail, caption] = [sized(12, 14, 22), sized(9.5, 10.5, 15), sized(9.5, 9.5, 15)];
  return { label, detail, caption, number: sized(13, 15, 21), details: detail * scale >= READABLE_PX, captions: caption * scale >= READABLE_PX };
}

/** Fit the texts of all boxes to a zoom, unless they are. */
export function fitTexts(scene, context, scale) {
  const type = typeAt(scale);
  const sizes = `${type.label} ${type.detail}`;
  scene.type = type;
  if (scale <= NO_TEXTS || scene.fitted === sizes) return;
  scene.fitted = sizes;
  for (const box of scene.boxes) {
    const inset = insetOf(box);
    const room = box.w - inset - (box.opens ? 28 : 8);
    context.font = `600 14px ${FONT}`;
    box.labelSize = Math.min(Math.max((14 * room) / context.measureText(box.label).width, 14), type.label);
    context.font = `600 ${box.labelSize}px ${FONT}`;
    box.fitted = fit(context, box.label, room);
    context.font = `400 ${type.detail}px ${FONT}`;
    box.fittedDetail = fit(context, box.detail || box.shape, box.w - inset - 8);
  }
}

/** Where the texts and pictures of a box begin and end, from its upper edge. */
function linesOf(type, h) {
  const label = type.label + 4;
  const detail = label + type.detail + 3.5;
  const bottom = h - (type.captions ? type.caption + 6.5 : 7);
  const details = type.details && bottom - detail - 6 >= 0.8 * type.number; // numbers come first
  return { label, detail, details, top: (details ? detail : label) + 6, bottom, caption: h - 5 };
}

/** Short straight stretches along a path: of a wire across the whole graph only what is seen need be painted. */
function pieces(path) {
  const found = [];
  for (let i = 0; i + 7 < path.length; i += 6) {
    const at = (t, axis) => {
      const [a, b, c, d] = [0, 2, 4, 6].map((k) => path[i + k + axis]);
      const u = 1 - t;
      return u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d;
    };
    const length = Math.hypot(path[i + 6] - path[i], path[i + 7] - path[i + 1]);
    const count = Math.min(Math.max(Math.ceil(length / 40), 4), 64);
    for (let k = 0; k < count; k++) {
      const [x0, y0, x1, y1] = [at(k / count, 0), at(k / count, 1), at((k + 1) / count, 0), at((k + 1) / count, 1)];
      found.push({ x: Math.min(x0, x1), y: Math.min(y0, y1), w: Math.abs(x1 - x0), h: Math.abs(y1 - y0), line: [x0, y0, x1, y1] });
    }
  }
  return found;
}

/** The part of a wire that lies in a window, as one path. */
export function seenOf(wire, touched) {
  const path = new Path2D();
  let [endX, endY] = [NaN, NaN];
  for (const piece of wire.pieces) {
    if (!touched(piece)) continue;
    const [x0, y0, x1, y1] = piece.line;
    if (x0 !== endX || y0 !== endY) path.moveTo(x0, y0);
    path.lineTo(x1, y1);
    [endX, endY] = [x1, y1];
  }
  return path;
}

function angle(path, at) {
  return Math.atan2(path[at + 3] - path[at + 1], path[at + 2] - path[at]);
}

function fit(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let size = text.length;
  while (size > 1 && context.measureText(text.slice(0, size) + "…").width > width) size--;
  return text.slice(0, size) + "…";
}

/** An open scope: a sheet with its name and a way to close it. */
export function drawCluster(context, cluster, ink, scale) {
  context.fillStyle = ink.cluster;
  context.strokeStyle = ink.line;
  context.lineWidth = Math.max(1, 0.7 / scale);
  roundRect(context, cluster, 10);
  context.fill();
  context.stroke();
  if (scale < NO_TEXTS) return;
  context.font = `600 ${Math.min(Math.max(10.5 / scale, 12), 17)}px ${FONT}`;
  context.fillStyle = ink.quiet;
  context.fillText(fit(context, cluster.label, cluster.w - 44), cluster.x + 12, cluster.y + 20);
  sign(context, cluster.x + cluster.w - 24, cluster.y + 7, "−", ink);
}

/** Where the sign that opens or closes something is. */
export function signOf(thing, open) {
  return open ? { x: thing.x + thing.w - 24, y: thing.y + 7, w: 15, h: 15 } : { x: thing.x + thing.w - 22, y: thing.y + 6, w: 15, h: 15 };
}

function sign(context, x, y, text, ink) {
  context.strokeStyle = ink.quiet;
  context.lineWidth = 1;
  roundRect(context, { x, y, w: 15, h: 15 }, 4);
  context.stroke();
  context.font = `600 12px ${FONT}`;
  context.fillStyle = ink.quiet;
  context.textAlign = "center";
  context.fillText(text, x + 7.5, y + 11.5);
  context.textAlign = "start";
}

const ASIDE = 0.22; // how strongly what isn't on the ways to the loss is drawn, while they are shown

/** A wire in the hue of what has passed along it; on the ways to the loss, while these are shown, it is bold. */
export function drawWire(context, wire, state, ink, scale) {
  const { ways } = state;
  if (ways) context.globalAlpha = ways.wires.has(wire.index) ? 1 : ASIDE;
  paintWire(context, wire, state, ink, scale, Boolean(ways && ways.wires.has(wire.index)));
  context.globalAlpha = 1;
}

function paintWire(context, wire, state, ink, scale, bold) {
  const back = state.position >= wire.from.gradientAt && wire.kind !== "look";
  const forth = state.position >= wire.to.valueAt && state.position >= wire.from.valueAt;
  const strength = state.figures ? state.figures.wires[wire.index] || 0 : 0;
  const thick = back ? 1 + 4 * strength : 1.5;
  context.strokeStyle = bold ? ink.accent : back ? ink.backward : forth ? ink.forward : ink.pale;
  context.lineWidth = bold ? Math.max(thick, 3, 2 / scale) : Math.max(thick, 0.8 / scale);
  context.setLineDash(wire.kind === "carry" ? [7, 4] : wire.kind === "look" ? [2, 4] : back ? [6, 3] : []);
  context.stroke(wire.drawing);
  context.setLineDash([]);
  if (scale < 0.22) return;
  const path = wire.path;
  context.fillStyle = context.strokeStyle;
  if (back) arrow(context, path[0], path[1], wire.ends.start + Math.PI);
  else arrow(context, path[path.length - 2], path[path.length - 1], wire.ends.end);
  if (wire.count > 1 && scale > 0.5) drawCount(context, wire, ink, scale);
}

/** In the middle of a wire, above it or beside it: between two boxes there is room for little more. */
function drawCount(context, { pieces, count }, ink, scale) {
  const [x0, y0, x1, y1] = pieces[Math.floor(pieces.length / 2)].line;
  const beside = Math.abs(y1 - y0) > Math.abs(x1 - x0);
  context.font = `500 ${Math.min(9 / Math.min(scale, 1), 14)}px ${FONT}`;
  context.fillStyle = ink.quiet;
  context.textAlign = beside ? "left" : "center";
  context.fillText(`×${count}`, x0 + (beside ? 4 : 0), y0 + (beside ? 3 : -4));
  context.textAlign = "left";
}

function arrow(context, x, y, direction) {
  const size = 7;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - size * Math.cos(direction - 0.4), y - size * Math.sin(direction - 0.4));
  context.lineTo(x - size * Math.cos(direction + 0.4), y - size * Math.sin(direction + 0.4));
  context.fill();
}

/** A box: name, thumbnails of value and gradient as far as they are reached, and their root mean squares. */
export function drawBox(context, box, state, look, scale) {
  if (state.ways) context.globalAlpha = state.ways.boxes.has(box.id) ? 1 : ASIDE;
  paintBox(context, box, state, look, scale);
  context.globalAlpha = 1;
}

function paintBox(context, box, state, look, scale) {
  const ink = look.ink[state.theme];
  const reached = stateOf(box, state.position);
  const own = state.figures && state.figures.boxes[box.id];
  context.fillStyle = ink.panel;
  context.strokeStyle = reached === "gradient" ? ink.backward : reached === "value" ? ink.forward : ink.pale;
  context.lineWidth = Math.max(1.5, 0.8 / scale);
  if (box.kind === "fold") stack(context, box);
  roundRect(context, box, box.kind === "parameter" ? 18 : 7);
  if (reached === "not reached") context.setLineDash([4, 3]);
  context.fill();
  context.stroke();
  context.setLineDash([]);
  if (scale * box.h < 12) {
    if (own) drawTiny(context, box, own, reached, look, state.theme);
    return;
  }
  if (scale > NO_TEXTS) drawTexts(context, box, ink, reached, state.scene.type);
  const moved = state.whatif && reached !== "not reached" ? state.whatif.boxes[box.id] : null;
  if (own) drawNumbers(context, box, own, { reached, moved, plain: (moved && state.plain[box.id]) || {} }, look, state, scale);
  if (moved && (moved.value || reached === "gradient")) tag(context, box, ink);
}

/** The sign of a box that a change moved. */
function tag(context, box, ink) {
  const [x, y] = [box.x + box.w - 18, box.y + 23];
  context.fillStyle = ink.changed;
  context.beginPath();
  context.moveTo(x + 6, y);
  context.lineTo(x + 12, y + 10);
  context.lineTo(x, y + 10);
  context.closePath();
  context.fill();
}

function stack(context, box) {
  for (const shift of [6, 3]) {
    roundRect(context, { x: box.x + shift, y: box.y + shift, w: box.w, h: box.h }, 7);
    context.fill();
    context.stroke();
  }
}

function drawTexts(context, box, ink, reached, type) {
  const inset = insetOf(box);
  const lines = linesOf(type, box.h);
  context.fillStyle = reached === "not reached" ? ink.quiet : ink.text;
  context.font = `600 ${box.labelSize}px ${FONT}`;
  context.fillText(box.fitted, box.x + inset, box.y + lines.label);
  context.fillStyle = ink.quiet;
  context.font = `400 ${type.detail}px ${FONT}`;
  if (lines.details) context.fillText(box.fittedDetail, box.x + inset, box.y + lines.detail);
  if (box.opens) sign(context, box.x + box.w - 22, box.y + 6, "+", ink);
}

function drawTiny(context, box, own, reached, look, theme) {
  const picture = reached === "gradient" ? own.grad : reached === "value" ? own.value : null;
  if (!picture) return;
  const around = context.globalAlpha;
  context.globalAlpha = around * (0.25 + 0.75 * picture.strength);
  context.fillStyle = look.ink[theme][reached === "gradient" ? "backward" : "forward"];
  context.fillRect(box.x, box.y, box.w, box.h);
  context.globalAlpha = around;
}

function drawNumbers(context, box, own, { reached, moved, plain }, look, { theme, scene }, scale) {
  const { type } = scene;
  const lines = linesOf(type, box.h);
  const [top, bottom] = [box.y + lines.top, box.y + lines.bottom];
  const inset = insetOf(box);
  const half = (box.w - 2 * inset - 8) / 2;
  const ink = look.ink[theme];
  const places = [
    [own.value, box.x + inset, reached !== "not reached", ink.text, t("value"), moved && moved.value && plain.value],
    [own.grad, box.x + inset + 8 + half, reached === "gradient", ink.backward, t("gradient"), moved && moved.grad && plain.grad],
  ];
  for (const [picture, x, there, colour, name, before] of places) {
    if (!picture || !there) continue;
    if (picture.rows * picture.columns > 1) {
      context.imageSmoothingEnabled = false;
      context.drawImage(pixels(picture, look, theme), x, top, half, bottom - top);
      context.strokeStyle = before ? ink.changed : ink.line;
      context.lineWidth = before ? 2 : 0.7;
      context.strokeRect(x, top, half, bottom - top);
      const texts = before ? [beforeAfter(picture, before)] : scale < 1 ? [picture.rms] : [`rms ${picture.rms}`, picture.rms];
      if (type.captions) caption(context, texts, x, box.y + lines.caption, type.caption, before ? ink.changed : ink.quiet, half);
    } else if (scale > 0.3) {
      const middle = (top + bottom) / 2;
      number(context, picture.rms, x, middle + 0.4 * type.number, type.number, before ? ink.changed : colour, half);
      if (before && before.rms !== picture.rms) caption(context, [`${before.rms} →`], x, middle - 9, type.caption, ink.quiet, half);
      const captioned = picture.shape.length ? [`${name}, rms`, "rms"] : [name];
      if (type.captions) caption(context, captioned, x, box.y + lines.caption, type.caption, ink.quiet, half);
    }
  }
}

/** A number alone: in smaller type, then in narrower letters, before it touches the one beside it. */
function number(context, text, x, y, size, colour, width) {
  context.fillStyle = colour;
  context.font = `600 ${size}px ${FONT}`;
  const long = context.measureText(text).width;
  if (long > width) context.font = `600 ${Math.max((size * width) / long, 0.75 * size)}px ${FONT}`;
  context.fillText(text, x, y, width);
}

/** A small text: the first of these that has room, or the last, made to fit. */
function caption(context, texts, x, y, size, colour, width) {
  context.fillStyle = colour;
  context.font = `500 ${size}px ${FONT}`;
  const long = (text) => context.measureText(text).width;
  const text = texts.find((one) => long(one) <= width) || texts[texts.length - 1];
  if (long(text) > width) context.font = `500 ${Math.max((size * width) / long(text), 0.85 * size)}px ${FONT}`;
  context.fillText(text, x, y, width); // narrower letters where even that is too wide
}

/** Room at the left of a box's texts; a parameter's corners are rounder. */
function insetOf(box) {
  return box.kind === "parameter" ? 13 : 9;
}

function roundRect(context, { x, y, w, h }, radius) {
  context.beginPath();
  context.roundRect(x, y, w, h, radius);
}

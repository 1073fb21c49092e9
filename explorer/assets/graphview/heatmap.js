// An array that one can read: colours on the fixed scale, each entry's number under the pointer or the arrow keys.

import { t, translated } from "../texts.js";
import { make } from "./dom.js";
import { colourOf, floats, pixels, short } from "./palette.js";

const WIDE = 300;
const TALL = 190;

/** A picture of an array; `choose(index)` is called for the entry that is clicked. */
export function createHeatmap(label, store, look, choose) {
  const canvas = make("canvas", { class: "heatmap", role: "img", tabindex: "0" });
  const readout = make("output", { class: "readout", "aria-live": "off" });
  const element = make("figure", { class: "array" }, canvas, readout);
  let shown = null;
  let cursor = null;

  function show(picture, chosen, plain = null) {
    shown = null;
    element.hidden = !picture;
    if (!picture) return;
    const numbers = picture.data ? floats(picture.data) : null;
    const [rows, columns] = numbers && !picture.grey ? table(picture.shape) : [picture.rows, picture.columns];
    const cell = Math.max(Math.min(WIDE / columns, TALL / rows, 26), 1);
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.max(Math.round(columns * cell), 4);
    const height = Math.max(Math.round(rows * cell), 4);
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    canvas.hidden = picture.shape.length === 0 || picture.known === false;
    canvas.setAttribute("aria-label", `${label}, ${picture.shape.join(" × ") || t("one number")}; ${translated(picture.summary) || picture.rms}`);
    const before = numbers && plain && plain.data && !picture.grey ? floats(plain.data) : null;
    const moved = before ? numbers.map((value, i) => (value === before[i] || (value !== value && before[i] !== before[i]) ? 0 : 1)) : null;
    shown = { picture, numbers, rows, columns, width, height, ratio, before, moved, chosen: chosen ? flat(chosen, picture.shape) : -1 };
    shown.count = moved ? moved.reduce((sum, own) => sum + own, 0) : 0;
    cursor = null;
    paint();
    readout.setAttribute("aria-live", "off");
    readout.textContent = picture.shape.length === 0 ? (shown.count ? `${plain.rms} → ${picture.rms}` : picture.rms) : rest();
  }

  function rest() {
    const { picture, numbers, count } = shown;
    if (count) return `△ ${t("{count} of {count_all} changed", { count, count_all: numbers.length })} · ${translated(picture.summary)}`;
    if (picture.grey) return t("The first images of the batch.");
    if (picture.known === false) return translated(picture.summary);
    return numbers ? translated(picture.summary) : `${translated(picture.summary)} · ${t("too large to show whole: each cell is the strongest of several")}`;
  }

  function paint() {
    const { picture, numbers, rows, columns, ratio } = shown;
    const context = canvas.getContext("2d");
    const [w, h] = [canvas.width / columns, canvas.height / rows];
    context.imageSmoothingEnabled = false;
    if (!numbers || picture.grey) {
      context.drawImage(pixels(picture, look, store.state.theme), 0, 0, canvas.width, canvas.height);
    } else {
      for (let i = 0; i < numbers.length; i++) {
        context.fillStyle = colourOf(numbers[i], look, store.state.theme);
        const [x, y] = [(i % columns) * w, Math.floor(i / columns) * h];
        context.fillRect(x, y, Math.ceil(w), Math.ceil(h));
      }
    }
    const ink = look.ink[store.state.theme];
    if (shown.count && shown.count <= numbers.length / 2) mark(context, ink.changed, w, h);
    for (const [at, colour, width] of [[shown.chosen, ink.accent, 2], [cursor ?? -1, ink.text, 1.5]]) {
      if (at < 0 || !numbers || picture.grey) continue;
      context.strokeStyle = colour;
      context.lineWidth = width * ratio;
      context.strokeRect((at % columns) * w, Math.floor(at / columns) * h, w, h);
    }
  }

  /** A corner of each entry that was changed; where most were, marking them tells nothing. */
  function mark(context, colour, w, h) {
    const size = Math.max(Math.min(w, h) * 0.45, Math.min(w, 4));
    context.fillStyle = colour;
    shown.moved.forEach((moved, i) => {
      if (!moved) return;
      const [x, y] = [((i % shown.columns) + 1) * w, Math.floor(i / shown.columns) * h];
      context.beginPath();
      context.moveTo(x - size, y);
      context.lineTo(x, y);
      context.lineTo(x, y + size);
      context.fill();
    });
  }

  function point(at) {
    if (!shown || !shown.numbers || shown.picture.grey || at < 0 || at >= shown.numbers.length) return;
    cursor = at;
    paint();
    readout.setAttribute("aria-live", "polite"); // what is asked for is said; each step of the pass is said elsewhere
    const { shape } = shown.picture;
    const was = shown.moved && shown.moved[at] ? `${short(shown.before[at])} → ` : "";
    readout.textContent = `[${unflat(at, shape).join(", ")}]  ${was}${short(shown.numbers[at])}`;
  }

  function under(event) {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * shown.columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * shown.rows);
    return Math.min(Math.max(row, 0), shown.rows - 1) * shown.columns + Math.min(Math.max(column, 0), shown.columns - 1);
  }

  canvas.addEventListener("pointermove", (event) => shown && point(under(event)));
  canvas.addEventListener("pointerleave", () => {
    if (!shown) return;
    cursor = null;
    paint();
    readout.textContent = rest();
  });
  canvas.addEventListener("click", (event) => pick(shown ? under(event) : -1));
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -shown?.columns, ArrowDown: shown?.columns };
    if (!shown || !shown.numbers) return;
    if (event.key in steps) point(Math.min(Math.max((cursor ?? Math.max(shown.chosen, 0)) + steps[event.key], 0), shown.numbers.length - 1));
    else if (event.key === "Enter" && cursor !== null) pick(cursor);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function pick(at) {
    if (choose && shown && shown.numbers && !shown.picture.grey && at >= 0) choose(unflat(at, shown.picture.shape));
  }

  return { element, show };
}

/** Rows and columns of an array as drawn: the last axis across; a long vector on several lines. */
function table(shape) {
  const count = shape.reduce((product, size) => product * size, 1);
  const columns = shape.length ? shape[shape.length - 1] : 1;
  return [Math.max(Math.round(count / Math.max(columns, 1)), 1), Math.max(columns, 1)];
}

function flat(index, shape) {
  return index.reduce((place, i, axis) => place * shape[axis] + i, 0);
}

function unflat(at, shape) {
  const index = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index.unshift(at % shape[axis]);
    at = Math.floor(at / shape[axis]);
  }
  return index;
}

// Rows × steps as a heat map: layers or parameters down, steps across, one quantity on the fixed scale of colours.

import { make } from "../graphview/dom.js";
import { t } from "../texts.js";
import { cut, drawAxes, drawEmpty, drawSteps, hatch } from "./axes.js";
import { alongSteps, choice, createPlot, FACE } from "./plot.js";
import { QUANTITIES, shades } from "./quantities.js";
import { grouped, stepScale } from "./scales.js";
import { alike, rowsOf, runsOf, stepOf, stepsOf } from "./state.js";

const ROW = { least: 3, most: 20 };
const LABEL = `11.5px ${FACE}`;
const GAP = 18; // between two runs side by side

/** The heat map, and the choice of what it shows. */
export function createHeat(room) {
  const select = make("select", { "aria-label": t("Quantity"), onchange: () => room.set({ quantity: select.value }) });
  const kinds = choice(t("Rows"), [["layer", t("Layers")], ["parameter", t("Parameters")]], (kind) => room.set({ kind }));
  const scale = make("div", { class: "scale" });
  const images = [createCells(), createCells()];
  let parts = [];

  const chart = {
    name: "heat",
    title: t("Profile over the steps"),
    height: 190,
    depends: ["run", "second", "quantity", "kind"],
    gutter: (width, context) => ({ left: labelWidth(context, room.state, width), right: 12, top: room.state.second ? 20 : 6, bottom: 34 }),
    paint(context, area, plot) {
      const { state } = room;
      const ink = room.ink();
      showChoices(state);
      parts = partsOf(state, area);
      if (!parts.length) return drawEmpty(context, area, t("Train a step: a column for each step, a row for each layer."), ink);
      plot.height(heightOf(parts[0].rows.length));
      plot.x = parts[0].x;
      const quantity = QUANTITIES[state.quantity];
      parts.forEach((part, which) => paintPart(context, part, images[which], quantity, which));
      labels(context, area, parts[0], ink);
      quantity.legend(scale, room.look, state.theme);
    },
    over(context, area, plot) {
      const { state } = room;
      if (!state.run || !parts.length) return false;
      plot.say(spoken(state));
      const inked = parts.flatMap((part) => [
        drawSteps(context, part.area, part.x, state, room.ink()),
        outline(context, part, state.run, state.row, room.ink().accent, 2),
        outline(context, part, state.run, state.overRow, room.ink().text, 1.2),
      ]);
      return inked.some(Boolean);
    },
    ...pointing(room, () => parts),
    keys: walking(room, () => parts),
  };
  const plot = createPlot(room, chart);
  plot.controls.append(kinds.element, select);
  plot.element.append(scale);

  function showChoices(state) {
    const known = Object.keys(QUANTITIES).filter((name) => state.run && state.run.quantities.includes(name));
    if (select.dataset.known !== String(known)) {
      select.dataset.known = String(known);
      select.replaceChildren(...known.map((name) => make("option", { value: name }, QUANTITIES[name].title)));
    }
    if (known.length && !known.includes(state.quantity)) room.set({ quantity: known[0] });
    select.value = room.state.quantity;
    select.hidden = known.length < 2;
    const found = new Set(state.run ? state.run.rows.map((row) => row.kind) : []);
    kinds.element.hidden = found.size < 2;
    const rows = state.run ? rowsOf(state.run, state.kind, state.quantity) : [];
    kinds.show(rows.length ? state.run.rows[rows[0]].kind : state.kind);
  }

  /** Each run with its rows, its place and its scale of steps. */
  function partsOf(state, area) {
    const runs = runsOf(state).filter((run) => run.what(state.quantity));
    const width = (area.w - GAP * (runs.length - 1)) / runs.length;
    return runs.map((run, which) => {
      const own = { ...area, x: area.x + which * (width + GAP), w: width };
      return { run, rows: rowsOf(run, state.kind, state.quantity), area: own, x: stepScale(runs, own.x, own.x + own.w) };
    });
  }

  function paintPart(context, part, image, quantity, which) {
    const ink = room.ink();
    const { area, run, x } = part;
    context.fillStyle = hatch(context, ink.line);
    context.fillRect(area.x, area.y, area.w, area.h);
    context.imageSmoothingEnabled = false;
    const canvas = image.of(run, part.rows, room.state.quantity, shades(quantity, room.look, room.state.theme));
    for (const [begin, end] of stretches(run)) {
      const [left, right] = [x.edge(run.starts[begin]), x.edge(run.ends[end] + 1)];
      context.drawImage(canvas, begin, 0, end - begin + 1, part.rows.length, left, area.y, right - left, area.h);
    }
    drawAxes(context, area, { x, across: t("training step") }, ink);
    if (room.state.second) {
      context.textAlign = "left";
      context.textBaseline = "alphabetic";
      context.fillStyle = ink.text;
      context.font = `600 11.5px ${FACE}`;
      context.fillText(room.state.names[which], area.x, 13);
    }
  }

  function spoken(state) {
    const step = stepOf(state);
    const { run, rows } = parts[0];
    const row = rows.find((index) => run.rows[index].id === (state.overRow ?? state.row)) ?? rows[0];
    if (row === undefined) return "";
    const column = run.columnOf(step);
    const { name, ofLayer, text } = QUANTITIES[state.quantity];
    const values = parts.map((part, which) => {
      const [value, when] = part.run.held(state.quantity, alike(part.run, run.rows[row]), part.run.columnOf(step));
      const aged = when !== part.run.columnOf(step) && value === value ? ` (${t("of step {step}", { step: grouped(part.run.ends[when]) })})` : "";
      return `${state.second ? `${state.names[which]} ` : ""}${text(value)}${aged}`;
    });
    return `${t("step {step}", { step: stepsOf(run, column) })} · ${run.rows[row].name} · ${(run.rows[row].kind === "layer" && ofLayer) || name} ${values.join(", ")}`;
  }

  return plot;
}

function heightOf(count) {
  return 40 + Math.min(Math.max(count * ROW.most, 150), Math.max(240, Math.min(count * ROW.least, 420)));
}

/** Columns of one width, from first to last: the image is stretched over each such run of columns at once. */
function stretches(run) {
  const found = [];
  const wide = (i) => run.ends[i] - run.starts[i];
  const apart = (i) => i > 0 && run.starts[i] !== run.ends[i - 1] + 1;
  for (let i = 0, begin = 0; i < run.count; i++) {
    if (i + 1 < run.count && wide(i + 1) === wide(begin) && !apart(i + 1)) continue;
    found.push([begin, i]);
    begin = i + 1;
  }
  return found;
}

/** A picture of rows × columns, one pixel a cell, made anew only when what it shows changes. */
function createCells() {
  const canvas = document.createElement("canvas");
  let known = [];
  return {
    of(run, rows, quantity, shade) {
      const key = [run, quantity, shade, rows.length, rows[0]];
      if (key.every((part, i) => part === known[i])) return canvas;
      known = key;
      Object.assign(canvas, { width: run.count, height: Math.max(rows.length, 1) });
      const image = new ImageData(canvas.width, canvas.height);
      fillCells(new Uint32Array(image.data.buffer), run.what(quantity), run.count, rows, shade);
      canvas.getContext("2d").putImageData(image, 0, 0);
      return canvas;
    },
  };
}

/** Colours of the cells; what was recorded now and then holds until the next record. */
function fillCells(cells, values, count, rows, shade) {
  rows.forEach((row, y) => {
    let last = 0;
    for (let column = 0; column < count; column++) {
      const value = values[row * count + column];
      if (value === value) last = shade(value);
      cells[y * count + column] = last;
    }
  });
}

/** As wide as the widest name asks for, within reason. */
function labelWidth(context, state, width) {
  const { run } = state;
  if (!run) return 46;
  context.font = LABEL;
  const names = namesOf(run, rowsOf(run, state.kind, state.quantity));
  const widest = names.reduce((most, name) => Math.max(most, context.measureText(name).width), 0);
  return Math.min(Math.max(widest + 14, 46), 190, width * 0.34);
}

const named = new WeakMap();

/** Names without what they all begin with: `0.w` and `1.w` of `params.layers.0.w` and `params.layers.1.w`. */
function namesOf({ frame }, rows) {
  const known = named.get(frame);
  if (known && known.first === rows[0] && known.names.length === rows.length) return known.names;
  const names = rows.map((row) => frame.rows[row].name);
  let common = names.length > 1 ? names[0].lastIndexOf(".") + 1 : 0;
  while (common && !names.every((name) => name.startsWith(names[0].slice(0, common)))) common = names[0].lastIndexOf(".", common - 2) + 1;
  const found = names.map((name) => name.slice(common));
  named.set(frame, { first: rows[0], names: found });
  return found;
}

function labels(context, area, { run, rows }, ink) {
  const each = area.h / rows.length;
  const every = Math.max(1, Math.ceil(12 / each));
  const names = namesOf(run, rows);
  context.font = LABEL;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = ink.text;
  for (let i = 0; i < rows.length; i += every) context.fillText(cut(context, names[i], area.x - 10), area.x - 7, area.y + (i + 0.5) * each);
}

/** A frame around the row that has this id in the first run, in whichever run it is drawn. */
function outline(context, { run, rows, area }, first, id, colour, width) {
  const chosen = first.rows.find((row) => row.id === id);
  const place = chosen ? rows.indexOf(alike(run, chosen)) : -1;
  if (place < 0) return false;
  const each = area.h / rows.length;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.strokeRect(area.x, area.y + place * each, area.w, Math.max(each, 2));
  return true;
}

function pointing(room, parts) {
  const under = (place) => {
    const part = parts().find(({ area }, which) => place.x <= area.x + area.w + 6 && (place.x >= area.x - 6 || which === 0));
    if (!part || !part.rows.length) return {};
    const { area, rows, run } = part;
    const row = rows[Math.min(Math.max(Math.floor(((place.y - area.y) / area.h) * rows.length), 0), rows.length - 1)];
    const inside = place.x >= area.x - 2 && place.y <= area.y + area.h + 4;
    const step = inside ? Math.min(Math.max(part.x.step(place.x), run.first), run.last) : null;
    const first = parts()[0].run;
    const own = first.rows[alike(first, run.rows[row])]; // the graph is the first run's
    return { id: own && place.y <= area.y + area.h + 4 ? own.id : null, step };
  };
  return {
    point(place) {
      const { id = null, step = null } = under(place);
      room.set({ hover: step, overRow: id });
    },
    leave: () => room.set({ hover: null, overRow: null }),
    press(place) {
      const { id = null, step = null } = under(place);
      if (id !== null) room.choose(id);
      if (step !== null) room.rewind(step);
    },
  };
}

/** The arrow keys walk over the cells; Enter does what a click does. */
function walking(room, parts) {
  const move = (across, down) => () => {
    const [part] = parts();
    if (!part || !part.rows.length) return;
    const { run, rows } = part;
    const at = rows.findIndex((row) => run.rows[row].id === (room.state.overRow ?? room.state.row));
    const row = rows[Math.min(Math.max(Math.max(at, 0) + down, 0), rows.length - 1)];
    const column = Math.min(Math.max(run.columnOf(stepOf(room.state)) + across, 0), run.count - 1);
    room.set({ overRow: run.rows[row].id, hover: run.ends[column] });
  };
  return {
    ArrowLeft: move(-1, 0),
    ArrowRight: move(1, 0),
    ArrowUp: move(0, -1),
    ArrowDown: move(0, 1),
    Home: move(-Infinity, 0),
    End: move(Infinity, 0),
    Enter() {
      if (room.state.overRow !== null) room.choose(room.state.overRow);
      if (room.state.hover !== null) room.rewind(room.state.hover);
    },
    Escape: () => room.set({ hover: null, overRow: null }),
  };
}

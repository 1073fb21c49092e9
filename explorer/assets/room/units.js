// A small picture of the plane for each hidden unit; the one under the pointer is shown large.

import { t } from "../texts.js";
import { drawEmpty } from "./axes.js";
import { hues, openPlane, scoresInto } from "./boundary.js";
import { createPlot, FACE } from "./plot.js";

const CELL = { least: 9, most: 40 };
const TALL = 216;
const NAME = 16; // room for a layer's number above its units
const SIDE = 58; // or beside them

/** The small multiples of hidden units: layers across as data flows, or down where units are more. */
export function createUnits(room) {
  const small = document.createElement("canvas");
  let open = null;
  let cells = [];
  let painted = {};

  const chart = {
    name: "units",
    title: t("Hidden units"),
    height: 90,
    depends: ["extras", "unit"],
    gutter: () => ({ left: 0, right: 0, top: 0, bottom: 0 }),
    paint(context, area, plot) {
      const given = room.state.extras.boundary;
      const ink = room.ink();
      cells = [];
      if (!given || !given.units || !given.units.length) return drawEmpty(context, area, t("No hidden units."), ink);
      open = openPlane(given, open);
      const groups = grouping(open.units);
      const found = arrange(groups, area);
      plot.height(found.height);
      cells = found.cells;
      if (painted.open !== open || painted.ink !== ink) {
        painted = { open, ink };
        scoresInto(small, cells.map(({ unit }) => unit), hues(ink, room));
      }
      context.imageSmoothingEnabled = true;
      let left = 0;
      for (const { unit, x, y } of cells) {
        context.drawImage(small, left, 0, unit.columns, unit.rows, x, y, found.cell, found.cell);
        left += unit.columns;
      }
      drawNames(context, found, ink);
      ring(context, found, ink);
      const chosen = cells.find(({ unit }) => unit.id === room.state.unit);
      const aside = asideOf(given.units.length, groups.length, given.units[0].of);
      plot.say(chosen ? t("unit {unit} of {layer}, shown large above", chosen.unit) : `${aside} · ${t("point at one to see it large")}`);
    },
    point: (place) => look(cells.find(({ x, y, cell }) => place.x >= x && place.x <= x + cell && place.y >= y && place.y <= y + cell)),
    leave: () => look(null),
    keys: {
      ArrowRight: () => walk(1, 0),
      ArrowLeft: () => walk(-1, 0),
      ArrowDown: () => walk(0, 1),
      ArrowUp: () => walk(0, -1),
      Escape: () => look(null),
    },
  };

  function look(found) {
    const id = found ? found.unit.id : null;
    if (id === room.state.unit) return;
    room.set({ unit: id });
  }

  /** To the nearest cell that way; where there is none, to the next or the one before. */
  function walk(dx, dy) {
    const from = cells.find(({ unit }) => unit.id === room.state.unit);
    if (!from) return look(cells[0]);
    const ahead = cells.filter(({ x, y }) => (x - from.x) * dx + (y - from.y) * dy > 0);
    const far = ({ x, y }) => Math.hypot(x - from.x, y - from.y) + 3 * (dx ? Math.abs(y - from.y) : Math.abs(x - from.x));
    const beside = cells[cells.indexOf(from) + dx + dy];
    if (ahead.length) look(ahead.reduce((best, cell) => (far(cell) < far(best) ? cell : best)));
    else if (beside) look(beside);
  }

  function ring(context, { cell }, ink) {
    for (const { unit, x, y } of cells) {
      const chosen = unit.id === room.state.unit;
      context.strokeStyle = chosen ? ink.accent : ink.line;
      context.lineWidth = chosen ? 2.5 : 1;
      context.strokeRect(x + 0.5, y + 0.5, cell - 1, cell - 1);
    }
  }

  return createPlot(room, chart);
}

/** Of a deep net there is room for the units of the first layers. */
function asideOf(count, layers, all) {
  if (layers < all) return t("{count} units in the first {layers} of {count_all} layers", { count, layers, count_all: all });
  if (count === 1) return t("1 unit");
  return layers === 1 ? t("{count} units in 1 layer", { count }) : t("{count} units in {layers} layers", { count, layers });
}

function grouping(units) {
  const found = new Map();
  for (const unit of units) found.set(unit.layer, [...(found.get(unit.layer) || []), unit]);
  return [...found.entries()];
}

/** Where each unit's picture goes: as large as fits, layers across or down, wide layers and many layers on several lines. */
function arrange(groups, area) {
  const most = Math.max(...groups.map(([, units]) => units.length));
  let best = null;
  for (let step = CELL.most; step >= CELL.least && !best; step--) {
    best = [true, false].map((standing) => plan(standing, groups.length, most, area.width, step)).find(({ height }) => height <= TALL);
  }
  best = best || plan(true, groups.length, most, area.width, CELL.least);
  const { standing, step, perBand, band } = best;
  const origins = groups.map((_, i) => {
    const [lane, place] = [Math.floor(i / perBand), i % perBand];
    return standing ? [place * step, lane * band + NAME] : [SIDE, i * band];
  });
  const placed = (unit, j, [x, y]) => ({ unit, x: x + (standing ? 0 : (j % perBand) * step), y: y + (standing ? j : Math.floor(j / perBand)) * step, cell: step - 3 });
  const cells = groups.flatMap(([, units], i) => units.map((unit, j) => placed(unit, j, origins[i])));
  return { ...best, cells, cell: step - 3, origins, names: groups.map(([layer]) => layer) };
}

function plan(standing, layers, most, width, step) {
  const perBand = Math.max(Math.floor((width - (standing ? 0 : SIDE)) / step), 1);
  if (!standing) {
    const lines = Math.ceil(most / perBand);
    const band = lines * step + (lines > 1 ? 4 : 0);
    return { standing, step, perBand, band, height: layers * band };
  }
  const band = NAME + most * step + 2;
  return { standing, step, perBand, band, height: Math.ceil(layers / perBand) * band };
}

function drawNames(context, { names, standing, step, cell, origins }, ink) {
  context.font = `11px ${FACE}`;
  context.fillStyle = ink.quiet;
  context.textBaseline = standing ? "alphabetic" : "middle";
  context.textAlign = standing ? "center" : "left";
  const every = standing ? Math.max(1, Math.ceil(18 / step)) : Math.max(1, Math.ceil(13 / step));
  names.forEach((_, i) => {
    if (i % every) return;
    const [x, y] = origins[i];
    if (standing) context.fillText(String(i), x + cell / 2, y - 5);
    else context.fillText(t("layer {count}", { count: i }), 0, y + cell / 2);
  });
}

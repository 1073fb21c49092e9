// A small picture of the plane for each hidden unit; the one under the pointer is shown large.

import { cut, drawEmpty } from "./axes.js";
import { hues, openPlane, scoresInto } from "./boundary.js";
import { createPlot, FACE } from "./plot.js";

const CELL = { least: 9, most: 40 };
const TALL = 210;

/** The small multiples of hidden units: layers across as data flows, or down where units are more. */
export function createUnits(room) {
  const small = document.createElement("canvas");
  let open = null;
  let cells = [];

  const chart = {
    name: "units",
    title: "Hidden units",
    height: 90,
    depends: ["extras", "unit"],
    gutter: () => ({ left: 0, right: 0, top: 0, bottom: 0 }),
    paint(context, area, plot) {
      const given = room.state.extras.boundary;
      const ink = room.ink();
      cells = [];
      if (!given || !given.units || !given.units.length) return drawEmpty(context, area, "No hidden units.", ink);
      open = openPlane(given, open);
      const groups = grouping(open.units);
      const plan = arrange(groups, area);
      plot.height(plan.height);
      cells = plan.cells;
      context.imageSmoothingEnabled = true;
      for (const { unit, x, y } of cells) {
        scoresInto(small, unit, hues(ink, room));
        context.drawImage(small, x, y, plan.cell, plan.cell);
      }
      drawNames(context, plan, ink);
      ring(context, plan, ink);
      const chosen = cells.find(({ unit }) => unit.id === room.state.unit);
      const aside = given.units.length === 1 ? "1 unit" : `${given.units.length} units in ${groups.length} ${groups.length === 1 ? "layer" : "layers"}`;
      plot.say(chosen ? `unit ${chosen.unit.unit} of ${chosen.unit.layer}, shown large above` : `${aside} · point at one to see it large`);
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
    room.send({ type: "unit", id });
  }

  /** To the nearest cell that way. */
  function walk(dx, dy) {
    const from = cells.find(({ unit }) => unit.id === room.state.unit);
    if (!from) return look(cells[0]);
    const ahead = cells.filter(({ x, y }) => (x - from.x) * dx + (y - from.y) * dy > 0);
    const far = ({ x, y }) => Math.hypot(x - from.x, y - from.y) + 3 * (dx ? Math.abs(y - from.y) : Math.abs(x - from.x));
    if (ahead.length) look(ahead.reduce((best, cell) => (far(cell) < far(best) ? cell : best)));
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

function grouping(units) {
  const found = new Map();
  for (const unit of units) found.set(unit.layer, [...(found.get(unit.layer) || []), unit]);
  return [...found.entries()];
}

/** Where each unit's picture goes: the way round in which they are larger. */
function arrange(groups, area) {
  const most = Math.max(...groups.map(([, units]) => units.length));
  const name = 16;
  const side = (across, down, left, top) => Math.min((area.width - left) / across, (TALL - top) / down, CELL.most);
  const upright = side(groups.length, most, 0, name);
  const flat = side(most, groups.length, 58, 0);
  const standing = upright >= flat;
  const step = Math.max(standing ? upright : flat, CELL.least);
  const [left, top] = standing ? [0, name] : [58, 0];
  const cells = [];
  groups.forEach(([, units], i) => units.forEach((unit, j) => {
    const [x, y] = standing ? [i, j] : [j, i];
    cells.push({ unit, x: left + x * step, y: top + y * step, cell: step - 3 });
  }));
  const height = top + step * (standing ? most : groups.length) + 2;
  return { cells, cell: step - 3, step, standing, names: groups.map(([layer]) => layer), left, top, height };
}

function drawNames(context, { names, standing, step, cell }, ink) {
  context.font = `11px ${FACE}`;
  context.fillStyle = ink.quiet;
  context.textBaseline = standing ? "alphabetic" : "middle";
  context.textAlign = standing ? "center" : "left";
  names.forEach((name, i) => {
    if (standing) context.fillText(step > 90 ? cut(context, name, step) : String(i + 1), i * step + cell / 2, 11);
    else context.fillText(cut(context, step > 12 ? `layer ${i + 1}` : "", 54), 0, i * step + cell / 2);
  });
}

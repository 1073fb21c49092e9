// The profile as lines: gradient and activation of each layer, from the input to the output, at one step and faintly at earlier ones.

import { t } from "../texts.js";
import { drawAxes, drawDot, drawEmpty, drawLine } from "./axes.js";
import { createPlot, showLegend } from "./plot.js";
import { fixedScale, linear, rounds, told } from "./scales.js";
import { rowsOf, runsOf, stepOf, stepsOf } from "./state.js";

const EARLIER = 7; // earlier steps drawn, evenly spread
const PROFILED = [
  { quantity: "value", title: t("activation"), hue: "forward", shape: "square" },
  { quantity: "gradient", title: t("gradient"), hue: "backward", shape: "round" },
];

/** The chart of profile lines. */
export function createLines(room) {
  const chart = {
    name: "lines",
    title: t("Profile at one step"),
    height: 200,
    depends: ["run", "second", "hover", "status"],
    paint(context, area, plot) {
      const { state } = room;
      const ink = room.ink();
      const rows = state.run ? rowsOf(state.run, "layer", "gradient") : [];
      if (!rows.length) return drawEmpty(context, area, t("Train a step: a point for each layer."), ink);
      plot.x = layerScale(rows.length, area);
      plot.y = fixedScale(room.look.scale, area.y + area.h, area.y);
      drawAxes(context, area, { x: plot.x, y: plot.y, across: t("layer, from input to output"), up: t("root mean square") }, ink);
      runsOf(state).forEach((run, which) => paintRun(context, plot, run, which, ink));
      plot.say(spokenProfile(state, rows));
      showLegend(plot.legend, legendOf(state, ink));
    },
    over(context, area, plot) {
      const { state } = room;
      const id = state.overRow ?? state.row;
      if (!plot.x || !state.run || id === null) return false;
      const place = rowsOf(state.run, "layer", "gradient").findIndex((row) => state.run.rows[row].id === id);
      if (place < 0) return false;
      context.strokeStyle = state.overRow === null ? room.ink().accent : room.ink().text;
      context.setLineDash(state.overRow === null ? [] : [3, 3]);
      context.beginPath();
      context.moveTo(Math.round(plot.x.at(place + 1)) + 0.5, area.y);
      context.lineTo(Math.round(plot.x.at(place + 1)) + 0.5, area.y + area.h);
      context.stroke();
      context.setLineDash([]);
      return true;
    },
    point: (place, plot) => room.set({ overRow: layerAt(place, plot) }),
    leave: () => room.set({ overRow: null }),
    press(place, plot) {
      const id = layerAt(place, plot);
      if (id !== null) room.choose(id);
    },
  };

  function layerAt(place, plot) {
    const { run } = room.state;
    if (!run || !plot.x) return null;
    const rows = rowsOf(run, "layer", "gradient");
    const index = Math.min(Math.max(Math.round(plot.x.invert(place.x)), 1), rows.length) - 1;
    return rows.length ? run.rows[rows[index]].id : null;
  }

  function paintRun(context, plot, run, which, ink) {
    const rows = rowsOf(run, "layer", "gradient");
    const column = run.columnOf(stepOf(room.state));
    for (const { quantity, hue, shape } of PROFILED) {
      const at = (when) => pointsOf(plot, run, rows, quantity, when);
      if (!which) for (const [when, alpha] of earlier(column)) drawLine(context, at(when), ink[hue], { width: 1, alpha });
      const points = at(column);
      drawLine(context, points, ink[hue], { width: 2, dash: which ? [7, 4] : [] });
      const size = rows.length > 30 ? 2.2 : 3.6;
      for (const point of points) {
        if (!point) continue;
        const [mark, colour] = point.odd ? ["triangle", ink.warn] : [point.below ? "below" : shape, ink[hue]];
        drawDot(context, point, colour, mark, point.odd ? 5 : size, which ? ink.panel : "");
      }
    }
  }

  return createPlot(room, chart);
}

function layerScale(count, area) {
  const x = linear(0.5, count + 0.5, area.x, area.x + area.w);
  return { ...x, ticks: (many) => rounds(1, count, many).filter((tick) => Number.isInteger(tick) && tick >= 1).map((tick) => [tick, String(tick)]) };
}

/** A point for each row; what isn't finite is at the top, what is below the scale at its foot, both marked. */
function pointsOf(plot, run, rows, quantity, column) {
  return rows.map((row, index) => {
    const [value] = run.held(quantity, row, column);
    if (Number.isNaN(value)) return null;
    const point = [plot.x.at(index + 1), plot.y.at(value)];
    point.odd = !Number.isFinite(value);
    point.below = plot.y.below(value);
    return point;
  });
}

/** Columns before one, the later the stronger. */
function earlier(column) {
  const found = [];
  for (let i = 0; i < EARLIER; i++) {
    const when = Math.floor((column * i) / EARLIER);
    if (when < column && (!found.length || found[found.length - 1][0] < when)) found.push([when, 0.12 + (0.25 * i) / EARLIER]);
  }
  return found;
}

function legendOf(state, ink) {
  const own = PROFILED.map(({ title, hue, shape }) => [title, ink[hue], `dot ${shape}`]);
  if (!state.second) return own;
  return [...own, [state.names[0], ink.text, "line train"], [state.names[1], ink.text, "line train-second"]];
}

function spokenProfile(state, rows) {
  const { run } = state;
  const column = run.columnOf(stepOf(state));
  const place = rows.findIndex((row) => run.rows[row].id === (state.overRow ?? state.row));
  const value = (quantity, index) => told(run.held(quantity, rows[index], column)[0]);
  const step = t("step {step}", { step: stepsOf(run, column) });
  if (place >= 0) return `${step} · ${place + 1}: ${run.rows[rows[place]].name} · ${PROFILED.map(({ quantity, title }) => `${title} ${value(quantity, place)}`).join(" · ")}`;
  return `${step} · ${t("gradient {first} at the first layer, {last} at the last", { first: value("gradient", 0), last: value("gradient", rows.length - 1) })}`;
}

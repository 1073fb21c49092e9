// A function of one input: what the network makes of it, and the points that it learns from.

import { t } from "../texts.js";
import { drawAxes, drawDot, drawEmpty, drawLine } from "./axes.js";
import { labelOf, secondOf } from "./boundary.js";
import { createPlot, showLegend } from "./plot.js";
import { linear } from "./scales.js";
import { decoder } from "./state.js";

/** The fit of a 1-D regression. */
export function createFit(room) {
  let open = null;
  let other = null;
  const chart = {
    name: "fit",
    title: t("Fit"),
    height: 260,
    depends: ["extras", "second"],
    paint(context, area, plot) {
      const ink = room.ink();
      const given = room.state.extras.fit;
      if (!given) return drawEmpty(context, area, t("For tasks with one input."), ink);
      if (!open || open.given !== given) open = openFit(given);
      const { x, y, points, held, low, high } = open;
      plot.x = linear(x[0], x[x.length - 1], area.x, area.x + area.w);
      plot.y = linear(low, high, area.y + area.h, area.y);
      drawAxes(context, area, { x: plot.x, y: plot.y, across: t("input"), up: t("output") }, ink);
      const beside = secondOf(room.state).fit;
      if (beside && (!other || other.given !== beside)) other = openFit(beside);
      const dots = (array, fill, edge) => {
        for (let i = 0; array && i < array.length; i += 2) drawDot(context, [plot.x.at(array[i]), plot.y.at(array[i + 1])], fill, "round", 2.8, edge);
      };
      dots(held, ink.panel, ink.quiet);
      dots(points, ink.quiet, ink.panel);
      const curve = (of) => [...of.x].map((at, i) => (Number.isFinite(of.y[i]) ? [plot.x.at(at), Math.min(Math.max(plot.y.at(of.y[i]), area.y), area.y + area.h)] : null));
      if (beside) drawLine(context, curve(other), ink.accent, { width: 2, dash: [7, 4] });
      drawLine(context, curve(open), ink.accent, { width: 2.5 });
      plot.say(t("output over input · {count} training points", { count: points.length / 2 }));
      const names = beside ? [[labelOf(room.state, 0), ink.accent, "line train"], [labelOf(room.state, 1), ink.accent, "line train-second"]] : [[t("network"), ink.accent, "line train"]];
      showLegend(plot.legend, [...names, [t("data"), ink.quiet, "dot round"], ...(held && held.length ? [[t("test"), ink.quiet, "dot hollow"]] : [])]);
    },
  };
  return createPlot(room, chart);
}

/** The scale is the data's, so that a curve gone astray doesn't flatten it. */
function openFit(given) {
  const decoded = decoder();
  const [x, y, points, held] = ["x", "y", "points", "held"].map((name) => decoded(name, given[name]));
  let [low, high] = [Infinity, -Infinity];
  for (let i = 1; i < points.length; i += 2) [low, high] = [Math.min(low, points[i]), Math.max(high, points[i])];
  const margin = 0.15 * (high - low) || 1;
  return { given, x, y, points, held, low: low - margin, high: high + margin };
}

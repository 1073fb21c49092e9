// Gradient through time: how much of it comes back how many steps before the end of a sequence.

import { t } from "../texts.js";
import { drawAxes, drawDot, drawEmpty, drawLine } from "./axes.js";
import { createPlot, showLegend } from "./plot.js";
import { fixedScale, linear, rounds, told } from "./scales.js";
import { decoder } from "./state.js";

const MARKS = ["round", "square", "triangle"];
const DASHES = [[], [7, 4], [2, 3]];

/** The chart for recurrent networks. */
export function createTime(room) {
  let open = null;
  let over = null;

  /** The arrays, decoded once for each time that they come. */
  function timeOf(extras) {
    if (open && open.extras === extras) return open;
    const { time } = extras;
    const values = decoder()("time", time.gradient);
    open = { extras, rows: time.rows, count: time.steps_back, at: (row, back) => values[row * time.steps_back + back] };
    return open;
  }

  const chart = {
    name: "time",
    title: t("Gradient through time"),
    height: 170,
    depends: ["extras"],
    paint(context, area, plot) {
      const ink = room.ink();
      const { extras } = room.state;
      if (!extras.time || !extras.time.steps_back) return drawEmpty(context, area, t("For networks that read a sequence."), ink);
      const time = timeOf(extras);
      plot.x = backScale(time.count, area);
      plot.y = fixedScale(room.look.scale, area.y + area.h, area.y);
      drawAxes(context, area, { x: plot.x, y: plot.y, across: t("steps back from the end of the sequence"), up: t("root mean square") }, ink);
      time.rows.forEach((_, row) => paintRow(context, plot, time, row, ink));
      showLegend(plot.legend, time.rows.length > 1 ? time.rows.slice(0, 6).map((name, row) => [name, ink.backward, `dot ${MARKS[row % 3]}`]) : []);
      plot.say(spokenTime(time));
    },
    over(context, area, plot) {
      if (over === null || !plot.x) return;
      context.strokeStyle = room.ink().text;
      context.setLineDash([3, 3]);
      context.beginPath();
      context.moveTo(plot.x.at(over), area.y);
      context.lineTo(plot.x.at(over), area.y + area.h);
      context.stroke();
      context.setLineDash([]);
    },
    point(place, plot) {
      if (!plot.x || !open) return;
      over = Math.min(Math.max(Math.round(plot.x.invert(place.x)), 0), open.count - 1);
      plot.say(spokenTime(open));
      room.again(plot);
    },
    leave(plot) {
      over = null;
      if (open) plot.say(spokenTime(open));
      room.again(plot);
    },
  };

  function paintRow(context, plot, time, row, ink) {
    const points = [];
    for (let back = 0; back < time.count; back++) {
      const value = time.at(row, back);
      points.push(Number.isNaN(value) ? null : [plot.x.at(back), plot.y.at(value)]);
    }
    drawLine(context, points, ink.backward, { dash: DASHES[row % 3] });
    const below = (back) => plot.y.below(time.at(row, back));
    if (time.count <= 60) points.forEach((point, back) => point && drawDot(context, point, ink.backward, below(back) ? "below" : MARKS[row % 3], 2.8));
  }

  function spokenTime(time) {
    if (over !== null) return [t("{count} steps back", { count: over }), ...time.rows.map((name, row) => `${name} ${told(time.at(row, over))}`)].join(" · ");
    return time.rows.map((name, row) => `${name}: ${told(time.at(row, time.count - 1))} ${t("{count} steps back", { count: time.count - 1 })}`).join(" · ");
  }

  return createPlot(room, chart);
}

/** The end of the sequence at the right, where its loss is; time runs as one reads. */
function backScale(count, area) {
  const x = linear(count - 0.5, -0.5, area.x, area.x + area.w);
  return { ...x, ticks: (many) => rounds(0, count - 1, many).filter(Number.isInteger).map((tick) => [tick, String(tick)]) };
}

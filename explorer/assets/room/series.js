// Loss and accuracy over the steps: the last value of each column, within the band of what it went through.

import { t, translated } from "../texts.js";
import { drawAxes, drawDot, drawEmpty, drawLine, drawSteps, hatch } from "./axes.js";
import { alongSteps, choice, createPlot, showLegend } from "./plot.js";
import { grouped, linear, logarithmic, stepScale, told } from "./scales.js";
import { runsOf, showsNext, stepOf, stepsOf } from "./state.js";

const DASH = { train: [], test: [2, 3], "train second": [7, 4], "test second": [7, 3, 2, 3] };
const PARTS = { train: t("train"), test: t("test") };
const NAMED = { loss: t("loss"), accuracy: t("accuracy") };
const MARKED = 24; // measurements that have a dot each, at most
const APART = 100; // how many times the smallest loss the largest may be on a linear scale

/** The loss: linear, or logarithmic where it spans too much, unless one is chosen. */
export function createLoss(room) {
  const scales = choice(t("Scale of the loss"), [["linear", t("Linear")], ["log", t("Log")]], (value) => room.set({ lossScale: value }));
  const plot = createSeries(room, {
    name: "loss",
    title: t("Loss"),
    parts: [["loss", "train"], ["test_loss", "test"]],
    scale(low, high, from, to) {
      const wanted = room.state.lossScale || (low > 0 && high > APART * low ? "log" : "linear");
      const log = wanted === "log" && low > 0;
      scales.show(log ? "log" : "linear");
      if (!log) return spread(low, high, from, to);
      const [bottom, top] = [Math.log10(low), Math.log10(high)];
      const margin = 0.06 * (top - bottom) || 0.1;
      return logarithmic(bottom - margin, top + margin, from, to);
    },
  });
  plot.controls.append(scales.element);
  return plot;
}

/** The accuracy, from 0 to 1 always. */
export function createAccuracy(room) {
  return createSeries(room, {
    name: "accuracy",
    title: t("Accuracy"),
    parts: [["accuracy", "train"], ["test_accuracy", "test"]],
    up: t("share that is right"),
    scale: (low, high, from, to) => linear(0, 1, from, to),
  });
}

/** Whether there is anything of these to draw. */
export function hasSeries(state, name) {
  return runsOf(state).some((run) => run.series(name));
}

function createSeries(room, { name, title, parts, up, scale }) {
  const chart = {
    name,
    title,
    height: 148,
    gutter: () => ({ left: 52, top: 22 }),
    depends: ["run", "second", "status", "lossScale"],
    paint(context, area, plot) {
      const { state } = room;
      const ink = room.ink();
      const lines = linesOf(state, parts, ink);
      if (!lines.length) return drawEmpty(context, area, t("Train a step, and it is drawn here."), ink);
      plot.x = stepScale(runsOf(state), area.x, area.x + area.w);
      const [low, high] = bounds(lines, name === "loss" ? next(state) : null);
      plot.y = scale(low, high, area.y + area.h, area.y);
      drawAxes(context, area, { x: plot.x, y: plot.y, across: t("training step"), up: up || translated(state.status.measure) || NAMED[name] }, ink);
      paintLines(context, area, plot, lines, ink);
      if (name === "loss") drawNext(context, plot, state, ink);
      drawEvents(context, area, plot, state, ink);
      showLegend(plot.legend, legendOfSeries(state, lines, ink));
    },
    over(context, area, plot) {
      const { state } = room;
      const lines = linesOf(state, parts, room.ink());
      if (!plot.x || !state.run || !lines.length) return false;
      const inked = drawSteps(context, area, plot.x, state, room.ink());
      const coming = name === "loss" && state.hover === null && lines.length === 1 ? next(state) : null;
      const words = spokenSeries(state, lines, (name === "loss" && translated(state.status.measure)) || NAMED[name]);
      plot.say(coming === null ? words : `${words} · ${t("next, step {step}: {loss}", { step: grouped(state.status.step), loss: told(coming) })}`);
      if (state.hover === null) return inked;
      for (const { run, values, colour, kind } of lines) {
        const column = run.columnOf(state.hover);
        if (Number.isFinite(values.last[column])) drawDot(context, [plot.x.at(run.middle(column)), plot.y.at(values.last[column])], colour, kind.startsWith("test") ? "square" : "round", 3.5, room.ink().panel);
      }
      return true;
    },
    ...alongSteps(room),
  };
  return createPlot(room, chart);
}

function linesOf(state, parts, ink) {
  const found = [];
  runsOf(state).forEach((run, which) => {
    for (const [series, part] of parts) {
      const values = run.series(series);
      if (!values) continue;
      const kind = which ? `${part} second` : part;
      found.push({ run, values, kind, part, colour: part === "train" ? ink.accent : ink.update });
    }
  });
  return found;
}

/** Colour tells train from test, dashes the second run. */
function legendOfSeries(state, lines, ink) {
  const first = lines.filter(({ kind, part }) => kind === part);
  const entries = lines.length > 1 ? first.map(({ part, colour }) => [PARTS[part], colour, `line ${part}`]) : [];
  return state.second ? [...entries, [t("after"), ink.text, "line train-second"]] : entries;
}

function bounds(lines, extra) {
  let [low, high] = [Infinity, -Infinity];
  const take = (value) => {
    if (!Number.isFinite(value)) return;
    if (value < low) low = value;
    if (value > high) high = value;
  };
  for (const { values } of lines) for (const array of [values.low, values.high, values.last]) array.forEach(take);
  if (extra !== null) take(extra);
  return low > high ? [0, 1] : [low, high];
}

/** A linear scale with a margin, never of no extent. */
function spread(low, high, from, to) {
  const margin = 0.08 * (high - low) || 0.1 * Math.abs(high) || 1;
  return linear(low >= 0 && low - margin < 0 ? 0 : low - margin, high + margin, from, to);
}

function paintLines(context, area, plot, lines, ink) {
  context.save();
  context.beginPath();
  context.rect(area.x, area.y - 4, area.w, area.h + 8);
  context.clip();
  for (const line of lines) paintBand(context, plot, line);
  for (const line of lines) {
    const { run, values, colour, kind, part } = line;
    const points = [];
    for (let i = 0; i < run.count; i++) {
      const value = values.last[i];
      if (Number.isFinite(value)) points.push([plot.x.at(run.middle(i)), plot.y.at(value)]);
      else if (!Number.isNaN(value)) points.push(null); // what wasn't measured is no gap: the line goes on to what was
    }
    drawLine(context, points, colour, { width: part === "train" ? 2 : 1.6, dash: DASH[kind] });
    const sparse = points.length < run.count;
    const near = !sparse && run.last - run.first + 1 > run.count ? Infinity : points.length;
    if (near <= MARKED) for (const point of points) if (point) drawDot(context, point, colour, part === "train" ? "round" : "square", 2.6);
    if (part === "train") paintMissing(context, area, plot, line, ink);
  }
  context.restore();
}

function paintBand(context, plot, { run, values, colour, kind }) {
  if (kind !== "train" || values.low === values.last) return;
  context.fillStyle = colour;
  context.globalAlpha = 0.16;
  context.beginPath();
  const held = (value, i) => (Number.isFinite(value) ? value : values.last[i]);
  for (let i = 0; i < run.count; i++) if (Number.isFinite(values.last[i])) context.lineTo(plot.x.at(run.middle(i)), plot.y.at(held(values.high[i], i)));
  for (let i = run.count - 1; i >= 0; i--) if (Number.isFinite(values.last[i])) context.lineTo(plot.x.at(run.middle(i)), plot.y.at(held(values.low[i], i)));
  context.fill();
  context.globalAlpha = 1;
}

/** Where the number isn't finite there is no height to draw it at: hatched from top to bottom, and said. */
function paintMissing(context, area, plot, { run, values }, ink) {
  for (let i = 0; i < run.count; i++) {
    if (!spoilt(values.last[i])) continue;
    const begin = i;
    while (i + 1 < run.count && spoilt(values.last[i + 1])) i++;
    const [left, right] = [plot.x.edge(run.starts[begin]), plot.x.edge(run.ends[i] + 1)];
    context.fillStyle = hatch(context, ink.warn);
    context.fillRect(left, area.y, Math.max(right - left, 2), area.h);
    const words = t("not finite from step {step}", { step: run.starts[begin] });
    const room = context.measureText(words).width + 12;
    const at = Math.max(area.x + 2, Math.min(left + 4, area.x + area.w - room));
    context.fillStyle = ink.panel;
    context.fillRect(at, area.y + 4, room, 18);
    context.fillStyle = ink.warn;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(words, at + 6, area.y + 13.5);
  }
}

/** Measured, and not finite. */
function spoilt(value) {
  return !Number.isFinite(value) && !Number.isNaN(value);
}

/** The loss of the pass on the graph, while that is the next one to be trained: measured, and not in the run yet. */
function next(state) {
  return showsNext(state) && !state.second && Number.isFinite(state.status.loss) ? state.status.loss : null;
}

function drawNext(context, plot, state, ink) {
  const value = next(state);
  const { run } = state;
  const last = run && run.series("loss").last[run.count - 1];
  if (value === null || !Number.isFinite(last)) return;
  const [from, to] = [[plot.x.at(run.last), plot.y.at(last)], [plot.x.at(run.last + 1), plot.y.at(value)]];
  drawLine(context, [from, to], ink.accent, { dash: [4, 3] });
  drawDot(context, to, ink.panel, "round", 3, ink.accent);
}

/** A mark above each step at which a setting was changed. */
function drawEvents(context, area, plot, state, ink) {
  for (const run of runsOf(state)) {
    for (const [step] of run.events) {
      const x = plot.x.at(step);
      context.fillStyle = ink.update;
      context.beginPath();
      context.moveTo(x - 4, area.y - 7);
      context.lineTo(x + 4, area.y - 7);
      context.lineTo(x, area.y - 1);
      context.fill();
    }
  }
}

function spokenSeries(state, lines, measure) {
  const step = stepOf(state);
  const [{ run }] = lines;
  const column = run.columnOf(step);
  const at = (line) => line.run.columnOf(step);
  const ages = lines.map((line) => ageOf(line, at(line)));
  const same = ages.every((age) => age === ages[0]); // then it is said once
  const several = new Set(lines.map(({ part }) => part)).size > 1;
  const parts = lines
    .filter(({ kind, part }) => kind === part)
    .map((line) => {
      const values = lines.filter(({ part }) => part === line.part).map((own) => told(lastOf(own, at(own))[0]) + (same ? "" : aside(ageOf(own, at(own)))));
      return `${several ? PARTS[line.part] : measure} ${values.join(" vs ")}`;
    });
  if (lines.every((line) => line.run === run)) parts[0] += extent(lines[0], column);
  const events = run.events.filter(([when]) => when >= run.starts[column] && when <= run.ends[column]).map(([, what]) => translated(what));
  const when = same && ages[0] ? t("last measured at step {step}", { step: ages[0] }) : "";
  const measured = when ? [`${when}: ${parts.join(", ")}`] : parts;
  return [t("step {step}", { step: stepsOf(run, column) }), ...measured, ...(state.hover === null ? [] : events)].join(" · ");
}

/** What a column of several steps went through, in brackets. */
function extent({ values }, column) {
  const [low, high] = [values.low[column], values.high[column]];
  return high > low && high < Infinity ? ` (${t("{low} to {high}", { low: told(low), high: told(high) })})` : "";
}

/** What is measured now and then speaks until the next time: the last value at or before a column, and its column. */
function lastOf({ values }, column) {
  let i = column;
  while (i > 0 && Number.isNaN(values.last[i])) i--;
  return [values.last[i], i];
}

/** Of which step a value is, where it isn't of its column's own. */
function ageOf(line, column) {
  const [value, i] = lastOf(line, column);
  return i === column || Number.isNaN(value) ? "" : stepsOf(line.run, i);
}

const aside = (step) => (step ? ` (${t("of step {step}", { step })})` : "");

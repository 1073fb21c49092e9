// The training room: controls, findings, charts and the strip of parameters on one state. Panel calls `render`.

import { listenToTheme, make, themeOf } from "../graphview/dom.js";
import { attach, reader } from "../plain.js";
import { t } from "../texts.js";
import { answerWhere, rectOf } from "../whereabouts.js";
import { createBar } from "./bar.js";
import { createBoundary } from "./boundary.js";
import { createCompare } from "./compare.js";
import { createFindings } from "./findings.js";
import { createFit } from "./fit.js";
import { createHeat } from "./heat.js";
import { createHistograms } from "./histograms.js";
import { createLines } from "./lines.js";
import { createAccuracy, createLoss, hasSeries } from "./series.js";
import { createState, openRun, runsOf } from "./state.js";
import { createStrip } from "./strip.js";
import { createSurface } from "./surface.js";
import { createTime } from "./time.js";
import { createUnits } from "./units.js";

const START = {
  run: null, // the run, as its last frame tells it
  second: null, // the run that it is compared with
  names: [t("before"), t("after")], // of the two
  title: "", // what the second one has done differently
  extras: {},
  surface: {}, // a slice of the loss, or why there is none
  findings: [],
  judged: false, // whether anybody looked for findings
  otherFindings: [],
  judged: false, // whether the second run was looked at
  status: {},
  theme: "light",
  hover: null, // the step under the pointer, in any chart
  overRow: null, // the layer or parameter under the pointer, by id
  row: null, // the one that is chosen
  unit: null, // the hidden unit that is shown large
  quantity: "gradient",
  kind: "layer",
  lossScale: "", // chosen by what there is to draw, until somebody chooses
  spread: "", // the layer whose histograms are shown, if chosen there
};

/** Build the room. `send` takes messages to the server. */
export function mount(root, look, send) {
  const { state, set, subscribe } = createState({ ...START, theme: themeOf() });
  const plots = [];
  let waiting = false;
  let frame = 0;

  const room = {
    state,
    set,
    subscribe,
    look,
    send,
    ink: () => look.ink[state.theme],
    add: (plot) => plots.push(plot),
    /** Paint one chart's upper canvas again: what it points at is its own affair. */
    again(plot) {
      plot.changed(new Set(["hover"]));
      schedule();
    },
    /** Have the strip painted with the next frame. */
    soon() {
      waiting = true;
      schedule();
    },
    rewind(step) {
      if (state.run && (step !== state.run.frame.shown || state.status.playing)) room.send({ type: "rewind", step });
    },
    choose(id) {
      set({ row: id, spread: "" });
      room.send({ type: "row", id });
    },
  };

  const [bar, findings, compare] = [createBar(room), createFindings(room), createCompare(room)];
  const charts = {
    loss: createLoss(room),
    accuracy: createAccuracy(room),
    heat: createHeat(room),
    boundary: createBoundary(room),
    units: createUnits(room),
    fit: createFit(room),
    lines: createLines(room),
    spread: createHistograms(room),
    time: createTime(room),
    surface: createSurface(room),
  };
  const strip = createStrip(room);
  const plane = make("div", { class: "plane" }, charts.boundary.element, charts.units.element, charts.fit.element);
  const order = [compare, bar, charts.loss, charts.accuracy, findings, charts.heat, { element: plane }, charts.lines, charts.spread, charts.time, charts.surface, strip];
  const grid = make("div", { class: "room" }, ...order.map(({ element }) => element));
  root.append(grid);

  const parts = { controls: bar.element, loss: charts.loss.element, accuracy: charts.accuracy.element, findings: findings.element, profile: charts.heat.element, plane, layers: charts.lines.element, spread: charts.spread.element, time: charts.time.element, surface: charts.surface.element, parameters: strip.element };
  const stopAnswering = answerWhere((kind, name) => {
    if (kind !== "chart" || !parts[name]) return { rect: null };
    return { rect: rectOf(parts[name]), around: Object.values(parts).map(rectOf).filter(Boolean) };
  });

  /** Which charts there is something for, and which of them a lesson leaves out. */
  function arrange() {
    arrangeAll();
    const { charts: wanted } = state.status;
    for (const [name, element] of Object.entries(parts)) element.classList.toggle("left-out", Boolean(wanted) && !wanted.includes(name));
  }

  function arrangeAll() {
    const { extras, run } = state;
    const has = {
      accuracy: hasSeries(state, "accuracy"),
      boundary: Boolean(extras.boundary),
      units: Boolean(extras.boundary && extras.boundary.units && extras.boundary.units.length),
      fit: Boolean(extras.fit),
      spread: Boolean(extras.histograms && extras.histograms.steps.length && extras.histograms.rows.length), // single numbers have no layers
      time: Boolean(extras.time),
      surface: Boolean(extras.histograms && !state.status.follows),
    };
    for (const [name, shown] of Object.entries(has)) charts[name].element.hidden = !shown;
    charts.loss.element.hidden = Boolean(state.status.alone && !run); // nothing will ever be drawn there
    const rows = Boolean(run && run.rows.length);
    const layers = rows && run.rows.some(({ kind }) => kind === "layer");
    charts.heat.element.hidden = !rows;
    charts.lines.element.hidden = !layers;
    grid.classList.toggle("with-lines", layers);
    strip.element.hidden = !(rows && run.rows.some(({ kind }) => kind === "parameter"));
    plane.hidden = !has.boundary && !has.fit;
    grid.classList.toggle("beside", Boolean(state.second));
    grid.classList.toggle("with-accuracy", has.accuracy);
    grid.classList.toggle("with-plane", !plane.hidden);
    grid.classList.toggle("with-time", has.time);
  }

  function schedule() {
    if (!frame) frame = requestAnimationFrame(() => paint(false));
  }

  function paint(all = true) {
    cancelAnimationFrame(frame);
    frame = 0;
    for (const plot of plots) plot.refresh(all);
    if (all || waiting) strip.paint(all);
    waiting = false;
  }

  subscribe((changed) => {
    root.dataset.theme = state.theme;
    if (["run", "second", "extras", "status"].some((key) => changed.has(key))) arrange();
    for (const plot of plots) plot.changed(changed);
    schedule();
  });

  const stopWatching = watch([...plots, strip], set, schedule);
  root.dataset.theme = state.theme;
  arrange();
  return {
    room,
    state,
    charts,
    show: (frame) => set({ run: openRun(frame) }),
    compare(given) {
      const second = given && given.frame ? openRun(given.frame) : null;
      set({ second, otherFindings: (second && given.findings) || [], judged: Boolean(second && given.findings), title: second ? given.title || "" : "" });
    },
    set,
    /** Paint now: what is out of date and in sight, or everything; for measurements. */
    paint,
    runs: () => runsOf(state),
    remove() {
      cancelAnimationFrame(frame);
      stopAnswering();
      stopWatching();
    },
  };
}

/** What comes from outside: sizes, what is in sight, the theme. */
function watch(plots, set, schedule) {
  const of = new Map(plots.map((plot) => [plot.field, plot]));
  const sizes = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) of.get(target).sized(contentRect.width, contentRect.height);
    schedule();
  });
  const sights = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) of.get(target).visible = isIntersecting;
      schedule();
    },
    { rootMargin: "120px" },
  );
  for (const plot of plots) {
    sizes.observe(plot.field);
    sights.observe(plot.field);
  }
  const stopTheme = listenToTheme((theme) => set({ theme }));
  return () => {
    stopTheme();
    [sizes, sights].forEach((observer) => observer.disconnect());
  };
}

/** Panel's entry. */
export function render({ model }) {
  const root = make("div", { class: "root" });
  const view = mount(root, model.look, (data) => model.send_msg(data));
  const read = reader(model);
  const take = {
    status: () => view.set({ status: model.status || {} }),
    frame: () => view.show(read("frame")),
    extras: () => view.set({ extras: read("extras") || {} }),
    surface: () => view.set({ surface: read("surface") || {} }),
    findings: () => view.set({ findings: model.findings || [], judged: Array.isArray(model.findings) }),
    compare: () => view.compare(read("compare")),
  };
  attach(model, take, view);
  root.room = view;
  return root;
}

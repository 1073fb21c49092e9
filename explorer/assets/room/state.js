// What the room knows: one state with subscribers, and a run's arrays, decoded when they are first asked for.

import { floats } from "../graphview/palette.js";
import { grouped } from "./scales.js";

const HELD = 64; // columns back that a number recorded every now and then is looked for

/** The state; `set` merges, then tells each subscriber which keys changed. */
export function createState(initial) {
  const state = { ...initial };
  const listeners = [];
  return {
    state,
    subscribe: (listener) => listeners.push(listener),
    set(changes) {
      const changed = new Set(Object.keys(changes).filter((key) => state[key] !== changes[key]));
      for (const key of changed) state[key] = changes[key];
      if (changed.size) for (const listener of listeners) listener(changed, state);
    },
  };
}

/** Decodes each array once, by its name; a frame comes ten times a second, and not all of it is looked at. */
export function decoder() {
  const known = new Map();
  return (name, text) => {
    if (!text) return null;
    if (!known.has(name)) known.set(name, floats(text));
    return known.get(name);
  };
}

/** A run as its frame tells it. */
export function openRun(frame) {
  if (!frame || !frame.ends || !frame.ends.length) return null;
  const decoded = decoder();
  const { starts, ends, series = {}, what = {}, rows = [] } = frame;
  const count = ends.length;
  return {
    frame,
    rows,
    starts,
    ends,
    count,
    first: starts[0],
    last: ends[count - 1],
    events: frame.events || [],
    quantities: Object.keys(what),
    middle: (column) => (starts[column] + ends[column]) / 2,
    columnOf: (step) => columnOf(ends, step),
    /** `{low, high, last}` for each column, or null. */
    series(name) {
      const own = series[name];
      if (!own) return null;
      const last = decoded(`${name} last`, own.last);
      return { last, low: decoded(`${name} low`, own.low) || last, high: decoded(`${name} high`, own.high) || last };
    },
    /** Rows × columns of one quantity, or null. */
    what: (name) => decoded(`what ${name}`, what[name]),
    /** What a row last recorded at or before a column: the number and its column. */
    held(name, row, column) {
      const array = row < 0 ? null : decoded(`what ${name}`, what[name]);
      return array ? lastRecorded(array, row * count, column) : [NaN, column];
    },
  };
}

function columnOf(ends, step) {
  let [low, high] = [0, ends.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] < step) low = middle + 1;
    else high = middle;
  }
  return low;
}

function lastRecorded(array, offset, column) {
  for (let i = column; i >= 0 && i > column - HELD; i--) if (!Number.isNaN(array[offset + i])) return [array[offset + i], i];
  return [NaN, column];
}

/** The runs that are shown: one, or two that are compared. */
export function runsOf(state) {
  return [state.run, state.second].filter(Boolean);
}

/** The step that every chart speaks of: the hovered one, else the one that the graph shows, or while training the last. */
export function stepOf(state) {
  const { run, hover, status } = state;
  if (!run) return 0;
  if (hover !== null) return hover;
  const shown = run.frame.shown;
  return status.playing || shown === undefined || shown === null ? run.last : Math.min(Math.max(shown, run.first), run.last);
}

/** Whether the pass on the graph is the next one to be trained: it isn't in the run yet. */
export function showsNext({ run, status }) {
  return Boolean(run) && !status.playing && status.step === run.last + 1;
}

/** Which row of a run is another run's: by its name, as the same id is another node in another graph; or -1. */
export function alike(run, { kind, name }) {
  return run.rows.findIndex((row) => row.kind === kind && row.name === name);
}

/** Indices of rows of a kind; of the other kind where those have nothing recorded of a quantity. */
export function rowsOf(run, kind, quantity) {
  const array = quantity && run.what(quantity);
  const recorded = (row) => !array || array.subarray(row * run.count, (row + 1) * run.count).some((value) => value === value);
  const of = (wanted) => run.rows.map((row, index) => (row.kind === wanted ? index : -1)).filter((index) => index >= 0);
  const [own, other] = [of(kind), of(kind === "layer" ? "parameter" : "layer")];
  return own.some(recorded) || !other.some(recorded) ? own : other;
}

/** `12` or `10–14`: the steps that a column stands for. */
export function stepsOf(run, column) {
  const [start, end] = [run.starts[column], run.ends[column]];
  return start === end ? grouped(end) : `${grouped(start)}–${grouped(end)}`;
}

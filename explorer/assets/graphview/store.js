// What the view knows, and who is told when it changes. Moving the playhead never leaves the browser.

import { t } from "../texts.js";

const NEVER = Infinity;

/** The phases of a pass by the names that a scene knows them by, as people read them. */
export const PHASES = { Forward: t("Forward"), Loss: t("Loss"), Backward: t("Backward"), Update: t("Update") };

/** State with subscribers: `set` merges, then tells each subscriber which keys changed. */
export function createStore() {
  const listeners = [];
  const state = {
    scene: null, // shapes, texts, and derived: byId, stops
    figures: null,
    status: null,
    proof: {},
    whatif: null, // what was changed by hand, and which boxes it moved; null at a real step
    plain: {}, // then the numbers of the boxes without the changes
    ways: null, // what lies on the ways from a node to the loss, while they are shown: everything else is pale
    preparing: false, // whether a pass that can be changed is being compiled
    position: 0, // number of stops passed
    selected: null, // id of a box
    looked: null, // the entry that somebody chose last
    theme: "light",
    playing: false,
    speed: 1,
    granularity: "layer",
    plumbing: false,
    busy: "",
  };
  return {
    state,
    subscribe(listener) {
      listeners.push(listener);
    },
    set(changes) {
      const changed = new Set();
      for (const [key, value] of Object.entries(changes)) {
        if (state[key] !== value) {
          state[key] = value;
          changed.add(key);
        }
      }
      if (changed.size) for (const listener of listeners) listener(changed, state);
    },
  };
}

/** A scene with what follows from it: boxes by id, and at which position each box's value and gradient is reached. */
export function prepared(given) {
  const scene = structuredClone(given); // what Panel handed over stays plain data
  const byId = new Map();
  for (const box of scene.boxes) {
    byId.set(box.id, box);
    Object.assign(box, { valueAt: 0, gradientAt: NEVER, updateAt: NEVER, into: [], out: [] });
  }
  scene.stops.forEach((stop, index) => {
    const box = byId.get(stop.box);
    const position = index + 1;
    if (stop.phase === "Forward" || stop.phase === "Loss") box.valueAt = position;
    else if (stop.phase === "Backward") box.gradientAt = position;
    else box.updateAt = position;
  });
  scene.wires.forEach((wire, index) => {
    wire.index = index;
    wire.from = byId.get(wire.source);
    wire.to = byId.get(wire.target);
    wire.from.out.push(wire);
    wire.to.into.push(wire);
  });
  scene.byId = byId;
  scene.phases = Object.keys(PHASES).map((name) => {
    const first = scene.stops.findIndex((stop) => stop.phase === name);
    return { name, first: first + 1, count: scene.stops.filter((stop) => stop.phase === name).length };
  });
  return scene;
}

/** What lies on the ways to the loss, by id and by number, so that one can ask whether something does. */
export function waysOf(told) {
  return told && told.node ? { ...told, boxes: new Set(told.boxes), wires: new Set(told.wires) } : null;
}

/** How far the pass has come at a box: `not reached`, `value` or `gradient`. */
export function stateOf(box, position) {
  if (position >= box.gradientAt) return "gradient";
  return position >= box.valueAt ? "value" : "not reached";
}

/** The same as people read it. */
export function stateInWords(state) {
  return { "not reached": t("not reached"), value: t("value"), gradient: t("gradient") }[state];
}

/** The stop that the playhead stands at; none at the very start. */
export function currentStop(state) {
  return state.scene && state.position > 0 ? state.scene.stops[state.position - 1] : null;
}

/** What the playhead says: `Backward · dense_1/tanh`. */
export function spoken(state) {
  const stop = currentStop(state);
  if (!stop) return t("Start · the inputs");
  return `${PHASES[stop.phase]} · ${state.scene.byId.get(stop.box).name}`;
}

/** Wires along which something moves at a stop. */
export function flowing(scene, stop) {
  if (!stop) return [];
  const box = scene.byId.get(stop.box);
  if (stop.phase === "Forward" || stop.phase === "Loss") return box.into.filter((wire) => wire.kind !== "carry");
  return stop.phase === "Backward" ? box.out.filter((wire) => wire.kind !== "look") : [];
}

/** Where the playhead goes in a new scene: the same phase and box, or the same share of the pass. */
export function kept(scene, stop, before, position) {
  if (!before || !stop) return 0;
  const at = (box) => 1 + scene.stops.findIndex((own) => own.box === box && own.phase === stop.phase);
  const same = at(stop.box);
  if (same) return same;
  if (position === before.stops.length) return scene.stops.length;
  const instead = at(keptBox(scene, stop.box, before));
  if (instead) return instead;
  const [old, own] = [before, scene].map((any) => any.phases.find((phase) => phase.name === stop.phase));
  const share = (position - old.first) / Math.max(old.count - 1, 1);
  return own.count ? own.first + Math.round(share * (own.count - 1)) : 0;
}

/** The box that stands where another one stood before: itself, what leaves the fold that was opened, or its fold. */
export function keptBox(scene, id, before) {
  if (scene.byId.has(id)) return id;
  const box = before && before.byId.get(id);
  if (!box) return null;
  const opened = scene.clusters.find((cluster) => cluster.id === box.opens);
  const inside = opened ? scene.boxes.filter((own) => within(own, opened)) : [];
  if (inside.length) return (inside.find((own) => own.node === box.node) || inside[inside.length - 1]).id;
  const shut = before.clusters.find((cluster) => scene.byId.has(foldOf(cluster.id)) && within(box, cluster));
  return shut ? foldOf(shut.id) : null;
}

/** Where a scope lies in each of two scenes, if it was opened or folded between them. */
export function turnedIn(before, scene, scope) {
  const lies = ({ byId, clusters }) => byId.get(foldOf(scope)) || clusters.find((cluster) => cluster.id === scope);
  const [was, now] = scope && before ? [lies(before), lies(scene)] : [];
  return was && now && before.byId.has(foldOf(scope)) !== scene.byId.has(foldOf(scope)) ? { was, now } : null;
}

/** Whether a box lies in an open scope. */
export function within(box, cluster) {
  const { x, y, w, h } = cluster;
  return box.x >= x && box.y >= y && box.x + box.w <= x + w && box.y + box.h <= y + h;
}

const foldOf = (scope) => `scope:${scope}`;

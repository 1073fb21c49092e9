// The drawing surface: a base that is repainted only where something changed, and an overlay for what moves.

import { drawBox, drawCluster, drawWire, fitTexts, prepareDrawing, seenOf, signOf } from "./draw.js";
import { currentStop, flowing } from "./store.js";

const CELL = 400;
const READABLE = 0.72;
const LEAST = 0.4; // smaller, nothing can be read
const MARCH_MS = 3500;
const MANY = 40; // wires that can be painted again within a frame
const SETTLE_MS = 250;
const FINGER = 24;
const EDGE = { top: 54, bottom: 46, side: 26 }; // the tools and the scale of colours lie there
const CLEAR = 10; // between the scale of colours, as many lines as it takes, and the graph

/** The two canvases, and zoom and pan over them. */
export function createCanvas(host, store, look) {
  const base = document.createElement("canvas");
  const over = document.createElement("canvas");
  base.className = "base";
  over.className = "over";
  base.setAttribute("aria-hidden", "true");
  over.setAttribute("aria-hidden", "true");
  host.append(base, over);
  const view = { scale: 1, x: 0, y: 0, width: 0, height: 0, ratio: 1, fitted: 1 };
  const context = base.getContext("2d", { alpha: false });
  const top = over.getContext("2d");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const watchers = [];
  let grid = new Map();
  let marching = 0;
  let frame = 0;
  let hovered = null;
  let settling = 0;
  let bottom = EDGE.bottom;

  /** Room that is kept below the graph; whether it is another than before. */
  function measureBottom() {
    const legend = host.querySelector(".legend");
    const before = bottom;
    bottom = Math.max(EDGE.bottom, legend && legend.offsetHeight ? host.clientHeight - legend.offsetTop + CLEAR : 0);
    return bottom !== before;
  }

  /** Where it is asked of a page that has just been changed, all of it is laid out: ask when that is done. */
  function measure() {
    const moved = measureBottom();
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: height } = host;
    if (!width || !height || (width === view.width && height === view.height && ratio === view.ratio)) return moved && view.width > 0;
    Object.assign(view, { width, height, ratio });
    for (const canvas of [base, over]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    return true;
  }

  // ---- what is where ----

  function index(scene) {
    grid = new Map();
    const put = (kind, thing, { x, y, w, h }) => {
      for (let i = Math.floor(x / CELL); i <= Math.floor((x + w) / CELL); i++) {
        for (let j = Math.floor(y / CELL); j <= Math.floor((y + h) / CELL); j++) {
          const key = `${i},${j}`;
          if (!grid.has(key)) grid.set(key, { clusters: [], wires: [], boxes: [] });
          const cell = grid.get(key)[kind];
          if (cell[cell.length - 1] !== thing) cell.push(thing);
        }
      }
    };
    for (const cluster of scene.clusters) put("clusters", cluster, cluster);
    for (const wire of scene.wires) for (const piece of wire.pieces) put("wires", wire, piece);
    for (const box of scene.boxes) put("boxes", box, { x: box.x - 2, y: box.y - 2, w: box.w + 12, h: box.h + 12 });
  }

  function within({ x, y, w, h }) {
    const found = { clusters: new Set(), wires: new Set(), boxes: new Set() };
    for (let i = Math.floor(x / CELL); i <= Math.floor((x + w) / CELL); i++) {
      for (let j = Math.floor(y / CELL); j <= Math.floor((y + h) / CELL); j++) {
        const cell = grid.get(`${i},${j}`);
        if (cell) for (const kind of ["clusters", "wires", "boxes"]) for (const thing of cell[kind]) found[kind].add(thing);
      }
    }
    return found;
  }

  const touches = (a, b) => a.x <= b.x + b.w && b.x <= a.x + a.w && a.y <= b.y + b.h && b.y <= a.y + a.h;

  // ---- painting ----

  function place(target) {
    const { ratio, scale, x, y } = view;
    target.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
  }

  function seen() {
    return { x: -view.x / view.scale, y: -view.y / view.scale, w: view.width / view.scale, h: view.height / view.scale };
  }

  /** How far from its middle a wire may leave ink. */
  const reach = () => Math.max(8, 5 / view.scale);

  function grown({ x, y, w, h }, by) {
    return { x: x - by, y: y - by, w: w + 2 * by, h: h + 2 * by };
  }

  /** Everything that leaves ink in one of the areas. */
  function inkIn(areas) {
    const found = { clusters: new Set(), wires: new Set(), boxes: new Set() };
    for (const area of areas) {
      const wide = grown(area, reach());
      const { clusters, wires, boxes } = within(wide);
      for (const cluster of clusters) if (touches(cluster, area)) found.clusters.add(cluster);
      for (const wire of wires) if (!found.wires.has(wire) && wire.pieces.some((piece) => touches(piece, wide))) found.wires.add(wire);
      for (const box of boxes) if (touches({ x: box.x - 2, y: box.y - 2, w: box.w + 12, h: box.h + 12 }, area)) found.boxes.add(box);
    }
    return found;
  }

  function paint(areas, found = inkIn(areas)) {
    const { state } = store;
    const ink = look.ink[state.theme];
    context.save();
    place(context);
    context.beginPath();
    for (const { x, y, w, h } of areas) context.rect(x, y, w, h);
    context.clip();
    context.fillStyle = ink.page;
    context.fill();
    const outerFirst = [...found.clusters].sort((a, b) => a.depth - b.depth);
    for (const cluster of outerFirst) drawCluster(context, cluster, ink, view.scale);
    for (const wire of found.wires) drawWire(context, wire, state, ink, view.scale);
    for (const box of found.boxes) drawBox(context, box, state, look, view.scale);
    context.restore();
  }

  function paintAll() {
    clearTimeout(settling);
    if (!store.state.scene || !view.width) return;
    fitTexts(store.state.scene, context, view.scale);
    paint([seen()]);
    paintOver();
    for (const watcher of watchers) watcher(view);
  }

  /** Repaint what a step from one position to another changed. */
  function paintStep(before, after) {
    const { scene } = store.state;
    const window = seen();
    const stops = scene.stops.slice(Math.min(before, after), Math.max(before, after));
    if (stops.length > 40) return paintAll();
    const areas = [];
    for (const stop of stops) {
      const box = scene.byId.get(stop.box);
      areas.push({ x: box.x - 6, y: box.y - 6, w: box.w + 18, h: box.h + 18 });
      for (const wire of flowing(scene, stop)) for (const piece of wire.pieces) areas.push(grown(piece, reach()));
    }
    const visible = areas.filter((area) => touches(area, window)).map((area) => clipped(area, window));
    const found = inkIn(visible);
    found.wires.size > MANY ? sketch(stops) : paint(visible, found);
    paintOver();
  }

  /** Paint the new over the old, and everything once no more steps come: a bundle of wires takes longer than a frame. */
  function sketch(stops) {
    const { state } = store;
    const ink = look.ink[state.theme];
    context.save();
    place(context);
    for (const stop of stops) {
      for (const wire of flowing(state.scene, stop)) drawWire(context, wire, state, ink, view.scale);
      drawBox(context, state.scene.byId.get(stop.box), state, look, view.scale);
    }
    context.restore();
    clearTimeout(settling);
    settling = setTimeout(paintAll, SETTLE_MS);
  }

  /** The part of an area that is seen, to whole pixels: half a pixel painted twice leaves a seam. */
  function clipped(area, window) {
    const unit = view.ratio * view.scale;
    const [left, top] = [view.x * view.ratio, view.y * view.ratio];
    const low = (value, origin) => (Math.floor(value * unit + origin) - origin) / unit;
    const high = (value, origin) => (Math.ceil(value * unit + origin) - origin) / unit;
    const x = low(Math.max(area.x, window.x), left);
    const y = low(Math.max(area.y, window.y), top);
    const right = high(Math.min(area.x + area.w, window.x + window.w), left);
    const bottom = high(Math.min(area.y + area.h, window.y + window.h), top);
    return { x, y, w: right - x, h: bottom - y };
  }

  function paintOver(time = performance.now()) {
    const { state } = store;
    top.setTransform(1, 0, 0, 1, 0, 0);
    top.clearRect(0, 0, over.width, over.height);
    if (!state.scene) return;
    place(top);
    const ink = look.ink[state.theme];
    const stop = currentStop(state);
    const back = stop && stop.phase === "Backward";
    const window = grown(seen(), reach());
    for (const wire of flowing(state.scene, stop)) {
      top.strokeStyle = ink[back ? "backward" : "forward"];
      top.lineWidth = Math.max(3, 2 / view.scale);
      top.setLineDash([8, 6]);
      top.lineDashOffset = ((back ? 1 : -1) * (time / 28)) % 14;
      top.stroke(seenOf(wire, (piece) => touches(piece, window))); // dashes out of sight cost as much as those in it
    }
    top.setLineDash([]);
    ring(state.scene.byId.get(hovered), ink.pale, 1.5, 3);
    ring(state.scene.byId.get(state.selected), ink.accent, 2, 4);
    if (stop) {
      const hue = { Backward: "backward", Update: "update" }[stop.phase] || "forward";
      ring(state.scene.byId.get(stop.box), ink[hue], 3.5, 4);
    }
  }

  function ring(box, colour, width, gap) {
    if (!box) return;
    top.strokeStyle = colour;
    top.lineWidth = Math.max(width, (0.7 * width) / view.scale);
    top.beginPath();
    top.roundRect(box.x - gap, box.y - gap, box.w + 2 * gap, box.h + 2 * gap, 9);
    top.stroke();
  }

  function march() {
    cancelAnimationFrame(frame);
    if (still.matches) return;
    marching = performance.now() + MARCH_MS;
    const tick = (time) => {
      paintOver(time);
      if (time < marching && host.isConnected) frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
  }

  // ---- zoom and pan ----

  function fit() {
    const { scene } = store.state;
    if (!scene || !view.width) return;
    const room = { width: view.width - 2 * EDGE.side, height: view.height - EDGE.top - bottom };
    const scale = Math.min(room.width / scene.width, room.height / scene.height, 1.35);
    const y = EDGE.top + (room.height - scene.height * scale) / 2;
    view.fitted = scale;
    Object.assign(view, { scale, x: (view.width - scene.width * scale) / 2, y });
    paintAll();
  }

  /** At first: everything if it can be read, else the beginning at a readable size. */
  function open() {
    fit();
    const { scene } = store.state;
    if (scene && scene.boxes.length && view.fitted < LEAST) read();
  }

  /** The box that is selected, else where data come in, at a readable size; what is in sight with it stands half-way up. */
  function read() {
    const { scene, selected } = store.state;
    const along = scene.direction === "TB" ? "y" : "x";
    const chosen = scene.byId.get(selected);
    view.scale = READABLE;
    centre(chosen || scene.boxes.reduce((first, box) => (box[along] < first[along] ? box : first)), !chosen);
    if (along === "y") return;
    const seen = scene.boxes.filter(({ x, w }) => view.x + (x + w) * view.scale > 0 && view.x + x * view.scale < view.width);
    const [high, low] = [Math.min(...seen.map(({ y }) => y)), Math.max(...seen.map(({ y, h }) => y + h))];
    const tall = view.height - EDGE.top - bottom;
    if ((low - high) * view.scale <= tall) pan(0, EDGE.top + tall / 2 - ((low + high) / 2) * view.scale - view.y);
  }

  function zoom(factor, x = view.width / 2, y = view.height / 2) {
    const scale = Math.min(Math.max(view.scale * factor, view.fitted * 0.5, 0.02), 4);
    const change = scale / view.scale;
    Object.assign(view, { scale, x: x - (x - view.x) * change, y: y - (y - view.y) * change });
    paintAll();
  }

  function pan(dx, dy) {
    view.x += dx;
    view.y += dy;
    paintAll();
  }

  /** Keep in its place what was opened or folded there, where the whole graph wasn't seen, or couldn't be read. */
  function hold({ was, now }) {
    const { scale: before, x, y, fitted } = view;
    const middle = [x + (was.x + was.w / 2) * before, y + (was.y + was.h / 2) * before];
    fit();
    if (before <= fitted * 1.05 && view.fitted >= LEAST) return;
    const [low, high] = [[EDGE.side, EDGE.top], [view.width - EDGE.side, view.height - bottom]];
    const most = Math.min((high[0] - low[0]) / now.w, (high[1] - low[1]) / now.h);
    view.scale = before >= LEAST ? Math.max(Math.min(before, most), LEAST) : READABLE;
    const [left, top] = [now.w, now.h].map((size, axis) => held(middle[axis], size * view.scale, low[axis], high[axis]));
    Object.assign(view, { x: left - now.x * view.scale, y: top - now.y * view.scale });
    rest();
  }

  /** Where a stretch begins that lies around a place, within bounds; one that is longer begins with them. */
  const held = (middle, size, low, high) => Math.max(Math.min(middle - size / 2, high - size), low);

  function centre(box, lead = false) {
    const along = lead ? 0.22 : 0.5;
    const across = store.state.scene.direction === "TB" ? [0.5, along] : [along, 0.5];
    view.x = across[0] * view.width - (box.x + box.w / 2) * view.scale;
    const tall = view.height - EDGE.top - bottom;
    view.y = EDGE.top + across[1] * tall - (box.y + box.h / 2) * view.scale;
    rest();
  }

  /** What fits one way stays in the middle that way: following a long line doesn't bob. */
  function rest() {
    const { scene } = store.state;
    const tall = view.height - EDGE.top - bottom;
    if (scene.width * view.scale < view.width - 2 * EDGE.side) view.x = (view.width - scene.width * view.scale) / 2;
    if (scene.height * view.scale < tall) view.y = EDGE.top + (tall - scene.height * view.scale) / 2;
    paintAll();
  }

  /** Keep a box in sight, if there is one, and out from under what lies over the graph. */
  function follow(box) {
    if (!box) return false;
    const x = view.x + box.x * view.scale;
    const y = view.y + box.y * view.scale;
    const [w, h] = [box.w * view.scale, box.h * view.scale];
    const near = 6; // the outermost boxes of a graph that fits stand at the edges
    const across = x >= EDGE.side - near && x + w <= view.width - EDGE.side + near;
    if (across && y >= EDGE.top - near && y + h <= view.height - bottom + near) return false;
    centre(box);
    return true;
  }

  /** Where a sign can be pressed: however small it is drawn, a finger meets it. */
  const target = (thing, open) => grown(signOf(thing, open), Math.max((FINGER / view.scale - 15) / 2, 0));

  function at(x, y) {
    const point = { x: (x - view.x) / view.scale, y: (y - view.y) / view.scale, w: 0, h: 0 };
    const { boxes, clusters } = within(point);
    for (const box of boxes) {
      if (touches(box, point)) return { box, sign: Boolean(box.opens) && touches(target(box, false), point) };
    }
    for (const cluster of [...clusters].sort((a, b) => b.depth - a.depth)) {
      if (touches(target(cluster, true), point)) return { cluster, sign: true };
    }
    return {};
  }

  /** The rectangle of a box in the window. */
  function onScreen({ x, y, w, h }) {
    const { left, top } = host.getBoundingClientRect();
    const { scale } = view;
    return { left: left + view.x + x * scale, top: top + view.y + y * scale, width: w * scale, height: h * scale };
  }

  return {
    view,
    at,
    onScreen,
    /** Everything; where it is in sight already and too small, back to a readable size. */
    fit: () => (Math.abs(view.scale - view.fitted) < 1e-6 && view.fitted < LEAST && store.state.scene ? read() : fit()),
    zoom,
    pan,
    centre,
    follow,
    paintAll,
    paintOver,
    paintStep,
    march,
    hover(id) {
      if (id !== hovered) {
        hovered = id;
        paintOver();
      }
    },
    onPaint: (watcher) => watchers.push(watcher),
    resize() {
      const first = !view.width; // a scene may come before the page has given the canvas any room
      const fitted = Math.abs(view.scale - view.fitted) < 1e-6;
      if (measure()) first ? open() : fitted ? fit() : paintAll();
    },
    show(scene, turn) {
      if (!view.width) measure();
      scene.clusters.forEach((cluster) => (cluster.depth = cluster.id.split("/").length));
      prepareDrawing(scene, context);
      index(scene);
      turn && view.width ? hold(turn) : open();
    },
    stop() {
      cancelAnimationFrame(frame);
      clearTimeout(settling);
    },
  };
}

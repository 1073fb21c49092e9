// Where the card lies: beside what it speaks of, on what is free there, with a line that leads to it. On a narrow window
// it is docked at the bottom, and the page scrolls so that both are seen.

import { make } from "../graphview/dom.js";
import { rectOf, whereIs } from "../whereabouts.js";

const NARROW = "(max-width: 820px)";
const GAP = 22;
const EDGE = 10;
const GRID = 26; // between two places that are tried
const MOST = 150; // boxes that are kept free
const CROSSING = 5000; // what it costs if the line runs through one

/** Keeps a card beside what it points at. */
export function createPlacing(card) {
  const ring = make("div", { class: "lesson-ring", "aria-hidden": "true", hidden: true });
  const line = make("div", { class: "lesson-line", "aria-hidden": "true", hidden: true });
  const narrow = matchMedia(NARROW);
  let at = null;
  let frame = 0;
  document.body.append(ring, line);

  function find() {
    if (!at) return { rect: null, around: [] };
    const setup = document.querySelector(".page > .setup");
    const own = setup && rectOf(setup);
    if (at.kind === "setup") return { rect: own, around: [] };
    const { rect, around } = whereIs(at.kind, at.name);
    return { rect, around: own ? [own, ...around] : around };
  }

  /** Put card, ring and line where they belong now. */
  function place() {
    frame = 0;
    if (!at || card.hidden) return;
    const { rect, around } = find();
    outline(rect);
    if (narrow.matches) {
      Object.assign(card.style, { left: "", top: "" });
      document.body.style.setProperty("--dock", `${card.offsetHeight}px`);
      line.hidden = true;
      return;
    }
    document.body.style.removeProperty("--dock");
    const size = { width: card.offsetWidth, height: card.offsetHeight };
    const spot = best(rect, size, around);
    card.style.left = `${spot.left + scrollX}px`;
    card.style.top = `${spot.top + scrollY}px`;
    lead(rect, { ...spot, ...size }, around);
  }

  function outline(rect) {
    ring.hidden = !rect;
    if (!rect) return;
    Object.assign(ring.style, { left: `${rect.left + scrollX - 7}px`, top: `${rect.top + scrollY - 7}px`, width: `${rect.width + 14}px`, height: `${rect.height + 14}px` });
  }

  /** A line from the card's edge to what it speaks of; none where they touch, or where it would run through something else. */
  function lead(rect, own, around) {
    line.hidden = !rect;
    if (!rect) return;
    const [from, to] = ends(own, rect);
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length = Math.hypot(dx, dy);
    line.hidden = length < 6 || crossed(own, rect, around) > 0;
    Object.assign(line.style, { left: `${from.x + scrollX}px`, top: `${from.y + scrollY}px`, width: `${length}px`, rotate: `${Math.atan2(dy, dx)}rad` });
  }

  /** Scroll so that what is spoken of is seen, and the card beside it. */
  function bring() {
    const { rect } = find();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!rect) return;
    const room = innerHeight - (narrow.matches ? card.offsetHeight : 0);
    const top = rect.top + scrollY;
    const seen = rect.top >= 0 && rect.top + Math.min(rect.height, room) <= room;
    const wanted = rect.height > room - 40 ? top - 12 : top - (room - rect.height) / 2;
    if (!seen) scrollTo({ top: Math.max(wanted, 0), behavior: still ? "auto" : "smooth" });
  }

  function soon() {
    if (!frame) frame = requestAnimationFrame(place);
  }

  const sized = new ResizeObserver(soon);
  sized.observe(card);
  sized.observe(document.body);
  for (const event of ["moved", "resize"]) addEventListener(event, soon);
  narrow.addEventListener("change", soon);

  return {
    point(target, moved) {
      at = target;
      place();
      // the picture follows the message that brought the card
      if (moved) setTimeout(() => (place(), bring(), soon()), 60);
    },
    forget() {
      at = null;
      ring.hidden = line.hidden = true;
      document.body.style.removeProperty("--dock");
    },
    remove() {
      sized.disconnect();
      for (const event of ["moved", "resize"]) removeEventListener(event, soon);
      narrow.removeEventListener("change", soon);
      ring.remove();
      line.remove();
    },
  };
}

/** The place for the card that hides least and is nearest; at the upper right where it points at nothing. */
function best(rect, size, around) {
  const right = document.documentElement.clientWidth - EDGE - size.width;
  if (!rect) return { left: right - 8, top: 120 };
  const target = grown(rect, 8);
  const [low, high] = [Math.min(EDGE, rect.top), Math.max(innerHeight - EDGE - size.height, EDGE)];
  const others = around.slice(0, MOST);
  const beside = [rect.left + rect.width + GAP, rect.left - size.width - GAP, rect.left + rect.width / 2 - size.width / 2];
  const level = [rect.top + rect.height / 2 - size.height / 2, rect.top + rect.height + GAP, rect.top - size.height - GAP];
  const across = [...beside, ...every(EDGE, right)].map((x) => clamp(x, EDGE, right));
  const down = [...level, ...every(low, high)].map((y) => clamp(y, low, high));
  let found = null;
  for (const left of across) {
    for (const top of down) {
      const spot = { left, top, ...size };
      const hidden = others.reduce((sum, other) => sum + overlap(spot, other), 0);
      const [a, b] = [middle(spot), middle(rect)];
      const near = 40 * overlap(spot, target) + 9 * hidden + 60 * distance(spot, target) + 10 * Math.hypot(a.x - b.x, a.y - b.y);
      if (found && near >= found.cost) continue;
      const cost = near + CROSSING * crossed(spot, rect, others);
      if (!found || cost < found.cost) found = { left, top, cost };
    }
  }
  return found;
}

function every(low, high) {
  const count = Math.max(Math.floor((high - low) / GRID), 0);
  return Array.from({ length: count + 1 }, (_, i) => low + i * GRID);
}

/** Where the line from a card to what it speaks of begins and ends. */
function ends(card, rect) {
  const from = nearest(card, middle(rect));
  return [from, nearest(grown(rect, 7), from)];
}

/** How many other things that line would run through. */
function crossed(card, rect, around) {
  const [from, to] = ends(card, rect);
  return around.filter((other) => other !== rect && !inside(rect, other) && through(from, to, grown(other, -3))).length;
}

function inside(a, b) {
  return a.left >= b.left - 1 && a.top >= b.top - 1 && a.left + a.width <= b.left + b.width + 1 && a.top + a.height <= b.top + b.height + 1;
}

/** Whether a line runs through a rectangle: the part of it that lies between both pairs of sides isn't empty. */
function through(from, to, { left, top, width, height }) {
  let [begin, end] = [0, 1];
  for (const [at, along, low, high] of [[from.x, to.x - from.x, left, left + width], [from.y, to.y - from.y, top, top + height]]) {
    const [one, other] = along ? [(low - at) / along, (high - at) / along] : at > low && at < high ? [0, 1] : [1, 0];
    begin = Math.max(begin, along ? Math.min(one, other) : one);
    end = Math.min(end, along ? Math.max(one, other) : other);
  }
  return begin < end;
}

/** How far two rectangles are from each other. */
function distance(a, b) {
  const gap = (from, size, other, extent) => Math.max(other - from - size, from - other - extent, 0);
  return Math.hypot(gap(a.left, a.width, b.left, b.width), gap(a.top, a.height, b.top, b.height));
}

function overlap(a, b) {
  const w = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const h = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return w > 0 && h > 0 ? w * h : 0;
}

function middle({ left, top, width, height }) {
  return { x: left + width / 2, y: top + height / 2 };
}

function grown({ left, top, width, height }, by) {
  return { left: left - by, top: top - by, width: width + 2 * by, height: height + 2 * by };
}

/** The point of a rectangle that is nearest to another point. */
function nearest({ left, top, width, height }, { x, y }) {
  return { x: clamp(x, left, left + width), y: clamp(y, top, top + height) };
}

function clamp(value, low, high) {
  return Math.max(Math.min(value, high), low);
}

// What lies over the graph: search, zoom, what is shown, the scale of colours, and the minimap.

import { t } from "../texts.js";
import { iconButton, make } from "./dom.js";

/** Buttons and the search box over the graph. */
export function createTools(store, canvas, look, actions) {
  const list = make("datalist", { id: `names-${Math.random().toString(36).slice(2)}` });
  const search = make("input", {
    type: "search",
    class: "search",
    placeholder: t("Find a node"),
    "aria-label": t("Find a node"),
    list: list.id,
    onchange: (event) => find(event.target),
  });
  const plumbing = make("button", { type: "button", class: "text-button needs-server", "aria-pressed": "false", title: t("Show reshapes, broadcasts and casts as boxes of their own"), onclick: () => actions.plumbing(!store.state.plumbing) }, t("Plumbing"));
  const table = make("button", { type: "button", class: "text-button table", "aria-pressed": "false", title: t("The graph as a table"), onclick: () => actions.table() }, t("Table"));
  const copy = iconButton("link", t("Copy link"), () => actions.copyLink(), { hidden: true, class: "icon-button needs-server" });
  const element = make(
    "div",
    { class: "tools" },
    make("div", { class: "left" }, search, list),
    make(
      "div",
      { class: "right" },
      plumbing,
      table,
      make("button", { type: "button", class: "icon-button", "aria-label": t("Zoom out"), title: t("Zoom out (−)"), onclick: () => canvas.zoom(1 / 1.25) }, "−"),
      make("button", { type: "button", class: "icon-button", "aria-label": t("Zoom in"), title: t("Zoom in (+)"), onclick: () => canvas.zoom(1.25) }, "+"),
      iconButton("fit", t("Fit to view"), () => canvas.fit()),
      copy,
      iconButton("save", t("Export"), () => actions.save(), { class: "icon-button needs-server" }),
    ),
  );

  function find(input) {
    const wanted = input.value.trim().toLowerCase();
    const { scene } = store.state;
    if (!wanted || !scene) return;
    const names = [...scene.boxes.map((box) => [box.name, box.id]), ...scene.hidden];
    const exact = names.find(([name, id]) => name.toLowerCase() === wanted || id === wanted);
    const found = exact || names.find(([name]) => name.toLowerCase().includes(wanted));
    input.classList.toggle("nothing", !found);
    found ? actions.select(found[1], true) : actions.find(wanted); // of very many nodes only some names were sent
  }

  store.subscribe((changed) => {
    const { scene } = store.state;
    if (changed.has("status")) copy.hidden = !(store.state.status && store.state.status.link);
    if (changed.has("plumbing")) plumbing.setAttribute("aria-pressed", String(store.state.plumbing));
    if (changed.has("scene") && scene) {
      search.classList.remove("nothing");
      const names = [...scene.boxes.map((box) => box.name), ...scene.hidden.map(([name]) => name)];
      list.replaceChildren(...names.slice(0, 500).map((name) => make("option", { value: name })));
    }
  });
  return { element, search, showTable: (shown) => table.setAttribute("aria-pressed", String(shown)) };
}

/** What the colours mean: one fixed scale for every number on the page. */
export function createLegend(store, look) {
  const bar = make("canvas", { width: "200", height: "1", "aria-hidden": "true" });
  const { low, high, levels } = look.scale;
  const many = make("span", { hidden: true });
  const element = make(
    "div",
    { class: "legend", title: t("One fixed logarithmic scale for every value and gradient, at every step") },
    make("span", {}, "−10", make("sup", {}, String(high))),
    bar,
    make("span", {}, "10", make("sup", {}, String(high))),
    make("span", { class: "middle" }, "±10", make("sup", {}, String(low).replace("-", "−"))),
    make("span", { class: "numbers" }, t("under each picture: the root mean square (rms) of its entries"), many),
  );

  function paint() {
    const context = bar.getContext("2d");
    const colours = look.palettes[store.state.theme];
    for (let x = 0; x < 200; x++) {
      const place = (x - 99.5) / 100;
      const step = Math.min(Math.floor(Math.abs(place) * levels), levels - 1);
      context.fillStyle = colours[place > 0 ? 1 + step : 1 + levels + step];
      context.fillRect(x, 0, 1, 1);
    }
  }

  /** What a number on a wire means, where there is one. */
  function explainMany() {
    const { scene } = store.state;
    const counts = scene ? scene.wires.map(({ count }) => count).filter((count) => count > 1) : [];
    many.hidden = !counts.length;
    if (counts.length) many.textContent = `; ${t("on a wire, ×{count}: {count} uses", { count: Math.min(...counts) })}`;
  }

  store.subscribe((changed) => {
    if (changed.has("theme")) paint();
    if (changed.has("scene")) explainMany();
  });
  paint();
  return { element };
}

/** The whole graph in the corner while it is larger than the view; as flat as the graph is. */
export function createMinimap(store, canvas, look) {
  const element = make("canvas", { class: "minimap", "aria-hidden": "true", hidden: true });
  const [most, margin] = [{ width: 168, height: 104 }, 5];
  let scale = 1;

  function size(scene) {
    scale = Math.min((most.width - 2 * margin) / scene.width, (most.height - 2 * margin) / scene.height);
    element.width = Math.round(scene.width * scale + 2 * margin);
    element.height = Math.round(scene.height * scale + 2 * margin);
    Object.assign(element.style, { width: `${element.width}px`, height: `${element.height}px` });
  }

  function paint() {
    const { scene, theme, position } = store.state;
    const { view } = canvas;
    element.hidden = !scene || view.scale < view.fitted * 1.12;
    if (element.hidden) return;
    const ink = look.ink[theme];
    const context = element.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = ink.panel;
    context.fillRect(0, 0, element.width, element.height);
    context.setTransform(scale, 0, 0, scale, margin, margin);
    for (const box of scene.boxes) {
      context.fillStyle = position >= box.gradientAt ? ink.backward : position >= box.valueAt ? ink.forward : ink.pale;
      context.fillRect(box.x, box.y, Math.max(box.w, 2 / scale), Math.max(box.h, 2 / scale));
    }
    context.strokeStyle = ink.accent;
    context.lineWidth = 1.5 / scale;
    context.strokeRect(-view.x / view.scale, -view.y / view.scale, view.width / view.scale, view.height / view.scale);
  }

  element.addEventListener("pointerdown", (event) => {
    const box = element.getBoundingClientRect();
    canvas.centre({ x: (event.clientX - box.left - margin) / scale, y: (event.clientY - box.top - margin) / scale, w: 0, h: 0 });
  });
  store.subscribe((changed) => changed.has("scene") && store.state.scene && size(store.state.scene));
  canvas.onPaint(paint);
  return { element, paint };
}

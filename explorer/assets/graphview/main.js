// The graph view: track, graph, inspector and table on one state. Panel calls `render`; a saved page calls `mount`.

import { reader } from "../plain.js";
import { t, translated } from "../texts.js";
import { createBusy } from "./busy.js";
import { createCanvas } from "./canvas.js";
import { listenToTheme, make, themeOf } from "./dom.js";
import { createExport, download } from "./exporting.js";
import { createInspector } from "./inspector.js";
import { createHelp, listen } from "./keys.js";
import { createLink } from "./link.js";
import { createLive } from "./live.js";
import { listenToPointer } from "./pointer.js";
import { createStore, kept, keptBox, prepared, turnedIn, waysOf, within } from "./store.js";
import { createTable } from "./table.js";
import { createLegend, createMinimap, createTools } from "./tools.js";
import { createStand } from "./stand.js";
import { createTrack } from "./track.js";
import { createWalker } from "./walker.js";
import { createBanner, wayBack } from "./whatif.js";
import { answerWhere, rectOf, sayMoved } from "../whereabouts.js";

const TRAIN_MS = 2600;
const SETTLES_MS = 200;

/** Build the view. `send` takes messages to the server; without a server it does nothing. */
export function mount(root, look, send, wholePage) {
  const store = createStore();
  store.set({ theme: themeOf() });
  const stage = make("div", { class: "stage" });
  const note = make("p", { class: "stage-note", hidden: true });
  const message = make("p", { class: "message", role: "status", hidden: true });
  const cover = make("div", { class: "cover" }, make("p", {}, t("Tracing the network…")));
  const busy = createBusy();
  const help = createHelp();
  const exporting = createExport((form, of) => {
    const { position, selected, theme } = store.state;
    send({ type: "export", form, of, position, selected: selected || "", theme, language: document.documentElement.lang });
  });
  const canvas = createCanvas(stage, store, look);
  let pending = null; // node to select once the scene that shows it has come
  let turned = ""; // scope that somebody opens or folds, until the scene has come
  let turn = null; // and where it lay, and lies
  let table = null;
  let tableShown = false;
  let lastRun = 0;
  let staying = false;
  let ofStep = false; // the message says what became of the step that is shown

  const actions = {
    granularity: (value) => send({ type: "granularity", value }),
    toggle(scope) {
      turned = scope;
      send({ type: "toggle", scope });
    },
    find: (text) => send({ type: "find", text }),
    plumbing: (value) => send({ type: "plumbing", value }),
    go: (position) => track.go(position),
    select,
    ask: (index) => send({ type: "explain", node: selectedBox().node, box: selectedBox().id, index }),
    fetch: () => send({ type: "fetch", node: selectedBox().node, box: selectedBox().id }),
    prove: (box) => send({ type: "prove", box }),
    summary: (box) => send({ type: "summary", box }),
    ways: (node) => send({ type: "ways", node }),
    change: send,
    prepare: () => send({ type: "prepare" }),
    undo: () => store.state.whatif && send({ type: "undo" }),
    check: (node, index) => send({ type: "check", node, box: selectedBox().id, index }),
    moves: (node) => send({ type: "moves", node, box: selectedBox().id }),
    save: () => exporting.open(),
    table: () => {
      tableShown = !tableShown;
      table.toggle(tableShown);
      tools.showTable(tableShown);
    },
    played: () => trained(),
    copyLink: () => link.copy(),
  };
  const track = createTrack(store, actions);
  const tools = createTools(store, canvas, look, actions);
  const legend = createLegend(store, look);
  const minimap = createMinimap(store, canvas, look);
  const inspector = createInspector(store, look, actions);
  const link = createLink(store, inspector, say);
  table = createTable(store, actions);
  const walker = createWalker(store, { select, say: (id) => table.say(id) });
  stage.append(walker, createBanner(store, canvas, actions).element, tools.element, minimap.element, legend.element, make("div", { class: "notes" }, busy.element, note), message, cover);
  root.append(make("div", { class: "explorer" }, track.element, stage, inspector.element, table.element, table.live, help, exporting.element));

  function selectedBox() {
    return store.state.scene.byId.get(store.state.selected);
  }

  /** Select the box that shows a node; open what it is folded into first, also where a fold shows it (`itself`). */
  function select(node, itself = false) {
    const { scene } = store.state;
    const box = scene.boxes.find((own) => own.id === node || (own.node === node && !(itself && own.opens)));
    if (box) {
      store.set({ selected: box.id });
      if (!canvas.follow(box)) canvas.paintOver();
    } else if (node && !node.startsWith("%output")) {
      pending = node;
      send({ type: "reveal", node });
    }
  }

  listenToPointer(stage, canvas, {
    toggle: actions.toggle,
    select(box) {
      select(box);
      window.dispatchEvent(new CustomEvent("picked", { detail: { box } })); // a lesson may have asked for one
    },
    ignores: (target) => target.tagName !== "CANVAS" || target === minimap.element,
    zooms: (event) => wholePage || event.ctrlKey || root.matches(":focus-within"), // a notebook scrolls on, until one clicks
  });

  // ---- keys ----

  if (!wholePage) root.tabIndex = -1; // a click on the graph takes the keys there
  const stopListening = listen(wholePage ? window : root, {
    forward: () => track.step(1),
    back: () => track.step(-1),
    home: () => track.go(0),
    end: () => track.go(track.last()),
    jump: (letter) => track.jump(letter),
    play: () => track.toggle(),
    open: (event) => {
      const box = selectedBox();
      if (box && event.shiftKey && box.parent) actions.toggle(box.parent);
      else if (box && box.opens && !event.shiftKey) actions.toggle(box.opens);
    },
    zoom: (factor) => canvas.zoom(factor),
    fit: () => canvas.fit(),
    help: () => help.showModal(),
    find: () => tools.search.focus(),
    train: () => train(),
    ways: () => showWays(),
    escape: () => endWays() || (help.open ? help.close() : exporting.element.open ? exporting.element.close() : document.activeElement && document.activeElement.blur()),
  });

  // ---- the ways to the loss ----

  function showWays() {
    const box = selectedBox();
    if (!endWays() && box) actions.ways(box.node);
  }

  function endWays() {
    const { ways } = store.state;
    if (ways) send({ type: "ways", node: "" });
    return Boolean(ways);
  }

  function sayWays() {
    const { ways } = store.state;
    const { name, operations: count, paths } = ways || {};
    if (!ways) say("");
    else if (!ways.boxes.size) say(t("No way leads from {name} to the loss: no gradient comes back to it.", { name }));
    else say(t("{count} operations", { count }), t("on the ways from {name} to the loss; ways: {paths}", { name, paths }), true);
  }

  // ---- where things are, and the playhead is to be ----

  const standing = createStand(store, track, inspector);
  canvas.onPaint(sayMoved);
  const stopAnswering = answerWhere((kind, name) => {
    const { scene } = store.state;
    const others = [inspector.element, track.element].map(rectOf).filter(Boolean);
    const around = [...(scene ? scene.boxes.map(canvas.onScreen) : []), ...others];
    const box = kind === "node" && scene ? scene.byId.get(name) : null;
    const own = { inspector: inspector.element, track: track.element }[kind];
    return { rect: box ? canvas.onScreen(box) : own ? rectOf(own) : null, around };
  });

  // ---- training ----

  function train() {
    track.pause();
    say("");
    send({ type: "train" });
  }

  /** Walk the pass that trained, from its start to its update. */
  function walk() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      track.go(track.last());
      trained();
      return;
    }
    track.go(0);
    track.start(Math.max(TRAIN_MS / Math.max(track.last(), 1), 16));
  }

  function trained() {
    const { status } = store.state;
    if (!(status && status.trained && status.run)) return;
    say(`${translated(status.measure)} ${status.before} → ${status.after}`, t("on {examples}", { examples: translated(status.on) }));
    ofStep = true;
  }

  /** What `stays` is there until somebody moves the playhead. */
  function say(text, aside = "", stays = false) {
    staying = stays;
    ofStep = false;
    message.replaceChildren(make("b", {}, text), aside ? ` ${aside}` : "");
    message.hidden = !text;
  }

  // ---- changes ----

  const live = createLive(store, inspector, send);
  let painted = 0;
  store.subscribe((changed, state) => {
    root.dataset.theme = state.theme;
    if (!state.scene) return;
    if (changed.has("position") || (changed.has("scene") && !staying)) say("");
    if (changed.has("scene")) {
      canvas.show(state.scene, turn);
      const box = state.scene.byId.get(state.selected);
      if (box && (!turn || within(box, turn.now))) canvas.follow(box);
    } else if (["theme", "figures", "whatif", "plain", "ways"].some((key) => changed.has(key))) canvas.paintAll();
    else if (changed.has("position")) {
      const box = state.scene.byId.get(state.scene.stops[state.position - 1]?.box);
      if (!box || canvas.view.scale <= canvas.view.fitted * 1.05 || !canvas.follow(box)) canvas.paintStep(painted, state.position);
      minimap.paint();
      canvas.march();
    } else if (changed.has("selected") && !canvas.follow(selectedBox())) canvas.paintOver();
    if (changed.has("ways")) sayWays();
    painted = state.position;
    const told = state.scene.notes.map(translated).join(" ");
    if (note.textContent !== told) note.hidden = !told;
    else if (changed.has("position") || changed.has("selected")) note.hidden = true; // it was read, and lies over the graph
    note.textContent = told;
  });

  let [settling, wait] = [0, 0]; // the graph is drawn anew for its first size: that is told at once
  const resized = new ResizeObserver(() => {
    canvas.resize();
    clearTimeout(settling);
    settling = setTimeout(() => send({ type: "resize", width: stage.clientWidth, height: stage.clientHeight }), wait);
    if (stage.clientWidth) wait = SETTLES_MS;
  });
  [stage, legend.element].forEach((each) => resized.observe(each));
  const stopTheme = listenToTheme((theme) => store.set({ theme }));

  return {
    store,
    /** Show a scene and its numbers; the playhead stays at the same share of the pass. */
    show(scene, figures, ways = null) {
      const { state } = store;
      const before = state.scene;
      const next = scene ? prepared(scene) : before;
      const changes = { figures, ways };
      if (scene) {
        const stop = before && state.position > 0 ? before.stops[state.position - 1] : null;
        const position = kept(next, stop, before, state.position);
        turn = turnedIn(before, next, turned);
        const looked = turn && turn.was.opens ? turn.was.id : state.selected;
        if (turn) turned = "";
        Object.assign(changes, { scene: next, position, selected: keptBox(next, looked, before) ?? next.stops[position - 1]?.box ?? null });
      }
      store.set(changes);
      cover.hidden = true;
      if (scene) link.arrive();
      standing.again();
      if (scene && pending) {
        const node = pending;
        pending = null;
        select(node);
      }
      window.dispatchEvent(new CustomEvent("shown")); // root itself may not be in the page yet
    },
    status(status) {
      store.set({ status, granularity: status.granularity, plumbing: status.plumbing });
      if (ofStep && !status.trained) say("");
      if (status.run && status.run !== lastRun) {
        lastRun = status.run;
        walk();
      }
    },
    proof: (proof) => store.set({ proof }),
    /** What was changed by hand; all of the pass is shown at once. */
    whatif(whatif, plain) {
      const { scene, position } = store.state;
      const on = Boolean(whatif && whatif.changes);
      const first = on && !store.state.whatif && scene;
      store.set({ whatif: on ? whatif : null, plain: on ? plain : {}, ...(first ? { position: Math.max(position, wayBack(scene)) } : {}) });
    },
    preparing: (preparing) => store.set({ preparing }),
    closer: (what, found) => inspector.closer(what, found),
    extend: (box, more) => inspector.extend(box, more),
    summed: (box, summary) => inspector.summed(box, summary),
    busy: (text) => busy.say(text),
    tell: (text) => say(translated(text)),
    place: link.go,
    saved(file) {
      exporting.done();
      download(file);
    },
    look: (index) => inspector.look(index, true),
    /** Tell where one stands whenever that changes, to those who follow. */
    live(on) {
      if (on && !live.on) live.tell();
      live.on = on;
    },
    fail(text) {
      cover.hidden = Boolean(store.state.scene);
      cover.replaceChildren(make("p", { role: "alert" }, translated(text)));
      busy.say("");
      inspector.failed();
      exporting.failed(translated(text));
      say(translated(text));
      window.dispatchEvent(new CustomEvent("failed")); // what waits for an answer need wait no longer
    },
    train,
    select,
    go: (position) => track.go(position),
    stand: standing.stand,
    remove() {
      stopAnswering();
      track.pause();
      link.remove();
      canvas.stop();
      stopListening();
      resized.disconnect();
      stopTheme();
    },
  };
}

/** Panel's entry. */
export function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "root";
  const view = mount(root, model.look, (data) => model.send_msg(data), model.page);
  const read = reader(model);
  let shown = 0;
  let along = null; // what was told of the ways, and what came of it

  function waysNow() {
    if (along === null || along.told !== model.ways) along = { told: model.ways, ways: waysOf(model.ways) };
    return along.ways && along.told.version === shown ? along.ways : null;
  }

  /** Show what has come: a scene at once, numbers if they are of that scene. */
  function show() {
    const [scene, figures] = [read("scene"), read("figures")];
    if (!scene || !scene.boxes) return;
    const fresh = scene.version !== shown;
    const numbers = figures && figures.version === scene.version ? figures : null;
    shown = scene.version;
    if (fresh || numbers) view.show(fresh ? scene : null, numbers, waysNow());
  }

  function suppose() {
    view.whatif(model.whatif, read("plain"));
  }

  function hide() {
    if (model.page) document.documentElement.dataset.hides = model.hides.join(" ");
  }

  const take = {
    explained: ({ box, sentence }) => view.extend(box, { sentence }),
    fetched: ({ box, found }) => view.extend(box, found),
    failed: ({ text }) => view.fail(text),
    told: ({ text }) => view.tell(text),
    summed: ({ box, summary }) => view.summed(box, summary),
    busy: ({ text }) => view.busy(text),
    rested: () => location.assign(`./rested?${new URLSearchParams(model.status.link?.query || "")}`),
    preparing: ({ value }) => view.preparing(value),
    checked: ({ box, valley }) => view.closer("valley", { box, valley }),
    moved: ({ box, node, moves }) => view.closer("moves", { box, node, moves }),
    saved: (file) => view.saved(file),
    train: () => view.train(),
    select: ({ node, itself }) => view.select(node, itself),
    stand: (place) => view.stand(place),
  };
  model.on("scene", show);
  model.on("figures", show);
  model.on("ways", () => view.store.set({ ways: waysNow() }));
  model.on("whatif", suppose);
  model.on("plain", suppose);
  model.on("status", () => view.status(model.status));
  model.on("place", () => view.place(model.place));
  model.on("live", () => view.live(model.live));
  model.on("hides", hide);
  model.on("proof", () => view.proof(model.proof));
  model.on("msg:custom", (event) => {
    const data = event.data || event;
    if (take[data.type]) take[data.type](data);
  });
  model.on("remove", () => view.remove());
  if (model.status && model.status.title) view.status(model.status);
  show();
  hide();
  view.place(model.place);
  root.explorer = view;
  return root;
}

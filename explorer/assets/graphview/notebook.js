// The graph view in a notebook: the same view, in a shadow root of its own, with its place kept in step with Python.

import { render } from "./main.js";

const SETTLED_MS = 100; // Python hears of the place ten times a second at most

/** A notebook's model, as the view knows one; `leave` ends all listening. */
function modelOf(model) {
  const heard = [];
  const own = {
    send_msg: (data) => model.send(data),
    on(name, does) {
      const [event, listener] = name === "msg:custom" ? [name, (data) => does({ data })] : [`change:${name}`, () => does()];
      model.on(event, listener);
      heard.push([event, listener]);
    },
    leave: () => heard.forEach(([event, listener]) => model.off(event, listener)),
  };
  for (const name of ["look", "scene", "figures", "status", "proof", "whatif", "plain", "ways"]) {
    Object.defineProperty(own, name, { get: () => model.get(name) });
  }
  return own;
}

/** The notebook's entry; what it returns is called when the view goes. */
function renderCell({ model, el }) {
  el.addEventListener("keydown", keepPlainKeys);
  const shadow = el.attachShadow({ mode: "open" });
  const sheet = document.createElement("style");
  sheet.textContent = model.get("sheet");
  const own = modelOf(model);
  const root = render({ model: own });
  shadow.append(sheet, root);
  const view = root.explorer;
  let timer = 0;
  let told = 0;

  /** From Python, or from another view of the same cell. */
  function place() {
    const { position, scene } = view.store.state;
    if (scene && model.get("position") !== position) view.go(model.get("position"));
  }

  function choose() {
    const node = model.get("node");
    if (node && node !== nodeOf(view.store.state)) view.select(node);
    else if (!node) view.store.set({ selected: null });
  }

  function tell() {
    timer = 0;
    told = performance.now();
    const { state } = view.store;
    model.set({ position: state.position, node: nodeOf(state) });
    model.save_changes();
  }

  place();
  choose();
  view.store.subscribe((changed) => {
    if (changed.has("position") || changed.has("selected")) timer ||= setTimeout(tell, Math.max(told + SETTLED_MS - performance.now(), 0));
  });
  own.on("position", place);
  own.on("node", choose);
  model.send({ type: "prove" }); // no proof is made that nobody looks at
  return () => {
    clearTimeout(timer);
    el.removeEventListener("keydown", keepPlainKeys);
    own.leave();
    view.remove();
  };
}

/** The notebook would take the arrow keys for itself; Ctrl + S and its like are left to it. */
function keepPlainKeys(event) {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
}

function nodeOf({ scene, selected }) {
  const box = scene && scene.byId.get(selected);
  return box ? box.node : "";
}

export default { render: renderCell };

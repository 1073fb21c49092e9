// A page that follows a teacher: the modules that draw the teacher's page, fed by a socket. The playhead, zoom, table and
// inspector are one's own; what would change anything is refused here, and by the server again.

import { make, themeOf } from "../graphview/dom.js";
import { fromJson } from "../plain.js";
import { t, translated } from "../texts.js";
import { createAsk } from "./ask.js";

const LOOKED_UP = ["explain", "fetch"]; // what the teacher's session says without being changed
const AGAIN_MS = 1500;
const USUAL = { graph: { scene: {}, figures: {}, status: {}, proof: {}, whatif: {}, plain: {}, ways: {}, place: {}, hides: [], page: true }, room: { status: {}, frame: {}, extras: {}, surface: {}, findings: null, compare: {} } };
const OWN = {
  graph: ".choice, .tools .needs-server, .whatif, .closer .row { display: none !important; }",
  room: ".bar .buttons, .bar .more, .bar .knobs, .remedy, .findings .lesson, .card.surface, .strip .frozen { display: none !important; }",
};

/** Begin. `render` has what renders each view of the teacher's page. */
export function start(render) {
  const code = new URLSearchParams(location.search).get("code");
  if (code) follow(code, render);
  else door("");
}

/** Ask for the code. */
function door(trouble) {
  const field = make("input", { name: "code", "aria-label": t("Code"), autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: "12", required: true });
  const form = make("form", { action: location.pathname, method: "get" }, field, make("button", { type: "submit", class: "main" }, t("Join")));
  const words = trouble ? make("p", { role: "alert" }, translated(trouble)) : make("p", {}, t("Type the code on the teacher's screen."));
  document.body.replaceChildren(make("main", { class: "door" }, make("h1", {}, "Backprop Explorer"), words, form));
  field.focus();
}

/** The class is over. */
function over(why) {
  document.body.replaceChildren(make("main", { class: "door" }, make("h1", {}, "Backprop Explorer"), make("p", { role: "status" }, translated(why)), make("a", { href: location.pathname }, t("Join another class"))));
}

/** Whoever joins again is counted once. */
function me() {
  const made = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    if (!sessionStorage.getItem("me")) sessionStorage.setItem("me", made);
    return sessionStorage.getItem("me");
  } catch {
    return made; // storage is off
  }
}

function follow(wanted, render) {
  const back = make("button", { type: "button", class: "main", hidden: true, onclick: () => wander(false) }, t("Back to the teacher"));
  const standing = make("p", { role: "status" });
  const ask = createAsk((value) => send({ type: "answer", value }));
  const hosts = { graph: make("section", { "aria-label": t("Graph") }), room: make("section", { "aria-label": t("Training") }) };
  let socket = null;
  let shown = false;
  let ended = false;
  let applying = false; // what changes now is the teacher's doing
  let away = false;
  let painted = false;
  let teacher = null; // where the teacher stands

  const models = { graph: createModel("graph", lookUp), room: createModel("room", () => refuse()) };
  const views = { graph: null, room: null };

  function open() {
    shown = true;
    document.body.replaceChildren(make("header", { class: "follow-header" }, make("h1", {}, "Backprop Explorer"), standing, back), make("main", { class: "follow" }, ask.element, hosts.graph, hosts.room));
    views.graph = put(hosts.graph, "graph", render.graph({ model: models.graph })).explorer;
    put(hosts.room, "room", render.room({ model: models.room }));
    window.follower = { graph: views.graph, wander }; // for tests, as on the teacher's page
    views.graph.store.subscribe((changed) => {
      if (!applying && (changed.has("position") || changed.has("selected"))) wander(true);
    });
    // a view that has been painted once can bring a box into sight
    requestAnimationFrame(() => requestAnimationFrame(() => ((painted = true), wander(false))));
  }

  function wander(on) {
    away = on;
    back.hidden = !on;
    standing.textContent = on ? t("You look around on your own.") : t("You follow the teacher.");
    if (!on) stand();
  }

  /** Go where the teacher stands, as far as that is in the graph yet. */
  function stand() {
    const { scene } = views.graph.store.state;
    if (away || !painted || !scene || !teacher) return;
    const { at, node, entry } = teacher;
    const stop = at ? scene.stops.findIndex((own) => own.phase === at[0] && own.box === at[1]) + 1 : 0;
    quietly(() => {
      if (stop || !at) views.graph.store.set({ position: stop });
      if (scene.byId.has(node)) views.graph.store.set({ selected: node });
      if (entry) views.graph.look(entry);
    });
  }

  function quietly(does) {
    applying = true;
    try {
      does();
    } finally {
      applying = false;
    }
  }

  function lookUp(data) {
    if (LOOKED_UP.includes(data.type)) send(data);
    else if (data.type !== "resize" && data.type !== "prove") refuse();
  }

  function refuse() {
    views.graph.tell(t("Only the teacher can do that."));
  }

  function send(data) {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(data));
  }

  /** Take what is new: all of it first, then each part is told. */
  function take(news) {
    if (news.refused) {
      ended = true;
      door(news.refused);
      return;
    }
    const changed = [];
    for (const [key, value] of Object.entries(news)) {
      const [view, name] = key.split(".");
      if (!name || !models[view]) continue;
      models[view][name] = name === "status" ? { ...value, link: null, run: 0 } : fromJson(value);
      changed.push([view, name]);
    }
    if (!shown && models.graph.scene.boxes) open();
    else if (shown) quietly(() => changed.forEach(([view, name]) => models[view].fire(name)));
    if (news.at) teacher = news.at;
    if ("lesson.told" in news) ask.show(news["lesson.told"]);
    if ("answered" in news) ask.taken(news.answered);
    if (!shown) return;
    const reply = news.reply || (!away && news["graph.reply"]);
    if (reply) quietly(() => models.graph.fire("msg:custom", { data: reply }));
    if (news.said) views.graph.tell(translated(news.said));
    if (news.at || changed.some(([view]) => view === "graph")) stand();
    if (news.ended) {
      ended = true;
      over(news.ended);
    }
  }

  function connect() {
    const address = new URL("join/follow", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = new URLSearchParams({ code: wanted, me: me() });
    socket = new WebSocket(address);
    socket.onmessage = ({ data }) => take(fromJson(data));
    socket.onclose = () => {
      if (ended) return;
      if (shown) standing.textContent = t("The connection is lost; trying again…");
      setTimeout(connect, AGAIN_MS);
    };
    socket.onopen = () => shown && wander(away);
  }

  connect();
}

/** What Panel's model is to a view, fed by hand. */
function createModel(name, send) {
  const handlers = new Map();
  return {
    ...structuredClone(USUAL[name]),
    look: window.held.look,
    send_msg: send,
    on: (what, does) => handlers.set(what, [...(handlers.get(what) || []), does]),
    fire: (what, event) => (handlers.get(what) || []).forEach((does) => does(event)),
  };
}

/** A view in a shadow of its own, with its own style, as on the teacher's page. */
function put(host, name, view) {
  const shadow = host.attachShadow({ mode: "open" });
  shadow.append(make("style", {}, window.held.sheets[name] + OWN[name]), view);
  view.dataset.theme = themeOf();
  return view;
}

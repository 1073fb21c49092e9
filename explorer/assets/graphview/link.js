// The link to this very place: what the server knows of it, and where the playhead and the selection are.

import { t, translated } from "../texts.js";
import { currentStop } from "./store.js";

const ADDRESS_MS = 900; // browsers allow some hundred changes of the address in half a minute, and nobody wants them in the history
const OF_BROWSER = ["lang", "present"]; // what stands in the address and is no place

/** Copying the link, keeping the address true, and going where one leads. */
export function createLink(store, inspector, say) {
  let timer = 0;
  let shown = ""; // the query that the address stands for
  let wanted = null; // where a link leads, until its scene is there

  /** How a link calls a box: by its name, as long as no other has it. */
  function named(box) {
    return store.state.scene.boxes.filter(({ name }) => name === box.name).length === 1 ? box.name : box.id;
  }

  function found(name) {
    const { boxes } = store.state.scene;
    return boxes.find((box) => box.id === name) || boxes.find((box) => box.name === name);
  }

  /** The query of where one stands; empty if the server tells of none. */
  function query() {
    const { state } = store;
    if (!state.status || !state.status.link || !state.scene) return "";
    const parts = [state.status.link.query];
    const stop = currentStop(state);
    const box = state.scene.byId.get(state.selected);
    const entry = inspector.entry();
    if (stop) parts.push(`at=${stop.phase.toLowerCase()}:${inAddress(named(state.scene.byId.get(stop.box)))}`);
    if (box && !(stop && stop.box === box.id)) parts.push(`node=${inAddress(named(box))}`);
    if (entry) parts.push(`entry=${entry.join(",")}`);
    return parts.join("&");
  }

  function address() {
    const own = [...new URLSearchParams(location.search)].filter(([name]) => OF_BROWSER.includes(name));
    const kept = own.map(([name, value]) => (value ? `&${name}=${encodeURIComponent(value)}` : `&${name}`)).join("");
    return { link: `${location.origin}${location.pathname}?${query()}`, own: `${location.pathname}?${query()}${kept}` };
  }

  async function copy() {
    const { missing } = store.state.status.link;
    const copied = await put(address().link);
    say(copied ? t("Link copied") : t("The browser gives no way to copy; the link stands in the address."), translated(missing));
    if (!copied) history.replaceState(null, "", address().own);
  }

  /** Have the address follow once nothing has changed for a while; not while it trains. */
  function follow() {
    shown = shown || query(); // what the page began with needs no address of its own
    clearTimeout(timer);
    timer = setTimeout(() => {
      const now = query();
      if (!now || store.state.playing || store.state.status.playing) return;
      if (now !== shown) history.replaceState(null, "", address().own);
      shown = now;
    }, ADDRESS_MS);
  }

  /** Go where a link leads, now or once there is a scene. */
  function go(place) {
    wanted = place;
    arrive();
  }

  function arrive() {
    const { scene } = store.state;
    if (!scene || !wanted || !wanted.said) return;
    const { at, node, entry, said } = wanted;
    wanted = null;
    const lost = [];
    if (at) {
      const box = found(at[1]);
      const position = 1 + (box ? scene.stops.findIndex((stop) => stop.phase === at[0] && stop.box === box.id) : -1);
      if (position) store.set({ position, selected: box.id });
      else lost.push(t("The playhead of the link stands at {place}, which is not in this graph.", { place: at[1].slice(0, 40) }));
    }
    if (node && found(node)) store.set({ selected: found(node).id });
    else if (node) lost.push(t("There is no box called {name} here.", { name: node.slice(0, 40) }));
    if (entry) inspector.look(entry);
    const words = [...said.map(translated), ...lost].join(" ");
    if (words) say(words, "", true);
  }

  store.subscribe((changed) => {
    if (["scene", "status", "position", "selected", "looked", "playing"].some((key) => changed.has(key))) follow();
  });
  return { copy, go, query, arrive, remove: () => clearTimeout(timer) };
}

function inAddress(text) {
  return encodeURIComponent(text).replace(/%(2F|3A|2C|7E)/g, decodeURIComponent);
}

/** Put a text into the clipboard; whether that worked. */
async function put(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // no clipboard: the page is served to others without encryption, or the browser forbids it
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.style.cssText = "position: fixed; opacity: 0";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

// The four phases as a track with the playhead in it, and the buttons that move it.

import { t } from "../texts.js";
import { icon, iconButton, make } from "./dom.js";
import { currentStop, PHASES, spoken } from "./store.js";

const BASE_MS = 750;

function titleOf({ name, count }) {
  const values = { phase: PHASES[name], count, key: name[0] };
  return count === 1 ? t("{phase}: 1 step (key {key})", values) : t("{phase}: {count} steps (key {key})", values);
}

/** The track, and the functions that the keys share with the buttons. */
export function createTrack(store, actions) {
  const segments = make("div", { class: "segments" });
  const thumb = make("div", { class: "thumb" });
  const slider = make(
    "div",
    { class: "slider", role: "slider", tabindex: "0", "aria-label": t("Playhead"), "aria-valuemin": "0" },
    segments,
    thumb,
  );
  const said = make("div", { class: "said" });
  const play = make("button", { type: "button", class: "icon-button play", onclick: () => toggle() });
  const speed = make(
    "select",
    { "aria-label": t("Speed"), title: t("Speed"), onchange: (event) => store.set({ speed: Number(event.target.value) }) },
    ...[0.5, 1, 2, 4, 8].map((value) => make("option", { value, selected: value === 1 }, `${value}×`)),
  );
  const grain = make(
    "div",
    { class: "choice", role: "group", "aria-label": t("Granularity") },
    ...["layer", "operation"].map((value) =>
      make("button", { type: "button", "data-value": value, onclick: () => actions.granularity(value) }, value === "layer" ? t("Layer") : t("Operation")),
    ),
  );
  const element = make(
    "div",
    { class: "track" },
    make(
      "div",
      { class: "transport" },
      iconButton("back", t("Step back"), () => step(-1)),
      play,
      iconButton("forward", t("Step forward"), () => step(1)),
      iconButton("finish", t("Finish phase"), () => finish()),
      speed,
    ),
    slider,
    grain,
    said,
  );
  let timer = 0;

  function last() {
    return store.state.scene ? store.state.scene.stops.length : 0;
  }

  function go(position) {
    const { scene } = store.state;
    if (!scene) return;
    const bounded = Math.min(Math.max(position, 0), last());
    const stop = bounded > 0 ? scene.stops[bounded - 1] : null;
    store.set({ position: bounded, ...(stop ? { selected: stop.box } : {}) });
  }

  function step(by) {
    pause();
    go(store.state.position + by);
  }

  /** To the last stop of the phase that the playhead is in; from there, of the next one. */
  function finish() {
    pause();
    const { scene, position } = store.state;
    if (!scene) return;
    const ends = scene.phases.filter((phase) => phase.count).map((phase) => phase.first + phase.count - 1);
    go(ends.find((end) => end > position) ?? last());
  }

  function jump(letter) {
    pause();
    const phase = store.state.scene?.phases.find(({ name, count }) => count && name[0] === letter);
    if (phase) go(phase.first);
  }

  function toggle() {
    store.state.playing ? pause() : start();
  }

  function start(interval) {
    if (!store.state.scene) return;
    if (store.state.position >= last()) go(0);
    store.set({ playing: true });
    clearInterval(timer);
    const tick = () => {
      go(store.state.position + 1);
      if (store.state.position >= last()) {
        pause();
        actions.played();
      }
    };
    timer = setInterval(tick, interval || BASE_MS / store.state.speed);
  }

  function pause() {
    clearInterval(timer);
    store.set({ playing: false });
  }

  function toPointer(event) {
    const box = segments.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    go(Math.round(share * last()));
  }

  slider.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pause();
    slider.setPointerCapture(event.pointerId);
    toPointer(event);
  });
  slider.addEventListener("pointermove", (event) => {
    if (slider.hasPointerCapture(event.pointerId)) toPointer(event);
  });

  function showPhases() {
    const { scene } = store.state;
    segments.replaceChildren(
      ...scene.phases
        .filter((phase) => phase.count)
        .map((phase) =>
          make(
            "div",
            { class: `segment ${phase.name.toLowerCase()}`, style: `flex-grow: ${phase.count}`, title: titleOf(phase) },
            make("span", {}, PHASES[phase.name]),
          ),
        ),
    );
    slider.setAttribute("aria-valuemax", String(last()));
  }

  function showPosition() {
    const { state } = store;
    const stop = currentStop(state);
    const share = last() ? state.position / last() : 0;
    thumb.style.left = `${100 * share}%`;
    segments.style.setProperty("--done", `${100 * share}%`);
    const text = spoken(state);
    slider.setAttribute("aria-valuenow", String(state.position));
    slider.setAttribute("aria-valuetext", text);
    element.dataset.phase = stop ? stop.phase.toLowerCase() : "start";
    said.textContent = last() ? `${t("{count} of {count_all}", { count: state.position, count_all: last() })} · ${text}` : "";
  }

  function showPlaying() {
    const { playing, speed: rate } = store.state;
    const label = playing ? t("Pause") : t("Play");
    play.setAttribute("aria-label", label);
    play.title = `${label} (${t("Space")})`;
    play.replaceChildren(icon(playing ? "pause" : "play"));
    if (playing && timer && rate) speed.value = String(rate);
  }

  store.subscribe((changed) => {
    if (changed.has("scene")) showPhases();
    if (changed.has("scene") || changed.has("position")) showPosition();
    if (changed.has("playing")) showPlaying();
    if (changed.has("speed") && store.state.playing) start();
    if (changed.has("granularity")) showGrain();
  });

  function showGrain() {
    for (const button of grain.children) {
      const chosen = button.dataset.value === store.state.granularity;
      button.setAttribute("aria-pressed", String(chosen));
    }
  }

  showPlaying();
  showGrain();
  return { element, go, step, finish, jump, toggle, start, pause, last };
}

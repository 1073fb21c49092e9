// The step slider: hovers a step in every chart while it moves, goes back to it when it is let go or Enter is pressed.

import { make } from "../graphview/dom.js";
import { t, translated } from "../texts.js";
import { grouped, told } from "./scales.js";
import { stepOf } from "./state.js";

/** The slider *Training step*. */
export function createStepper(room) {
  const done = make("div", { class: "done" });
  const events = make("div", { class: "events" });
  const thumb = make("div", { class: "thumb" });
  const rail = make("div", { class: "rail" }, done, events, thumb);
  const slider = make("div", { class: "steps", role: "slider", tabindex: "0", "aria-label": t("Training step"), "aria-valuemin": "0", "aria-valuemax": "0", "aria-valuenow": "0", "aria-valuetext": t("no step taken yet") }, rail);
  const label = make("span", { class: "at" });
  const element = make("div", { class: "stepper" }, slider, label);
  let marked = null;

  const ends = () => (room.state.run ? [room.state.run.first, room.state.run.last] : [0, 0]);
  const bounded = (step) => Math.min(Math.max(Math.round(step), ends()[0]), ends()[1]);

  function move(by) {
    room.set({ hover: bounded(stepOf(room.state) + by) });
  }

  const keys = {
    ArrowLeft: () => move(-1),
    ArrowDown: () => move(-1),
    ArrowRight: () => move(1),
    ArrowUp: () => move(1),
    PageDown: () => move(-Math.max(1, (ends()[1] - ends()[0]) / 10)),
    PageUp: () => move(Math.max(1, (ends()[1] - ends()[0]) / 10)),
    Home: () => room.set({ hover: ends()[0] }),
    End: () => room.set({ hover: ends()[1] }),
    Enter: () => room.state.run && room.rewind(stepOf(room.state)),
    Escape: () => room.set({ hover: null }),
  };
  slider.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && room.state.hover === null) return slider.blur(); // from here on arrows move the playhead
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // these keys move the playhead elsewhere
    if (room.state.run) keys[event.key]();
  });
  slider.addEventListener("blur", () => room.set({ hover: null }));

  const pointed = (event) => {
    const box = rail.getBoundingClientRect();
    const [first, last] = ends();
    room.set({ hover: bounded(first + ((event.clientX - box.left) / box.width) * (last - first)) });
  };
  slider.addEventListener("pointerdown", (event) => {
    if (event.button || !room.state.run) return;
    slider.setPointerCapture(event.pointerId);
    pointed(event);
  });
  slider.addEventListener("pointermove", (event) => slider.hasPointerCapture(event.pointerId) && pointed(event));
  slider.addEventListener("pointerup", (event) => {
    if (!slider.hasPointerCapture(event.pointerId)) return;
    room.rewind(stepOf(room.state));
    room.set({ hover: null });
  });

  function show(state) {
    const { run, hover } = state;
    if (!run) return clear();
    const [first, last] = ends();
    const step = stepOf(state);
    const share = (at) => `${last > first ? (100 * (at - first)) / (last - first) : 0}%`;
    thumb.style.left = share(step);
    done.style.width = share(state.status.playing ? last : Math.min(run.frame.shown ?? last, last));
    const text = first === last ? t("step {step}, the first", { step: grouped(step) }) : t("step {step} of {first}–{last}", { step: grouped(step), first: grouped(first), last: grouped(last) });
    if (label.textContent !== text) label.textContent = text;
    slider.setAttribute("aria-valuemin", String(first));
    slider.setAttribute("aria-valuemax", String(last));
    slider.setAttribute("aria-valuenow", String(step));
    slider.setAttribute("aria-valuetext", `${text}${lossAt(run, step)}${hover === null ? "" : `, ${t("Enter goes back to it")}`}`);
    if (marked !== run) showEvents(run, share);
    marked = run;
  }

  /** Nothing was trained yet. */
  function clear() {
    label.textContent = "";
    thumb.style.left = done.style.width = "0";
    events.replaceChildren();
    marked = null;
  }

  function showEvents(run, share) {
    const shown = run.events.map(([step, what]) => make("i", { style: `left: ${share(step)}`, title: `${t("step {step}", { step: grouped(step) })}: ${translated(what)}` }));
    if (shown.length || events.childElementCount) events.replaceChildren(...shown);
  }

  room.subscribe((changed, state) => {
    if (["run", "hover", "status"].some((key) => changed.has(key))) show(state);
  });
  return { element };
}

function lossAt(run, step) {
  const series = run.series("loss");
  return series ? `, ${t("loss {loss}", { loss: told(series.last[run.columnOf(step)]) })}` : "";
}

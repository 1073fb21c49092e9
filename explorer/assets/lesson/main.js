// Lessons: the card of the beat beside what it speaks of, and the list of the course. Panel calls `render`.

import { createCard } from "./card.js";
import { createCourse } from "./course.js";
import { createPlacing } from "./placing.js";

/** Panel's entry. Everything lies over the page, as its own elements. */
export function render({ model }) {
  const send = (data) => model.send_msg(data);
  const begin = (name, beat = 0) => send({ type: "lesson", name, beat });
  const course = createCourse(() => model.course, begin);
  const card = createCard(send, () => finish());
  const placing = createPlacing(card.element);
  let shown = {};

  function finish() {
    const { name } = shown;
    course.done(name);
    send({ type: "lesson", name: "" });
    course.open(course.after(name));
  }

  function show() {
    const before = shown;
    shown = model.told || {};
    const on = Boolean(shown.name);
    document.body.classList.toggle("in-lesson", on);
    hide(".page > .train", on && !shown.charts.length);
    hide(".page > .setup", on && !shown.controls.length);
    if (!on) {
      card.hide();
      placing.forget();
      return;
    }
    course.reached(shown.name, shown.beat);
    const moved = shown.name !== before.name || shown.beat !== before.beat || shown.state !== before.state;
    card.show(shown, moved);
    placing.point(shown.at, moved);
  }

  const stops = [course.listen(), listenFor("lesson", ({ detail }) => begin(detail.name)), listenFor("picked", ({ detail }) => card.pick(detail.box)), listenFor("failed", card.rest)];
  model.on("told", show);
  model.on("remove", () => {
    for (const stop of [...stops, card.remove, placing.remove, course.remove]) stop();
  });
  show();
  return document.createElement("div");
}

function listenFor(name, does) {
  window.addEventListener(name, does);
  return () => window.removeEventListener(name, does);
}

function hide(selector, hidden) {
  const element = document.querySelector(selector);
  if (element) element.hidden = hidden;
}

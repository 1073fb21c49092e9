// The list of the course as a dialog; how far one has come is kept in this browser alone.

import { make } from "../graphview/dom.js";
import { t, translated } from "../texts.js";

const KEPT = "backprop-explorer-lessons";

/** The dialog; `begin(name, beat)` begins a lesson. */
export function createCourse(lessons, begin) {
  const list = make("div", { class: "groups" });
  const close = make("button", { type: "button", class: "close", "aria-label": t("Close"), onclick: () => dialog.close() }, "×");
  const lead = make("p", {}, t("Short lessons on this very page. Each asks you to predict before it shows."));
  const dialog = make("dialog", { class: "course", "aria-label": t("Lessons") }, make("header", {}, make("h2", {}, t("Lessons")), close), lead, list);
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the playhead's keys wait until it is closed
  document.body.append(dialog);

  function progress() {
    try {
      return JSON.parse(localStorage.getItem(KEPT)) || {};
    } catch {
      return {}; // storage is off, or holds something else
    }
  }

  function keep(name, change) {
    const all = progress();
    all[name] = { ...all[name], ...change };
    try {
      localStorage.setItem(KEPT, JSON.stringify(all));
    } catch {
      // storage is off: nothing is kept
    }
  }

  function open(focused = "") {
    if (!lessons().length) return; // a saved lesson stands alone
    const known = progress();
    const groups = Map.groupBy ? Map.groupBy(lessons(), ({ group }) => group) : grouped(lessons());
    const numbers = new Map(lessons().map(({ name }, i) => [name, i + 1]));
    list.replaceChildren(
      ...[...groups].map(([group, own]) => make("section", {}, make("h3", {}, translated(group)), make("ol", { start: numbers.get(own[0].name) }, ...own.map((lesson) => line(lesson, known[lesson.name] || {}, numbers.get(lesson.name)))))),
    );
    if (!dialog.open) dialog.showModal();
    const wanted = focused && list.querySelector(`[data-name="${CSS.escape(focused)}"]`);
    if (wanted) wanted.focus();
  }

  function line(lesson, { beat = 0, done = false }, number) {
    const half = !done && beat > 0;
    const state = done ? t("done") : half ? t("{number} of {count}", { number: beat + 1, count: lesson.beats }) : t("{count} min", { count: lesson.minutes });
    const start = () => {
      dialog.close();
      begin(lesson.name, half ? beat : 0);
    };
    return make(
      "li",
      {},
      make(
        "button",
        { type: "button", "data-name": lesson.name, class: done ? "done" : half ? "begun" : "", onclick: start },
        make("span", { class: "number" }, done ? "✓" : number),
        make("span", { class: "what", lang: "en" }, make("b", {}, lesson.title), make("small", {}, lesson.goal)),
        make("span", { class: "state" }, state),
      ),
    );
  }

  return {
    open,
    reached: (name, beat) => keep(name, { beat }),
    done: (name) => keep(name, { done: true, beat: 0 }),
    /** The lesson that follows in the course. */
    after(name) {
      const names = lessons().map((lesson) => lesson.name);
      return names[names.indexOf(name) + 1] || "";
    },
    listen() {
      const button = document.getElementById("lessons");
      const opens = () => open();
      button?.addEventListener("click", opens);
      return () => button?.removeEventListener("click", opens);
    },
    remove: () => dialog.remove(),
  };
}

function grouped(lessons) {
  const found = new Map();
  for (const lesson of lessons) found.set(lesson.group, [...(found.get(lesson.group) || []), lesson]);
  return found;
}

// What a lesson says and asks, for one who follows: the answer goes to the teacher's histogram.

import { make, stressed } from "../graphview/dom.js";
import { t, translated } from "../texts.js";

/** The card; `answer` sends one. */
export function createAsk(answer) {
  const element = make("section", { class: "ask", "aria-label": t("Lesson"), hidden: true });
  const taken = make("p", { role: "status" });
  const after = make("div"); // what the lesson says once it is answered
  let asked = "";

  function show({ prose = [], ask = null, beat = 0, then = [] } = {}) {
    after.replaceChildren(...then.map((text) => make("p", {}, ...stressed(text))));
    element.hidden = !prose.length && !ask;
    const now = ask ? `${beat} ${ask.question}` : "";
    if (now !== asked) taken.textContent = "";
    if (!now || now !== asked) {
      // else what is being typed stays
      asked = now;
      element.replaceChildren(...prose.map((text) => make("p", {}, ...stressed(text))), ...(ask ? [make("p", { class: "question" }, ...stressed(ask.question)), form(ask), taken] : []), after);
    }
    if (ask && ask.answer) close(ask);
  }

  /** The answer is shown: what was said stays, and what is right is marked. */
  function close({ options = [], answer: right }) {
    const own = element.querySelector("form");
    own.querySelector(".main")?.remove();
    for (const each of own.elements) each.disabled = true;
    const marked = [...own.elements][options.indexOf(right)];
    if (!own.querySelector(".right")) (marked || own.appendChild(make("output"))).replaceChildren(`✓ ${translated(right)}`);
    (marked || own.lastChild).classList.add("right");
    taken.textContent = "";
  }

  function form({ options = [] }) {
    if (options.length) {
      const choices = options.map((value) => make("button", { type: "button", "aria-pressed": "false", onclick: (event) => choose(event.target, value) }, translated(value)));
      return make("form", { role: "group" }, ...choices);
    }
    const field = make("input", { name: "answer", "aria-label": t("Your answer"), autocomplete: "off", inputmode: "decimal", maxlength: "40", required: true });
    return make("form", { onsubmit: (event) => (event.preventDefault(), answer(field.value)) }, field, make("button", { type: "submit", class: "main" }, t("Send")));
  }

  function choose(button, value) {
    for (const each of button.parentElement.children) each.setAttribute("aria-pressed", String(each === button));
    answer(value);
  }

  return { element, show, taken: (well) => (taken.textContent = well ? t("Sent. You may change it.") : t("It is not asked any more.")) };
}

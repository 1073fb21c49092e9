// The set-up panel: settings as native controls. What there is to set comes as data.

import { t, translated } from "../texts.js";
import { make } from "./dom.js";

/** Panel's entry. */
export function render({ model }) {
  const root = make("form", { class: "setup", "aria-label": t("Set-up"), onsubmit: (event) => event.preventDefault() });
  const problem = make("p", { class: "problem", role: "alert", hidden: true });
  let asked = ""; // the field that was changed last

  function send(name, value) {
    asked = name;
    model.send_msg({ type: "choose", name, value });
  }

  function control(field) {
    if (field.options) {
      const options = field.options.map(([value, text]) => make("option", { value, selected: value === field.value }, translated(text)));
      return make("select", { id: field.name, onchange: (event) => send(field.name, event.target.value) }, ...options);
    }
    return make("input", {
      id: field.name,
      type: field.text ? "text" : "number",
      min: field.low,
      max: field.high,
      step: field.step,
      value: field.value,
      onchange: (event) => send(field.name, event.target.value),
    });
  }

  function show() {
    const { fields, words, error, device } = model.form;
    problem.hidden = !error;
    problem.textContent = translated(error || "");
    const rows = fields.map((field) => make("div", { class: "row" }, make("label", { for: field.name }, translated(field.label)), control(field)));
    root.replaceChildren(...rows.slice(0, 1), make("p", { class: "words" }, translated(words)), ...rows.slice(1), make("p", { class: "words device" }, translated(device || "")));
    (rows[fields.findIndex(({ name }) => name === asked)] || root).append(problem); // beside what it speaks of: the form is long
  }

  model.on("form", show);
  show();
  return root;
}

// The set-up panel: settings as native controls. What there is to set comes as data.

import { t, translated } from "../texts.js";
import { make } from "./dom.js";

/** Panel's entry. */
export function render({ model }) {
  const root = make("form", { class: "setup", "aria-label": t("Set-up"), onsubmit: (event) => event.preventDefault() });
  const problem = make("p", { id: "setup-problem", class: "problem", role: "alert", hidden: true });
  let asked = {}; // the field that was changed last, and to what

  function send(name, value) {
    asked = { name, value };
    model.send_msg({ type: "choose", name, value });
  }

  /** A file that can't be opened stays as it was typed, marked, with what is wrong beneath it. */
  function control(field, refused) {
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
      value: refused ? asked.value : field.value,
      ...(refused && { "aria-invalid": "true", "aria-describedby": problem.id }),
      onchange: (event) => send(field.name, event.target.value),
    });
  }

  function show() {
    const { fields, words, error, device } = model.form;
    problem.hidden = !error;
    problem.textContent = translated(error || "");
    const rows = fields.map((field) => make("div", { class: "row" }, make("label", { for: field.name }, translated(field.label)), control(field, error && field.text && field.name === asked.name)));
    root.replaceChildren(...rows.slice(0, 1), make("p", { class: "words" }, translated(words)), ...rows.slice(1), make("p", { class: "words device" }, translated(device || "")));
    (rows[fields.findIndex(({ name }) => name === asked.name)] || root).append(problem); // beside what it speaks of: the form is long
  }

  model.on("form", show);
  show();
  return root;
}

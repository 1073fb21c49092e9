// The set-up panel: settings as native controls. What there is to set comes as data.

import { t, translated } from "../texts.js";
import { make } from "./dom.js";

const PIECE = 180 * 1024; // bytes of a file that are sent at once; a server for many takes messages of 256 KiB

/** Part of a file in base 64. */
function encoded(part) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.split(",")[1] ?? "");
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(part);
  });
}

/** Panel's entry. */
export function render({ model }) {
  const root = make("form", { class: "setup", "aria-label": t("Set-up"), onsubmit: (event) => event.preventDefault() });
  const problem = make("p", { id: "setup-problem", class: "problem", role: "alert", hidden: true });
  let asked = {}; // the field that was changed last, and to what

  function send(name, value) {
    asked = { name, value };
    model.send_msg({ type: "choose", name, value });
  }

  /** Send a table, piece by piece, unless another is chosen meanwhile; of one that is too large the first, to be told so. */
  async function upload(file, most) {
    const mine = { name: "csv", value: file.name };
    asked = mine;
    for (let at = 0; asked === mine && (at === 0 || (at < file.size && file.size <= most)); at += PIECE) {
      const data = await encoded(file.slice(at, at + PIECE));
      if (asked === mine) model.send_msg({ type: "table", name: file.name, size: file.size, at, data });
    }
  }

  /** A field for a file: its path where it can be typed, its name where it can't, and the browser's own choice. */
  function chooser(field, named) {
    const files = make("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", hidden: true, onchange: () => upload(files.files[0], field.most) });
    const choose = make("button", { type: "button", onclick: () => files.click() }, t("Choose a file…"));
    return make("div", { class: "file" }, named, choose, files);
  }

  /** A file that can't be opened stays as it was typed, marked, with what is wrong beneath it. */
  function control(field, refused) {
    if (field.options) {
      const options = field.options.map(([value, text]) => make("option", { value, selected: value === field.value }, translated(text)));
      return make("select", { id: field.name, onchange: (event) => send(field.name, event.target.value) }, ...options);
    }
    if (field.most && !field.text) return chooser(field, field.value && make("span", { id: field.name }, field.value));
    const input = make("input", {
      id: field.name,
      type: field.text ? "text" : "number",
      min: field.low,
      max: field.high,
      step: field.step,
      value: refused ? asked.value : field.value,
      ...(refused && { "aria-invalid": "true", "aria-describedby": problem.id }),
      onchange: (event) => send(field.name, event.target.value),
    });
    return field.most ? chooser(field, input) : input;
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

// What can be taken away: a page, a picture, a film, the numbers.

import { t } from "../texts.js";
import { make } from "./dom.js";

/** The dialog; `ask` sends for a file. */
export function createExport(ask) {
  const kinds = [
    [t("A page that works offline"), [["html", "pass", t("what is shown")]]],
    [t("A picture"), [["svg", "pass", "SVG"], ["png", "pass", "PNG"]]],
    [t("A film, GIF"), [["gif", "pass", t("of the pass")], ["gif", "training", t("of the training")]]],
    [t("Numbers, CSV"), [["csv", "pass", t("of the pass")], ["csv", "training", t("of the training")]]],
    [t("Numbers, Parquet"), [["parquet", "pass", t("of the pass")], ["parquet", "training", t("of the training")]]],
  ];
  const working = make("p", { class: "note", role: "status" });

  function row([title, forms]) {
    const buttons = forms.map(([form, of, text]) => make("button", { type: "button", class: "quiet", "aria-label": `${title}: ${text}`, onclick: () => begin(form, of) }, text));
    return make("tr", {}, make("th", { scope: "row" }, title), make("td", {}, ...buttons));
  }

  function begin(form, of) {
    working.textContent = t("Writing the file…");
    ask(form, of);
  }

  const close = make("button", { type: "button", class: "quiet", onclick: () => element.close() }, t("Close"));
  const element = make("dialog", { class: "help export", "aria-label": t("Export") }, make("h2", {}, t("Export")), make("table", {}, ...kinds.map(row)), working, close);
  return {
    element,
    open() {
      working.textContent = "";
      element.showModal();
    },
    /** The file has come. */
    done() {
      element.close();
    },
    /** It can't be made. */
    failed(text) {
      if (element.open) working.textContent = text;
    },
  };
}

/** Hand a file to the browser, which keeps it. */
export function download({ name, mime, content }) {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const link = make("a", { href: URL.createObjectURL(new Blob([bytes], { type: mime })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

// The teacher's side of a class: a button that opens one, and the card with its code, who is there, and their answers.

import { make, themeOf } from "../graphview/dom.js";
import { t, translated } from "../texts.js";

/** Panel's entry. */
export function render({ model }) {
  const send = (data) => model.send_msg(data);
  const button = make("button", { type: "button", class: "open", "aria-haspopup": "dialog", onclick: () => press() }, t("Class"));
  const card = make("dialog", { class: "class-card", "aria-label": t("Class") });
  const answers = make("section", { class: "answers", role: "region", "aria-label": t("Answers"), hidden: true });
  const root = make("div", { class: "root" }, button, card, answers);
  let put = ""; // the question whose answers were put away

  function press() {
    if (!model.told.code) send({ type: "class_open", origin: location.origin });
    if (!card.open) card.show();
    else card.close();
  }

  function show() {
    const told = model.told || {};
    root.dataset.theme = themeOf();
    button.textContent = told.code ? `${t("Class")} · ${told.code} · ${told.followers}` : t("Class");
    if (told.code) card.replaceChildren(...opened(told));
    else if (told.error) card.replaceChildren(make("p", {}, translated(told.error)), closing());
    else card.close();
    chart(told);
  }

  function opened({ code, followers, join, reach, qr, link }) {
    return [
      make("p", { class: "how" }, t("Join at {address} with the code", { address: join.replace(/^https?:\/\//, "") })),
      make("p", { class: "code" }, code),
      drawn(qr, link),
      make("p", { class: "count", role: "status" }, followers === 1 ? t("1 person follows") : t("{count} people follow", { count: followers })),
      reach ? make("p", { class: "reach" }, translated(reach)) : null,
      make("div", { class: "row" }, closing(), make("button", { type: "button", class: "end", onclick: () => send({ type: "class_end" }) }, t("End the class"))),
    ].filter(Boolean);
  }

  function closing() {
    return make("button", { type: "button", onclick: () => card.close() }, t("Hide"));
  }

  /** What was answered so far, as bars; put away until something else is asked. */
  function chart({ question, bars = [] }) {
    answers.hidden = !question || !bars.length || put === question;
    const most = Math.max(1, ...bars.map(([, count]) => count));
    const total = bars.reduce((sum, [, count]) => sum + count, 0);
    const rows = bars.map(([value, count]) => make("tr", {}, make("th", { scope: "row" }, value), make("td", {}, make("span", { class: "bar", style: `width: ${(100 * count) / most}%` })), make("td", { class: "many" }, String(count))));
    const away = make("button", { type: "button", "aria-label": t("Hide"), title: t("Hide"), onclick: () => ((put = question), chart(model.told)) }, "×");
    answers.replaceChildren(make("h2", {}, total === 1 ? t("1 answer") : t("{count} answers", { count: total })), away, make("table", {}, make("tbody", {}, ...rows)));
  }

  /** The class ends with this page: where people follow, the browser asks before it goes. */
  function leaving(event) {
    const { code, followers } = model.told || {};
    if (code && followers) event.preventDefault();
  }

  const themed = new MutationObserver(() => (root.dataset.theme = themeOf()));
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  window.addEventListener("beforeunload", leaving);
  model.on("told", show);
  model.on("remove", () => {
    themed.disconnect();
    window.removeEventListener("beforeunload", leaving);
  });
  show();
  return root;
}

/** A QR code, dark on light whatever the theme: cameras ask for it. */
function drawn({ size, path }, link) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", `-4 -4 ${size + 8} ${size + 8}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", link);
  svg.setAttribute("class", "qr");
  const dark = document.createElementNS(space, "path");
  dark.setAttribute("d", path);
  svg.append(dark);
  return svg;
}

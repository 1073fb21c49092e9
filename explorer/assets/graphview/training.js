// The training bar: one step, back to the start, and what the last step did.

import { iconButton, make } from "./dom.js";

/** Panel's entry. */
export function render({ model }) {
  const train = make("button", { type: "button", class: "train", onclick: () => model.send_msg({ type: "train" }) }, "Train one step");
  const text = make("p", { class: "told", role: "status" });
  const aside = make("p", { class: "aside" });
  const root = make(
    "div",
    { class: "bar" },
    make("div", { class: "buttons" }, train, iconButton("reset", "Reset", () => model.send_msg({ type: "reset" }))),
    text,
    aside,
  );

  function show() {
    const { status } = model;
    const known = Boolean(status && status.title);
    train.disabled = !known;
    if (!known) return;
    text.replaceChildren(
      make("b", {}, status.trained ? `${status.measure} ${status.before} → ${status.after}` : `${status.measure} ${status.before}`),
    );
    const count = status.step + (status.trained ? 1 : 0);
    aside.textContent = `${count} ${count === 1 ? "update" : "updates"} made · this pass: ${status.on}`;
  }

  model.on("status", show);
  show();
  return root;
}

// One small array, element by element: what each device adds to the mean, and the ring that makes the mean of it.

import { make } from "../graphview/dom.js";
import { t } from "../texts.js";
import { fill, number, shortName } from "./lanes.js";

/** The ring, to be stepped through. */
export function createRing(room) {
  const id = "tensor";
  const select = make("select", { id, onchange: () => room.send({ type: "divide", tensor: select.value }) });
  const stage = make("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": t("Step of the ring"), oninput: draw });
  const back = make("button", { type: "button", onclick: () => go(-1) }, t("Step back"));
  const forward = make("button", { type: "button", onclick: () => go(1) }, t("Step forward"));
  const words = make("p", { class: "words", "aria-live": "polite" });
  const table = make("table", { class: "ring" });
  const note = make("p", { class: "note" });
  const header = make("header", {}, make("h4", {}, t("The all-reduce, as a ring does it")), make("label", { for: id }, t("Parameter")), select);
  const element = make("div", { class: "part" }, header, make("div", { class: "stepping" }, back, stage, forward), words, make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": t("What each device holds") }, table), note);

  function go(by) {
    stage.value = String(Number(stage.value) + by);
    draw();
  }

  function paint() {
    const { look: seen } = room.told;
    element.hidden = !seen.tensor || seen.split.devices < 2;
    if (element.hidden) return;
    const options = seen.small.map((name) => make("option", { value: name }, shortName(name)));
    if (select.dataset.names !== seen.small.join()) select.replaceChildren(...options);
    select.dataset.names = seen.small.join();
    select.value = seen.tensor.name;
    stage.max = String(seen.tensor.sent.length);
    draw();
  }

  function draw() {
    const { tensor, split } = room.told.look;
    const now = Number(stage.value);
    const half = split.devices - 1;
    const sent = now ? tensor.sent[now - 1] : null;
    words.textContent = stageWords(now, half, split.devices);
    stage.setAttribute("aria-valuetext", words.textContent);
    back.disabled = now === 0;
    forward.disabled = now === tensor.sent.length;
    const chunks = tensor.stages[now];
    const left = tensor.mean.length;
    const body = chunks.map((held, device) => row(t("Device {device}", { device }), held, left, sent ? sent[(device + chunks.length - 1) % chunks.length] : -1));
    const width = chunks[0][0].length;
    const mean = chunks[0].map((_, i) => tensor.mean.slice(i * width, (i + 1) * width));
    const last = row(t("Mean"), mean, left, -1);
    last.classList.add("mean");
    const heads = chunks[0].map((_, i) => make("th", { scope: "colgroup", colspan: width, class: i * width < left ? "" : "none" }, t("chunk {chunk}", { chunk: i })));
    table.replaceChildren(make("caption", { class: "unseen" }, t("What each device holds")), make("thead", {}, make("tr", {}, make("td", {}), ...heads)), make("tbody", {}, ...body, last));
    note.textContent = t("Each device sends {bytes} bytes in all: 2 × ({devices} − 1) ÷ {devices} of the array, however many devices there are. At the end each has the mean, off by at most {off}.", { bytes: tensor.bytes, devices: split.devices, off: number(tensor.off) });
    if (split.sharded) note.textContent += ` ${t("With the optimiser's memory divided each device updates its slice between the two halves, and what the second half sends on is the parameters.")}`;
  }

  /** The chunks of one device; the one that has just come is marked. */
  function row(name, held, size, came) {
    let place = 0;
    const cells = held.flatMap((chunk, index) =>
      chunk.map((value, i) => {
        const cell = make("td", { class: `cell${i === 0 ? " first" : ""}${index === came ? " came" : ""}` });
        if (place++ < size) fill(cell, value, room);
        else cell.classList.add("none");
        return cell;
      }),
    );
    return make("tr", {}, make("th", { scope: "row" }, name), ...cells);
  }

  return { element, paint };
}

function stageWords(now, half, devices) {
  if (now === 0) return t("At first each device has its own gradient, times its share of the batch: what it adds to the mean.");
  if (now <= half) return t("Reduce-scatter, step {step} of {half}: each device sends one chunk to the next one, which adds it to its own.", { step: now, half });
  const words = t("All-gather, step {step} of {half}: each device sends a finished chunk to the next one, which takes it over.", { step: now - half, half });
  return now === 2 * half ? `${words} ${t("All {devices} devices have the mean.", { devices })}` : words;
}

// The data-parallel room: one lane a device, the ring that makes one gradient of theirs, and what goes wrong. Panel calls `render`.

import { listenToTheme, make, themeOf } from "../graphview/dom.js";
import { attach } from "../plain.js";
import { grouped } from "../room/scales.js";
import { t, translated } from "../texts.js";
import { answerWhere, rectOf } from "../whereabouts.js";
import { createLanes, trying } from "./lanes.js";
import { createMembers } from "./members.js";
import { createRing } from "./ring.js";
import { createTrials } from "./trials.js";

/** Build the room. `send` takes messages to the server. */
export function mountParallel(root, look, send) {
  const room = { look, send, told: {}, charts: null, theme: themeOf() };
  const heading = make("h3", { id: "many" }, t("Many devices, one gradient"));
  const devices = choice(t("Devices"), ["1", "2", "3", "4", "5", "6", "7", "8"], (value) => send({ type: "divide", devices: Number(value) }));
  const pieces = choice(t("Micro-batches on each"), ["1", "2", "4"], (value) => send({ type: "divide", pieces: Number(value) }));
  const sharded = make("input", { type: "checkbox", id: "sharded", onchange: () => send({ type: "divide", sharded: sharded.checked }) });
  const status = make("p", { class: "status", role: "status" });
  const lead = make("p", { class: "lead" });
  const parts = [createLanes(room), createRing(room), createTrials(room)];
  const dials = make("div", { class: "dials" }, devices.element, pieces.element, make("label", { class: "check", for: "sharded" }, sharded, t("Divide the optimiser's memory")));
  const members = createMembers(room);
  const body = make("div", { class: "body" }, lead, ...parts.map(({ element }) => element));
  const card = make("section", { class: "card many", "aria-labelledby": "many" }, make("header", {}, heading, dials), status, members.element, body);
  root.append(card);

  function paint() {
    const { told } = room;
    const { split, look: seen } = told;
    members.paint();
    const left = room.charts && !room.charts.includes("devices"); // by a lesson
    card.hidden = left || (!told.members && (!split || (split.devices === 1 && !told.error)));
    for (const own of [dials, status, body]) own.hidden = !split; // a run elsewhere isn't divided from here
    root.dataset.theme = room.theme;
    if (card.hidden || !split) return;
    devices.show(split.devices);
    pieces.show(split.pieces);
    sharded.checked = split.sharded;
    status.textContent = told.error ? translated(told.error) : waitsFor(told);
    status.classList.toggle("problem", Boolean(told.error));
    body.hidden = !seen || Boolean(told.error && !seen);
    if (!seen) return;
    lead.textContent = leadOf(seen);
    for (const part of parts) part.paint();
  }

  const stopAnswering = answerWhere((kind, name) => ({ rect: kind === "chart" && name === "devices" && !card.hidden ? rectOf(card) : null }));
  const stop = listenToTheme((theme) => {
    room.theme = theme;
    paint();
  });
  paint();
  return {
    room,
    show(told) {
      room.told = told || {};
      paint();
    },
    shows(charts) {
      room.charts = charts;
      paint();
    },
    remove() {
      stop();
      stopAnswering();
    },
  };
}

function waitsFor({ waiting, look, goal }) {
  if (!waiting.length) return "";
  if (!look) return t("Starting the devices, and compiling the step for them…");
  if (trying({ waiting })) return t("The devices try it…");
  return look.step < goal ? t("The devices train, too: they have come to step {step} of {goal}…", { step: grouped(look.step), goal: grouped(goal) }) : t("The devices take this step…");
}

function leadOf({ step, devices, platform, split }) {
  const examples = devices.reduce((sum, own) => sum + own.examples.length, 0);
  const said = [
    t("Step {step}: {examples} examples, divided over {devices} devices.", { step: grouped(step), examples, devices: split.devices }),
    split.pieces > 1 ? t("Each takes its own in micro-batches, one after the other, and adds up their gradients: only one micro-batch is in memory at a time.") : t("Each takes loss and gradient of its own examples."),
    split.sharded
      ? t("Of the mean of all gradients each gets its own slice (reduce-scatter), makes the update of that slice, and gets the other parameters from the others (all-gather).")
      : t("The all-reduce makes the mean of all gradients, and each makes the same update of it."),
  ];
  if (platform === "cpu") said.push(t("They are virtual ones, which share this processor."));
  return said.join(" ");
}

function choice(label, values, chosen) {
  const id = `choice-${label.length}-${values.length}`;
  const option = (value) => make("option", { value }, value);
  const select = make("select", { id, onchange: () => chosen(select.value) }, ...values.map(option));
  const show = (count) => {
    const value = String(count);
    if (![...select.options].some((known) => known.value === value)) select.append(option(value)); // by a link
    select.value = value;
  };
  return { element: make("div", { class: "choice" }, make("label", { for: id }, label), select), show };
}

/** Panel's entry. */
export function render({ model }) {
  const root = make("div", { class: "root" });
  const view = mountParallel(root, model.look, (data) => model.send_msg(data));
  const take = { told: () => view.show(model.told), charts: () => view.shows(model.charts) };
  attach(model, take, view);
  root.room = view;
  return root;
}

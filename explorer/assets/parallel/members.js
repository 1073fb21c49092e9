// A training elsewhere: which process and machine each of its devices belongs to, its loss, its gradient in each layer.

import { make } from "../graphview/dom.js";
import { QUANTITIES } from "../room/quantities.js";
import { grouped } from "../room/scales.js";
import { t } from "../texts.js";
import { fill, number } from "./lanes.js";

/** The table of devices of a run that is followed. */
export function createMembers(room) {
  const lead = make("p", { class: "lead" });
  const table = make("table", { class: "lanes" });
  const scale = make("div", { class: "scale" });
  const element = make("div", { class: "part" }, lead, make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": t("What each device has") }, table), scale);

  function paint() {
    const { members } = room.told;
    element.hidden = !members;
    if (!members) return;
    const { step, layers, devices } = members;
    const processes = new Set(devices.map(({ process }) => process)).size;
    lead.textContent = [
      processes > 1
        ? t("Step {step}, divided over {devices} devices of {processes} processes.", { step: grouped(step), devices: devices.length, processes })
        : t("Step {step}, divided over {devices} devices.", { step: grouped(step), devices: devices.length }),
      t("Each device's loss is that of its own examples, and its gradient what they have of the whole batch's: root mean square, before each layer's activation."),
    ].join(" ");
    const heads = [t("Device"), ...(processes > 1 ? [t("Process")] : []), t("Machine"), t("Examples"), t("Its loss"), ...layers.map((name) => name.split(" · ").pop())];
    const named = heads.length - layers.length;
    const head = make("tr", {}, ...heads.map((text, i) => make("th", { scope: "col", class: i < named ? "" : "name", title: layers[i - named] || "" }, make("span", {}, text))));
    const rows = devices.map((own, device) => {
      const words = [...(processes > 1 ? [own.process] : []), own.host, own.examples];
      const cells = own.gradient.map((size, layer) => {
        const cell = make("td", { class: "size" });
        fill(cell, sized(size), room, `${layers[layer]}: ${text(size)}`);
        cell.textContent = text(size);
        return cell;
      });
      return make("tr", {}, make("th", { scope: "row" }, t("Device {device}", { device })), ...words.map((word) => make("td", {}, String(word))), make("td", { class: "number" }, text(own.loss)), ...cells);
    });
    table.replaceChildren(make("caption", { class: "unseen" }, t("What each device has of this step")), make("thead", {}, head), make("tbody", {}, ...rows));
    QUANTITIES.gradient.legend(scale, room.look, room.theme);
  }

  return { element, paint };
}

const sized = (value) => (typeof value === "string" ? NaN : value);
const text = (value) => (typeof value === "string" ? t("not finite") : number(value));

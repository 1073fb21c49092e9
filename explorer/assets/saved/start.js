// Begins a saved page: its record, and a place of its own for each view.

import { showLesson } from "./lesson.js";
import { show } from "./main.js";
import { readRecord } from "./record.js";

const styles = JSON.parse(document.getElementById("styles").textContent);

/** A place whose style sheets reach nothing else, as each view has on the served page. */
function placeOf(name) {
  const shadow = document.getElementById(name).attachShadow({ mode: "open" });
  for (const text of styles[name]) {
    const sheet = document.createElement("style");
    sheet.textContent = text;
    shadow.append(sheet);
  }
  return shadow;
}

const places = { graph: placeOf("graph"), room: placeOf("room") };
readRecord(document.getElementById("record")).then((record) => (record.beats ? showLesson : show)(record, globalThis.backpropViews, places));

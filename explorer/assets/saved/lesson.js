// A saved lesson: its beats as they were played, and predictions marked here, by the sheet of each question.

import { t } from "../texts.js";
import { createModel, GRAPH } from "./model.js";
import { unpooled } from "./record.js";

const SAME = 0.02; // how near a wrong number must come to that of a hint, or to the right one if that is stricter

/** Show a lesson's record. */
export function showLesson(record, views, places) {
  const { look, beats, pool } = record;
  let number = 0;
  let state = "";
  let hint = "";
  let tries = 0;
  let version = 0;
  const model = {
    graph: createModel({ look, ...GRAPH }, hear),
    room: createModel({ look, status: {}, frame: null, extras: {}, surface: {}, findings: null, compare: {} }, hear),
    lesson: createModel({ course: [], told: {} }, hear),
  };

  const over = () => state === "right" || state === "shown";
  const moment = () => (over() ? beats[number].then : beats[number].first);
  const say = (text) => model.graph.tell({ type: "told", text });

  function tell() {
    model.lesson.change({ told: { ...moment().told, state, hint, tries } });
  }

  /** Bring everything to where the beat is. */
  function arrive() {
    version += 1;
    const own = moment();
    const [scene, frame, extras, findings, compare] = ["scene", "frame", "extras", "findings", "compare"].map((name) => pool[own[name]]);
    model.graph.change({ scene: { ...scene, version }, figures: { ...unpooled(own.figures, pool), version }, status: own.status, proof: pool[own.proof] });
    model.room.change({ status: own.status, frame, extras, findings, compare });
    tell();
    model.graph.tell({ type: "stand", ...own.standing });
  }

  function enter(wanted) {
    number = Math.min(Math.max(wanted, 0), beats.length - 1);
    [state, hint, tries] = [beats[number].sheet ? "asking" : "", "", 0];
    arrive();
  }

  const does = {
    lesson: () => enter(0),
    beat: (message) => enter(message.number),
    back: arrive,
    answer({ value }) {
      if (state !== "asking") return;
      tries += 1;
      const found = marked(beats[number].sheet, value);
      [state, hint] = found.right ? ["right", ""] : [state, found.hint];
      found.right ? arrive() : tell();
    },
    solve() {
      [state, hint] = ["shown", ""];
      arrive();
    },
    explain({ node, box, index }) {
      const known = moment().sentences[node] || {};
      const place = (index || []).join(",");
      if (place in known) model.graph.tell({ type: "explained", box, sentence: pool[known[place]] });
      else say(t("This saved page tells the sentences of the entries with the largest gradients; the others need the explorer."));
    },
    row: ({ id }) => model.graph.tell({ type: "select", node: id }),
    resize: () => {},
  };

  function hear(message) {
    if (does[message.type]) does[message.type](message);
    else say(t("This is a saved page: it shows what was recorded. Training on needs the explorer."));
  }

  places.graph.append(views.graph({ model: model.graph }));
  places.room.append(views.room({ model: model.room }));
  document.body.append(views.lesson({ model: model.lesson }));
  enter(0);
}

/** What becomes of an answer: right, or what there is to say of the mistake. */
export function marked(sheet, given) {
  if (typeof sheet.right === "string") {
    if (given === sheet.right) return { right: true, hint: "" };
    return { right: false, hint: (sheet.hints.find(([when]) => when === given) || ["", sheet.otherwise])[1] };
  }
  const value = typed(given);
  if (value === null) return { right: false, hint: t("Write a number, such as 0.5, −2 or 3/4.") };
  if (near(value, sheet.right, sheet.tolerance)) return { right: true, hint: "" };
  const strict = Math.min(SAME, sheet.tolerance);
  return { right: false, hint: (sheet.hints.find(([when]) => near(value, when, strict)) || ["", sheet.otherwise])[1] };
}

/** The number that somebody typed: with a decimal point or comma, a true minus, a fraction, or a percent sign. */
function typed(text) {
  const plain = text.trim().replace(/[−–]/g, "-").replaceAll(",", ".").replaceAll(" ", "");
  const [above, below] = plain.replace(/%$/, "").split("/");
  const [top, bottom] = [above, below ?? "1"].map((part) => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(part) ? Number(part) : NaN));
  const value = top / bottom / (plain.endsWith("%") ? 100 : 1);
  return Number.isFinite(value) ? value : null;
}

function near(given, wanted, share) {
  return Math.abs(given - wanted) <= Math.max(share * Math.max(Math.abs(given), Math.abs(wanted)), wanted ? 1e-12 : 1e-6);
}

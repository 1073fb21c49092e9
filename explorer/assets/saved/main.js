// A saved page: what a session recorded, walked without a server. The views are those of the served page.

import { t } from "../texts.js";
import { createModel, GRAPH } from "./model.js";
import { unpooled } from "./record.js";

/** Show a record in two places of a page. */
export function show(record, views, places) {
  const { look, scenes, passes } = record;
  let grain = record.grain;
  let own = nearest(record.at.step);
  let version = 0;
  const model = {
    graph: createModel({ look, page: true, scene: {}, figures: {}, status: {}, proof: {}, whatif: {}, plain: {}, place: {}, hides: [] }, hear),
    room: createModel({ look, ...run(), surface: {}, findings: record.findings, compare: {} }, hear),
  };

  function nearest(step) {
    return passes.reduce((best, each) => (Math.abs(each.step - step) < Math.abs(best.step - step) ? each : best));
  }

  function pass() {
    version += 1;
    const proof = own.step === record.at.step ? record.proof[grain] : {};
    const figures = { ...unpooled(own.figures[grain], record.pool), version };
    return { scene: { ...scenes[grain], version }, figures, proof, status: { ...own.status, granularity: grain } };
  }

  function run() {
    return { status: own.status, frame: { ...record.frame, shown: own.step }, extras: own.extras };
  }

  const fold = (next) => {
    if (next === grain) return;
    grain = next;
    model.graph.change(pass());
  };
  const say = (text) => model.graph.tell({ type: "told", text });
  const does = {
    granularity: ({ value }) => fold(value),
    toggle: () => fold(grain === "layer" ? "operation" : "layer"), // without Graphviz: all folds, or none
    reveal: () => fold("operation"),
    row: ({ id }) => model.graph.tell({ type: "select", node: id }),
    explain: ({ node, box, index }) => {
      const known = own.sentences[node] || {};
      const place = (index || []).join(",");
      if (place in known) model.graph.tell({ type: "explained", box, sentence: record.pool[known[place]] });
      else say(t("This saved page tells the sentences of the entries with the largest gradients; the others need the explorer."));
    },
    rewind: ({ step }) => {
      own = nearest(step);
      model.graph.change(pass());
      model.room.change(run());
      if (own.step !== step) say(t("Step {step} is the nearest one whose pass this page holds.", { step: own.step }));
    },
    resize: () => {},
  };

  function hear(message) {
    if (does[message.type]) does[message.type](message);
    else say(t("This is a saved page: it shows what was recorded. Training on needs the explorer."));
  }

  const roots = { graph: views.graph({ model: model.graph }), room: views.room({ model: model.room }) };
  for (const [name, root] of Object.entries(roots)) places[name].append(root);
  model.graph.change(pass());
  const { store } = roots.graph.explorer;
  const chosen = record.at.selected && store.state.scene.byId.has(record.at.selected);
  store.set({ position: record.at.position, ...(chosen ? { selected: record.at.selected } : {}) });
}

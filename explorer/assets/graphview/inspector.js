// The selected box in full: what it computes, its value, its gradient, and the chain rule as a sentence in numbers.

import { t, translated } from "../texts.js";
import { createCloser } from "./closer.js";
import { make } from "./dom.js";
import { createHeatmap } from "./heatmap.js";
import { currentStop, stateOf } from "./store.js";
import { createSummaries } from "./summary.js";
import { beforeAfter, createWhatIf } from "./whatif.js";

const ASK_MS = 1000;

/** The inspector; `actions` lead to other boxes and ask for what was not sent ahead. */
export function createInspector(store, look, actions) {
  const value = createHeatmap(t("Value"), store, look, pick);
  const gradient = createHeatmap(t("Gradient"), store, look, pick);
  const closer = createCloser(store, look, actions, show);
  const whatif = createWhatIf(store, actions); // stays in the page while it is dragged; what is around it is made anew
  const summaries = createSummaries(actions.summary);
  const [top, rest] = [make("div"), make("div")];
  const element = make("section", { class: "inspector", role: "region", "aria-label": t("Inspector") }, top, whatif.element, rest);
  const extras = new Map(); // what was fetched for large arrays, and sentences for other entries
  const picked = new Map(); // for each box the entry that was chosen in it
  let asking = ""; // the sentence that was asked for, as a changed pass has only one, and one of a running training
  let asked = 0;

  function pick(index, quiet = false) {
    const { state } = store;
    const own = state.figures && state.figures.boxes[state.selected];
    picked.set(state.selected, index);
    store.set({ looked: index });
    if (own && own.grad && !quiet) actions.ask(index);
    show();
  }

  /** The sentence about the entry that is looked at, as far as it has come. */
  function sentenceOf(box, own, extra) {
    const { whatif: on } = store.state;
    const found = extra.sentence || (on && on.spoken[box.id]) || (own && own.sentence);
    const key = on ? `${on.heard} ${box.id}` : box.id;
    const again = asking !== key || (!on && performance.now() - asked > ASK_MS);
    if (!found && own && own.grad && again && (on || listens())) {
      [asking, asked] = [key, performance.now()];
      actions.ask(picked.get(box.id) || null);
    }
    return found;
  }

  /** Whether only sentences that were asked for come along: while training runs. */
  function listens() {
    const { status } = store.state;
    return Boolean(status && status.playing && !status.follows);
  }

  function show() {
    const { state } = store;
    const box = state.scene && state.scene.byId.get(state.selected);
    whatif.element.hidden = !box || follows() || isLarge();
    if (!box) {
      const touched = matchMedia("(pointer: coarse)").matches; // no keys
      const hint = touched ? t("Tap ▶ to walk through the pass, or a box to look inside it.") : t("Press → to take the first step, or click a box to look inside it.");
      top.replaceChildren(make("p", { class: "hint" }, hint));
      rest.replaceChildren();
      return;
    }
    const own = state.figures && state.figures.boxes[box.id];
    const extra = extras.get(box.id) || {};
    const spoken = sentenceOf(box, own, extra);
    const index = picked.get(box.id) || (spoken ? spoken.index : null);
    const reached = stateOf(box, state.position);
    const stop = currentStop(state);
    const back = stop && (stop.phase === "Backward" || stop.phase === "Update") && reached === "gradient";
    const forward = reached === "not reached" ? waiting(box, box.valueAt, t("The pass has not reached it yet.")) : forwardCard(box, own, extra, index);
    const backward = reached === "gradient" ? backwardCard(box, own, extra, spoken, index) : reached === "value" ? beforeGradient(box, own) : null;
    const cards = [forward, backward].filter(Boolean);
    if (!follows() && !isLarge()) whatif.show(box, reached === "not reached" ? null : extra.value || (own && own.value), index);
    top.replaceChildren(heading(box));
    rest.replaceChildren(
      ...(box.opens && state.figures && !follows() && !state.whatif ? [summaries.card(box)] : []),
      ...(stop && stop.phase === "Update" ? updateCard(box) : []),
      ...(back ? cards.reverse() : cards),
      ...(stop && stop.phase === "Update" ? [] : updateCard(box)),
      ...(box.source ? [make("p", { class: "source", title: box.source }, t("made at {place}", { place: lastParts(box.source) }))] : []),
    );
  }

  function heading(box) {
    const kinds = { parameter: t("parameter"), input: t("data"), constant: t("constant"), fold: "", operation: "" };
    return make(
      "header",
      {},
      make("h2", { title: box.name }, box.label, box.detail ? make("small", {}, ` ${box.detail}`) : null),
      make("p", { class: "facts", title: box.name }, [kinds[box.kind] || translated(box.operation), box.shape].join(" · ")),
      make(
        "div",
        { class: "row" },
        box.opens ? make("button", { type: "button", class: "quiet", onclick: () => actions.toggle(box.opens) }, t("Open")) : null,
        waysButton(box),
      ),
    );
  }

  function waysButton(box) {
    const { ways } = store.state;
    const on = Boolean(ways && ways.node === box.node);
    return make(
      "button",
      { type: "button", class: "quiet needs-server", "aria-pressed": String(on), title: t("Light up everything that its gradient comes back through (W)"), onclick: () => actions.ways(box.node) },
      t("Ways to the loss"),
    );
  }

  function forwardCard(box, own, extra, index) {
    const picture = extra.value || (own && own.value);
    const before = plainOf(box).value;
    value.show(picture, index, before);
    const given = box.kind === "parameter" || box.kind === "input" || box.kind === "constant";
    return card(
      "forward",
      t("Value"),
      picture && picture.shape.length ? typical(beforeAfter(picture, before)) : [],
      given ? null : make("p", { class: "formula" }, translated(box.forward)),
      own && own.computed ? make("p", { class: "computed" }, ...computed(own.computed, box, index)) : null,
      value.element,
      large(picture),
      picture && picture.known === false ? make("p", { class: "note" }, translated(store.state.status.large)) : null,
    );
  }

  function backwardCard(box, own, extra, spoken, index) {
    const picture = extra.grad || (own && own.grad);
    const before = plainOf(box).grad;
    gradient.show(picture, index, before);
    const graded = spoken ? sentence(spoken, box) : own && own.missing ? make("p", { class: "note" }, translated(own.missing)) : null;
    return card(
      "backward",
      `${t("Gradient")}  ∂L/∂${shortName(box)}`,
      picture && picture.shape.length ? typical(beforeAfter(picture, before)) : [],
      graded,
      gradient.element,
      large(picture),
      ...(store.state.whatif ? [] : [badge(store.state.proof[box.id]) || proveButton(box, picture), lost(store.state.proof[box.id])]),
      follows() || isLarge() ? null : closer.valley(box, index),
      box.note ? make("p", { class: "note" }, translated(box.note)) : null,
    );
  }

  /** Whether a loop in another process is shown: its function isn't here to be run again. */
  function follows() {
    return Boolean(store.state.status && store.state.status.follows);
  }

  /** Whether only statistics of a step were read: another program reads one array whole, and none is changed by hand. */
  function isLarge() {
    return Boolean(store.state.status && store.state.status.large);
  }

  /** The numbers of a box without what was changed by hand; none at a real step. */
  function plainOf(box) {
    return (store.state.whatif && store.state.plain[box.id]) || {};
  }

  /** In a large graph a gradient is proved when that is asked for. */
  function proveButton(box, picture) {
    const { status } = store.state;
    if (!picture || picture.known === false || !status || status.proves_all) return null;
    const button = make("button", { type: "button", class: "quiet needs-server" }, t("Compare with jax.grad"));
    button.addEventListener("click", () => {
      button.disabled = true;
      button.textContent = t("Comparing…");
      actions.prove(box.id);
    });
    return button;
  }

  function beforeGradient(box, own) {
    if (box.gradientAt !== Infinity) return waiting(box, box.gradientAt, t("Its gradient is not reached yet: that is the way back."));
    const why = box.note || (own && own.missing) || t("The step needs no gradient here: it isn't a parameter, and nothing it depends on is.");
    return card("backward", t("Gradient"), "", make("p", { class: "note" }, translated(why)));
  }

  function waiting(box, position, words) {
    return make(
      "div",
      { class: "card waiting" },
      make("p", {}, words),
      make("button", { type: "button", class: "quiet", onclick: () => actions.go(position) }, t("Go there")),
    );
  }

  function updateCard(box) {
    const { status, position } = store.state;
    const stop = currentStop(store.state);
    if (box.updateAt === Infinity || position < box.updateAt || !stop) return [];
    const moved = status && status.updates ? box.holds.filter(([, id]) => status.updates[id]) : [];
    return [
      card(
        "update",
        t("Update"),
        status && status.rate ? t("rate {rate}", { rate: status.rate }) : "",
        follows() ? null : make("p", { class: "formula" }, t("w ← w − rate · ∂L/∂w")),
        store.state.whatif ? make("p", { class: "words" }, t("Of the real step: what if trains nothing.")) : null,
        ...moved.map(([name, id]) => make("p", { class: "computed" }, make("b", {}, name), `  ${translated(status.updates[id])}`)),
        follows() || isLarge() ? null : closer.moves(box),
      ),
    ];
  }

  function sentence(spoken, box) {
    const line = make("p", { class: "sentence" });
    line.append(make("span", { class: "left" }, `∂L/∂${shortName(box)}`, place(spoken.index)), " = ");
    spoken.terms.forEach((term, number) => {
      if (number) line.append(" + ");
      line.append(termOf(term, spoken.terms.length > 1));
    });
    const plain = spoken.terms.length === 1 && !spoken.terms[0].products.length;
    if (!plain) line.append(spoken.terms.length ? " = " : "", make("b", {}, spoken.total));
    return make(
      "div",
      { class: "chain" },
      line,
      make("p", { class: "words" }, translated(spoken.words)),
      spoken.terms.length > 1
        ? make("ul", { class: "terms" }, ...spoken.terms.map((term) => make("li", {}, link(term.consumer, translated(term.title)), ` ${t("sends {total}: {words}", { total: term.total, words: translated(term.words) })}`)))
        : null,
    );
  }

  function termOf(term, several) {
    if (!term.products.length) return make("span", { class: "term" }, link(term.consumer, term.total, t("what {title} sends back", { title: translated(term.title) })));
    const group = make("span", { class: "term" });
    const bracket = several && term.products.length > 1;
    if (bracket) group.append("(");
    term.products.forEach((product, number) => {
      if (number) group.append(" + ");
      product.forEach((factor, position) => {
        if (position) group.append(" · ");
        group.append(factorOf(factor));
      });
    });
    if (term.hidden) group.append(make("span", { class: "more" }, ` + … ${t("{count} more", { count: term.hidden })}`));
    if (bracket) group.append(")");
    return group;
  }

  function factorOf(factor) {
    const says = {
      gradient: t("gradient that arrived at {place}", { place: factor.place }),
      saved: `${factor.how ? `${translated(factor.how)}: ` : ""}${t("the forward value of {place}, saved and reused", { place: factor.place })}`,
      number: translated(factor.how) || t("a number of the rule"),
    }[factor.role];
    const text = factor.text.startsWith("−") ? `(${factor.text})` : factor.text;
    if (!factor.node) return make("span", { class: "factor number", title: says }, text);
    const button = link(factor.node, text, says);
    button.classList.add("factor", factor.role);
    return button;
  }

  function link(node, text, title = "") {
    return make("button", { type: "button", class: "link", title: title || t("Go to it"), onclick: () => actions.select(node) }, text);
  }

  function large(picture) {
    if (!picture || picture.data || picture.shape.length === 0 || picture.grey || picture.fetched) return null;
    if (picture.known === false) return make("button", { type: "button", class: "quiet needs-server", onclick: () => actions.fetch() }, t("Read it whole"));
    const count = picture.shape.reduce((product, size) => product * size, 1);
    return count > 4096 ? null : make("button", { type: "button", class: "quiet needs-server", onclick: () => actions.fetch() }, t("Fetch the numbers"));
  }

  store.subscribe((changed) => {
    if (changed.has("scene") || changed.has("figures")) extras.clear();
    if (changed.has("figures")) summaries.forget();
    if (changed.has("scene")) picked.clear();
    if (changed.has("figures")) closer.forget();
    if (["scene", "figures", "selected", "position", "proof", "status", "theme", "whatif", "plain", "ways"].some((key) => changed.has(key))) show();
  });
  show();
  return {
    element,
    extend(id, more) {
      extras.set(id, { ...(extras.get(id) || {}), ...more });
      show();
    },
    /** The entry of the selected box that somebody chose; none, if the inspector chooses. */
    entry: () => picked.get(store.state.selected) || null,
    look: (index, quiet) => store.state.selected && pick(index, quiet),
    summed: (id, summary) => summaries.take(id, summary),
    closer: (what, { box, node, ...found }) => closer.take(what, box, what === "valley" ? found.valley : { node, ...found.moves }),
    failed() {
      whatif.failed();
      closer.release();
      show();
    },
  };
}

function card(kind, title, aside, ...children) {
  return make("div", { class: `card ${kind}` }, make("h3", {}, make("span", {}, title), make("small", {}, ...[aside].flat())), ...children);
}

function typical(text) {
  return [make("abbr", { title: t("Root mean square: the typical size of the entries") }, "rms"), ` ${text}`];
}

function badge(proof) {
  if (!proof) return null;
  const numeric = proof.numeric ? t("central differences: off by {error}", { error: proof.numeric }) : t("central differences: below what floats resolve");
  const exact = proof.ok ? t("agrees with jax.grad: off by {error}", { error: proof.exact }) : t("does not agree with jax.grad: off by {error}", { error: proof.exact });
  const words = `${proof.ok ? "✓" : "✗"} ${(proof.numeric ? [exact, `${numeric} ${t("(relative)")}`] : [`${exact} ${t("(relative)")}`, numeric]).join(" · ")}`;
  return make("p", { class: proof.ok ? "badge good" : "badge bad", title: translated(proof.verdict) || t("Checked at this very step.") }, words);
}

/** What of a gradient is zero only because its type holds nothing so small. */
function lost(proof) {
  return proof && proof.lost ? make("p", { class: "note lost" }, translated(proof.lost)) : null;
}

function place(index) {
  return index && index.length ? make("sub", {}, `[${index.join(", ")}]`) : "";
}

/** `tanh[3, 1] = 0.604 = tanh(0.7)`: which entry, its number, and how it came about. */
function computed(text, box, index) {
  return [shortName(box), place(index), " = ", text];
}

function shortName(box) {
  const last = box.name.split("/").pop();
  return last.includes(".") ? last.slice(last.indexOf(".") + 1) : last;
}

function lastParts(source) {
  return source.split(/[\\/]/).slice(-2).join("/");
}

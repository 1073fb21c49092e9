// The texts of the interface in the reader's language. English is the key; what a language lacks stays English.
// The page chooses the language and holds the catalogues (`texts/`) before any other script runs.

const NO_WORDS = {};

/** A text that stands in these scripts; tests look for each in every catalogue. */
export function t(text, values = {}) {
  return filled(wordsOf()[text] ?? text, values);
}

/** A text that the server made, numbers and all: found again by its pattern, and what stands in its places too. */
export function translated(text) {
  const words = wordsOf();
  if (words === NO_WORDS || !text || typeof text !== "string") return text;
  const { found, ...patterns } = patternsOf(words);
  if (!found.has(text)) {
    if (found.size > 4000) found.clear(); // numbers change all the time
    found.set(text, words[text] ?? byPattern(text, words, patterns));
  }
  return found.get(text);
}

function wordsOf() {
  const { backpropTexts } = globalThis;
  return (backpropTexts && backpropTexts[document.documentElement.lang]) || NO_WORDS;
}

/** Put values into the places of a text: `step {number}`. */
function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

const patternsMade = new Map();
const WHOLE = 12; // an entry that says more than this is a sentence, and is looked for before its parts are

/** The entries that have places, those that say most first. */
function patternsOf(words) {
  if (!patternsMade.has(words)) {
    const bare = (key) => key.replace(/\{\w+\}/g, "").length;
    const keys = Object.keys(words).filter((key) => /\{\w+\}/.test(key));
    keys.sort((a, b) => bare(b) - bare(a));
    const all = keys.map((key) => ({ key, expression: expressionOf(key), names: key.match(/\{\w+\}/g).map((place) => place.slice(1, -1)) }));
    const short = all.findIndex(({ key }) => bare(key) < WHOLE);
    patternsMade.set(words, { found: new Map(), long: all.slice(0, short), short: all.slice(short) });
  }
  return patternsMade.get(words);
}

/** In a place whose name begins with `count` there is a number. */
function expressionOf(key) {
  const parts = key.split(/(\{\w+\})/).map((part) => {
    if (/^\{count\w*\}$/.test(part)) return "([\\d.,−+e∞-]+|NaN)";
    return /^\{\w+\}$/.test(part) ? "([^]+?)" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${parts.join("")}$`);
}

const BETWEEN_TEXTS = [/( · )/, /( × )/, /(?<=[.!?])( )(?=\p{Lu})/u, /(: )/];

/** As a sentence, or several things said in a row, or a few words. */
function byPattern(text, words, { long, short }) {
  const whole = matched(text, words, long);
  if (whole !== null) return whole;
  for (const between of BETWEEN_TEXTS) {
    const parts = text.split(between);
    if (parts.length > 1) return tight(parts.map((part, i) => (i % 2 ? part : translated(part))).join(""));
  }
  return matched(text, words, short) ?? text;
}

function matched(text, words, patterns) {
  for (const { key, expression, names } of patterns) {
    const found = expression.exec(text);
    if (found) return filled(words[key], Object.fromEntries(names.map((name, i) => [name, translated(found[i + 1])])));
  }
  return null;
}

/** Chinese sentences stand without spaces between them. */
function tight(text) {
  return text.replace(/(?<=。) /g, "").replace(/(?<=\p{Script=Han}): /gu, "：");
}

// What a page is shown comes as one text, which the browser's own parser reads at once; elsewhere it comes as it is.

/** Plain data, from JSON or as it is. */
export function fromJson(given) {
  if (typeof given !== "string") return given;
  return JSON.parse(given, given.includes('"~":') ? revived : undefined);
}

/** Reads the values of a model by name, each text once: what didn't change stays the same object. */
export function reader(model) {
  const known = new Map();
  return (name) => {
    const given = model[name];
    if (!known.has(name) || known.get(name).given !== given) known.set(name, { given, value: fromJson(given) });
    return known.get(name).value;
  };
}

/** Shows a model's values by name, now and whenever they change, until its view is removed. */
export function attach(model, shows, view) {
  for (const [name, does] of Object.entries(shows)) {
    model.on(name, does);
    does();
  }
  model.on("remove", () => view.remove());
}

/** Numbers that JSON can't hold. */
function revived(key, value) {
  if (!value || typeof value !== "object" || !("~" in value)) return value;
  return { nan: NaN, inf: Infinity, "-inf": -Infinity }[value["~"]];
}

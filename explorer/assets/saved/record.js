// A record as it lies in a saved page: compressed, and what occurs more than once in a pool.

const POOLED = new Set(["codes", "data", "sentence"]);

/** The record in an element, as data. */
export async function readRecord(element) {
  const bytes = Uint8Array.from(atob(element.textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** Data with what lies in the pool in its places. */
export function unpooled(value, pool) {
  if (Array.isArray(value)) return value.map((part) => unpooled(part, pool));
  if (!value || typeof value !== "object") return value;
  const parts = Object.entries(value).map(([key, part]) => [key, POOLED.has(key) && typeof part === "number" ? pool[part] : unpooled(part, pool)]);
  return Object.fromEntries(parts);
}

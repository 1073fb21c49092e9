// Colours of numbers: codes on the fixed scale -> pixels.

/** Bytes behind a base64 text. */
export function bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text); // newer browsers: many times as fast
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

/** float32 numbers behind a base64 text. */
export function floats(text) {
  return new Float32Array(bytes(text).buffer);
}

const rgbCache = new Map();

function rgb(colours) {
  if (!rgbCache.has(colours)) {
    rgbCache.set(colours, colours.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16))));
  }
  return rgbCache.get(colours);
}

const drawn = new WeakMap();

/** A picture as a small canvas, one pixel a cell; made once for each theme. */
export function pixels(picture, look, theme) {
  let own = drawn.get(picture);
  if (!own) drawn.set(picture, (own = {}));
  if (!own[theme]) {
    const canvas = document.createElement("canvas");
    canvas.width = picture.columns;
    canvas.height = picture.rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(picture.columns, picture.rows);
    const codes = bytes(picture.codes);
    const table = picture.grey ? null : rgb(look.palettes[theme]);
    for (let i = 0; i < codes.length; i++) {
      const grey = theme === "dark" ? codes[i] : 255 - codes[i];
      const colour = table ? table[codes[i]] || table[0] : [grey, grey, grey];
      image.data.set([colour[0], colour[1], colour[2], 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
    own[theme] = canvas;
  }
  return own[theme];
}

/** The colour of one number on the fixed scale. */
export function colourOf(value, look, theme) {
  const { low, high, levels } = look.scale;
  const colours = look.palettes[theme];
  if (Number.isNaN(value)) return colours[2 * levels + 1];
  if (value === 0) return colours[0];
  if (!Number.isFinite(value)) return colours[2 * levels + (value > 0 ? 2 : 3)];
  const height = (Math.log10(Math.abs(value)) - low) / (high - low);
  const step = Math.min(Math.max(Math.floor(height * levels), 0), levels - 1);
  return colours[value > 0 ? 1 + step : 1 + levels + step];
}

/** A number as people write it; the same three digits as on the server. */
export function short(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  let text;
  if (value === 0) text = "0";
  else if (size >= 1e-4 && size < 1e5) text = String(Number(value.toPrecision(3)));
  else text = value.toExponential(2).replace("e+", "e");
  return text.replace(/-/g, "−");
}

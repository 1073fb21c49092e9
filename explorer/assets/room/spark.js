// A gradient over the steps in the space of a word, on the fixed scale.

const [WIDE, HIGH] = [104, 20];

/** Draw a row's gradient on a small canvas; not again if nothing changed. */
export function drawSpark(canvas, run, row, room) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const values = run.what("gradient");
  const ink = room.ink();
  if (canvas.run === run && canvas.ink === ink) return;
  Object.assign(canvas, { run, ink });
  if (canvas.width !== WIDE * ratio) Object.assign(canvas, { width: WIDE * ratio, height: HIGH * ratio });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, WIDE, HIGH);
  if (!values) return;
  const { low, high } = room.look.scale;
  const height = (value) => (Number.isFinite(value) ? HIGH - 2 - ((Math.min(Math.max(Math.log10(Math.abs(value)), low), high) - low) / (high - low)) * (HIGH - 4) : 1);
  context.strokeStyle = ink.line;
  context.beginPath();
  context.moveTo(0, HIGH - 0.5);
  context.lineTo(WIDE, HIGH - 0.5);
  context.stroke();
  context.strokeStyle = ink.backward;
  context.lineWidth = 1.5;
  context.beginPath();
  const span = Math.max(run.count - 1, 1);
  let last = null;
  for (let i = 0; i < run.count; i++) {
    const value = values[row * run.count + i];
    if (Number.isNaN(value)) continue;
    last = [1.5 + (i / span) * (WIDE - 3), height(value)];
    context.lineTo(...last);
  }
  context.stroke();
  if (!last) return;
  context.fillStyle = ink.backward;
  context.beginPath();
  context.arc(last[0], last[1], 1.8, 0, 2 * Math.PI);
  context.fill();
}

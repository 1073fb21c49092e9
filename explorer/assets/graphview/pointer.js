// The pointer on the graph: hover, click, drag, wheel, and two fingers.

import { t, translated } from "../texts.js";

/** Listen on the stage; `does` selects boxes, toggles folds, and says what is not the graph. */
export function listenToPointer(stage, canvas, does) {
  let grabbed = null;
  const touching = new Map();
  stage.addEventListener("pointerdown", (event) => {
    if (does.ignores(event.target)) return;
    grabbed = { x: event.clientX, y: event.clientY, moved: false };
    touching.set(event.pointerId, event);
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    const place = local(event);
    if (touching.size === 2 && touching.has(event.pointerId)) return pinch(event);
    if (grabbed && touching.has(event.pointerId)) {
      const [dx, dy] = [event.clientX - grabbed.x, event.clientY - grabbed.y];
      if (!grabbed.moved && Math.hypot(dx, dy) < 4) return;
      canvas.pan(dx, dy);
      Object.assign(grabbed, { x: event.clientX, y: event.clientY, moved: true });
    } else {
      const { box, cluster, sign } = canvas.at(place.x, place.y);
      canvas.hover(box ? box.id : null);
      stage.style.cursor = box || cluster ? "pointer" : "grab";
      stage.title = sign ? (box ? t("Open") : t("Fold")) : box ? `${box.name} · ${translated(box.operation)} · ${box.shape}` : "";
    }
  });
  for (const ending of ["pointerup", "pointercancel"]) {
    stage.addEventListener(ending, (event) => {
      const click = grabbed && !grabbed.moved && touching.size === 1 && ending === "pointerup";
      touching.delete(event.pointerId);
      if (!touching.size) grabbed = null;
      if (!click) return;
      const { box, cluster, sign } = canvas.at(local(event).x, local(event).y);
      if (box && sign) does.toggle(box.opens);
      else if (cluster && sign) does.toggle(cluster.id);
      else if (box) does.select(box.id);
    });
  }
  stage.addEventListener("dblclick", (event) => {
    const { box } = canvas.at(local(event).x, local(event).y);
    if (box && box.opens) does.toggle(box.opens);
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      if (event.target.tagName !== "CANVAS" || !does.zooms(event)) return;
      event.preventDefault();
      const place = local(event);
      canvas.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), place.x, place.y);
    },
    { passive: false },
  );

  function local(event) {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  function pinch(event) {
    const before = [...touching.values()];
    touching.set(event.pointerId, event);
    const after = [...touching.values()];
    const spread = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    const middle = local({ clientX: (after[0].clientX + after[1].clientX) / 2, clientY: (after[0].clientY + after[1].clientY) / 2 });
    grabbed.moved = true;
    if (spread(before) > 0) canvas.zoom(spread(after) / spread(before), middle.x, middle.y);
  }
}

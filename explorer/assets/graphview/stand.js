// The playhead where somebody else wants it: at a phase and a box, with another box looked at.

/** `stand` takes `{phase, box, selected, node, index}`, now or once the scene has come in which that is. */
export function createStand(store, track, inspector) {
  let wanted = null;

  /** The position of a phase and a box: its stop, the end of the phase without a box; `null` if there is none. */
  function positionOf({ phase, box }, scene) {
    if (phase === "Start") return 0;
    if (phase === "End") return scene.stops.length;
    const own = scene.phases.find(({ name }) => name === phase);
    if (!box) return own && own.count ? own.first + own.count - 1 : null;
    const stop = scene.stops.findIndex((each) => each.phase === phase && each.box === box);
    return stop < 0 ? null : stop + 1;
  }

  function again() {
    const { scene } = store.state;
    const position = wanted && scene ? positionOf(wanted, scene) : null;
    if (position === null) return;
    const { selected, index } = wanted;
    wanted = null;
    track.pause();
    const stop = position > 0 ? scene.stops[position - 1].box : null;
    store.set({ position, selected: scene.byId.has(selected) ? selected : stop });
    if (index) inspector.look(index);
  }

  return {
    again,
    stand(place) {
      wanted = place;
      again();
    },
  };
}

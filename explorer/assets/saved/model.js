// What a saved page has in place of a server.

/** What Panel is to a view on the served page: values that change, and messages both ways. */
export function createModel(values, hear) {
  const listeners = new Map();
  const tell = (name, given) => (listeners.get(name) || []).forEach((does) => does(given));
  return {
    ...values,
    on: (name, does) => listeners.set(name, [...(listeners.get(name) || []), does]),
    send_msg: hear,
    change(changes) {
      Object.assign(this, changes);
      Object.keys(changes).forEach((name) => tell(name));
    },
    tell: (message) => tell("msg:custom", message),
  };
}

/** The values that the graph view begins with. */
export const GRAPH = { page: true, scene: {}, figures: {}, status: {}, proof: {}, whatif: {}, plain: {}, place: {}, hides: [] };

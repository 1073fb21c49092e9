// Small helpers for building the page by hand.

/** An element with attributes and children; text is always text, never markup. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SHAPES = {
  back: "M15 5 L7 12 L15 19 Z M6 5 V19",
  forward: "M9 5 L17 12 L9 19 Z M18 5 V19",
  finish: "M4 5 L11 12 L4 19 Z M11 5 L18 12 L11 19 Z M20 5 V19",
  play: "M7 4 L19 12 L7 20 Z",
  pause: "M7 4 H10 V20 H7 Z M14 4 H17 V20 H14 Z",
  reset: "M5 12 A7 7 0 1 0 7.5 6.6 M8 3 L7 7.2 L11.2 8",
  fit: "M4 9 V4 H9 M15 4 H20 V9 M20 15 V20 H15 M9 20 H4 V15",
  table: "M4 5 H20 V19 H4 Z M4 10 H20 M10 5 V19",
  link: "M10 14 A4 4 0 0 1 10 8 L13 5 A4 4 0 0 1 19 11 L17.5 12.5 M14 10 A4 4 0 0 1 14 16 L11 19 A4 4 0 0 1 5 13 L6.5 11.5",
  disk: "M5 4 H16 L20 8 V20 H4 V5 Z M8 4 V9 H15 V4 M8 20 V14 H16 V20",
  save: "M12 4 V15 M7 10.5 L12 15.5 L17 10.5 M4 20 H20",
};

/** A line icon, drawn here so that nothing is fetched. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon and a name that screen readers and tests know it by. */
export function iconButton(name, label, onclick, extra = {}) {
  return make("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...extra }, icon(name));
}

/** The theme that the page is in: the one chosen, that of the notebook around it, or the system's. */
export function themeOf() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen) return chosen;
  const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
  if (jpThemeLight) return jpThemeLight === "true" ? "light" : "dark";
  if (vscodeThemeKind) return vscodeThemeKind.endsWith("light") ? "light" : "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Hear when that changes; returns a function that stops listening. */
export function listenToTheme(does) {
  const observer = new MutationObserver(() => does(themeOf()));
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind"] });
  return () => observer.disconnect();
}

/** `*word*` is stressed; everything else is text as it stands. */
export function stressed(text) {
  return text.split(/\*([^*]+)\*/).map((part, i) => (i % 2 ? make("b", {}, part) : part));
}

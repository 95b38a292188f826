/** Elements without a framework. Text is text always: nothing here parses markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element of HTML.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] `class`, `on…` listeners, `dataset`, or attributes;
 *   what is null, undefined or false is left out.
 * @param {...unknown} children nodes, texts, lists of them; what is null or false is left out.
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A text in which what stands between backticks is code. */
export const prose = (text) => text.split("`").map((part, at) => (at % 2 ? h("code", { class: "code" }, part) : part));

/** Put children in place of those that an element has. */
export function set(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Remember a value beyond this visit, if the browser lets us. */
export function keep(name, value) {
  try { localStorage.setItem(`chopmark.${name}`, value); } catch { /* a private window */ }
}

/** What was kept under a name, or null. */
export function kept(name) {
  try { return localStorage.getItem(`chopmark.${name}`); } catch { return null; }
}

let numbers = 0;
/** An id that nothing else on the page has. */
export function uid(prefix = "e") {
  numbers += 1;
  return `${prefix}${numbers}`;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "value" && "value" in element) element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false);
}

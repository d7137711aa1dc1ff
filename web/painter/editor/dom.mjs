/** Makes elements. Text is always inserted as text, never as HTML. */

/**
 * @param {Document} document
 * @returns {<K extends keyof HTMLElementTagNameMap>(tag: K, properties?: Record<string, unknown>,
 *   ...children: (Node | string)[]) => HTMLElementTagNameMap[K]}
 *   functions named `on…` become listeners; `class`, `role` and names with a dash become attributes
 */
export function maker(document) {
  return (tag, properties = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
      else if (name === "class" || name === "role" || name.includes("-")) element.setAttribute(name, String(value));
      else Object.assign(element, { [name]: value });
    }
    element.append(...children);
    return element;
  };
}

/**
 * @param {Document} document
 * @param {string} path  strokes on a field of 24 x 24
 */
export function icon(document, path) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" })) {
    drawing.setAttribute(name, value);
  }
  const stroke = document.createElementNS(space, "path");
  stroke.setAttribute("d", path);
  drawing.append(stroke);
  return drawing;
}

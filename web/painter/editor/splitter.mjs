/** The left edge of a pane, which a pointer or the arrow keys drag. */

const STEP = 16; // of an arrow key, in pixels

/**
 * @param {import("./page.mjs").Page["make"]} make
 * @param {string} name
 * @param {{least: number, most: number, width: () => number, set: (width: number) => void}} pane
 */
export function splitter(make, name, { least, most, width, set }) {
  /** Where a drag began, and the pane's width there. @type {{x: number, width: number} | null} */
  let begun = null;
  const change = (/** @type {number} */ wanted) => {
    const value = Math.round(Math.max(least, Math.min(most, wanted)));
    edge.setAttribute("aria-valuenow", String(value));
    set(value);
  };
  const edge = make("div", {
    class: "splitter",
    role: "separator",
    tabIndex: 0,
    "aria-orientation": "vertical",
    "aria-label": name,
    "aria-valuemin": least,
    "aria-valuemax": most,
    "aria-valuenow": width(),
    onpointerdown: (/** @type {PointerEvent} */ event) => {
      begun = { x: event.clientX, width: edge.parentElement?.clientWidth ?? width() };
      edge.setPointerCapture(event.pointerId);
    },
    onpointermove: (/** @type {PointerEvent} */ event) => {
      if (begun) change(begun.width + begun.x - event.clientX);
    },
    onlostpointercapture: () => (begun = null),
    onkeydown: (/** @type {KeyboardEvent} */ { key }) => {
      if (key === "ArrowLeft") change(width() + STEP);
      if (key === "ArrowRight") change(width() - STEP);
    },
  });
  return edge;
}

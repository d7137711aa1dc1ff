/** Brush and eraser: strokes that follow the pointer. */

import { capsule, snap, taper } from "../map/raster.mjs";

/** @typedef {import("../map/raster.mjs").Point} Point */
/** @typedef {import("./tool.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Tool} Tool */
/** @typedef {import("./tool.mjs").Touch} Touch */

/**
 * @param {string} label
 * @param {(studio: Studio) => number} idOf
 * @returns {Tool}
 */
export function stroke(label, idOf) {
  /** @type {Point | null} */
  let last = null;
  let lastSize = 0;
  /** @param {Studio} studio @param {Touch} touch */
  const draw = (studio, touch) => {
    const size = studio.pressure ? Math.max(1, studio.size * touch.pressure) : studio.size;
    const point = studio.pressure ? touch : snap(touch, size);
    const emit = studio.sheet.pen(idOf(studio));
    if (studio.pressure) taper(last ?? point, point, last ? lastSize : size, size, emit);
    else capsule(last ?? point, point, size, emit);
    [last, lastSize] = [{ x: point.x, y: point.y }, size];
  };
  return {
    isSized: true,
    down(studio, touch) {
      last = null;
      draw(studio, touch);
    },
    drag: draw,
    up(studio) {
      last = null;
      studio.sheet.commit(label);
    },
    cancel(studio) {
      last = null;
      studio.sheet.restore();
    },
  };
}

/** Pencil and eraser of pencil lines: soft lines in the drawing over the map. */

import { t } from "../map/words.mjs";

/** @typedef {import("../map/lines.mjs").Dot} Dot */
/** @typedef {import("./tool.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Tool} Tool */
/** @typedef {import("./tool.mjs").Touch} Touch */

/** @param {string} label @param {boolean} isErased @returns {Tool} */
function lines(label, isErased) {
  /** @type {Dot | null} */
  let last = null;
  /** @param {Studio} studio @param {Touch} touch */
  const draw = (studio, { x, y, pressure }) => {
    const size = studio.pressure ? Math.max(1, studio.size * pressure) : studio.size;
    const dot = { x, y, radius: size / 2 };
    studio.sheet.drawLine(last ?? dot, dot, isErased ? 1 : studio.pencil.strength, isErased);
    last = dot;
  };
  return {
    isSized: true,
    isPencil: true,
    down(studio, touch) {
      last = null;
      studio.pencil.show();
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

export function pencilTool() {
  return lines(t("pencil"), false);
}

export function pencilEraserTool() {
  return lines(t("erase pencil lines"), true);
}

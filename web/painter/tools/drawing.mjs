/** Pencil and eraser of pencil lines: soft lines in the drawing over the map. */

import { t } from "../map/words.mjs";
import { freehand } from "./strokes.mjs";

/** @typedef {import("./tool.mjs").Tool} Tool */

/** @param {string} label @param {boolean} isErased @returns {Tool} */
function lines(label, isErased) {
  const tool = freehand(label, {
    place: (_, { x, y }) => ({ x, y }),
    draw({ sheet, pencil }, a, b, from, to) {
      sheet.drawLine({ ...a, radius: from / 2 }, { ...b, radius: to / 2 }, isErased ? 1 : pencil.strength, isErased);
    },
  });
  return {
    ...tool,
    isPencil: true,
    down(studio, touch) {
      studio.pencil.show();
      tool.down(studio, touch);
    },
  };
}

export function pencilTool() {
  return lines(t("pencil"), false);
}

export function pencilEraserTool() {
  return lines(t("erase pencil lines"), true);
}

/** All tools by name. */

import { BACKGROUND } from "../map/palette.mjs";
import { t } from "../map/words.mjs";
import { pencilEraserTool, pencilTool } from "./drawing.mjs";
import { lassoTool, polygonTool } from "./outlines.mjs";
import { eyedropperTool, fillAllTool, fillTool } from "./presses.mjs";
import { ellipseTool, lineTool, rectangleTool } from "./shapes.mjs";
import { stroke } from "./strokes.mjs";

/** @returns {Record<string, import("./tool.mjs").Tool>} new tools */
export function makeTools() {
  return {
    brush: stroke(t("brush"), (studio) => studio.classId),
    eraser: stroke(t("eraser"), () => BACKGROUND),
    line: lineTool(),
    lasso: lassoTool(),
    rectangle: rectangleTool(),
    ellipse: ellipseTool(),
    polygon: polygonTool(),
    fill: fillTool(),
    fillAll: fillAllTool(),
    eyedropper: eyedropperTool(),
    pencil: pencilTool(),
    pencilEraser: pencilEraserTool(),
  };
}

/** Says so when a tool paints on a class that is protected. */

import { CLASSES } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./tool.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Touch} Touch */

/** Tools that paint where they are pressed. The others say it themselves, or paint nothing. */
const PAINTING = ["brush", "eraser", "line", "lasso", "rectangle", "ellipse", "polygon"];

export class Protection {
  constructor() {
    /** Whether it was said during this press. */
    this.isSaid = false;
  }

  /** A press begins. */
  reset() {
    this.isSaid = false;
  }

  /**
   * @param {string} tool
   * @param {Studio} studio
   * @param {Touch} touch
   */
  check(tool, { sheet, say }, touch) {
    if (this.isSaid || !PAINTING.includes(tool)) return;
    const [x, y] = [Math.floor(touch.x), Math.floor(touch.y)];
    if (x < 0 || y < 0 || x >= sheet.width || y >= sheet.height) return;
    const id = sheet.base[y * sheet.width + x];
    if (sheet.paintable[id]) return;
    this.isSaid = true;
    say(t("{title} is protected.", { title: t(CLASSES[id].title) }));
  }
}

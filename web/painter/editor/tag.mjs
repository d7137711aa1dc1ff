/** The name of the class below the pointer, beside it. */

import { CLASSES } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */
/** @typedef {import("../map/raster.mjs").Point} Point */

const AWAY = 14; // from the pointer, in pixels

export class Tag {
  /** @param {import("./page.mjs").Page} page */
  constructor({ make, canvas }) {
    this.canvas = canvas;
    this.root = make("div", { class: "tag", "aria-hidden": "true" });
    this.root.hidden = true;
  }

  /**
   * @param {Sheet} sheet
   * @param {Point | null} at  of the map; null hides it
   * @param {Point} place  of the canvas, in pixels
   */
  show({ width, height, map }, at, place) {
    const [x, y] = [Math.floor(at?.x ?? -1), Math.floor(at?.y ?? -1)];
    const isIn = x >= 0 && y >= 0 && x < width && y < height;
    this.root.hidden = !isIn;
    if (!isIn) return;
    const text = t(CLASSES[map.ids[y * width + x]].title);
    if (this.root.textContent !== text) this.root.textContent = text;
    // On the side of the pointer where the canvas goes on.
    const isRight = place.x > this.canvas.clientWidth - 120;
    const isLow = place.y > this.canvas.clientHeight - 50;
    this.root.style.left = `${place.x + (isRight ? -AWAY : AWAY)}px`;
    this.root.style.top = `${place.y + (isLow ? -AWAY : AWAY)}px`;
    this.root.style.translate = `${isRight ? "-100%" : "0"} ${isLow ? "-100%" : "0"}`;
  }
}

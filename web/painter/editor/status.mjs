/** The line below the canvas: the sheet's size, the zoom, and the pixel and class under the pointer. */

import { CLASSES } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */
/** @typedef {import("../map/raster.mjs").Point} Point */

export class StatusLine {
  /** @param {import("./page.mjs").Page} page */
  constructor({ make }) {
    this.where = make("span", { class: "where" });
    const saved = make("span", { class: "saved" }, t("Saved in the workflow after every stroke"));
    this.root = make("footer", { class: "bottom" }, this.where, saved);
  }

  /** @param {Sheet} sheet @param {number} zoom @param {Point | null} at */
  show({ width, height, map }, zoom, at) {
    const [x, y] = [Math.floor(at?.x ?? -1), Math.floor(at?.y ?? -1)];
    const isIn = x >= 0 && y >= 0 && x < width && y < height;
    const under = isIn ? `${x}, ${y}: ${t(CLASSES[map.ids[y * width + x]].title)}` : "";
    const parts = [`${width} × ${height}`, `${Math.round(zoom * 100)} %`, under];
    const text = parts.filter(Boolean).join("   ·   ");
    if (this.where.textContent !== text) this.where.textContent = text;
  }
}

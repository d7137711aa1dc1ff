/** The rim of the canvas, for fingers and narrow windows: the chosen class, and the size of the brush. */

import { showClass } from "./swatch.mjs";
import { CLASSES } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./page.mjs").Page} Page */

const MOST = 256;

export class Rim {
  /**
   * @param {Page} page
   * @param {import("../tools/brush.mjs").Brush} brush
   * @param {import("../tools/classes.mjs").Classes} classes
   * @param {import("./display.mjs").Display} display
   * @param {(button: HTMLElement) => void} pick  offers the classes
   */
  constructor({ make }, brush, classes, display, pick) {
    this.brush = brush;
    this.classes = classes;
    this.display = display;
    this.swatch = make("span", { class: "swatch" });
    this.chosen = make("button", { type: "button", class: "sign", onclick: () => pick(this.chosen) }, this.swatch);
    this.size = make("input", {
      type: "range",
      min: 0,
      max: 100,
      "aria-label": t("Brush size at the canvas' edge"),
      "aria-orientation": "vertical",
      oninput: () => brush.setSize(sizeOf(Number(this.size.value))),
    });
    this.number = make("output", {});
    this.root = make("div", { class: "rim" }, this.chosen, this.size, this.number);
  }

  refresh() {
    const id = this.classes.chosen;
    showClass(this.swatch, id, this.display.distinct);
    const name = t("Choose a class; now {title}", { title: t(CLASSES[id].title) });
    this.chosen.setAttribute("aria-label", name);
    this.chosen.title = name;
    if (sizeOf(Number(this.size.value)) !== this.brush.size) this.size.value = String(placeOf(this.brush.size));
    this.number.textContent = String(this.brush.size);
  }
}

/** Small sizes have more room than large ones. @param {number} place  0 to 100 */
function sizeOf(place) {
  return Math.round(MOST ** (place / 100));
}

/** @param {number} size */
function placeOf(size) {
  return Math.round((100 * Math.log(size)) / Math.log(MOST));
}

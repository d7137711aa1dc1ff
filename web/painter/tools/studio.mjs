/** What the tools paint with (`Studio` in tool.mjs), made of the sheet, the brush and the classes. */

import { STRINGS } from "./steady.mjs";

/** @typedef {import("./brush.mjs").Brush} Brush */
/** @typedef {import("./classes.mjs").Classes} Classes */
/** @typedef {import("./pencil.mjs").Pencil} Pencil */
/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */

export class Studio {
  /**
   * @param {Sheet} sheet
   * @param {Brush} brush
   * @param {Classes} classes
   * @param {Pencil} pencil
   * @param {() => number} zoom  of the view
   * @param {(sentence: string) => void} say
   * @param {() => import("../map/edges.mjs").Edges | null} edges  to follow
   */
  constructor(sheet, brush, classes, pencil, zoom, say, edges) {
    this.sheet = sheet;
    this.brush = brush;
    this.classes = classes;
    this.pencil = pencil;
    this.zoom = zoom;
    this.say = say;
    this.findEdges = edges;
    /** Whether the press comes from a device that measures pressure. */
    this.hasPressure = false;
  }

  get classId() {
    return this.classes.chosen;
  }

  get size() {
    return this.brush.size;
  }

  get pressure() {
    return this.hasPressure && this.brush.pressure;
  }

  /** Of the stabiliser, in pixels of the map. */
  get string() {
    return STRINGS[this.brush.steady] / this.zoom();
  }

  get edges() {
    return this.findEdges();
  }

  get reach() {
    return Math.max(1.5, 8 / this.zoom());
  }

  /** @param {number} id */
  choose(id) {
    this.classes.choose(id);
  }
}

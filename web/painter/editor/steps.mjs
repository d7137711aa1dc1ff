/** Whole steps of the painting: undo, redo, and another map or drawing in its place. */

import { mirrorPainting, withMap } from "../map/painting.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("../map/painting.mjs").Painting} Painting */
/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */
/** @typedef {import("../tools/pen.mjs").Pen} Pen */

export class Steps {
  /**
   * @param {Sheet} sheet
   * @param {Pen} pen
   * @param {(sentence: string) => void} say
   * @param {{onResize: () => void, onReplace: () => void}} listeners
   */
  constructor(sheet, pen, say, { onResize, onReplace }) {
    this.sheet = sheet;
    this.pen = pen;
    this.say = say;
    this.onResize = onResize;
    this.onReplace = onReplace;
  }

  get canUndo() {
    return this.sheet.history.canUndo;
  }

  get canRedo() {
    return this.sheet.history.canRedo;
  }

  /** Takes back the last corner of a polygon, else the stroke in progress, else the last step. */
  undo() {
    if (this.pen.back()) return;
    const { hasBegun } = this.pen;
    this.pen.giveUp();
    if (hasBegun) return;
    const label = this.sheet.undo();
    this.say(label ? t("Undo: {label}", { label }) : t("Nothing to undo"));
  }

  redo() {
    if (this.pen.forth()) return;
    this.pen.settle();
    const label = this.sheet.redo();
    this.say(label ? t("Redo: {label}", { label }) : t("Nothing to redo"));
  }

  flip() {
    this.remake(mirrorPainting, t("mirror the face"));
  }

  /** @param {(map: Painting) => Painting} make  another painting from the current one @param {string} label */
  remake(make, label) {
    this.pen.settle();
    this.replace(make(this.sheet.map), label);
  }

  /** Gives map or drawing back to its input. @param {Partial<Painting>} given @param {string} label */
  giveBack(given, label) {
    this.remake((painting) => ({ ...painting, ...given }), label);
  }

  /** Another map under the same drawing. @param {LabelMap & Partial<Painting>} map @param {string} label */
  replaceMap(map, label) {
    this.remake((before) => withMap(before, map), label);
  }

  /** @param {LabelMap & Partial<Painting>} map @param {string} label */
  replace(map, label) {
    this.pen.settle();
    const { width, height } = this.sheet;
    this.sheet.replace(map, label);
    if (width !== this.sheet.width || height !== this.sheet.height) this.onResize();
    this.onReplace();
  }
}

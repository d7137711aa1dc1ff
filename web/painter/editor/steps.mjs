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
    /** Whether the editor has closed: answers that come later change nothing. */
    this.isClosed = false;
  }

  /**
   * The painting as it is now, with the stroke in progress.
   * @returns {() => boolean} whether it is unchanged since; a late answer must not replace a newer step
   */
  moment() {
    this.pen.settle();
    const { history } = this.sheet;
    const { last } = history;
    return () => !this.pen.hasBegun && history.last === last;
  }

  /**
   * Waits for an answer to a question about the painting as it is now. Null if nobody wants it any more: the editor or
   * the dialog was closed, or there was a newer step, which is said.
   * @template Answer
   * @param {() => Promise<Answer>} ask @param {() => HTMLDialogElement | undefined} [dialog]
   * @returns {Promise<{answer: Answer} | null>} an error of `ask` is thrown on the same condition
   */
  async waitFor(ask, dialog = () => undefined) {
    const isStill = this.moment();
    const asking = dialog();
    const wasOpen = asking?.open;
    const isWanted = () => !this.isClosed && (!wasOpen || asking?.open === true);
    try {
      const answer = await ask();
      if (isWanted() && isStill()) return { answer };
      if (isWanted()) this.say(t("The painting has changed since then, so this was not applied. Choose it again."));
    } catch (error) {
      if (isWanted()) throw error;
    }
    return null;
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
    if (this.isClosed) return;
    this.pen.settle();
    const { width, height } = this.sheet;
    this.sheet.replace(map, label);
    if (width !== this.sheet.width || height !== this.sheet.height) this.onResize();
    this.onReplace();
  }
}

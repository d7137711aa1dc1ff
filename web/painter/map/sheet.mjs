/** The sheet to paint on: map and pencil drawing, the classes that may be painted over, the mirror, the history. */

import { Extent } from "./extent.mjs";
import { History, applyStep, changedRuns, exchange } from "./history.mjs";
import { counts } from "./labelmap.mjs";
import { softSegment } from "./lines.mjs";
import { asPainting } from "./painting.mjs";
import { CLASSES, FLIPPED } from "./palette.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("./painting.mjs").Painting} Painting */
/** @typedef {import("./labelmap.mjs").Box} Box */
/** @typedef {import("./lines.mjs").Dot} Dot */

/**
 * How a class divides into two along a line: `ids`, the one to the left of the column or above the row `at` first.
 * @typedef {{ids: readonly [number, number], axis: "x" | "y", at: number}} Split
 */

/**
 * Between two calls of `commit` the ids are provisional: `restore` takes the changes back, so that a tool can draw
 * its shape again with every move of the pointer.
 */
export class Sheet {
  /** @param {LabelMap & Partial<Painting>} map @param {History} history */
  constructor(map, history = new History()) {
    this.map = asPainting(map);
    this.history = history;
    /** Which classes may be painted over, by id. */
    this.paintable = new Uint8Array(CLASSES.length).fill(1);
    /** The mirror's place: the sum of a column's index and its mirror image's, plus 1. Null if there is no mirror. */
    this.mirror = /** @type {number | null} */ (null);
    /** How the classes divide that are painted as one; null if none do. @type {((id: number) => Split | null) | null} */
    this.split = null;
    /** Called after each step, undo and redo. */
    this.onStep = () => {};
    /** The ids and the pencil drawing after the last step, and the number of pixels of each class. */
    this.base = map.ids;
    this.baseLines = /** @type {Uint8Array | null} */ (null);
    this.counts = /** @type {Uint32Array} */ (new Uint32Array(CLASSES.length));
    /** The area that changed since the last step, and the area that the view must draw again. */
    this.touched = new Extent();
    this.undrawn = new Extent();
    /** The same two areas of the pencil drawing. */
    this.touchedLines = new Extent();
    this.undrawnLines = new Extent();
    this.#begin();
  }

  #begin() {
    const { ids, pencil, width, height } = this.map;
    this.base = ids.slice();
    this.baseLines = pencil?.slice() ?? null;
    this.counts = counts(this.map);
    this.touched.clear();
    this.touchedLines.clear();
    this.undrawn.add(0, 0, width, height);
    this.undrawnLines.add(0, 0, width, height);
  }

  get width() {
    return this.map.width;
  }

  get height() {
    return this.map.height;
  }

  /**
   * Paints a run, and its mirror image if there is a mirror. A class that divides is painted as two.
   * @param {number} id
   * @returns {import("./raster.mjs").Emit}
   */
  pen(id) {
    const split = this.split?.(id);
    if (!split) return this.#single(id);
    const { axis, at } = split;
    const [first, second] = split.ids.map((one) => this.#single(one));
    return (y, from, to) => {
      if (axis === "y") return y < at ? first(y, from, to) : second(y, from, to);
      if (from < at) first(y, from, Math.min(to, at));
      if (to > at) second(y, Math.max(from, at), to);
    };
  }

  /** @param {number} id @returns {import("./raster.mjs").Emit} */
  #single(id) {
    return (y, from, to) => {
      if (this.mirror !== null) this.#put(FLIPPED[id], y, this.mirror - to, this.mirror - from);
      this.#put(id, y, from, to);
    };
  }

  /** @param {number} id @param {number} y @param {number} from @param {number} to */
  #put(id, y, from, to) {
    const [first, last] = [Math.max(0, from), Math.min(this.width, to)];
    if (y < 0 || y >= this.height || last <= first) return;
    const row = y * this.width;
    for (let i = row + first; i < row + last; i++) {
      // The class before the stroke decides, so that a stroke can cross itself.
      if (this.paintable[this.base[i]]) this.map.ids[i] = id;
    }
    this.#touch(first, y, last, y + 1);
  }

  /** @param {number} left @param {number} top @param {number} right @param {number} bottom */
  #touch(left, top, right, bottom) {
    this.touched.add(left, top, right, bottom);
    this.undrawn.add(left, top, right, bottom);
  }

  /**
   * Draws, or erases, a segment of a pencil line, and its mirror image. Provisional, like a stroke: a line that crosses
   * itself does not become stronger, one that crosses an earlier line does.
   * @param {Dot} a @param {Dot} b @param {number} strength  0 to 1 @param {boolean} isErased
   */
  drawLine(a, b, strength, isErased) {
    const { mirror } = this;
    this.#segment(a, b, strength, isErased);
    if (mirror !== null) this.#segment({ ...a, x: mirror - a.x }, { ...b, x: mirror - b.x }, strength, isErased);
  }

  /** @param {Dot} a @param {Dot} b @param {number} strength @param {boolean} isErased */
  #segment(a, b, strength, isErased) {
    const { width, height } = this;
    const lines = (this.map.pencil ??= new Uint8Array(width * height));
    const base = (this.baseLines ??= new Uint8Array(width * height));
    softSegment(a, b, this, (i, cover) => {
      const share = cover * strength;
      if (isErased) lines[i] = Math.min(lines[i], Math.round(base[i] * (1 - share)));
      else lines[i] = Math.max(lines[i], Math.round(base[i] + (255 - base[i]) * share));
    });
    const reach = Math.max(a.radius, b.radius) + 0.5;
    const [left, right] = [Math.floor(Math.min(a.x, b.x) - reach), Math.ceil(Math.max(a.x, b.x) + reach)];
    const [top, bottom] = [Math.floor(Math.min(a.y, b.y) - reach), Math.ceil(Math.max(a.y, b.y) + reach)];
    const box = [Math.max(0, left), Math.max(0, top), Math.min(width, right), Math.min(height, bottom)];
    if (box[2] > box[0] && box[3] > box[1]) this.#touchLines(box[0], box[1], box[2], box[3]);
  }

  /** @param {number} left @param {number} top @param {number} right @param {number} bottom */
  #touchLines(left, top, right, bottom) {
    this.touchedLines.add(left, top, right, bottom);
    this.undrawnLines.add(left, top, right, bottom);
  }

  /**
   * Replaces ids within a box where their classes may be painted over. Provisional, like a stroke.
   * @param {Uint8Array} ids
   * @param {Box} box  the other ids are equal
   */
  lay(ids, box) {
    for (let y = box.y; y < box.y + box.height; y++) {
      for (let i = y * this.width + box.x, end = i + box.width; i < end; i++) {
        if (this.paintable[this.base[i]]) this.map.ids[i] = ids[i];
      }
    }
    this.#touch(box.x, box.y, box.x + box.width, box.y + box.height);
  }

  /**
   * The same for the runs of a region, or one id for all of them. Never mirrored.
   * @param {import("./labelmap.mjs").Region} region @param {Uint8Array | number} ids
   */
  layRegion({ runs, box }, ids) {
    const { paintable, base, map } = this;
    for (let k = 0; k < runs.length; k += 2) {
      for (let i = runs[k]; i < runs[k + 1]; i++) {
        if (paintable[base[i]]) map.ids[i] = typeof ids === "number" ? ids : ids[i];
      }
    }
    this.#touch(box.x, box.y, box.x + box.width, box.y + box.height);
  }

  /** Takes back all changes since the last step. */
  restore() {
    const [box, lineBox] = [this.touched.take(), this.touchedLines.take()];
    if (box) {
      this.#copy(this.base, this.map.ids, box);
      this.undrawn.add(box.x, box.y, box.x + box.width, box.y + box.height);
    }
    if (lineBox && this.baseLines && this.map.pencil) {
      this.#copy(this.baseLines, this.map.pencil, lineBox);
      this.undrawnLines.add(lineBox.x, lineBox.y, lineBox.x + lineBox.width, lineBox.y + lineBox.height);
    }
  }

  /**
   * Makes a step of all changes since the last one.
   * @param {string} label
   * @returns {boolean} whether anything changed
   */
  commit(label) {
    const { map } = this;
    const runs = this.#commitPlane(this.touched, this.base, map.ids);
    const lines = this.#commitPlane(this.touchedLines, this.baseLines, map.pencil);
    if (!runs.length && !lines.length) return false;
    /** @type {import("./history.mjs").Change} */
    const step = { label, runs };
    if (lines.length) step.lines = lines;
    if (runs.length && !map.isPainted) step.paints = map.isPainted = true;
    if (lines.length && !map.isDrawn) step.draws = map.isDrawn = true;
    this.history.add(step);
    for (let i = 0; i < runs.length; i += 4) {
      const [, length, before, after] = runs.subarray(i, i + 4);
      this.counts[before] -= length;
      this.counts[after] += length;
    }
    this.onStep();
    return true;
  }

  /**
   * The runs of a plane that changed since the last step; from here on they are its base.
   * @param {Extent} touched @param {Uint8Array | null} base @param {Uint8Array | null} plane
   */
  #commitPlane(touched, base, plane) {
    const box = touched.take();
    if (!box || !base || !plane) return new Uint32Array();
    const runs = changedRuns(base, plane, this.width, box);
    this.#copy(plane, base, box);
    return runs;
  }

  /**
   * Replaces map and drawing by others of any size, as one step.
   * @param {LabelMap & Partial<Painting>} map
   * @param {string} label
   */
  replace(map, label) {
    this.restore();
    const after = asPainting(map);
    const isSameSize = after.width === this.width && after.height === this.height;
    // Only what is painted is painted over: an exchange also keeps whether the inputs decide map and drawing.
    const isOwn = (/** @type {Painting} */ one) => one.isPainted && (one.isDrawn || !one.pencil);
    const isSameKind = isOwn(after) && isOwn(this.map) && after.isDrawn === this.map.isDrawn;
    if (isSameSize && isSameKind) return this.#overwrite(after, label);
    this.history.add(exchange(this.map, after, label));
    this.map = { ...after, ids: after.ids.slice(), pencil: after.pencil?.slice() ?? null };
    this.#begin();
    this.onStep();
    return true;
  }

  /** @param {Painting} after  of the same size @param {string} label */
  #overwrite({ ids, pencil, width, height }, label) {
    this.map.ids.set(ids);
    this.#touch(0, 0, width, height);
    if (pencil || this.map.pencil) {
      const lines = (this.map.pencil ??= new Uint8Array(width * height));
      this.baseLines ??= new Uint8Array(width * height);
      if (pencil) lines.set(pencil);
      else lines.fill(0);
      this.#touchLines(0, 0, width, height);
    }
    return this.commit(label);
  }

  /** @returns {string | null} the label of the step */
  undo() {
    return this.#step(this.history.back(), false);
  }

  /** Undoes the last step and forgets it. @returns {boolean} whether there was one */
  drop() {
    const label = this.undo();
    this.history.forget();
    return label !== null;
  }

  /** @returns {string | null} the label of the step */
  redo() {
    return this.#step(this.history.forth(), true);
  }

  /** @param {import("./history.mjs").Step | null} step @param {boolean} forward */
  #step(step, forward) {
    this.restore();
    if (!step) return null;
    this.map = applyStep(this.map, step, forward);
    this.#begin();
    this.onStep();
    return step.label;
  }

  /** @param {Uint8Array} from @param {Uint8Array} to @param {Box} box */
  #copy(from, to, box) {
    for (let y = box.y; y < box.y + box.height; y++) {
      const start = y * this.width + box.x;
      to.set(from.subarray(start, start + box.width), start);
    }
  }
}

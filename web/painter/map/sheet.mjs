/** The sheet to paint on: its ids, the classes that may be painted over, the mirror, and the history. */

import { History, change, exchange, applyStep } from "./history.mjs";
import { counts } from "./labelmap.mjs";
import { CLASSES, FLIPPED } from "./palette.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("./labelmap.mjs").Box} Box */

/**
 * Between two calls of `commit` the ids are provisional: `restore` takes the changes back, so that a tool can draw
 * its shape again with every move of the pointer.
 */
export class Sheet {
  /** @param {LabelMap} map @param {History} history */
  constructor(map, history = new History()) {
    this.map = map;
    this.history = history;
    /** Which classes may be painted over, by id. */
    this.paintable = new Uint8Array(CLASSES.length).fill(1);
    /** The mirror's place: the sum of a column's index and its mirror image's, plus 1. Null if there is no mirror. */
    this.mirror = /** @type {number | null} */ (null);
    /** Called after each step, undo and redo. */
    this.onStep = () => {};
    /** The ids after the last step, and the number of pixels of each class. */
    this.base = map.ids;
    this.counts = /** @type {Uint32Array} */ (new Uint32Array(CLASSES.length));
    /** The area that changed since the last step, and the area that the view must draw again. */
    this.touched = new Extent();
    this.undrawn = new Extent();
    this.#begin();
  }

  #begin() {
    this.base = this.map.ids.slice();
    this.counts = counts(this.map);
    this.touched.clear();
    this.undrawn.add(0, 0, this.map.width, this.map.height);
  }

  get width() {
    return this.map.width;
  }

  get height() {
    return this.map.height;
  }

  /**
   * Paints a run, and its mirror image if there is a mirror.
   * @param {number} id
   * @returns {import("./raster.mjs").Emit}
   */
  pen(id) {
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

  /** Takes back all changes since the last step. */
  restore() {
    const box = this.touched.take();
    if (!box) return;
    this.#copy(this.base, this.map.ids, box);
    this.undrawn.add(box.x, box.y, box.x + box.width, box.y + box.height);
  }

  /**
   * Makes a step of all changes since the last one.
   * @param {string} label
   * @returns {boolean} whether anything changed
   */
  commit(label) {
    const box = this.touched.take();
    const step = box && change(this.base, this.map.ids, this.width, box, label);
    if (!box || !step) return false;
    this.history.add(step);
    this.#copy(this.map.ids, this.base, box);
    for (let i = 0; i < step.runs.length; i += 4) {
      const [, length, before, after] = step.runs.subarray(i, i + 4);
      this.counts[before] -= length;
      this.counts[after] += length;
    }
    this.onStep();
    return true;
  }

  /**
   * Replaces the map by another of any size, as one step.
   * @param {LabelMap} map
   * @param {string} label
   */
  replace(map, label) {
    this.restore();
    if (map.width === this.width && map.height === this.height) {
      this.map.ids.set(map.ids);
      this.#touch(0, 0, map.width, map.height);
      return this.commit(label);
    }
    this.history.add(exchange(this.map, map, label));
    this.map = { ...map, ids: map.ids.slice() };
    this.#begin();
    this.onStep();
    return true;
  }

  /** @returns {string | null} the label of the step */
  undo() {
    return this.#step(this.history.back(), false);
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

/** A box that grows. */
class Extent {
  left = Infinity;
  top = Infinity;
  right = -Infinity;
  bottom = -Infinity;

  clear() {
    [this.left, this.top, this.right, this.bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  }

  /** @param {number} left @param {number} top @param {number} right @param {number} bottom */
  add(left, top, right, bottom) {
    this.left = Math.min(this.left, left);
    this.top = Math.min(this.top, top);
    this.right = Math.max(this.right, right);
    this.bottom = Math.max(this.bottom, bottom);
  }

  /** @returns {Box | null} what was added since the last call */
  take() {
    const { left, top, right, bottom } = this;
    this.clear();
    return right > left ? { x: left, y: top, width: right - left, height: bottom - top } : null;
  }
}

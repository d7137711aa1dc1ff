/** The sheet that is painted on: the ids, what may be painted over, the mirror, and every step back. */

import { History, change, exchange, stepped } from "./history.mjs";
import { counts } from "./labelmap.mjs";
import { CLASSES, FLIPPED } from "./palette.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("./labelmap.mjs").Box} Box */

/**
 * Between `commit`s the ids are provisional: `restore` takes all of them back, so that a shape may be drawn
 * anew with every move of the pointer.
 */
export class Sheet {
  /** @param {LabelMap} map @param {History} history */
  constructor(map, history = new History()) {
    this.map = map;
    this.history = history;
    /** Which classes may be painted over, by id. */
    this.open = new Uint8Array(CLASSES.length).fill(1);
    /** Where the mirror stands, as the sum of a column's number and its image's, plus 1; null without one. */
    this.mirror = /** @type {number | null} */ (null);
    /** Called after each finished step. */
    this.onStep = () => {};
    /** The ids at the last step, and how many pixels of each class they are. */
    this.base = map.ids;
    this.counts = /** @type {Uint32Array} */ (new Uint32Array(CLASSES.length));
    /** What was painted since, and what the view has not shown yet. */
    this.touched = new Extent();
    this.unseen = new Extent();
    this.#begin();
  }

  #begin() {
    this.base = this.map.ids.slice();
    this.counts = counts(this.map);
    this.touched.clear();
    this.unseen.add(0, 0, this.map.width, this.map.height);
  }

  get width() {
    return this.map.width;
  }

  get height() {
    return this.map.height;
  }

  /**
   * Paints a run, and its image if there is a mirror.
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
      // By what was there before the stroke: it may cross itself.
      if (this.open[this.base[i]]) this.map.ids[i] = id;
    }
    this.#touch(first, y, last, y + 1);
  }

  /** @param {number} left @param {number} top @param {number} right @param {number} bottom */
  #touch(left, top, right, bottom) {
    this.touched.add(left, top, right, bottom);
    this.unseen.add(left, top, right, bottom);
  }

  /**
   * Puts other ids of the same size in place, as far as the classes are open; provisional as a stroke is.
   * @param {Uint8Array} ids
   * @param {Box} box  outside of it nothing differs
   */
  lay(ids, box) {
    for (let y = box.y; y < box.y + box.height; y++) {
      for (let i = y * this.width + box.x, end = i + box.width; i < end; i++) {
        if (this.open[this.base[i]]) this.map.ids[i] = ids[i];
      }
    }
    this.#touch(box.x, box.y, box.x + box.width, box.y + box.height);
  }

  /** Takes back what was painted since the last step. */
  restore() {
    const box = this.touched.take();
    if (!box) return;
    this.#copy(this.base, this.map.ids, box);
    this.unseen.add(box.x, box.y, box.x + box.width, box.y + box.height);
  }

  /**
   * Makes what was painted a step.
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
   * Another map of any size, as one step.
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

  /** @returns {string | null} what was undone */
  undo() {
    return this.#step(this.history.back(), false);
  }

  /** @returns {string | null} what was done again */
  redo() {
    return this.#step(this.history.forth(), true);
  }

  /** @param {import("./history.mjs").Step | null} step @param {boolean} forward */
  #step(step, forward) {
    this.restore();
    if (!step) return null;
    this.map = stepped(this.map, step, forward);
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

  /** @returns {Box | null} what was added since it was last asked */
  take() {
    const { left, top, right, bottom } = this;
    this.clear();
    return right > left ? { x: left, y: top, width: right - left, height: bottom - top } : null;
  }
}

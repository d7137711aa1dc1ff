/** What is set for single classes: protected, hidden, shown alone, alone painted over. */

import { CLASSES } from "../map/palette.mjs";

/** @typedef {"locked" | "hidden" | "only" | "solo"} Mark */

export class Marks {
  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Set<number>} */
    this.locked = new Set();
    /** @type {Set<number>} */
    this.hidden = new Set();
    /** @type {Set<number>} */
    this.only = new Set();
    this.solo = /** @type {number | null} */ (null);
  }

  /** @param {Mark} mark @param {number} id */
  has(mark, id) {
    return mark === "solo" ? this.solo === id : this[mark].has(id);
  }

  /** @param {Mark} mark @param {number} id */
  toggle(mark, id) {
    if (mark === "solo") this.solo = this.solo === id ? null : id;
    else if (!this[mark].delete(id)) this[mark].add(id);
    this.changed();
  }

  clear() {
    for (const ids of [this.locked, this.hidden, this.only]) ids.clear();
    this.solo = null;
    this.changed();
  }

  /** @returns {number[]} by class, 1 if it may be painted over; what is hidden may */
  open() {
    return CLASSES.map(({ id }) => (!this.locked.has(id) && (!this.only.size || this.only.has(id)) ? 1 : 0));
  }
}

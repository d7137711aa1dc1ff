/** The class to paint with, and the marks of each class: protected, hidden, shown alone, the only one to paint over. */

import { pairOf } from "../map/pairs.mjs";
import { CLASSES, GROUPS } from "../map/palette.mjs";

/** @typedef {"locked" | "hidden" | "only" | "solo"} Mark */
/** @typedef {{locked: number[], hidden: number[], only: number[], solo: number | null}} Marks */

export class Classes {
  /**
   * @param {number} chosen
   * @param {() => void} onChoose
   * @param {() => void} onMark
   */
  constructor(chosen, onChoose, onMark) {
    this.chosen = chosen;
    /** The class that was chosen before. */
    this.previous = 1;
    this.onChoose = onChoose;
    this.onMark = onMark;
    /** @type {Set<number>} */
    this.locked = new Set();
    /** @type {Set<number>} */
    this.hidden = new Set();
    /** @type {Set<number>} */
    this.only = new Set();
    this.solo = /** @type {number | null} */ (null);
    /** Whether the two classes of a pair are painted as one. */
    this.paired = false;
  }

  /** The other class that is painted with the chosen one, or null. */
  get partner() {
    const ids = this.paired ? pairOf(this.chosen)?.ids : undefined;
    return ids ? (ids.find((id) => id !== this.chosen) ?? null) : null;
  }

  togglePaired() {
    this.paired = !this.paired;
    this.onChoose();
  }

  /** @param {number} id */
  choose(id) {
    if (id !== this.chosen) this.previous = this.chosen;
    this.chosen = id;
    this.onChoose();
  }

  /** Chooses another class in the order of the list. @param {number} by */
  step(by) {
    const order = GROUPS.flatMap(({ ids }) => ids);
    this.choose(order[(order.indexOf(this.chosen) + by + order.length) % order.length]);
  }

  /** @param {Mark} mark @param {number} id */
  has(mark, id = this.chosen) {
    return mark === "solo" ? this.solo === id : this[mark].has(id);
  }

  /** @param {Mark} mark @param {number} id */
  toggle(mark, id = this.chosen) {
    if (mark === "solo") this.solo = this.solo === id ? null : id;
    else if (!this[mark].delete(id)) this[mark].add(id);
    this.onMark();
  }

  /** @returns {Marks} */
  get marks() {
    const { locked, hidden, only, solo } = this;
    return { locked: [...locked], hidden: [...hidden], only: [...only], solo };
  }

  /** Sets the marks of an earlier visit; what is not a class is dropped. @param {Partial<Marks>} marks */
  setMarks({ locked, hidden, only, solo }) {
    const isClass = (/** @type {unknown} */ id) => CLASSES.some((one) => one.id === id);
    const stored = (/** @type {unknown} */ ids) => new Set(Array.isArray(ids) ? ids.filter(isClass) : []);
    [this.locked, this.hidden, this.only] = [stored(locked), stored(hidden), stored(only)];
    this.solo = isClass(solo) ? Number(solo) : null;
  }

  clearMarks() {
    for (const ids of [this.locked, this.hidden, this.only]) ids.clear();
    this.solo = null;
    this.onMark();
  }

  /** @returns {number[]} by class, 1 if it may be painted over; a hidden class may */
  paintable() {
    return CLASSES.map(({ id }) => (!this.locked.has(id) && (!this.only.size || this.only.has(id)) ? 1 : 0));
  }
}

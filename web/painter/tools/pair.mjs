/** The pair brush: paints both eyes, both brows, both ears or both lips as one class. The place decides which of the two. */

import { counts } from "../map/labelmap.mjs";
import { PAIRS, pairOf } from "../map/pairs.mjs";

/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */
/** @typedef {import("../map/sheet.mjs").Split} Split */
/** @typedef {import("./classes.mjs").Classes} Classes */

const [SKIN, NOSE, MOUTH] = [1, 2, 10];

export class Pair {
  /** @param {Sheet} sheet @param {Classes} classes @param {() => void} changed */
  constructor(sheet, classes, changed) {
    this.sheet = sheet;
    this.classes = classes;
    this.changed = changed;
    /** Where a face is divided, at the last press: the column between left and right, the row between the lips. */
    this.column = 0;
    this.row = 0;
  }

  get isOn() {
    return this.classes.paired;
  }

  toggle() {
    this.classes.togglePaired();
    this.sheet.split = this.isOn ? (id) => this.#split(id) : null;
    this.changed();
  }

  /** A press begins. @param {{y: number}} touch  without a mouth, the lips part at its height */
  begin({ y }) {
    if (!this.isOn || !pairOf(this.classes.chosen)) return;
    const { map, mirror } = this.sheet;
    const pixels = counts(map);
    const middle = mirror !== null ? mirror / 2 : centre(map, pixels[NOSE] ? NOSE : SKIN)?.x;
    this.column = Math.round(middle ?? map.width / 2);
    const [upper, lower] = PAIRS[PAIRS.length - 1].ids.map((id) => centre(map, id)?.y);
    const lips = upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
    this.row = Math.round(centre(map, MOUTH)?.y ?? lips ?? y);
  }

  /** @param {number} id @returns {Split | null} */
  #split(id) {
    const pair = pairOf(id);
    return pair && { ids: pair.ids, axis: pair.axis, at: pair.axis === "x" ? this.column : this.row };
  }
}

/** The centre of a class's pixels, if there are any. @param {import("../map/labelmap.mjs").LabelMap} map @param {number} id */
function centre({ width, ids }, id) {
  let [x, y, area] = [0, 0, 0];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== id) continue;
    x += (i % width) + 0.5;
    y += Math.floor(i / width) + 0.5;
    area++;
  }
  return area ? { x: x / area, y: y / area } : undefined;
}

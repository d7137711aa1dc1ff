/** The mirror that the tools paint in: whether it is on, and where it stands on the sheet. */

/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */
/** @typedef {import("../map/raster.mjs").Point} Point */

export class Mirror {
  /** @param {Sheet} sheet @param {() => Point | null} pointer @param {() => void} changed */
  constructor(sheet, pointer, changed) {
    this.sheet = sheet;
    this.pointer = pointer;
    this.changed = changed;
    /** The sheet's width when the mirror was placed. */
    this.width = 0;
  }

  get isOn() {
    return this.sheet.mirror !== null;
  }

  toggle() {
    this.#place(this.isOn ? null : this.sheet.width);
  }

  /** Places it at the pointer's column, or in the middle if the pointer is not over the canvas. */
  placeAtPointer() {
    this.#place(Math.round(2 * (this.pointer()?.x ?? this.sheet.width / 2)));
  }

  /** If the sheet's width has changed, places the mirror in its middle again. */
  follow() {
    if (this.isOn && this.width !== this.sheet.width) this.#place(this.sheet.width);
  }

  /** @param {number | null} sum  as `Sheet.mirror` */
  #place(sum) {
    this.sheet.mirror = sum;
    this.width = this.sheet.width;
    this.changed();
  }
}

/** The mirror that the tools paint in: whether it is up, and where it stands on the sheet. */

/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */

export class Mirror {
  /** @param {Sheet} sheet @param {() => void} changed */
  constructor(sheet, changed) {
    this.sheet = sheet;
    this.changed = changed;
    /** The sheet's, when the mirror was stood. */
    this.width = 0;
  }

  get isUp() {
    return this.sheet.mirror !== null;
  }

  toggle() {
    this.#stand(this.isUp ? null : this.sheet.width);
  }

  /** @param {number} x  in pixels of the map */
  standAt(x) {
    this.#stand(Math.round(2 * x));
  }

  /** On a sheet of another width it stands in the middle again. */
  follow() {
    if (this.isUp && this.width !== this.sheet.width) this.#stand(this.sheet.width);
  }

  /** @param {number | null} place  as `Sheet.mirror` */
  #stand(place) {
    this.sheet.mirror = place;
    this.width = this.sheet.width;
    this.changed();
  }
}

/** The brush: its size, another size for the pencil, whether a pen's pressure changes them, and its stabiliser. */

import { STRINGS } from "./steady.mjs";

const MAX_SIZE = 512;

export class Brush {
  /**
   * @param {{size: number, pencilSize: number, pressure: boolean, steady: number}} settings
   * @param {() => void} changed
   */
  constructor({ size, pencilSize, pressure, steady }, changed) {
    /** In pixels of the map. */
    this.sizes = { brush: size, pencil: pencilSize };
    /** Whether the tool in hand is a pencil. */
    this.isPencil = false;
    this.pressure = pressure;
    /** The strength of the stabiliser: 0 (off), 1 or 2. */
    this.steady = steady;
    this.changed = changed;
  }

  /** Of the tool in hand. */
  get size() {
    return this.sizes[this.isPencil ? "pencil" : "brush"];
  }

  /** @param {number} size */
  setSize(size) {
    this.sizes[this.isPencil ? "pencil" : "brush"] = Math.max(1, Math.min(MAX_SIZE, Math.round(size)));
    this.changed();
  }

  /** @param {number} by  steps of about a tenth, at least a pixel */
  resize(by) {
    this.setSize(this.size + by * Math.max(1, Math.round(this.size * 0.1)));
  }

  /** The next strength of the stabiliser; after the last it is off. */
  stepSteady() {
    this.steady = (this.steady + 1) % STRINGS.length;
    this.changed();
  }

  togglePressure() {
    this.pressure = !this.pressure;
    this.changed();
  }
}

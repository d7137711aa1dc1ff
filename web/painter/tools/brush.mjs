/** The brush: its size, whether a pen's pressure changes it, and how strongly its strokes are steadied. */

import { STRINGS } from "./steady.mjs";

const MAX_SIZE = 512;

export class Brush {
  /** @param {{size: number, pressure: boolean, steady: number}} settings @param {() => void} changed */
  constructor({ size, pressure, steady }, changed) {
    /** In pixels of the map. */
    this.size = size;
    this.pressure = pressure;
    /** The strength of the stabiliser: 0 (off), 1 or 2. */
    this.steady = steady;
    this.changed = changed;
  }

  /** @param {number} size */
  setSize(size) {
    this.size = Math.max(1, Math.min(MAX_SIZE, Math.round(size)));
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

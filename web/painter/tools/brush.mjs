/** The brush: its size, and whether a pen's pressure changes it. */

const MAX_SIZE = 512;

export class Brush {
  /** @param {{size: number, pressure: boolean}} settings @param {() => void} changed */
  constructor({ size, pressure }, changed) {
    /** In pixels of the map. */
    this.size = size;
    this.pressure = pressure;
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

  togglePressure() {
    this.pressure = !this.pressure;
    this.changed();
  }
}

/** The area that changed, as a box that grows. */

/** @typedef {import("./labelmap.mjs").Box} Box */

export class Extent {
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

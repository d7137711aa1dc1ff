/** Turning the view: by keys, by two fingers, and by Shift+Space and a drag. */

/** What a press of a key turns, in radians. */
export const STEP = Math.PI / 12;
/** Two fingers turn the view only after this angle, so that a pinch keeps it straight. */
const SLACK = Math.PI / 15;

/** @typedef {import("../map/raster.mjs").Point} Point */

/** @param {Point} centre @param {Point} from @param {Point} to @returns {number} the angle between them, -π to π */
export function angleBetween(centre, from, to) {
  const angle = Math.atan2(to.y - centre.y, to.x - centre.x) - Math.atan2(from.y - centre.y, from.x - centre.x);
  return Math.atan2(Math.sin(angle), Math.cos(angle));
}

/** The angle by which two fingers turn the view. */
export class Twist {
  constructor() {
    this.sum = 0;
    this.isLoose = false;
  }

  /** Two fingers touch. */
  reset() {
    this.sum = 0;
    this.isLoose = false;
  }

  /** @param {number} by  what the fingers turned since the last call @returns {number} what the view turns */
  add(by) {
    if (this.isLoose) return by;
    this.sum += by;
    this.isLoose = Math.abs(this.sum) > SLACK;
    return 0;
  }
}

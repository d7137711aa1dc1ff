/** The stabiliser: the brush hangs behind the pointer on a string, so that a trembling hand draws a smooth line. */

/** @typedef {import("../map/raster.mjs").Point} Point */

/** The lengths of the string on the screen, in CSS pixels, by the strength of the stabiliser. */
export const STRINGS = Object.freeze([0, 16, 40]);

/**
 * Where the brush is after the pointer moved: it stays while the string is slack, and is pulled straight towards the
 * pointer when the string is tight.
 * @param {Point} brush
 * @param {Point} pointer
 * @param {number} string  its length
 * @returns {Point}
 */
export function pulled(brush, pointer, string) {
  const [dx, dy] = [pointer.x - brush.x, pointer.y - brush.y];
  const away = Math.hypot(dx, dy);
  if (away <= string) return brush;
  const share = 1 - string / away;
  return { x: brush.x + dx * share, y: brush.y + dy * share };
}

/** Contrast of colours as WCAG 2 computes it, and colours that have enough of it. */

/** @typedef {import("./palette.mjs").RGB} RGB */

/** What WCAG asks of text. */
export const LEAST = 4.5;
/** @type {readonly RGB[]} */
const ENDS = [
  [0, 0, 0],
  [255, 255, 255],
];
const STEPS = 50;

/** @param {RGB} colour @returns {number} 0 to 1 */
export function luminance(colour) {
  const [r, g, b] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** @param {RGB} one @param {RGB} other @returns {number} 1 to 21 */
export function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** @param {RGB} one @param {RGB} other @param {number} share  of the other @returns {RGB} */
export function mix(one, other, share) {
  const [r, g, b] = one.map((value, i) => Math.round(value + (other[i] - value) * share));
  return [r, g, b];
}

/**
 * The colour nearest to the given one that can be read on every ground: mixed with black or with white, whichever
 * needs less. Where neither suffices, the better of the two.
 * @param {RGB} colour
 * @param {readonly RGB[]} grounds
 * @param {number} [least]
 * @returns {RGB}
 */
export function readable(colour, grounds, least = LEAST) {
  const worst = (/** @type {RGB} */ one) => Math.min(...grounds.map((ground) => contrast(one, ground)));
  for (let i = 0; i <= STEPS; i++) {
    const found = ENDS.map((end) => mix(colour, end, i / STEPS)).find((one) => worst(one) >= least);
    if (found) return found;
  }
  return worst(ENDS[0]) > worst(ENDS[1]) ? ENDS[0] : ENDS[1];
}

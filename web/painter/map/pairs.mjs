/** Classes that are two halves of one thing, by where they lie in a picture. */

/**
 * `ids`: the one at the left or top of a picture first. The person's right eye is at the picture's left.
 * @typedef {{ids: readonly [number, number], axis: "x" | "y"}} FacePair
 */

/** @type {ReadonlyArray<FacePair>} */
export const PAIRS = Object.freeze([
  { ids: [5, 4], axis: "x" },
  { ids: [7, 6], axis: "x" },
  { ids: [9, 8], axis: "x" },
  { ids: [11, 12], axis: "y" },
]);

/** @param {number} id  of a class @returns {FacePair | null} the pair that it belongs to */
export function pairOf(id) {
  return PAIRS.find(({ ids }) => ids.includes(id)) ?? null;
}

/** A painting: a label map and a pencil drawing of the same size, and which of the two the inputs still decide. */

import { blank, containedBox, mirror, placed, resize } from "./labelmap.mjs";
import { resizeLines } from "./lines.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */

/**
 * `pencil` has the grey level of each pixel, 255 for a full line; null without any line. A map that is not painted is
 * the mask input's, or all background; a pencil plane that is not drawn on is the sketch input's, or without lines.
 * @typedef {LabelMap & {pencil: Uint8Array | null, isPainted: boolean, isDrawn: boolean}} Painting
 */

/** @param {LabelMap & Partial<Painting>} map @returns {Painting} a painted map without a drawing, if it does not say */
export function asPainting({ width, height, ids, pencil = null, isPainted = true, isDrawn = false }) {
  return { width, height, ids, pencil, isPainted, isDrawn };
}

/** @param {number} width @param {number} height @returns {Painting} on which nobody has painted */
export function unpainted(width, height) {
  return asPainting({ ...blank(width, height), isPainted: false });
}

/** @param {Painting} painting @returns {Painting} */
export function copyOf(painting) {
  return { ...painting, ids: painting.ids.slice(), pencil: painting.pencil?.slice() ?? null };
}

/**
 * The mirror image of map and drawing. What came from an input is painted from then on: the input gives the original.
 * @param {Painting} painting @returns {Painting}
 */
export function mirrorPainting(painting) {
  const { width, pencil } = painting;
  const reversed = pencil?.slice() ?? null;
  for (let i = 0; reversed && i < reversed.length; i += width) reversed.subarray(i, i + width).reverse();
  const isPainted = painting.isPainted || painting.ids.some(Boolean);
  const isDrawn = painting.isDrawn || (reversed?.some(Boolean) ?? false);
  return { ...painting, ...mirror(painting), pencil: reversed, isPainted, isDrawn };
}

/**
 * A map from the mask input counts as painted then, because the input has another size.
 * @param {Painting} painting @param {number} width @param {number} height @returns {Painting}
 */
export function resizePainting(painting, width, height) {
  const pencil = painting.pencil && resizeLines(painting.pencil, painting, { width, height });
  const isOther = width !== painting.width || height !== painting.height;
  const isPainted = painting.isPainted || (isOther && painting.ids.some(Boolean));
  return { ...painting, ...resize(painting, width, height), pencil, isPainted };
}

/**
 * Puts another map under the same drawing. The drawing takes the map's size without being stretched.
 * @param {Painting} painting @param {LabelMap & Partial<Painting>} map @returns {Painting}
 */
export function withMap(painting, { width, height, ids, isPainted = true }) {
  const { pencil, isDrawn } = painting;
  const box = containedBox(painting, { width, height });
  const lines = pencil && placed(resizeLines(pencil, painting, box), box, { width, height });
  return { width, height, ids, pencil: lines, isPainted, isDrawn };
}

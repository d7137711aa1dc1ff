/** A label map as a picture: each class in its colour, hidden classes transparent. */

import { BACKGROUND, colours } from "./palette.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */

/**
 * @typedef {object} Looks
 * @property {boolean} distinct  the colour-blind-safe colours
 * @property {ReadonlySet<number>} hidden  classes
 * @property {number | null} solo  the only class that is drawn opaque
 * @property {CanvasImageSource | null} photo  under the painting; the background is transparent over it
 */

/**
 * Each class's colour as a pixel's four bytes.
 * @param {Looks} looks
 * @returns {Uint32Array}
 */
export function colourTable({ distinct, hidden, solo, photo }) {
  const bytes = new Uint8Array(
    colours(distinct).flatMap((rgb, id) => {
      const isTransparent = hidden.has(id) || (photo && id === BACKGROUND);
      return [...rgb, isTransparent ? 0 : solo === null || solo === id ? 255 : 48];
    }),
  );
  return new Uint32Array(bytes.buffer);
}

/**
 * @param {LabelMap} map
 * @param {import("./labelmap.mjs").Box} box
 * @param {Uint32Array} table  from `colourTable`
 * @param {Uint32Array} pixels  of the whole map; those in the box are written
 */
export function paint({ width, ids }, box, table, pixels) {
  for (let y = box.y; y < box.y + box.height; y++) {
    for (let i = y * width + box.x, end = i + box.width; i < end; i++) pixels[i] = table[ids[i]];
  }
}

/**
 * Draws a whole map, and gives the canvas the map's size.
 * @param {HTMLCanvasElement} canvas
 * @param {LabelMap} map
 * @param {boolean} distinct
 */
export function show(canvas, map, distinct) {
  [canvas.width, canvas.height] = [map.width, map.height];
  const pixels = new ImageData(map.width, map.height);
  const table = colourTable({ distinct, hidden: new Set(), solo: null, photo: null });
  paint(map, { x: 0, y: 0, width: map.width, height: map.height }, table, new Uint32Array(pixels.data.buffer));
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
}

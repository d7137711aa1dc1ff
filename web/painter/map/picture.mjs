/** A label map as a picture: each class in its colour, hidden classes hatched, near twins of the palette outlined. */

import { BACKGROUND, CLASSES, colours } from "./palette.mjs";
import { hatch, outline, widened } from "./patterns.mjs";

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
 * Draws a box of the map.
 * @param {LabelMap} map
 * @param {import("./labelmap.mjs").Box} box
 * @param {Looks} looks
 * @param {Uint32Array} pixels  of the whole map
 * @returns {import("./labelmap.mjs").Box} what was drawn: the box and the outlines around it
 */
export function render(map, box, looks, pixels) {
  const { distinct, hidden, solo } = looks;
  const table = colourTable(looks);
  const drawn = distinct ? box : widened(box, map);
  paint(map, drawn, table, pixels);
  hatch(map, drawn, hidden, table, pixels);
  const faint = CLASSES.filter(({ id }) => hidden.has(id) || (solo !== null && solo !== id));
  if (!distinct) outline(map, drawn, pixels, new Set(faint.map(({ id }) => id)));
  return drawn;
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
  const looks = { distinct, hidden: new Set(), solo: null, photo: null };
  render(map, { x: 0, y: 0, width: map.width, height: map.height }, looks, new Uint32Array(pixels.data.buffer));
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
}

/** A painting as a picture: classes in their colours, hidden ones hatched, near twins outlined; pencil lines white. */

import { BACKGROUND, CLASSES, colours } from "./palette.mjs";
import { hatch, outline, widened } from "./patterns.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */

/**
 * @typedef {object} Looks
 * @property {boolean} distinct  the colour-blind-safe colours
 * @property {ReadonlySet<number>} hidden  classes
 * @property {number | null} solo  the only class that is drawn opaque
 * @property {ImageBitmap | null} photo  under the painting; the background is transparent over it
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
 * Pencil lines as white pixels, as opaque as the lines are strong.
 * @param {{width: number}} map
 * @param {Uint8Array | null} pencil
 * @param {import("./labelmap.mjs").Box} box
 * @param {Uint32Array} pixels  of the whole map; those in the box are written
 */
export function paintLines({ width }, pencil, box, pixels) {
  for (let y = box.y; y < box.y + box.height; y++) {
    for (let i = y * width + box.x, end = i + box.width; i < end; i++) {
      pixels[i] = pencil ? ((pencil[i] << 24) | 0xffffff) >>> 0 : 0;
    }
  }
}

/**
 * Draws a whole map with its pencil lines, and gives the canvas the map's size.
 * @param {HTMLCanvasElement} canvas
 * @param {LabelMap & {pencil?: Uint8Array | null}} map
 * @param {boolean} distinct
 */
export function show(canvas, map, distinct) {
  [canvas.width, canvas.height] = [map.width, map.height];
  const pixels = new ImageData(map.width, map.height);
  const looks = { distinct, hidden: new Set(), solo: null, photo: null };
  render(map, { x: 0, y: 0, width: map.width, height: map.height }, looks, new Uint32Array(pixels.data.buffer));
  if (map.pencil) addWhite(pixels.data, map.pencil);
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
}

/** @param {Uint8ClampedArray} colours  four for each pixel @param {Uint8Array} pencil */
function addWhite(colours, pencil) {
  for (let i = 0; i < pencil.length; i++) {
    if (!pencil[i]) continue;
    for (let c = 4 * i; c < 4 * i + 3; c++) colours[c] += ((255 - colours[c]) * pencil[i]) / 255;
  }
}

/** What tells classes apart besides their colour: hidden classes are hatched, near twins of the palette outlined. */

import { CLASSES } from "./palette.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("./labelmap.mjs").Box} Box */

/** Classes whose official colours are near another's: right ear (skin's), lower lip (hair's), necklace (background's). */
export const TWINS = Object.freeze([9, 12, 16]);
/** About how many stripes of the hatching fit across the map. */
const STRIPES = 64;
const LEAST_PERIOD = 4;
/** The outline's width is this share of the map's longer side, and at least a pixel. */
const OUTLINE = 1 / 512;
const WHITE = 0xffffffff;

/** How wide the outline is, in pixels of the map. @param {{width: number, height: number}} map */
export function outlineOf({ width, height }) {
  return Math.max(1, Math.round(Math.max(width, height) * OUTLINE));
}

/**
 * Draws stripes over the pixels of hidden classes, which are transparent.
 * @param {LabelMap} map
 * @param {Box} box
 * @param {ReadonlySet<number>} hidden
 * @param {Uint32Array} table  the colours, as bytes
 * @param {Uint32Array} pixels  of the whole map
 */
export function hatch({ width, height, ids }, box, hidden, table, pixels) {
  if (!hidden.size) return;
  const period = Math.max(LEAST_PERIOD, Math.round(Math.max(width, height) / STRIPES));
  const stripe = Math.max(1, Math.round(period / 4));
  const colours = table.map((colour, id) => stripeOf(colour, id));
  const isHidden = Uint8Array.from(CLASSES, ({ id }) => (hidden.has(id) ? 1 : 0));
  for (let y = box.y; y < box.y + box.height; y++) {
    for (let x = box.x, i = y * width + x; x < box.x + box.width; x++, i++) {
      if (isHidden[ids[i]] && (x + y) % period < stripe) pixels[i] = colours[ids[i]];
    }
  }
}

/** Half transparent, and grey for the black of the background. @param {number} colour @param {number} id */
function stripeOf(colour, id) {
  return ((id ? colour & 0x00ffffff : 0x00808080) | 0x99000000) >>> 0;
}

/**
 * Draws a white line along the inner edge of the near twins.
 * @param {LabelMap} map
 * @param {Box} box  whatever lies within the outline's width of it is drawn as well
 * @param {Uint32Array} pixels  of the whole map
 * @param {ReadonlySet<number>} hidden  classes, which have no outline
 */
export function outline(map, box, pixels, hidden) {
  const { width, height, ids } = map;
  const twins = TWINS.filter((id) => !hidden.has(id));
  if (!twins.length) return;
  const reach = outlineOf(map);
  const isTwin = Uint8Array.from(CLASSES, ({ id }) => (twins.includes(id) ? 1 : 0));
  /** @param {number} x @param {number} y @param {number} id */
  const isOther = (x, y, id) => x >= 0 && y >= 0 && x < width && y < height && ids[y * width + x] !== id;
  for (let y = box.y; y < box.y + box.height; y++) {
    for (let x = box.x; x < box.x + box.width; x++) {
      const id = ids[y * width + x];
      if (!isTwin[id]) continue;
      const isEdge = isOther(x - reach, y, id) || isOther(x + reach, y, id) || isOther(x, y - reach, id) || isOther(x, y + reach, id);
      if (isEdge) pixels[y * width + x] = WHITE;
    }
  }
}

/** The box with the outline's width around it. @param {Box} box @param {LabelMap} map @returns {Box} */
export function widened(box, map) {
  const reach = outlineOf(map);
  const [left, top] = [Math.max(0, box.x - reach), Math.max(0, box.y - reach)];
  const [right, bottom] = [Math.min(map.width, box.x + box.width + reach), Math.min(map.height, box.y + box.height + reach)];
  return { x: left, y: top, width: right - left, height: bottom - top };
}

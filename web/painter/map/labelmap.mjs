/** Label maps: one class id for each pixel. Pure functions of ids, without colours. */

import { CLASSES, FLIPPED } from "./palette.mjs";

/** @typedef {{width: number, height: number, ids: Uint8Array}} LabelMap  ids row by row from the top */
/** @typedef {{x: number, y: number, width: number, height: number}} Box */
/** @typedef {{id: number, inside: Uint8Array, box: Box, area: number}} Region  inside: 1 or 0 for each pixel */

/** One FLUX.1 token covers this many pixels on each side, so every side of a map is a multiple of it. */
export const TOKEN = 16;
export const MIN_SIDE = 16;
export const MAX_SIDE = 4096;

/** @param {number} side */
export function isSide(side) {
  return Number.isInteger(side) && side >= MIN_SIDE && side <= MAX_SIDE && side % TOKEN === 0;
}

/**
 * @param {number} width
 * @param {number} height
 * @param {number} id
 * @returns {LabelMap}
 */
export function blank(width, height, id = 0) {
  return { width, height, ids: new Uint8Array(width * height).fill(id) };
}

/**
 * By nearest neighbour between pixel centres, as the server resizes.
 * @param {LabelMap} map
 * @param {number} width
 * @param {number} height
 * @returns {LabelMap}
 */
export function resize(map, width, height) {
  const result = blank(width, height);
  const columns = Array.from({ length: width }, (_, x) => nearest(x, map.width, width));
  for (let y = 0; y < height; y++) {
    const row = nearest(y, map.height, height) * map.width;
    for (let x = 0; x < width; x++) result.ids[y * width + x] = map.ids[row + columns[x]];
  }
  return result;
}

/** @param {number} i @param {number} from @param {number} to */
function nearest(i, from, to) {
  return Math.floor(((2 * i + 1) * from) / (2 * to));
}

/**
 * The ids of the mirror image: left and right eyes, brows and ears swap their classes.
 * @param {LabelMap} map
 * @returns {LabelMap}
 */
export function mirror(map) {
  const { width, height, ids } = map;
  const result = blank(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) result.ids[y * width + x] = FLIPPED[ids[y * width + width - 1 - x]];
  }
  return result;
}

/**
 * The map with pairs of classes swapped.
 * @param {LabelMap} map
 * @param {ReadonlyArray<readonly [number, number]>} pairs
 * @returns {LabelMap}
 */
export function swapClasses(map, pairs) {
  const table = Uint8Array.from(CLASSES, (one) => one.id);
  for (const [a, b] of pairs) [table[a], table[b]] = [b, a];
  return { ...map, ids: map.ids.map((id) => table[id]) };
}

/**
 * The number of pixels of each class.
 * @param {LabelMap} map
 * @returns {Uint32Array}
 */
export function counts(map) {
  const result = new Uint32Array(CLASSES.length);
  const { ids } = map;
  for (let i = 0; i < ids.length; i++) result[ids[i]]++; // much faster than for...of
  return result;
}

/**
 * The contiguous region of one class around (x, y). Pixels connect over their sides, not their corners.
 * @param {LabelMap} map
 * @param {number} x
 * @param {number} y
 * @returns {Region}
 */
export function regionAt(map, x, y) {
  return flood(map, x, y, new Uint8Array(map.ids.length));
}

/**
 * All pixels of one class.
 * @param {LabelMap} map
 * @param {number} id
 * @returns {Region}
 */
export function regionOf(map, id) {
  const inside = map.ids.map((other) => (other === id ? 1 : 0));
  return { id, inside, ...extent(inside, map.width) };
}

/**
 * Every contiguous region of every class.
 * @param {LabelMap} map
 * @returns {{id: number, box: Box, area: number}[]}
 */
export function regions(map) {
  const seen = new Uint8Array(map.ids.length);
  const list = [];
  for (let i = 0; i < seen.length; i++) {
    if (seen[i]) continue;
    const { id, box, area } = flood(map, i % map.width, Math.floor(i / map.width), seen);
    list.push({ id, box, area });
  }
  return list;
}

/**
 * Marks the region around (x, y) in `inside`, run by run.
 * @param {LabelMap} map
 * @param {number} x
 * @param {number} y
 * @param {Uint8Array} inside
 * @returns {Region}
 */
function flood({ width, height, ids }, x, y, inside) {
  const id = ids[y * width + x];
  const open = [y * width + x];
  let [left, top, right, bottom, area] = [x, y, x, y, 0];
  /** @param {number} i */
  const isOpen = (i) => ids[i] === id && !inside[i];
  while (open.length) {
    const seed = /** @type {number} */ (open.pop());
    if (!isOpen(seed)) continue;
    const row = Math.floor(seed / width);
    let [first, last] = [seed, seed];
    while (first > row * width && isOpen(first - 1)) first--;
    while (last < row * width + width - 1 && isOpen(last + 1)) last++;
    inside.fill(1, first, last + 1);
    area += last - first + 1;
    left = Math.min(left, first - row * width);
    right = Math.max(right, last - row * width);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
    for (const next of [row - 1, row + 1]) {
      if (next < 0 || next >= height) continue;
      const shift = (next - row) * width;
      for (let i = first + shift; i <= last + shift; i++) {
        if (isOpen(i) && (i === first + shift || !isOpen(i - 1))) open.push(i);
      }
    }
  }
  return { id, inside, box: { x: left, y: top, width: right - left + 1, height: bottom - top + 1 }, area };
}

/** @param {Uint8Array} inside @param {number} width @returns {{box: Box, area: number}} */
function extent(inside, width) {
  let [left, top, right, bottom, area] = [Infinity, Infinity, -1, -1, 0];
  for (let i = 0; i < inside.length; i++) {
    if (!inside[i]) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    area++;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = y;
  }
  const box = area
    ? { x: left, y: top, width: right - left + 1, height: bottom - top + 1 }
    : { x: 0, y: 0, width: 0, height: 0 };
  return { box, area };
}

/**
 * The map without a region: its pixels take the class of the nearest pixel outside, ring by ring from the edge.
 * If the region is the whole map, they become background.
 * @param {LabelMap} map
 * @param {Region} region
 * @returns {Uint8Array} ids
 */
export function withoutRegion({ width, height, ids }, { inside, box }) {
  const result = ids.slice();
  const isFilled = inside.map((one) => 1 - one);
  let ring = [];
  for (let y = box.y; y < box.y + box.height; y++) {
    for (let x = box.x; x < box.x + box.width; x++) {
      if (inside[y * width + x]) ring.push(y * width + x);
    }
  }
  while (ring.length) {
    const next = [];
    const filled = [];
    for (const i of ring) {
      const from = neighbours(i, width, height).find((j) => isFilled[j]);
      if (from === undefined) next.push(i);
      else filled.push([i, result[from]]);
    }
    if (!filled.length) {
      for (const i of next) result[i] = 0;
      break;
    }
    for (const [i, id] of filled) {
      result[i] = id;
      isFilled[i] = 1;
    }
    ring = next;
  }
  return result;
}

/** @param {number} i @param {number} width @param {number} height */
function neighbours(i, width, height) {
  const x = i % width;
  const list = [];
  if (i >= width) list.push(i - width);
  if (x > 0) list.push(i - 1);
  if (x < width - 1) list.push(i + 1);
  if (i < width * (height - 1)) list.push(i + width);
  return list;
}

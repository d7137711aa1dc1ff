/** Label maps: one class id for each pixel. Pure functions of ids, without colours. */

import { CLASSES, FLIPPED } from "./palette.mjs";

/** @typedef {{width: number, height: number, ids: Uint8Array}} LabelMap  ids row by row from the top */
/** @typedef {{x: number, y: number, width: number, height: number}} Box */
/**
 * `inside` is 1 or 0 for each pixel; `runs` are the same pixels as pairs of a first index and the index after the last,
 * each within a row.
 * @typedef {{id: number, inside: Uint8Array, runs: Int32Array, box: Box, area: number}} Region
 */

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
  const columns = Int32Array.from({ length: width }, (_, x) => nearest(x, map.width, width));
  const { ids } = map;
  for (let y = 0, to = 0, last = -1; y < height; y++) {
    const row = nearest(y, map.height, height) * map.width;
    if (row === last) result.ids.copyWithin(to, to - width, to);
    else for (let x = 0; x < width; x++) result.ids[to + x] = ids[row + columns[x]];
    [to, last] = [to + width, row];
  }
  return result;
}

/**
 * The largest centred box on a sheet with these proportions, in whole pixels.
 * @param {{width: number, height: number}} from @param {{width: number, height: number}} to @returns {Box}
 */
export function containedBox(from, to) {
  const scale = Math.min(to.width / from.width, to.height / from.height);
  const [width, height] = [from.width, from.height].map((side) => Math.max(1, Math.round(side * scale)));
  return { x: (to.width - width) >> 1, y: (to.height - height) >> 1, width, height };
}

/**
 * Fits a map into a sheet of another size without stretching it. The rest of the sheet is background.
 * @param {LabelMap} map @param {number} width @param {number} height @returns {LabelMap}
 */
export function contain(map, width, height) {
  const box = containedBox(map, { width, height });
  const { ids } = resize(map, box.width, box.height);
  return { width, height, ids: placed(ids, box, { width, height }) };
}

/**
 * Puts a plane into its box on an empty sheet.
 * @param {Uint8Array} plane @param {Box} box @param {{width: number, height: number}} sheet
 */
export function placed(plane, box, sheet) {
  if (box.width === sheet.width && box.height === sheet.height) return plane;
  const result = new Uint8Array(sheet.width * sheet.height);
  for (let y = 0; y < box.height; y++) {
    result.set(plane.subarray(y * box.width, (y + 1) * box.width), (box.y + y) * sheet.width + box.x);
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
  return flood(map, y * map.width + x, new Uint8Array(map.ids.length));
}

/**
 * All pixels of one class.
 * @param {LabelMap} map
 * @param {number} id
 * @returns {Region}
 */
export function regionOf({ width, height, ids }, id) {
  const inside = new Uint8Array(ids.length);
  const region = new Runs(width);
  for (let y = 0; y < height; y++) {
    const end = (y + 1) * width;
    for (let i = y * width; i < end; i++) {
      if (ids[i] !== id) continue;
      const first = i;
      while (i < end && ids[i] === id) i++;
      inside.fill(1, first, i);
      region.add(first, i);
    }
  }
  return { id, inside, ...region.measures() };
}

/**
 * Every contiguous region of every class.
 * @param {LabelMap} map
 * @returns {{id: number, box: Box, area: number}[]}
 */
export function regions(map) {
  const seen = new Uint8Array(map.ids.length);
  const list = [];
  for (let i = seen.indexOf(0); i >= 0; i = seen.indexOf(0, i)) {
    const { id, box, area } = flood(map, i, seen);
    list.push({ id, box, area });
  }
  return list;
}

/** Runs of pixels within rows, and their extent. */
class Runs {
  /** @param {number} width  of the map */
  constructor(width) {
    this.width = width;
    /** @type {number[]} */
    this.list = [];
    this.area = 0;
    [this.left, this.top, this.right, this.bottom] = [Infinity, Infinity, -1, -1];
  }

  /** @param {number} first @param {number} end  after the last */
  add(first, end) {
    this.list.push(first, end);
    const row = Math.floor(first / this.width);
    this.area += end - first;
    this.left = Math.min(this.left, first - row * this.width);
    this.right = Math.max(this.right, end - row * this.width);
    this.top = Math.min(this.top, row);
    this.bottom = Math.max(this.bottom, row + 1);
  }

  /** @returns {{runs: Int32Array, box: Box, area: number}} */
  measures() {
    const { left, top, right, bottom, area, list } = this;
    const box = area
      ? { x: left, y: top, width: right - left, height: bottom - top }
      : { x: 0, y: 0, width: 0, height: 0 };
    return { runs: Int32Array.from(list), box, area };
  }
}

/**
 * Marks the region around a pixel in `inside`, run by run.
 * @param {LabelMap} map
 * @param {number} start  the pixel's index
 * @param {Uint8Array} inside
 * @returns {Region}
 */
function flood({ width, ids }, start, inside) {
  const id = ids[start];
  const size = ids.length;
  const region = new Runs(width);
  const open = [start];
  while (open.length) {
    const seed = /** @type {number} */ (open.pop());
    if (inside[seed]) continue;
    const row = Math.floor(seed / width) * width;
    let [first, end] = [seed, seed + 1];
    while (first > row && ids[first - 1] === id && !inside[first - 1]) first--;
    while (end < row + width && ids[end] === id && !inside[end]) end++;
    inside.fill(1, first, end);
    region.add(first, end);
    for (const shift of [-width, width]) {
      if (row + shift < 0 || row + shift >= size) continue;
      // One seed for each run of the row above or below.
      for (let i = first + shift, was = false; i < end + shift; i++) {
        const is = ids[i] === id && !inside[i];
        if (is && !was) open.push(i);
        was = is;
      }
    }
  }
  return { id, inside, ...region.measures() };
}

const [FILLED, OPEN, NEXT] = [0, 1, 2];

/**
 * The map without a region: its pixels take the class of the nearest pixel outside, ring by ring from the edge. Each
 * pixel of the region is visited once for its ring. If the region is the whole map, its pixels become background.
 * @param {LabelMap} map
 * @param {Region} region
 * @returns {Uint8Array} ids
 */
export function withoutRegion({ width, height, ids }, { inside, runs, area }) {
  const result = ids.slice();
  const state = inside.slice();
  const last = width * (height - 1);
  // The first filled neighbour above, left, right or below; -1 without one.
  const filledBeside = (/** @type {number} */ i, /** @type {number} */ x) => {
    if (i >= width && !state[i - width]) return i - width;
    if (x > 0 && !state[i - 1]) return i - 1;
    if (x < width - 1 && !state[i + 1]) return i + 1;
    return i < last && !state[i + width] ? i + width : -1;
  };
  // All rings one after the other, in the order in which they are filled.
  const queue = new Int32Array(area);
  let end = 0;
  for (let k = 0; k < runs.length; k += 2) {
    const row = Math.floor(runs[k] / width) * width;
    for (let i = runs[k]; i < runs[k + 1]; i++) if (filledBeside(i, i - row) >= 0) queue[end++] = i;
  }
  const push = (/** @type {number} */ i) => {
    if (state[i] !== OPEN) return;
    state[i] = NEXT;
    queue[end++] = i;
  };
  for (let k = 0; k < end; k++) state[queue[k]] = NEXT;
  for (let first = 0, ring = end; first < ring; [first, ring] = [ring, end]) {
    for (let k = first; k < ring; k++) result[queue[k]] = result[filledBeside(queue[k], queue[k] % width)];
    for (let k = first; k < ring; k++) state[queue[k]] = FILLED;
    for (let k = first; k < ring; k++) {
      const i = queue[k];
      const x = i % width;
      if (i >= width) push(i - width);
      if (x > 0) push(i - 1);
      if (x < width - 1) push(i + 1);
      if (i < last) push(i + width);
    }
  }
  if (!end) for (let k = 0; k < runs.length; k += 2) result.fill(0, runs[k], runs[k + 1]);
  return result;
}

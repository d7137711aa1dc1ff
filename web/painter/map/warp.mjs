/**
 * Nudges: smooth warps of the face that move ids, never mix them. Each is a one-to-one map of the plane that leaves
 * everything far from its part in place, and treats the left and the right side alike.
 */

import { CLASSES } from "./palette.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("./labelmap.mjs").Box} Box */
/** @typedef {import("./raster.mjs").Point} Point */

/** Where a class lies. @typedef {{area: number, x: number, y: number, box: {left: number, top: number, right: number, bottom: number}}} Place */

/**
 * Where the content of a point comes from, and the box outside of which nothing moves.
 * @typedef {{from: (x: number, y: number) => [number, number], box: {left: number, top: number, right: number, bottom: number}}} Warp
 */

const [SKIN, HAIR] = [1, 13];
const [EYES, BROWS, LIPS] = [
  [4, 5],
  [6, 7],
  [11, 10, 12],
];

/**
 * `needs` are classes, of which at least one must be on the sheet.
 * @type {ReadonlyArray<{id: string, title: string, needs: readonly number[],
 *   warps: (places: Place[], amount: number) => Warp[]}>}
 */
export const NUDGES = Object.freeze([
  { id: "smile", title: "Smile", needs: LIPS, warps: smile },
  { id: "eyes", title: "Eye size", needs: EYES, warps: eyeSize },
  { id: "brows", title: "Brow height", needs: BROWS, warps: browHeight },
  { id: "hairline", title: "Hairline", needs: [HAIR], warps: hairline },
  { id: "width", title: "Face width", needs: [SKIN], warps: faceWidth },
]);

/**
 * The map after a nudge, and the box in which it differs; null if the part is not on the sheet.
 * @param {LabelMap} map
 * @param {string} id  of the nudge
 * @param {number} amount  -1 to 1; 0 changes nothing
 * @returns {{ids: Uint8Array, box: Box} | null}
 */
export function nudged(map, id, amount) {
  const nudge = NUDGES.find((one) => one.id === id);
  const places = measure(map);
  if (!nudge || !nudge.needs.some((one) => places[one].area)) return null;
  const ids = map.ids.slice();
  const box = { left: map.width, top: map.height, right: 0, bottom: 0 };
  // The places of all warps are apart, or the same pixel moves by the first of them.
  for (const warp of nudge.warps(places, amount).reverse()) lay(map, ids, warp, box);
  const [width, height] = [Math.max(0, box.right - box.left), Math.max(0, box.bottom - box.top)];
  return { ids, box: { x: width ? box.left : 0, y: height ? box.top : 0, width, height } };
}

/** @param {LabelMap} map @param {Uint8Array} ids @param {Warp} warp @param {Warp["box"]} union  grows */
function lay({ width, height, ids: source }, ids, { from, box }, union) {
  const [left, top] = [Math.max(0, Math.floor(box.left)), Math.max(0, Math.floor(box.top))];
  const [right, bottom] = [Math.min(width, Math.ceil(box.right)), Math.min(height, Math.ceil(box.bottom))];
  if (right <= left || bottom <= top) return;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const [sx, sy] = from(x + 0.5, y + 0.5);
      if (sx === x + 0.5 && sy === y + 0.5) continue;
      const column = Math.max(0, Math.min(width - 1, Math.floor(sx)));
      const row = Math.max(0, Math.min(height - 1, Math.floor(sy)));
      ids[y * width + x] = source[row * width + column];
    }
  }
  [union.left, union.top] = [Math.min(union.left, left), Math.min(union.top, top)];
  [union.right, union.bottom] = [Math.max(union.right, right), Math.max(union.bottom, bottom)];
}

/** The place of each class. @param {LabelMap} map @returns {Place[]} */
function measure({ width, height, ids }) {
  const places = CLASSES.map(() => empty());
  for (let i = 0, y = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const place = places[ids[i]];
      place.area++;
      place.x += x + 0.5;
      place.y += y + 0.5;
      if (x < place.box.left) place.box.left = x;
      if (x + 1 > place.box.right) place.box.right = x + 1;
      if (y < place.box.top) place.box.top = y;
      place.box.bottom = y + 1;
    }
  }
  for (const place of places) {
    place.x /= place.area || 1;
    place.y /= place.area || 1;
  }
  return places;
}

/** @returns {Place} */
function empty() {
  return { area: 0, x: 0, y: 0, box: { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity } };
}

/** The place of several classes together. @param {Place[]} places @returns {Place} */
function joined(places) {
  const sum = empty();
  for (const { area, x, y, box } of places) {
    sum.area += area;
    sum.x += x * area;
    sum.y += y * area;
    sum.box.left = Math.min(sum.box.left, box.left);
    sum.box.top = Math.min(sum.box.top, box.top);
    sum.box.right = Math.max(sum.box.right, box.right);
    sum.box.bottom = Math.max(sum.box.bottom, box.bottom);
  }
  return { ...sum, x: sum.x / (sum.area || 1), y: sum.y / (sum.area || 1) };
}

/** 1 in the middle, 0 from 1 on, with no edge. Its slope is at most 1.54. @param {number} t */
function fade(t) {
  return t >= 1 ? 0 : (1 - t * t) ** 2;
}

/** @param {Place} place */
function halves({ box }) {
  return { x: Math.max(1, (box.right - box.left) / 2), y: Math.max(1, (box.bottom - box.top) / 2) };
}

/** The middle of a place's box. @param {Place} place @returns {Point} */
function middle({ box }) {
  return { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
}

/**
 * A box around a point.
 * @param {Point} centre
 * @param {number} across
 * @param {number} up
 * @param {number} [down]
 */
function around(centre, across, up, down = up) {
  return { left: centre.x - across, right: centre.x + across, top: centre.y - up, bottom: centre.y + down };
}

/** The corners of the mouth go up. @param {Place[]} places @param {number} amount @returns {Warp[]} */
function smile(places, amount) {
  const mouth = joined(LIPS.map((id) => places[id]));
  const [centre, { x: half }] = [middle(mouth), halves(mouth)];
  const [across, high, lift] = [1.9 * half, 1.6 * half, 0.6 * half * amount];
  return [
    {
      from: (x, y) => {
        const [u, v] = [x - centre.x, y - centre.y];
        return [x, y + lift * Math.min(1, (u / half) ** 2) * fade(Math.hypot(u / across, v / high))];
      },
      box: around(centre, across, high),
    },
  ];
}

/** Each eye about its own middle. @param {Place[]} places @param {number} amount @returns {Warp[]} */
function eyeSize(places, amount) {
  return there(places, EYES).map((eye) => {
    const [centre, half] = [middle(eye), halves(eye)];
    const reach = 2.2 * Math.max(half.x, half.y);
    const share = 1 - 1.45 ** -amount;
    return {
      from: (x, y) => {
        const [u, v] = [x - centre.x, y - centre.y];
        const factor = 1 - share * fade(Math.hypot(u, v) / reach);
        return [centre.x + u * factor, centre.y + v * factor];
      },
      box: around(centre, reach, reach),
    };
  });
}

/**
 * Moves the area around a point up or down, less and less towards its edge.
 * @param {{x: number, y: number}} centre @param {number} shift
 * @param {number} across @param {number} up @param {number} down  how far it reaches
 * @returns {Warp}
 */
function vertical(centre, shift, across, up, down) {
  return {
    from: (x, y) => {
      const [u, v] = [x - centre.x, y - centre.y];
      return [x, y + shift * fade(Math.hypot(u / across, v / (v > 0 ? down : up)))];
    },
    box: around(centre, across, up, down),
  };
}

/** Each brow up or down, the eye below it in place. @param {Place[]} places @param {number} amount @returns {Warp[]} */
function browHeight(places, amount) {
  return there(places, BROWS).map((brow) => {
    const [centre, half] = [middle(brow), halves(brow)];
    const eyes = there(places, EYES).map(({ box }) => box.top + 1 - centre.y);
    const down = Math.max(half.y + 2, Math.min(1.2 * half.x, ...eyes.filter((gap) => gap > 0)));
    const [across, up] = [1.7 * half.x, 1.4 * half.x];
    const shift = 0.55 * Math.min(down, up) * amount;
    return vertical(centre, shift, across, up, down);
  });
}

/** The edge of hair and forehead up or down, the brows in place. @param {Place[]} places @param {number} amount @returns {Warp[]} */
function hairline(places, amount) {
  const [skin, hair] = [places[SKIN], places[HAIR]];
  if (!skin.area) return [];
  const centre = { x: middle(skin).x, y: skin.box.top };
  const features = there(places, [...BROWS, ...EYES]).map(({ box }) => box.top - centre.y);
  const least = 0.05 * (skin.box.bottom - skin.box.top);
  const down = Math.max(least, Math.min(0.6 * (skin.box.bottom - skin.box.top), ...features.filter((gap) => gap > 0)));
  const up = Math.max(least, 1.1 * (centre.y - hair.box.top));
  const across = 1.3 * halves(skin).x;
  const shift = 0.55 * Math.min(down, up) * amount;
  return [vertical(centre, shift, across, up, down)];
}

/** The face about its middle line. @param {Place[]} places @param {number} amount @returns {Warp[]} */
function faceWidth(places, amount) {
  const skin = places[SKIN];
  const [centre, half] = [middle(skin), halves(skin)];
  const [across, high] = [1.8 * half.x, 1.7 * half.y];
  const share = 1 - 1.3 ** -amount;
  return [
    {
      from: (x, y) => {
        const [u, v] = [x - centre.x, y - centre.y];
        return [centre.x + u * (1 - share * fade(Math.hypot(u / across, v / high))), y];
      },
      box: around(centre, across, high),
    },
  ];
}

/** Those of the classes that are on the sheet. @param {Place[]} places @param {readonly number[]} ids */
function there(places, ids) {
  return ids.map((id) => places[id]).filter(({ area }) => area);
}

/**
 * The 19 face classes as the painter shows them. Ids, names, titles, colours and the mirrored classes are
 * those of `mogle_core/masks/labels.py`; a test compares them.
 */

/** @typedef {readonly [number, number, number]} RGB */
/** @typedef {{id: number, name: string, title: string, rgb: RGB, distinct: RGB}} FaceClass */

/**
 * `rgb` is CelebAMask-HQ's colour. `distinct` is for display only: colours that stay apart for people with
 * any of the three kinds of colour blindness, found by maximising the least CIELAB distance of all pairs.
 * @type {ReadonlyArray<FaceClass>}
 */
export const CLASSES = Object.freeze([
  { id: 0, name: "background", title: "background", rgb: [0, 0, 0], distinct: [0, 0, 0] },
  { id: 1, name: "skin", title: "skin", rgb: [204, 0, 0], distinct: [249, 175, 240] },
  { id: 2, name: "nose", title: "nose", rgb: [76, 153, 0], distinct: [228, 150, 3] },
  { id: 3, name: "eye_g", title: "glasses", rgb: [204, 204, 0], distinct: [102, 19, 74] },
  { id: 4, name: "l_eye", title: "left eye", rgb: [51, 51, 255], distinct: [130, 3, 255] },
  { id: 5, name: "r_eye", title: "right eye", rgb: [204, 0, 204], distinct: [108, 102, 240] },
  { id: 6, name: "l_brow", title: "left brow", rgb: [0, 255, 255], distinct: [91, 255, 174] },
  { id: 7, name: "r_brow", title: "right brow", rgb: [255, 204, 204], distinct: [241, 255, 253] },
  { id: 8, name: "l_ear", title: "left ear", rgb: [102, 51, 0], distinct: [88, 101, 74] },
  { id: 9, name: "r_ear", title: "right ear", rgb: [255, 0, 0], distinct: [168, 255, 124] },
  { id: 10, name: "mouth", title: "inner mouth", rgb: [102, 204, 0], distinct: [118, 0, 0] },
  { id: 11, name: "u_lip", title: "upper lip", rgb: [255, 255, 0], distinct: [252, 88, 158] },
  { id: 12, name: "l_lip", title: "lower lip", rgb: [0, 0, 153], distinct: [146, 74, 162] },
  { id: 13, name: "hair", title: "hair", rgb: [0, 0, 204], distinct: [0, 0, 155] },
  { id: 14, name: "hat", title: "hat", rgb: [255, 51, 153], distinct: [201, 47, 2] },
  { id: 15, name: "ear_r", title: "earring", rgb: [0, 204, 204], distinct: [255, 235, 0] },
  { id: 16, name: "neck_l", title: "necklace", rgb: [0, 51, 0], distinct: [66, 0, 99] },
  { id: 17, name: "neck", title: "neck", rgb: [255, 153, 51], distinct: [180, 148, 251] },
  { id: 18, name: "cloth", title: "clothing", rgb: [0, 204, 0], distinct: [68, 174, 91] },
]);

export const BACKGROUND = 0;

/** The id that each class takes in a mirror. */
export const FLIPPED = Object.freeze([0, 1, 2, 3, 5, 4, 7, 6, 9, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18]);

/** @type {ReadonlyArray<{title: string, ids: readonly number[]}>} */
export const GROUPS = Object.freeze([
  { title: "Face", ids: [1, 2] },
  { title: "Eyes and brows", ids: [4, 5, 6, 7] },
  { title: "Mouth", ids: [11, 10, 12] },
  { title: "Hair and head", ids: [13, 8, 9] },
  { title: "Body", ids: [17, 18] },
  { title: "Accessories", ids: [3, 14, 15, 16] },
  { title: "Surroundings", ids: [0] },
]);

/** How other parsers number the classes; the server does the reading. */
export const LABEL_SPACES = Object.freeze([
  "auto",
  "celebamask",
  "farl",
  "bisenet",
  "lapa",
  "mediapipe",
  "ibugmask",
  "easyportrait",
  "facesynthetics",
  "helen",
  "e4s",
]);

/**
 * The colours on the screen, by class.
 * @param {boolean} distinct
 * @returns {RGB[]}
 */
export function colours(distinct) {
  return CLASSES.map((one) => (distinct ? one.distinct : one.rgb));
}

/** @param {RGB} rgb */
export function css(rgb) {
  return `rgb(${rgb.join(" ")})`;
}

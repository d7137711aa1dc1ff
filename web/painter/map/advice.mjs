/** Advice on the painting: regions too small for the model to see, missing parts, left and right swapped. */

import { TOKEN, counts, swapClasses, regions } from "./labelmap.mjs";
import { CLASSES } from "./palette.mjs";
import { t } from "./words.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("./labelmap.mjs").Box} Box */

/**
 * @typedef {import("./painting.mjs").Painting} Painting
 *
 * `where` lists the places to look at, if there are any; `mend` corrects the map, where the correction is obvious.
 * @typedef {{kind: "missing" | "small" | "swapped", text: string, where?: Box[], mend?: (map: Painting) => Painting}} Advice
 */

/** Nearly every face in training has one of each of these. */
const EXPECTED = [
  { ids: [1], title: "skin" },
  { ids: [2], title: "nose" },
  { ids: [4, 5, 3], title: "eyes" },
  { ids: [6, 7], title: "brows" },
  { ids: [11], title: "upper lip" },
  { ids: [12], title: "lower lip" },
];

const PAIRS = [
  { left: 4, right: 5, title: "eyes" },
  { left: 6, right: 7, title: "brows" },
  { left: 8, right: 9, title: "ears" },
];

/**
 * All advice on a painting, the most serious first. An empty painting gets none.
 * @param {LabelMap} map
 * @returns {Advice[]}
 */
export function advise(map) {
  const pixels = counts(map);
  if (pixels[0] === map.ids.length) return [];
  return [...swappedSides(map, pixels), ...missingParts(pixels), ...smallRegions(map)];
}

/** @param {Uint32Array} pixels @returns {Advice[]} */
function missingParts(pixels) {
  const absent = EXPECTED.filter(({ ids }) => ids.every((id) => !pixels[id]));
  if (!absent.length) return [];
  const titles = absent.map(({ title }) => t(title)).join(t(", "));
  return [{ kind: "missing", text: t("Missing: {titles}. Nearly all training faces have them.", { titles }) }];
}

/**
 * The person's left is on the picture's right.
 * @param {LabelMap} map
 * @param {Uint32Array} pixels
 * @returns {Advice[]}
 */
function swappedSides(map, pixels) {
  const columns = columnSums(map);
  return PAIRS.filter(({ left, right }) => {
    return pixels[left] && pixels[right] && columns[left] / pixels[left] < columns[right] / pixels[right];
  }).map(({ left, right, title }) => ({
    kind: "swapped",
    text: t("Left and right {title} are swapped. The person's left is on the right of the picture.", {
      title: t(title),
    }),
    mend: (current) => ({ ...current, ...swapClasses(current, [[left, right]]), isPainted: true }),
  }));
}

/** The sum of the columns of each class's pixels. @param {LabelMap} map */
function columnSums({ width, height, ids }) {
  const sums = new Float64Array(CLASSES.length);
  for (let i = 0, y = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) sums[ids[i]] += x;
  }
  return sums;
}

/**
 * Regions with fewer pixels than one token covers: one advice a class, so that a ragged edge does not fill the list.
 * @param {LabelMap} map
 * @returns {Advice[]}
 */
function smallRegions(map) {
  const small = regions(map)
    .filter(({ area }) => area < TOKEN * TOKEN)
    .sort((one, other) => one.area - other.area);
  return [...new Set(small.map(({ id }) => id))].map((id) => {
    const spots = small.filter((spot) => spot.id === id);
    return { kind: "small", text: spotText(t(CLASSES[id].title), spots), where: spots.map(({ box }) => box) };
  });
}

/** @param {string} title @param {{area: number}[]} spots */
function spotText(title, spots) {
  const count = spots.length;
  const values = { title, count, area: spots[0].area, token: TOKEN };
  if (count > 1) return t("{title}: {count} spots, each smaller than one token ({token} x {token}).", values);
  return values.area === 1
    ? t("{title}: a spot of 1 pixel, smaller than one token ({token} x {token}).", values)
    : t("{title}: a spot of {area} pixels, smaller than one token ({token} x {token}).", values);
}

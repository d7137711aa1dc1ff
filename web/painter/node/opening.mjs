/** What the card shows and the editor opens: what is painted, and for the rest what the inputs give. */

import { MAX_SIDE, MIN_SIDE, TOKEN, contain } from "../map/labelmap.mjs";
import { linesOf } from "../map/lines.mjs";
import { unpainted } from "../map/painting.mjs";
import { messageOf } from "../map/refusal.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/painting.mjs").Painting} Painting */
/** @typedef {import("../map/lines.mjs").Size} Size */
/** @typedef {import("../map/labelmap.mjs").LabelMap} LabelMap */

/**
 * @typedef {object} Sources
 * @property {() => Promise<LabelMap | null>} mask
 * @property {() => Promise<Blob | null>} sketch
 * @property {() => Promise<Blob | null>} photo
 */

/** `isGiven`: whether something is painted, drawn or given. @typedef {{painting: Painting, notice: string, isGiven: boolean}} Opened */

const SIDE = 512;

/**
 * The sheet has the size of what is painted, else of the mask input, else of the photo.
 * @param {Painting | null} stored @param {Sources} sources
 * @returns {Promise<Opened>}
 */
export async function openSheet(stored, sources) {
  /** @type {string[]} */
  const notices = [];
  /** @type {(error: unknown) => null} */
  const report = (error) => {
    notices.push(messageOf(error));
    return null;
  };
  const mask = stored?.isPainted ? null : await sources.mask().catch(report);
  const size = stored ?? mask ?? (await photoSize(sources, notices));
  const painting = stored ? { ...stored } : unpainted(size.width, size.height);
  if (mask) painting.ids = contain(mask, size.width, size.height).ids;
  if (!painting.isDrawn) painting.pencil = await sketchOf(sources, size).catch(report);
  const isGiven = stored !== null || mask !== null || painting.pencil !== null;
  return { painting, notice: notices.join(" "), isGiven };
}

/** @param {Sources} sources @param {string[]} notices @returns {Promise<Size>} */
async function photoSize(sources, notices) {
  const file = await sources.photo().catch(() => null);
  const photo = file && (await createImageBitmap(file).catch(() => null));
  if (!photo) return { width: SIDE, height: SIDE };
  const { width, height } = photo;
  const size = nearestSize(photo);
  photo.close();
  if (size.width !== width || size.height !== height) notices.push(otherSize({ width, height }, size));
  return size;
}

/** @param {Size} photo @param {Size} sheet */
function otherSize(photo, sheet) {
  const sizes = { width: photo.width, height: photo.height, sheetWidth: sheet.width, sheetHeight: sheet.height };
  return t(
    "The photo is {width} × {height}. The sheet is {sheetWidth} × {sheetHeight}, the nearest size that a painting can have; the photo is not stretched.",
    sizes,
  );
}

/** The nearest size that a painting may have, not larger than it may be. @param {Size} picture @returns {Size} */
export function nearestSize({ width, height }) {
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const side = (/** @type {number} */ length) => {
    return Math.max(MIN_SIDE, Math.min(MAX_SIDE, Math.round((length * scale) / TOKEN) * TOKEN));
  };
  return { width: side(width), height: side(height) };
}

/** @param {Sources} sources @param {Size} size */
async function sketchOf(sources, size) {
  const file = await sources.sketch();
  return file && linesOf(await createImageBitmap(file), size, false);
}

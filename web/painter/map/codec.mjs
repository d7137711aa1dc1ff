/**
 * A painting as one line of text, the same as `mogle_core/masks/painting.py` reads and writes:
 * `mogle1:WIDTHxHEIGHT:` and the ids in zlib format as base64. An empty text is an empty painting.
 */

import { isSide } from "./labelmap.mjs";
import { CLASSES } from "./palette.mjs";
import { t } from "./words.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */

/** The message says in a sentence what is wrong with a text. */
export class PaintingError extends Error {}

const FORM = /^mogle1:(\d{1,5})x(\d{1,5}):([A-Za-z0-9+/]+={0,2})$/;

/**
 * The label map of a widget's value, null if nothing is painted. Never unpacks more than width * height bytes.
 * @param {unknown} text
 * @returns {Promise<LabelMap | null>}
 * @throws {PaintingError}
 */
export async function readPainting(text) {
  if (typeof text !== "string") throw new PaintingError(t("The stored painting is not text."));
  if (!text.trim()) return null;
  const parts = FORM.exec(text.trim());
  if (!parts) throw new PaintingError(t("The stored painting must begin with mogle1:WIDTHxHEIGHT:."));
  const [width, height] = [Number(parts[1]), Number(parts[2])];
  if (!isSide(width) || !isSide(height)) {
    const sentence = t("The stored painting is {width} x {height}; sides must be multiples of 16, from 16 to 4096.", {
      width,
      height,
    });
    throw new PaintingError(sentence);
  }
  const ids = await inflate(parts[3], width * height);
  const highest = ids.reduce((a, b) => Math.max(a, b), 0);
  if (highest >= CLASSES.length) {
    throw new PaintingError(t("The stored painting has class id {highest}; ids go from 0 to 18.", { highest }));
  }
  return { width, height, ids };
}

/**
 * @param {LabelMap} map
 * @returns {Promise<string>}
 */
export async function writePainting({ width, height, ids }) {
  return `mogle1:${width}x${height}:${toBase64(await deflate(ids))}`;
}

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array>} in zlib format
 */
export async function deflate(bytes) {
  const stream = new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Decodes base64 and zlib to exactly `size` bytes.
 * @param {string} packed
 * @param {number} size
 * @returns {Promise<Uint8Array>}
 * @throws {PaintingError}
 */
export async function inflate(packed, size) {
  const result = new Uint8Array(size);
  let filled = 0;
  try {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (filled + part.value.length > size) {
        reader.cancel().catch(() => {});
        throw new RangeError("too long");
      }
      result.set(part.value, filled);
      filled += part.value.length;
    }
  } catch {
    throw new PaintingError(t("The stored painting is damaged."));
  }
  if (filled !== size) throw new PaintingError(t("The stored painting is incomplete: pixels are missing."));
  return result;
}

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  let letters = "";
  // In chunks, because a call cannot take any number of arguments.
  for (let i = 0; i < bytes.length; i += 0x8000) letters += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(letters);
}

/**
 * A painting as one line of text, the same as `mogle_core/masks/painting.py` reads and writes:
 * `mogle1:WIDTHxHEIGHT:` and the ids in zlib format as base64, or `mogle2:WIDTHxHEIGHT:IDS:PENCIL` with a pencil
 * drawing; IDS is empty if no map is painted. An empty text is an empty painting.
 */

import { isSide } from "./labelmap.mjs";
import { asPainting } from "./painting.mjs";
import { CLASSES } from "./palette.mjs";
import { t } from "./words.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("./painting.mjs").Painting} Painting */

/** The message says in a sentence what is wrong with a text. */
export class PaintingError extends Error {}

const FORM = /^mogle([12]):(\d{1,5})x(\d{1,5}):([A-Za-z0-9+/]+={0,2})?(?::([A-Za-z0-9+/]+={0,2}))?$/;

/**
 * The painting of a widget's value, null if nothing is painted or drawn. Never unpacks more than width * height bytes
 * for a plane.
 * @param {unknown} text
 * @returns {Promise<Painting | null>}
 * @throws {PaintingError}
 */
export async function readPainting(text) {
  if (typeof text !== "string") throw new PaintingError(t("The stored painting is not text."));
  if (!text.trim()) return null;
  const parts = FORM.exec(text.trim());
  const [, version, , , packed, drawing] = parts ?? [];
  // Version 1 has a map and no drawing; version 2 always has a drawing.
  if (!parts || (version === "1" ? !packed || drawing : !drawing)) throw new PaintingError(formComplaint(text.trim()));
  const [width, height] = [Number(parts[2]), Number(parts[3])];
  if (!isSide(width) || !isSide(height)) {
    const sentence = t("The stored painting is {width} x {height}; sides must be multiples of 16, from 16 to 4096.", {
      width,
      height,
    });
    throw new PaintingError(sentence);
  }
  const ids = packed ? await inflate(packed, width * height) : new Uint8Array(width * height);
  const highest = ids.reduce((a, b) => Math.max(a, b), 0);
  if (highest >= CLASSES.length) {
    throw new PaintingError(t("The stored painting has class id {highest}; ids go from 0 to 18.", { highest }));
  }
  const pencil = drawing ? await inflate(drawing, width * height) : null;
  return { width, height, ids, pencil, isPainted: Boolean(packed), isDrawn: pencil !== null };
}

/** @param {string} text */
function formComplaint(text) {
  const version = Number(/^mogle(\d{1,9}):/.exec(text)?.[1] ?? 0);
  return version > 2
    ? t("The stored painting has version {version}; this painter reads 1 and 2. Update ComfyUI-MoGLE.", { version })
    : t("The stored painting must have the form mogle1:WIDTHxHEIGHT:MAP or mogle2:WIDTHxHEIGHT:MAP:PENCIL.");
}

/**
 * @param {LabelMap & Partial<Painting>} map
 * @returns {Promise<string>}
 */
export async function writePainting(map) {
  const { width, height, ids, pencil, isPainted, isDrawn } = asPainting(map);
  if (!isPainted && !isDrawn) return "";
  const packed = isPainted ? toBase64(await deflate(ids)) : "";
  if (!isDrawn) return `mogle1:${width}x${height}:${packed}`;
  const drawing = toBase64(await deflate(pencil ?? new Uint8Array(width * height)));
  return `mogle2:${width}x${height}:${packed}:${drawing}`;
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

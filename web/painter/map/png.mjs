/** Writes a label map as a PNG: its ids as grey levels, or its colours with a palette. Both are lossless. */

import { deflate } from "./codec.mjs";
import { CLASSES } from "./palette.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */

const GREY = 0;
const INDEXED = 3;

/**
 * Grey levels 0 to 18 are the ids.
 * @param {LabelMap} map
 */
export function idsPng(map) {
  return png(map, GREY, []);
}

/**
 * CelebAMask-HQ's colours.
 * @param {LabelMap} map
 */
export function coloursPng(map) {
  const palette = Uint8Array.from(CLASSES.flatMap((one) => [...one.rgb]));
  return png(map, INDEXED, [chunk("PLTE", palette)]);
}

/**
 * @param {LabelMap} map
 * @param {number} colourType
 * @param {Uint8Array[]} between  chunks before the pixels
 * @returns {Promise<Blob>}
 */
async function png({ width, height, ids }, colourType, between) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, colourType], 8);
  const rows = new Uint8Array(height * (width + 1)); // each row begins with its filter type, 0: none
  for (let y = 0; y < height; y++) rows.set(ids.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const parts = [
    chunk("IHDR", header),
    ...between,
    chunk("IDAT", await deflate(rows)),
    chunk("IEND", new Uint8Array()),
  ];
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return new Blob(/** @type {BlobPart[]} */ ([signature, ...parts]), { type: "image/png" });
}

/** @param {string} name @param {Uint8Array} content */
function chunk(name, content) {
  const result = new Uint8Array(content.length + 12);
  const view = new DataView(result.buffer);
  view.setUint32(0, content.length);
  result.set(new TextEncoder().encode(name), 4);
  result.set(content, 8);
  view.setUint32(content.length + 8, crc(result.subarray(4, content.length + 8)));
  return result;
}

const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte >>> 0;
});

/** @param {Uint8Array} bytes */
function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = REMAINDERS[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

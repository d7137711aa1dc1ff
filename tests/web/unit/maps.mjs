/** Small label maps for the tests. */

/** @param {...string} rows  a digit or a letter (base 36) a pixel */
export function mapOf(...rows) {
  const ids = Uint8Array.from(rows.join(""), (letter) => parseInt(letter, 36));
  return { width: rows[0].length, height: rows.length, ids };
}

export function rowsOf({ width, height, ids }) {
  return Array.from({ length: height }, (_, y) =>
    [...ids.subarray(y * width, (y + 1) * width)].map((id) => id.toString(36)).join(""),
  );
}

/** The same noise for the same seed. */
export function noise(width, height, seed, classes = 19) {
  let state = seed * 2654435761 + 1;
  const next = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) % classes;
  return { width, height, ids: Uint8Array.from({ length: width * height }, next) };
}

/** Pencil lines: grey levels, 255 for a full line. Soft strokes, other sizes, and the lines of a picture. */

/** @typedef {import("./raster.mjs").Point} Point */
/** @typedef {{width: number, height: number}} Size */
/** A point of a stroke with the line's radius there. @typedef {Point & {radius: number}} Dot */

/**
 * The share of each pixel that a segment of a stroke covers, with a soft edge of one pixel.
 * @param {Dot} a
 * @param {Dot} b
 * @param {Size} size  of the plane
 * @param {(index: number, cover: number) => void} each
 */
export function softSegment(a, b, { width, height }, each) {
  const reach = Math.max(a.radius, b.radius) + 0.5;
  const [left, right] = [Math.max(0, Math.floor(Math.min(a.x, b.x) - reach)), Math.max(a.x, b.x) + reach];
  const [top, bottom] = [Math.max(0, Math.floor(Math.min(a.y, b.y) - reach)), Math.max(a.y, b.y) + reach];
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const square = dx * dx + dy * dy;
  for (let y = top; y < Math.min(bottom, height); y++) {
    for (let x = left; x < Math.min(right, width); x++) {
      const [px, py] = [x + 0.5 - a.x, y + 0.5 - a.y];
      const along = square ? Math.max(0, Math.min(1, (px * dx + py * dy) / square)) : 0;
      const away = Math.hypot(px - along * dx, py - along * dy);
      const cover = a.radius + along * (b.radius - a.radius) + 0.5 - away;
      if (cover > 0) each(y * width + x, Math.min(1, cover));
    }
  }
}

/**
 * By a triangle filter, as wide as a pixel of the coarser side, so that thin lines fade and do not break.
 * @param {Uint8Array} lines @param {Size} from @param {Size} to @returns {Uint8Array}
 */
export function resizeLines(lines, from, to) {
  if (from.width === to.width && from.height === to.height) return lines.slice();
  const wide = new Float32Array(to.width * from.height);
  resample(lines, wide, { count: from.height, step: from.width }, 1, taps(from.width, to.width));
  const result = new Float32Array(to.width * to.height);
  resampleRows(wide, result, to.width, taps(from.height, to.height));
  return Uint8Array.from(result, Math.round);
}

/** For each place, the first source and the weights from there. @typedef {{first: number, weights: number[]}[]} Taps */

/** @param {number} from @param {number} to @returns {Taps} */
function taps(from, to) {
  const scale = Math.max(1, from / to);
  return Array.from({ length: to }, (_, i) => {
    const centre = ((i + 0.5) * from) / to;
    const first = Math.max(0, Math.ceil(centre - scale - 0.5));
    const last = Math.min(from - 1, Math.floor(centre + scale - 0.5));
    const weights = Array.from({ length: last - first + 1 }, (_, k) => {
      return Math.max(0, 1 - Math.abs(first + k + 0.5 - centre) / scale);
    });
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((one) => one / sum) };
  });
}

/**
 * @param {Uint8Array} source @param {Float32Array} target @param {{count: number, step: number}} rows
 * @param {number} stride @param {Taps} places
 */
function resample(source, target, { count, step }, stride, places) {
  for (let row = 0; row < count; row++) {
    const [from, to] = [row * step, row * places.length];
    places.forEach(({ first, weights }, x) => {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * source[from + (first + k) * stride];
      target[to + x] = sum;
    });
  }
}

/** @param {Float32Array} source @param {Float32Array} target @param {number} width @param {Taps} places */
function resampleRows(source, target, width, places) {
  places.forEach(({ first, weights }, y) => {
    for (let k = 0; k < weights.length; k++) {
      const from = (first + k) * width;
      for (let x = 0; x < width; x++) target[y * width + x] += weights[k] * source[from + x];
    }
  });
}

/**
 * Where a picture lies on a sheet of another shape: as large as it fits, in the middle, never stretched.
 * @param {Size} picture @param {Size} sheet @returns {import("./labelmap.mjs").Box}
 */
export function fitted(picture, sheet) {
  const scale = Math.min(sheet.width / picture.width, sheet.height / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  return { x: (sheet.width - width) / 2, y: (sheet.height - height) / 2, width, height };
}

/**
 * The lines of a picture, by its lightness, at the sheet's size.
 * @param {ImageBitmap} picture
 * @param {Size} sheet
 * @param {boolean} mayBeDark  whether dark lines on a light ground are turned round
 */
export function linesOf(picture, { width, height }, mayBeDark) {
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext("2d"));
  const box = fitted(picture, { width, height });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, box.x, box.y, box.width, box.height);
  const { data } = context.getImageData(0, 0, width, height);
  const lines = new Uint8Array(width * height);
  let [sum, weight] = [0, 0];
  for (let i = 0; i < lines.length; i++) {
    const [red, green, blue, alpha] = data.subarray(4 * i, 4 * i + 4);
    lines[i] = Math.round(((0.299 * red + 0.587 * green + 0.114 * blue) * alpha) / 255);
    sum += lines[i];
    weight += alpha;
  }
  if (mayBeDark && sum > weight / 2) for (let i = 0; i < lines.length; i++) lines[i] = data[4 * i + 3] - lines[i];
  return lines;
}

/**
 * Shapes as runs of pixels. A pixel belongs to a shape if its centre does; edges never blend.
 * Coordinates are in pixels from the map's top left corner, so pixel (3, 4) spans 3..4 and 4..5.
 */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {(y: number, from: number, to: number) => void} Emit  a run from `from` to `to`, exclusive */

/**
 * Snaps a point to where a round brush of this diameter sits: on a pixel's centre, or on a corner if it is even.
 * @param {Point} point
 * @param {number} diameter
 * @returns {Point}
 */
export function snap({ x, y }, diameter) {
  return Math.round(diameter) % 2
    ? { x: Math.floor(x) + 0.5, y: Math.floor(y) + 0.5 }
    : { x: Math.round(x), y: Math.round(y) };
}

/** @param {number} y @param {number} left @param {number} right @param {Emit} emit */
function run(y, left, right, emit) {
  // With this tolerance an edge through a pixel's centre includes the pixel, whatever the rounding error.
  const [from, to] = [Math.ceil(left - 0.5 - 1e-9), Math.floor(right - 0.5 + 1e-9) + 1];
  if (to > from) emit(y, from, to);
}

/** @param {number} top @param {number} bottom @param {(y: number) => void} each  for rows with their centre inside */
function rows(top, bottom, each) {
  for (let y = Math.ceil(top - 0.5 - 1e-9); y + 0.5 <= bottom + 1e-9; y++) each(y);
}

/**
 * A segment of a stroke: a round brush drawn straight from `a` to `b`.
 * @param {Point} a
 * @param {Point} b
 * @param {number} diameter
 * @param {Emit} emit
 */
export function capsule(a, b, diameter, emit) {
  const radius = diameter / 2;
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = Math.hypot(dx, dy);
  const [nx, ny] = length ? [(-dy / length) * radius, (dx / length) * radius] : [0, 0];
  const sides = [a, b].flatMap((p) => [
    { x: p.x + nx, y: p.y + ny },
    { x: p.x - nx, y: p.y - ny },
  ]);
  const hull = [sides[0], sides[1], sides[3], sides[2]];
  rows(Math.min(a.y, b.y) - radius, Math.max(a.y, b.y) + radius, (y) => {
    let [left, right] = [Infinity, -Infinity];
    for (const end of [a, b]) {
      const half = radius ** 2 - (y + 0.5 - end.y) ** 2;
      if (half < -1e-9) continue;
      left = Math.min(left, end.x - Math.sqrt(Math.max(half, 0)));
      right = Math.max(right, end.x + Math.sqrt(Math.max(half, 0)));
    }
    if (length) {
      for (const x of crossings(hull, y + 0.5)) [left, right] = [Math.min(left, x.x), Math.max(right, x.x)];
    }
    if (right >= left) run(y, left, right, emit);
  });
}

/**
 * A segment of a stroke whose diameter changes from `from` to `to`, as with a pen's pressure.
 * @param {Point} a
 * @param {Point} b
 * @param {number} from
 * @param {number} to
 * @param {Emit} emit
 */
export function taper(a, b, from, to, emit) {
  const steps = Math.max(1, Math.ceil(Math.hypot(b.x - a.x, b.y - a.y) / Math.max(1, Math.min(from, to) / 4)));
  for (let i = 0; i <= steps; i++) {
    const t = i / steps;
    const point = { x: a.x + (b.x - a.x) * t, y: a.y + (b.y - a.y) * t };
    capsule(point, point, from + (to - from) * t, emit);
  }
}

/**
 * @param {Point} a
 * @param {Point} b  the opposite corner; the pixels of both corners are included
 * @param {Emit} emit
 */
export function rectangle(a, b, emit) {
  const { left, top, right, bottom } = span(a, b);
  for (let y = top; y < bottom; y++) emit(y, left, right);
}

/**
 * The ellipse that fills the rectangle from `a` to `b`.
 * @param {Point} a
 * @param {Point} b
 * @param {Emit} emit
 */
export function ellipse(a, b, emit) {
  const { left, top, right, bottom } = span(a, b);
  const [cx, cy, rx, ry] = [(left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2];
  for (let y = top; y < bottom; y++) {
    const half = rx * Math.sqrt(Math.max(0, 1 - ((y + 0.5 - cy) / ry) ** 2));
    run(y, cx - half, cx + half, emit);
  }
}

/** @param {Point} a @param {Point} b */
function span(a, b) {
  const [left, top] = [Math.floor(Math.min(a.x, b.x)), Math.floor(Math.min(a.y, b.y))];
  return { left, top, right: Math.floor(Math.max(a.x, b.x)) + 1, bottom: Math.floor(Math.max(a.y, b.y)) + 1 };
}

/**
 * The area inside an outline. Where it crosses itself, by the nonzero rule.
 * @param {ReadonlyArray<Point>} outline
 * @param {Emit} emit
 */
export function polygon(outline, emit) {
  const heights = outline.map((p) => p.y);
  rows(
    heights.reduce((a, b) => Math.min(a, b)),
    heights.reduce((a, b) => Math.max(a, b)),
    (y) => {
      let winding = 0;
      let left = 0;
      for (const { x, turn } of crossings(outline, y + 0.5)) {
        if (!winding) left = x;
        winding += turn;
        if (!winding) run(y, left, x, emit);
      }
    },
  );
}

/**
 * Where the outline crosses a row's height, sorted from the left.
 * @param {ReadonlyArray<Point>} outline
 * @param {number} y
 */
function crossings(outline, y) {
  const list = [];
  for (let i = 0; i < outline.length; i++) {
    const [a, b] = [outline[i], outline[(i + 1) % outline.length]];
    if (a.y <= y === b.y <= y) continue;
    list.push({ x: a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x), turn: a.y < b.y ? 1 : -1 });
  }
  return list.sort((one, other) => one.x - other.x);
}

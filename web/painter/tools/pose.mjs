/** Where a region stands while it is moved, scaled and turned, and which pixels it covers there. */

/** @typedef {import("../map/raster.mjs").Point} Point */
/** @typedef {import("../map/labelmap.mjs").Region} Region */

/**
 * How far a region is moved, by how much it is scaled, and by which angle turned, about its middle.
 * @typedef {{dx: number, dy: number, sx: number, sy: number, angle: number}} Pose
 */

/** @type {Readonly<Pose>} */
export const AT_REST = Object.freeze({ dx: 0, dy: 0, sx: 1, sy: 1, angle: 0 });

/** @param {Region} region @returns {Point} */
export function middle({ box }) {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

/**
 * Where a point of the region goes.
 * @param {Point} centre
 * @param {Pose} pose
 * @param {Point} point
 * @returns {Point}
 */
export function posed(centre, pose, point) {
  const [x, y] = [(point.x - centre.x) * pose.sx, (point.y - centre.y) * pose.sy];
  const [cos, sin] = [Math.cos(pose.angle), Math.sin(pose.angle)];
  return { x: centre.x + pose.dx + x * cos - y * sin, y: centre.y + pose.dy + x * sin + y * cos };
}

/**
 * Which point of the region comes here: the inverse of `posed`.
 * @param {Point} centre
 * @param {Pose} pose
 * @param {Point} point
 * @returns {Point}
 */
export function unposed(centre, pose, point) {
  const [x, y] = [point.x - centre.x - pose.dx, point.y - centre.y - pose.dy];
  const [cos, sin] = [Math.cos(pose.angle), Math.sin(pose.angle)];
  return { x: centre.x + (x * cos + y * sin) / pose.sx, y: centre.y + (y * cos - x * sin) / pose.sy };
}

/** @param {Region} region @param {Pose} pose @returns {Point[]} the corners of its box */
export function frame(region, pose) {
  const { x, y, width, height } = region.box;
  const corners = [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ];
  return corners.map(([cx, cy]) => posed(middle(region), pose, { x: cx, y: cy }));
}

/**
 * The runs of a region in its pose. Every pixel takes the one that comes there, so no class is invented.
 * @param {Region} region
 * @param {Pose} pose
 * @param {number} width
 * @param {number} height
 * @param {import("../map/raster.mjs").Emit} emit
 */
export function place(region, pose, width, height, emit) {
  const corners = frame(region, pose);
  const [xs, ys] = [corners.map((p) => p.x), corners.map((p) => p.y)];
  const [left, right] = [Math.max(0, Math.floor(Math.min(...xs))), Math.min(width, Math.ceil(Math.max(...xs)))];
  const [top, bottom] = [Math.max(0, Math.floor(Math.min(...ys))), Math.min(height, Math.ceil(Math.max(...ys)))];
  const { box, inside } = region;
  const centre = middle(region);
  /** @param {number} x @param {number} y */
  const isIn = (x, y) => {
    const from = unposed(centre, pose, { x: x + 0.5, y: y + 0.5 });
    const [fx, fy] = [Math.floor(from.x + 1e-9), Math.floor(from.y + 1e-9)];
    const isInBox = fx >= box.x && fy >= box.y && fx < box.x + box.width && fy < box.y + box.height;
    return isInBox && inside[fy * width + fx] === 1;
  };
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const start = x;
      while (x < right && isIn(x, y)) x++;
      if (x > start) emit(y, start, x);
    }
  }
}

/**
 * Both sides alike; with Shift each by itself.
 * @param {Pose} pose
 * @param {Point} centre
 * @param {Point} from
 * @param {Point & {shift: boolean}} to
 */
export function scales(pose, centre, from, to) {
  const [cos, sin] = [Math.cos(pose.angle), Math.sin(pose.angle)];
  /** @param {Point} p @returns {[number, number]} */
  const along = (p) => {
    const [x, y] = [p.x - centre.x, p.y - centre.y];
    return [x * cos + y * sin, y * cos - x * sin];
  };
  const [[fx, fy], [tx, ty]] = [along(from), along(to)];
  /** @param {number} a @param {number} b */
  const factor = (a, b) => Math.max(0.05, Math.abs(b) < 1e-6 ? 1 : Math.abs(a / b));
  if (to.shift) return { sx: pose.sx * factor(tx, fx), sy: pose.sy * factor(ty, fy) };
  const both = factor(Math.hypot(tx, ty), Math.hypot(fx, fy));
  return { sx: pose.sx * both, sy: pose.sy * both };
}

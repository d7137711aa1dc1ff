/** The pose of a region that is being moved, scaled and turned, and the pixels that it covers. */

/** @typedef {import("../map/raster.mjs").Point} Point */
/** @typedef {import("../map/labelmap.mjs").Region} Region */

/**
 * A translation, a scale and an angle, about the region's centre.
 * @typedef {{dx: number, dy: number, sx: number, sy: number, angle: number}} Pose
 */

/** @type {Readonly<Pose>} */
export const AT_REST = Object.freeze({ dx: 0, dy: 0, sx: 1, sy: 1, angle: 0 });

/** @param {Region} region @returns {Point} */
export function middle({ box }) {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

/**
 * Where the pose puts a point of the region.
 * @param {Point} centre
 * @param {Pose} pose
 * @param {Point} point
 * @returns {Point}
 */
export function toPose(centre, pose, point) {
  const [x, y] = [(point.x - centre.x) * pose.sx, (point.y - centre.y) * pose.sy];
  const [cos, sin] = [Math.cos(pose.angle), Math.sin(pose.angle)];
  return { x: centre.x + pose.dx + x * cos - y * sin, y: centre.y + pose.dy + x * sin + y * cos };
}

/**
 * Which point of the region the pose puts here: the inverse of `toPose`.
 * @param {Point} centre
 * @param {Pose} pose
 * @param {Point} point
 * @returns {Point}
 */
export function fromPose(centre, pose, point) {
  const [x, y] = [point.x - centre.x - pose.dx, point.y - centre.y - pose.dy];
  const [cos, sin] = [Math.cos(pose.angle), Math.sin(pose.angle)];
  return { x: centre.x + (x * cos + y * sin) / pose.sx, y: centre.y + (y * cos - x * sin) / pose.sy };
}

/** @param {Region} region @param {Pose} pose @returns {Point[]} the corners of its box in the pose */
export function frame(region, pose) {
  const { x, y, width, height } = region.box;
  const corners = [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ];
  return corners.map(([cx, cy]) => toPose(middle(region), pose, { x: cx, y: cy }));
}

/**
 * The runs of a region in its pose, by nearest neighbour.
 * @param {Region} region
 * @param {Pose} pose
 * @param {number} width
 * @param {number} height
 * @param {import("../map/raster.mjs").Emit} emit
 */
export function place(region, pose, width, height, emit) {
  if (pose.sx === 1 && pose.sy === 1 && pose.angle === 0 && Number.isInteger(pose.dx) && Number.isInteger(pose.dy)) {
    return shift(region, pose, width, height, emit);
  }
  const corners = frame(region, pose);
  const [xs, ys] = [corners.map((p) => p.x), corners.map((p) => p.y)];
  const [left, right] = [Math.max(0, Math.floor(Math.min(...xs))), Math.min(width, Math.ceil(Math.max(...xs)))];
  const [top, bottom] = [Math.max(0, Math.floor(Math.min(...ys))), Math.min(height, Math.ceil(Math.max(...ys)))];
  const { box, inside } = region;
  const centre = middle(region);
  const [cos, sin] = [Math.cos(pose.angle), Math.sin(pose.angle)];
  const [endX, endY] = [box.x + box.width, box.y + box.height];
  for (let y = top; y < bottom; y++) {
    const py = y + 0.5 - centre.y - pose.dy;
    let start = -1;
    for (let x = left; x < right; x++) {
      // `fromPose`, without an object for each pixel.
      const px = x + 0.5 - centre.x - pose.dx;
      const fx = Math.floor(centre.x + (px * cos + py * sin) / pose.sx + 1e-9);
      const fy = Math.floor(centre.y + (py * cos - px * sin) / pose.sy + 1e-9);
      const isInBox = fx >= box.x && fx < endX && fy >= box.y && fy < endY;
      if (isInBox && inside[fy * width + fx] === 1) {
        if (start < 0) start = x;
      } else if (start >= 0) {
        emit(y, start, x);
        start = -1;
      }
    }
    if (start >= 0) emit(y, start, right);
  }
}

/**
 * The runs of a region that is only moved.
 * @param {Region} region @param {Pose} pose @param {number} width @param {number} height
 * @param {import("../map/raster.mjs").Emit} emit
 */
function shift({ runs }, { dx, dy }, width, height, emit) {
  for (let k = 0; k < runs.length; k += 2) {
    const row = Math.floor(runs[k] / width);
    const [from, to] = [runs[k] - row * width + dx, runs[k + 1] - row * width + dx];
    if (row + dy >= 0 && row + dy < height && to > 0 && from < width) emit(row + dy, Math.max(0, from), Math.min(width, to));
  }
}

/**
 * The scale after a drag of a corner: equal for both sides, or separate with Shift.
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

/** The tool that moves, scales and rotates a region. What it leaves behind takes the classes around it. */

import { regionAt, regionOf, vacated } from "../map/labelmap.mjs";
import { BACKGROUND, CLASSES } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./tools.mjs").Studio} Studio */
/** @typedef {import("./tools.mjs").Touch} Touch */
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

/** A region that is held, and what is done to it; none between two of them. */
export class Transform {
  constructor() {
    /** @type {Region | null} */
    this.region = null;
    /** @type {Pose} */
    this.pose = AT_REST;
    /** How close a handle must be, in pixels of the map: the view sets it by its zoom. */
    this.reach = 8;
    /** How far above the box the turning handle stands, in pixels of the map. */
    this.arm = 24;
  }

  /** @param {Studio} studio @param {Touch} touch */
  down(studio, touch) {
    const handle = this.region && this.#handleAt(touch);
    if (!handle) {
      this.finish(studio);
      this.#take(studio, touch);
    }
    this.grip = { kind: handle ?? "move", from: touch, pose: this.pose };
  }

  /** @param {Studio} studio @param {Touch} touch */
  #take(studio, touch) {
    const { map } = studio.sheet;
    const [x, y] = [Math.floor(touch.x), Math.floor(touch.y)];
    if (x < 0 || y < 0 || x >= map.width || y >= map.height) return;
    const id = map.ids[y * map.width + x];
    if (id === BACKGROUND) return studio.say(t("Choose a region: the background stays where it is."));
    if (!studio.sheet.open[id]) return studio.say(t("{title} is protected.", { title: t(CLASSES[id].title) }));
    this.region = touch.shift ? regionOf(map, id) : regionAt(map, x, y);
    this.pose = AT_REST;
    this.left = vacated(map, this.region);
  }

  /** @param {Touch} touch @returns {"turn" | "scale" | "move" | null} */
  #handleAt(touch) {
    const handles = this.handles();
    const near = (/** @type {Point} */ p) => Math.hypot(p.x - touch.x, p.y - touch.y) <= this.reach;
    if (near(handles[4])) return "turn";
    if (handles.slice(0, 4).some(near)) return "scale";
    const region = /** @type {Region} */ (this.region);
    const { x, y } = unposed(middle(region), this.pose, touch);
    const { box } = region;
    return x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height ? "move" : null;
  }

  /** @returns {Point[]} four corners, and the handle that turns; empty if no region is held */
  handles() {
    if (!this.region) return [];
    const corners = frame(this.region, this.pose);
    const top = { x: (corners[0].x + corners[1].x) / 2, y: (corners[0].y + corners[1].y) / 2 };
    const { angle } = this.pose;
    return [...corners, { x: top.x + this.arm * Math.sin(angle), y: top.y - this.arm * Math.cos(angle) }];
  }

  /** @param {Studio} studio @param {Touch} touch */
  drag(studio, touch) {
    if (!this.region || !this.grip) return;
    const { kind, from, pose } = this.grip;
    const centre = posed(middle(this.region), pose, middle(this.region));
    if (kind === "move") {
      this.pose = { ...pose, dx: pose.dx + Math.round(touch.x - from.x), dy: pose.dy + Math.round(touch.y - from.y) };
    } else if (kind === "turn") {
      const angle =
        Math.atan2(touch.y - centre.y, touch.x - centre.x) - Math.atan2(from.y - centre.y, from.x - centre.x);
      const step = Math.PI / 12;
      const turned = pose.angle + angle;
      this.pose = { ...pose, angle: touch.shift ? Math.round(turned / step) * step : turned };
    } else {
      this.pose = { ...pose, ...scales(pose, centre, from, touch) };
    }
    this.#show(studio);
  }

  /** @param {Studio} studio */
  #show({ sheet }) {
    if (!this.region || !this.left) return;
    sheet.restore();
    sheet.lay(this.left, this.region.box);
    const mirror = sheet.mirror;
    sheet.mirror = null;
    place(this.region, this.pose, sheet.width, sheet.height, sheet.pen(this.region.id));
    sheet.mirror = mirror;
  }

  up() {
    this.grip = null;
  }

  /**
   * By keyboard: adds to the pose of the region that is held.
   * @param {Studio} studio
   * @param {Partial<Pose>} by  sx is a factor for both sides
   */
  nudge(studio, { dx = 0, dy = 0, sx = 1, angle = 0 }) {
    if (!this.region) return false;
    const { pose } = this;
    this.pose = { dx: pose.dx + dx, dy: pose.dy + dy, sx: pose.sx * sx, sy: pose.sy * sx, angle: pose.angle + angle };
    this.#show(studio);
    return true;
  }

  /** @param {Studio} studio */
  finish(studio) {
    if (!this.region) return false;
    this.#release();
    studio.sheet.commit(t("move"));
    return true;
  }

  /** @param {Studio} studio */
  cancel(studio) {
    this.#release();
    studio.sheet.restore();
  }

  #release() {
    this.region = null;
    this.left = undefined;
    this.grip = null;
    this.pose = AT_REST;
  }
}

/**
 * Both sides alike; with Shift each by itself.
 * @param {Pose} pose
 * @param {Point} centre
 * @param {Point} from
 * @param {Touch} to
 */
function scales(pose, centre, from, to) {
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

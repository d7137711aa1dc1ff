/** Lasso and polygon: outlines that are filled when they close. */

import { polygon } from "../map/raster.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/raster.mjs").Point} Point */
/** @typedef {import("./tool.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Tool} Tool */

/** @returns {Tool} */
export function lassoTool() {
  /** @type {Point[]} */
  let path = [];
  return {
    down(_, { x, y }) {
      path = [{ x, y }];
    },
    drag(_, { x, y }) {
      path.push({ x, y });
    },
    up(studio) {
      if (path.length > 2) polygon(path, studio.sheet.pen(studio.classId));
      path = [];
      studio.sheet.commit(t("lasso"));
    },
    cancel() {
      path = [];
    },
    outline: () => path,
  };
}

/**
 * A press adds a corner, and undo takes the last one back. A press on the first or last corner, or Enter, closes the polygon.
 * @returns {Tool}
 */
export function polygonTool() {
  /** @type {Point[]} */
  let path = [];
  /** @type {Point | null} */
  let next = null;
  /** Corners that were taken back, the first of them last. @type {Point[]} */
  let undone = [];
  /** @param {Studio} studio */
  const finish = (studio) => {
    if (path.length < 3) return false;
    polygon(path, studio.sheet.pen(studio.classId));
    [path, next, undone] = [[], null, []];
    studio.sheet.commit(t("polygon"));
    return true;
  };
  return {
    down(_, { x, y }) {
      next = { x, y };
    },
    drag(_, { x, y }) {
      next = { x, y };
    },
    up(studio, { x, y }) {
      const isNear = (/** @type {Point} */ corner) => Math.hypot(corner.x - x, corner.y - y) < studio.reach;
      const closes = path.length > 2 && (isNear(path[0]) || isNear(path[path.length - 1]));
      if (!closes) path.push({ x, y });
      [next, undone] = [null, []];
      if (closes) finish(studio);
    },
    cancel() {
      [path, next, undone] = [[], null, []];
    },
    finish,
    back: () => move(path, undone),
    forth: () => move(undone, path),
    outline: () => (next ? [...path, next] : path),
  };
}

/** Moves the last point of one list to the end of another. @param {Point[]} from @param {Point[]} to */
function move(from, to) {
  const point = from.pop();
  if (point) to.push(point);
  return point !== undefined;
}

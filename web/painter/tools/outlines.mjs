/** Lasso and polygon: outlines that are filled when they close. */

import { snapped, wire } from "../map/edges.mjs";
import { polygon } from "../map/raster.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/raster.mjs").Point} Point */
/** @typedef {import("./tool.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Tool} Tool */

/** How near an edge must be to take the line, when the line is fixed behind the pointer, and when it is too long to run. */
const [SNAP, FIXED, FAR] = [1.5, 4, 16];

/** With edges to follow, the line snaps to them and runs along them; else it is the pointer's. @returns {Tool} */
export function lassoTool() {
  /** What is fixed, and the way from there to the pointer. @type {Point[]} */
  let path = [];
  /** @type {Point[]} */
  let loose = [];
  /** @param {Studio} studio @param {Point} point @returns {Point[]} */
  const way = ({ edges, reach }, point) => {
    const from = path[path.length - 1];
    const to = edges ? snapped(edges, point, SNAP * reach) : point;
    const isNear = Math.hypot(to.x - from.x, to.y - from.y) < FAR * reach;
    return edges && isNear ? wire(edges, from, to) : [to];
  };
  const fix = () => {
    path.push(...loose);
    loose = [];
  };
  return {
    down({ edges, reach }, { x, y }) {
      path = [edges ? snapped(edges, { x, y }, SNAP * reach) : { x, y }];
    },
    drag(studio, { x, y }) {
      const from = path[path.length - 1];
      loose = way(studio, { x, y });
      if (!studio.edges || Math.hypot(x - from.x, y - from.y) > FIXED * studio.reach) fix();
    },
    up(studio) {
      fix();
      if (path.length > 2 && studio.edges) path.push(...way(studio, path[0]));
      if (path.length > 2) polygon(path, studio.sheet.pen(studio.classId));
      path = [];
      studio.sheet.commit(t("lasso"));
    },
    cancel() {
      [path, loose] = [[], []];
    },
    outline: () => [...path, ...loose],
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
    takeBack() {
      next = null;
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

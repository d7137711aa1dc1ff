/** Shapes between two points: line, rectangle and ellipse. */

import { capsule, ellipse, rectangle, snap } from "../map/raster.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/raster.mjs").Point} Point */
/** @typedef {import("../map/raster.mjs").Emit} Emit */
/** @typedef {import("./tool.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Tool} Tool */
/** @typedef {import("./tool.mjs").Touch} Touch */

/**
 * A shape between two points, drawn again with every move. Shift makes it regular; with Alt the first point is its
 * centre.
 * @param {string} label
 * @param {(a: Touch, b: Touch) => Point} regular  where b moves with Shift
 * @param {(studio: Studio, a: Point, b: Point, emit: Emit) => void} draw
 * @param {boolean} isSized
 * @returns {Tool}
 */
function shape(label, regular, draw, isSized = false) {
  /** @type {Touch | null} */
  let start = null;
  /** @param {Studio} studio @param {Touch} touch */
  const drag = (studio, touch) => {
    if (!start) return;
    studio.sheet.restore();
    const end = touch.shift ? regular(start, touch) : touch;
    const begin = touch.alt ? { x: 2 * start.x - end.x, y: 2 * start.y - end.y } : start;
    draw(studio, begin, end, studio.sheet.pen(studio.classId));
  };
  return {
    isSized,
    down(studio, touch) {
      start = touch;
      drag(studio, touch);
    },
    drag,
    up(studio) {
      start = null;
      studio.sheet.commit(label);
    },
    cancel(studio) {
      start = null;
      studio.sheet.restore();
    },
  };
}

/** @param {Point} a @param {Point} b @returns {Point} */
function square(a, b) {
  const side = Math.max(Math.abs(b.x - a.x), Math.abs(b.y - a.y));
  return { x: a.x + Math.sign(b.x - a.x) * side, y: a.y + Math.sign(b.y - a.y) * side };
}

/** @param {Point} a @param {Point} b @returns {Point} in one of eight directions */
function straight(a, b) {
  const angle = (Math.round(Math.atan2(b.y - a.y, b.x - a.x) / (Math.PI / 4)) * Math.PI) / 4;
  const along = (b.x - a.x) * Math.cos(angle) + (b.y - a.y) * Math.sin(angle);
  return { x: a.x + along * Math.cos(angle), y: a.y + along * Math.sin(angle) };
}

/** A line is as wide as the brush. */
export function lineTool() {
  /** @type {(studio: Studio, a: Point, b: Point, emit: Emit) => void} */
  const draw = ({ size }, a, b, emit) => capsule(snap(a, size), snap(b, size), size, emit);
  return shape(t("line"), straight, draw, true);
}

export function rectangleTool() {
  return shape(t("rectangle"), square, (_, a, b, emit) => rectangle(a, b, emit));
}

export function ellipseTool() {
  return shape(t("ellipse"), square, (_, a, b, emit) => ellipse(a, b, emit));
}

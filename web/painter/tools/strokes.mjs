/** Brush, eraser and pencil: strokes that follow the pointer, and straight lines by Shift and a click. */

import { discWithin } from "../map/edges.mjs";
import { capsule, snap, taper } from "../map/raster.mjs";
import { pulled } from "./steady.mjs";

/** @typedef {import("../map/raster.mjs").Point} Point */
/** @typedef {import("./tool.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Tool} Tool */
/** @typedef {import("./tool.mjs").Touch} Touch */

/**
 * How strokes become pixels: where a touch counts, and a segment between two such points.
 * @typedef {object} Tip
 * @property {(studio: Studio, touch: Touch, size: number) => Point} place
 * @property {(studio: Studio, a: Point, b: Point, from: number, to: number) => void} draw  with the sizes at both ends
 */

/**
 * A stroke in a class.
 * @param {string} label
 * @param {(studio: Studio) => number} idOf
 * @returns {Tool}
 */
export function stroke(label, idOf) {
  return freehand(label, {
    place: ({ pressure }, touch, size) => (pressure ? touch : snap(touch, size)),
    draw(studio, a, b, from, to) {
      const emit = studio.sheet.pen(idOf(studio));
      if (studio.edges) followEdges(studio.edges, a, b, to, emit);
      else if (studio.pressure) taper(a, b, from, to, emit);
      else capsule(a, b, to, emit);
    },
  });
}

/** @param {string} label @param {Tip} kind @returns {Tool} */
export function freehand(label, kind) {
  /** @type {Point | null} */
  let last = null;
  let lastSize = 0;
  /** Where the stabiliser has the brush, and the pressure there. @type {Touch | null} */
  let tip = null;
  /** Where the last stroke ended: a press with Shift draws a straight line from there. @type {Point | null} */
  let end = null;
  /** The size of the sheet that the end is on. */
  let ground = "";
  /** @param {Studio} studio @param {Touch} touch */
  const draw = (studio, touch) => {
    const size = studio.pressure ? Math.max(1, studio.size * touch.pressure) : studio.size;
    const point = kind.place(studio, touch, size);
    kind.draw(studio, last ?? point, point, last ? lastSize : size, size);
    [last, lastSize] = [{ x: point.x, y: point.y }, size];
    tip = { ...touch };
  };
  /** @param {Studio} studio @param {Touch} touch @returns {Point | null} */
  const from = ({ sheet }, touch) => (touch.shift && ground === sizeOf(sheet) ? end : null);
  return {
    isSized: true,
    down(studio, touch) {
      const start = from(studio, touch);
      last = start && kind.place(studio, { ...touch, ...start }, studio.size);
      lastSize = studio.pressure ? Math.max(1, studio.size * touch.pressure) : studio.size;
      draw(studio, touch);
    },
    drag(studio, touch) {
      if (!tip || !studio.string) return draw(studio, touch);
      const { x, y } = pulled(tip, touch, studio.string);
      if (x !== tip.x || y !== tip.y) draw(studio, { ...touch, x, y });
    },
    up(studio, touch) {
      // The string is pulled in, so that the stroke ends where the pointer does.
      if (tip && studio.string) draw(studio, { ...touch, pressure: tip.pressure });
      [end, ground] = [last, sizeOf(studio.sheet)];
      last = tip = null;
      studio.sheet.commit(label);
    },
    cancel(studio) {
      last = tip = null;
      studio.sheet.restore();
    },
    guide(studio, touch) {
      if (tip) return studio.string ? [tip, touch] : [];
      const start = from(studio, touch);
      return start ? [start, touch] : [];
    },
  };
}

/** @param {{width: number, height: number}} sheet */
function sizeOf({ width, height }) {
  return `${width}x${height}`;
}

/**
 * A segment of a stroke whose rim stops at edges.
 * @param {import("../map/edges.mjs").Edges} edges
 * @param {Point} a
 * @param {Point} b
 * @param {number} size
 * @param {import("../map/raster.mjs").Emit} emit
 */
function followEdges(edges, a, b, size, emit) {
  const steps = Math.max(1, Math.ceil(Math.hypot(b.x - a.x, b.y - a.y) / Math.max(1, size / 4)));
  for (let i = a === b ? steps : 1; i <= steps; i++) {
    const share = i / steps;
    discWithin(edges, { x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share }, size, emit);
  }
}

/** The tools: what a pointer that goes down, along and up does to the sheet. */

import { regionAt, regionOf } from "../map/labelmap.mjs";
import { BACKGROUND, FLIPPED } from "../map/palette.mjs";
import { capsule, ellipse, polygon, rectangle, seated, taper } from "../map/raster.mjs";
import { t } from "../map/words.mjs";

/**
 * Where the pointer is, in pixels of the map, and how it is held.
 * @typedef {{x: number, y: number, pressure: number, shift: boolean, alt: boolean}} Touch
 * @typedef {import("../map/raster.mjs").Point} Point
 * @typedef {import("../map/raster.mjs").Emit} Emit
 * @typedef {import("../map/sheet.mjs").Sheet} Sheet
 */

/**
 * What tools see of the editor.
 * @typedef {object} Studio
 * @property {Sheet} sheet
 * @property {number} classId
 * @property {number} size  of the brush, in pixels
 * @property {boolean} pressure  whether a pen's pressure sets the size
 * @property {number} reach  how near a press must be to a corner to mean it, in pixels of the map
 * @property {(id: number) => void} choose  a class
 * @property {(sentence: string) => void} say
 */

/**
 * @typedef {object} Tool
 * @property {(studio: Studio, touch: Touch) => void} down
 * @property {(studio: Studio, touch: Touch) => void} drag
 * @property {(studio: Studio, touch: Touch) => void} up
 * @property {(studio: Studio) => void} cancel  everything since the last step is taken back
 * @property {(studio: Studio) => boolean} [finish]  what Enter does; false if there is nothing to finish
 * @property {() => Point[]} [outline]  a path that is not painted yet
 * @property {boolean} [isSized]  whether the size of the brush matters
 */

const nothing = () => {};

/**
 * @param {string} label
 * @param {(studio: Studio) => number} idOf
 * @returns {Tool}
 */
function brush(label, idOf) {
  /** @type {Point | null} */
  let last = null;
  let lastSize = 0;
  /** @param {Studio} studio @param {Touch} touch */
  const draw = (studio, touch) => {
    const size = studio.pressure ? Math.max(1, studio.size * touch.pressure) : studio.size;
    const point = studio.pressure ? touch : seated(touch, size);
    const emit = studio.sheet.pen(idOf(studio));
    if (studio.pressure) taper(last ?? point, point, last ? lastSize : size, size, emit);
    else capsule(last ?? point, point, size, emit);
    [last, lastSize] = [{ x: point.x, y: point.y }, size];
  };
  return {
    isSized: true,
    down(studio, touch) {
      last = null;
      draw(studio, touch);
    },
    drag: draw,
    up(studio) {
      last = null;
      studio.sheet.commit(label);
    },
    cancel(studio) {
      last = null;
      studio.sheet.restore();
    },
  };
}

/**
 * A shape between two points, drawn anew with every move. Shift makes it regular, Alt takes its middle first.
 * @param {string} label
 * @param {(a: Touch, b: Touch) => Point} regular  where b goes with Shift
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

/** @returns {Tool} */
function lasso() {
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
 * A press adds a corner. A press on the first or the last corner, or Enter, closes it.
 * @returns {Tool}
 */
function corners() {
  /** @type {Point[]} */
  let path = [];
  /** @type {Point | null} */
  let next = null;
  /** @param {Studio} studio */
  const finish = (studio) => {
    if (path.length < 3) return false;
    polygon(path, studio.sheet.pen(studio.classId));
    [path, next] = [[], null];
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
      next = null;
      if (closes) finish(studio);
    },
    cancel() {
      [path, next] = [[], null];
    },
    finish,
    outline: () => (next ? [...path, next] : path),
  };
}

/**
 * Something that a press does at once.
 * @param {(studio: Studio, x: number, y: number) => void} press
 * @returns {Tool}
 */
function press(press) {
  return {
    down(studio, touch) {
      const [x, y] = [Math.floor(touch.x), Math.floor(touch.y)];
      if (x >= 0 && y >= 0 && x < studio.sheet.width && y < studio.sheet.height) press(studio, x, y);
    },
    drag: nothing,
    up: nothing,
    cancel: nothing,
  };
}

/**
 * @param {string} label
 * @param {(sheet: Sheet, x: number, y: number) => import("../map/labelmap.mjs").Region} find
 */
function fill(label, find) {
  return press((studio, x, y) => {
    const { sheet, classId } = studio;
    if (!sheet.open[sheet.base[y * sheet.width + x]]) studio.say(t("This class is protected."));
    const places = [{ x, id: classId }];
    // Not the region's image, but what lies around the image of the pointer: faces are not symmetric.
    if (sheet.mirror !== null) places.unshift({ x: sheet.mirror - 1 - x, id: FLIPPED[classId] });
    const found = places
      .filter((place) => place.x >= 0 && place.x < sheet.width)
      .map((place) => ({ id: place.id, ...pick(find(sheet, place.x, y)) }));
    const ids = sheet.map.ids.slice();
    for (const { id, inside } of found) inside.forEach((one, i) => one && (ids[i] = id));
    for (const { box } of found) sheet.lay(ids, box);
    sheet.commit(label);
  });
}

/** @param {import("../map/labelmap.mjs").Region} region */
function pick({ inside, box }) {
  return { inside, box };
}

/** @returns {Record<string, Tool>} new tools, by name */
export function makeTools() {
  return {
    brush: brush(t("brush"), (studio) => studio.classId),
    eraser: brush(t("eraser"), () => BACKGROUND),
    line: shape(
      t("line"),
      straight,
      (studio, a, b, emit) => {
        capsule(seated(a, studio.size), seated(b, studio.size), studio.size, emit);
      },
      true,
    ),
    lasso: lasso(),
    rectangle: shape(t("rectangle"), square, (_, a, b, emit) => rectangle(a, b, emit)),
    ellipse: shape(t("ellipse"), square, (_, a, b, emit) => ellipse(a, b, emit)),
    polygon: corners(),
    fill: fill(t("fill"), ({ map }, x, y) => regionAt(map, x, y)),
    fillAll: fill(t("fill all"), ({ map }, x, y) => regionOf(map, map.ids[y * map.width + x])),
    eyedropper: press((studio, x, y) => studio.choose(studio.sheet.map.ids[y * studio.sheet.width + x])),
  };
}

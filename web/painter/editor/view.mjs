/** Draws the canvas: the sheet at any zoom, the photo under it, the lines over it. */

import { TOKEN } from "../map/labelmap.mjs";
import { fitted } from "../map/lines.mjs";
import { paintLines, render } from "../map/picture.mjs";

/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */
/** @typedef {import("../map/raster.mjs").Point} Point */
/** @typedef {import("../map/labelmap.mjs").Box} Box */

/**
 * `grid` shows the tokens; `photoShare` and `pencilShare` are the opacity of photo and pencil lines, 0 to 1.
 * @typedef {import("../map/picture.mjs").Looks & {grid: boolean, photoShare: number, pencilShare: number}} Looks
 */

/**
 * Lines over the sheet, in pixels of the map.
 * @typedef {object} Marks
 * @property {readonly Point[]} outline
 * @property {readonly Point[]} handles  four corners and the rotation handle, or none
 * @property {{at: Point, diameter: number} | null} brush
 * @property {number | null} mirror
 * @property {Box | null} spot  a place that an advice points at
 */

const MIN_ZOOM = 0.05;
const MAX_ZOOM = 64;
/** The margin around a fitted map. */
const MARGIN = 24;
const LINE = "rgb(255 255 255 / 95%)";
const SHADOW = "rgb(0 0 0 / 70%)";

export class View {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.labels = canvas.ownerDocument.createElement("canvas");
    /** The pencil lines; without a size while there are none. */
    this.lines = canvas.ownerDocument.createElement("canvas");
    this.lines.width = 0;
    /** Position of the map's corner on the canvas, and the side of one of its pixels, in CSS pixels. */
    this.x = 0;
    this.y = 0;
    this.zoom = 1;
    /** By which the map is turned about its corner, clockwise, in radians. */
    this.angle = 0;
  }

  /** @param {{clientX: number, clientY: number}} pointer @returns {Point} in pixels of the map */
  toMap({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = turned(clientX - box.left - this.x, clientY - box.top - this.y, -this.angle);
    return { x: x / this.zoom, y: y / this.zoom };
  }

  /** @param {Point} point of the map @returns {Point} on the canvas */
  toCanvas(point) {
    const [x, y] = turned(point.x * this.zoom, point.y * this.zoom, this.angle);
    return { x: this.x + x, y: this.y + y };
  }

  /**
   * Fits the map into the canvas, straight.
   * @param {number} width @param {number} height  of the map
   * @param {number} [covered]  how far something covers the canvas from the left
   */
  fit(width, height, covered = 0) {
    this.angle = 0;
    const { clientWidth, clientHeight } = this.canvas;
    const left = Math.max(MARGIN, covered + 8);
    const free = { width: clientWidth - left - MARGIN, height: clientHeight - 2 * MARGIN };
    this.zoom = Math.max(MIN_ZOOM, Math.min(free.width / width, free.height / height, MAX_ZOOM));
    this.centre({ x: width / 2, y: height / 2 });
    this.x += (left - MARGIN) / 2;
  }

  /** @param {Point} point  of the map, moved to the centre of the canvas */
  centre(point) {
    const { x, y } = this.toCanvas(point);
    this.x += this.canvas.clientWidth / 2 - x;
    this.y += this.canvas.clientHeight / 2 - y;
  }

  /** @param {number} zoom @param {Point} [at]  the point of the canvas that stays */
  zoomTo(zoom, at = { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }) {
    const clamped = Math.max(MIN_ZOOM, Math.min(MAX_ZOOM, zoom));
    this.x = at.x - ((at.x - this.x) * clamped) / this.zoom;
    this.y = at.y - ((at.y - this.y) * clamped) / this.zoom;
    this.zoom = clamped;
  }

  /** @param {number} by  an angle @param {Point} [at]  the point of the canvas that stays */
  turn(by, at = { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }) {
    const [x, y] = turned(this.x - at.x, this.y - at.y, by);
    [this.x, this.y, this.angle] = [at.x + x, at.y + y, Math.atan2(Math.sin(this.angle + by), Math.cos(this.angle + by))];
    // Drops the rounding error of many turns, so that a straight view has whole pixels again.
    if (Math.abs(this.angle) < 1e-9) this.angle = 0;
  }

  /**
   * Colours the pixels that changed since the last call.
   * @param {Sheet} sheet
   * @param {Looks} looks
   */
  refresh(sheet, looks) {
    if (this.labels.width !== sheet.width || this.labels.height !== sheet.height || this.sheetMap !== sheet.map) {
      [this.labels.width, this.labels.height] = [sheet.width, sheet.height];
      this.sheetMap = sheet.map;
      this.pixels = new ImageData(sheet.width, sheet.height);
      sheet.undrawn.add(0, 0, sheet.width, sheet.height);
    }
    const box = sheet.undrawn.take();
    if (!box || !this.pixels) return;
    const drawn = render(sheet.map, box, looks, new Uint32Array(this.pixels.data.buffer));
    const context = /** @type {CanvasRenderingContext2D} */ (this.labels.getContext("2d"));
    context.putImageData(this.pixels, 0, 0, drawn.x, drawn.y, drawn.width, drawn.height);
  }

  /** Whitens the pencil lines that changed since the last call. @param {Sheet} sheet */
  refreshLines(sheet) {
    const { width, height, map } = sheet;
    if (!map.pencil) {
      this.lines.width = 0;
      return;
    }
    if (this.lines.width !== width || this.lines.height !== height) {
      [this.lines.width, this.lines.height] = [width, height];
      this.linePixels = new ImageData(width, height);
      sheet.undrawnLines.add(0, 0, width, height);
    }
    const box = sheet.undrawnLines.take();
    if (!box || !this.linePixels) return;
    paintLines(map, map.pencil, box, new Uint32Array(this.linePixels.data.buffer));
    const context = /** @type {CanvasRenderingContext2D} */ (this.lines.getContext("2d"));
    context.putImageData(this.linePixels, 0, 0, box.x, box.y, box.width, box.height);
  }

  /**
   * @param {Sheet} sheet
   * @param {Looks} looks
   * @param {Marks} marks
   */
  draw(sheet, looks, marks) {
    this.refresh(sheet, looks);
    this.refreshLines(sheet);
    const { canvas, context } = this;
    const ratio = canvas.ownerDocument.defaultView?.devicePixelRatio ?? 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    const place = /** @type {const} */ ([0, 0, sheet.width * this.zoom, sheet.height * this.zoom]);
    context.save();
    context.translate(this.x, this.y);
    context.rotate(this.angle);
    context.fillStyle = "#1c1f26";
    context.fillRect(...place);
    if (looks.photo) {
      context.imageSmoothingEnabled = true;
      const box = fitted(looks.photo, sheet);
      const { zoom } = this;
      context.drawImage(looks.photo, box.x * zoom, box.y * zoom, box.width * zoom, box.height * zoom);
    }
    context.imageSmoothingEnabled = false;
    context.globalAlpha = looks.photo ? 1 - looks.photoShare : 1;
    context.drawImage(this.labels, ...place);
    if (this.lines.width && looks.pencilShare) this.#pencil(looks.pencilShare, place);
    context.restore();
    if (looks.grid) this.#grid(sheet);
    this.#marks(sheet, marks);
  }

  /** @param {number} share @param {readonly [number, number, number, number]} place */
  #pencil(share, place) {
    const { context } = this;
    context.imageSmoothingEnabled = this.zoom < 2; // thin lines would break up on a small sheet
    context.globalAlpha = share;
    // A dark rim, so that white lines are seen on light classes.
    [context.shadowColor, context.shadowBlur] = [SHADOW, 2];
    context.drawImage(this.lines, ...place);
    [context.shadowColor, context.shadowBlur] = ["transparent", 0];
  }

  /** @param {Sheet} sheet */
  #grid({ width, height }) {
    if (this.zoom * TOKEN < 4) return;
    const { context } = this;
    context.beginPath();
    for (let x = 0; x <= width; x += TOKEN) this.#move({ x, y: 0 }, { x, y: height });
    for (let y = 0; y <= height; y += TOKEN) this.#move({ x: 0, y }, { x: width, y });
    context.lineWidth = 1;
    context.strokeStyle = "rgb(255 255 255 / 28%)";
    context.stroke();
  }

  /** @param {Point} a @param {Point} b */
  #move(a, b) {
    const [from, to] = [this.toCanvas(a), this.toCanvas(b)];
    // A straight line is sharp in the middle of a pixel.
    const sharp = (/** @type {number} */ value) => (this.angle ? value : Math.round(value) + 0.5);
    this.context.moveTo(sharp(from.x), sharp(from.y));
    this.context.lineTo(sharp(to.x), sharp(to.y));
  }

  /** @param {Sheet} sheet @param {Marks} marks */
  #marks(sheet, { outline, handles, brush, mirror, spot }) {
    if (mirror !== null)
      this.#path(
        [
          { x: mirror / 2, y: 0 },
          { x: mirror / 2, y: sheet.height },
        ],
        false,
        [6, 6],
      );
    if (outline.length) this.#path(outline, true);
    if (handles.length) this.#frame(handles);
    if (brush) this.#circle(brush.at, (brush.diameter / 2) * this.zoom);
    if (spot) {
      const at = { x: spot.x + spot.width / 2, y: spot.y + spot.height / 2 };
      this.#circle(at, Math.max(14, Math.hypot(spot.width, spot.height) * 0.6 * this.zoom), [4, 4]);
    }
  }

  /** @param {readonly Point[]} handles */
  #frame(handles) {
    this.#path(handles.slice(0, 4), true);
    const top = { x: (handles[0].x + handles[1].x) / 2, y: (handles[0].y + handles[1].y) / 2 };
    this.#path([top, handles[4]], false);
    for (const handle of handles) {
      const { x, y } = this.toCanvas(handle);
      this.context.beginPath();
      this.context.arc(x, y, 6, 0, 2 * Math.PI);
      this.context.fillStyle = "#4c9aff";
      this.context.fill();
      this.context.lineWidth = 2;
      this.context.strokeStyle = LINE;
      this.context.stroke();
    }
  }

  /** @param {readonly Point[]} points @param {boolean} closed @param {number[]} [dashes] */
  #path(points, closed, dashes = []) {
    this.#lines(dashes, () => {
      points.forEach((point, i) => {
        const { x, y } = this.toCanvas(point);
        if (i) this.context.lineTo(x, y);
        else this.context.moveTo(x, y);
      });
      if (closed) this.context.closePath();
    });
  }

  /** @param {Point} at @param {number} radius  on the canvas @param {number[]} [dashes] */
  #circle(at, radius, dashes = []) {
    const { x, y } = this.toCanvas(at);
    this.#lines(dashes, () => this.context.arc(x, y, Math.max(1, radius), 0, 2 * Math.PI));
  }

  /** @param {number[]} dashes @param {() => void} trace  a white line with a dark edge, visible on any background */
  #lines(dashes, trace) {
    const { context } = this;
    context.beginPath();
    trace();
    context.lineWidth = 3;
    context.strokeStyle = SHADOW;
    context.stroke();
    context.setLineDash(dashes);
    context.lineWidth = 1.25;
    context.strokeStyle = LINE;
    context.stroke();
    context.setLineDash([]);
  }
}

/** @param {number} x @param {number} y @param {number} angle @returns {[number, number]} */
function turned(x, y, angle) {
  if (!angle) return [x, y];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [x * cos - y * sin, x * sin + y * cos];
}

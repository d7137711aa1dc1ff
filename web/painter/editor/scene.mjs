/** What the canvas shows: the position of the view, how it moves, and when it is drawn again. */

import { View } from "./view.mjs";

/** @typedef {import("../map/labelmap.mjs").Box} Box */
/** @typedef {{width: number, height: number}} Size */

/**
 * Everything that is drawn.
 * @typedef {object} Subjects
 * @property {import("../map/sheet.mjs").Sheet} sheet
 * @property {import("../tools/pen.mjs").Pen} pen
 * @property {import("../tools/brush.mjs").Brush} brush
 * @property {import("../tools/classes.mjs").Classes} classes
 * @property {import("../tools/pencil.mjs").Pencil} pencil
 * @property {import("./display.mjs").Display} display
 * @property {import("./photo.mjs").Photo} photo
 * @property {import("./live.mjs").Live} live
 * @property {import("./status.mjs").StatusLine} status
 * @property {import("./tag.mjs").Tag} tag
 */

export class Scene {
  /** @param {HTMLCanvasElement} canvas @param {Subjects} subjects */
  constructor(canvas, subjects) {
    this.canvas = canvas;
    this.subjects = subjects;
    this.view = new View(canvas);
    /** The place that an advice points at. @type {Box | null} */
    this.spot = null;
    /** Whether the sheet was fitted to the canvas and not moved since. */
    this.isFitted = false;
    /** The canvas's size when it was last seen. @type {Size | null} */
    this.size = null;
    this.observer = new ResizeObserver(() => this.#onResize());
  }

  /** Fits the sheet into the canvas, which has a size by now, and follows its size from here on. */
  open() {
    // The observer answers one frame later; without this call, a user who acts sooner would lose the view's position.
    this.#onResize();
    this.observer.observe(this.canvas);
  }

  close() {
    this.isClosed = true;
    this.observer.disconnect();
  }

  #onResize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width) return;
    if (this.size) this.#keepInPlace(this.size, { width, height });
    else this.fit();
    this.size = { width, height };
    this.redraw();
  }

  /** A fitted sheet stays fitted; of any other the centre stays. @param {Size} before @param {Size} now */
  #keepInPlace(before, now) {
    if (this.isFitted) return this.fit();
    this.view.x += (now.width - before.width) / 2;
    this.view.y += (now.height - before.height) / 2;
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.isFitted = false;
    this.view.x += dx;
    this.view.y += dy;
    this.redraw();
  }

  /** @param {number} factor @param {import("../map/raster.mjs").Point} [at]  the point of the canvas that stays */
  zoom(factor, at) {
    this.isFitted = false;
    this.view.zoomTo(this.view.zoom * factor, at);
    this.redraw();
  }

  /** @param {number} by  an angle @param {import("../map/raster.mjs").Point} [at]  the point of the canvas that stays */
  turn(by, at) {
    this.isFitted = false;
    this.view.turn(by, at);
    this.redraw();
  }

  straighten() {
    this.turn(-this.view.angle);
  }

  fit() {
    const { width, height } = this.subjects.sheet;
    const { offsetLeft = 0, offsetWidth = 0 } = /** @type {HTMLElement | null} */ (this.canvas.parentElement?.querySelector(".rim")) ?? {};
    this.view.fit(width, height, offsetLeft + offsetWidth);
    this.isFitted = true;
    this.redraw();
  }

  actual() {
    this.isFitted = false;
    this.view.zoomTo(1);
    this.redraw();
  }

  /** @param {Box} box */
  lookAt(box) {
    this.isFitted = false;
    this.spot = box;
    this.view.zoomTo(Math.max(this.view.zoom, 3));
    this.view.centre({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
    this.redraw();
  }

  /** Draws once in the next frame, however often this is called. */
  redraw() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    requestAnimationFrame(() => {
      this.isDrawing = false;
      if (!this.isClosed) this.#draw();
    });
  }

  #draw() {
    const { sheet, pen, status, tag, display } = this.subjects;
    const { transform } = pen;
    transform.arm = 28 / this.view.zoom;
    this.view.draw(sheet, this.#looks(), {
      outline: this.#outline(),
      handles: transform.handles(),
      brush: this.#brush(),
      mirror: sheet.mirror,
      spot: this.spot,
    });
    status.show(sheet, this.view.zoom, pen.at);
    const isNamed = display.names && pen.isHovering;
    tag.show(sheet, isNamed ? pen.at : null, this.view.toCanvas(pen.at ?? { x: 0, y: 0 }));
  }

  /** What is not painted yet, else what the pointer would do. */
  #outline() {
    const { pen } = this.subjects;
    const outline = pen.tool?.outline?.() ?? [];
    return outline.length || !pen.at ? outline : (pen.tool?.guide?.(pen.studio, pen.at) ?? []);
  }

  /** @returns {import("./view.mjs").Looks} */
  #looks() {
    const { classes, display, pencil, photo, live } = this.subjects;
    const { hidden, solo } = classes;
    const { distinct, grid } = display;
    const { picture, share } = live.beneath() ?? { picture: photo.shown, share: photo.share };
    const pencilShare = pencil.isShown && !live.isHeld ? pencil.share : 0;
    return { distinct, grid, hidden, solo, photo: picture, photoShare: share, pencilShare };
  }

  /** The circle at the pointer. */
  #brush() {
    const { pen, brush } = this.subjects;
    if (!pen.at || pen.toolName === "hand") return null;
    return { at: pen.at, diameter: pen.tools[pen.toolName]?.isSized ? brush.size : 1 };
  }
}

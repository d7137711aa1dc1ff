/** What is seen of the sheet: where the view stands, how it moves, and when it is drawn anew. */

import { View } from "./view.mjs";

/** @typedef {import("./editor.mjs").Editor} Editor */
/** @typedef {import("../map/labelmap.mjs").Box} Box */

export class Scene {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.view = new View(editor.canvas);
    /** What advice points at. @type {Box | null} */
    this.spot = null;
    // An observer answers with a frame of the page, and whoever is faster than that would see his view fitted away.
    this.#resized();
    this.watch = new ResizeObserver(() => this.#resized());
    this.watch.observe(editor.canvas);
  }

  close() {
    this.isClosed = true;
    this.watch.disconnect();
  }

  #resized() {
    if (!this.editor.canvas.clientWidth) return;
    if (!this.hasBeenSeen) this.fit();
    this.hasBeenSeen = true;
    this.redraw();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.redraw();
  }

  /** @param {number} factor @param {import("../map/raster.mjs").Point} [at]  what stays where it is on the canvas */
  zoom(factor, at) {
    this.view.zoomTo(this.view.zoom * factor, at);
    this.redraw();
  }

  fit() {
    const { width, height } = this.editor.sheet;
    this.view.fit(width, height);
    this.redraw();
  }

  actual() {
    this.view.zoomTo(1);
    this.redraw();
  }

  /** @param {Box} box */
  lookAt(box) {
    this.spot = box;
    this.view.zoomTo(Math.max(this.view.zoom, 3));
    this.view.centre({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
    this.redraw();
  }

  /** With the next frame, however often it was asked for. */
  redraw() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    requestAnimationFrame(() => {
      this.isDrawing = false;
      if (!this.isClosed) this.#draw();
    });
  }

  #draw() {
    const { sheet, transform } = this.editor;
    transform.arm = 28 / this.view.zoom;
    this.view.draw(sheet, this.#looks(), {
      outline: this.editor.tool?.outline?.() ?? [],
      handles: transform.handles(),
      brush: this.#brush(),
      mirror: sheet.mirror,
      spot: this.spot,
    });
    this.editor.layout.status();
  }

  /** @returns {import("./view.mjs").Looks} */
  #looks() {
    const { wishes, marks, photo } = this.editor;
    const { distinct, grid, photoShare } = wishes;
    return { distinct, grid, hidden: marks.hidden, solo: marks.solo, photo: photo.shown, photoShare };
  }

  /** The circle at the pointer. */
  #brush() {
    const { pen, toolName, tools, size } = this.editor;
    if (!pen.at || toolName === "hand") return null;
    return { at: pen.at, diameter: tools[toolName]?.isSized ? size : 1 };
  }
}

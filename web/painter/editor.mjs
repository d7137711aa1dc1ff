/** The full-window editor: what it holds, and everything that can be done to it. */

import { advise } from "./advice.mjs";
import { AskStart } from "./start.mjs";
import { History } from "./history.mjs";
import { blank, mirrored } from "./labelmap.mjs";
import { layOut } from "./layout.mjs";
import { Marks } from "./marks.mjs";
import { GROUPS } from "./palette.mjs";
import { Pen } from "./pen.mjs";
import { Photo } from "./photo.mjs";
import { coloursPng, idsPng } from "./png.mjs";
import { remember, remembered } from "./preferences.mjs";
import { Sheet } from "./sheet.mjs";
import { Stage } from "./stage.mjs";
import { makeTools } from "./tools.mjs";
import { Transform } from "./transform.mjs";
import { View } from "./view.mjs";

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */

/**
 * What the editor is opened with.
 * @typedef {object} Commission
 * @property {LabelMap | null} map  null if nothing is painted yet
 * @property {History} history
 * @property {string} notice  to be said first
 * @property {() => Promise<Blob | null>} photo  of the image input
 * @property {(labelSpace: string) => Promise<LabelMap | null>} mask  of the mask input
 * @property {(file: Blob, labelSpace: string) => Promise<LabelMap>} read  a mask file; throws what is wrong with it
 * @property {(map: LabelMap, history: History) => void} onStep
 * @property {() => Promise<void>} onClose
 */

const SIDE = 512;

export class Editor {
  /** @param {Document} document @param {Commission} commission */
  constructor(document, commission) {
    this.document = document;
    this.commission = commission;
    this.wishes = remembered();
    this.sheet = new Sheet(copied(commission.map ?? blank(SIDE, SIDE)), commission.history);
    this.sheet.onStep = () => this.#stepped();
    this.tools = makeTools();
    this.transform = new Transform();
    this.toolName = "brush";
    this.classId = this.wishes.classId;
    this.lastClass = 1;
    this.isMirrored = false;
    /** The sheet's, when the mirror was stood. */
    this.lastWidth = 0;
    this.marks = new Marks(() => this.opened());
    this.pen = new Pen(this);
    this.photo = new Photo(this);
    this.spot = /** @type {import("./labelmap.mjs").Box | null} */ (null);
    this.layout = layOut(this);
    this.canvas = this.layout.canvas;
    this.view = new View(this.canvas);
    this.stage = new Stage(this);
    this.watch = new ResizeObserver(() => this.#resized());
    this.watch.observe(this.canvas);
    this.refresh();
    this.#advise();
  }

  // ——— opening and closing

  async begin() {
    this.canvas.focus();
    if (this.commission.notice) this.say(this.commission.notice);
    const photo = await this.commission.photo().catch(() => null);
    if (photo) await this.photo.lay(photo);
    if (!this.commission.map && !this.sheet.history.canUndo) this.start();
  }

  async close() {
    if (this.isClosed) return;
    this.isClosed = true;
    this.transform.finish(this);
    this.pen.giveUp();
    this.watch.disconnect();
    remember({ ...this.wishes, classId: this.classId });
    await this.commission.onClose();
  }

  #resized() {
    if (!this.canvas.clientWidth) return;
    if (!this.hasBeenSeen) this.fit();
    this.hasBeenSeen = true;
    this.redraw();
  }

  // ——— what tools see: Studio

  get size() {
    return this.wishes.size;
  }

  get pressure() {
    return this.pen.hasPressure && this.wishes.pressure;
  }

  get reach() {
    return Math.max(1.5, 8 / this.view.zoom);
  }

  /** @param {number} id */
  choose(id) {
    if (id !== this.classId) this.lastClass = this.classId;
    this.classId = id;
    this.refresh();
  }

  /** @param {string} sentence */
  say(sentence) {
    this.layout.say(sentence);
  }

  /** @returns {import("./tools.mjs").Tool | undefined} none while the hand is taken */
  get tool() {
    if (this.pen.borrowed) return this.tools[this.pen.borrowed];
    return this.toolName === "move" ? this.transform : this.tools[this.toolName];
  }

  escape() {
    if (this.pen.isDown || this.transform.region || this.tool?.outline?.().length) return this.pen.giveUp();
    if (this.layout.isSearching()) return this.layout.endSearch();
    void this.close();
  }

  // ——— tools, brush, mirror

  /** @param {string} name */
  take(name) {
    this.transform.finish(this);
    this.pen.giveUp();
    this.toolName = name;
    this.refresh();
  }

  /** @param {number} by  steps of about a tenth, at least a pixel */
  resizeBrush(by) {
    this.setSize(this.size + by * Math.max(1, Math.round(this.size * 0.1)));
  }

  /** @param {number} size */
  setSize(size) {
    this.wishes.size = Math.max(1, Math.min(512, Math.round(size)));
    this.refresh();
  }

  toggleMirror() {
    this.isMirrored = !this.isMirrored;
    this.lastWidth = this.sheet.width;
    this.sheet.mirror = this.isMirrored ? this.sheet.width : null;
    this.refresh();
  }

  mirrorHere() {
    this.isMirrored = true;
    this.lastWidth = this.sheet.width;
    this.sheet.mirror = Math.round((this.pen.at?.x ?? this.sheet.width / 2) * 2);
    this.refresh();
  }

  // ——— classes

  /** @param {number} by */
  stepClass(by) {
    const order = GROUPS.flatMap(({ ids }) => ids);
    this.choose(order[(order.indexOf(this.classId) + by + order.length) % order.length]);
  }

  /** After a class was protected, hidden, and so on. */
  opened() {
    this.sheet.open.set(this.marks.open());
    this.recolour();
  }

  search() {
    this.layout.search();
  }

  // ——— steps

  undo() {
    if (this.transform.region || this.tool?.outline?.().length) return this.pen.giveUp();
    this.pen.giveUp();
    const label = this.sheet.undo();
    this.say(label ? `Undone: ${label}` : "Nothing to undo");
  }

  redo() {
    this.pen.giveUp();
    const label = this.sheet.redo();
    this.say(label ? `Done again: ${label}` : "Nothing to do again");
  }

  flip() {
    this.replace(mirrored(this.sheet.map), "mirror the face");
  }

  /** @param {LabelMap} map @param {string} label */
  replace(map, label) {
    this.pen.giveUp();
    const { width, height } = this.sheet;
    this.sheet.replace(map, label);
    if (width !== this.sheet.width || height !== this.sheet.height) this.fit();
    this.refresh();
  }

  #stepped() {
    if (this.isMirrored && this.lastWidth !== this.sheet.width) this.sheet.mirror = this.sheet.width;
    this.lastWidth = this.sheet.width;
    this.commission.onStep(copied(this.sheet.map), this.sheet.history);
    this.refresh();
    clearTimeout(this.adviceTimer);
    this.adviceTimer = setTimeout(() => this.#advise(), 250);
  }

  #advise() {
    this.layout.advise(advise(this.sheet.map));
  }

  // ——— the view

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.redraw();
  }

  /** @param {number} factor @param {import("./raster.mjs").Point} [at] */
  zoom(factor, at) {
    this.view.zoomTo(this.view.zoom * factor, at);
    this.status();
    this.redraw();
  }

  fit() {
    this.view.fit(this.sheet.width, this.sheet.height);
    this.status();
    this.redraw();
  }

  actual() {
    this.view.zoomTo(1);
    this.status();
    this.redraw();
  }

  /** @param {import("./labelmap.mjs").Box} box */
  lookAt(box) {
    this.spot = box;
    this.view.zoomTo(Math.max(this.view.zoom, 3));
    this.view.centre({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
    this.redraw();
  }

  /** @param {"grid" | "distinct" | "pressure"} name */
  toggle(name) {
    this.wishes[name] = !this.wishes[name];
    this.recolour();
  }

  /** Shows every pixel anew. */
  recolour() {
    this.sheet.unseen.add(0, 0, this.sheet.width, this.sheet.height);
    this.refresh();
  }

  // ——— files and windows

  start() {
    new AskStart(this).open();
  }

  help() {
    this.layout.help();
  }

  get isAsking() {
    return this.layout.isAsking();
  }

  /** @param {"colours" | "ids"} kind */
  async save(kind) {
    const { map } = this.sheet;
    this.layout.download(await (kind === "ids" ? idsPng(map) : coloursPng(map)), `face_mask_${kind}.png`);
  }

  // ——— showing

  refresh() {
    this.layout?.refresh();
    this.status();
    this.redraw();
  }

  status() {
    this.layout?.status();
  }

  redraw() {
    if (this.isDrawing || !this.view) return;
    this.isDrawing = true;
    requestAnimationFrame(() => {
      this.isDrawing = false;
      if (!this.isClosed) this.#draw();
    });
  }

  #draw() {
    const { wishes, sheet, pen } = this;
    const { hidden, solo } = this.marks;
    const photo = this.photo.shown;
    const looks = { distinct: wishes.distinct, grid: wishes.grid, hidden, solo, photo, photoShare: wishes.photoShare };
    const isSized = this.toolName !== "move" && this.tools[this.toolName]?.isSized;
    this.transform.arm = 28 / this.view.zoom;
    this.view.draw(sheet, looks, {
      outline: this.tool?.outline?.() ?? [],
      handles: this.transform.handles(),
      brush: pen.at && this.toolName !== "hand" ? { at: pen.at, diameter: isSized ? this.size : 1 } : null,
      mirror: sheet.mirror,
      spot: this.spot,
    });
    this.status();
  }
}

/** @param {LabelMap} map */
function copied(map) {
  return { ...map, ids: map.ids.slice() };
}

/** The full-window editor: what it holds, and what is done to the sheet with it. */

import { advise } from "../map/advice.mjs";
import { download, help } from "./dialogs.mjs";
import { History } from "../map/history.mjs";
import { blank, mirrored } from "../map/labelmap.mjs";
import { layOut } from "./layout.mjs";
import { Marks } from "../tools/marks.mjs";
import { Mirror } from "../tools/mirror.mjs";
import { GROUPS } from "../map/palette.mjs";
import { Pen } from "../tools/pen.mjs";
import { Photo } from "./photo.mjs";
import { coloursPng, idsPng } from "../map/png.mjs";
import { remember, remembered } from "./preferences.mjs";
import { Scene } from "./scene.mjs";
import { Sheet } from "../map/sheet.mjs";
import { Stage } from "./stage.mjs";
import { AskStart } from "./start.mjs";
import { makeTools } from "../tools/toolbox.mjs";
import { Transform } from "../tools/transform.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/labelmap.mjs").LabelMap} LabelMap */

/**
 * What the editor is opened with.
 * @typedef {object} Commission
 * @property {LabelMap | null} map  null if nothing is painted yet
 * @property {History} history
 * @property {string} notice  to be said first
 * @property {boolean} distinct  whether the colours are the colour-blind-safe ones
 * @property {() => Promise<Blob | null>} photo  of the image input
 * @property {(labelSpace: string) => Promise<LabelMap | null>} mask  of the mask input
 * @property {(file: Blob, labelSpace: string) => Promise<LabelMap>} read  a mask file; throws what is wrong with it
 * @property {(map: LabelMap, history: History) => void} onStep
 * @property {(isDistinct: boolean) => void} onDistinct  the colours are others now
 * @property {() => Promise<void>} onClose
 */

const SIDE = 512;

export class Editor {
  /** @param {Document} document @param {Commission} commission */
  constructor(document, commission) {
    this.document = document;
    this.commission = commission;
    this.wishes = { ...remembered(), distinct: commission.distinct };
    this.sheet = new Sheet(copied(commission.map ?? blank(SIDE, SIDE)), commission.history);
    this.sheet.onStep = () => this.#stepped();
    this.tools = makeTools();
    this.transform = new Transform();
    this.toolName = "brush";
    this.classId = this.wishes.classId;
    this.lastClass = 1;
    this.mirror = new Mirror(this.sheet, () => this.refresh());
    this.marks = new Marks(() => this.opened());
    this.pen = new Pen(this);
    this.photo = new Photo(this);
    this.layout = layOut(this);
    this.canvas = this.layout.canvas;
    this.scene = new Scene(this);
    this.stage = new Stage(this);
    this.refresh();
    this.#advise();
  }

  // ——— opening and closing

  async begin() {
    this.canvas.focus();
    if (this.commission.notice) this.say(this.commission.notice);
    if (!this.commission.map && !this.sheet.history.canUndo) this.start();
    const photo = await this.commission.photo().catch(() => null);
    if (photo) await this.photo.lay(photo);
  }

  async close() {
    if (this.isClosed) return;
    this.isClosed = true;
    this.settle();
    this.scene.close();
    clearTimeout(this.adviceTimer);
    remember({ ...this.wishes, classId: this.classId });
    await this.commission.onClose();
  }

  // ——— what tools see: Studio

  get size() {
    return this.wishes.size;
  }

  get pressure() {
    return this.pen.hasPressure && this.wishes.pressure;
  }

  get reach() {
    return Math.max(1.5, 8 / this.scene.view.zoom);
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

  /** @returns {import("../tools/tool.mjs").Tool | undefined} none while the hand is taken */
  get tool() {
    if (this.pen.borrowed) return this.tools[this.pen.borrowed];
    return this.toolName === "move" ? this.transform : this.tools[this.toolName];
  }

  /** Whether something is begun that is no step yet. */
  get hasBegun() {
    return this.pen.isDown || this.transform.region !== null || Boolean(this.tool?.outline?.().length);
  }

  escape() {
    if (this.hasBegun) return this.pen.giveUp();
    if (this.layout.isSearching()) return this.layout.endSearch();
    void this.close();
  }

  // ——— tools, brush, mirror

  /** Finishes what is begun: nothing is lost because another thing begins. */
  settle() {
    if (this.pen.isDown && this.pen.at) this.pen.lift(this.pen.at);
    this.tool?.finish?.(this);
    this.pen.giveUp();
  }

  /** @param {string} name */
  take(name) {
    this.settle();
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

  mirrorHere() {
    this.mirror.standAt(this.pen.at?.x ?? this.sheet.width / 2);
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

  // ——— steps

  undo() {
    if (this.hasBegun) return this.pen.giveUp();
    const label = this.sheet.undo();
    this.say(label ? t("Undone: {label}", { label }) : t("Nothing to undo"));
  }

  redo() {
    this.settle();
    const label = this.sheet.redo();
    this.say(label ? t("Done again: {label}", { label }) : t("Nothing to do again"));
  }

  flip() {
    this.remake(mirrored, t("mirror the face"));
  }

  /** @param {(map: LabelMap) => LabelMap} make  another map of this one @param {string} label */
  remake(make, label) {
    this.settle();
    this.replace(make(this.sheet.map), label);
  }

  /** @param {LabelMap} map @param {string} label */
  replace(map, label) {
    this.settle();
    const { width, height } = this.sheet;
    this.sheet.replace(map, label);
    if (width !== this.sheet.width || height !== this.sheet.height) this.scene.fit();
    this.refresh();
  }

  #stepped() {
    this.mirror.follow();
    this.commission.onStep(copied(this.sheet.map), this.sheet.history);
    this.refresh();
    clearTimeout(this.adviceTimer);
    this.adviceTimer = setTimeout(() => this.#advise(), 250);
  }

  #advise() {
    this.layout.advise(advise(this.sheet.map));
  }

  // ——— showing

  /** @param {"grid" | "distinct" | "pressure"} name */
  toggle(name) {
    this.wishes[name] = !this.wishes[name];
    if (name === "distinct") this.commission.onDistinct(this.wishes.distinct);
    this.recolour();
  }

  /** Shows every pixel anew. */
  recolour() {
    this.sheet.unseen.add(0, 0, this.sheet.width, this.sheet.height);
    this.refresh();
  }

  refresh() {
    this.layout.refresh();
    this.scene.redraw();
  }

  // ——— files

  start() {
    new AskStart(this).open();
  }

  help() {
    help(this);
  }

  /** @param {"colours" | "ids"} kind */
  async save(kind) {
    const { map } = this.sheet;
    download(this, await (kind === "ids" ? idsPng(map) : coloursPng(map)), `face_mask_${kind}.png`);
  }
}

/** @param {LabelMap} map */
function copied(map) {
  return { ...map, ids: map.ids.slice() };
}

/** The pen: which tool it is, where it is, and how a pointer or keys press, drag and lift it. */

import { regionOf } from "../map/labelmap.mjs";
import { CLASSES } from "../map/palette.mjs";
import { t } from "../map/words.mjs";
import { Protection } from "./protection.mjs";
import { makeTools } from "./toolbox.mjs";
import { Transform } from "./transform.mjs";

/** @typedef {import("./studio.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Tool} Tool */
/** @typedef {import("./tool.mjs").Touch} Touch */

/** Tools with which Alt and a press pick a class. */
const PICKING = ["brush", "eraser", "fill", "fillAll"];
/** Tools for which Enter both presses and lifts. */
const AT_ONCE = ["polygon", "fill", "fillAll", "eyedropper", "move"];

export class Pen {
  /**
   * @param {Studio} studio
   * @param {{onPress: () => void, onChange: () => void, onTake: () => void}} listeners
   */
  constructor(studio, { onPress, onChange, onTake }) {
    this.studio = studio;
    this.onPress = onPress;
    this.onChange = onChange;
    this.onTake = onTake;
    this.tools = makeTools();
    this.transform = new Transform();
    this.protection = new Protection();
    this.toolName = "brush";
    /** A tool that replaces the chosen one for one press. */
    this.borrowed = "";
    /** Where the pen is, down or not. @type {Touch | null} */
    this.at = null;
    this.isDown = false;
    /** Whether keys moved it last. */
    this.isByKey = false;
  }

  /** @returns {Tool | undefined} none for the hand, which moves the view */
  get tool() {
    if (this.borrowed) return this.tools[this.borrowed];
    return this.toolName === "move" ? this.transform : this.tools[this.toolName];
  }

  /** Whether the chosen tool draws in the pencil drawing. */
  get isPencil() {
    return this.tools[this.toolName]?.isPencil === true;
  }

  /** Whether there is a stroke, shape or move that is not a step yet. */
  get hasBegun() {
    return this.isDown || this.transform.region !== null || Boolean(this.tool?.outline?.().length);
  }

  /** Whether a pointer or the keys have it over the sheet, and it is not down. */
  get isHovering() {
    return this.at !== null && !this.isDown;
  }

  /** Chooses a tool. @param {string} name */
  take(name) {
    this.settle();
    this.toolName = name;
    this.onTake();
  }

  /** Finishes the current stroke, shape or move, so that nothing is lost when something else begins. */
  settle() {
    if (this.isDown && this.at) this.lift(this.at);
    this.tool?.finish?.(this.studio);
    this.giveUp();
  }

  /** @param {Touch} touch @param {"pen" | "eraser" | ""} [tip]  the end that touches, if it is a pen */
  press(touch, tip = "") {
    this.at = touch;
    this.studio.hasPressure = tip !== "";
    this.onPress();
    this.borrowed = touch.alt && PICKING.includes(this.toolName) ? "eyedropper" : "";
    if (tip === "eraser") this.borrowed = this.isPencil ? "pencilEraser" : "eraser";
    this.transform.reach = 12 / this.studio.zoom();
    this.isDown = true;
    this.protection.reset();
    this.protection.check(this.borrowed || this.toolName, this.studio, touch);
    this.tool?.down(this.studio, touch);
    this.onChange();
  }

  /** @param {Touch} touch */
  drag(touch) {
    if (!this.isDown) return;
    this.protection.check(this.borrowed || this.toolName, this.studio, touch);
    this.tool?.drag(this.studio, touch);
    this.onChange();
  }

  /** @param {Touch} touch */
  lift(touch) {
    if (!this.isDown) return;
    this.tool?.up(this.studio, touch);
    this.#rest();
  }

  /** Takes back the press that is down, but not the corners or the region from before it. */
  takeBack() {
    if (this.tool?.takeBack) this.tool.takeBack(this.studio);
    else this.tool?.cancel(this.studio);
    this.#rest();
  }

  /** Takes back the current stroke, shape or move. */
  giveUp() {
    this.tool?.cancel(this.studio);
    this.#rest();
  }

  /** Holds all of a class: that of the region that is held, or the chosen one. */
  holdAll() {
    const id = this.transform.region?.id ?? this.studio.classId;
    this.take("move");
    const region = regionOf(this.studio.sheet.map, id);
    if (region.area) this.transform.hold(this.studio, region);
    else this.studio.say(t("There is no {title} on the sheet.", { title: t(CLASSES[id].title) }));
    this.onChange();
  }

  /** Applies the move and lets the region go. */
  letGo() {
    if (this.transform.finish(this.studio)) this.onChange();
  }

  /** Removes the region that is held. */
  removeHeld() {
    if (this.transform.remove(this.studio)) this.onChange();
    else this.studio.say(t("Hold a region first: click it with the Move tool."));
  }

  /** Takes back the last corner of a polygon. @returns {boolean} whether there was one */
  back() {
    return this.#isChanged(!this.isDown && this.tool?.back?.() === true);
  }

  /** Sets the last corner that was taken back again. @returns {boolean} whether there was one */
  forth() {
    return this.#isChanged(!this.isDown && this.tool?.forth?.() === true);
  }

  /** @param {boolean} isChanged */
  #isChanged(isChanged) {
    if (isChanged) this.onChange();
    return isChanged;
  }

  #rest() {
    this.isDown = false;
    this.borrowed = "";
    this.onChange();
  }

  /** @param {Touch | null} touch  where it hovers */
  point(touch) {
    this.at = touch;
    this.isByKey = false;
    this.onChange();
  }

  /** @param {number} dx @param {number} dy */
  moveByKey(dx, dy) {
    const { width, height } = this.studio.sheet;
    const at = this.at ?? { x: width / 2, y: height / 2 };
    const x = Math.max(0, Math.min(width - 1, Math.floor(at.x) + dx)) + 0.5;
    const y = Math.max(0, Math.min(height - 1, Math.floor(at.y) + dy)) + 0.5;
    this.at = { x, y, pressure: 1, shift: false, alt: false };
    this.isByKey = true;
    if (this.isDown) this.drag(this.at);
    this.onChange();
  }

  pressByKey() {
    if (!this.at) this.moveByKey(0, 0);
    const touch = /** @type {Touch} */ (this.at);
    if (this.isDown) return this.lift(touch);
    // While keys move the pen, Enter also sets a polygon's corners; it finishes only what a pointer began.
    if ((this.toolName === "move" || !this.isByKey) && this.tool?.finish?.(this.studio)) return this.onChange();
    this.press({ ...touch, shift: false, alt: false });
    if (AT_ONCE.includes(this.toolName)) this.lift(touch);
  }

  /**
   * Moves, or scales and turns, the selected region by keys.
   * @param {[number, number]} arrow @param {number} step @param {boolean} isTurn
   * @returns {boolean} whether there was one
   */
  nudge([dx, dy], step, isTurn) {
    if (this.toolName !== "move") return false;
    const by = isTurn
      ? { sx: 1.02 ** (-dy * step), angle: (dx * step * Math.PI) / 180 }
      : { dx: dx * step, dy: dy * step };
    const isMoved = this.transform.nudge(this.studio, by);
    if (isMoved) this.onChange();
    return isMoved;
  }
}

/** The keyboard: shortcuts of actions, digits for classes, and the pen by arrows and Enter. */

import { TOKEN } from "../map/labelmap.mjs";
import { ACTIONS } from "./actions.mjs";
import { isForField, leavesField } from "./fields.mjs";
import { chord, classOf } from "./keys.mjs";

/** @typedef {import("./actions.mjs").Parts} Parts */
/** @typedef {import("./classlist.mjs").ClassList} ClassList */
/** @typedef {import("./page.mjs").Page} Page */

const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

export class Keyboard {
  /**
   * @param {Page} page
   * @param {Parts} parts
   * @param {ClassList} classList
   * @param {() => void} restore  shows the values in force in the fields
   */
  constructor(page, parts, classList, restore) {
    this.page = page;
    this.parts = parts;
    this.classList = classList;
    this.restore = restore;
    /** While it is, a pointer pans; with Shift it turns the view. */
    this.isSpaceDown = false;
    /** The place of the key that shows the Live picture alone, while it is held. */
    this.heldCode = "";
    const { document } = page;
    document.addEventListener("keydown", (event) => this.#down(event));
    document.addEventListener("keyup", (event) => this.#up(event));
    document.defaultView?.addEventListener("blur", () => this.#release());
  }

  /** @param {KeyboardEvent} event */
  #down(event) {
    if (this.page.isAsking()) return;
    if (this.#leave(event)) return event.preventDefault();
    if (isForField(event)) return;
    const key = chord(event);
    const action = ACTIONS.find(({ keys }) => keys.includes(key));
    const isOnCanvas = event.target === this.page.canvas || event.target === this.page.document.body;
    const classId = classOf(event);
    if (classId !== null) this.parts.classes.choose(classId);
    else if (action) action.run(this.parts);
    else if (!this.#other(event, key, isOnCanvas)) return;
    event.preventDefault();
  }

  /** Leaves the field that has the focus, if the key does. @param {KeyboardEvent} event */
  #leave(event) {
    // The search has keys of its own.
    return !this.classList.isSearching() && leavesField(event, this.page, this.restore);
  }

  /** @param {KeyboardEvent} event */
  #up(event) {
    if (event.key === " ") this.isSpaceDown = false;
    if (event.code === this.heldCode) this.#hold("");
  }

  /** The window lost the keyboard: nothing is held any more. */
  #release() {
    this.isSpaceDown = false;
    this.#hold("");
  }

  /** @param {string} code  of the key that shows the Live picture alone; "" once it is up */
  #hold(code) {
    this.heldCode = code;
    this.parts.live.hold(code !== "");
  }

  /** A key that is not an action's. @param {KeyboardEvent} event @param {string} key @param {boolean} isOnCanvas */
  #other(event, key, isOnCanvas) {
    if (key === "Escape") this.#escape();
    else if (key === " ") this.isSpaceDown = true;
    else if (key === "\\") this.#hold(event.code || key);
    else return isOnCanvas && this.#pen(key);
    return true;
  }

  /** Cancels the stroke in progress, else the search, else closes the editor. */
  #escape() {
    const { pen, session } = this.parts;
    if (pen.hasBegun) pen.giveUp();
    else if (this.classList.isSearching()) this.classList.endSearch();
    else session.close();
  }

  /** The pen by keys. @param {string} key @returns {boolean} whether the key is for the pen */
  #pen(key) {
    const { pen } = this.parts;
    if (key === "Enter") pen.pressByKey();
    const arrow = ARROWS[key.split("+").at(-1) ?? ""];
    if (!arrow) return key === "Enter";
    const step = key.startsWith("Shift+") ? TOKEN : 1;
    if (pen.nudge(arrow, step, key.startsWith("Ctrl+"))) return true;
    pen.moveByKey(arrow[0] * step, arrow[1] * step);
    return true;
  }
}

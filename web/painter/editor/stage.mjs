/** The canvas under mouse, pen, fingers and keys: what they do becomes touches for the tool. */

import { ClassNumber, ACTIONS, chord } from "./actions.mjs";
import { isAsking } from "./dialogs.mjs";
import { TOKEN } from "../map/labelmap.mjs";

/** @typedef {import("./editor.mjs").Editor} Editor */
/** @typedef {import("../tools/tool.mjs").Touch} Touch */

const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/** The number of the button that is a pen's other end. */
const ERASER = 5;

export class Stage {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    /** @type {Map<number, PointerEvent>} */
    this.pointers = new Map();
    /** What the pointer that is down does. */
    this.doing = /** @type {"tool" | "pan" | "pinch" | null} */ (null);
    this.isSpaceDown = false;
    this.hasPen = false;
    this.number = new ClassNumber();
    const { canvas, document } = editor;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#cancel(event));
    // After every release; and instead of one where the release was swallowed.
    canvas.addEventListener("lostpointercapture", ({ pointerId }) => this.#end(pointerId));
    canvas.addEventListener("pointerleave", () => this.#leave());
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => this.#keyDown(event));
    document.addEventListener("keyup", (event) => this.#keyUp(event));
    document.defaultView?.addEventListener("blur", () => (this.isSpaceDown = false));
  }

  /** @param {PointerEvent} event @returns {Touch} */
  #touch(event) {
    const { x, y } = this.editor.scene.view.toMap(event);
    const pressure = event.pointerType === "pen" ? event.pressure : 1;
    return { x, y, pressure, shift: event.shiftKey, alt: event.altKey };
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const { editor } = this;
    editor.canvas.focus();
    const isPen = event.pointerType === "pen";
    if (isPen) this.#liftFingers();
    else if (this.#hasPenDown()) return; // the hand beside it rests on the glass
    this.pointers.set(event.pointerId, event);
    try {
      editor.canvas.setPointerCapture(event.pointerId);
    } catch {
      // A pointer that is gone already cannot be captured.
    }
    if (isPen) this.hasPen = true;
    if (this.pointers.size > 1) return this.#beginPinch();
    const isPan = event.button === 1 || this.isSpaceDown || editor.toolName === "hand";
    // Where a pen is used, fingers do not paint.
    if (isPan || (event.pointerType === "touch" && this.hasPen)) this.doing = "pan";
    else if (event.button === 0 || (isPen && event.button === ERASER)) {
      this.doing = "tool";
      editor.pen.press(this.#touch(event), isPen ? (event.button === ERASER ? "eraser" : "pen") : "");
    }
  }

  #hasPenDown() {
    return [...this.pointers.values()].some(({ pointerType }) => pointerType === "pen");
  }

  #liftFingers() {
    if (this.pointers.size && this.doing === "tool") this.editor.pen.giveUp();
    this.pointers.clear();
    this.doing = null;
  }

  #beginPinch() {
    if (this.doing === "tool") this.editor.pen.giveUp();
    this.doing = "pinch";
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const { editor } = this;
    const before = this.pointers.get(event.pointerId);
    if (!before && this.pointers.size) return;
    if (before && event.pointerType === "mouse" && !event.buttons) return this.#end(event.pointerId);
    if (before) this.pointers.set(event.pointerId, event);
    if (this.doing === "pan" && before)
      editor.scene.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    else if (this.doing === "pinch" && before) this.#pinch(before, event);
    else if (this.doing === "tool" && before) {
      const steps = event.getCoalescedEvents?.() ?? [];
      for (const step of steps.length ? steps : [event]) editor.pen.drag(this.#touch(step));
    }
    editor.pen.point(this.#touch(event));
  }

  /** @param {PointerEvent} before @param {PointerEvent} event */
  #pinch(before, event) {
    const other = [...this.pointers.values()].find((one) => one.pointerId !== event.pointerId);
    if (!other) return;
    const apart = (/** @type {PointerEvent} */ one) =>
      Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const box = this.editor.canvas.getBoundingClientRect();
    const at = { x: (event.clientX + other.clientX) / 2 - box.left, y: (event.clientY + other.clientY) / 2 - box.top };
    this.editor.scene.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    this.editor.scene.zoom(apart(event) / Math.max(1, apart(before)), at);
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, event);
    this.#end(event.pointerId);
  }

  /** What a finger began was no stroke after all; a pen's or a mouse's is kept. @param {PointerEvent} event */
  #cancel(event) {
    if (event.pointerType === "touch" && this.doing === "tool") this.editor.pen.giveUp();
    this.#end(event.pointerId);
  }

  /** The pointer is up, where it was seen last. @param {number} pointerId */
  #end(pointerId) {
    const last = this.pointers.get(pointerId);
    if (!last) return;
    this.pointers.delete(pointerId);
    if (this.doing === "tool") this.editor.pen.lift(this.#touch(last));
    if (!this.pointers.size) this.doing = null;
  }

  #leave() {
    if (!this.pointers.size) this.editor.pen.point(null);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const box = this.editor.canvas.getBoundingClientRect();
    const at = { x: event.clientX - box.left, y: event.clientY - box.top };
    if (event.shiftKey) this.editor.scene.pan(-event.deltaY - event.deltaX, 0);
    else if (event.altKey) this.editor.resizeBrush(event.deltaY < 0 ? 1 : -1);
    else this.editor.scene.zoom(1.0015 ** -Math.max(-400, Math.min(400, event.deltaY)), at);
  }

  /** @param {KeyboardEvent} event */
  #keyDown(event) {
    const { editor } = this;
    if (isAsking(editor) || isForField(event)) return;
    const key = chord(event);
    const action = ACTIONS.find(({ keys }) => keys.includes(key));
    const isOnCanvas = event.target === editor.canvas || event.target === editor.document.body;
    if (!/^\d$/.test(key)) this.number.digits = "";
    if (action) action.run(editor);
    else if (!this.#other(event, key, isOnCanvas)) return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event @param {string} key @param {boolean} isOnCanvas @returns {boolean} */
  #other(event, key, isOnCanvas) {
    const { editor } = this;
    if (/^\d$/.test(key)) editor.choose(this.number.add(key, event.timeStamp));
    else if (key === "Escape") editor.escape();
    else if (key === " ") this.isSpaceDown = true;
    else return isOnCanvas && this.#pen(key);
    return true;
  }

  /** The pen by keyboard. @param {string} key @returns {boolean} */
  #pen(key) {
    const { editor } = this;
    if (key === "Enter") editor.pen.pressByKey();
    const arrow = ARROWS[key.split("+").at(-1) ?? ""];
    if (!arrow) return key === "Enter";
    const step = key.startsWith("Shift+") ? TOKEN : 1;
    if (editor.pen.nudge(arrow, step, key.startsWith("Ctrl+"))) return true;
    editor.pen.moveByKey(arrow[0] * step, arrow[1] * step);
    return true;
  }

  /** @param {KeyboardEvent} event */
  #keyUp(event) {
    if (event.key === " ") this.isSpaceDown = false;
  }
}

/** Whether a field or a button wants the key for itself. @param {KeyboardEvent} event */
function isForField(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key === "Escape" || event.ctrlKey || event.metaKey) return false;
  if (target.tagName === "BUTTON") return event.key === "Enter" || event.key === " ";
  if (target.tagName === "SELECT") return true;
  if (target.tagName !== "INPUT") return false;
  const { type } = /** @type {HTMLInputElement} */ (target);
  return type === "range"
    ? event.key in ARROWS || /^(Page|Home|End)/.test(event.key)
    : type !== "checkbox" || event.key === " ";
}

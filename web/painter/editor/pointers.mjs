/** Mouse, pen and fingers on the canvas: they paint with the pen, pan, zoom, or turn the view. */

import { isTextField } from "./fields.mjs";
import { Twist, angleBetween } from "./rotation.mjs";
import { Wheel } from "./wheel.mjs";

/** @typedef {import("../tools/pen.mjs").Pen} Pen */
/** @typedef {import("../tools/brush.mjs").Brush} Brush */
/** @typedef {import("./scene.mjs").Scene} Scene */
/** @typedef {import("../tools/tool.mjs").Touch} Touch */

/** A press that moves less than this, in pixels, is a click. */
const CLICK = 4;
/** The number of the button that a pen's eraser end presses. */
const ERASER = 5;

export class Pointers {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Pen} pen
   * @param {Brush} brush
   * @param {Scene} scene
   * @param {{isSpaceDown: boolean}} keyboard
   * @param {(place: {x: number, y: number}) => void} pick  offers the classes, at a place of the window
   */
  constructor(canvas, pen, brush, scene, keyboard, pick) {
    this.canvas = canvas;
    this.pen = pen;
    this.brush = brush;
    this.scene = scene;
    this.keyboard = keyboard;
    /** @type {Map<number, PointerEvent>} */
    this.pointers = new Map();
    /** What the pointers that are down do. */
    this.doing = /** @type {"tool" | "pan" | "turn" | "pinch" | "leave" | null} */ (null);
    /** Whether a pen was ever used. */
    this.hasPen = false;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#cancel(event));
    // Comes after every release, and in place of a release that the page never gets.
    canvas.addEventListener("lostpointercapture", ({ pointerId }) => this.#end(pointerId));
    canvas.addEventListener("pointerleave", () => this.#leave());
    this.wheel = new Wheel(canvas, scene, brush);
    this.twist = new Twist();
    canvas.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      // A right click, not the menu key or a finger that rests.
      if (event.button === 2 && !this.doing) pick(placeOf(event));
    });
  }

  /** @param {PointerEvent} event @returns {Touch} */
  #touch(event) {
    const { x, y } = this.scene.view.toMap(event);
    const pressure = event.pointerType === "pen" ? event.pressure : 1;
    return { x, y, pressure, shift: event.shiftKey, alt: event.altKey };
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const leavesField = isTextField(this.canvas.ownerDocument.activeElement);
    this.canvas.focus();
    const isPen = event.pointerType === "pen";
    if (isPen) this.#liftFingers();
    else if (this.#hasPenDown()) return; // the hand that holds the pen rests on the screen
    this.pointers.set(event.pointerId, event);
    try {
      this.canvas.setPointerCapture(event.pointerId);
    } catch {
      // The pointer has left already.
    }
    if (isPen) this.hasPen = true;
    if (this.pointers.size > 1) return this.#beginPinch();
    const isPan = event.button === 1 || this.keyboard.isSpaceDown || this.pen.toolName === "hand";
    // Fingers do not paint once a pen was used.
    if (isPan || (event.pointerType === "touch" && this.hasPen)) this.doing = event.shiftKey ? "turn" : "pan";
    else if (event.button === 0 || (isPen && event.button === ERASER)) {
      // A click that only leaves a field paints nothing.
      if (leavesField) this.doing = "leave";
      else this.#press(event);
    }
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const isPen = event.pointerType === "pen";
    this.doing = "tool";
    this.pen.press(this.#touch(event), isPen ? (event.button === ERASER ? "eraser" : "pen") : "");
  }

  #hasPenDown() {
    return [...this.pointers.values()].some(({ pointerType }) => pointerType === "pen");
  }

  #liftFingers() {
    if (this.pointers.size && this.doing === "tool") this.pen.takeBack();
    this.pointers.clear();
    this.doing = null;
  }

  #beginPinch() {
    if (this.doing === "tool") this.pen.takeBack();
    this.doing = "pinch";
    this.twist.reset();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before && this.pointers.size) return;
    if (before && event.pointerType === "mouse" && !event.buttons) return this.#end(event.pointerId);
    if (before && this.doing === "leave") {
      if (distance(before, event) < CLICK) return;
      this.#press(before);
    }
    if (before) this.pointers.set(event.pointerId, event);
    if (this.doing === "pan" && before) this.scene.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    else if (this.doing === "turn" && before) this.#turn(before, event);
    else if (this.doing === "pinch" && before) this.#pinch(before, event);
    else if (this.doing === "tool" && before) {
      const steps = event.getCoalescedEvents?.() ?? [];
      for (const step of steps.length ? steps : [event]) this.pen.drag(this.#touch(step));
    }
    this.pen.point(this.#touch(event));
  }

  /** @param {PointerEvent} before @param {PointerEvent} event */
  #pinch(before, event) {
    const other = [...this.pointers.values()].find((one) => one.pointerId !== event.pointerId);
    if (!other) return;
    const box = this.canvas.getBoundingClientRect();
    const at = { x: (event.clientX + other.clientX) / 2 - box.left, y: (event.clientY + other.clientY) / 2 - box.top };
    this.scene.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    this.scene.zoom(distance(event, other) / Math.max(1, distance(before, other)), at);
    this.scene.turn(this.twist.add(angleBetween(placeOf(other), placeOf(before), placeOf(event))), at);
  }

  /** About the canvas's centre. @param {PointerEvent} before @param {PointerEvent} event */
  #turn(before, event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const centre = { x: left + width / 2, y: top + height / 2 };
    this.scene.turn(angleBetween(centre, placeOf(before), placeOf(event)));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, event);
    this.#end(event.pointerId);
  }

  /** Takes back what a finger painted; keeps what a pen or mouse painted. @param {PointerEvent} event */
  #cancel(event) {
    if (event.pointerType === "touch" && this.doing === "tool") this.pen.takeBack();
    this.#end(event.pointerId);
  }

  /** Ends what the pointer did, at its last place. @param {number} pointerId */
  #end(pointerId) {
    const last = this.pointers.get(pointerId);
    if (!last) return;
    this.pointers.delete(pointerId);
    if (this.doing === "tool") this.pen.lift(this.#touch(last));
    if (!this.pointers.size) this.doing = null;
  }

  #leave() {
    if (!this.pointers.size) this.pen.point(null);
  }
}

/** @param {MouseEvent} event */
function placeOf({ clientX, clientY }) {
  return { x: clientX, y: clientY };
}

/** @param {PointerEvent} one @param {PointerEvent} other */
function distance(one, other) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}

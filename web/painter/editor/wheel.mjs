/** The wheel and the touchpad: zoom, pan and the size of the brush. */

/** A mouse's wheel moves at least this far at once, in pixels; a touchpad moves in smaller steps. */
const NOTCH = 30;
/** For this long after a swipe event, in ms, further events count as swipes: swipes end in whole numbers. */
const SWIPE_MS = 250;

export class Wheel {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./scene.mjs").Scene} scene
   * @param {import("../tools/brush.mjs").Brush} brush
   */
  constructor(canvas, scene, brush) {
    this.canvas = canvas;
    this.scene = scene;
    this.brush = brush;
    this.lastSwipe = -Infinity;
    canvas.addEventListener("wheel", (event) => this.#turn(event), { passive: false });
  }

  /** @param {WheelEvent} event */
  #turn(event) {
    event.preventDefault();
    const { deltaX, deltaY } = event;
    const box = this.canvas.getBoundingClientRect();
    const at = { x: event.clientX - box.left, y: event.clientY - box.top };
    // Browsers report a pinch on a touchpad as a wheel with Ctrl.
    if (event.ctrlKey || event.metaKey) this.scene.zoom(Math.exp(-Math.max(-200, Math.min(200, deltaY)) / 100), at);
    else if (event.shiftKey) this.scene.pan(-deltaY - deltaX, 0);
    else if (event.altKey) this.brush.resize(deltaY < 0 ? 1 : -1);
    else if (this.#isSwipe(event)) this.scene.pan(-deltaX, -deltaY);
    else this.scene.zoom(1.0015 ** -Math.max(-400, Math.min(400, deltaY)), at);
  }

  /** Whether two fingers on a touchpad made the event. No browser says so; a mouse's wheel turns in whole notches. */
  #isSwipe(/** @type {WheelEvent} */ event) {
    const { deltaX, deltaY, deltaMode, timeStamp } = event;
    const isFine = deltaX !== 0 || Math.abs(deltaY) < NOTCH || !Number.isInteger(deltaY) || isPrecise(event);
    if (isNotch(event) && timeStamp - this.lastSwipe >= SWIPE_MS) return false;
    const isSwipe = deltaMode === 0 && (isFine || timeStamp - this.lastSwipe < SWIPE_MS);
    if (isSwipe) this.lastSwipe = timeStamp;
    return isSwipe;
  }
}

/**
 * Whether the old-style delta is of whole notches, which no zoom of the page divides.
 * @param {WheelEvent} event
 */
function isNotch(event) {
  const old = /** @type {{wheelDeltaY?: number}} */ (event).wheelDeltaY;
  return event.deltaX === 0 && Boolean(old) && Number(old) % 120 === 0;
}

/** Chromium reports a touchpad's old-style delta as exactly three times the new one. @param {WheelEvent} event */
function isPrecise(event) {
  const old = /** @type {{wheelDeltaY?: number}} */ (event).wheelDeltaY;
  return old !== undefined && old !== 0 && old === -3 * event.deltaY;
}

/** The pen: pressed, drawn along and lifted by a pointer or by keys, for whichever tool is taken. */

/** @typedef {import("../editor/editor.mjs").Editor} Editor */
/** @typedef {import("./tool.mjs").Touch} Touch */

const PICKING = ["brush", "eraser", "fill", "fillAll"];
const AT_ONCE = ["polygon", "fill", "fillAll", "eyedropper", "move"];

export class Pen {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    /** Where it is, down or not. @type {Touch | null} */
    this.at = null;
    this.isDown = false;
    this.hasPressure = false;
    /** Whether keys moved it last. */
    this.isByKey = false;
    /** A tool that is used in place of the taken one, for one press. */
    this.borrowed = "";
  }

  /** @param {Touch} touch @param {"pen" | "eraser" | ""} [tip]  what touches, if it is a pen */
  press(touch, tip = "") {
    const { editor } = this;
    this.at = touch;
    this.hasPressure = tip !== "";
    editor.scene.spot = null;
    this.borrowed = touch.alt && PICKING.includes(editor.toolName) ? "eyedropper" : "";
    if (tip === "eraser") this.borrowed = "eraser";
    editor.transform.reach = 12 / editor.scene.view.zoom;
    this.isDown = true;
    editor.tool?.down(editor, touch);
    editor.scene.redraw();
  }

  /** @param {Touch} touch */
  drag(touch) {
    if (!this.isDown) return;
    this.editor.tool?.drag(this.editor, touch);
    this.editor.scene.redraw();
  }

  /** @param {Touch} touch */
  lift(touch) {
    if (!this.isDown) return;
    this.editor.tool?.up(this.editor, touch);
    this.isDown = false;
    this.borrowed = "";
    this.editor.scene.redraw();
  }

  /** Takes back what is begun and not finished. */
  giveUp() {
    this.editor.tool?.cancel(this.editor);
    this.isDown = false;
    this.borrowed = "";
    this.editor.scene.redraw();
  }

  /** @param {Touch | null} touch  where it hovers */
  point(touch) {
    this.at = touch;
    this.isByKey = false;
    this.editor.scene.redraw();
  }

  /** @param {number} dx @param {number} dy */
  moveByKey(dx, dy) {
    const { width, height } = this.editor.sheet;
    const at = this.at ?? { x: width / 2, y: height / 2 };
    const x = Math.max(0, Math.min(width - 1, Math.floor(at.x) + dx)) + 0.5;
    const y = Math.max(0, Math.min(height - 1, Math.floor(at.y) + dy)) + 0.5;
    this.at = { x, y, pressure: 1, shift: false, alt: false };
    this.isByKey = true;
    if (this.isDown) this.drag(this.at);
    this.editor.scene.redraw();
  }

  pressByKey() {
    if (!this.at) this.moveByKey(0, 0);
    const touch = /** @type {Touch} */ (this.at);
    if (this.isDown) return this.lift(touch);
    // A polygon's corners are set by Enter too, where the pen is moved by keys.
    if ((this.editor.toolName === "move" || !this.isByKey) && this.editor.tool?.finish?.(this.editor))
      return this.editor.scene.redraw();
    this.press({ ...touch, shift: false, alt: false });
    if (AT_ONCE.includes(this.editor.toolName)) this.lift(touch);
  }

  /**
   * @param {[number, number]} arrow @param {number} step @param {boolean} isTurn
   * @returns {boolean} whether a held region took it
   */
  nudge([dx, dy], step, isTurn) {
    if (this.editor.toolName !== "move") return false;
    const by = isTurn
      ? { sx: 1.02 ** (-dy * step), angle: (dx * step * Math.PI) / 180 }
      : { dx: dx * step, dy: dy * step };
    const isTaken = this.editor.transform.nudge(this.editor, by);
    if (isTaken) this.editor.scene.redraw();
    return isTaken;
  }
}

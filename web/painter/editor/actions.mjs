/** Everything that can be done, with its key: buttons, shortcuts and the help are all made from this list. */

import { CLASSES } from "../map/palette.mjs";

/** @typedef {import("./editor.mjs").Editor} Editor */

/**
 * @typedef {object} Action
 * @property {string} id
 * @property {string} title  the accessible name of its button
 * @property {string[]} keys  as `chord` writes them
 * @property {string} group
 * @property {(editor: Editor) => void} run
 * @property {(editor: Editor) => boolean} [isOn]  of those that stay on
 * @property {(editor: Editor) => boolean} [isIdle]  when it can do nothing
 */

/** @type {ReadonlyArray<readonly [string, string, string]>} */
const TOOLS = [
  ["brush", "Brush", "B"],
  ["eraser", "Eraser (to background)", "E"],
  ["line", "Line", "L"],
  ["lasso", "Lasso", "A"],
  ["rectangle", "Rectangle", "R"],
  ["ellipse", "Ellipse", "O"],
  ["polygon", "Polygon", "P"],
  ["fill", "Fill what hangs together", "G"],
  ["fillAll", "Fill all of a class", "Shift+G"],
  ["eyedropper", "Eyedropper", "I"],
  ["move", "Move, scale or rotate a region", "V"],
  ["hand", "Pan", "H"],
];

/** @type {ReadonlyArray<Action>} */
export const ACTIONS = Object.freeze([
  ...TOOLS.map(([id, title, key]) => ({
    id,
    title,
    keys: [key],
    group: "Tools",
    run: (/** @type {Editor} */ editor) => editor.take(id),
    isOn: (/** @type {Editor} */ editor) => editor.toolName === id,
  })),
  act("smaller", "Smaller brush", "Brush and mirror", ["["], (editor) => editor.resizeBrush(-1)),
  act("larger", "Larger brush", "Brush and mirror", ["]"], (editor) => editor.resizeBrush(1)),
  on(
    "pressure",
    "Pen pressure sets the size",
    "Brush and mirror",
    ["Shift+B"],
    (editor) => editor.toggle("pressure"),
    (editor) => editor.wishes.pressure,
  ),
  on(
    "mirror",
    "Mirror brush",
    "Brush and mirror",
    ["M"],
    (editor) => editor.mirror.toggle(),
    (editor) => editor.mirror.isUp,
  ),
  act("mirrorHere", "Stand the mirror at the pointer", "Brush and mirror", ["Shift+M"], (editor) =>
    editor.mirrorHere(),
  ),
  act(
    "undo",
    "Undo",
    "Steps",
    ["Ctrl+Z"],
    (editor) => editor.undo(),
    (editor) => !editor.sheet.history.canUndo,
  ),
  act(
    "redo",
    "Redo",
    "Steps",
    ["Ctrl+Shift+Z", "Ctrl+Y"],
    (editor) => editor.redo(),
    (editor) => !editor.sheet.history.canRedo,
  ),
  act("flip", "Mirror the whole face", "Steps", ["Shift+F"], (editor) => editor.flip()),
  act("previousClass", "Class before", "Classes", [",", "PageUp"], (editor) => editor.stepClass(-1)),
  act("nextClass", "Class after", "Classes", [".", "PageDown"], (editor) => editor.stepClass(1)),
  act("swapClass", "Back to the last class", "Classes", ["X"], (editor) => editor.choose(editor.lastClass)),
  act("search", "Search the classes", "Classes", ["/"], (editor) => editor.layout.search()),
  on(
    "lock",
    "Protect this class",
    "Classes",
    ["Shift+L"],
    (editor) => editor.marks.toggle("locked", editor.classId),
    (editor) => editor.marks.has("locked", editor.classId),
  ),
  on(
    "hide",
    "Hide this class",
    "Classes",
    ["Shift+H"],
    (editor) => editor.marks.toggle("hidden", editor.classId),
    (editor) => editor.marks.has("hidden", editor.classId),
  ),
  on(
    "solo",
    "Show only this class",
    "Classes",
    ["Shift+S"],
    (editor) => editor.marks.toggle("solo", editor.classId),
    (editor) => editor.marks.has("solo", editor.classId),
  ),
  on(
    "only",
    "Paint only over this class",
    "Classes",
    ["Shift+O"],
    (editor) => editor.marks.toggle("only", editor.classId),
    (editor) => editor.marks.has("only", editor.classId),
  ),
  act("release", "Free, show and open all classes", "Classes", ["Shift+U"], (editor) => editor.marks.clear()),
  act("zoomIn", "Zoom in", "View", ["+", "="], (editor) => editor.scene.zoom(1.25)),
  act("zoomOut", "Zoom out", "View", ["-"], (editor) => editor.scene.zoom(0.8)),
  act("fit", "Fit into the window", "View", ["F"], (editor) => editor.scene.fit()),
  act("actual", "One pixel a pixel", "View", ["Z"], (editor) => editor.scene.actual()),
  on(
    "grid",
    "Token grid",
    "View",
    ["T"],
    (editor) => editor.toggle("grid"),
    (editor) => editor.wishes.grid,
  ),
  on(
    "distinct",
    "Colour-blind-safe colours",
    "View",
    ["C"],
    (editor) => editor.toggle("distinct"),
    (editor) => editor.wishes.distinct,
  ),
  on(
    "photo",
    "Show the photo",
    "View",
    ["U"],
    (editor) => editor.photo.toggle(),
    (editor) => editor.photo.shown !== null,
  ),
  act("photoLess", "Less of the photo", "View", ["<"], (editor) => editor.photo.addShare(-0.1)),
  act("photoMore", "More of the photo", "View", [">"], (editor) => editor.photo.addShare(0.1)),
  act("photoFile", "Photo from a file", "Files", ["Shift+P"], (editor) => editor.photo.pick()),
  act("start", "Start from: a face, a file, the mask input, empty; size", "Files", ["N"], (editor) => editor.start()),
  act("saveColours", "Export PNG in colours", "Files", ["Shift+E"], (editor) => editor.save("colours")),
  act("saveIds", "Export PNG of class ids", "Files", ["Shift+I"], (editor) => editor.save("ids")),
  act("help", "Keys and help", "Painter", ["?", "F1"], (editor) => editor.help()),
  act("done", "Done", "Painter", ["Ctrl+Enter"], (editor) => void editor.close()),
]);

/**
 * @param {string} id @param {string} title @param {string} group @param {string[]} keys
 * @param {(editor: Editor) => void} run @param {(editor: Editor) => boolean} [isIdle]
 * @returns {Action}
 */
function act(id, title, group, keys, run, isIdle) {
  return { id, title, group, keys, run, isIdle };
}

/**
 * @param {string} id @param {string} title @param {string} group @param {string[]} keys
 * @param {(editor: Editor) => void} run @param {(editor: Editor) => boolean} isOn
 * @returns {Action}
 */
function on(id, title, group, keys, run, isOn) {
  return { id, title, group, keys, run, isOn };
}

/** @param {string} id @returns {Action} */
export function actionOf(id) {
  const found = ACTIONS.find((action) => action.id === id);
  if (!found) throw new Error(`There is no action ${id}.`);
  return found;
}

/** What the keys do that are no single action; for the help. */
export const MORE_KEYS = Object.freeze([
  ["0 … 18", "Choose the class with this number"],
  ["Arrows", "Move the pen by a pixel; with Shift by a token"],
  ["Enter", "Put the pen down, lift it; close the polygon; keep the moved region"],
  ["Esc", "Give up what is begun; then leave"],
  ["Space, middle button", "Pan for as long as it is held"],
  ["Alt and a click", "Eyedropper, with brush or fill"],
  ["Shift, Alt", "Regular shapes; shapes from their middle. Shift and a click with Move: all of a class"],
  ["Arrows, Ctrl and arrows", "With a held region: move; scale and rotate"],
  ["Two fingers", "Pan and zoom"],
  ["The pen's other end", "Eraser, whichever tool is taken"],
  ["The wheel", "Zoom; with Shift pan, with Alt the size of the brush"],
]);

/**
 * How a key is named here: Ctrl (or Cmd), Alt and Shift in this order, letters in capitals. Signs that need
 * Shift on some keyboards are named by themselves.
 * @param {KeyboardEvent} event
 */
export function chord(event) {
  let { key } = event;
  // On a keyboard of another script the place of the key counts.
  if (!/^[ -~]$/.test(key) && /^Key[A-Z]$/.test(event.code)) key = event.code.slice(3);
  const isSign = key.length === 1 && !/[a-zA-Z]/.test(key);
  const name = key.length === 1 ? key.toUpperCase() : key;
  // AltGr, by which some keyboards write brackets, is reported as Ctrl and Alt.
  const isPlain = isSign && event.getModifierState?.("AltGraph");
  const isCtrl = (event.ctrlKey || event.metaKey) && !isPlain;
  const held = [isCtrl && "Ctrl", event.altKey && !isPlain && "Alt", event.shiftKey && !isSign && "Shift"];
  return [...held.filter(Boolean), name].join("+");
}

/** Two digits that follow each other are one number. */
export class ClassNumber {
  constructor() {
    this.digits = "";
    this.since = 0;
  }

  /** @param {string} digit @param {number} now  in ms @returns {number} a class */
  add(digit, now) {
    const joined = now - this.since < 700 ? this.digits + digit : digit;
    this.digits = Number(joined) < CLASSES.length ? joined : digit;
    this.since = now;
    return Number(this.digits);
  }
}

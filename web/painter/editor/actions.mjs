/**
 * All actions, each with its key and the part of the editor that it changes: for buttons, shortcuts and the help.
 * Longer than other files because it is one list, in the order of the help.
 */

import { STEP } from "./rotation.mjs";

/**
 * The parts of the editor. An action gets one of them.
 * @typedef {object} Parts
 * @property {import("../tools/pen.mjs").Pen} pen
 * @property {import("../tools/brush.mjs").Brush} brush
 * @property {import("../tools/pencil.mjs").Pencil} pencil
 * @property {import("../tools/mirror.mjs").Mirror} mirror
 * @property {import("../tools/classes.mjs").Classes} classes
 * @property {import("./steps.mjs").Steps} steps
 * @property {import("./scene.mjs").Scene} scene
 * @property {import("./display.mjs").Display} display
 * @property {import("./photo.mjs").Photo} photo
 * @property {import("./live.mjs").Live} live
 * @property {import("./exports.mjs").Exports} exports
 * @property {import("../tools/pair.mjs").Pair} pair
 * @property {import("./snapping.mjs").Snapping} snapping
 * @property {import("./nudges.mjs").Nudges} nudges
 * @property {{open(): void}} parts  the library of parts
 * @property {{openAtPointer(): void}} picker  the classes at the pointer
 * @property {{startSearch(): void}} search  of the list of classes
 * @property {{open(): void, follow(): unknown}} start  the dialog that offers what to start from
 * @property {{help(): void, close(): void, store(): void}} session
 */

/**
 * An action on one part.
 * @template Part
 * @typedef {object} PartAction
 * @property {string} id
 * @property {string} title  the accessible name of its button
 * @property {string[]} keys  as `chord` names them
 * @property {(part: Part) => void} run
 * @property {(part: Part) => boolean} [isOn]  of a switch
 * @property {(part: Part) => boolean} [isIdle]  whether it would do nothing now
 */

/** An action that picks its part by itself. @typedef {PartAction<Parts> & {group: string}} Action */

/**
 * @template {keyof Parts} Name
 * @param {Name} name
 * @param {string} group
 * @param {PartAction<Parts[Name]>[]} actions
 * @returns {Action[]}
 */
function on(name, group, actions) {
  return actions.map(({ id, title, keys, run, isOn, isIdle }) => ({
    id,
    title,
    keys,
    group,
    run: (parts) => run(parts[name]),
    isOn: isOn && ((parts) => isOn(parts[name])),
    isIdle: isIdle && ((parts) => isIdle(parts[name])),
  }));
}

/** @param {string} id @param {string} title @param {string} key @returns {PartAction<Parts["pen"]>} */
function tool(id, title, key) {
  return { id, title, keys: [key], run: (pen) => pen.take(id), isOn: (pen) => pen.toolName === id };
}

/**
 * @param {string} id
 * @param {import("../tools/classes.mjs").Mark} mark
 * @param {string} title
 * @param {string} key
 * @returns {PartAction<Parts["classes"]>}
 */
function mark(id, mark, title, key) {
  return { id, title, keys: [key], run: (classes) => classes.toggle(mark), isOn: (classes) => classes.has(mark) };
}

/** @type {ReadonlyArray<Action>} */
export const ACTIONS = Object.freeze([
  ...on("pen", "Tools", [
    tool("brush", "Brush", "B"),
    tool("eraser", "Eraser (to background)", "E"),
    tool("line", "Line", "L"),
    tool("lasso", "Lasso", "A"),
    tool("rectangle", "Rectangle", "R"),
    tool("ellipse", "Ellipse", "O"),
    tool("polygon", "Polygon", "P"),
    tool("fill", "Fill contiguous area", "G"),
    tool("fillAll", "Fill the whole class", "Shift+G"),
    tool("eyedropper", "Eyedropper", "I"),
    tool("pencil", "Pencil (lines of the sketch)", "D"),
    tool("pencilEraser", "Eraser of pencil lines", "Shift+D"),
    tool("move", "Move, scale or rotate a region", "V"),
    tool("hand", "Pan", "H"),
  ]),
  ...on("pen", "Held region", [
    { id: "holdAll", title: "Hold the whole class", keys: ["Ctrl+A"], run: (pen) => pen.holdAll() },
    { id: "letGo", title: "Apply the move and let the region go", keys: ["Ctrl+D"], run: (pen) => pen.letGo() },
    { id: "removeHeld", title: "Remove the region", keys: ["Delete", "Backspace"], run: (pen) => pen.removeHeld() },
  ]),
  ...on("brush", "Brush and mirror", [
    { id: "smaller", title: "Smaller brush", keys: ["["], run: (brush) => brush.resize(-1) },
    { id: "larger", title: "Larger brush", keys: ["]"], run: (brush) => brush.resize(1) },
    {
      id: "pressure",
      title: "Pen pressure changes the brush size",
      keys: ["Shift+B"],
      run: (brush) => brush.togglePressure(),
      isOn: (brush) => brush.pressure,
    },
    {
      id: "steady",
      title: "Stabiliser: off, light, strong",
      keys: ["S"],
      run: (brush) => brush.stepSteady(),
      isOn: (brush) => brush.steady > 0,
    },
  ]),
  ...on("mirror", "Brush and mirror", [
    {
      id: "mirror",
      title: "Mirror brush",
      keys: ["M"],
      run: (mirror) => mirror.toggle(),
      isOn: (mirror) => mirror.isOn,
    },
    {
      id: "mirrorHere",
      title: "Place the mirror at the pointer",
      keys: ["Shift+M"],
      run: (mirror) => mirror.placeAtPointer(),
    },
  ]),
  ...on("pair", "Face", [
    {
      id: "pair",
      title: "Pair brush: both eyes, brows, ears or lips as one",
      keys: ["Shift+X"],
      run: (pair) => pair.toggle(),
      isOn: (pair) => pair.isOn,
    },
  ]),
  ...on("nudges", "Face", [
    {
      id: "nudges",
      title: "Nudge the face: smile, eyes, brows, hairline, width",
      keys: ["Shift+R"],
      run: (nudges) => nudges.toggle(),
      isOn: (nudges) => nudges.isOpen,
    },
  ]),
  ...on("parts", "Face", [
    { id: "parts", title: "Hair, hat, glasses, eyes or mouth of another face", keys: ["Shift+J"], run: (parts) => parts.open() },
  ]),
  ...on("snapping", "Face", [
    {
      id: "snapping",
      title: "Follow the edges of the photo or Live picture",
      keys: ["Shift+A"],
      run: (snapping) => snapping.toggle(),
      isOn: (snapping) => snapping.isOn,
    },
  ]),
  ...on("steps", "History", [
    { id: "undo", title: "Undo", keys: ["Ctrl+Z"], run: (steps) => steps.undo(), isIdle: (steps) => !steps.canUndo },
    {
      id: "redo",
      title: "Redo",
      keys: ["Ctrl+Shift+Z", "Ctrl+Y"],
      run: (steps) => steps.redo(),
      isIdle: (steps) => !steps.canRedo,
    },
    { id: "flip", title: "Mirror the whole face", keys: ["Shift+F"], run: (steps) => steps.flip() },
  ]),
  ...on("classes", "Classes", [
    { id: "previousClass", title: "Previous class", keys: [",", "PageUp"], run: (classes) => classes.step(-1) },
    { id: "nextClass", title: "Next class", keys: [".", "PageDown"], run: (classes) => classes.step(1) },
    {
      id: "swapClass",
      title: "Switch back to the last class",
      keys: ["X"],
      run: (classes) => classes.choose(classes.previous),
    },
  ]),
  ...on("picker", "Classes", [
    {
      id: "picker",
      title: "Choose a class at the pointer",
      keys: ["Shift+C", "ContextMenu"],
      run: (picker) => picker.openAtPointer(),
    },
  ]),
  ...on("search", "Classes", [
    { id: "search", title: "Search classes", keys: ["/", "Ctrl+F"], run: (search) => search.startSearch() },
  ]),
  ...on("classes", "Classes", [
    mark("lock", "locked", "Protect this class", "Shift+L"),
    mark("hide", "hidden", "Hide this class", "Shift+H"),
    mark("solo", "solo", "Show only this class", "Shift+S"),
    mark("only", "only", "Paint only over this class", "Shift+O"),
    {
      id: "release",
      title: "Clear protection, hiding and restrictions of all classes",
      keys: ["Shift+U"],
      run: (classes) => classes.clearMarks(),
    },
  ]),
  ...on("scene", "View", [
    { id: "zoomIn", title: "Zoom in", keys: ["+", "="], run: (scene) => scene.zoom(1.25) },
    { id: "zoomOut", title: "Zoom out", keys: ["-"], run: (scene) => scene.zoom(0.8) },
    { id: "fit", title: "Fit to window", keys: ["F"], run: (scene) => scene.fit() },
    { id: "actual", title: "Actual size", keys: ["Z"], run: (scene) => scene.actual() },
    { id: "turnLeft", title: "Rotate the view to the left", keys: ["J"], run: (scene) => scene.turn(-STEP) },
    { id: "turnRight", title: "Rotate the view to the right", keys: ["K"], run: (scene) => scene.turn(STEP) },
    { id: "straighten", title: "Straighten the view", keys: ["Shift+K"], run: (scene) => scene.straighten() },
  ]),
  ...on("display", "View", [
    {
      id: "grid",
      title: "Token grid",
      keys: ["T"],
      run: (display) => display.toggleGrid(),
      isOn: (display) => display.grid,
    },
    {
      id: "distinct",
      title: "Colour-blind-safe colours",
      keys: ["C"],
      run: (display) => display.toggleDistinct(),
      isOn: (display) => display.distinct,
    },
    {
      id: "names",
      title: "Class names at the pointer",
      keys: ["Shift+T"],
      run: (display) => display.toggleNames(),
      isOn: (display) => display.names,
    },
    {
      id: "panel",
      title: "List of classes",
      keys: ["Y"],
      run: (display) => display.togglePanel(),
      isOn: (display) => display.panel,
    },
  ]),
  ...on("pencil", "View", [
    {
      id: "pencilLines",
      title: "Show the pencil lines",
      keys: ["Q"],
      run: (pencil) => pencil.toggle(),
      isOn: (pencil) => pencil.isShown,
    },
  ]),
  ...on("photo", "View", [
    {
      id: "photo",
      title: "Show the photo",
      keys: ["U"],
      run: (photo) => photo.toggle(),
      isOn: (photo) => photo.shown !== null,
    },
    { id: "photoLess", title: "Make the photo fainter", keys: ["<"], run: (photo) => photo.addShare(-0.1) },
    { id: "photoMore", title: "Make the photo stronger", keys: [">"], run: (photo) => photo.addShare(0.1) },
  ]),
  ...on("live", "Live", [
    {
      id: "live",
      title: "Live: make the picture again after each stroke",
      keys: ["W"],
      run: (live) => live.toggle(),
      isOn: (live) => live.isOn,
    },
    {
      id: "liveUnder",
      title: "Show the Live picture under the brush",
      keys: ["Shift+W"],
      run: (live) => live.toggleUnder(),
      isOn: (live) => live.isUnder,
    },
  ]),
  ...on("photo", "Files", [
    { id: "photoFile", title: "Load a photo from a file", keys: ["Shift+P"], run: (photo) => photo.pick() },
  ]),
  ...on("start", "Files", [
    {
      id: "start",
      title: "Start from a face, a file, the mask input or an empty sheet; resize",
      keys: ["N"],
      run: (start) => start.open(),
    },
    {
      id: "follow",
      title: "Follow the mask input: take back the painted map",
      keys: ["Shift+N"],
      run: (start) => start.follow(),
    },
  ]),
  ...on("exports", "Files", [
    {
      id: "saveColours",
      title: "Export PNG in colours",
      keys: ["Shift+E"],
      run: (exports) => void exports.save("colours"),
    },
    {
      id: "saveIds",
      title: "Export PNG with class ids",
      keys: ["Shift+I"],
      run: (exports) => void exports.save("ids"),
    },
  ]),
  ...on("session", "Painter", [
    { id: "help", title: "Keys and help", keys: ["?", "F1"], run: (session) => session.help() },
    { id: "store", title: "Save the workflow", keys: ["Ctrl+S"], run: (session) => session.store() },
    { id: "done", title: "Done", keys: ["Ctrl+Enter"], run: (session) => session.close() },
  ]),
]);

/** @param {string} id @returns {Action} */
export function actionOf(id) {
  const action = ACTIONS.find((one) => one.id === id);
  if (!action) throw new Error(`There is no action ${id}.`);
  return action;
}

/** Keys and gestures that are not a single action, for the help. */
export const MORE_KEYS = Object.freeze([
  ["0 … 9", "Choose the class with this number"],
  ["Shift+0 … Shift+8", "Choose the classes 10 to 18"],
  ["Arrow keys", "Move the pen by one pixel, with Shift by one token"],
  ["Enter", "Put the pen down or lift it; close the polygon; apply the move; leave a number field"],
  ["Esc", "Leave a field; cancel the current stroke or shape; if there is none, close the editor"],
  ["Space or middle button", "Hold to pan; with Shift rotate the view"],
  ["Alt+click", "Pick a class while a brush or fill tool is selected"],
  ["Right click", "Choose a class at the pointer"],
  ["Shift+click", "A straight line from the end of the last stroke, with the brush or eraser"],
  ["Shift, Alt", "Regular shapes; shapes from their centre. With Move, Shift+click selects the whole class"],
  ["Alt+drag", "Copy the region, with Move"],
  ["Arrow keys, Ctrl+arrow keys", "Move the selected region; scale and rotate it"],
  ["\\", "Hold to see the Live picture alone"],
  ["Two fingers", "Pan, zoom and rotate; on a touchpad pan, and pinch to zoom"],
  ["Eraser end of the pen", "Erase with any tool selected"],
  ["Mouse wheel", "Zoom; with Shift pan; with Alt change the brush size"],
  ["Paste or drop a picture", "A label map becomes the painting, any other picture the photo"],
]);

/** Which keys a field uses, and how Enter and Esc leave it. */

const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
/** With Ctrl, these keys edit the text of a field. */
const EDITING = ["a", "c", "v", "x", "z", "y"];

/** @typedef {import("./page.mjs").Page} Page */

/** Whether text can be typed into it. @param {EventTarget | null} target @returns {target is HTMLInputElement} */
export function isTextField(target) {
  const { tagName, type } = /** @type {HTMLInputElement} */ (target) ?? {};
  return tagName === "INPUT" && !["range", "checkbox", "file", "radio"].includes(type);
}

/** Whether it keeps the keyboard after it was used. @param {EventTarget | null} target */
function isControl(target) {
  return ["INPUT", "SELECT"].includes(/** @type {HTMLElement} */ (target)?.tagName);
}

/** Whether the field or button that has the focus uses the key. @param {KeyboardEvent} event */
export function isForField(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key === "Escape") return false;
  if (event.ctrlKey || event.metaKey) return isTextField(target) && EDITING.includes(event.key.toLowerCase());
  if (target.tagName === "BUTTON") return event.key === "Enter" || event.key === " ";
  if (target.tagName === "SELECT") return true;
  if (target.tagName !== "INPUT") return false;
  if (isTextField(target)) return true;
  const { type } = /** @type {HTMLInputElement} */ (target);
  return type === "range" ? ARROWS.includes(event.key) || /^(Page|Home|End)/.test(event.key) : event.key === " ";
}

/**
 * Enter takes a field's value and returns to the canvas; Esc returns to the canvas with the value from before.
 * @param {KeyboardEvent} event
 * @param {Page} page
 * @param {() => void} restore  shows the values in force in the fields
 * @returns {boolean} whether the key left a field
 */
export function leavesField(event, page, restore) {
  const { key, target } = event;
  if (!isControl(target) || !(key === "Escape" || (key === "Enter" && isTextField(target)))) return false;
  // A value that a script sets is not reported as a change when the field loses the focus.
  if (key === "Escape") restore();
  page.canvas.focus();
  return true;
}

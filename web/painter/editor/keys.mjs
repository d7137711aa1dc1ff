/** Names of keys, and the classes of the digit keys. */

import { CLASSES } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/**
 * The name of a key press: Ctrl (or Cmd), Alt and Shift in this order, letters in capitals. Signs that need
 * Shift on some keyboards are named without it.
 * @param {KeyboardEvent} event
 */
export function chord(event) {
  let { key } = event;
  // On a keyboard of another script the position of the key counts.
  if (!/^[ -~]$/.test(key) && /^Key[A-Z]$/.test(event.code)) key = event.code.slice(3);
  const isSign = key.length === 1 && !/[a-zA-Z]/.test(key);
  const name = key.length === 1 ? key.toUpperCase() : key;
  // AltGr, with which some keyboards write brackets, is reported as Ctrl and Alt.
  const isPlain = isSign && event.getModifierState?.("AltGraph");
  const isCtrl = (event.ctrlKey || event.metaKey) && !isPlain;
  const modifiers = [isCtrl && "Ctrl", event.altKey && !isPlain && "Alt", event.shiftKey && !isSign && "Shift"];
  return [...modifiers.filter(Boolean), name].join("+");
}

/** The keys of an action as a person reads them. @param {readonly string[]} keys @param {string} or  between them */
export function keysText(keys, or) {
  const names = { Delete: t("Delete"), Backspace: t("Backspace"), ContextMenu: t("Menu key") };
  return keys.map((key) => names[/** @type {keyof typeof names} */ (key)] ?? key).join(or);
}

/**
 * The class that a digit key chooses: 0 to 9 by the digit, 10 to 18 by the key with Shift. Each press chooses a class
 * at once, whatever was pressed before. The key counts by its place: with Shift every keyboard makes another sign of
 * it, and some write digits only with Shift.
 * @param {KeyboardEvent} event
 * @returns {number | null}
 */
export function classOf({ key, code, shiftKey, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey) return null;
  const place = /^Digit(\d)$/.exec(code ?? "");
  if (!place) return /^\d$/.test(key) ? Number(key) : null;
  const id = Number(place[1]) + (shiftKey ? 10 : 0);
  return id < CLASSES.length ? id : null;
}

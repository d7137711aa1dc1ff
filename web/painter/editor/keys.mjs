/** Names of keys, and class numbers of two digits. */

import { CLASSES } from "../map/palette.mjs";

/** Digits that follow each other within this time are one number. */
const PAUSE_MS = 700;

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

/** Reads class numbers digit by digit. */
export class ClassNumber {
  constructor() {
    this.digits = "";
    this.since = 0;
  }

  /** @param {string} digit @param {number} now  in ms @returns {number} a class */
  add(digit, now) {
    const joined = now - this.since < PAUSE_MS ? this.digits + digit : digit;
    this.digits = Number(joined) < CLASSES.length ? joined : digit;
    this.since = now;
    return Number(this.digits);
  }

  clear() {
    this.digits = "";
  }
}

/** The little square in a class's colour: in the list, in the picker and at the canvas' edge. */

import { colours, css } from "../map/palette.mjs";
import { TWINS } from "../map/patterns.mjs";

/**
 * Shows a class; one of two classes with nearly the same official colour has an outline.
 * @param {HTMLElement} swatch @param {number} id @param {boolean} isDistinct  whether the safe colours are shown
 */
export function showClass(swatch, id, isDistinct) {
  swatch.style.backgroundColor = css(colours(isDistinct)[id]);
  swatch.classList.toggle("twin", TWINS.includes(id) && !isDistinct);
}

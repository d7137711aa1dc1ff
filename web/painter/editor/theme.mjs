/** ComfyUI's font and colours in the editor's window, changed only where a text could not be read. */

import { LEAST, contrast, luminance, mix, readable } from "../map/contrast.mjs";
import { css } from "../map/palette.mjs";

/** @typedef {import("../map/palette.mjs").RGB} RGB */

/** The page's colours, by the names of ComfyUI's palettes; painter.css has the defaults. */
const SOURCES = Object.freeze({
  deep: "--bg-color",
  ground: "--comfy-menu-bg",
  raised: "--comfy-input-bg",
  edge: "--border-color",
  ink: "--input-text",
  quiet: "--descrip-text",
});
/** @type {RGB} */
const ACCENT = [76, 141, 255];
/** @type {RGB} */
const WARM = [255, 180, 84];
/** More than the least, because translucent grounds are rounded. */
const SAFE = LEAST + 0.3;

/**
 * @param {Document} page  ComfyUI's
 * @param {Document} inside  the editor's
 */
export function adoptTheme(page, inside) {
  const { style } = inside.documentElement;
  style.fontFamily = getComputedStyle(page.body).fontFamily;
  const colours = read(page);
  if (!colours) return;
  for (const [name, colour] of Object.entries(complete(colours))) style.setProperty(`--${name}`, css(colour));
  style.colorScheme = luminance(colours.ground) > 0.4 ? "light" : "dark";
}

/**
 * Colours for every part of the window, in which every text can be read on all that may lie below it.
 * @param {Record<keyof typeof SOURCES, RGB>} colours
 * @returns {Record<string, RGB>}
 */
export function complete({ deep, ground, raised, edge, ink, quiet }) {
  const isLight = luminance(ground) > 0.4;
  const accent = isLight ? mix(ACCENT, [0, 0, 0], 0.2) : ACCENT;
  const plain = [deep, ground, raised];
  const chosen = mix(raised, accent, 0.28);
  const grounds = [...plain, chosen, mix(raised, isLight ? [0, 0, 0] : [255, 255, 255], 0.1)];
  const text = readable(ink, grounds, SAFE);
  const white = /** @type {RGB} */ ([255, 255, 255]);
  return {
    ...{ deep, ground, raised, edge: apart(edge, ground, isLight), chosen, hover: grounds[4], ink: text, accent },
    quiet: readable(quiet, grounds, SAFE),
    warm: readable(WARM, grounds, SAFE),
    "accent-ink": contrast(white, accent) >= SAFE ? white : readable([16, 18, 23], [accent], SAFE),
  };
}

/** A line that is seen on the ground. @param {RGB} edge @param {RGB} ground @param {boolean} isLight @returns {RGB} */
function apart(edge, ground, isLight) {
  return contrast(edge, ground) >= 1.2 ? edge : mix(ground, isLight ? [0, 0, 0] : [255, 255, 255], 0.18);
}

/** The page's colours, or null if it does not have all of them. @param {Document} page */
function read(page) {
  const probe = page.createElement("span");
  probe.style.display = "none";
  page.body.append(probe);
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const variables = getComputedStyle(page.documentElement);
  const entries = Object.entries(SOURCES).map(([name, variable]) => {
    if (!context || !variables.getPropertyValue(variable).trim()) return [name, null];
    probe.style.color = `var(${variable})`;
    // A canvas knows the colours of every notation.
    context.fillStyle = getComputedStyle(probe).color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, alpha] = context.getImageData(0, 0, 1, 1).data;
    return [name, alpha === 255 ? [r, g, b] : null];
  });
  probe.remove();
  const isWhole = entries.every(([, colour]) => colour !== null);
  return isWhole ? /** @type {Record<keyof typeof SOURCES, RGB>} */ (Object.fromEntries(entries)) : null;
}

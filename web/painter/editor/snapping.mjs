/** Following the edges of the picture under the painting, with lasso, brush and eraser: the switch, and the edges. */

import { edgesOf } from "../map/edges.mjs";
import { fitted } from "../map/lines.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/edges.mjs").Edges} Edges */
/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */

/** Edges are found in a picture of this side at most, which takes a fraction of a second. */
const MOST = 640;

export class Snapping {
  /**
   * @param {Sheet} sheet
   * @param {import("./photo.mjs").Photo} photo
   * @param {import("./live.mjs").Live} live
   * @param {(sentence: string) => void} say
   * @param {() => void} changed
   */
  constructor(sheet, photo, live, say, changed) {
    this.sheet = sheet;
    this.photo = photo;
    this.live = live;
    this.say = say;
    this.changed = changed;
    this.isOn = false;
    /** The edges that were found last, and of what. @type {{picture: ImageBitmap, size: string, edges: Edges} | null} */
    this.found = null;
  }

  toggle() {
    this.isOn = !this.isOn;
    if (this.isOn && !this.#picture()) this.say(t("There are no edges to follow yet: load a photo, or switch Live on."));
    this.changed();
  }

  /** The photo, or the Live picture where there is none or where it lies under the brush. */
  #picture() {
    return this.live.beneath()?.picture ?? this.photo.shown ?? this.live.picture;
  }

  /** @returns {Edges | null} */
  get edges() {
    const picture = this.isOn ? this.#picture() : null;
    if (!picture) return null;
    const { width, height } = this.sheet;
    const size = `${width}x${height}`;
    if (this.found?.picture !== picture || this.found.size !== size) {
      this.found = { picture, size, edges: edgesOf(pixelsOf(picture, width, height), { width, height }) };
    }
    return this.found.edges;
  }
}

/** The picture's pixels where they lie on the sheet. @param {ImageBitmap} picture @param {number} width @param {number} height */
function pixelsOf(picture, width, height) {
  const share = Math.min(1, MOST / Math.max(width, height));
  const [w, h] = [Math.max(1, Math.round(width * share)), Math.max(1, Math.round(height * share))];
  const context = new OffscreenCanvas(w, h).getContext("2d", { willReadFrequently: true });
  if (context) drawFitted(context, picture, { width: w, height: h });
  return context?.getImageData(0, 0, w, h) ?? { data: new Uint8ClampedArray(4 * w * h), width: w, height: h };
}

/**
 * Draws a picture as the view does, without stretching it. Its outermost pixels go on to the rim of the sheet, because
 * the end of the picture is not an edge in it.
 * @param {Pick<OffscreenCanvasRenderingContext2D, "drawImage">} context
 * @param {ImageBitmap} picture @param {import("../map/lines.mjs").Size} sheet
 */
export function drawFitted(context, picture, sheet) {
  const { x, y, width, height } = fitted(picture, sheet);
  const [right, bottom] = [picture.width - 1, picture.height - 1];
  const [wide, high] = [Math.ceil(x) + 1, Math.ceil(y) + 1];
  if (x > 0) {
    context.drawImage(picture, 0, 0, 1, picture.height, 0, 0, wide, sheet.height);
    context.drawImage(picture, right, 0, 1, picture.height, sheet.width - wide, 0, wide, sheet.height);
  }
  if (y > 0) {
    context.drawImage(picture, 0, 0, picture.width, 1, 0, 0, sheet.width, high);
    context.drawImage(picture, 0, bottom, picture.width, 1, 0, sheet.height - high, sheet.width, high);
  }
  context.drawImage(picture, x, y, width, height);
}

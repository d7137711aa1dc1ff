/** What the node shows: a small picture of the painting, a caption, and the button that opens the editor. */

import { maker } from "../editor/dom.mjs";
import { counts } from "../map/labelmap.mjs";
import { show } from "../map/picture.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/painting.mjs").Painting} Painting */

/** In pixels, with the margin that ComfyUI's older renderer leaves around a widget. */
export const HEIGHT = 260;
const MARGIN = 20;

/** Inline, because the node is in ComfyUI's page, where the editor's style sheet does not apply. */
const LOOKS = Object.freeze({
  root: {
    display: "flex",
    flexDirection: "column",
    gap: "6px",
    minHeight: `${HEIGHT - MARGIN}px`, // the newer renderer makes a row as high as its content
    height: "100%",
    boxSizing: "border-box",
  },
  picture: {
    maxWidth: "100%",
    maxHeight: "100%",
    minHeight: "0",
    flex: "1 1 0",
    objectFit: "contain",
    imageRendering: "pixelated",
    borderRadius: "6px",
    background: "#0d0f12",
    cursor: "pointer",
  },
  caption: {
    fontFamily: "inherit",
    fontSize: "11px",
    lineHeight: "1.3",
    // A pair of ComfyUI's colours, so that it can be read in every theme.
    color: "var(--input-text, #ddd)",
    background: "var(--comfy-input-bg, #222)",
    borderRadius: "4px",
    padding: "1px 6px",
    textAlign: "center",
    minHeight: "15px",
    overflow: "hidden",
    textOverflow: "ellipsis",
  },
  button: {
    fontFamily: "inherit",
    fontSize: "12px",
    fontWeight: "600",
    color: "#fff",
    background: "#2f6fde",
    border: "0",
    borderRadius: "6px",
    padding: "6px 10px",
    cursor: "pointer",
  },
});

export class Card {
  /** @param {() => void} open  the editor */
  constructor(open) {
    const make = maker(document);
    this.picture = make("canvas", { role: "img", "aria-label": t("The painting"), ondblclick: open });
    this.caption = make("div", { role: "status" });
    const name = t("Paint: open the editor");
    const button = make("button", { type: "button", "aria-label": name, onclick: open }, t("Paint"));
    this.root = make("div", { class: "mogle-painting" }, this.picture, this.caption, button);
    Object.assign(this.root.style, LOOKS.root);
    Object.assign(this.picture.style, LOOKS.picture);
    Object.assign(this.caption.style, LOOKS.caption);
    Object.assign(button.style, LOOKS.button);
  }

  /**
   * @param {Painting | null} painting  null if nothing is painted, drawn or given
   * @param {boolean} isDistinct
   * @param {{hasMask: boolean, hasSketch: boolean}} inputs  which are connected
   */
  show(painting, isDistinct, inputs) {
    if (painting) show(this.picture, painting, isDistinct);
    else [this.picture.width, this.picture.height] = [512, 512];
    const nothing = inputs.hasMask ? t("The mask input is not computed yet") : t("Nothing is painted yet");
    this.caption.textContent = painting ? caption(painting, inputs) : nothing;
  }

  /** @param {string} sentence */
  warn(sentence) {
    this.caption.textContent = `⚠ ${sentence}`;
  }
}

/** What is shown, where it comes from, and which input it hides. @param {Painting} painting @param {{hasMask: boolean, hasSketch: boolean}} inputs */
function caption(painting, { hasMask, hasSketch }) {
  const { isPainted, isDrawn, pencil } = painting;
  const classes = counts(painting).filter(Boolean).length;
  const parts = [t("{width} × {height}, {classes} classes", { ...painting, classes })];
  if (hasMask) parts.push(isPainted ? t("hides the mask input") : t("from the mask input"));
  if (pencil) parts.push(isDrawn ? t("pencil drawing") : t("sketch from the input"));
  if (hasSketch && isDrawn) parts.push(t("hides the sketch input"));
  return parts.join(t(", "));
}

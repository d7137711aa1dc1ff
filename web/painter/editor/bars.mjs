/** The bars of buttons: the tools at the left, everything else at the top. */

import { t } from "../map/words.mjs";

/** @typedef {import("./page.mjs").Page} Page */
/** @typedef {import("./buttons.mjs").Buttons} Buttons */
/** @typedef {import("../tools/brush.mjs").Brush} Brush */
/** @typedef {import("../tools/pencil.mjs").Pencil} Pencil */
/** @typedef {import("./photo.mjs").Photo} Photo */

const TOOL_GROUPS = [
  ["brush", "eraser", "line", "lasso"],
  ["rectangle", "ellipse", "polygon"],
  ["fill", "fillAll", "eyedropper"],
  ["pencil", "pencilEraser"],
  ["move", "hand"],
];

/** @param {Page} page @param {Buttons} buttons */
export function toolBar({ make }, buttons) {
  const groups = TOOL_GROUPS.map((ids) => make("div", { class: "group" }, ...ids.map((id) => buttons.make(id))));
  return make(
    "nav",
    { class: "tools", role: "toolbar", "aria-label": t("Tools"), "aria-orientation": "vertical" },
    ...groups,
  );
}

export class TopBar {
  /** @param {Page} page @param {Buttons} buttons @param {Brush} brush @param {Pencil} pencil @param {Photo} photo */
  constructor({ make }, buttons, brush, pencil, photo) {
    this.brush = brush;
    this.pencil = pencil;
    this.photo = photo;
    this.size = slider(make, t("Brush size in pixels"), { min: 1, max: 256, most: 512 }, (value) =>
      brush.setSize(value),
    );
    this.share = slider(make, t("Photo opacity in percent"), { min: 0, max: 100, most: 100 }, (value) => {
      photo.setShare(value / 100);
    });
    const [strength, opacity] = [t("Pencil strength in percent"), t("Opacity of the pencil lines in percent")];
    this.strength = slider(make, strength, { min: 5, max: 100, most: 100 }, (value) => pencil.setStrength(value / 100));
    this.opacity = slider(make, opacity, { min: 0, max: 100, most: 100 }, (value) => pencil.setShare(value / 100));
    /** @param {(Node | string)[]} children */
    const group = (...children) => make("div", { class: "group" }, ...children);
    this.photoGroup = group(buttons.make("photo"), buttons.make("snapping"), ...this.share.fields);
    const caption = (/** @type {string} */ text) => make("span", { class: "caption" }, text);
    // Shown while the pencil is in hand, in place of the photo's group. The fields replace the sliders in a narrow window.
    for (const { fields } of [this.strength, this.opacity]) fields[1].classList.add("narrow");
    this.pencilGroup = group(
      ...[buttons.make("pencilLines"), caption(t("Strength")), ...this.strength.fields],
      ...[caption(t("Opacity")), ...this.opacity.fields],
    );
    this.pencilGroup.hidden = true;
    this.root = make(
      "header",
      { class: "top", role: "toolbar", "aria-label": t("Painting") },
      make("h1", {}, t("Mask Painter")),
      buttons.make("start", "start", t("Start from")),
      group(buttons.make("parts"), buttons.make("nudges")),
      group(buttons.make("undo"), buttons.make("redo"), buttons.make("flip")),
      group(make("span", { class: "caption" }, t("Size")), ...this.size.fields, buttons.make("steady"), buttons.make("mirror"), buttons.make("pair")),
      this.photoGroup,
      this.pencilGroup,
      group(buttons.make("grid"), buttons.make("distinct", "eye"), buttons.make("fit")),
      make(
        "div",
        { class: "group end" },
        buttons.make("saveColours", "save", "PNG"),
        buttons.make("saveIds", "save", t("Ids")),
        buttons.make("panel"),
        buttons.make("help"),
      ),
      buttons.make("live", "live", t("Live")),
      buttons.make("done", "close", t("Done")),
    );
  }

  refresh() {
    this.size.show(this.brush.size);
    this.share.show(Math.round(this.photo.share * 100));
    this.strength.show(Math.round(this.pencil.strength * 100));
    this.opacity.show(Math.round(this.pencil.share * 100));
    this.pencilGroup.hidden = !this.brush.isPencil;
    this.photoGroup.hidden = this.brush.isPencil;
    this.photoGroup.classList.toggle("empty", !this.photo.picture);
  }
}

/**
 * A slider and a field for the same number; the field may go further.
 * @param {Page["make"]} make
 * @param {string} name
 * @param {{min: number, max: number, most: number}} range
 * @param {(value: number) => void} set
 */
function slider(make, name, { min, max, most }, set) {
  const change = (/** @type {Event} */ event) => {
    const value = Number(/** @type {HTMLInputElement} */ (event.target).value);
    if (Number.isFinite(value)) set(value);
  };
  const slider = make("input", { type: "range", min, max, "aria-label": name, title: name, oninput: change });
  const field = make("input", {
    type: "number",
    min,
    max: most,
    title: name,
    "aria-label": t("{name}, as a number", { name }),
    onchange: change,
  });
  return {
    fields: [slider, field],
    /** @param {number} value */
    show(value) {
      slider.value = String(value);
      field.value = String(value);
    },
  };
}

/** The panel of nudges: a slider for each, which warps the face while it moves and makes one step when it is let go. */

import { NUDGES, nudged } from "../map/warp.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./page.mjs").Page} Page */
/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */
/** @typedef {import("../tools/pen.mjs").Pen} Pen */

export class Nudges {
  /** @param {Page} page @param {Sheet} sheet @param {Pen} pen @param {() => void} changed */
  constructor(page, sheet, pen, changed) {
    this.page = page;
    this.sheet = sheet;
    this.pen = pen;
    this.changed = changed;
    const { make } = page;
    const close = make("button", { type: "button", class: "sign", "aria-label": t("Close"), onclick: () => this.toggle() }, "✕");
    const rows = NUDGES.map(({ id, title }) => this.#row(id, t(title)));
    const heading = make("div", { class: "heading" }, make("h2", {}, t("Nudge the face")), close);
    this.root = make("section", { class: "nudges", "aria-label": t("Nudge the face") }, heading, ...rows);
    this.root.hidden = true;
  }

  /** @param {string} id @param {string} title */
  #row(id, title) {
    const { make } = this.page;
    const slider = make("input", {
      type: "range",
      min: -100,
      max: 100,
      step: 5,
      value: 0,
      "aria-label": title,
      oninput: () => this.#show(id, title, Number(slider.value) / 100),
      onchange: () => {
        this.sheet.commit(title);
        slider.value = "0"; // the next nudge starts from this face
      },
    });
    return make("label", {}, make("span", {}, title), slider);
  }

  /** @param {string} id @param {string} title @param {number} amount */
  #show(id, title, amount) {
    this.pen.settle();
    this.sheet.restore();
    const result = nudged(this.sheet.map, id, amount);
    if (result) this.sheet.lay(result.ids, result.box);
    else this.page.say(t("{title}: the sheet has no such part.", { title }));
    this.pen.onChange();
  }

  get isOpen() {
    return !this.root.hidden;
  }

  toggle() {
    this.root.hidden = !this.root.hidden;
    if (this.root.hidden) this.page.canvas.focus();
    this.changed();
  }
}

/** The list of advice on the painting, with buttons that show the place or mend the fault. */

import { t } from "../map/words.mjs";

/** @typedef {import("../map/advice.mjs").Advice} Advice */

const MOST = 12;

export class AdviceList {
  /**
   * @param {import("./page.mjs").Page} page
   * @param {Pick<import("./scene.mjs").Scene, "lookAt">} scene
   * @param {Pick<import("./steps.mjs").Steps, "remake">} steps
   */
  constructor(page, scene, steps) {
    this.make = page.make;
    this.scene = scene;
    this.steps = steps;
    this.root = this.make("ul", { class: "advice", "aria-label": t("Advice") });
  }

  /** @param {Advice[]} list */
  show(list) {
    this.root.replaceChildren(...list.slice(0, MOST).map((advice) => this.#item(advice)));
    if (list.length > MOST) this.root.append(this.make("li", {}, t("and {count} more", { count: list.length - MOST })));
  }

  /** @param {Advice} advice */
  #item({ kind, text, where, mend }) {
    const item = this.make("li", { class: `about-${kind}` }, this.make("span", {}, text));
    if (where) item.append(this.#shower(where, text));
    if (mend) {
      const run = () => this.steps.remake(mend, t("swap left and right"));
      item.append(this.#button(t("Swap"), t("Swap: {text}", { text }), run));
    }
    return item;
  }

  /**
   * Each press shows the next of these places.
   * @param {import("../map/labelmap.mjs").Box[]} where
   * @param {string} text
   */
  #shower(where, text) {
    let presses = 0;
    const run = () => this.scene.lookAt(where[presses++ % where.length]);
    return this.#button(where.length > 1 ? t("Show next") : t("Show"), t("Show: {text}", { text }), run);
  }

  /** @param {string} text @param {string} name @param {() => void} onclick */
  #button(text, name, onclick) {
    return this.make("button", { type: "button", class: "small", "aria-label": name, onclick }, text);
  }
}

/** The classes at the pointer: a menu that a right click opens. */

import { CLASSES, GROUPS } from "../map/palette.mjs";
import { t } from "../map/words.mjs";
import { classOf } from "./keys.mjs";
import { showClass } from "./swatch.mjs";

/** @typedef {import("./page.mjs").Page} Page */
/** @typedef {{x: number, y: number}} Place  in pixels of the window */

const ORDER = Object.freeze(GROUPS.flatMap(({ ids }) => ids));
const COLUMNS = 3;
const MARGIN = 8;
/** @type {Readonly<Record<string, number>>} */
const WALK = Object.freeze({ ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS });

export class Picker {
  /**
   * @param {Page} page
   * @param {import("../tools/classes.mjs").Classes} classes
   * @param {import("./display.mjs").Display} display
   * @param {() => Place | null} pointer  its place on the canvas
   */
  constructor(page, classes, display, pointer) {
    this.page = page;
    this.classes = classes;
    this.display = display;
    this.pointer = pointer;
    /** @type {HTMLElement | null} */
    this.menu = null;
    const outside = (/** @type {Event} */ event) => {
      if (!this.menu || this.menu.contains(/** @type {Node} */ (event.target))) return;
      this.close();
      event.stopPropagation(); // a press that only closes the menu paints nothing
    };
    page.document.addEventListener("pointerdown", outside, { capture: true });
  }

  get isOpen() {
    return this.menu !== null;
  }

  /** @param {Place} place */
  open(place) {
    this.close();
    const { make } = this.page;
    const items = ORDER.map((id) => {
      const swatch = make("span", { class: "swatch" });
      showClass(swatch, id, this.display.distinct);
      return make(
        "button",
        {
          type: "button",
          role: "menuitemradio",
          "aria-checked": id === this.classes.chosen,
          "data-class": id,
          tabIndex: id === this.classes.chosen ? 0 : -1,
          onclick: () => this.#choose(id),
        },
        swatch,
        make("span", { class: "title" }, t(CLASSES[id].title)),
      );
    });
    this.menu = make(
      "div",
      { class: "picker", role: "menu", "aria-label": t("Class to paint"), onkeydown: (/** @type {KeyboardEvent} */ e) => this.#key(e) },
      ...items,
    );
    this.page.root.append(this.menu);
    this.#place(this.menu, place);
    items[ORDER.indexOf(this.classes.chosen)].focus();
  }

  /** Where the pointer is, or in the middle of the canvas. */
  openAtPointer() {
    const { left, top, width, height } = this.page.canvas.getBoundingClientRect();
    const at = this.pointer() ?? { x: width / 2, y: height / 2 };
    this.open({ x: left + at.x, y: top + at.y });
  }

  /** Within the window, beside the pointer. @param {HTMLElement} menu @param {Place} place */
  #place(menu, { x, y }) {
    const { clientWidth, clientHeight } = this.page.document.documentElement;
    const { width, height } = menu.getBoundingClientRect();
    menu.style.left = `${Math.max(MARGIN, Math.min(x, clientWidth - width - MARGIN))}px`;
    menu.style.top = `${Math.max(MARGIN, Math.min(y, clientHeight - height - MARGIN))}px`;
  }

  /** @param {number} id */
  #choose(id) {
    this.classes.choose(id);
    this.close();
  }

  close() {
    if (!this.menu) return;
    this.menu.remove();
    this.menu = null;
    this.page.canvas.focus();
  }

  /** Every key is the menu's while it is open. @param {KeyboardEvent} event */
  #key(event) {
    event.stopPropagation();
    if (event.key === "Enter" || event.key === " ") return; // the button's
    event.preventDefault();
    const id = classOf(event);
    if (id !== null) return this.#choose(id);
    if (event.key === "Escape" || event.key === "Tab") return this.close();
    const items = /** @type {HTMLElement[]} */ ([...(this.menu?.children ?? [])]);
    const at = items.indexOf(/** @type {HTMLElement} */ (this.page.document.activeElement));
    if (event.key in WALK) items[(at + WALK[event.key] + items.length) % items.length].focus();
  }
}

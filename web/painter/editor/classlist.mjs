/** The list of classes: colour, share of the painting, and the buttons that protect, hide or isolate a class. */

import { icon } from "./dom.mjs";
import { ICONS } from "./icons.mjs";
import { showClass } from "./swatch.mjs";
import { CLASSES, GROUPS } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */
/** @typedef {import("../tools/classes.mjs").Classes} Classes */
/** @typedef {import("./display.mjs").Display} Display */
/** @typedef {import("./page.mjs").Page} Page */

/** @type {(title: string) => [import("../tools/classes.mjs").Mark, string, string][]} */
const marksOf = (title) => [
  ["only", t("Paint only over {title}", { title }), ICONS.only],
  ["locked", t("Protect {title}", { title }), ICONS.lock],
  ["hidden", t("Hide {title}", { title }), ICONS.eye],
  ["solo", t("Show only {title}", { title }), ICONS.solo],
];

export class ClassList {
  /** @param {Page} page @param {Classes} classes @param {Sheet} sheet @param {Display} display */
  constructor(page, classes, sheet, display) {
    this.page = page;
    this.classes = classes;
    this.sheet = sheet;
    this.display = display;
    const { make } = page;
    this.field = make("input", {
      type: "search",
      placeholder: t("Search classes  ( / )"),
      "aria-label": t("Search classes"),
      oninput: () => this.search(this.field.value),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#searchKey(event),
    });
    this.rows = CLASSES.map((one) => this.#row(one.id));
    this.groups = GROUPS.map(({ title, ids }) => {
      return make(
        "div",
        { role: "group", "aria-label": t(title) },
        make("h3", {}, t(title)),
        ...ids.map((id) => this.rows[id].root),
      );
    });
    const name = t("Class to paint");
    const list = make("div", { class: "classes", role: "radiogroup", "aria-label": name }, ...this.groups);
    this.only = make("p", { class: "restriction" });
    this.root = make("div", { class: "palette" }, this.field, this.only, list);
  }

  /** @param {number} id */
  #row(id) {
    const { page, classes } = this;
    const { make } = page;
    const title = t(CLASSES[id].title);
    const swatch = make("span", { class: "swatch" });
    const share = make("span", { class: "share" });
    const choose = make(
      "button",
      {
        type: "button",
        class: "class",
        role: "radio",
        "aria-label": title,
        "data-class": id,
        onclick: (/** @type {MouseEvent} */ event) => {
          classes.choose(id);
          if (event.detail) page.canvas.focus();
        },
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.#walk(event, id),
      },
      swatch,
      make("span", { class: "number" }, String(id)),
      make("span", { class: "title" }, title),
      share,
    );
    const marks = marksOf(title).map(([mark, name, picture]) => {
      const run = () => classes.toggle(mark, id);
      const button = make(
        "button",
        { type: "button", class: "mark", "aria-label": name, title: name, onclick: run },
        icon(page.document, picture),
      );
      return { mark, button };
    });
    return {
      root: make("div", { class: "row" }, choose, ...marks.map(({ button }) => button)),
      choose,
      swatch,
      share,
      marks,
    };
  }

  /** Arrow keys choose the class above or below. @param {KeyboardEvent} event @param {number} id */
  #walk(event, id) {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const order = GROUPS.flatMap(({ ids }) => ids).filter((one) => !this.rows[one].root.hidden);
    const next = order[(order.indexOf(id) + by + order.length) % order.length];
    this.classes.choose(next);
    this.rows[next].choose.focus();
  }

  /** @param {KeyboardEvent} event  Enter chooses the first match */
  #searchKey(event) {
    const matches = GROUPS.flatMap(({ ids }) => ids).filter((id) => !this.rows[id].root.hidden);
    if (event.key === "ArrowDown" && matches.length) this.rows[matches[0]].choose.focus();
    else if (event.key === "Enter" && matches.length) {
      this.classes.choose(matches[0]);
      this.endSearch();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} words */
  search(words) {
    this.field.value = words;
    const query = words.trim().toLowerCase();
    CLASSES.forEach(({ id, name, title }) => {
      const names = [title, t(title), name];
      this.rows[id].root.hidden = !(names.some((one) => one.includes(query)) || String(id) === query);
    });
    this.groups.forEach((group, i) => (group.hidden = GROUPS[i].ids.every((id) => this.rows[id].root.hidden)));
  }

  startSearch() {
    this.field.focus();
    this.field.select();
  }

  isSearching() {
    return this.page.document.activeElement === this.field;
  }

  endSearch() {
    this.search("");
    this.page.canvas.focus();
  }

  refresh() {
    const { classes, sheet } = this;
    const pixels = sheet.counts;
    this.rows.forEach(({ root, choose, swatch, share, marks }, id) => {
      const isChosen = classes.chosen === id;
      choose.setAttribute("aria-checked", String(isChosen));
      choose.tabIndex = isChosen ? 0 : -1;
      root.classList.toggle("chosen", isChosen);
      root.classList.toggle("partner", classes.partner === id);
      root.classList.toggle("absent", !pixels[id]);
      showClass(swatch, id, this.display.distinct);
      swatch.classList.toggle("hatched", classes.has("hidden", id));
      share.textContent = shareText(pixels[id] / sheet.map.ids.length);
      for (const { mark, button } of marks) {
        button.setAttribute("aria-pressed", String(classes.has(mark, id)));
      }
    });
    const titles = [...classes.only].map((id) => t(CLASSES[id].title)).join(t(", "));
    this.only.textContent = titles && t("Painting only over {titles}", { titles });
    this.only.hidden = !titles;
  }
}

/** @param {number} share */
function shareText(share) {
  if (!share) return "";
  return share < 0.0005 ? "<0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

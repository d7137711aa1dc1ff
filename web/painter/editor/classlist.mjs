/** The list of classes: colours, shares, and what is protected, hidden, shown alone, or alone painted over. */

import { icon } from "./dom.mjs";
import { ICONS } from "./icons.mjs";
import { CLASSES, GROUPS, colours, css } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./editor.mjs").Editor} Editor */

/** @type {(title: string) => ["locked" | "hidden" | "solo" | "only", string, string][]} */
const marksOf = (title) => [
  ["only", t("Paint only over {title}", { title }), ICONS.only],
  ["locked", t("Protect {title}", { title }), ICONS.lock],
  ["hidden", t("Hide {title}", { title }), ICONS.eye],
  ["solo", t("Show only {title}", { title }), ICONS.solo],
];

export class ClassList {
  /** @param {Editor} editor @param {ReturnType<typeof import("./dom.mjs").maker>} make */
  constructor(editor, make) {
    this.editor = editor;
    this.make = make;
    this.field = make("input", {
      type: "search",
      placeholder: t("Search classes  ( / )"),
      "aria-label": t("Search the classes"),
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
    const { make, editor } = this;
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
          editor.choose(id);
          if (event.detail) editor.canvas.focus();
        },
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.#walk(event, id),
      },
      swatch,
      make("span", { class: "number" }, String(id)),
      make("span", { class: "title" }, title),
      share,
    );
    const marks = marksOf(title).map(([mark, name, picture]) => {
      const run = () => editor.marks.toggle(mark, id);
      const button = make(
        "button",
        { type: "button", class: "mark", "aria-label": name, title: name, onclick: run },
        icon(editor.document, picture),
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

  /** Arrows go from class to class. @param {KeyboardEvent} event @param {number} id */
  #walk(event, id) {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const order = GROUPS.flatMap(({ ids }) => ids).filter((one) => !this.rows[one].root.hidden);
    const next = order[(order.indexOf(id) + by + order.length) % order.length];
    this.editor.choose(next);
    this.rows[next].choose.focus();
  }

  /** @param {KeyboardEvent} event  Enter takes the first class that is found */
  #searchKey(event) {
    const found = GROUPS.flatMap(({ ids }) => ids).filter((id) => !this.rows[id].root.hidden);
    if (event.key === "ArrowDown" && found.length) this.rows[found[0]].choose.focus();
    else if (event.key === "Enter" && found.length) {
      this.editor.choose(found[0]);
      this.search("");
      this.editor.canvas.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} words */
  search(words) {
    this.field.value = words;
    const wanted = words.trim().toLowerCase();
    CLASSES.forEach(({ id, name, title }) => {
      const names = [title, t(title), name];
      this.rows[id].root.hidden = !(names.some((one) => one.includes(wanted)) || String(id) === wanted);
    });
    this.groups.forEach((group, i) => (group.hidden = GROUPS[i].ids.every((id) => this.rows[id].root.hidden)));
  }

  refresh() {
    const { editor } = this;
    const pixels = editor.sheet.counts;
    const shown = colours(editor.wishes.distinct);
    this.rows.forEach(({ root, choose, swatch, share, marks }, id) => {
      const isChosen = editor.classId === id;
      choose.setAttribute("aria-checked", String(isChosen));
      choose.tabIndex = isChosen ? 0 : -1;
      root.classList.toggle("chosen", isChosen);
      root.classList.toggle("absent", !pixels[id]);
      swatch.style.background = css(shown[id]);
      share.textContent = shareText(pixels[id] / editor.sheet.map.ids.length);
      for (const { mark, button } of marks) {
        button.setAttribute("aria-pressed", String(editor.marks.has(mark, id)));
      }
    });
    const titles = [...editor.marks.only].map((id) => t(CLASSES[id].title)).join(t(", "));
    this.only.textContent = titles && t("Painting only over {titles}", { titles });
    this.only.hidden = !titles;
  }
}

/** @param {number} share */
function shareText(share) {
  if (!share) return "";
  return share < 0.0005 ? "<0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** The editor's furniture: bars, buttons, the status line, the advice. */

import { actionOf } from "./actions.mjs";
import { ClassList } from "./classlist.mjs";
import { icon, maker } from "./dom.mjs";
import { ICONS } from "./icons.mjs";
import { CLASSES } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./editor.mjs").Editor} Editor */
/** @typedef {import("../map/advice.mjs").Advice} Advice */

const TOOL_GROUPS = [
  ["brush", "eraser", "line", "lasso"],
  ["rectangle", "ellipse", "polygon"],
  ["fill", "fillAll", "eyedropper"],
  ["move", "hand"],
];
const EXPORTS = ["saveColours", "saveIds"];

/** @param {Editor} editor */
export function layOut(editor) {
  return new Layout(editor);
}

class Layout {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.make = maker(editor.document);
    /** @type {{id: string, button: HTMLButtonElement}[]} */
    this.buttons = [];
    const { make } = this;
    this.canvas = make("canvas", {
      class: "stage",
      tabIndex: 0,
      role: "application",
      "aria-label": t("The painting. Arrows move the pen, Enter puts it down and lifts it."),
    });
    this.classes = new ClassList(editor, make);
    this.message = make("output", { class: "message", role: "status", "aria-live": "polite" });
    this.where = make("span", { class: "where" });
    this.advice = make("ul", { class: "advice", "aria-label": t("What to look at") });
    const side = make("aside", { class: "side", "aria-label": t("Classes") }, this.classes.root, this.advice);
    const ground = make("div", { class: "ground" }, this.canvas, this.message);
    const middle = make("main", { class: "middle" }, this.#tools(), ground, side);
    this.root = make("div", { class: "painter" }, this.#top(), middle, this.#bottom());
    editor.document.body.replaceChildren(this.root);
  }

  /** @param {keyof typeof ICONS} [picture] @param {string} id @param {string} [text] */
  button(id, picture = /** @type {keyof typeof ICONS} */ (id), text = "") {
    const action = actionOf(id);
    const button = this.make("button", {
      type: "button",
      class: text ? "text" : "sign",
      "aria-label": t(action.title),
      "data-action": id,
      title: `${t(action.title)}   ${action.keys.join(` ${t("or")} `)}`,
      onclick: (/** @type {MouseEvent} */ event) => {
        action.run(this.editor);
        if (event.detail) this.canvas.focus(); // a click, no key: the next keys, such as Space, mean the canvas
      },
    });
    if (ICONS[picture]) button.append(icon(this.editor.document, ICONS[picture]));
    if (text) button.append(text);
    this.buttons.push({ id, button });
    return button;
  }

  #tools() {
    const groups = TOOL_GROUPS.map((ids) => this.make("div", { class: "group" }, ...ids.map((id) => this.button(id))));
    return this.make(
      "nav",
      { class: "tools", role: "toolbar", "aria-label": t("Tools"), "aria-orientation": "vertical" },
      ...groups,
    );
  }

  #top() {
    const { make, editor } = this;
    this.sizeField = this.#slider(t("Brush size in pixels"), 1, 256, (value) => editor.setSize(value), 512);
    this.photoField = this.#slider(t("Share of the photo in percent"), 0, 100, (value) => {
      editor.photo.setShare(value / 100);
    });
    const brush = make(
      "div",
      { class: "group" },
      make("span", { class: "caption" }, t("Size")),
      ...this.sizeField.parts,
      this.button("mirror"),
    );
    const photo = make("div", { class: "group" }, this.button("photo"), ...this.photoField.parts);
    this.photoGroup = photo;
    return make(
      "header",
      { class: "top", role: "toolbar", "aria-label": t("Painting") },
      make("h1", {}, t("Mask Painter")),
      this.button("start", "start", t("Start from")),
      make("div", { class: "group" }, this.button("undo"), this.button("redo"), this.button("flip")),
      brush,
      photo,
      make(
        "div",
        { class: "group" },
        this.button("grid"),
        this.button("distinct", "eye", t("Safe colours")),
        this.button("fit"),
      ),
      make(
        "div",
        { class: "group end" },
        ...EXPORTS.map((id) => this.button(id, "save", id === "saveIds" ? t("Ids") : "PNG")),
        this.button("help"),
      ),
      this.button("done", "close", t("Done")),
    );
  }

  /** @param {string} name @param {number} min @param {number} max @param {(value: number) => void} set @param {number} most */
  #slider(name, min, max, set, most = max) {
    const change = (/** @type {Event} */ event) => {
      const value = Number(/** @type {HTMLInputElement} */ (event.target).value);
      if (Number.isFinite(value)) set(value);
    };
    const slider = this.make("input", { type: "range", min, max, "aria-label": name, oninput: change });
    const field = this.make("input", {
      type: "number",
      min,
      max: most,
      "aria-label": t("{name}, as a number", { name }),
      onchange: change,
    });
    return {
      parts: [slider, field],
      show: (/** @type {number} */ value) => ((slider.value = String(value)), (field.value = String(value))),
    };
  }

  #bottom() {
    return this.make(
      "footer",
      { class: "bottom" },
      this.where,
      this.make("span", { class: "kept" }, t("Kept in the workflow after every stroke")),
    );
  }

  refresh() {
    for (const { id, button } of this.buttons) {
      const action = actionOf(id);
      if (action.isOn) button.setAttribute("aria-pressed", String(action.isOn(this.editor)));
      if (action.isIdle) button.disabled = action.isIdle(this.editor);
    }
    this.sizeField?.show(this.editor.size);
    this.photoField?.show(Math.round(this.editor.wishes.photoShare * 100));
    this.photoGroup?.classList.toggle("empty", !this.editor.photo.picture);
    this.classes.refresh();
  }

  status() {
    const { sheet, pen, scene } = this.editor;
    const [x, y] = [Math.floor(pen.at?.x ?? -1), Math.floor(pen.at?.y ?? -1)];
    const isIn = x >= 0 && y >= 0 && x < sheet.width && y < sheet.height;
    const under = isIn ? `${x}, ${y}: ${t(CLASSES[sheet.map.ids[y * sheet.width + x]].title)}` : "";
    const zoom = `${Math.round(scene.view.zoom * 100)} %`;
    const text = [`${sheet.width} × ${sheet.height}`, zoom, under].filter(Boolean).join("   ·   ");
    if (this.where.textContent !== text) this.where.textContent = text;
  }

  /** @param {string} sentence */
  say(sentence) {
    this.message.textContent = sentence;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => (this.message.textContent = ""), 6000);
  }

  /** @param {Advice[]} list */
  advise(list) {
    this.advice.replaceChildren(...list.slice(0, 12).map((advice) => this.#advice(advice)));
    if (list.length > 12) this.advice.append(this.make("li", {}, t("and {count} more", { count: list.length - 12 })));
  }

  /** @param {Advice} advice */
  #advice({ kind, text, where, mend }) {
    const item = this.make("li", { class: `about-${kind}` }, this.make("span", {}, text));
    if (where)
      item.append(
        this.make(
          "button",
          {
            type: "button",
            class: "small",
            "aria-label": t("Show: {text}", { text }),
            onclick: () => this.editor.scene.lookAt(where),
          },
          t("Show"),
        ),
      );
    if (mend) {
      const name = t("Swap: {text}", { text });
      const run = () => this.editor.remake(mend, t("swap left and right"));
      item.append(
        this.make("button", { type: "button", class: "small", "aria-label": name, onclick: run }, t("Swap")),
      );
    }
    return item;
  }

  search() {
    this.classes.field.focus();
    this.classes.field.select();
  }

  isSearching() {
    return this.editor.document.activeElement === this.classes.field;
  }

  endSearch() {
    this.classes.search("");
    this.canvas.focus();
  }
}

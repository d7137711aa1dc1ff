/** The buttons of actions: made from the list, and kept up to date. */

import { t } from "../map/words.mjs";
import { actionOf } from "./actions.mjs";
import { icon } from "./dom.mjs";
import { ICONS } from "./icons.mjs";
import { keysText } from "./keys.mjs";

export class Buttons {
  /** @param {import("./page.mjs").Page} page @param {import("./actions.mjs").Parts} parts */
  constructor(page, parts) {
    this.page = page;
    this.parts = parts;
    /** @type {{action: import("./actions.mjs").Action, button: HTMLButtonElement}[]} */
    this.made = [];
  }

  /** @param {string} id  of the action @param {keyof typeof ICONS} [picture] @param {string} [text] */
  make(id, picture = /** @type {keyof typeof ICONS} */ (id), text = "") {
    const action = actionOf(id);
    const button = this.page.make("button", {
      type: "button",
      class: text ? "text" : "sign",
      "aria-label": t(action.title),
      "data-action": id,
      title: `${t(action.title)}   ${keysText(action.keys, ` ${t("or")} `)}`,
      onclick: (/** @type {MouseEvent} */ event) => {
        action.run(this.parts);
        // A mouse click, not a key: the next keys, such as Space, are for the canvas.
        if (event.detail) this.page.canvas.focus();
      },
    });
    if (ICONS[picture]) button.append(icon(this.page.document, ICONS[picture]));
    if (text) button.append(text);
    this.made.push({ action, button });
    return button;
  }

  refresh() {
    for (const { action, button } of this.made) {
      if (action.isOn) button.setAttribute("aria-pressed", String(action.isOn(this.parts)));
      if (action.isIdle) button.disabled = action.isIdle(this.parts);
    }
  }
}

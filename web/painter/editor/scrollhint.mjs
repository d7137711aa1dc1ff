/** A scrolling part of a dialog: what lies below is announced by a shadow and a word. */

import { t } from "../map/words.mjs";

/**
 * @param {import("./page.mjs").Page["make"]} make
 * @param {string} name
 * @param {HTMLElement} content
 * @returns {HTMLElement}
 */
export function scrolling(make, name, content) {
  const hint = make("div", { class: "more-below", "aria-hidden": "true" }, t("More below"), " ↓");
  const box = make(
    "div",
    { class: "scrolling", tabIndex: 0, onscroll: () => update(), role: "region", "aria-label": name },
    content,
  );
  const update = () => {
    const rest = box.scrollHeight - box.clientHeight - box.scrollTop;
    hint.hidden = rest < 4;
  };
  new ResizeObserver(update).observe(box);
  return make("div", { class: "scroller" }, box, hint);
}

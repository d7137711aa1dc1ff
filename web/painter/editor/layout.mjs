/** Where everything stands in the editor's window. */

import { t } from "../map/words.mjs";

/**
 * @param {import("./page.mjs").Page} page
 * @param {Record<"top" | "tools" | "rim" | "tag" | "nudges" | "live" | "classes" | "advice" | "status", HTMLElement>} elements
 */
export function layOut({ make, root, canvas, message }, { top, tools, rim, tag, nudges, live, classes, advice, status }) {
  const ground = make("div", { class: "ground" }, canvas, rim, tag, nudges, message);
  const side = make("aside", { class: "side", "aria-label": t("Classes") }, classes, advice);
  const middle = make("main", { class: "middle" }, tools, ground, live, side);
  root.append(top, middle, status);
}

/** The help dialog: every key, by group. */

import { t } from "../map/words.mjs";
import { ACTIONS, MORE_KEYS } from "./actions.mjs";
import { keysText } from "./keys.mjs";
import { scrolling } from "./scrollhint.mjs";

/** @param {import("./page.mjs").Page} page */
export function showHelp(page) {
  const { make } = page;
  /** @param {string} title @param {readonly (readonly string[])[]} rows */
  const table = (title, rows) => {
    const lines = rows.map(([keys, meaning]) =>
      make("tr", {}, make("td", {}, make("kbd", {}, t(keys))), make("td", {}, t(meaning))),
    );
    return make("section", {}, make("h3", {}, title), make("table", {}, make("tbody", {}, ...lines)));
  };
  const tables = [...new Set(ACTIONS.map(({ group }) => group))].map((group) => {
    const actions = ACTIONS.filter((one) => one.group === group);
    return table(
      t(group),
      actions.map(({ keys, title }) => [keysText(keys, `  ${t("or")}  `), title]),
    );
  });
  const content = make("div", { class: "columns" }, ...tables, table(t("More"), MORE_KEYS));
  page.ask("help", t("Keys and help"), scrolling(make, t("Keys and help"), content));
}

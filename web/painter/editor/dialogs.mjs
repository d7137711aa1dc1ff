/** What opens over the editor: windows, the list of keys, files to choose and to save. */

import { ACTIONS, MORE_KEYS } from "./actions.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./editor.mjs").Editor} Editor */

/** Whether a window waits for an answer. @param {Editor} editor */
export function isAsking({ document }) {
  return document.querySelector("dialog[open]") !== null;
}

/**
 * A window over the editor.
 * @param {Editor} editor @param {string} name @param {string} title @param {...Node} content
 */
export function ask({ layout, canvas }, name, title, ...content) {
  const { make } = layout;
  const shut = make(
    "button",
    { type: "button", class: "sign shut", "aria-label": t("Close"), onclick: () => dialog.close() },
    "✕",
  );
  const onclose = () => {
    dialog.remove();
    canvas.focus();
  };
  const heading = make("div", { class: "heading" }, make("h2", {}, title), shut);
  const dialog = make("dialog", { class: name, "aria-label": title, onclose }, heading, ...content);
  layout.root.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Every key, by group. @param {Editor} editor */
export function help(editor) {
  const { make } = editor.layout;
  /** @param {string} title @param {readonly (readonly string[])[]} rows */
  const table = (title, rows) => {
    const lines = rows.map(([keys, what]) =>
      make("tr", {}, make("td", {}, make("kbd", {}, t(keys))), make("td", {}, t(what))),
    );
    return make("section", {}, make("h3", {}, title), make("table", {}, make("tbody", {}, ...lines)));
  };
  const tables = [...new Set(ACTIONS.map(({ group }) => group))].map((group) => {
    const actions = ACTIONS.filter((one) => one.group === group);
    return table(
      t(group),
      actions.map(({ keys, title }) => [keys.join(`  ${t("or")}  `), title]),
    );
  });
  ask(editor, "help", t("Keys and help"), make("div", { class: "columns" }, ...tables, table(t("Also"), MORE_KEYS)));
}

/** @param {Editor} editor @param {string} accept @param {(file: File) => void} take */
export function pickFile({ layout }, accept, take) {
  const field = layout.make("input", {
    type: "file",
    accept,
    class: "unseen",
    "aria-label": t("File"),
    onchange: () => {
      const file = field.files?.[0];
      if (file) take(file);
      field.remove();
    },
    oncancel: () => field.remove(),
  });
  layout.root.append(field);
  field.click();
}

/** @param {Editor} editor @param {Blob} blob @param {string} name */
export function download({ layout }, blob, name) {
  const address = URL.createObjectURL(blob);
  const link = layout.make("a", { href: address, download: name });
  layout.root.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

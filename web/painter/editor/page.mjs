/** The editor's document: the canvas, the message over it, dialogs, files to pick and to save. */

import { t } from "../map/words.mjs";
import { maker } from "./dom.mjs";

const MESSAGE_MS = 6000;

export class Page {
  /** @param {Document} document */
  constructor(document) {
    this.document = document;
    this.make = maker(document);
    this.canvas = this.make("canvas", {
      class: "stage",
      tabIndex: 0,
      role: "application",
      "aria-label": t("The painting. Arrow keys move the pen; Enter puts it down or lifts it."),
    });
    this.message = this.make("output", { class: "message", role: "status", "aria-live": "polite" });
    this.root = this.make("div", { class: "painter" });
    document.body.replaceChildren(this.root);
  }

  /** Shows a sentence for a few seconds. @param {string} sentence */
  say(sentence) {
    this.message.textContent = sentence;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => (this.message.textContent = ""), MESSAGE_MS);
  }

  /** Opens a dialog. @param {string} name @param {string} title @param {...Node} content */
  ask(name, title, ...content) {
    const { make } = this;
    const close = make(
      "button",
      { type: "button", class: "sign", "aria-label": t("Close"), onclick: () => dialog.close() },
      "✕",
    );
    const onclose = () => {
      dialog.remove();
      this.canvas.focus();
    };
    const heading = make("div", { class: "heading" }, make("h2", {}, title), close);
    const dialog = make("dialog", { class: name, "aria-label": title, onclose }, heading, ...content);
    this.root.append(dialog);
    dialog.showModal();
    return dialog;
  }

  closeDialogs() {
    for (const dialog of this.document.querySelectorAll("dialog")) dialog.close();
  }

  /** Whether a dialog is open. */
  isAsking() {
    return this.document.querySelector("dialog[open]") !== null;
  }

  /** @param {string} accept @param {(file: File) => void} take */
  pickFile(accept, take) {
    const field = this.make("input", {
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
    this.root.append(field);
    field.click();
  }

  /** @param {Blob} blob @param {string} name */
  download(blob, name) {
    const address = URL.createObjectURL(blob);
    const link = this.make("a", { href: address, download: name });
    this.root.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }
}

/** The photo under the painting. */

import { pickFile } from "./dialogs.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./editor.mjs").Editor} Editor */

export class Photo {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    /** @type {ImageBitmap | null} */
    this.picture = null;
    this.isOn = true;
  }

  /** What is under the painting now. */
  get shown() {
    return this.isOn ? this.picture : null;
  }

  toggle() {
    if (!this.picture) return this.pick();
    this.isOn = !this.isOn;
    this.editor.recolour();
  }

  /** @param {number} share  of the photo in what is seen, 0 to 1 */
  setShare(share) {
    this.editor.wishes.photoShare = Math.max(0, Math.min(1, share));
    this.editor.refresh();
  }

  /** @param {number} by */
  addShare(by) {
    this.setShare(this.editor.wishes.photoShare + by);
  }

  pick() {
    pickFile(this.editor, "image/*", (file) => void this.lay(file));
  }

  /** @param {Blob} file */
  async lay(file) {
    try {
      this.picture = await createImageBitmap(file);
      this.isOn = true;
      this.editor.recolour();
    } catch {
      this.editor.say(t("That file is no picture that the browser can show."));
    }
  }
}

/** The photo under the painting, and its opacity. */

import { t } from "../map/words.mjs";

/** @typedef {import("./page.mjs").Page} Page */

export class Photo {
  /**
   * @param {number} share  its opacity, 0 to 1
   * @param {Page} page
   * @param {{onShare: () => void, onPicture: () => void}} listeners
   */
  constructor(share, page, { onShare, onPicture }) {
    this.share = share;
    this.page = page;
    this.onShare = onShare;
    this.onPicture = onPicture;
    /** @type {ImageBitmap | null} */
    this.picture = null;
    this.isOn = true;
  }

  /** The photo that is drawn now. */
  get shown() {
    return this.isOn ? this.picture : null;
  }

  toggle() {
    if (!this.picture) return this.pick();
    this.isOn = !this.isOn;
    this.onPicture();
  }

  /** @param {number} share */
  setShare(share) {
    this.share = Math.max(0, Math.min(1, share));
    this.onShare();
  }

  /** @param {number} by */
  addShare(by) {
    this.setShare(this.share + by);
  }

  pick() {
    this.page.pickFile("image/*", (file) => void this.lay(file));
  }

  /** Puts a photo under the painting. @param {Blob} file @returns {Promise<boolean>} whether it is a picture */
  async lay(file) {
    try {
      this.picture = await createImageBitmap(file);
      this.isOn = true;
      this.onPicture();
      return true;
    } catch {
      this.page.say(t("The browser cannot show this file as a picture."));
      return false;
    }
  }
}

/** Pictures that are dropped on the editor or pasted: a label map replaces the painting, any other is the photo. */

import { Refusal, messageOf } from "../map/refusal.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./page.mjs").Page} Page */
/** @typedef {import("./photo.mjs").Photo} Photo */
/** @typedef {import("./steps.mjs").Steps} Steps */

/** The largest class id, and so the lightest grey of a picture of ids. */
const MOST_IDS = 18;

export class Drops {
  /**
   * @param {Page} page
   * @param {Photo} photo
   * @param {Steps} steps
   * @param {Pick<import("./start.mjs").MaskSource, "read">} source
   */
  constructor(page, photo, steps, source) {
    this.page = page;
    this.photo = photo;
    this.steps = steps;
    this.source = source;
    const { document } = page;
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => this.#receive(event, event.dataTransfer));
    document.addEventListener("paste", (event) => this.#receive(event, event.clipboardData));
  }

  /** @param {Event} event @param {DataTransfer | null} data */
  #receive(event, data) {
    const files = [...(data?.files ?? [])];
    if (event.type === "drop") event.preventDefault(); // or the browser opens the file in place of the editor
    if (!files.length) return;
    event.preventDefault();
    for (const file of files) void this.#take(file);
  }

  /** @param {File} file */
  async #take(file) {
    try {
      const read = await this.steps.waitFor(() => this.source.read(file, "auto"));
      if (!read) return;
      this.page.closeDialogs();
      this.steps.replaceMap(read.answer, t("start from {source}", { source: file.name }));
      this.page.say(t("The picture is a label map: it is the painting now."));
    } catch (error) {
      const reason = messageOf(error);
      // Only a refusal says that it is not a label map.
      if (error instanceof Refusal) await this.#lay(file, reason);
      else this.page.say(reason);
    }
  }

  /** @param {File} file @param {string} reason  why it is not a label map */
  async #lay(file, reason) {
    if (await isDark(file)) return this.page.say(reason); // ids of which the server could not say whose they are
    this.page.closeDialogs();
    if (await this.photo.lay(file)) this.page.say(t("The picture is the photo under the painting now."));
  }
}

/** Whether every pixel is a grey so dark that it is an id. @param {Blob} file */
async function isDark(file) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return false;
  const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  context?.drawImage(picture, 0, 0);
  const { data } = context?.getImageData(0, 0, picture.width, picture.height) ?? { data: [255] };
  return data.every((value, i) => i % 4 === 3 || value <= MOST_IDS);
}

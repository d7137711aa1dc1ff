/** Saving the painting as a PNG file. */

import { coloursPng, idsPng } from "../map/png.mjs";

/** @typedef {import("../map/sheet.mjs").Sheet} Sheet */
/** @typedef {import("./page.mjs").Page} Page */

export class Exports {
  /** @param {Sheet} sheet @param {Page} page */
  constructor(sheet, page) {
    this.sheet = sheet;
    this.page = page;
  }

  /** @param {"colours" | "ids"} kind */
  async save(kind) {
    const { map } = this.sheet;
    this.page.download(await (kind === "ids" ? idsPng(map) : coloursPng(map)), `face_mask_${kind}.png`);
  }
}

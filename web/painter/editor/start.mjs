/** The dialog to start from a face of the gallery, a file, the mask input or an empty sheet, and to resize. */

import { readPainting } from "../map/codec.mjs";
import { MAX_SIDE, MIN_SIDE, TOKEN, blank, isSide, resize } from "../map/labelmap.mjs";
import { LABEL_SPACES } from "../map/palette.mjs";
import { STARTERS } from "../map/starters.mjs";
import { show } from "../map/picture.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./page.mjs").Page} Page */
/** @typedef {import("./steps.mjs").Steps} Steps */
/** @typedef {import("./display.mjs").Display} Display */
/** @typedef {import("../map/labelmap.mjs").LabelMap} LabelMap */

/**
 * Where masks come from.
 * @typedef {object} MaskSource
 * @property {(labelSpace: string) => Promise<LabelMap | null>} mask  of the mask input
 * @property {(file: Blob, labelSpace: string) => Promise<LabelMap>} read  a mask file; throws a sentence
 */

export class StartDialog {
  /** @param {Page} page @param {Steps} steps @param {Display} display @param {MaskSource} source */
  constructor(page, steps, display, source) {
    this.page = page;
    this.make = page.make;
    this.steps = steps;
    this.display = display;
    this.source = source;
  }

  open() {
    const { make } = this;
    const { width, height } = this.steps.sheet;
    this.problem = make("p", { class: "problem", role: "alert" });
    this.width = this.#side(t("Width in pixels"), width);
    this.height = this.#side(t("Height in pixels"), height);
    this.space = make(
      "select",
      { "aria-label": t("Label space of the file or mask") },
      ...LABEL_SPACES.map((space) => make("option", { value: space }, space)),
    );
    const sizes = make(
      "div",
      { class: "line" },
      this.width,
      "×",
      this.height,
      this.#choice(t("Empty"), () => this.#empty()),
      this.#choice(t("Resize the painting"), () => this.#resize()),
    );
    const sources = make(
      "div",
      { class: "line" },
      this.#choice(t("Mask input"), () => this.#input()),
      this.#choice(t("Mask file…"), () => this.#file()),
      make("label", { class: "caption" }, t("label space"), " ", this.space),
    );
    const gallery = make("div", { class: "gallery" }, ...STARTERS.map((starter) => this.#face(starter)));
    this.dialog = this.page.ask("start", t("Start from"), gallery, sources, sizes, this.problem);
  }

  /** @param {string} name @param {number} value */
  #side(name, value) {
    return this.make("input", {
      type: "number",
      min: MIN_SIDE,
      max: MAX_SIDE,
      step: TOKEN,
      value,
      "aria-label": name,
    });
  }

  /** @param {string} text @param {() => void} run */
  #choice(text, run) {
    return this.make("button", { type: "button", class: "text", onclick: run }, text);
  }

  /** @param {import("../map/starters.mjs").Starter} starter */
  #face({ title: english, painting }) {
    const title = t(english);
    const canvas = this.make("canvas", { "aria-hidden": "true" });
    void readPainting(painting).then((map) => map && show(canvas, resize(map, 128, 128), this.display.distinct));
    const run = () => void readPainting(painting).then((map) => map && this.#take(map, startFrom(title)));
    return this.make(
      "button",
      { type: "button", class: "face", "aria-label": title, onclick: run },
      canvas,
      this.make("span", {}, title),
    );
  }

  /** @param {LabelMap} map @param {string} label */
  #take(map, label) {
    this.dialog?.close();
    this.steps.replace(map, label);
  }

  /** @returns {[number, number] | null} */
  #size() {
    const [width, height] = [Number(this.width?.value), Number(this.height?.value)];
    if (isSide(width) && isSide(height)) return [width, height];
    const sides = { token: TOKEN, least: MIN_SIDE, most: MAX_SIDE };
    this.#refuse(t("Width and height must be multiples of {token}, from {least} to {most}.", sides));
    return null;
  }

  #empty() {
    const size = this.#size();
    if (size) this.#take(blank(...size), t("start empty"));
  }

  #resize() {
    const size = this.#size();
    if (!size) return;
    this.dialog?.close();
    this.steps.remake((map) => resize(map, ...size), t("resize"));
  }

  #input() {
    void this.#read(async (space) => {
      const map = await this.source.mask(space);
      if (!map) throw new Error(t("There is no mask yet. Connect one to the mask input and run the workflow once."));
      return map;
    }, t("start from the mask input"));
  }

  #file() {
    this.page.pickFile("image/*", (file) => {
      void this.#read((space) => this.source.read(file, space), startFrom(file.name));
    });
  }

  /** @param {(labelSpace: string) => Promise<LabelMap>} read @param {string} label */
  async #read(read, label) {
    try {
      this.#take(await read(this.space?.value ?? "auto"), label);
    } catch (error) {
      this.#refuse(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string} sentence */
  #refuse(sentence) {
    if (this.problem) this.problem.textContent = sentence;
  }
}

/** @param {string} source */
function startFrom(source) {
  return t("start from {source}", { source });
}

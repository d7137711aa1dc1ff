/** The dialog to start from a face of the gallery, a file, the mask input or an empty sheet, and to resize. */

import { readPainting } from "../map/codec.mjs";
import { MAX_SIDE, MIN_SIDE, TOKEN, blank, contain, isSide } from "../map/labelmap.mjs";
import { linesOf } from "../map/lines.mjs";
import { LABEL_SPACES } from "../map/palette.mjs";
import { asPainting, resizePainting } from "../map/painting.mjs";
import { messageOf } from "../map/refusal.mjs";
import { STARTERS } from "../map/starters.mjs";
import { show } from "../map/picture.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./page.mjs").Page} Page */
/** @typedef {import("./steps.mjs").Steps} Steps */
/** @typedef {import("./display.mjs").Display} Display */
/** @typedef {import("../map/labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("../map/painting.mjs").Painting} Painting */

/**
 * Where masks come from.
 * @typedef {object} MaskSource
 * @property {(labelSpace: string) => Promise<LabelMap | null>} mask  of the mask input
 * @property {(file: Blob, labelSpace: string) => Promise<LabelMap>} read  a mask file; throws a sentence
 * @property {() => Promise<Blob | null>} sketch  of the sketch input
 * @property {() => Promise<Lost[]>} lost  paintings of tabs that ended before ComfyUI stored them
 */

/** `saved` is a time in ms since 1970. @typedef {{text: string, saved: number, forget: () => void}} Lost */

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
      this.#choice(t("Follow the mask input"), () => void this.follow()),
      make("label", { class: "caption" }, t("Label space"), this.space),
    );
    const sketches = make(
      "div",
      { class: "line" },
      make("span", { class: "caption" }, t("Pencil drawing")),
      this.#choice(t("Sketch input"), () => this.#sketchInput()),
      this.#choice(t("Sketch file…"), () => this.#sketchFile()),
      this.#choice(t("Follow the sketch input"), () => void this.#followSketch()),
    );
    const gallery = make("div", { class: "gallery" }, ...STARTERS.map((starter) => this.#face(starter)));
    void this.source.lost().then((list) => gallery.prepend(...list.map((lost) => this.#lost(lost))));
    this.dialog = this.page.ask("start", t("Start from"), gallery, sources, sketches, sizes, this.problem);
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
    return this.#tile(title, painting, (map) => this.#take(map, startFrom(title)));
  }

  /** @param {Lost} lost */
  #lost({ text, saved, forget }) {
    const title = t("of a tab that ended, {time}", { time: new Date(saved).toLocaleString() });
    return this.#tile(title, text, (painting) => {
      this.dialog?.close();
      this.steps.replace(painting, startFrom(title));
      forget();
    });
  }

  /** @param {string} title @param {string} text  of a painting @param {(painting: Painting) => void} take */
  #tile(title, text, take) {
    const canvas = this.make("canvas", { "aria-hidden": "true" });
    void readPainting(text).then((map) => map && show(canvas, contain(map, 128, 128), this.display.distinct));
    const run = () => void readPainting(text).then((map) => map && take(map));
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
    this.steps.replaceMap(map, label);
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
    if (!size) return;
    this.dialog?.close();
    // Without the drawing, too, and without the sketch input's if there were lines.
    const isDrawn = this.steps.sheet.map.pencil !== null;
    this.steps.replace(asPainting({ ...blank(...size), isDrawn }), t("start empty"));
  }

  #resize() {
    const size = this.#size();
    if (!size) return;
    this.dialog?.close();
    this.steps.remake((map) => resizePainting(map, ...size), t("resize"));
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

  /** Unpaints the map: from here on the mask input decides it again. */
  async follow() {
    await this.#apply(
      () => this.source.mask("auto"),
      (given) => {
        const { sheet } = this.steps;
        const whole = given ?? blank(sheet.width, sheet.height);
        const map = sheet.map.isDrawn ? contain(whole, sheet.width, sheet.height) : whole;
        this.steps.replaceMap({ ...map, isPainted: false }, t("follow the mask input"));
      },
    );
  }

  async #followSketch() {
    await this.#apply(
      async () => {
        const file = await this.source.sketch();
        return file && linesOf(await createImageBitmap(file), this.steps.sheet, false);
      },
      (pencil) => this.steps.giveBack({ pencil, isDrawn: false }, t("follow the sketch input")),
    );
  }

  #sketchInput() {
    void this.#draw(async () => {
      const file = await this.source.sketch();
      if (!file) throw new Error(t("There is no sketch yet. Connect one to the sketch input and run the workflow once."));
      return file;
    }, t("start from the sketch input"));
  }

  #sketchFile() {
    this.page.pickFile("image/*", (file) => void this.#draw(() => Promise.resolve(file), startFrom(file.name), true));
  }

  /**
   * Another drawing over the same map.
   * @param {() => Promise<Blob>} read @param {string} label @param {boolean} [isFile]  may be dark lines on white
   */
  async #draw(read, label, isFile = false) {
    await this.#apply(
      async () => {
        const file = await read();
        const picture = await createImageBitmap(file).catch(() => {
          throw new Error(t("The browser cannot show this file as a picture."));
        });
        return linesOf(picture, this.steps.sheet, isFile);
      },
      (pencil) => this.steps.remake((painting) => ({ ...painting, pencil, isDrawn: true }), label),
    );
  }

  /**
   * Closes the dialog and applies an answer, unless the dialog or the editor was closed meanwhile or the painting has a
   * newer step. A failure is said.
   * @template Answer
   * @param {() => Promise<Answer>} ask @param {(answer: Answer) => void} apply
   */
  async #apply(ask, apply) {
    try {
      const read = await this.steps.waitFor(ask, () => this.dialog);
      if (!read) return;
      this.dialog?.close();
      apply(read.answer);
    } catch (error) {
      this.#refuse(messageOf(error));
    }
  }

  /** @param {(labelSpace: string) => Promise<LabelMap>} read @param {string} label */
  #read(read, label) {
    return this.#apply(
      () => read(this.space?.value ?? "auto"),
      (map) => this.steps.replaceMap(map, label),
    );
  }

  /** @param {string} sentence */
  #refuse(sentence) {
    if (this.problem?.isConnected) this.problem.textContent = sentence;
    else this.page.say(sentence);
  }
}

/** @param {string} source */
function startFrom(source) {
  return t("start from {source}", { source });
}

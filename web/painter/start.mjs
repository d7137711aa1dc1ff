/** Where a painting starts: a face of the gallery, a file, the mask input, nothing; and its size. */

import { readPainting } from "./codec.mjs";
import { ask, pickFile } from "./dialogs.mjs";
import { MAX_SIDE, MIN_SIDE, TOKEN, blank, isSide, resized } from "./labelmap.mjs";
import { LABEL_SPACES } from "./palette.mjs";
import { STARTERS } from "./starters.mjs";
import { show } from "./view.mjs";

/** @typedef {import("./editor.mjs").Editor} Editor */
/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */

export class AskStart {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.make = editor.layout.make;
  }

  open() {
    const { make, editor } = this;
    const { width, height } = editor.sheet;
    this.complaint = make("p", { class: "complaint", role: "alert" });
    this.width = this.#side("Width", width);
    this.height = this.#side("Height", height);
    this.space = make(
      "select",
      { "aria-label": "Label space of the file or mask" },
      ...LABEL_SPACES.map((space) => make("option", { value: space }, space)),
    );
    const sized = make(
      "div",
      { class: "line" },
      this.width,
      "×",
      this.height,
      this.#choice("Empty", () => this.#empty()),
      this.#choice("Resize the painting", () => this.#resize()),
    );
    const given = make(
      "div",
      { class: "line" },
      this.#choice("Mask input", () => this.#input()),
      this.#choice("Mask file…", () => this.#file()),
      make("label", { class: "caption" }, "label space ", this.space),
    );
    const gallery = make("div", { class: "gallery" }, ...STARTERS.map((starter) => this.#face(starter)));
    this.dialog = ask(editor, "start", "Start from", gallery, given, sized, this.complaint);
  }

  /** @param {string} name @param {number} value */
  #side(name, value) {
    return this.make("input", {
      type: "number",
      min: MIN_SIDE,
      max: MAX_SIDE,
      step: TOKEN,
      value,
      "aria-label": `${name} in pixels`,
    });
  }

  /** @param {string} text @param {() => void} run */
  #choice(text, run) {
    return this.make("button", { type: "button", class: "text", onclick: run }, text);
  }

  /** @param {import("./starters.mjs").Starter} starter */
  #face({ title, painting }) {
    const canvas = this.make("canvas", { "aria-hidden": "true" });
    void readPainting(painting).then((map) => map && show(canvas, resized(map, 128, 128), this.editor.wishes.distinct));
    const run = () => void readPainting(painting).then((map) => map && this.#take(map, `start from ${title}`));
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
    this.editor.replace(map, label);
  }

  /** @returns {[number, number] | null} */
  #size() {
    const [width, height] = [Number(this.width?.value), Number(this.height?.value)];
    if (isSide(width) && isSide(height)) return [width, height];
    this.#complain(`Width and height are multiples of ${TOKEN} from ${MIN_SIDE} to ${MAX_SIDE}.`);
    return null;
  }

  #empty() {
    const size = this.#size();
    if (size) this.#take(blank(...size), "start empty");
  }

  #resize() {
    const size = this.#size();
    if (!size) return;
    this.dialog?.close();
    this.editor.remake((map) => resized(map, ...size), "resize");
  }

  #input() {
    void this.#read(async (space) => {
      const map = await this.editor.commission.mask(space);
      if (!map) throw new Error("No mask has come yet. Connect one to the mask input and run the workflow once.");
      return map;
    }, "start from the mask input");
  }

  #file() {
    pickFile(this.editor, "image/*", (file) => {
      void this.#read((space) => this.editor.commission.read(file, space), `start from ${file.name}`);
    });
  }

  /** @param {(labelSpace: string) => Promise<LabelMap>} read @param {string} label */
  async #read(read, label) {
    try {
      this.#take(await read(this.space?.value ?? "auto"), label);
    } catch (error) {
      this.#complain(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string} sentence */
  #complain(sentence) {
    if (this.complaint) this.complaint.textContent = sentence;
  }
}

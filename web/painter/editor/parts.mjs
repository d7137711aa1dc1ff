/** The library of parts: hair, hats, glasses, eyes and mouths of the starter faces, which the server fits to the face. */

import { readPainting } from "../map/codec.mjs";
import { resize } from "../map/labelmap.mjs";
import { CLASSES } from "../map/palette.mjs";
import { STARTERS } from "../map/starters.mjs";
import { show } from "../map/picture.mjs";
import { messageOf } from "../map/refusal.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("./page.mjs").Page} Page */
/** @typedef {import("../map/labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("../map/starters.mjs").Starter} Starter */

/**
 * Fits a part of the donor, a painting's text, to the map. `locked` are names of classes. Throws a sentence.
 * @typedef {(map: LabelMap, donor: string, part: string, locked: string) => Promise<LabelMap>} Fit
 */

/**
 * The parts as the server names them, and their classes. A hat hides half of the hair below it, so faces `without` one
 * give theirs.
 * @type {ReadonlyArray<{name: string, title: string, ids: readonly number[], without?: number}>}
 */
export const PARTS = Object.freeze([
  { name: "hair", title: "Hair", ids: [13], without: 14 },
  { name: "hat", title: "Hats", ids: [14] },
  { name: "glasses", title: "Glasses", ids: [3] },
  { name: "eyes", title: "Eyes", ids: [4, 5] },
  { name: "mouth", title: "Mouths", ids: [10, 11, 12] },
]);
const [SKIN, SIDE] = [1, 128];

export class PartsDialog {
  /**
   * @param {Page} page
   * @param {import("./steps.mjs").Steps} steps
   * @param {import("./display.mjs").Display} display
   * @param {Fit} fit
   */
  constructor(page, steps, display, fit) {
    this.page = page;
    this.steps = steps;
    this.display = display;
    this.fit = fit;
  }

  open() {
    const { make } = this.page;
    this.steps.pen.settle();
    this.problem = make("p", { class: "problem", role: "alert" });
    this.gallery = make("div", { class: "gallery" });
    this.kinds = PARTS.map((part) =>
      make("button", { type: "button", class: "text", "aria-pressed": false, onclick: () => void this.#offer(part) }, t(part.title)),
    );
    const kinds = make("div", { class: "line", role: "group", "aria-label": t("Parts") }, ...this.kinds);
    this.dialog = this.page.ask("parts", t("Parts of other faces"), kinds, this.gallery, this.problem);
    void this.#offer(PARTS[0]);
  }

  /** Shows the faces that have the part. @param {(typeof PARTS)[number]} part */
  async #offer(part) {
    this.kinds?.forEach((kind, i) => kind.setAttribute("aria-pressed", String(PARTS[i] === part)));
    const faces = await Promise.all(STARTERS.map(async (starter) => ({ starter, map: await readPainting(starter.painting) })));
    const buttons = faces.flatMap(({ starter, map }) => {
      const hasPart = map?.ids.some((id) => part.ids.includes(id)) && !map.ids.some((id) => id === part.without);
      return map && hasPart ? [this.#button(starter, map, part)] : [];
    });
    this.gallery?.replaceChildren(...buttons);
  }

  /** @param {Starter} starter @param {LabelMap} map @param {(typeof PARTS)[number]} part */
  #button({ title: english, painting }, map, part) {
    const { make } = this.page;
    const title = t(english);
    const canvas = make("canvas", { "aria-hidden": "true" });
    // The part on the skin alone.
    const ids = map.ids.map((id) => (id === SKIN || part.ids.includes(id) ? id : 0));
    show(canvas, resize({ ...map, ids }, SIDE, SIDE), this.display.distinct);
    const run = () => void this.#take(painting, part, title);
    return make("button", { type: "button", class: "face", "aria-label": title, onclick: run }, canvas, make("span", {}, title));
  }

  /** @param {string} donor @param {(typeof PARTS)[number]} part @param {string} title */
  async #take(donor, part, title) {
    const { gallery } = this;
    const { sheet } = this.steps;
    if (gallery?.getAttribute("aria-busy") === "true") return; // one part at a time
    gallery?.setAttribute("aria-busy", "true");
    const locked = CLASSES.filter(({ id }) => !sheet.paintable[id]).map(({ name }) => name);
    try {
      const fit = () => this.fit(sheet.map, donor, part.name, locked.join(", "));
      const fitted = await this.steps.waitFor(fit, () => this.dialog);
      if (!fitted) return;
      this.dialog?.close();
      this.steps.replaceMap(fitted.answer, t("{part} from {source}", { part: t(part.title), source: title }));
    } catch (error) {
      if (this.problem) this.problem.textContent = messageOf(error);
    } finally {
      gallery?.setAttribute("aria-busy", "false");
    }
  }
}

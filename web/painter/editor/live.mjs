/** Live: the newest picture of the workflow beside the sheet or under the brush, made again after each stroke. */

import { t } from "../map/words.mjs";
import { LivePane } from "./livepane.mjs";

/** @typedef {import("./page.mjs").Page} Page */

/**
 * What the runs report.
 * @typedef {object} LiveListener
 * @property {(targets: {id: string, title: string}[], chosen: string) => void} onTargets
 * @property {() => void} onQueue
 * @property {(share: number) => void} onProgress  of the node that runs, 0 to 1
 * @property {(picture: Blob) => void} onPreview
 * @property {(picture: Blob) => void} onPicture
 * @property {(sentence: string) => void} onFailure
 * @property {() => void} onRest  the server has no run of this editor
 */

/** What the user chose; asked before each run. @typedef {{steps: () => number}} LiveWishes */

/**
 * The runs while Live is on.
 * @typedef {{touch: () => void, choose: (id: string) => void, close: () => void}} Runs
 */
/** @typedef {(wishes: LiveWishes, listener: LiveListener) => Runs} StartLive */

export class Live {
  /**
   * @param {import("./livepane.mjs").LiveSettings} settings
   * @param {StartLive} start
   * @param {Page} page
   * @param {{onSwitch: () => void, onPicture: () => void}} listeners
   */
  constructor(settings, start, page, { onSwitch, onPicture }) {
    // These alone: the editor stores them beside its other preferences.
    const { liveUnder, liveShare, liveSteps, liveWidth } = settings;
    this.settings = { liveUnder, liveShare, liveSteps, liveWidth };
    this.start = start;
    this.onSwitch = onSwitch;
    this.onPicture = onPicture;
    /** @type {Runs | null} */
    this.runs = null;
    /** @type {ImageBitmap | null} */
    this.picture = null;
    /** While its key is held, the picture is seen alone. */
    this.isHeld = false;
    /** When the last stroke ended, and the milliseconds from there to its picture; null until one came. */
    this.since = performance.now();
    this.delay = /** @type {number | null} */ (null);
    this.pane = new LivePane(page, this);
  }

  get isOn() {
    return this.runs !== null;
  }

  get isUnder() {
    return this.settings.liveUnder;
  }

  toggle() {
    if (this.runs) this.#end();
    else this.#begin();
    this.pane.refresh();
    this.onSwitch();
  }

  #begin() {
    this.runs = this.start(
      { steps: () => this.settings.liveSteps },
      {
        onTargets: (targets, chosen) => this.pane.offer(targets, chosen),
        onQueue: () => this.pane.wait(),
        onProgress: (share) => this.pane.progress(share),
        onPreview: (blob) => void this.#decode(blob).then((picture) => picture && this.pane.show(picture)),
        onPicture: (blob) => void this.#take(blob),
        onFailure: (sentence) => this.pane.fail(sentence),
        onRest: () => this.pane.rest(),
      },
    );
    this.touch();
  }

  #end() {
    this.runs?.close();
    this.runs = null;
    this.pane.rest();
  }

  /** After each step of the painting. */
  touch() {
    this.since = performance.now();
    this.runs?.touch();
  }

  /** @param {string} id  of the node that shows the picture */
  choose(id) {
    this.since = performance.now();
    this.runs?.choose(id);
  }

  /** @param {number} steps */
  setSteps(steps) {
    this.settings.liveSteps = steps;
    this.touch();
  }

  /** @param {number} width */
  setWidth(width) {
    this.settings.liveWidth = width;
  }

  toggleUnder() {
    this.settings.liveUnder = !this.settings.liveUnder;
    this.onPicture();
    this.pane.refresh();
    this.onSwitch();
  }

  /** @param {number} share */
  setShare(share) {
    this.settings.liveShare = Math.max(0, Math.min(1, share));
    this.onPicture();
  }

  /** @param {boolean} isHeld */
  hold(isHeld) {
    if (this.isHeld === isHeld) return;
    this.isHeld = isHeld;
    this.onPicture();
  }

  /** What lies under the brush in place of the photo, or null. */
  beneath() {
    const { picture, isHeld, isOn } = this;
    if (!picture || !isOn || !(isHeld || this.isUnder)) return null;
    return { picture, share: isHeld ? 1 : this.settings.liveShare };
  }

  /** @param {Blob} blob */
  async #take(blob) {
    const { since } = this;
    const picture = await this.#decode(blob);
    if (!picture) return;
    this.picture = picture;
    this.pane.show(picture);
    this.onPicture();
    if (since === this.since) this.#time();
  }

  /** The time from the stroke to its picture, once it is on the screen. */
  #time() {
    this.delay = performance.now() - this.since;
    this.pane.time(this.delay);
  }

  /** @param {Blob} blob @returns {Promise<ImageBitmap | null>} */
  async #decode(blob) {
    try {
      return await createImageBitmap(blob);
    } catch {
      this.pane.fail(t("The browser cannot show this file as a picture."));
      return null;
    }
  }

  close() {
    this.#end();
  }
}

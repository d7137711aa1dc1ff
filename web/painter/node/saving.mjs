/** Saves a painting after each stroke, one after the other, and says so if that fails. */

import { messageOf } from "../map/refusal.mjs";
import { t } from "../map/words.mjs";

export class Saving {
  #latest = 0;

  /** @param {(sentence: string) => void} onFailure */
  constructor(onFailure) {
    this.onFailure = onFailure;
    /** Settles when all strokes are saved, or could not be. @type {Promise<void>} */
    this.settled = Promise.resolve();
    /** Why the last stroke is not saved; empty if it is. */
    this.failure = "";
  }

  /** @param {() => Promise<void>} save  left out if a later stroke is waiting by then */
  add(save) {
    const number = ++this.#latest;
    this.settled = this.settled.then(() => (number === this.#latest ? this.#run(save) : undefined));
  }

  /** @param {() => Promise<void>} save */
  async #run(save) {
    try {
      await save();
      this.failure = "";
    } catch (error) {
      console.error("MoGLE painter:", error);
      const reason = messageOf(error);
      this.failure = t("The last strokes are not in the workflow: {reason} Paint one more stroke to try again.", { reason });
      this.onFailure(this.failure);
    }
  }
}

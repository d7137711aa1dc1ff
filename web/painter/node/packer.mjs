/** Writes paintings as text in a worker, or on the page where there is none. */

import { writePainting } from "../map/codec.mjs";

/** @typedef {import("../map/painting.mjs").Painting} Painting */
/** @typedef {{number: number, text?: string, error?: string}} Answer */

export class Packer {
  /** @type {Worker | null | undefined} undefined before the first painting, null where there is none */
  #worker;
  #number = 0;
  /** By the order's number. @type {Map<number, {resolve: (text: string) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();

  /** @param {() => Worker} start  may throw, as where a page's rules forbid workers */
  constructor(start) {
    this.start = start;
  }

  /** @param {Painting} painting @returns {Promise<string>} */
  async write(painting) {
    try {
      return await this.#inWorker(painting);
    } catch (error) {
      console.debug("MoGLE painter, no worker:", error);
      return writePainting(painting);
    }
  }

  /** @param {Painting} painting @returns {Promise<string>} */
  #inWorker(painting) {
    if (this.#worker === undefined) this.#begin();
    const worker = this.#worker;
    if (!worker) return writePainting(painting);
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      worker.postMessage({ number, painting });
    });
  }

  #begin() {
    this.#worker = null; // if it cannot start
    const worker = this.start();
    worker.addEventListener("message", ({ data }) => this.#take(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#worker = null;
      for (const { reject } of this.#waiting.values()) reject(new Error(event.message));
      this.#waiting.clear();
    });
    this.#worker = worker;
  }

  /** @param {Answer} answer */
  #take({ number, text, error }) {
    const order = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (text === undefined) order?.reject(new Error(error));
    else order?.resolve(text);
  }
}

/** The page's one worker. */
export const packer = new Packer(() => new Worker(new URL("./packworker.mjs", import.meta.url), { type: "module" }));

/** Writes paintings as text in a worker, or on the page where there is none or where it does not answer. */

import { writePainting } from "../map/codec.mjs";

/** @typedef {import("../map/painting.mjs").Painting} Painting */
/** @typedef {{number: number, text?: string, error?: string}} Answer */

/** How long a worker may take for one painting. */
const PATIENCE_MS = 10_000;

/** @typedef {{resolve: (text: string) => void, reject: (error: Error) => void, clock: ReturnType<typeof setTimeout>}} Order */

export class Packer {
  /** @type {Worker | null | undefined} undefined before the first painting, null where there is none */
  #worker;
  #number = 0;
  /** By the order's number. @type {Map<number, Order>} */
  #waiting = new Map();

  /** @param {() => Worker} start  may throw, as where a page's rules forbid workers @param {number} patience  in ms */
  constructor(start, patience = PATIENCE_MS) {
    this.start = start;
    this.patience = patience;
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
      const clock = setTimeout(() => this.#giveUp("The worker does not answer."), this.patience);
      this.#waiting.set(number, { resolve, reject, clock });
      worker.postMessage({ number, painting });
    });
  }

  #begin() {
    this.#worker = null; // if it cannot start
    const worker = this.start();
    worker.addEventListener("message", ({ data }) => this.#take(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#giveUp(event.message);
    });
    this.#worker = worker;
  }

  /** From here on the page writes by itself, also what the worker has. @param {string} reason */
  #giveUp(reason) {
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject, clock } of this.#waiting.values()) {
      clearTimeout(clock);
      reject(new Error(reason));
    }
    this.#waiting.clear();
  }

  /** @param {Answer} answer */
  #take({ number, text, error }) {
    const order = this.#waiting.get(number);
    this.#waiting.delete(number);
    clearTimeout(order?.clock);
    if (text === undefined) order?.reject(new Error(error));
    else order?.resolve(text);
  }
}

/** The page's one worker. */
export const packer = new Packer(() => new Worker(new URL("./packworker.mjs", import.meta.url), { type: "module" }));

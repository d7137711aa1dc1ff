/** When Live runs: after a rest, one run at a time, and never for a painting that is out of date. */

/** How long the painter must rest after a stroke before it is queued. */
export const REST_MS = 250;

/** Starts a clock; returns what stops it. @typedef {(ms: number, call: () => void) => () => void} After */

export class Schedule {
  /** @type {AbortController | null} */
  #current = null;
  #isDue = false;
  #stopClock = () => {};

  /**
   * @param {(signal: AbortSignal) => Promise<void>} run  Queues one run and settles when the server no longer has it,
   *   whether it ended, failed or was cancelled. The signal says that its picture is no longer wanted.
   * @param {After} after
   */
  constructor(run, after) {
    this.run = run;
    this.after = after;
  }

  /** After each change of what the picture shows. Gives up the current run; the next one starts after the rest. */
  touch() {
    this.stop();
    this.#stopClock = this.after(REST_MS, () => {
      this.#isDue = true;
      this.#begin();
    });
  }

  /** Gives up the current run and starts no other until the next change. */
  stop() {
    this.#stopClock();
    this.#isDue = false;
    this.#current?.abort();
  }

  #begin() {
    if (!this.#isDue || this.#current) return;
    this.#isDue = false;
    const current = new AbortController();
    this.#current = current;
    const end = () => {
      this.#current = null;
      this.#begin();
    };
    this.run(current.signal).then(end, end);
  }
}

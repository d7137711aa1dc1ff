/**
 * Undo that goes on: which steps led to a painting, by its text. It outlives the editor's window, the node
 * (graph undo makes nodes anew), and a reload of the page.
 */

import { History } from "./history.mjs";

/** @typedef {import("./history.mjs").Step} Step */

const KEY = "mogle.painter.history";
const KEPT = 64;
/** Of what a reload has to carry, in characters; the browser gives about five million to all of a page. */
const ROOM = 1_500_000;

/** @type {Map<string, {steps: Step[], done: number}>} the latest last */
const histories = new Map();

/** @param {string} text @param {{steps: Step[], done: number}} history  as it was when the text was */
export function keep(text, history) {
  histories.delete(text);
  histories.set(text, { steps: history.steps.slice(), done: history.done });
  const oldest = histories.keys().next().value;
  if (histories.size > KEPT && oldest !== undefined) histories.delete(oldest);
}

/** @param {string} text @returns {History} an empty one for a painting that is not known */
export function recall(text) {
  const found = histories.get(text);
  return found ? new History(found.steps.slice(), found.done) : new History();
}

/** Before the page goes: the latest painting's steps, as many of the last ones as there is room for. */
export function store() {
  const latest = [...histories].at(-1);
  if (!latest) return;
  const [text, { steps, done }] = latest;
  const written = steps.map((step) =>
    JSON.stringify(step, (_, value) => (value instanceof Uint32Array ? [...value] : value)),
  );
  let [first, room] = [done, ROOM - written.slice(done).reduce((sum, one) => sum + one.length, 0)];
  while (first > 0 && room - written[first - 1].length > 0) room -= written[--first].length;
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ text, done: done - first, steps: written.slice(first) }));
  } catch {
    // No room, or storage is forbidden: undo begins anew.
  }
}

/** After a reload. */
export function restore() {
  try {
    const { text, done, steps } = JSON.parse(sessionStorage.getItem(KEY) ?? "null") ?? {};
    if (typeof text !== "string") return;
    const revive = (/** @type {string} */ _, /** @type {unknown} */ value) =>
      Array.isArray(value) ? Uint32Array.from(value) : value;
    histories.set(text, { steps: steps.map((/** @type {string} */ one) => JSON.parse(one, revive)), done });
  } catch {
    // Whatever it was, it was no history.
  }
}

/**
 * Undo that goes on: which steps led to a painting, by its text. It outlives the editor's window, the node
 * (graph undo makes nodes anew), and a reload of the page.
 */

import { History } from "../map/history.mjs";

/** @typedef {import("../map/history.mjs").Step} Step */

const KEY = "mogle.painter.history";
const KEPT = 64;
/** Of what a reload has to carry, in characters; the browser gives about five million to all of a page. */
const ROOM = 1_500_000;

/**
 * By the painting's text, the latest last. `of` is whose painting it was, a node's widget.
 * @type {Map<string, {steps: Step[], done: number, of: object}>}
 */
const histories = new Map();

/** @param {string} text @param {{steps: Step[], done: number}} history  as it was when the text was @param {object} of */
export function keep(text, { steps, done }, of) {
  histories.delete(text);
  histories.set(text, { steps: steps.slice(), done, of });
  const oldest = histories.keys().next().value;
  if (histories.size > KEPT && oldest !== undefined) histories.delete(oldest);
}

/** @param {string} text @returns {History} an empty one for a painting that is not known */
export function recall(text) {
  const found = histories.get(text);
  return found ? new History(found.steps.slice(), found.done) : new History();
}

/** Before the page goes: the latest painting of each node, with as many of its last steps as there is room for. */
export function store() {
  const latest = new Map([...histories].map(([text, { steps, done, of }]) => [of, { text, steps, done }]));
  let room = ROOM;
  const kept = [...latest.values()].reverse().map(({ text, steps, done }) => {
    const undone = steps.slice(done).map(written);
    room -= length(undone);
    const before = fitting(steps.slice(0, done), room);
    room -= length(before);
    return { text, done: before.length, steps: [...before, ...undone] };
  });
  try {
    sessionStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // No room, or storage is forbidden: undo begins anew.
  }
}

/** @param {Step} step */
function written(step) {
  return JSON.stringify(step, (_, value) => (value instanceof Uint32Array ? [...value] : value));
}

/** @param {string[]} texts */
function length(texts) {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

/** As many of the last steps as there is room for, written. @param {Step[]} steps @param {number} room */
function fitting(steps, room) {
  const result = [];
  for (const step of steps.toReversed()) {
    const text = written(step);
    room -= text.length;
    if (room < 0) break;
    result.unshift(text);
  }
  return result;
}

/** After a reload. */
export function restore() {
  const revive = (/** @type {string} */ _, /** @type {unknown} */ value) =>
    Array.isArray(value) ? Uint32Array.from(value) : value;
  try {
    for (const { text, done, steps } of JSON.parse(sessionStorage.getItem(KEY) ?? "[]").reverse()) {
      keep(text, { steps: steps.map((/** @type {string} */ one) => JSON.parse(one, revive)), done }, {});
    }
  } catch {
    // Whatever it was, it was no history.
  }
}

/**
 * The undo history of each painting, by its text. It outlives the editor's window, the node (graph undo makes new
 * nodes), and a reload of the page.
 */

import { readPainting } from "../map/codec.mjs";
import { History, exchange } from "../map/history.mjs";
import { unpainted } from "../map/painting.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/history.mjs").Step} Step */
/** @typedef {import("../map/lines.mjs").Size} Size */

const KEY = "mogle.painter.history";
const MAX_HISTORIES = 64;
/** Characters in session storage; the browser allows about five million for the whole page. */
const MAX_CHARACTERS = 1_500_000;

/**
 * By the painting's text, the latest last. `owner` is the widget of its node; width and height are the painting's.
 * @type {Map<string, {steps: Step[], done: number, owner: object, width: number, height: number}>}
 */
const histories = new Map();

/**
 * @param {string} text @param {{steps: Step[], done: number}} history  that led to the text @param {object} owner
 * @param {Size} size  of the painting
 */
export function keep(text, { steps, done }, owner, { width, height }) {
  histories.delete(text);
  histories.set(text, { steps: steps.slice(), done, owner, width, height });
  const oldest = histories.keys().next().value;
  if (histories.size > MAX_HISTORIES && oldest !== undefined) histories.delete(oldest);
}

/**
 * @param {string} text
 * @param {object} owner  the widget: an unpainted sheet, whose text is empty, has the undone steps of its own node only
 * @param {Size} size  of the sheet: an unpainted one may have another size by now, to which the steps do not apply
 * @returns {History} empty if the painting has none
 */
export function recall(text, owner, { width, height }) {
  const history = histories.get(text);
  const isOf = history && (text || history.owner === owner) && history.width === width && history.height === height;
  return isOf ? new History(history.steps.slice(), history.done) : new History();
}

/**
 * Adds a newer text of a painting to its history as one step, unless the history already has the steps to it.
 * @param {string} before @param {string} text @param {object} owner
 * @returns {Promise<boolean>} whether the newer text is a painting
 */
export async function rejoin(before, text, owner) {
  const painting = await readPainting(text);
  if (!painting) return false;
  if (recall(text, owner, painting).canUndo) return true;
  const last = (await readPainting(before).catch(() => null)) ?? unpainted(painting.width, painting.height);
  const history = recall(before, owner, last);
  history.add(exchange(last, painting, t("strokes of a tab that ended")));
  keep(text, history, owner, painting);
  return true;
}

/** Before the page unloads: stores each node's latest painting with as many of its last steps as fit. */
export function store() {
  const latest = new Map([...histories].map(([text, { owner, ...history }]) => [owner, { text, ...history }]));
  let room = MAX_CHARACTERS;
  const entries = [...latest.values()].reverse().map(({ text, steps, done, width, height }) => {
    const undone = steps.slice(done).map(encode);
    room -= length(undone);
    const before = lastThatFit(steps.slice(0, done), room);
    room -= length(before);
    return { text, width, height, done: before.length, steps: [...before, ...undone] };
  });
  try {
    sessionStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    // Storage is full or forbidden: undo starts empty after the reload.
  }
}

/** @param {Step} step */
function encode(step) {
  return JSON.stringify(step, (_, value) => (value instanceof Uint32Array ? [...value] : value));
}

/** @param {string[]} texts */
function length(texts) {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

/** As many of the last steps as fit, encoded. @param {Step[]} steps @param {number} room */
function lastThatFit(steps, room) {
  const result = [];
  for (const step of steps.toReversed()) {
    const text = encode(step);
    room -= text.length;
    if (room < 0) break;
    result.unshift(text);
  }
  return result;
}

/** After a reload: reads what `store` wrote. */
export function restore() {
  const revive = (/** @type {string} */ _, /** @type {unknown} */ value) =>
    Array.isArray(value) ? Uint32Array.from(value) : value;
  try {
    for (const { text, done, steps, ...size } of JSON.parse(sessionStorage.getItem(KEY) ?? "[]").reverse()) {
      keep(text, { steps: steps.map((/** @type {string} */ one) => JSON.parse(one, revive)), done }, {}, size);
    }
  } catch {
    // The entry is not a history: undo starts empty.
  }
}

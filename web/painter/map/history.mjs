/** Unlimited undo and redo: each step stores only the pixels that it changed, as runs. */

/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("./labelmap.mjs").Box} Box */

/**
 * A step. `runs` has four numbers for each run: its start, its length, the id before and the id after.
 * A step that changes the size has both maps instead, as runs of (length, id).
 * @typedef {{label: string, runs: Uint32Array}} Change
 * @typedef {{label: string, before: Packed, after: Packed}} Exchange
 * @typedef {{width: number, height: number, runs: Uint32Array}} Packed
 * @typedef {Change | Exchange} Step
 */

/**
 * The step from `before` to `after`, which differ only within a box; null if they are equal.
 * @param {Uint8Array} before
 * @param {Uint8Array} after
 * @param {number} width
 * @param {Box} box
 * @param {string} label
 * @returns {Change | null}
 */
export function change(before, after, width, box, label) {
  /** @type {number[]} */
  const runs = [];
  for (let y = box.y; y < box.y + box.height; y++) {
    const end = y * width + box.x + box.width;
    for (let i = y * width + box.x; i < end; i++) {
      if (before[i] === after[i]) continue;
      const start = i;
      while (i + 1 < end && before[i + 1] === before[start] && after[i + 1] === after[start]) i++;
      runs.push(start, i - start + 1, before[start], after[start]);
    }
  }
  return runs.length ? { label, runs: Uint32Array.from(runs) } : null;
}

/**
 * The step that replaces a map by another of any size.
 * @param {LabelMap} before
 * @param {LabelMap} after
 * @param {string} label
 * @returns {Exchange}
 */
export function exchange(before, after, label) {
  return { label, before: pack(before), after: pack(after) };
}

/** @param {LabelMap} map @returns {Packed} */
function pack({ width, height, ids }) {
  /** @type {number[]} */
  const runs = [];
  for (let i = 0; i < ids.length; ) {
    const start = i;
    while (i < ids.length && ids[i] === ids[start]) i++;
    runs.push(i - start, ids[start]);
  }
  return { width, height, runs: Uint32Array.from(runs) };
}

/** @param {Packed} packed @returns {LabelMap} */
function unpack({ width, height, runs }) {
  const ids = new Uint8Array(width * height);
  for (let i = 0, at = 0; i < runs.length; at += runs[i], i += 2) ids.fill(runs[i + 1], at, at + runs[i]);
  return { width, height, ids };
}

/**
 * The map after a step forward or back. A Change modifies the map itself; an Exchange returns another map.
 * @param {LabelMap} map
 * @param {Step} step
 * @param {boolean} forward
 * @returns {LabelMap}
 */
export function applyStep(map, step, forward) {
  if (!("runs" in step)) return unpack(forward ? step.after : step.before);
  const { runs } = step;
  for (let i = 0; i < runs.length; i += 4) {
    map.ids.fill(runs[i + (forward ? 3 : 2)], runs[i], runs[i] + runs[i + 1]);
  }
  return map;
}

/** The steps of one painting, and how many of them are in effect: the others were undone. */
export class History {
  /** @param {Step[]} steps @param {number} done */
  constructor(steps = [], done = steps.length) {
    this.steps = steps;
    this.done = done;
  }

  /** Adds a step, and drops the steps that were undone. @param {Step} step */
  add(step) {
    this.steps.length = this.done;
    this.steps.push(step);
    this.done++;
  }

  get canUndo() {
    return this.done > 0;
  }

  get canRedo() {
    return this.done < this.steps.length;
  }

  /** @returns {Step | null} the step to undo */
  back() {
    return this.canUndo ? this.steps[--this.done] : null;
  }

  /** @returns {Step | null} the step to redo */
  forth() {
    return this.canRedo ? this.steps[this.done++] : null;
  }
}

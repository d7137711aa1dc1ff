/** Unlimited undo and redo: each step stores only the pixels that it changed, as runs. */

/** @typedef {import("./painting.mjs").Painting} Painting */
/** @typedef {import("./labelmap.mjs").Box} Box */

/**
 * A step. `runs` has four numbers for each run of the map: its start, its length, the id before and the id after;
 * `lines` has the same for the pencil's grey levels. `paints` and `draws` mark the first step on a map or a drawing
 * that the inputs decided before. A step that changes the size has both paintings instead, as runs of (length, id).
 * @typedef {{label: string, runs: Uint32Array, lines?: Uint32Array, paints?: true, draws?: true}} Change
 * @typedef {{label: string, before: Packed, after: Packed}} Exchange
 * @typedef {{width: number, height: number, runs: Uint32Array, lines?: Uint32Array, isPainted?: boolean,
 *   isDrawn?: boolean}} Packed
 * @typedef {Change | Exchange} Step
 */

/**
 * The runs in which a plane changed, which are all within a box.
 * @param {Uint8Array} before
 * @param {Uint8Array} after
 * @param {number} width
 * @param {Box} box
 * @returns {Uint32Array}
 */
export function changedRuns(before, after, width, box) {
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
  return Uint32Array.from(runs);
}

/**
 * The step that replaces a painting by another of any size.
 * @param {Painting} before
 * @param {Painting} after
 * @param {string} label
 * @returns {Exchange}
 */
export function exchange(before, after, label) {
  return { label, before: pack(before), after: pack(after) };
}

/** @param {Painting} painting @returns {Packed} */
function pack({ width, height, ids, pencil, isPainted, isDrawn }) {
  const lines = pencil ? { lines: packed(pencil) } : {};
  return { width, height, runs: packed(ids), ...lines, isPainted, isDrawn };
}

/** @param {Uint8Array} plane */
function packed(plane) {
  /** @type {number[]} */
  const runs = [];
  for (let i = 0; i < plane.length; ) {
    const start = i;
    while (i < plane.length && plane[i] === plane[start]) i++;
    runs.push(i - start, plane[start]);
  }
  return Uint32Array.from(runs);
}

/** @param {Packed} packed @returns {Painting} */
function unpack({ width, height, runs, lines, isPainted = true, isDrawn = false }) {
  const plane = (/** @type {Uint32Array} */ packed) => unpacked(packed, width * height);
  return { width, height, ids: plane(runs), pencil: lines ? plane(lines) : null, isPainted, isDrawn };
}

/** @param {Uint32Array} runs @param {number} size */
function unpacked(runs, size) {
  const plane = new Uint8Array(size);
  for (let i = 0, at = 0; i < runs.length; at += runs[i], i += 2) plane.fill(runs[i + 1], at, at + runs[i]);
  return plane;
}

/**
 * The painting after a step forward or back. A Change modifies the painting itself; an Exchange returns another.
 * @param {Painting} painting
 * @param {Step} step
 * @param {boolean} forward
 * @returns {Painting}
 */
export function applyStep(painting, step, forward) {
  if (!("runs" in step)) return unpack(forward ? step.after : step.before);
  applyRuns(painting.ids, step.runs, forward);
  if (step.lines) applyRuns((painting.pencil ??= new Uint8Array(painting.ids.length)), step.lines, forward);
  if (step.paints) painting.isPainted = forward;
  if (step.draws) painting.isDrawn = forward;
  return painting;
}

/** @param {Uint8Array} plane @param {Uint32Array} runs @param {boolean} forward */
function applyRuns(plane, runs, forward) {
  for (let i = 0; i < runs.length; i += 4) plane.fill(runs[i + (forward ? 3 : 2)], runs[i], runs[i] + runs[i + 1]);
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
    this.forget();
    this.steps.push(step);
    this.done++;
  }

  /** Drops the steps that were undone. */
  forget() {
    this.steps.length = this.done;
  }

  /** The step that led to the painting as it is now. @returns {Step | undefined} */
  get last() {
    return this.steps[this.done - 1];
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

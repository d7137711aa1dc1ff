/**
 * Stores the newest text of every painting of this page after each stroke. ComfyUI saves its draft of the workflow a
 * little later, and a browser that is killed within the next seconds loses even that. From these drafts, the next page
 * restores the strokes.
 */

/**
 * Where a painter is: the workflow's path and the node's id. @typedef {{path: string, node: string}} Place
 *
 * `seen` has a mark of each text that the painting had before in that page; `saved` is a time in ms since 1970.
 * @typedef {Place & {key: string, page: string, seen: string[], text: string, saved: number}} Draft
 *
 * What stores drafts. @typedef {{put: (draft: Draft) => Promise<void>, remove: (keys: string[]) => Promise<void>}} Shelf
 */

/** How many marks a draft has at most, besides the one of the text before the first stroke. */
const MOST_SEEN = 256;

export class Drafts {
  /** This page's, by place. @type {Map<string, Draft>} */
  #own = new Map();
  /** Of pages that ended. @type {Map<string, {draft: Draft, isOffered: boolean}>} */
  #lost = new Map();

  /** @param {Shelf} shelf @param {string} page  the id of this page */
  constructor(shelf, page) {
    this.shelf = shelf;
    this.page = page;
  }

  /** After a stroke. @param {Place} place @param {string} before @param {string} text @returns {Promise<void>} */
  put({ path, node }, before, text) {
    const key = JSON.stringify([this.page, path, node]);
    const { seen } = this.#own.get(key) ?? { seen: [] };
    const [first, ...more] = [...seen, markOf(before)];
    const draft = { key, page: this.page, path, node, seen: [first, ...more.slice(-MOST_SEEN)], text, saved: Date.now() };
    this.#own.set(key, draft);
    return this.shelf.put(draft);
  }

  /**
   * Call this when a node gets a text that no stroke made. If the painting had this text before, ComfyUI's undo removed
   * the later strokes, and the next page must not restore them.
   * @param {string} node @param {string} text
   */
  async follow(node, text) {
    for (const draft of this.#own.values()) {
      const isOlder = text !== "" && draft.node === node && draft.text !== text && draft.seen.includes(markOf(text));
      if (isOlder) await this.put(draft, draft.text, text);
    }
  }

  /**
   * @param {Draft[]} drafts  of pages that ended
   * @param {boolean} [isOffered]  whether the Start dialog offers them
   */
  find(drafts, isOffered = true) {
    for (const draft of drafts) this.#lost.set(draft.key, { draft, isOffered });
  }

  /** The drafts that no painter has taken yet, the newest first. */
  get offered() {
    return this.#waiting().filter(({ isOffered }) => isOffered).map(({ draft }) => draft);
  }

  #waiting() {
    return [...this.#lost.values()].sort((a, b) => b.draft.saved - a.draft.saved);
  }

  /**
   * Takes the newest text of a painting of which a node has an earlier text. Every painter starts without a text, so an
   * empty text means the same painting only in the same place.
   * @param {Place} place @param {string} text  that the node has
   * @returns {Draft | null} null if the node has the newest one
   */
  take(place, text) {
    const drafts = this.#waiting().map(({ draft }) => draft).filter((draft) => isOf(draft, place, text));
    this.forget(drafts);
    return drafts[0] && drafts[0].text !== text ? drafts[0] : null;
  }

  /** @param {Draft[]} drafts */
  forget(drafts) {
    const keys = drafts.map(({ key }) => key);
    for (const key of keys) this.#lost.delete(key);
    if (keys.length) void this.shelf.remove(keys).catch(() => {}); // they are offered once more at worst
  }
}

/** @param {Draft} draft @param {Place} place @param {string} text */
function isOf({ path, node, seen, text: newest }, place, text) {
  if (text === newest) return true;
  return seen.includes(markOf(text)) && (text !== "" || (path === place.path && node === place.node));
}

/** Tells texts apart: their length and two 32-bit hashes in the manner of FNV-1a. @param {string} text */
export function markOf(text) {
  const hashes = new Uint32Array([2166136261, 3141592653]); // FNV's beginning, and any other
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    hashes[0] = Math.imul(hashes[0] ^ code, 16777619); // FNV's prime
    hashes[1] = Math.imul(hashes[1] ^ code, 1099087573);
  }
  return [text.length, ...hashes].map((number) => number.toString(36)).join(" ");
}

/** Stores the drafts in the browser, and finds those of pages that ended without a goodbye. */

import { Drafts } from "./drafts.mjs";

/** @typedef {import("./drafts.mjs").Draft} Draft */

const [DATABASE, STORE] = ["mogle.painter", "drafts"];
const [CHANNEL, GOODBYES, RELOADED] = ["mogle.painter.pages", "mogle.painter.goodbyes", "mogle.painter.reloaded"];
/** Drafts that no painter has taken are deleted after this time, and beyond this number. */
const [KEPT_MS, MOST] = [14 * 24 * 3600 * 1000, 8];
/** How long other tabs have to answer that they are open. */
const PATIENCE_MS = 400;

/** @type {Promise<IDBDatabase> | undefined} */
let database;

/** @returns {Promise<IDBDatabase>} */
function opened() {
  database ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return database;
}

/**
 * Runs one transaction. With strict durability it ends when the data is on the disk, and the browser may be killed.
 * @template T
 * @param {"readonly" | "readwrite"} mode @param {(store: IDBObjectStore) => IDBRequest<T> | void} work
 * @returns {Promise<T | undefined>}
 */
async function within(mode, work) {
  const transaction = (await opened()).transaction(STORE, mode, { durability: "strict" });
  const request = work(transaction.objectStore(STORE));
  await new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
  return request?.result;
}

export const shelf = Object.freeze({
  /** @param {Draft} draft @returns {Promise<void>} */
  put: (draft) => within("readwrite", (store) => void store.put(draft)).then(() => {}),

  /** @param {string[]} keys @returns {Promise<void>} */
  remove: (keys) => within("readwrite", (store) => keys.forEach((key) => store.delete(key))).then(() => {}),
});

/** This page's. */
export const drafts = new Drafts(shelf, `${Date.now()} ${Math.random()}`);

/** Answers other pages that this one is open, and says goodbye when it closes. */
export function announce() {
  const { page } = drafts;
  const channel = new BroadcastChannel(CHANNEL);
  channel.addEventListener("message", ({ data }) => data === "?" && channel.postMessage(page));
  window.addEventListener("pagehide", () => {
    write(localStorage, GOODBYES, [...read(localStorage, GOODBYES), page].slice(-64));
    write(sessionStorage, RELOADED, [page]);
  });
}

/**
 * Finds the drafts of pages that ended without a goodbye, and those of this tab if it was reloaded before ComfyUI saved
 * its draft of the workflow. Deletes all others.
 */
async function search() {
  /** @type {Draft[]} */
  const stored = (await within("readonly", (store) => store.getAll())) ?? [];
  const goodbyes = new Set(read(localStorage, GOODBYES));
  const isReload = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"))[0]?.type === "reload";
  const before = new Set(isReload ? read(sessionStorage, RELOADED) : []);
  const alive = stored.length ? await living() : new Set();
  const ended = stored.filter(({ page }) => !alive.has(page));
  const lost = ended.filter(({ page, saved }) => !goodbyes.has(page) && Date.now() - saved < KEPT_MS);
  lost.sort((a, b) => b.saved - a.saved).splice(MOST);
  drafts.find(ended.filter(({ page }) => before.has(page)), false);
  drafts.find(lost);
  await shelf.remove(ended.filter((draft) => !lost.includes(draft)).map(({ key }) => key));
  write(localStorage, GOODBYES, []);
}

/** @type {Promise<void> | undefined} */
let searching;

/** Searches once per page, for `drafts`. Finds nothing where drafts cannot be stored. */
export function findLost() {
  searching ??= search().catch((error) => console.debug("MoGLE painter, no drafts:", error));
  return searching;
}

/** The drafts that the Start dialog offers. */
export async function offered() {
  await findLost();
  return drafts.offered.map((draft) => ({ ...draft, forget: () => drafts.forget([draft]) }));
}

/** @returns {Promise<Set<string>>} the other pages that answer */
async function living() {
  const channel = new BroadcastChannel(CHANNEL);
  /** @type {Set<string>} */
  const pages = new Set();
  channel.addEventListener("message", ({ data }) => pages.add(data));
  channel.postMessage("?");
  await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  channel.close();
  return pages;
}

/** @param {Storage} storage @param {string} key @returns {string[]} */
function read(storage, key) {
  try {
    const list = JSON.parse(storage.getItem(key) ?? "[]");
    return Array.isArray(list) ? list : [];
  } catch {
    return []; // storage is forbidden, or the entry is not ours
  }
}

/** @param {Storage} storage @param {string} key @param {string[]} list */
function write(storage, key, list) {
  try {
    storage.setItem(key, JSON.stringify(list));
  } catch {
    // Storage is full or forbidden: at worst, drafts are offered that are not needed.
  }
}

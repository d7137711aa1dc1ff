/** Drafts: which strokes of a page that ended a painter takes back, and which it does not. */

import assert from "node:assert/strict";
import test from "node:test";

import { Drafts, markOf } from "../../../web/painter/node/drafts.mjs";

const place = { path: "workflows/face.json", node: "3" };

/** What a page stores, and the next page finds it. */
function pages() {
  /** @type {Map<string, import("../../../web/painter/node/drafts.mjs").Draft>} */
  const stored = new Map();
  const shelf = {
    put: async (/** @type {any} */ draft) => void stored.set(draft.key, structuredClone(draft)),
    remove: async (/** @type {string[]} */ keys) => keys.forEach((key) => stored.delete(key)),
  };
  const next = (/** @type {boolean} */ isOffered = true) => {
    const drafts = new Drafts(shelf, "next");
    drafts.find([...stored.values()], isOffered);
    return drafts;
  };
  return { before: new Drafts(shelf, "before"), next, stored };
}

/** @param {Drafts} drafts @param {string[]} texts */
async function paint(drafts, ...texts) {
  for (let i = 1; i < texts.length; i++) await drafts.put(place, texts[i - 1], texts[i]);
}

test("a painting gets its newest text back, from any earlier one and in any place", async () => {
  const { before, next, stored } = pages();
  await paint(before, "", "one", "two", "three");
  assert.equal(next().take({ path: "other", node: "9" }, "two")?.text, "three");
  assert.equal(stored.size, 0, "it is taken once");
});

test("a painter without a text takes it in the same place only", async () => {
  const { before, next } = pages();
  await paint(before, "", "one");
  assert.equal(next().take({ ...place, node: "4" }, ""), null);
  assert.equal(next().take({ ...place, path: "other" }, ""), null);
  assert.equal(next().take(place, "another painting"), null);
  assert.equal(next().take(place, "")?.text, "one");
});

test("what the workflow has already is not offered", async () => {
  const { before, next, stored } = pages();
  await paint(before, "", "one", "two");
  const drafts = next();
  assert.equal(drafts.offered.length, 1);
  assert.equal(drafts.take(place, "two"), null);
  assert.deepEqual([drafts.offered.length, stored.size], [0, 0]);
});

test("what ComfyUI's undo took back stays away", async () => {
  const { before, next } = pages();
  await paint(before, "", "one", "two", "three");
  await before.follow("3", "one");
  await before.follow("4", "two");
  await before.follow("3", "of another workflow");
  assert.equal(next().take(place, "two")?.text, "one");
});

test("of two pages the newest text counts, and a reloaded one is not offered", async () => {
  const { before, next, stored } = pages();
  await paint(before, "", "one");
  const older = [...stored.values()][0];
  stored.set("older", { ...older, key: "older", text: "old", saved: older.saved - 1000 });
  assert.deepEqual(next().offered.map(({ text }) => text), ["one", "old"]);
  assert.equal(next(false).offered.length, 0);
  assert.equal(next(false).take(place, "")?.text, "one");
});

test("many strokes do not make a draft long, and keep the text from before the first", async () => {
  const { before, stored } = pages();
  await paint(before, "start", ...Array.from({ length: 600 }, (_, i) => `text ${i}`));
  const [{ seen }] = stored.values();
  assert.ok(seen.length < 300 && seen[0] === markOf("start") && seen.at(-1) === markOf("text 598"));
});

/** What a reload carries: each node's latest painting, with its undo. */

import assert from "node:assert/strict";
import test from "node:test";

import { blank } from "../../../web/painter/map/labelmap.mjs";
import { writePainting } from "../../../web/painter/map/codec.mjs";
import { asPainting } from "../../../web/painter/map/painting.mjs";
import { keep, recall, rejoin, restore, store } from "../../../web/painter/node/memory.mjs";
import { Sheet } from "../../../web/painter/map/sheet.mjs";
import { noise } from "./maps.mjs";

/** A page's storage, and what is in it. */
const stored = new Map();
globalThis.sessionStorage = /** @type {any} */ ({
  getItem: (/** @type {string} */ key) => stored.get(key) ?? null,
  setItem: (/** @type {string} */ key, /** @type {string} */ text) => stored.set(key, text),
});

/** @param {string} name @param {number} strokes @param {object} node */
function painted(name, strokes, node, side = 32) {
  const sheet = new Sheet(blank(side, side));
  for (let i = 0; i < strokes; i++) {
    sheet.replace(noise(side, side, i), `stroke ${i}`);
    keep(`${name} ${i}`, sheet.history, node, sheet);
  }
  return sheet;
}

/** @param {Sheet} sheet @param {import("../../../web/painter/map/history.mjs").History} history */
function undone(sheet, history) {
  const again = new Sheet({ ...sheet.map, ids: sheet.map.ids.slice() }, history);
  while (again.undo());
  return again.map;
}

test("the paintings of two nodes go on after a reload, only the latest of each", () => {
  const [one, other] = [painted("one", 3, {}), painted("other", 5, {})];
  store();
  assert.equal(JSON.parse(stored.get("mogle.painter.history")).length, 2);
  restore();
  assert.deepEqual(undone(one, recall("one 2", {}, one)), asPainting(blank(32, 32)));
  assert.deepEqual(undone(other, recall("other 4", {}, other)), asPainting(blank(32, 32)));
});

test("what is undone can be done again after a reload", () => {
  const sheet = painted("undone", 4, {});
  sheet.undo();
  keep("undone, one back", sheet.history, {}, sheet);
  store();
  restore();
  const history = recall("undone, one back", {}, sheet);
  assert.deepEqual([history.done, history.steps.length], [3, 4]);
});

test("without room the first steps are left behind, and the others still fit", () => {
  const sheet = painted("large", 40, {}, 128);
  store();
  const carried = stored.get("mogle.painter.history");
  assert.ok(carried.length < 4_000_000);
  const [{ text, steps, done }] = JSON.parse(carried);
  assert.equal(text, "large 39");
  assert.ok(done > 0 && done < 40 && steps.length === done);
  assert.deepEqual(sheet.history.steps.length, 40);
});

test("what is no history is none", () => {
  for (const text of ["", "[1]", "{}", '[{"text": 3}]', "null"]) {
    stored.set("mogle.painter.history", text);
    restore();
  }
  assert.equal(recall("never painted", {}, { width: 32, height: 32 }).canUndo, false);
});

test("an unpainted sheet has the undone steps of its own node only", () => {
  const node = {};
  const sheet = painted("of a node", 2, node);
  while (sheet.undo());
  keep("", sheet.history, node, sheet);
  assert.equal(recall("", node, sheet).canRedo, true);
  assert.equal(recall("", {}, sheet).canRedo, false);
});

test("an unpainted sheet that has another size by now has no undone steps, also after a reload", () => {
  const node = {};
  const sheet = painted("of a size", 2, node);
  while (sheet.undo());
  keep("", sheet.history, node, sheet);
  assert.equal(recall("", node, { width: 64, height: 16 }).canRedo, false);
  assert.equal(recall("", node, sheet).canRedo, true);
  store();
  assert.deepEqual(
    JSON.parse(stored.get("mogle.painter.history")).map(({ text, width, height }) => [text, width, height])[0],
    ["", 32, 32],
  );
  restore();
});

test("strokes that come back are one step, which can be taken back", async () => {
  const [before, after] = [asPainting(noise(32, 32, 1)), asPainting(noise(32, 32, 2))];
  const [old, text] = await Promise.all([writePainting(before), writePainting(after)]);
  const node = {};
  assert.equal(await rejoin(old, text, node), true);
  const sheet = new Sheet(after, recall(text, node, after));
  sheet.undo();
  assert.deepEqual([...sheet.map.ids], [...noise(32, 32, 1).ids]);
  assert.equal(await rejoin(old, "", node), false);
});

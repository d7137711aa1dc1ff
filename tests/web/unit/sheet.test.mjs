/** The sheet: strokes, mirror, protected classes, and steps back and forth. */

import assert from "node:assert/strict";
import test from "node:test";

import { blank, counts } from "../../../web/painter/map/labelmap.mjs";
import { capsule } from "../../../web/painter/map/raster.mjs";
import { Sheet } from "../../../web/painter/map/sheet.mjs";
import { mapOf, noise, rowsOf } from "./maps.mjs";

test("a run is clipped to the sheet", () => {
  const sheet = new Sheet(blank(16, 16));
  const emit = sheet.pen(3);
  emit(-1, 0, 16);
  emit(16, 0, 16);
  emit(2, -5, 3);
  emit(3, 14, 99);
  sheet.commit("runs");
  assert.equal(sheet.map.ids.filter((id) => id === 3).length, 5);
});

test("the mirror paints the other side's class at the other side", () => {
  const sheet = new Sheet(mapOf("00000000"));
  sheet.mirror = 8;
  sheet.pen(4)(0, 5, 7);
  assert.deepEqual(rowsOf(sheet.map), ["05500440"]);
  sheet.restore();
  sheet.mirror = 7; // between columns 3 and 3: it stands in the middle of column 3
  sheet.pen(1)(0, 2, 3);
  assert.deepEqual(rowsOf(sheet.map), ["00101000"]);
});

test("only open classes are painted over, by what was there before the stroke", () => {
  const sheet = new Sheet(mapOf("1231"));
  sheet.paintable[2] = 0;
  sheet.pen(5)(0, 0, 4);
  sheet.pen(6)(0, 0, 4);
  assert.deepEqual(rowsOf(sheet.map), ["6266"]);
});

test("what is not committed can be taken back", () => {
  const map = noise(32, 32, 5);
  const sheet = new Sheet({ ...map, ids: map.ids.slice() });
  capsule({ x: 4, y: 4 }, { x: 30, y: 20 }, 9, sheet.pen(1));
  assert.notDeepEqual(sheet.map, map);
  sheet.restore();
  assert.deepEqual(sheet.map, map);
  assert.equal(sheet.commit("nothing"), false);
});

test("undo and redo go through every state, over changes of size too", () => {
  const sheet = new Sheet(blank(32, 32));
  const states = [sheet.map.ids.slice()];
  for (let i = 0; i < 60; i++) {
    if (i === 30) sheet.replace(noise(48, 16, 6), "other size");
    else capsule({ x: i, y: i / 2 }, { x: 40 - i, y: i }, 1 + (i % 7), sheet.pen(1 + (i % 18)));
    sheet.commit(`step ${i}`);
    states.push(sheet.map.ids.slice());
    assert.deepEqual(sheet.counts, counts(sheet.map));
  }
  const steps = sheet.history.steps.length;
  const seen = new Set(states.map(String));
  for (let i = 0; i < steps; i++) {
    sheet.undo();
    assert.ok(seen.has(String(sheet.map.ids)));
    assert.deepEqual(sheet.counts, counts(sheet.map));
  }
  assert.deepEqual(sheet.map, blank(32, 32));
  assert.equal(sheet.undo(), null);
  for (let i = 0; i < steps; i++) sheet.redo();
  assert.deepEqual(sheet.map.ids, states.at(-1));
  assert.equal(sheet.redo(), null);
});

test("a new stroke forgets what was undone", () => {
  const sheet = new Sheet(blank(16, 16));
  for (const id of [1, 2]) {
    sheet.pen(id)(0, 0, 4);
    sheet.commit("stroke");
  }
  sheet.undo();
  sheet.pen(3)(5, 0, 4);
  sheet.commit("stroke");
  assert.equal(sheet.redo(), null);
  assert.equal(sheet.undo(), "stroke");
  assert.equal(sheet.map.ids[0], 1);
});

test("a step keeps what it changed, not the sheet", () => {
  const sheet = new Sheet(blank(1024, 1024));
  sheet.pen(1)(500, 100, 900);
  sheet.commit("line");
  assert.equal(sheet.history.steps[0].runs.length, 4);
});

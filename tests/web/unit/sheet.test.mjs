/** The sheet: strokes, mirror, protected classes, and steps back and forth. */

import assert from "node:assert/strict";
import test from "node:test";

import { advise } from "../../../web/painter/map/advice.mjs";
import { blank, counts } from "../../../web/painter/map/labelmap.mjs";
import { asPainting, copyOf, mirrorPainting, resizePainting } from "../../../web/painter/map/painting.mjs";
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
  assert.deepEqual(sheet.map, asPainting(map));
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
  assert.deepEqual(sheet.map, asPainting(blank(32, 32)));
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

test("a map from the input counts as painted once it is resized, an empty sheet does not", () => {
  const given = asPainting({ ...noise(32, 32, 1), isPainted: false });
  assert.equal(resizePainting(given, 48, 32).isPainted, true);
  assert.equal(resizePainting(given, 32, 32).isPainted, false);
  assert.equal(resizePainting(asPainting({ ...blank(32, 32), isPainted: false }), 48, 32).isPainted, false);
});

const dot = (x, y, radius = 1.5) => ({ x, y, radius });

test("strokes and pencil lines go back and forth together, down to the untouched sheet", () => {
  const untouched = asPainting({ ...noise(32, 32, 3), isPainted: false });
  const sheet = new Sheet(copyOf(untouched));
  const states = [copyOf(sheet.map)];
  const steps = [
    () => sheet.drawLine(dot(2, 2), dot(29, 20), 0.7, false),
    () => sheet.pen(5)(9, 0, 32),
    () => sheet.drawLine(dot(8, 2, 3), dot(8, 30, 3), 1, true),
    () => sheet.replace(mirrorPainting(sheet.map), "flip"),
    () => sheet.replace(resizePainting(sheet.map, 48, 16), "resize"),
    () => sheet.replace({ ...sheet.map, ids: noise(48, 16, 8).ids, isPainted: false }, "follow"),
    () => sheet.drawLine(dot(2, 2), dot(2, 2), 1, false),
  ];
  for (const step of steps) {
    step();
    sheet.commit("step");
    states.push(copyOf(sheet.map));
  }
  const written = (map) => ({ ...map, pencil: map.isDrawn ? map.pencil : null });
  for (const state of states.toReversed().slice(1)) {
    sheet.undo();
    assert.deepEqual(written(sheet.map), written(state));
  }
  assert.equal(sheet.undo(), null);
  assert.deepEqual(written(sheet.map), untouched);
  for (const state of states.slice(1)) {
    sheet.redo();
    assert.deepEqual(sheet.map, state);
  }
});

test("a line that crosses itself stays as strong, a second line becomes stronger, an eraser takes it all", () => {
  const sheet = new Sheet(blank(16, 16));
  const at = () => sheet.map.pencil?.[8 * 16 + 8];
  const cross = () => {
    sheet.drawLine(dot(2, 8.5), dot(14, 8.5), 0.5, false);
    sheet.drawLine(dot(8.5, 2), dot(8.5, 14), 0.5, false);
  };
  cross();
  assert.equal(at(), 128);
  sheet.restore();
  assert.equal(at(), 0);
  cross();
  sheet.commit("one");
  cross();
  sheet.commit("two");
  assert.equal(at(), 192);
  sheet.drawLine(dot(2, 8.5), dot(14, 8.5), 1, true);
  sheet.commit("erased");
  assert.equal(at(), 0);
  assert.deepEqual(sheet.map.ids, blank(16, 16).ids);
});

test("the mirror draws the other half of a line", () => {
  const sheet = new Sheet(blank(32, 16));
  sheet.mirror = 32;
  sheet.drawLine(dot(4, 4), dot(10, 9), 1, false);
  const { pencil } = sheet.map;
  assert.ok(pencil?.some(Boolean));
  assert.deepEqual(mirrorPainting(sheet.map).pencil, pencil);
});

test("what is mirrored or swapped on a map from an input is painted from then on", () => {
  const ids = noise(32, 32, 4).ids;
  const pencil = noise(32, 32, 5).ids;
  const given = asPainting({ width: 32, height: 32, ids, pencil, isPainted: false });
  const mirrored = mirrorPainting(given);
  assert.deepEqual([mirrored.isPainted, mirrored.isDrawn], [true, true]);
  const empty = mirrorPainting(asPainting({ ...blank(32, 32), pencil: new Uint8Array(1024), isPainted: false }));
  assert.deepEqual([empty.isPainted, empty.isDrawn], [false, false]);

  const eyes = asPainting({ ...mapOf("0440000550"), isPainted: false });
  const mended = advise(eyes).find(({ kind }) => kind === "swapped")?.mend?.(eyes);
  assert.deepEqual([rowsOf(mended), mended.isPainted], [["0550000440"], true]);

  const sheet = new Sheet(copyOf(given));
  sheet.replace(mirrored, "mirror");
  assert.deepEqual(sheet.map, mirrored);
  sheet.undo();
  assert.deepEqual(sheet.map, given);
});

test("planes of an input are exchanged, not painted over", () => {
  const { ids } = noise(32, 32, 6);
  const [lines, sketch] = [noise(32, 32, 7).ids, noise(32, 32, 8).ids];
  const resized = asPainting({ width: 32, height: 32, ids, pencil: lines });
  const sheet = new Sheet(copyOf(resized));
  sheet.replace({ ...resized, pencil: sketch }, "follow the sketch input");
  assert.equal(sheet.map.isDrawn, false);
  sheet.undo();
  assert.deepEqual(sheet.map, resized);

  const given = asPainting({ width: 32, height: 32, ids, isPainted: false });
  const started = new Sheet(copyOf(given));
  started.replace({ ...given, isPainted: true }, "start from the mask input");
  assert.equal(started.map.isPainted, true);
  started.undo();
  assert.deepEqual(started.map, given);
});

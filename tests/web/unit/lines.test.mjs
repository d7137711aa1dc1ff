/** Pencil lines: soft strokes, other sizes, and where a picture lies on a sheet. */

import assert from "node:assert/strict";
import test from "node:test";

import { fitted, resizeLines, softSegment } from "../../../web/painter/map/lines.mjs";
import { nearestSize, openSheet } from "../../../web/painter/node/opening.mjs";
import { asPainting } from "../../../web/painter/map/painting.mjs";
import { noise } from "./maps.mjs";

const dot = (x, y, radius) => ({ x, y, radius });

test("a stroke covers the area of its shape, and nothing beyond the sheet", () => {
  let area = 0;
  softSegment(dot(10, 20, 4), dot(50, 20, 4), { width: 64, height: 40 }, (_, cover) => (area += cover));
  assert.ok(Math.abs(area - (40 * 8 + Math.PI * 16)) < 4, String(area));
  const seen = [];
  softSegment(dot(-3, -3, 6), dot(70, 60, 6), { width: 64, height: 40 }, (i) => seen.push(i));
  assert.ok(seen.length && seen.every((i) => i >= 0 && i < 64 * 40));
  softSegment(dot(-30, 5, 2), dot(-20, 5, 2), { width: 64, height: 40 }, () => assert.fail("outside"));
});

test("lines of another size keep their mean, and full stays full", () => {
  const lines = noise(64, 32, 4, 256).ids;
  const mean = (plane) => plane.reduce((a, b) => a + b, 0) / plane.length;
  for (const size of [{ width: 32, height: 16 }, { width: 48, height: 48 }, { width: 128, height: 64 }]) {
    const resized = resizeLines(lines, { width: 64, height: 32 }, size);
    assert.equal(resized.length, size.width * size.height);
    assert.ok(Math.abs(mean(resized) - mean(lines)) < 3, `${mean(resized)} ${mean(lines)}`);
    const full = resizeLines(new Uint8Array(64 * 32).fill(255), { width: 64, height: 32 }, size);
    assert.ok(full.every((level) => level === 255));
  }
  assert.deepEqual(resizeLines(lines, { width: 64, height: 32 }, { width: 64, height: 32 }), lines);
});

test("a picture of another shape is never stretched", () => {
  assert.deepEqual(fitted({ width: 100, height: 50 }, { width: 64, height: 64 }), { x: 0, y: 16, width: 64, height: 32 });
  assert.deepEqual(fitted({ width: 8, height: 8 }, { width: 32, height: 16 }), { x: 8, y: 0, width: 16, height: 16 });
});

test("a photo gives the sheet its size or the nearest", () => {
  assert.deepEqual(nearestSize({ width: 768, height: 512 }), { width: 768, height: 512 });
  assert.deepEqual(nearestSize({ width: 1000, height: 667 }), { width: 1008, height: 672 });
  assert.deepEqual(nearestSize({ width: 8192, height: 4000 }), { width: 4096, height: 2000 });
  assert.deepEqual(nearestSize({ width: 3, height: 9000 }), { width: 16, height: 4096 });
});

const none = async () => null;

test("what is not painted comes from the mask input, at the size of what is drawn", async () => {
  const mask = asPainting(noise(32, 16, 1));
  const given = await openSheet(null, { mask: async () => mask, sketch: none, photo: none });
  assert.deepEqual(given.painting, { ...mask, isPainted: false });
  assert.equal(given.isGiven, true);
  const drawn = { ...asPainting(noise(64, 32, 2)), pencil: new Uint8Array(64 * 32), isPainted: false, isDrawn: true };
  const { painting } = await openSheet(drawn, { mask: async () => mask, sketch: none, photo: none });
  assert.deepEqual([painting.width, painting.ids[2 * 64 + 3]], [64, mask.ids[32 + 1]]);
  const painted = asPainting(noise(48, 32, 3));
  const opened = await openSheet(painted, { mask: () => assert.fail("not asked"), sketch: none, photo: none });
  assert.deepEqual(opened.painting, painted);
});

test("without anything the sheet is empty and says so; a mask that cannot be read says why", async () => {
  const { painting, isGiven } = await openSheet(null, { mask: none, sketch: none, photo: none });
  assert.deepEqual([painting.width, painting.isPainted, isGiven], [512, false, false]);
  const mask = () => Promise.reject(new Error("It is a photo."));
  assert.equal((await openSheet(null, { mask, sketch: none, photo: none })).notice, "It is a photo.");
});

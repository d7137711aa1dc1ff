/** Moving regions, advice, palette, PNG: what stands beside the strokes. */

import assert from "node:assert/strict";
import test from "node:test";
import { inflateSync } from "node:zlib";

import { ACTIONS } from "../../../web/painter/editor/actions.mjs";
import { chord, classOf } from "../../../web/painter/editor/keys.mjs";
import { advise } from "../../../web/painter/map/advice.mjs";
import { readPainting } from "../../../web/painter/map/codec.mjs";
import { blank, regionAt } from "../../../web/painter/map/labelmap.mjs";
import { CLASSES, FLIPPED, GROUPS } from "../../../web/painter/map/palette.mjs";
import { coloursPng, idsPng } from "../../../web/painter/map/png.mjs";
import { rectangle } from "../../../web/painter/map/raster.mjs";
import { Sheet } from "../../../web/painter/map/sheet.mjs";
import { STARTERS } from "../../../web/painter/map/starters.mjs";
import { AT_REST, middle, place, toPose, fromPose } from "../../../web/painter/tools/pose.mjs";
import { Transform } from "../../../web/painter/tools/transform.mjs";
import { noise } from "./maps.mjs";

const box = (id, x, y, width, height, map = blank(64, 64)) => {
  rectangle({ x, y }, { x: x + width - 1, y: y + height - 1 }, new Sheet(map).pen(id));
  return map;
};
const studio = (map) => ({
  sheet: new Sheet(map),
  classId: 1,
  size: 8,
  pressure: false,
  reach: 1.5,
  choose() {},
  say() {},
});
const touch = (x, y, more = {}) => ({ x, y, pressure: 1, shift: false, alt: false, ...more });

test("a pose and its inverse are nothing", () => {
  const pose = { dx: 3, dy: -7, sx: 1.5, sy: 0.5, angle: 0.7 };
  const back = fromPose({ x: 9, y: 4 }, pose, toPose({ x: 9, y: 4 }, pose, { x: 12, y: 1 }));
  assert.ok(Math.hypot(back.x - 12, back.y - 1) < 1e-9);
});

test("at rest, moved and turned by quarters a region keeps every pixel", () => {
  const map = box(13, 20, 24, 9, 9);
  const region = regionAt(map, 22, 26);
  for (const pose of [
    AT_REST,
    { ...AT_REST, dx: 5, dy: -8 },
    { ...AT_REST, angle: Math.PI / 2 },
    { ...AT_REST, angle: Math.PI },
  ]) {
    let area = 0;
    place(region, pose, 64, 64, (_, from, to) => (area += to - from));
    assert.equal(area, 81, JSON.stringify(pose));
  }
  assert.deepEqual(middle(region), { x: 24.5, y: 28.5 });
});

test("scaling by two makes four times the pixels", () => {
  let area = 0;
  place(
    regionAt(box(2, 20, 20, 8, 6), 21, 21),
    { ...AT_REST, sx: 2, sy: 2 },
    64,
    64,
    (_, from, to) => (area += to - from),
  );
  assert.equal(area, 4 * 48);
});

test("a moved region leaves what is around it, as one step; giving up leaves all as it was", () => {
  const map = box(2, 28, 28, 4, 4, box(1, 16, 16, 32, 32));
  const here = studio(map);
  const tool = new Transform();
  tool.down(here, touch(29, 29));
  tool.drag(here, touch(39, 29));
  tool.up();
  assert.equal(here.sheet.map.ids[29 * 64 + 29], 1);
  assert.equal(here.sheet.map.ids[29 * 64 + 39], 2);
  tool.cancel(here);
  assert.deepEqual(here.sheet.map.ids, here.sheet.base);
  tool.down(here, touch(29, 29));
  tool.nudge(here, { dx: 3 });
  tool.finish(here);
  assert.equal(here.sheet.history.steps.length, 1);
  assert.equal(here.sheet.map.ids.filter((id) => id === 2).length, 16);
});

test("advice: on a good face none but spots, on swapped eyes a remedy, on missing parts their names", async () => {
  const face = await readPainting(STARTERS[3].painting);
  assert.deepEqual(
    advise(face).filter(({ kind }) => kind !== "small"),
    [],
  );
  const swapped = { ...face, ids: face.ids.map((id) => FLIPPED[id]) };
  const complaints = advise(swapped).filter(({ kind }) => kind === "swapped");
  assert.ok(complaints.length >= 2);
  const mended = complaints.reduce((map, { mend }) => mend(map), swapped);
  assert.deepEqual(
    advise(mended).filter(({ kind }) => kind === "swapped"),
    [],
  );
  const noseless = { ...face, ids: face.ids.map((id) => (id === 2 ? 1 : id)) };
  assert.match(advise(noseless)[0].text, /nose/);
  assert.deepEqual(advise(blank(64, 64)), []);
});

test("a region under one token is pointed at", () => {
  const [spot] = advise(box(15, 40, 8, 5, 6, box(1, 0, 0, 64, 64))).filter(({ kind }) => kind === "small");
  assert.deepEqual(spot.where, [{ x: 40, y: 8, width: 5, height: 6 }]);
  assert.match(spot.text, /earring: a spot of 30 pixels/);
});

test("small regions of one class are one advice, which points at each, the smallest first", () => {
  const face = box(15, 40, 8, 5, 6, box(15, 4, 8, 2, 2, box(16, 20, 50, 3, 3, box(1, 0, 0, 64, 64))));
  const spots = advise(face).filter(({ kind }) => kind === "small");
  assert.deepEqual(
    spots.map(({ where }) => where),
    [
      [
        { x: 4, y: 8, width: 2, height: 2 },
        { x: 40, y: 8, width: 5, height: 6 },
      ],
      [{ x: 20, y: 50, width: 3, height: 3 }],
    ],
  );
  assert.match(spots[0].text, /earring: 2 spots, each smaller than one token/);
});

test("the PNGs hold the ids, and the palette", async () => {
  const map = noise(32, 16, 9);
  for (const [write, type] of [
    [idsPng, 0],
    [coloursPng, 3],
  ]) {
    const bytes = Buffer.from(await (await write(map)).arrayBuffer());
    assert.equal(bytes.readUInt32BE(16), 32);
    assert.equal(bytes[25], type);
    const at = bytes.indexOf("IDAT");
    const rows = inflateSync(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at - 4)));
    for (let y = 0; y < 16; y++)
      assert.deepEqual([...rows.subarray(y * 33 + 1, y * 33 + 33)], [...map.ids.subarray(y * 32, y * 32 + 32)]);
  }
});

test("every class is in one group, and the mirror is its own inverse", () => {
  assert.deepEqual(
    GROUPS.flatMap(({ ids }) => ids).sort((a, b) => a - b),
    CLASSES.map(({ id }) => id),
  );
  assert.deepEqual(
    FLIPPED.map((id) => FLIPPED[id]),
    CLASSES.map(({ id }) => id),
  );
});

test("no key has two meanings, and every action has a key and a name", () => {
  const keys = ACTIONS.flatMap((action) => action.keys);
  assert.equal(new Set(keys).size, keys.length);
  assert.ok(ACTIONS.every(({ keys, title }) => keys.length && title));
});

test("keys are named alike on all keyboards", () => {
  const key = (key, more = {}) =>
    chord({ key, code: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });
  assert.equal(key("b"), "B");
  assert.equal(key("B", { shiftKey: true }), "Shift+B");
  assert.equal(key("?", { shiftKey: true }), "?");
  assert.equal(key("z", { metaKey: true }), "Ctrl+Z");
  assert.equal(key("и", { code: "KeyB" }), "B");
  assert.equal(key("ArrowLeft", { shiftKey: true }), "Shift+ArrowLeft");
});

test("each digit key is a class, and ten more with Shift, on every keyboard", () => {
  const press = (key, code, more = {}) => classOf({ key, code, ...more });
  assert.equal(press("3", "Digit3"), 3);
  assert.equal(press("3", "Numpad3"), 3);
  assert.equal(press("3"), 3); // a keyboard on the screen
  assert.equal(press("#", "Digit3", { shiftKey: true }), 13); // US
  assert.equal(press("/", "Digit7", { shiftKey: true }), 17); // German
  assert.equal(press("3", "Digit3", { shiftKey: true }), 13); // French: the digit is the sign with Shift
  assert.equal(press('"', "Digit3"), 3);
  assert.equal(press("(", "Digit9", { shiftKey: true }), null);
  assert.equal(press("3", "Digit3", { ctrlKey: true }), null);
  assert.equal(press("b", "KeyB"), null);
});

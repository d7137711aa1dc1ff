/** What is seen: contrast of texts, hatched classes, and outlines of near twins. */

import assert from "node:assert/strict";
import test from "node:test";

import { LEAST, contrast, luminance, readable } from "../../../web/painter/map/contrast.mjs";
import { blank } from "../../../web/painter/map/labelmap.mjs";
import { CLASSES } from "../../../web/painter/map/palette.mjs";
import { TWINS } from "../../../web/painter/map/patterns.mjs";
import { render } from "../../../web/painter/map/picture.mjs";
import { rectangle } from "../../../web/painter/map/raster.mjs";
import { Sheet } from "../../../web/painter/map/sheet.mjs";
import { complete } from "../../../web/painter/editor/theme.mjs";

const [BLACK, WHITE] = [
  [0, 0, 0],
  [255, 255, 255],
];
const LOOKS = { distinct: false, hidden: new Set(), solo: null, photo: null };

const drawing = (map, looks = {}, box = { x: 0, y: 0, width: map.width, height: map.height }) => {
  const pixels = new Uint32Array(map.ids.length);
  render(map, box, { ...LOOKS, ...looks }, pixels);
  return (x, y) => [...new Uint8Array(pixels.buffer, 4 * (y * map.width + x), 4)];
};
const withBox = (map, id, x, y, width, height) => {
  rectangle({ x, y }, { x: x + width - 1, y: y + height - 1 }, new Sheet(map).pen(id));
  return map;
};

test("contrast is WCAG's", () => {
  assert.equal(contrast(BLACK, WHITE), 21);
  assert.equal(contrast([118, 118, 118], WHITE).toFixed(2), "4.54");
  assert.equal(contrast([20, 30, 40], [20, 30, 40]), 1);
});

test("a colour that can be read stays, and another moves no further than it must", () => {
  assert.deepEqual(readable([230, 230, 230], [BLACK]), [230, 230, 230]);
  const mended = readable([120, 120, 120], [[60, 60, 60]]);
  assert.ok(contrast(mended, [60, 60, 60]) >= LEAST && contrast(mended, [60, 60, 60]) < LEAST + 0.4);
  assert.ok(luminance(readable(WHITE, [[250, 250, 240]])) < 0.2);
});

test("every text of every theme can be read on everything below it", () => {
  const shade = (level) => [level, Math.min(255, level + 6), Math.max(0, level - 5)];
  for (const base of [5, 20, 32, 45, 60, 200, 225, 240, 250]) {
    for (const ink of [0, 90, 128, 160, 255]) {
      const given = { deep: shade(base), ground: shade(base + 3), raised: shade(Math.max(0, base - 9)) };
      const all = complete({ ...given, edge: shade(base), ink: shade(ink), quiet: shade(128) });
      const below = [all.deep, all.ground, all.raised, all.chosen, all.hover];
      for (const text of ["ink", "quiet", "warm"]) {
        for (const ground of below) assert.ok(contrast(all[text], ground) >= LEAST, `${text} of ${base}, ${ink}`);
      }
      assert.ok(contrast(all["accent-ink"], all.accent) >= LEAST);
    }
  }
});

test("a hidden class is hatched with its own colour", () => {
  const map = withBox(blank(64, 64), 13, 8, 8, 40, 40);
  const at = drawing(map, { hidden: new Set([13]) });
  const pixels = Array.from({ length: 40 * 40 }, (_, i) => at(8 + (i % 40), 8 + Math.floor(i / 40)));
  const striped = pixels.filter(([, , , alpha]) => alpha > 0);
  assert.ok(striped.length > 300 && striped.length < 500);
  assert.ok(striped.every(([r, g, b]) => r === 0 && g === 0 && b === 204));
  assert.deepEqual(at(60, 60), [0, 0, 0, 255]);
});

test("the near twins have an outline in the official colours, whatever lies beside them", () => {
  for (const id of TWINS) {
    const map = withBox(blank(64, 64, id === 9 ? 1 : 13), id, 10, 10, 20, 20);
    const at = drawing(map);
    const rgb = [...CLASSES[id].rgb, 255];
    for (const [x, y] of [
      [10, 15],
      [29, 15],
      [15, 10],
      [15, 29],
    ]) {
      assert.deepEqual(at(x, y), [255, 255, 255, 255]);
    }
    assert.deepEqual(at(20, 20), rgb);
    assert.deepEqual(drawing(map, { distinct: true })(10, 15), [...CLASSES[id].distinct, 255]);
    assert.notDeepEqual(drawing(map, { hidden: new Set([id]) })(10, 15), [255, 255, 255, 255]);
  }
});

test("of each two classes that are near in the official colours one is outlined", () => {
  const distance = (a, b) => Math.hypot(...a.map((value, i) => value - b[i]));
  const pairs = CLASSES.flatMap((one) => CLASSES.slice(one.id + 1).map((other) => [one, other]));
  const near = pairs.filter(([one, other]) => distance(one.rgb, other.rgb) < 52);
  assert.equal(near.length, 3);
  assert.ok(near.every((pair) => pair.filter(({ id }) => TWINS.includes(id)).length === 1));
});

test("a box that is drawn again takes the outlines around it along", () => {
  const map = withBox(blank(64, 64, 1), 9, 10, 10, 20, 20);
  const pixels = new Uint32Array(map.ids.length);
  const whole = { x: 0, y: 0, width: 64, height: 64 };
  render(map, whole, LOOKS, pixels);
  rectangle({ x: 30, y: 10 }, { x: 40, y: 29 }, new Sheet(map).pen(9));
  render(map, { x: 30, y: 10, width: 11, height: 20 }, LOOKS, pixels);
  const again = new Uint32Array(map.ids.length);
  render(map, whole, LOOKS, again);
  assert.deepEqual(pixels, again);
});

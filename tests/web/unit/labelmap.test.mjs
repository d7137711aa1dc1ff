/** Label maps: resizing, mirroring, regions, and what a region leaves behind. */

import assert from "node:assert/strict";
import test from "node:test";

import * as maps from "../../../web/painter/map/labelmap.mjs";
import { FLIPPED } from "../../../web/painter/map/palette.mjs";
import { withMap } from "../../../web/painter/map/painting.mjs";
import { mapOf, noise, rowsOf } from "./maps.mjs";

test("enlarging by whole numbers repeats, and shrinking undoes it", () => {
  const map = noise(16, 32, 1);
  const large = maps.resize(map, 48, 96);
  assert.equal(large.ids[5 * 48 + 7], map.ids[1 * 16 + 2]);
  assert.deepEqual(maps.resize(large, 16, 32), map);
});

test("mirroring twice is nothing, and sides swap names", () => {
  const map = noise(32, 16, 2);
  const mirrored = maps.mirror(map);
  assert.equal(mirrored.ids[0], FLIPPED[map.ids[31]]);
  assert.deepEqual(maps.mirror(mirrored), map);
});

test("exchanging classes exchanges nothing else", () => {
  const map = mapOf("451", "540");
  assert.deepEqual(rowsOf(maps.swapClasses(map, [[4, 5]])), ["541", "450"]);
});

test("counts add up", () => {
  const map = noise(32, 32, 3);
  assert.equal(
    maps.counts(map).reduce((a, b) => a + b),
    32 * 32,
  );
});

test("a region hangs together over sides, not corners", () => {
  const map = mapOf("1101", "0010", "0110");
  const region = maps.regionAt(map, 0, 0);
  assert.equal(region.area, 2);
  assert.deepEqual(region.box, { x: 0, y: 0, width: 2, height: 1 });
  assert.equal(maps.regionAt(map, 2, 1).area, 3);
  assert.equal(maps.regionOf(map, 1).area, 6);
});

test("a winding region is found whole", () => {
  const map = mapOf("11111", "10001", "10101", "10111", "10000", "11111");
  assert.equal(maps.regionAt(map, 2, 2).area, [...map.ids].filter((id) => id === 1).length);
});

test("regions part the map", () => {
  const map = noise(32, 32, 4, 3);
  const regions = maps.regions(map);
  assert.equal(
    regions.reduce((sum, { area }) => sum + area, 0),
    32 * 32,
  );
});

test("what a region leaves takes the nearest class", () => {
  const map = mapOf("22222", "20002", "20002", "33333");
  assert.deepEqual(rowsOf({ ...map, ids: maps.withoutRegion(map, maps.regionAt(map, 1, 1)) }), [
    "22222",
    "22222",
    "22322",
    "33333",
  ]);
  const full = mapOf("77", "77");
  assert.deepEqual([...maps.withoutRegion(full, maps.regionAt(full, 0, 0))], [0, 0, 0, 0]);
});

test("sides are multiples of 16 from 16 to 4096", () => {
  assert.deepEqual([0, 8, 16, 24, 512, 4096, 4112, 16.5, NaN].filter(maps.isSide), [16, 512, 4096]);
});

/** The first version: each ring looks at the whole region again. */
function ringByRing({ width, height, ids }, { inside }) {
  const result = ids.slice();
  const isOpen = inside.slice();
  for (let some = true; some; ) {
    const filled = [];
    for (let i = 0; i < ids.length; i++) {
      if (!isOpen[i]) continue;
      const x = i % width;
      const around = [i >= width && i - width, x > 0 && i - 1, x < width - 1 && i + 1, i < width * (height - 1) && i + width];
      const from = around.find((j) => j !== false && !isOpen[j]);
      if (from !== undefined) filled.push([i, result[from]]);
    }
    for (const [i, id] of filled) [result[i], isOpen[i]] = [id, 0];
    some = filled.length > 0;
  }
  return result;
}

test("one pass fills as ring by ring", () => {
  for (let seed = 0; seed < 30; seed++) {
    const map = noise(24, 20, seed, 2 + (seed % 4));
    const region = seed % 2 ? maps.regionOf(map, 1) : maps.regionAt(map, seed % 24, seed % 20);
    assert.deepEqual(maps.withoutRegion(map, region), ringByRing(map, region), `seed ${seed}`);
  }
});

/** A plane that counts in `reads` how often pixels of it and of its copies are read one by one. */
function counted(plane, reads) {
  return new Proxy(plane, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) reads.count++;
      if (key === "slice") return () => counted(target.slice(), reads);
      const value = target[key];
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, key, value) => Reflect.set(target, key, value),
  });
}

test("taking a region reads its pixels a few times each, however large the map and however many its rings", () => {
  for (const side of [8, 40, 90]) {
    const map = maps.blank(192, 192);
    for (let y = 40; y < 40 + side; y++) map.ids.fill(13, y * 192 + 50, y * 192 + 50 + side);
    const reads = { count: 0 };
    const region = maps.regionAt({ ...map, ids: counted(map.ids, reads) }, 55, 44);
    assert.equal(region.area, side * side);
    assert.ok(reads.count < 4 * region.area + 8 * side, `regionAt: ${reads.count} reads of ${region.area} pixels`);
    reads.count = 0;
    maps.withoutRegion(map, { ...region, inside: counted(region.inside, reads) });
    assert.ok(reads.count < 13 * region.area, `withoutRegion: ${reads.count} reads of ${region.area} pixels`);
  }
});

test("a map on a sheet of another shape is not stretched", () => {
  const map = mapOf("12", "34");
  assert.deepEqual(rowsOf(maps.contain(map, 6, 2)), ["001200", "003400"]);
  assert.deepEqual(rowsOf(maps.contain(map, 2, 4)), ["00", "12", "34", "00"]);
  assert.deepEqual(rowsOf(maps.contain(map, 4, 4)), ["1122", "1122", "3344", "3344"]);
});

test("a drawing under a map of another shape is not stretched", () => {
  const [ids, pencil] = [new Uint8Array(4), Uint8Array.from([10, 20, 30, 40])];
  const before = { width: 2, height: 2, ids, pencil, isPainted: true, isDrawn: true };
  const { pencil: lines } = withMap(before, { width: 6, height: 2, ids: new Uint8Array(12) });
  assert.deepEqual([...(lines ?? [])], [0, 0, 10, 20, 0, 0, 0, 0, 30, 40, 0, 0]);
});

/** Shapes: which pixels they hold. */

import assert from "node:assert/strict";
import test from "node:test";

import { capsule, ellipse, polygon, rectangle, snap, taper } from "../../../web/painter/map/raster.mjs";

const drawn = (draw, width = 12, height = 9) => {
  const rows = Array.from({ length: height }, () => Array(width).fill("."));
  draw((y, from, to) => {
    for (let x = from; x < to; x++) if (rows[y]?.[x]) rows[y][x] = "#";
  });
  return rows.map((row) => row.join(""));
};
const pixels = (rows) => rows.join("").split("#").length - 1;

test("a brush of one pixel is the pixel, anywhere in it", () => {
  for (const [x, y] of [
    [3, 4],
    [3.5, 4.5],
    [3.999, 4.001],
  ]) {
    const at = snap({ x, y }, 1);
    const rows = drawn((emit) => capsule(at, at, 1, emit));
    assert.equal(pixels(rows), 1);
    assert.equal(rows[4][3], "#");
  }
});

test("a brush is as wide as it says", () => {
  for (let size = 1; size <= 9; size++) {
    const at = snap({ x: 6.2, y: 4.7 }, size);
    const rows = drawn((emit) => capsule(at, at, size, emit), 16, 12);
    assert.equal(Math.max(...rows.map((row) => pixels([row]))), size, `${size}`);
    assert.equal(rows.filter((row) => row.includes("#")).length, size, `${size}`);
  }
});

test("a stroke holds the pixels whose centre is near enough, and no others", () => {
  const [a, b, size] = [{ x: 4.5, y: 3.5 }, { x: 21.5, y: 15.5 }, 7];
  const distance = (x, y) => {
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const t = Math.max(0, Math.min(1, ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy)));
    return Math.hypot(x - a.x - t * dx, y - a.y - t * dy);
  };
  const rows = drawn((emit) => capsule(a, b, size, emit), 28, 20);
  rows.forEach((row, y) =>
    [...row].forEach((mark, x) =>
      assert.equal(mark === "#", distance(x + 0.5, y + 0.5) <= size / 2 + 1e-9, `${x},${y}`),
    ),
  );
});

test("a taper of one width is a stroke", () => {
  const [a, b] = [
    { x: 4.5, y: 4.5 },
    { x: 8.5, y: 4.5 },
  ];
  assert.deepEqual(
    drawn((emit) => taper(a, b, 3, 3, emit)),
    drawn((emit) => capsule(a, b, 3, emit)),
  );
});

test("a rectangle holds both corners' pixels, whichever comes first", () => {
  const [a, b] = [
    { x: 2.9, y: 1.1 },
    { x: 5.1, y: 3.9 },
  ];
  const rows = drawn((emit) => rectangle(a, b, emit));
  assert.equal(pixels(rows), 12);
  assert.deepEqual(
    drawn((emit) => rectangle(b, a, emit)),
    rows,
  );
});

test("an ellipse fills its rectangle and is symmetric", () => {
  const rows = drawn((emit) => ellipse({ x: 1, y: 1 }, { x: 10, y: 6 }, emit));
  assert.ok(
    rows.some((row) => row[1] === "#") &&
      rows.some((row) => row[10] === "#") &&
      rows[1].includes("#") &&
      rows[6].includes("#"),
  );
  for (const row of rows.slice(1, 7)) assert.equal(row.slice(1, 11), [...row.slice(1, 11)].reverse().join(""));
  assert.deepEqual(rows.slice(1, 7), rows.slice(1, 7).reverse());
});

test("a polygon of whole pixels holds them, and so does its image", () => {
  const square = [
    { x: 2, y: 2 },
    { x: 6, y: 2 },
    { x: 6, y: 5 },
    { x: 2, y: 5 },
  ];
  assert.equal(pixels(drawn((emit) => polygon(square, emit))), 12);
  assert.equal(pixels(drawn((emit) => polygon(square.reverse(), emit))), 12);
});

test("a lasso that crosses itself has no holes", () => {
  const loop = [0, 1, 2, 3, 4].map((i) => ({
    x: 10 + 9 * Math.sin((4 * Math.PI * i) / 5),
    y: 10 - 9 * Math.cos((4 * Math.PI * i) / 5),
  }));
  assert.equal(drawn((emit) => polygon(loop, emit), 20, 20)[10][10], "#");
});

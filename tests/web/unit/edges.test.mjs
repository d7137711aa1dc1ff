/** Following edges: the wire keeps to them, a brush stays on its side, and without edges both do what they did. */

import assert from "node:assert/strict";
import test from "node:test";

import { discWithin, edgesOf, snapped, wire } from "../../../web/painter/map/edges.mjs";
import { capsule } from "../../../web/painter/map/raster.mjs";

const SIDE = 64;
const MAP = { width: SIDE, height: SIDE };

/** A picture with this grey at each pixel. */
function picture(grey, side = SIDE) {
  const data = new Uint8Array(4 * side * side);
  for (let i = 0; i < side * side; i++) data.fill(grey(i % side, Math.floor(i / side)), 4 * i, 4 * i + 4);
  return { data, width: side, height: side };
}
const disc = edgesOf(picture((x, y) => (Math.hypot(x - 31.5, y - 31.5) < 20 ? 220 : 40)), MAP);
const half = edgesOf(picture((x) => (x < 32 ? 40 : 220)), MAP);
const plain = edgesOf(picture(() => 90), MAP);
const onCircle = (angle) => ({ x: 32 + 20 * Math.cos(angle), y: 32 + 20 * Math.sin(angle) });

function painted(draw) {
  const pixels = new Set();
  draw((y, from, to) => {
    for (let x = from; x < to; x++) pixels.add(`${x},${y}`);
  });
  return pixels;
}

test("the wire follows a circle between two points of it", () => {
  const path = wire(disc, onCircle(0), onCircle(Math.PI / 2));
  assert.ok(path.length > 20);
  for (const { x, y } of path) assert.ok(Math.abs(Math.hypot(x - 32, y - 32) - 20) < 2);
  const { x, y } = path.at(-1);
  assert.ok(Math.hypot(x - onCircle(Math.PI / 2).x, y - onCircle(Math.PI / 2).y) < 1.5);
});

test("without edges the wire is straight, and a point stays", () => {
  const path = wire(plain, { x: 5.5, y: 5.5 }, { x: 50.5, y: 50.5 });
  assert.equal(path.length, 45);
  assert.ok(path.every(({ x, y }) => Math.abs(x - y) < 1e-9));
  assert.deepEqual(snapped(plain, { x: 9.3, y: 9.7 }, 8), { x: 9.3, y: 9.7 });
  assert.deepEqual(wire(plain, { x: 5, y: 5 }, { x: 5, y: 5 }), []);
});

test("a point snaps to the edge within its reach", () => {
  const { x, y } = snapped(disc, { x: 32 + 25, y: 32 }, 8);
  assert.ok(Math.abs(Math.hypot(x - 32, y - 32) - 20) < 2);
  assert.deepEqual(snapped(disc, { x: 32, y: 32 }, 8), { x: 32, y: 32 });
});

test("a brush stays on its side of an edge", () => {
  for (const [x, isIn] of [
    [28, (column) => column <= 32],
    [36, (column) => column >= 31],
  ]) {
    const pixels = painted((emit) => discWithin(half, { x, y: 32.5 }, 20, emit));
    assert.ok(pixels.size > 150 && [...pixels].every((pixel) => isIn(Number(pixel.split(",")[0]))));
  }
});

test("without edges a brush is round", () => {
  for (const size of [1, 8, 21]) {
    const centre = size % 2 ? { x: 30.5, y: 30.5 } : { x: 30, y: 30 };
    const round = painted((emit) => capsule(centre, centre, size, emit));
    assert.deepEqual(painted((emit) => discWithin(plain, centre, size, emit)), round);
  }
});

test("a picture of another size lies stretched over the map", () => {
  const small = edgesOf(picture((x, y) => (Math.hypot(x - 15.5, y - 15.5) < 10 ? 220 : 40), 32), MAP);
  for (const { x, y } of wire(small, onCircle(0), onCircle(2))) assert.ok(Math.abs(Math.hypot(x - 32, y - 32) - 20) < 3.5);
});

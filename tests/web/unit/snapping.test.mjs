/** The picture whose edges are followed lies where the view shows it. */

import assert from "node:assert/strict";
import test from "node:test";

import { drawFitted } from "../../../web/painter/editor/snapping.mjs";

/** What is drawn of a picture on a sheet: the place of the picture, and which pixels are covered. */
function drawn(picture, sheet) {
  const covered = new Uint8Array(sheet.width * sheet.height);
  const places = [];
  const drawImage = (_, ...numbers) => {
    const [x, y, width, height] = numbers.slice(-4);
    places.push({ x, y, width, height });
    for (let row = Math.max(0, y); row < Math.min(sheet.height, y + height); row++) {
      for (let column = Math.max(0, x); column < Math.min(sheet.width, x + width); column++) {
        covered[row * sheet.width + column] = 1;
      }
    }
  };
  drawFitted({ drawImage }, picture, sheet);
  return { place: places.at(-1), covered };
}

test("a picture of another shape is not stretched, and no bar beside it is an edge", () => {
  for (const [picture, place] of [
    [{ width: 100, height: 50 }, { x: 0, y: 16, width: 64, height: 32 }],
    [{ width: 50, height: 100 }, { x: 16, y: 0, width: 32, height: 64 }],
    [{ width: 30, height: 30 }, { x: 0, y: 0, width: 64, height: 64 }],
  ]) {
    const found = drawn(picture, { width: 64, height: 64 });
    assert.deepEqual(found.place, place);
    assert.ok(found.covered.every(Boolean));
  }
});

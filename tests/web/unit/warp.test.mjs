/** Nudges: nothing at 0, nothing far away, both sides alike, no class lost, and in the direction that their name says. */

import assert from "node:assert/strict";
import test from "node:test";

import { readPainting } from "../../../web/painter/map/codec.mjs";
import { blank, counts, mirror, regionOf } from "../../../web/painter/map/labelmap.mjs";
import { STARTERS } from "../../../web/painter/map/starters.mjs";
import { NUDGES, nudged } from "../../../web/painter/map/warp.mjs";

const faces = await Promise.all(STARTERS.map(({ painting }) => readPainting(painting)));
const face = faces[0];
const after = (id, amount, map = face) => ({ ...map, ids: nudged(map, id, amount).ids });
const box = (map, id) => regionOf(map, id).box;

test("a nudge of nothing changes nothing", () => {
  for (const { id } of NUDGES) assert.deepEqual(after(id, 0).ids, face.ids, id);
});

test("a nudge changes nothing outside of its box, and loses no class of any face", () => {
  for (const map of faces) {
    const before = counts(map);
    for (const { id } of NUDGES) {
      for (const amount of [-1, 1]) {
        const { ids, box: at } = nudged(map, id, amount);
        assert.ok(at.width * at.height < map.ids.length || id === "width");
        const outside = ids.filter((one, i) => {
          const [x, y] = [i % map.width, Math.floor(i / map.width)];
          const isIn = x >= at.x && y >= at.y && x < at.x + at.width && y < at.y + at.height;
          return !isIn && one !== map.ids[i];
        });
        assert.equal(outside.length, 0);
        const now = counts({ ...map, ids });
        before.forEach((area, one) => assert.ok(!area || now[one] > area / 3, `${id} ${amount} of class ${one}`));
        assert.notDeepEqual(ids, map.ids);
      }
    }
  }
});

test("the mirror image of a nudge is the nudge of the mirror image", () => {
  for (const { id } of NUDGES) {
    const [one, other] = [mirror(after(id, 0.7)), after(id, 0.7, mirror(face))];
    const apart = one.ids.filter((value, i) => value !== other.ids[i]).length;
    assert.ok(apart < face.ids.length / 1000, `${id}: ${apart}`);
  }
});

test("each nudge goes where its name says, and back", () => {
  const height = (map, ids) => Math.min(...ids.map((id) => box(map, id).y));
  assert.ok(box(after("smile", 1), 11).y < box(face, 11).y);
  assert.ok(box(after("smile", -1), 12).y + box(after("smile", -1), 12).height > box(face, 12).y + box(face, 12).height);
  for (const eye of [4, 5]) {
    assert.ok(counts(after("eyes", 1))[eye] > 1.3 * counts(face)[eye]);
    assert.ok(counts(after("eyes", -1))[eye] < 0.8 * counts(face)[eye]);
  }
  assert.ok(height(after("brows", 1), [6, 7]) < height(face, [6, 7]) - 2);
  assert.ok(height(after("brows", -1), [6, 7]) > height(face, [6, 7]) + 2);
  assert.ok(height(after("hairline", 1), [1]) < height(face, [1]) - 2);
  assert.ok(height(after("hairline", -1), [1]) > height(face, [1]) + 2);
  assert.ok(box(after("width", 1), 1).width > box(face, 1).width);
  assert.ok(box(after("width", -1), 1).width < box(face, 1).width - 4);
});

test("brows and hairline leave the eyes in place", () => {
  for (const id of ["brows", "hairline"]) {
    const [before, now] = [counts(face), counts(after(id, 1))];
    for (const eye of [4, 5]) assert.ok(Math.abs(before[eye] - now[eye]) < 0.1 * before[eye]);
  }
});

test("what is not on the sheet cannot be nudged", () => {
  for (const { id } of NUDGES) assert.equal(nudged(blank(64, 64), id, 1), null);
});

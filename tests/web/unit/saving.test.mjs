/** Saving after each stroke: only the latest of those that wait, and a failure is said. */

import assert from "node:assert/strict";
import test from "node:test";

import { Saving } from "../../../web/painter/node/saving.mjs";

test("of the strokes that wait only the latest is saved", async () => {
  const saving = new Saving(() => assert.fail());
  const saved = [];
  for (const one of [1, 2, 3]) saving.add(async () => void saved.push(one));
  await saving.settled;
  assert.deepEqual(saved, [3]);
  saving.add(async () => void saved.push(4));
  await saving.settled;
  assert.deepEqual(saved, [3, 4]);
});

test("a failure is said, and the next stroke is saved", async (context) => {
  context.mock.method(console, "error", () => {});
  const said = [];
  const saving = new Saving((sentence) => said.push(sentence));
  saving.add(() => Promise.reject(new Error("There is no memory left.")));
  await saving.settled;
  assert.equal(said.length, 1);
  assert.match(said[0], /There is no memory left\./);
  assert.equal(saving.failure, said[0]);
  saving.add(async () => {});
  await saving.settled;
  assert.equal(saving.failure, "");
});

/** Whole steps of the painting: answers that come late. */

import assert from "node:assert/strict";
import test from "node:test";

import { Steps } from "../../../web/painter/editor/steps.mjs";
import { blank } from "../../../web/painter/map/labelmap.mjs";
import { Sheet } from "../../../web/painter/map/sheet.mjs";

/** Steps over an empty sheet with a pen at rest, and what they say. */
function stepsOf() {
  const sheet = new Sheet(blank(32, 32));
  const said = [];
  const pen = { hasBegun: false, settle() {} };
  const steps = new Steps(sheet, pen, (sentence) => said.push(sentence), { onResize() {}, onReplace() {} });
  return { steps, sheet, pen, said };
}

/** @param {Sheet} sheet @param {number} row */
function stroke(sheet, row) {
  sheet.pen(3)(row, 0, 9);
  sheet.commit("stroke");
}

/** An answer that comes when the test says so. */
function late() {
  let come = () => {};
  const answer = new Promise((resolve, reject) => (come = (error) => (error ? reject(error) : resolve("map"))));
  return { ask: () => answer, come: (error) => come(error) };
}

test("an answer in time is given", async () => {
  const { steps, said } = stepsOf();
  assert.deepEqual(await steps.waitFor(async () => "map"), { answer: "map" });
  assert.deepEqual(said, []);
});

test("a stroke, an undo or a stroke in progress is newer than the answer", async () => {
  for (const change of [
    ({ sheet }) => stroke(sheet, 9),
    ({ sheet }) => sheet.undo(),
    ({ pen }) => (pen.hasBegun = true),
    ({ sheet }) => (sheet.undo(), stroke(sheet, 9)),
  ]) {
    const given = stepsOf();
    stroke(given.sheet, 4);
    const { ask, come } = late();
    const waiting = given.steps.waitFor(ask);
    change(given);
    come();
    assert.equal(await waiting, null);
    assert.equal(given.said.length, 1);
  }
});

test("nobody hears of an answer or an error after the dialog or the editor was closed", async () => {
  for (const error of [undefined, new Error("late")]) {
    const { steps, said } = stepsOf();
    const [first, second] = [late(), late()];
    const dialog = { open: true };
    const asked = steps.waitFor(first.ask, () => dialog);
    dialog.open = false;
    first.come(error);
    assert.equal(await asked, null);
    const again = steps.waitFor(second.ask);
    steps.isClosed = true;
    second.come(error);
    assert.equal(await again, null);
    assert.deepEqual(said, []);
  }
});

test("an error is thrown while somebody waits for it", async () => {
  const { steps } = stepsOf();
  await assert.rejects(
    steps.waitFor(() => Promise.reject(new Error("no mask"))),
    /no mask/,
  );
});

test("nothing replaces the painting of a closed editor", () => {
  const { steps, sheet } = stepsOf();
  steps.isClosed = true;
  steps.replaceMap({ ...blank(32, 32), ids: new Uint8Array(1024).fill(2) }, "late");
  assert.equal(sheet.history.canUndo, false);
});

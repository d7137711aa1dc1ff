/** Paintings become text in a worker; without one, or if it fails, on the page. */

import assert from "node:assert/strict";
import test from "node:test";

import { writePainting } from "../../../web/painter/map/codec.mjs";
import { asPainting } from "../../../web/painter/map/painting.mjs";
import { Packer } from "../../../web/painter/node/packer.mjs";
import { noise } from "./maps.mjs";

const paintings = [1, 2, 3].map((seed) => asPainting(noise(32, 16, seed)));
const texts = await Promise.all(paintings.map(writePainting));

/** A worker whose answers the test sends. */
class FakeWorker extends EventTarget {
  orders = [];

  terminate() {
    this.isTerminated = true;
  }

  postMessage(order) {
    this.orders.push(structuredClone(order));
  }

  async answer() {
    for (const { number, painting } of this.orders.splice(0).reverse()) {
      const data = { number, text: await writePainting(painting) };
      this.dispatchEvent(Object.assign(new Event("message"), { data }));
    }
  }
}

test("each painting gets its own text, in whatever order the worker answers", async () => {
  const worker = new FakeWorker();
  const packer = new Packer(() => /** @type {any} */ (worker));
  const written = paintings.map((one) => packer.write(one));
  await worker.answer();
  assert.deepEqual(await Promise.all(written), texts);
});

test("a page without workers writes by itself", async () => {
  const packer = new Packer(() => {
    throw new Error("forbidden");
  });
  assert.deepEqual(await Promise.all(paintings.map((one) => packer.write(one))), texts);
});

test("what a worker has when it breaks is written by the page, and what comes later", async () => {
  const worker = new FakeWorker();
  const packer = new Packer(() => /** @type {any} */ (worker));
  const first = packer.write(paintings[0]);
  worker.dispatchEvent(Object.assign(new Event("error", { cancelable: true }), { message: "no module" }));
  assert.equal(await first, texts[0]);
  assert.equal(await packer.write(paintings[1]), texts[1]);
  assert.equal(worker.orders.length, 1);
});

test("what a worker does not answer is written by the page, and what comes later", async () => {
  const worker = new FakeWorker();
  const packer = new Packer(() => /** @type {any} */ (worker), 1);
  assert.deepEqual(await Promise.all([packer.write(paintings[0]), packer.write(paintings[1])]), texts.slice(0, 2));
  assert.ok(worker.isTerminated);
  assert.equal(await packer.write(paintings[2]), texts[2]);
  assert.equal(worker.orders.length, 2);
});

/** What is dropped or pasted: a label map, a photo, or neither if the server could not say. */

import assert from "node:assert/strict";
import test from "node:test";

import { Drops } from "../../../web/painter/editor/drops.mjs";
import { Inputs } from "../../../web/painter/node/inputs.mjs";

globalThis.createImageBitmap = async () => {
  throw new Error("no picture");
};

/** What became of a dropped file when the server answered so. */
async function dropped(answer) {
  const [said, laid] = [[], []];
  const document = new EventTarget();
  const page = { document, closeDialogs() {}, say: (sentence) => said.push(sentence) };
  const photo = { lay: async (file) => laid.push(file) };
  const steps = { replaceMap: () => assert.fail(), waitFor: async (ask) => ({ answer: await ask() }) };
  new Drops(page, photo, steps, new Inputs({}, { fetchApi: async () => answer() }, {}));
  document.dispatchEvent(Object.assign(new Event("drop"), { dataTransfer: { files: [new File(["x"], "x.png")] } }));
  for (let i = 0; i < 1000 && !said.length; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  return { said, laid };
}

const json = (status) => () => new Response(JSON.stringify({ error: "Not a mask." }), { status });

test("what the server refuses as a mask is the photo", async () => {
  const { said, laid } = await dropped(json(400));
  assert.equal(laid.length, 1);
  assert.deepEqual(said, ["The picture is the photo under the painting now."]);
});

test("any other failure is said, and the photo stays", async () => {
  for (const [answer, sentence] of [
    [json(413), /Not a mask/],
    [json(429), /Not a mask/],
    [() => new Response("oops", { status: 500 }), /status 500/],
    [() => Promise.reject(new TypeError("Failed to fetch")), /Failed to fetch/],
  ]) {
    const { said, laid } = await dropped(answer);
    assert.deepEqual(laid, []);
    assert.match(said[0], sentence);
  }
});

/** The prompt that Live queues. */

import assert from "node:assert/strict";
import test from "node:test";

import { livePrompt, painterIds, targetsOf } from "../../../web/painter/node/liveprompt.mjs";

const IMAGES = { output_node: true, input: { required: { images: ["IMAGE", {}] } } };
const DEFINITIONS = {
  SaveImage: { ...IMAGES, input: { required: { ...IMAGES.input.required, filename_prefix: ["STRING", {}] } } },
  PreviewImage: IMAGES,
  OtherSave: { output_node: true, input: { required: { name: ["STRING", {}] }, optional: { picture: ["IMAGE"] } } },
  SaveLatent: { output_node: true, input: { required: { samples: ["LATENT"] } } },
  MoGLEMaskPainter: { output_node: true, input: { optional: { image: ["IMAGE", {}] } } },
  VAEDecode: { input: { required: { samples: ["LATENT"] } } },
};
const definitions = (type) => DEFINITIONS[type];

/** A painter with a preview of its mask, a picture that is saved and shown, and a picture that it does not lead to. */
const PROMPT = {
  1: { class_type: "MoGLEMaskPainter", inputs: { painting: "mogle1:" } },
  2: { class_type: "PreviewImage", inputs: { images: ["1", 1] }, _meta: { title: "The mask" } },
  3: { class_type: "KSampler", inputs: { model: ["9", 0], positive: ["1", 0], steps: 20, seed: 7, denoise: 1 } },
  4: { class_type: "VAEDecode", inputs: { samples: ["3", 0] } },
  5: { class_type: "PreviewImage", inputs: { images: ["4", 0] }, _meta: { title: "Look" } },
  6: { class_type: "SaveImage", inputs: { images: ["4", 0], filename_prefix: "face" }, _meta: { title: "Keep" } },
  7: { class_type: "SaveImage", inputs: { images: ["8", 0], filename_prefix: "other" } },
  8: { class_type: "LoadImage", inputs: { image: "a.png" } },
  9: { class_type: "UNETLoader", inputs: { unet_name: "a" } },
  10: { class_type: "SaveLatent", inputs: { samples: ["3", 0] } },
};

const withNode = (id, node) => ({ ...PROMPT, [id]: node });

test("the targets follow from the painter, the picture before the preview of the mask, and a saved one first", () => {
  assert.deepEqual(targetsOf(PROMPT, ["1"], definitions), [
    { id: "6", title: "Keep" },
    { id: "5", title: "Look" },
    { id: "2", title: "The mask" },
  ]);
  assert.deepEqual(targetsOf(PROMPT, [], definitions), []);
});

test("another pack's save node is a target and becomes a preview of the same picture", () => {
  const prompt = withNode(6, { class_type: "OtherSave", inputs: { name: "x", picture: ["4", 0] } });
  assert.deepEqual(
    targetsOf(prompt, ["1"], definitions).map(({ id }) => id),
    ["5", "6", "2"],
  );
  assert.deepEqual(livePrompt(prompt, "6", 0, definitions)[6], {
    class_type: "PreviewImage",
    inputs: { images: ["4", 0] },
  });
});

test("the whole prompt is queued, its seed untouched, with a preview in place of the save node that runs", () => {
  const before = structuredClone(PROMPT);
  const live = livePrompt(PROMPT, "6", 0, definitions);
  assert.deepEqual(PROMPT, before);
  const saved = { class_type: "PreviewImage", inputs: { images: ["4", 0] }, _meta: { title: "Keep" } };
  assert.deepEqual(live, withNode(6, saved));
});

test("a save node on the way to the target saves nothing either", () => {
  const passing = withNode(4, { class_type: "SaveImage", inputs: { images: ["3", 0], filename_prefix: "on the way" } });
  assert.equal(livePrompt(passing, "5", 0, definitions)[4].class_type, "PreviewImage");
  assert.equal(livePrompt(passing, "2", 0, definitions)[4].class_type, "SaveImage");
});

test("fewer steps for what samples, in the queued prompt alone", () => {
  const advanced = { model: ["9", 0], positive: ["1", 0], steps: 20, start_at_step: 10, end_at_step: 10000 };
  const prompt = { ...withNode(3, { class_type: "KSamplerAdvanced", inputs: advanced }) };
  prompt[4] = { class_type: "GateMaps", inputs: { samples: ["3", 0], steps: 12 } };
  const live = livePrompt(prompt, "6", 8, definitions);
  assert.deepEqual(live[3].inputs, { ...advanced, steps: 8, start_at_step: 4, end_at_step: 8 });
  assert.equal(live[4].inputs.steps, 12, "not the number of pictures of the gate");
  assert.equal(prompt[3].inputs.steps, 20);
  const linked = withNode(3, { class_type: "BasicScheduler", inputs: { model: ["1", 0], steps: ["9", 0] } });
  assert.equal(livePrompt(linked, "6", 4, definitions)[3].inputs.steps, 4);
  assert.equal(livePrompt(PROMPT, "2", 4, definitions)[3].inputs.steps, 20, "what does not run stays in the cache");
});

test("the painter's ids, in the graph and in each place of a subgraph", () => {
  const painter = PROMPT[1];
  const prompt = { 2: painter, "5:2": painter, "7:2": painter, "5:12": painter, "8:2": PROMPT[8] };
  assert.deepEqual(painterIds(prompt, "2", false), ["2"]);
  assert.deepEqual(painterIds(prompt, "2", true), ["5:2", "7:2"]);
});

test("a circle of links ends", () => {
  const prompt = withNode(4, { class_type: "VAEDecode", inputs: { samples: ["4", 0] } });
  assert.deepEqual(
    targetsOf(prompt, ["1"], definitions).map(({ id }) => id),
    ["2"],
  );
});

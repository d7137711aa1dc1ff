/** What leads to a node's inputs. */

import assert from "node:assert/strict";
import test from "node:test";

import { connectedPicture } from "../../../web/painter/node/graph.mjs";

const loader = { id: 7, comfyClass: "LoadImage", widgets: [{ name: "image", value: "faces/one.png" }] };

/** @param {unknown} graph */
function painter(graph) {
  return {
    graph,
    inputs: [{ name: "mask", link: 3 }],
    getInputNode() {
      if (!this.graph) throw new Error("Attempted to access LGraph reference that was null or undefined.");
      return loader;
    },
  };
}

test("a connected Load Image gives its file's address", () => {
  const address = connectedPicture(/** @type {any} */ ({}), /** @type {any} */ (painter({})), "mask");
  assert.match(String(address), /one\.png/);
});

test("a node that is in no graph, such as a preview, has no connected picture and no error", () => {
  assert.equal(connectedPicture(/** @type {any} */ ({}), /** @type {any} */ (painter(null)), "mask"), null);
});

/** A subgraph node listens to its subgraph while it is in a graph. */

import assert from "node:assert/strict";
import test from "node:test";

import { showPromoted } from "../../../web/painter/node/promoted.mjs";

/** The events of a subgraph, with what listens to them. */
class Events {
  listeners = new Set();

  addEventListener(name, listener) {
    assert.equal(name, "widget-promoted");
    this.listeners.add(listener);
  }

  removeEventListener(_, listener) {
    this.listeners.delete(listener);
  }
}

/** A node as ComfyUI creates it, and how often its inputs were looked at. */
function nodeOf(events) {
  const node = { id: 3, looks: 0, graph: null, subgraph: { events }, isSubgraphNode: () => true };
  Object.defineProperty(node, "inputs", { get: () => (node.looks++, []) });
  showPromoted({}, {}, node);
  return node;
}

/** @param {any} node */
function add(node) {
  node.graph = { getNodeById: () => node };
  node.onAdded();
}

/** @param {any} node */
function remove(node) {
  node.onRemoved();
  node.graph = null;
}

test("a node that is removed leaves no listener, and one that is added again has one", async () => {
  const events = new Events();
  const node = nodeOf(events);
  assert.equal(events.listeners.size, 0);
  for (let i = 0; i < 3; i++) {
    add(node);
    assert.equal(events.listeners.size, 1);
    node.looks = 0;
    for (const listener of events.listeners) listener();
    await Promise.resolve();
    assert.ok(node.looks > 0);
    remove(node);
    assert.equal(events.listeners.size, 0);
  }
});

/** The painter's card on a subgraph node whose widgets include the painting: ComfyUI itself shows only text there. */

import { painterBehind } from "./graph.mjs";
import { PaintingWidget, TYPE } from "./widget.mjs";

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../../scripts/app.js").GraphWidget} GraphWidget */
/** @typedef {import("../../../../scripts/api.js").ComfyApi} ComfyApi */

/**
 * Gives each promoted painting of a subgraph node a card while the node is in a graph. Frontends before about 1.45
 * show the inner node's card by themselves.
 * @param {ComfyApp} app @param {ComfyApi} api @param {GraphNode} node
 */
export function showPromoted(app, api, node) {
  if (!node.isSubgraphNode?.()) return;
  /** The cards by their widgets. @type {Map<GraphWidget, PaintingWidget>} */
  const cards = new Map();
  /** Takes away the cards that no input has any more: ComfyUI makes a node's inputs anew when it reads it from a file. */
  const tidy = () => {
    const kept = new Set(node.inputs?.map((input) => input._widget));
    for (const widget of cards.keys()) {
      if (kept.has(widget)) continue;
      widget.onRemove?.();
      cards.delete(widget);
    }
  };
  const look = () => {
    if (node.graph?.getNodeById?.(node.id) !== node) return; // ComfyUI makes the widgets anew when it is added
    for (const input of node.inputs ?? []) {
      const stored = input._widget;
      if (stored?.type !== TYPE) continue;
      if (!stored.element) {
        const card = new PaintingWidget(app, api, node, input.name, stored, painterBehind(node, input));
        input._widget = card.widget;
        cards.set(card.widget, card);
        grow(node);
      } else void cards.get(stored)?.redraw();
    }
    tidy();
  };
  const leave = () => {
    for (const input of node.inputs ?? []) {
      if (input._widget && cards.has(input._widget)) input._widget = undefined; // ComfyUI makes its own again
    }
    tidy();
  };
  const lookSoon = () => queueMicrotask(look);
  // The subgraph outlives the node, so it must not hold it.
  const listen = () => node.subgraph?.events?.addEventListener("widget-promoted", lookSoon);
  const stop = () => node.subgraph?.events?.removeEventListener("widget-promoted", lookSoon);
  follow(node, "onAdded", () => [listen(), look()]);
  follow(node, "onConfigure", look);
  follow(node, "onRemoved", () => [stop(), leave()]);
  if (node.graph) listen();
  look();
}

/** Makes room for the card. @param {GraphNode} node */
function grow(node) {
  const [, height] = node.computeSize?.() ?? [0, 0];
  if (node.size && node.size[1] < height) node.setSize?.([node.size[0], height]);
}

/** @param {GraphNode} node @param {"onAdded" | "onConfigure" | "onRemoved"} moment @param {() => unknown} then */
function follow(node, moment, then) {
  const before = node[moment];
  node[moment] = (...args) => {
    before?.apply(node, args);
    then();
  };
}

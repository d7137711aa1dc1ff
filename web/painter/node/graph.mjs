/** ComfyUI's graph: its undo steps, the pictures connected to a node, and its file. */

import { t } from "../map/words.mjs";

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/app.js").GraphNode} GraphNode */

/** What ComfyUI calls the inputs of a subgraph among its nodes. */
const OF_THE_SUBGRAPH = -10;
const LOAD_IMAGE = "LoadImage";

/**
 * One step of the workflow's undo for all strokes of one opening of the editor. The states between them are dropped;
 * otherwise fifty strokes would fill the undo queue.
 */
export class UndoStep {
  /** @param {ComfyApp} app */
  constructor(app) {
    this.app = app;
    this.hasBegun = false;
  }

  /** Tells ComfyUI that the painter's value has changed. */
  record() {
    const tracker = this.app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
    if (!tracker) return;
    const length = tracker.undoQueue?.length;
    // Renamed in about 1.43; the old name warns since then.
    if (tracker.captureCanvasState) tracker.captureCanvasState();
    else tracker.checkState?.();
    const states = tracker.undoQueue;
    const isNew = states !== undefined && length !== undefined && states.length > length;
    if (isNew && this.hasBegun) states.pop();
    if (isNew) this.hasBegun = true;
  }
}

/** Where a node is, also after a reload. @param {ComfyApp} app @param {GraphNode} node */
export function placeOf(app, { graph, id }) {
  const path = app.extensionManager?.workflow?.activeWorkflow?.path ?? "";
  return { path, node: graph?.isRootGraph === false ? `${graph.id}:${id}` : String(id) };
}

/**
 * @param {GraphNode} node @param {string} input
 * @param {GraphNode} [host]  the subgraph node that the node is in: an input of it counts as what leads to it
 */
export function isConnected(node, input, host) {
  const link = node.inputs?.find((one) => one.name === input)?.link ?? null;
  if (link === null || !host) return link !== null;
  const { origin_id: origin, origin_slot: slot } = node.graph?.getLink?.(link) ?? {};
  return origin !== OF_THE_SUBGRAPH || host.inputs?.[slot ?? -1]?.link != null;
}

/**
 * The address of an input's picture, if it is available without running the workflow: from Load Image, or from a
 * node that shows its output.
 * @param {ComfyApp} app
 * @param {GraphNode} node
 * @param {string} input
 * @param {GraphNode} [host]  the subgraph node that the node is in
 * @returns {string | null}
 */
export function connectedPicture(app, node, input, host) {
  const slot = node.inputs?.findIndex((one) => one.name === input) ?? -1;
  // A node that is only shown, such as a blueprint's preview, is in no graph, and frontends from 1.58 on throw there.
  const source = slot < 0 || !node.graph ? null : (node.getInputNode(slot) ?? outside(node, slot, host));
  if (!source) return null;
  const file = source.comfyClass === LOAD_IMAGE && source.widgets?.find((one) => one.name === "image")?.value;
  if (typeof file === "string" && file) return viewOf(file);
  const [output] = app.nodeOutputs?.[String(source.id)]?.images ?? [];
  return output ? addressOf(output) : null;
}

/**
 * The node outside of a subgraph that is connected to an input of a node inside.
 * @param {GraphNode} node @param {number} slot @param {GraphNode} [host] @returns {GraphNode | null}
 */
function outside(node, slot, host) {
  const link = node.graph?.getLink?.(node.inputs?.[slot].link ?? -1);
  return host && link?.origin_id === OF_THE_SUBGRAPH ? host.getInputNode(link.origin_slot) : null;
}

/**
 * The painter inside a subgraph node whose painting is this input's widget; null if it is not found.
 * @param {GraphNode} node @param {{name: string}} input @returns {GraphNode | null}
 */
export function painterBehind(node, input) {
  const inside = node.subgraph;
  const [first] = inside?.inputs?.find((one) => one.name === input.name)?.linkIds ?? [];
  const link = inside?.getLink?.(first ?? -1);
  return link ? (inside?.getNodeById(link.target_id) ?? null) : null;
}

/** @param {string} file  "folder/name.png [output]" */
function viewOf(file) {
  const [, path, type] = /^(.*?)(?: \[(input|output|temp)\])?$/.exec(file) ?? [];
  const cut = path.lastIndexOf("/");
  return addressOf({
    filename: path.slice(cut + 1),
    subfolder: cut < 0 ? "" : path.slice(0, cut),
    type: type ?? "input",
  });
}

/** @param {{filename: string, subfolder?: string, type?: string}} file */
export function addressOf({ filename, subfolder = "", type = "output" }) {
  return `/view?${new URLSearchParams({ filename, subfolder, type })}`;
}

/**
 * Saves the workflow as ComfyUI's own key does, if it has a file. Without one ComfyUI asks for a name behind the editor.
 * @param {ComfyApp} app
 * @returns {Promise<string>} what was done, in a sentence
 */
export async function saveWorkflow(app) {
  const { workflow, command } = app.extensionManager ?? {};
  const current = workflow?.activeWorkflow;
  if (!command || current?.isTemporary !== false) {
    return t("The painting is stored in the workflow, which has no file yet: press Done and save it in ComfyUI.");
  }
  await command.execute("Comfy.SaveWorkflow");
  return t("The workflow is saved.");
}

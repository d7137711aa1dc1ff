/** ComfyUI's graph: its undo steps, the pictures connected to a node, and its file. */

import { t } from "../map/words.mjs";

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/app.js").GraphNode} GraphNode */

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

/** @param {GraphNode} node @param {string} input */
export function isConnected(node, input) {
  return node.inputs?.some((one) => one.name === input && one.link != null) ?? false;
}

/**
 * The address of an input's picture, if it is available without running the workflow: from Load Image, or from a
 * node that shows its output.
 * @param {ComfyApp} app
 * @param {GraphNode} node
 * @param {string} input
 * @returns {string | null}
 */
export function connectedPicture(app, node, input) {
  const slot = node.inputs?.findIndex((one) => one.name === input) ?? -1;
  const source = slot < 0 ? null : node.getInputNode(slot);
  if (!source) return null;
  const file = source.comfyClass === LOAD_IMAGE && source.widgets?.find((one) => one.name === "image")?.value;
  if (typeof file === "string" && file) return viewOf(file);
  const [output] = app.nodeOutputs?.[String(source.id)]?.images ?? [];
  return output ? addressOf(output) : null;
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

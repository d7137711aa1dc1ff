/** The painter's dealings with ComfyUI's graph: its undo, and what is connected to a node. */

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/app.js").GraphNode} GraphNode */

/**
 * Lets the workflow notice a new value. All values of one opening of the editor are one step of its undo: the
 * states between them are dropped, else fifty strokes would push everything else out of it.
 */
export class UndoStep {
  /** @param {ComfyApp} app */
  constructor(app) {
    this.app = app;
    this.hasBegun = false;
  }

  notice() {
    const tracker = this.app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
    if (!tracker) return;
    const before = tracker.undoQueue?.length;
    // The newer name came with 1.43 or so, when the older began to warn.
    if (tracker.captureCanvasState) tracker.captureCanvasState();
    else tracker.checkState?.();
    const states = tracker.undoQueue;
    const isNew = states !== undefined && before !== undefined && states.length > before;
    if (isNew && this.hasBegun) states.pop();
    if (isNew) this.hasBegun = true;
  }
}

/**
 * The address of the picture that comes into an input, if it is known without running the workflow: a picture
 * that was loaded, or that a node shows.
 * @param {ComfyApp} app
 * @param {GraphNode} node
 * @param {string} input
 * @returns {string | null}
 */
export function connectedPicture(app, node, input) {
  const slot = node.inputs?.findIndex((one) => one.name === input) ?? -1;
  const source = slot < 0 ? null : node.getInputNode(slot);
  if (!source) return null;
  const loaded = source.comfyClass === "LoadImage" && source.widgets?.find((one) => one.name === "image")?.value;
  if (typeof loaded === "string" && loaded) return viewOf(loaded);
  const [shown] = app.nodeOutputs?.[String(source.id)]?.images ?? [];
  return shown ? addressOf(shown) : null;
}

/** @param {string} loaded  "folder/name.png [output]" */
function viewOf(loaded) {
  const [, path, type] = /^(.*?)(?: \[(input|output|temp)\])?$/.exec(loaded) ?? [];
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

/** The painter's widget: the painting's text, its card in the node, and the opening of the editor. */

import { Card, HEIGHT } from "./card.mjs";
import { readPainting } from "../map/codec.mjs";
import { UndoStep, placeOf, saveWorkflow } from "./graph.mjs";
import { Inputs } from "./inputs.mjs";
import { LiveRuns } from "./live.mjs";
import { readMarks, writeMarks } from "./marks.mjs";
import { drafts, offered } from "./draftshelf.mjs";
import { keep, recall, rejoin } from "./memory.mjs";
import { openSheet } from "./opening.mjs";
import { packer } from "./packer.mjs";
import { Saving } from "./saving.mjs";
import { hasSafeColours, setSafeColours } from "./settings.mjs";
import { openEditor } from "../editor/window.mjs";
import { messageOf } from "../map/refusal.mjs";
import { t } from "../map/words.mjs";
import { loadLanguage } from "./language.mjs";

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../../scripts/app.js").GraphWidget} GraphWidget */
/** @typedef {import("../../../../scripts/api.js").ComfyApi} ComfyApi */
/** @typedef {import("../map/painting.mjs").Painting} Painting */
/** @typedef {import("../map/history.mjs").History} History */

export const TYPE = "MOGLE_PAINTING";
const MIDDLE = 1; // the mouse button

/** The widgets of nodes that are in a graph. @type {Set<PaintingWidget>} */
const attached = new Set();

/** Draws every painting again, in the colours of the setting. */
export function redrawAll() {
  for (const painting of attached) void painting.redraw();
}

/** After each change of the graph: draws the paintings again whose inputs lead elsewhere now. */
export function followInputs() {
  for (const painting of attached) painting.follow();
}

/** Restores strokes of tabs that ended before ComfyUI stored them. */
export function recoverAll() {
  for (const painting of attached) void painting.recover();
}

/**
 * @param {GraphNode} node @param {string} name @param {HTMLElement} element @param {Record<string, unknown>} options
 * @returns {GraphWidget}
 */
function added(node, name, element, options) {
  return node.addDOMWidget(name, TYPE, element, options);
}

/**
 * A widget that is shown with a node in a graph, but is not one that the node adds or follows: a subgraph node has its
 * widgets from its inputs, and makes them anew.
 * @param {GraphNode} node @param {string} name @param {HTMLElement} element @param {Record<string, unknown>} options
 * @returns {GraphWidget}
 */
function besides(node, name, element, options) {
  const { onAdded, onRemoved, onResize } = node;
  node.addCustomWidget = (widget) => widget;
  try {
    return added(node, name, element, options);
  } finally {
    delete node.addCustomWidget;
    Object.assign(node, { onAdded, onRemoved, onResize });
  }
}

export class PaintingWidget {
  /**
   * @param {ComfyApp} app @param {ComfyApi} api @param {GraphNode} node @param {string} name
   * @param {GraphWidget} [stored]  of a subgraph node: where ComfyUI keeps the value
   * @param {GraphNode | null} [painter]  of a subgraph node: the painter inside
   */
  constructor(app, api, node, name, stored, painter) {
    this.app = app;
    this.api = api;
    this.node = node;
    this.painter = painter ?? node;
    this.stored = stored ?? { value: "" };
    this.inputs = new Inputs(app, api, this.painter, painter ? node : undefined);
    this.notice = "";
    this.news = "";
    this.card = new Card(() => void this.open());
    this.saving = new Saving((sentence) => this.card.warn(sentence));
    this.#forward(this.card.root);
    this.widget = (stored ? besides : added)(node, name, this.card.root, {
      getValue: () => this.text,
      setValue: (/** @type {unknown} */ value) => this.#set(value),
      getMinHeight: () => HEIGHT,
      hideOnZoom: false,
    });
    if (stored) Object.defineProperty(this.widget, "widgetId", { value: stored.widgetId, configurable: true });
    // A prompt queued right after a stroke waits until the stroke is in the value.
    this.widget.serializeValue = () => this.saving.settled.then(() => this.text);
    if (stored) this.#stay();
    else this.#follow(name);
    void this.redraw();
  }

  /** Stops a press from dragging the node; forwards the events that move the graph. @param {HTMLElement} root */
  #forward(root) {
    root.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      if (event.button === MIDDLE) this.app.canvas?.processMouseDown?.(event);
    });
    root.addEventListener("wheel", (event) => this.app.canvas?.processMouseWheel?.(event), { passive: false });
  }

  /** Registers the widget of a subgraph node until it is removed. */
  #stay() {
    const { onRemove } = this.widget;
    attached.add(this);
    this.widget.onRemove = () => {
      attached.delete(this);
      onRemove?.call(this.widget);
    };
  }

  /** Registers the widget while its node is in a graph. @param {string} name */
  #follow(name) {
    const { node } = this;
    const { onAdded, onRemoved, onConnectionsChange } = node;
    node.onConnectionsChange = (...args) => {
      onConnectionsChange?.apply(node, args);
      queueMicrotask(() => this.follow());
    };
    node.onAdded = (...args) => {
      onAdded?.apply(node, args);
      attached.add(this);
      this.#mount(`${node.id} ${name}`);
    };
    node.onRemoved = (...args) => {
      onRemoved?.apply(node, args);
      attached.delete(this);
    };
  }

  /**
   * After graph undo the newer renderer still shows the replaced node's element (1.35 to 1.58): swaps in this one's.
   * @param {string} place
   */
  #mount(place) {
    const { root } = this.card;
    root.setAttribute("data-mogle", place);
    let tries = 30;
    const look = () => {
      if (root.isConnected || !tries--) return;
      const elements = [...document.querySelectorAll(".mogle-painting")];
      const old = elements.find((one) => one.getAttribute("data-mogle") === place);
      if (old && this.#isShown()) old.replaceWith(root);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(() => requestAnimationFrame(look));
  }

  #isShown() {
    return this.app.canvas?.graph?.getNodeById(this.node.id) === this.node;
  }

  /** The widget that the button opens: this one, or its successor if the node was replaced while its element stayed. */
  #current() {
    if (attached.has(this)) return this;
    return [...attached].find((one) => one.node.id === this.node.id && one.#isShown()) ?? this;
  }

  /** An edited file can have any value. One that is not a string becomes JSON, which `redraw` reports as wrong. */
  get text() {
    const { value } = this.stored;
    return typeof value === "string" ? value : value == null ? "" : JSON.stringify(value);
  }

  /** @param {unknown} value */
  #set(value) {
    this.stored.value = value;
    void drafts.follow(placeOf(this.app, this.node).node, this.text).catch(() => {}); // where drafts cannot be stored
    void this.redraw();
  }

  /** Restores the strokes that a tab lost, as one step. */
  async recover() {
    const before = this.text;
    const text = drafts.take(placeOf(this.app, this.node), before)?.text;
    const isBack = text !== undefined && (await rejoin(before, text, this).catch(() => false));
    if (!isBack || this.text !== before) return;
    this.news = t("The last strokes of a tab that ended are back. Undo in the editor takes them away.");
    this.#store(before, text);
    new UndoStep(this.app).record();
  }

  /** @param {string} before @param {string} text */
  #store(before, text) {
    void drafts.put(placeOf(this.app, this.node), before, text).catch((error) => console.debug("MoGLE painter, no drafts:", error));
    this.widget.value = text;
  }

  /** Draws what would be opened, unless it changes meanwhile. */
  async redraw() {
    const { text, inputs } = this;
    const { state } = inputs;
    this.drawn = state;
    let [stored, notice] = [/** @type {Painting | null} */ (null), ""];
    try {
      stored = await readPainting(text);
    } catch (error) {
      notice = t("{error} The canvas is empty.", { error: messageOf(error) });
    }
    const { painting, isGiven, notice: ofInputs } = await this.#openSheet(stored);
    if (text !== this.text || state !== inputs.state) return;
    this.notice = notice;
    this.card.show(isGiven ? painting : null, hasSafeColours(this.app), {
      hasMask: inputs.has("mask"),
      hasSketch: inputs.has("sketch"),
    });
    const sentence = notice || ofInputs || this.news;
    if (sentence) this.card.warn(sentence);
  }

  /** Draws again if the inputs lead elsewhere now. */
  follow() {
    if (this.drawn !== this.inputs.state) void this.redraw();
  }

  /** @param {Painting | null} stored @param {() => Promise<Blob | null>} photo */
  #openSheet(stored, photo = () => Promise.resolve(null)) {
    const { inputs } = this;
    return openSheet(stored, { mask: () => inputs.mask("auto"), sketch: () => inputs.sketch(), photo });
  }

  /** Takes what the node returned when it ran. @param {import("./inputs.mjs").Output} output */
  executed(output) {
    this.inputs.executed(output);
    void this.redraw();
    for (const other of attached) if (other !== this && other.painter === this.node) other.executed(output);
  }

  open() {
    return this.#current().#edit();
  }

  async #edit() {
    const { app, inputs } = this;
    const step = new UndoStep(app);
    await loadLanguage(app, this.api);
    const file = inputs.photo();
    const photo = () => file;
    const stored = await readPainting(this.text).catch(() => null);
    const { painting, notice, isGiven } = await this.#openSheet(stored, photo);
    return openEditor({
      map: painting,
      isGiven,
      history: recall(this.text, this, painting),
      notice: this.notice || notice,
      distinct: hasSafeColours(app),
      photo,
      mask: (space) => inputs.mask(space),
      sketch: () => inputs.sketch(),
      lost: offered,
      read: (file, space) => inputs.read(file, space),
      fit: (...order) => inputs.fit(...order),
      onStep: (now, history) => this.#save(now, history, step),
      marks: readMarks(this.node),
      onMarks: (marks) => this.#mark(marks, step),
      store: () => this.#storeWorkflow(),
      onDistinct: (isDistinct) => void setSafeColours(app, isDistinct),
      live: (wishes, listener) => new LiveRuns(app, this.api, this.painter, wishes, listener, () => this.saving.settled),
      onClose: () => this.saving.settled,
    });
  }

  /** @param {Painting} map @param {History} history @param {UndoStep} step */
  #save(map, history, step) {
    const snapshot = { steps: history.steps.slice(), done: history.done };
    this.saving.add(async () => {
      const text = await packer.write(map);
      keep(text, snapshot, this, map);
      this.news = "";
      this.#store(this.text, text);
      step.record();
      this.node.graph?.setDirtyCanvas?.(true, true);
    });
  }

  /** Saves the workflow. @returns {Promise<string>} what was done, in a sentence */
  async #storeWorkflow() {
    await this.saving.settled;
    const done = await saveWorkflow(this.app);
    return this.saving.failure || done;
  }

  /** @param {import("../tools/classes.mjs").Marks} marks @param {UndoStep} step */
  #mark(marks, step) {
    writeMarks(this.node, marks);
    step.record();
  }
}

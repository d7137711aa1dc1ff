/** The painter's widget: the painting's text, what the node shows of it, and the way into the editor. */

import { Card, HEIGHT } from "./card.mjs";
import { readPainting, writePainting } from "../map/codec.mjs";
import { UndoStep, addressOf, connectedPicture } from "./graph.mjs";
import { keep, recall } from "./memory.mjs";
import { hasSafeColours, setSafeColours } from "./settings.mjs";
import { openEditor } from "../editor/window.mjs";
import { t } from "../map/words.mjs";
import { loadLanguage } from "./language.mjs";

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../../scripts/api.js").ComfyApi} ComfyApi */
/** @typedef {import("../map/labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("../map/history.mjs").History} History */

export const TYPE = "MOGLE_PAINTING";
const MIDDLE = 1; // the mouse button

/** Those of nodes that are in a graph. @type {Set<PaintingWidget>} */
const living = new Set();

/** Draws every painting anew, in the colours that are wished now. */
export function redrawAll() {
  for (const painting of living) void painting.redraw();
}

export class PaintingWidget {
  /** @param {ComfyApp} app @param {ComfyApi} api @param {GraphNode} node @param {string} name */
  constructor(app, api, node, name) {
    this.app = app;
    this.api = api;
    this.node = node;
    this.text = "";
    this.notice = "";
    /** The values that are being packed. @type {Promise<void>} */
    this.packing = Promise.resolve();
    this.card = new Card(() => void this.open());
    this.#passOn(this.card.root);
    this.widget = node.addDOMWidget(name, TYPE, this.card.root, {
      getValue: () => this.text,
      setValue: (/** @type {unknown} */ value) => this.#set(value),
      getMinHeight: () => HEIGHT,
      hideOnZoom: false,
    });
    // A prompt that is queued right after a stroke waits until the stroke is in the value.
    this.widget.serializeValue = () => this.packing.then(() => this.text);
    this.#live(name);
    void this.redraw();
  }

  /** A press on the card would begin to move the node; what moves the graph goes on to it. @param {HTMLElement} root */
  #passOn(root) {
    root.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      if (event.button === MIDDLE) this.app.canvas?.processMouseDown?.(event);
    });
    root.addEventListener("wheel", (event) => this.app.canvas?.processMouseWheel?.(event), { passive: false });
  }

  /** From when the node comes into a graph until it leaves it. @param {string} name */
  #live(name) {
    const { node } = this;
    const [added, removed] = [node.onAdded, node.onRemoved];
    node.onAdded = (...given) => {
      added?.apply(node, given);
      living.add(this);
      this.#appear(`${node.id} ${name}`);
    };
    node.onRemoved = (...given) => {
      removed?.apply(node, given);
      living.delete(this);
    };
  }

  /**
   * The newer renderer keeps the element of a node that graph undo has replaced (1.35 to 1.58): put ours in its place.
   * @param {string} place
   */
  #appear(place) {
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

  /** Whose painting this one's button opens: if the node was replaced and its element is still seen, the new one's. */
  #heir() {
    if (living.has(this)) return this;
    return [...living].find((one) => one.node.id === this.node.id && one.#isShown()) ?? this;
  }

  /** @param {unknown} value */
  #set(value) {
    // Anything can stand in an edited file; what is no text is kept as its text, to be complained about.
    this.text = typeof value === "string" ? value : value == null ? "" : JSON.stringify(value);
    void this.redraw();
  }

  /** Draws the value; a value that came meanwhile wins. */
  async redraw() {
    const { text } = this;
    let [map, notice] = [/** @type {LabelMap | null} */ (null), ""];
    try {
      map = (await readPainting(text)) ?? (await readPainting(this.given ?? ""));
    } catch (error) {
      notice = t("{error} The canvas is empty.", { error: error instanceof Error ? error.message : error });
    }
    if (text !== this.text) return;
    this.notice = notice;
    this.card.show(map, hasSafeColours(this.app), text ? "" : t(", from the mask input"));
    if (notice) this.card.warn(notice);
  }

  /**
   * What the node sent when it ran.
   * @param {{mogle_photo?: {filename: string}[], mogle_mask?: string[]}} output
   */
  executed({ mogle_photo: photos, mogle_mask: masks }) {
    this.sent = photos?.[0];
    this.given = masks?.[0] ?? "";
    void this.redraw();
  }

  open() {
    return this.#heir().#edit();
  }

  #edit() {
    const step = new UndoStep(this.app);
    return loadLanguage(this.app, this.api)
      .then(() => readPainting(this.text))
      .catch(() => null)
      .then((map) =>
        openEditor({
          map,
          history: recall(this.text),
          notice: this.notice,
          distinct: hasSafeColours(this.app),
          photo: () => this.#photo(),
          mask: (space) => this.#mask(space),
          read: (file, space) => this.#read(file, space),
          onStep: (now, history) => this.#pack(now, history, step),
          onDistinct: (isDistinct) => void setSafeColours(this.app, isDistinct),
          onClose: () => this.packing,
        }),
      );
  }

  /** @param {LabelMap} map @param {History} history @param {UndoStep} step */
  #pack(map, history, step) {
    const known = { steps: history.steps.slice(), done: history.done };
    this.latest = map;
    const packed = async () => {
      if (this.latest !== map) return; // a later stroke is waiting already
      const text = await writePainting(map);
      keep(text, known, this);
      this.widget.value = text;
      step.notice();
      this.node.graph?.setDirtyCanvas?.(true, true);
    };
    this.packing = this.packing.then(packed).catch((error) => console.error("MoGLE painter:", error));
  }

  async #photo() {
    const address = connectedPicture(this.app, this.node, "image") ?? (this.sent && addressOf(this.sent));
    return address ? this.#fetched(address) : null;
  }

  /** @param {string} space */
  async #mask(space) {
    const address = connectedPicture(this.app, this.node, "mask");
    const file = address && (await this.#fetched(address));
    if (file) return this.#read(file, space);
    return readPainting(this.given ?? "");
  }

  /** @param {string} address */
  async #fetched(address) {
    const answer = await this.api.fetchApi(address);
    return answer.ok ? answer.blob() : null;
  }

  /** @param {Blob} file @param {string} space @returns {Promise<LabelMap>} */
  async #read(file, space) {
    const query = new URLSearchParams({ label_space: space });
    const answer = await this.api.fetchApi(`/mogle/painting?${query}`, { method: "POST", body: file });
    const silence = { error: t("The server answered {status}.", { status: answer.status }) };
    const found = await answer.json().catch(() => silence);
    if (found.error) throw new Error(found.error);
    return /** @type {LabelMap} */ (await readPainting(found.painting));
  }
}

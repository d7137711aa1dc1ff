/** The painter's widget: the painting's text, a small picture of it in the node, and the way into the editor. */

import { readPainting, writePainting } from "./codec.mjs";
import { maker } from "./dom.mjs";
import { UndoStep, addressOf, connectedPicture } from "./graph.mjs";
import { counts } from "./labelmap.mjs";
import { keep, recall } from "./memory.mjs";
import { remembered } from "./preferences.mjs";
import { show } from "./view.mjs";
import { openEditor } from "./window.mjs";

/** @typedef {import("../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../scripts/api.js").ComfyApi} ComfyApi */
/** @typedef {import("./labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("./history.mjs").History} History */

export const TYPE = "MOGLE_PAINTING";
const HEIGHT = 260;
/** What ComfyUI's older renderer leaves around a widget. */
const MARGIN = 20;

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
    const { root, canvas, caption } = this.#build(name);
    this.root = root;
    this.canvas = canvas;
    this.caption = caption;
    this.widget = node.addDOMWidget(name, TYPE, this.root, {
      getValue: () => this.text,
      setValue: (/** @type {unknown} */ value) => this.#set(value),
      getMinHeight: () => HEIGHT,
      hideOnZoom: false,
    });
    // A prompt that is queued right after a stroke waits until the stroke is in the value.
    this.widget.serializeValue = () => this.packing.then(() => this.text);
    this.#keepAlive(name);
    void this.#show();
  }

  /** @param {string} name */
  #build(name) {
    const make = maker(document);
    const canvas = make("canvas", { role: "img", "aria-label": "The painting", ondblclick: () => this.open() });
    Object.assign(canvas.style, {
      maxWidth: "100%",
      maxHeight: "100%",
      minHeight: "0",
      flex: "1 1 0",
      objectFit: "contain",
      imageRendering: "pixelated",
      borderRadius: "6px",
      background: "#0d0f12",
      cursor: "pointer",
    });
    const caption = make("div", { role: "status" });
    Object.assign(caption.style, {
      font: "11px/1.3 Inter, system-ui, sans-serif",
      color: "#9aa3b2",
      textAlign: "center",
      minHeight: "15px",
      overflow: "hidden",
      textOverflow: "ellipsis",
    });
    const button = make(
      "button",
      { type: "button", "aria-label": "Paint: open the editor", onclick: () => this.open() },
      "Paint",
    );
    Object.assign(button.style, {
      font: "600 12px Inter, system-ui, sans-serif",
      color: "#fff",
      background: "#2f6fde",
      border: "0",
      borderRadius: "6px",
      padding: "6px 10px",
      cursor: "pointer",
    });
    const root = make("div", { class: "mogle-painting", "data-mogle": name }, canvas, caption, button);
    Object.assign(root.style, {
      display: "flex",
      flexDirection: "column",
      gap: "6px",
      minHeight: `${HEIGHT - MARGIN}px`,
      height: "100%",
      boxSizing: "border-box",
    });
    // Otherwise a press on the picture would begin to move the node.
    root.addEventListener("pointerdown", (event) => event.stopPropagation());
    root.addEventListener("wheel", (event) => this.app.canvas?.processMouseWheel?.(event), { passive: false });
    return { root, canvas, caption };
  }

  /**
   * The newer renderer keeps the element of a node that graph undo has replaced (1.35 to 1.58): put ours in its place.
   * @param {string} name
   */
  #keepAlive(name) {
    const { node, root } = this;
    const added = node.onAdded;
    node.onAdded = (...given) => {
      added?.apply(node, given);
      root.setAttribute("data-mogle", `${node.id} ${name}`);
      let tries = 30;
      const look = () => {
        if (root.isConnected || !tries--) return;
        const old = [...document.querySelectorAll(".mogle-painting")].find(
          (one) => one.getAttribute("data-mogle") === `${node.id} ${name}`,
        );
        if (old && this.#isCurrent()) old.replaceWith(root);
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(() => requestAnimationFrame(look));
    };
  }

  #isCurrent() {
    return this.app.canvas?.graph?.getNodeById(this.node.id) === this.node;
  }

  /** @param {unknown} value */
  #set(value) {
    // Anything can stand in an edited file; what is no text is kept as its text, to be complained about.
    this.text = typeof value === "string" ? value : value == null ? "" : JSON.stringify(value);
    void this.#show();
  }

  /** Draws the value; a value that came meanwhile wins. */
  async #show() {
    const { text } = this;
    let [map, notice] = [/** @type {LabelMap | null} */ (null), ""];
    try {
      map = (await readPainting(text)) ?? (await readPainting(this.given ?? ""));
    } catch (error) {
      notice = `${error instanceof Error ? error.message : error} The canvas is empty.`;
    }
    if (text !== this.text) return;
    this.notice = notice;
    if (map) show(this.canvas, map, remembered().distinct);
    else [this.canvas.width, this.canvas.height] = [512, 512];
    const kinds = map && counts(map).filter(Boolean).length;
    const source = map && !text ? ", from the mask input" : "";
    this.caption.textContent =
      notice || (map ? `${map.width} × ${map.height}, ${kinds} classes${source}` : "Nothing is painted yet");
    this.caption.style.color = notice ? "#ff9a9a" : "#9aa3b2";
  }

  /**
   * What the node sent when it ran.
   * @param {{mogle_photo?: {filename: string}[], mogle_mask?: string[]}} output
   */
  executed({ mogle_photo: photos, mogle_mask: masks }) {
    this.sent = photos?.[0];
    this.given = masks?.[0] ?? "";
    void this.#show();
  }

  open() {
    const step = new UndoStep(this.app);
    return readPainting(this.text)
      .catch(() => null)
      .then((map) =>
        openEditor({
          map,
          history: recall(this.text),
          notice: this.notice,
          photo: () => this.#photo(),
          mask: (space) => this.#mask(space),
          read: (file, space) => this.#read(file, space),
          onStep: (now, history) => this.#pack(now, history, step),
          onClose: () => this.packing.then(() => this.#show()), // the colours may be others now
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
      keep(text, known);
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
    const found = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
    if (found.error) throw new Error(found.error);
    return /** @type {LabelMap} */ (await readPainting(found.painting));
  }
}

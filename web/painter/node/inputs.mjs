/** What is connected to a painter's inputs: photo, mask and sketch, before the first run where the page has them. */

import { readPainting, writePainting } from "../map/codec.mjs";
import { Refusal } from "../map/refusal.mjs";
import { t } from "../map/words.mjs";
import { addressOf, connectedPicture, isConnected } from "./graph.mjs";

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../../scripts/api.js").ComfyApi} ComfyApi */
/** @typedef {import("../map/labelmap.mjs").LabelMap} LabelMap */
/** @typedef {"image" | "mask" | "sketch"} Input */
/** @typedef {{filename: string}} File */

/** What the node sends to the page when it runs. */
/** @typedef {{mogle_photo?: File[], mogle_mask?: string[], mogle_sketch?: File[]}} Output */

/** The status of a refusal; 413 and 429 are about the server. */
const REFUSED = 400;

export class Inputs {
  /** @type {Output} */
  #output = {};

  /**
   * @param {ComfyApp} app @param {ComfyApi} api @param {GraphNode} node
   * @param {GraphNode} [host]  the subgraph node that the node is in, if its painting is a widget there
   */
  constructor(app, api, node, host) {
    this.app = app;
    this.api = api;
    this.node = node;
    this.host = host;
  }

  /** @param {Output} output */
  executed(output) {
    this.#output = output;
  }

  /** @param {Input} input */
  has(input) {
    return isConnected(this.node, input, this.host);
  }

  /** Changes whenever the page would read something else from the inputs of map and drawing. */
  get state() {
    const addresses = /** @type {const} */ (["mask", "sketch"]).map((input) => this.#address(input));
    return JSON.stringify([addresses, this.has("mask"), this.has("sketch")]);
  }

  /** @param {Input} input */
  #address(input) {
    return connectedPicture(this.app, this.node, input, this.host);
  }

  photo() {
    return this.#picture("image", this.#output.mogle_photo?.[0]);
  }

  sketch() {
    return this.#picture("sketch", this.#output.mogle_sketch?.[0]);
  }

  /** @param {Input} input @param {File} [sent]  by the node's last run */
  async #picture(input, sent) {
    if (!this.has(input)) return null;
    const address = this.#address(input) ?? (sent && addressOf(sent));
    return address ? this.#fetch(address) : null;
  }

  /** @param {string} space @returns {Promise<LabelMap | null>} null if it is not connected, or must be computed first */
  async mask(space) {
    if (!this.has("mask")) return null;
    const address = this.#address("mask");
    const file = address && (await this.#fetch(address));
    return file ? this.read(file, space) : readPainting(this.#output.mogle_mask?.[0] ?? "");
  }

  /** @param {string} address */
  async #fetch(address) {
    const answer = await this.api.fetchApi(address);
    return answer.ok ? answer.blob() : null;
  }

  /** @param {Blob} file @param {string} space @returns {Promise<LabelMap>} */
  async read(file, space) {
    const query = new URLSearchParams({ label_space: space });
    return this.#ask(`/mogle/painting?${query}`, file);
  }

  /** @type {import("../editor/parts.mjs").Fit} */
  async fit({ width, height, ids }, donor, part, locked) {
    const painting = await writePainting({ width, height, ids });
    return this.#ask("/mogle/painting/part", JSON.stringify({ painting, donor, part, locked }));
  }

  /** Posts to the server, which answers with a painting or an error. @param {string} address @param {BodyInit} body */
  async #ask(address, body) {
    const answer = await this.api.fetchApi(address, { method: "POST", body });
    const failure = { error: t("The server answered with status {status}.", { status: answer.status }) };
    const result = await answer.json().catch(() => failure);
    if (result.error) throw answer.status === REFUSED ? new Refusal(result.error) : new Error(result.error);
    return /** @type {LabelMap} */ (await readPainting(result.painting));
  }
}

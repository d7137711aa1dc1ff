/** Live: queues the way from the painter to the picture after each stroke, and reports what comes back. */

import { t } from "../map/words.mjs";
import { addressOf } from "./graph.mjs";
import { livePrompt, painterIds, targetsOf } from "./liveprompt.mjs";
import { LiveServer, sentenceOf } from "./liveserver.mjs";
import { LiveSocket } from "./livesocket.mjs";
import { Schedule } from "./schedule.mjs";

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/app.js").GraphNode} GraphNode */
/** @typedef {import("../../../../scripts/api.js").ComfyApi} ComfyApi */
/** @typedef {import("../editor/live.mjs").LiveListener} LiveListener */
/** @typedef {import("../editor/live.mjs").LiveWishes} LiveWishes */
/** @typedef {import("./liveprompt.mjs").Prompt} Prompt */

/** How long a run may be silent before the server is asked what became of it. */
const SILENCE_MS = 2000;
/** How long to wait for the connection; without one, the run is followed by asking. */
const PATIENCE_MS = 3000;
/** Previews of shorter runs would only flicker. */
const PREVIEW_AFTER_MS = 700;
/** If a run was shorter than this, the next one makes no previews: they take a tenth of its time. */
const SHORT_MS = 1500;

/**
 * A run that the server has.
 * @typedef {object} Run
 * @property {string} id
 * @property {string} target
 * @property {number} since  when it began to execute; Infinity while it waits
 * @property {boolean} isSampled  whether a sampler, or another long node, has reported
 * @property {number} heard  when the server last said something about it
 * @property {() => void} end  called when the server no longer has it
 */

/** The last chosen target of each node, by their ids; until the page unloads. @type {Map<string, string>} */
const choices = new Map();

export class LiveRuns {
  /** @type {Run | null} */
  #run = null;
  /** How long the last run took that the sampler was part of. */
  #took = Infinity;

  /**
   * @param {ComfyApp} app @param {ComfyApi} api @param {GraphNode} node
   * @param {LiveWishes} wishes @param {LiveListener} listener
   * @param {() => Promise<unknown>} saved  settles when the last stroke is in the workflow; ComfyUI itself does not wait
   *   for the value of a subgraph node's widget
   */
  constructor(app, api, node, wishes, listener, saved) {
    this.app = app;
    this.api = api;
    this.node = node;
    this.wishes = wishes;
    this.listener = listener;
    this.saved = saved;
    /** The numbers of the last picture that was asked for, and of the last one that was shown. */
    this.asked = 0;
    this.shown = 0;
    const clientId = newId();
    this.server = new LiveServer(api, clientId);
    this.schedule = new Schedule((signal) => this.#once(signal), after);
    this.socket = new LiveSocket(
      socketAddress(api, clientId),
      {
        onEvent: (type, data) => this.#hear(type, data),
        onPreview: (picture) => this.#preview(picture),
        onReopen: () => this.schedule.touch(),
        onLost: () => this.listener.onFailure(t("ComfyUI does not answer. Live goes on when it does.")),
      },
      { connect: (address) => new WebSocket(address), after },
    );
  }

  touch() {
    this.schedule.touch();
  }

  /** @param {string} id  of a node that shows or saves the picture */
  choose(id) {
    choices.set(String(this.node.id), id);
    this.touch();
  }

  /** Cancels what this editor queued. */
  close() {
    this.schedule.stop();
    this.isClosed = true;
    if (!this.#run) this.socket.close();
  }

  /** One run, from the question to the end. @param {AbortSignal} signal */
  async #once(signal) {
    try {
      await this.#ask(signal);
    } catch (error) {
      this.listener.onFailure(t("ComfyUI does not answer. Live goes on when it does."));
      console.debug("MoGLE painter, Live:", error);
    } finally {
      if (!this.#run) this.listener.onRest();
      if (this.isClosed) this.socket.close();
    }
  }

  /** @param {AbortSignal} signal */
  async #ask(signal) {
    await this.saved();
    if (signal.aborted) return;
    const { output: prompt, workflow } = await this.app.graphToPrompt();
    const isInSubgraph = this.node.graph?.isRootGraph === false;
    const targets = targetsOf(prompt, painterIds(prompt, String(this.node.id), isInSubgraph), definitionOf);
    if (signal.aborted) return;
    const target = targets.find(({ id }) => id === choices.get(String(this.node.id))) ?? targets[0];
    this.listener.onTargets(targets, target?.id ?? "");
    if (!target) return this.listener.onFailure(t("Nothing shows the picture. Connect Preview Image or Save Image."));
    this.listener.onQueue();
    await Promise.race([this.socket.opened, pause(PATIENCE_MS)]);
    if (signal.aborted) return;
    await this.#follow({ id: newId(), workflow, target: target.id }, prompt, signal);
  }

  /**
   * Queues a run and waits until the server no longer has it.
   * @param {{id: string, workflow: unknown, target: string}} asked @param {Prompt} prompt @param {AbortSignal} signal
   */
  async #follow({ id, workflow, target }, prompt, signal) {
    const ended = new Promise((resolve) => {
      this.#run = { id, target, since: Infinity, isSampled: false, heard: performance.now(), end: () => resolve(undefined) };
    });
    const watch = setInterval(() => void this.#ifSilent(), SILENCE_MS / 2);
    const cancel = () => void this.#cancel(id);
    try {
      const live = livePrompt(prompt, target, this.wishes.steps(), definitionOf);
      const refusal = await this.server.queue({ id, prompt: live, workflow, target, hasPreviews: this.#took > SHORT_MS });
      if (refusal) return this.listener.onFailure(refusal);
      signal.addEventListener("abort", cancel);
      if (signal.aborted) cancel();
      await ended;
    } finally {
      signal.removeEventListener("abort", cancel);
      clearInterval(watch);
      this.#run = null;
    }
  }

  /** @param {string} id */
  async #cancel(id) {
    try {
      await this.server.cancel(id);
      if (this.#run?.id === id) await this.#inquire(this.#run);
    } catch {
      // The server is gone: `#ifSilent` asks again until it answers.
    }
  }

  async #ifSilent() {
    const run = this.#run;
    if (!run || performance.now() - run.heard < SILENCE_MS) return;
    run.heard = performance.now();
    await this.#inquire(run).catch(() => {});
  }

  /** Asks what became of a run: a waiting one that somebody removed from the queue sends nothing. @param {Run} run */
  async #inquire(run) {
    const fate = await this.server.fate(run.id, run.target);
    if (!fate || run !== this.#run) return;
    if (!fate.isGone && fate.files[0]) await this.#show(fate.files[0]);
    if (!fate.isGone && fate.sentence) this.listener.onFailure(fate.sentence);
    run.end();
  }

  /** @param {string} type @param {Record<string, any>} data */
  #hear(type, data) {
    const run = this.#run;
    if (!run || data.prompt_id !== run.id) return;
    run.heard = performance.now();
    if (type === "execution_start") run.since = run.heard;
    else if (type === "progress") this.#progress(run, data.value / data.max);
    else if (type === "executed") this.#executed(run, data);
    else if (type === "execution_error") this.listener.onFailure(sentenceOf(data));
    if (type === "execution_success" && run.isSampled) this.#took = run.heard - run.since;
    if (["execution_error", "execution_interrupted", "execution_success"].includes(type)) run.end();
  }

  /** @param {Run} run @param {number} share */
  #progress(run, share) {
    run.isSampled = true;
    this.listener.onProgress(share);
  }

  /** @param {Run} run @param {Record<string, any>} data */
  #executed({ target }, { node, display_node: shown, output }) {
    const [file] = node === target || shown === target ? (output?.images ?? []) : [];
    if (file) void this.#show(file).catch(() => {});
  }

  /** @param {import("./liveserver.mjs").File} file */
  async #show(file) {
    const order = ++this.asked;
    const answer = await this.api.fetchApi(addressOf(file));
    const picture = answer.ok && (await answer.blob());
    if (!picture || order < this.shown) return; // a newer picture was faster
    this.shown = order;
    this.listener.onPicture(picture);
  }

  /** @param {Blob} picture */
  #preview(picture) {
    const isLong = this.#run && performance.now() - this.#run.since > PREVIEW_AFTER_MS;
    if (isLong) this.listener.onPreview(picture);
  }
}

/** @type {import("./schedule.mjs").After} */
function after(ms, call) {
  const clock = setTimeout(call, ms);
  return () => clearTimeout(clock);
}

/** @param {number} ms @returns {Promise<void>} */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @param {string} classType @returns {import("./liveprompt.mjs").Definition | undefined} */
function definitionOf(classType) {
  return /** @type {any} */ (globalThis).LiteGraph?.registered_node_types?.[classType]?.nodeData;
}

/** @param {ComfyApi} api @param {string} clientId */
function socketAddress({ api_host: host = location.host, api_base: base = "" }, clientId) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${host}${base}/ws?clientId=${clientId}`;
}

/** A random UUID, also on a page without https, where `crypto.randomUUID` is missing. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** What Live asks of the server: to queue a run, to cancel it, and what became of it. */

import { t } from "../map/words.mjs";

/** @typedef {import("../../../../scripts/api.js").ComfyApi} ComfyApi */
/** @typedef {import("./liveprompt.mjs").Prompt} Prompt */
/** @typedef {{filename: string, subfolder?: string, type?: string}} File */

/**
 * What became of a run: null while the server has it; `isGone` if the server does not know it.
 * @typedef {null | {isGone: true} | {isGone: false, files: File[], sentence: string}} Fate
 */

/** Whether the server cancels a run by its id (0.33 does, 0.3.64 does not). Asked once a page. */
let canCancel = true;

export class LiveServer {
  /** @param {ComfyApi} api @param {string} clientId */
  constructor(api, clientId) {
    this.api = api;
    this.clientId = clientId;
  }

  /**
   * Queues a run at the back of the queue.
   * @param {{id: string, prompt: Prompt, workflow: unknown, target: string, hasPreviews: boolean}} run
   * @returns {Promise<string>} the server's sentence if it refuses the run, or ""
   */
  async queue({ id, prompt, workflow, target, hasPreviews }) {
    const answer = await this.#post("/prompt", {
      client_id: this.clientId,
      prompt_id: id,
      prompt,
      partial_execution_targets: [target],
      extra_data: { extra_pnginfo: { workflow }, preview_method: hasPreviews ? "auto" : "none" },
    });
    return answer.ok ? "" : refusal(await answer.json().catch(() => ({})), prompt, answer.status);
  }

  /**
   * Cancels a run, waiting or running. A server that cannot cancel a running one by its id finishes it: its general
   * interrupt could hit the next prompt, which may be somebody else's.
   * @param {string} id
   */
  async cancel(id) {
    if (canCancel) {
      const { status } = await this.#post(`/jobs/${id}/cancel`, {});
      canCancel = status !== 404 && status !== 405;
    }
    if (!canCancel) await this.#post("/queue", { delete: [id] });
  }

  /** @param {string} id @param {string} target @returns {Promise<Fate>} */
  async fate(id, target) {
    const ended = await this.#ended(id, target);
    if (ended) return ended;
    const { queue_running: running, queue_pending: pending } = await this.#get("/queue");
    if ([...running, ...pending].some((/** @type {unknown[]} */ item) => item[1] === id)) return null;
    return (await this.#ended(id, target)) ?? { isGone: true }; // it may have ended between the two answers
  }

  /** @param {string} id @param {string} target @returns {Promise<Fate>} */
  async #ended(id, target) {
    const entry = (await this.#get(`/history/${id}`))[id];
    if (!entry) return null;
    const [, failure] =
      entry.status?.messages?.find((/** @type {string[]} */ [type]) => type === "execution_error") ?? [];
    return {
      isGone: false,
      files: entry.outputs?.[target]?.images ?? [],
      sentence: failure ? sentenceOf(failure) : "",
    };
  }

  /** @param {string} address @returns {Promise<any>} */
  async #get(address) {
    return (await this.api.fetchApi(address, { cache: "no-store" })).json();
  }

  /** @param {string} address @param {unknown} content */
  #post(address, content) {
    const headers = { "Content-Type": "application/json" };
    return this.api.fetchApi(address, { method: "POST", headers, body: JSON.stringify(content) });
  }
}

/**
 * The sentence of a node that failed.
 * @param {{exception_message?: string, node_type?: string}} failure
 */
export function sentenceOf({ exception_message: message, node_type: type }) {
  return message?.trim() || t("{node} failed.", { node: type ?? "?" });
}

/**
 * The first reason for which the server refuses a prompt, and the node's title.
 * @param {{error?: {message?: string}, node_errors?: Record<string, {errors?: Refusal[]}>}} answer
 * @param {Prompt} prompt
 * @param {number} status
 *
 * @typedef {{type?: string, message?: string, details?: string}} Refusal
 */
export function refusal({ error, node_errors: nodes = {} }, prompt, status) {
  for (const [id, { errors = [] }] of Object.entries(nodes)) {
    for (const { type, message = "", details = "" } of errors) {
      const own = type === "custom_validation_failed" && /^\w+ - ([^]+)$/.exec(details)?.[1];
      const sentence = own || [message, details].filter(Boolean).join(": ");
      return `${sentence} (${prompt[id]?._meta?.title ?? id})`;
    }
  }
  return error?.message || t("The server answered with status {status}.", { status });
}

/** The prompt that Live queues, made from the page's. Pure: the graph and the page's prompt stay as they are. */

/** @typedef {{class_type: string, inputs: Record<string, unknown>, _meta?: {title?: string}}} PromptNode */
/** A workflow in API form, by node id. @typedef {Record<string, PromptNode>} Prompt */

/**
 * What ComfyUI says about a node class.
 * @typedef {{output_node?: boolean, input?: {required?: Record<string, unknown>, optional?: Record<string, unknown>}}}
 *   Definition
 */
/** @typedef {(classType: string) => Definition | undefined} Definitions */

/** A node that shows or saves the picture. @typedef {{id: string, title: string}} Target */

const PAINTER = "MoGLEMaskPainter";
const [PREVIEW, SAVE] = ["PreviewImage", "SaveImage"];
/** A node with one of these inputs and `steps` is part of the sampling. */
const OF_SAMPLING = ["model", "scheduler", "sampler_name", "denoise", "sigma_max"];

/**
 * The ids of a graph's painter in the prompt. A node in a subgraph has an id for each place of the subgraph: "5:2".
 * @param {Prompt} prompt @param {string} nodeId @param {boolean} isInSubgraph
 */
export function painterIds(prompt, nodeId, isInSubgraph) {
  return Object.keys(prompt).filter((id) => {
    const isHere = isInSubgraph ? id.endsWith(`:${nodeId}`) : id === nodeId;
    return isHere && prompt[id].class_type === PAINTER;
  });
}

/**
 * The nodes that show or save a picture made from a painter, the farthest first: a preview of the mask is nearer.
 * @param {Prompt} prompt @param {readonly string[]} painters @param {Definitions} definitions
 * @returns {Target[]}
 */
export function targetsOf(prompt, painters, definitions) {
  const distance = distances(prompt, painters);
  const isSave = (/** @type {string} */ id) => Number(prompt[id].class_type === SAVE);
  return Object.keys(prompt)
    .filter((id) => distance(id) > 0 && pictureInput(prompt[id], definitions) !== null)
    .sort((a, b) => distance(b) - distance(a) || isSave(b) - isSave(a))
    .map((id) => ({ id, title: prompt[id]._meta?.title ?? prompt[id].class_type }));
}

/**
 * The whole prompt, so that the server's cache keeps the nodes that do not run, with Preview Image in place of each
 * node on the way to the target that would save a picture.
 * @param {Prompt} prompt @param {string} target @param {number} steps  0: as in the workflow
 * @param {Definitions} definitions
 * @returns {Prompt}
 */
export function livePrompt(prompt, target, steps, definitions) {
  const onTheWay = ancestors(prompt, target);
  const entries = Object.entries(prompt).map(([id, node]) => {
    if (!onTheWay.has(id)) return [id, node];
    const quiet = withoutFile(node, id === target, definitions);
    return [id, steps ? withSteps(quiet, steps) : quiet];
  });
  return Object.fromEntries(entries);
}

/** @param {PromptNode} node @param {boolean} isTarget @param {Definitions} definitions @returns {PromptNode} */
function withoutFile(node, isTarget, definitions) {
  if (node.class_type === PREVIEW || !(isTarget || node.class_type === SAVE)) return node;
  const input = pictureInput(node, definitions);
  if (input === null) return node;
  return { ...node, class_type: PREVIEW, inputs: { images: node.inputs[input] } };
}

/** The input with an output node's picture, or null. @param {PromptNode} node @param {Definitions} definitions */
function pictureInput({ class_type: type, inputs }, definitions) {
  const { output_node: isOutput, input } = definitions(type) ?? {};
  if (!isOutput || type === PAINTER) return null;
  const specs = Object.entries({ ...input?.required, ...input?.optional });
  const names = specs.filter(([, spec]) => Array.isArray(spec) && spec[0] === "IMAGE").map(([name]) => name);
  return names.find((name) => isLink(inputs[name])) ?? null;
}

/** Fewer steps, and the same part of them. @param {PromptNode} node @param {number} steps @returns {PromptNode} */
function withSteps(node, steps) {
  const { inputs } = node;
  const isSampling = OF_SAMPLING.some((name) => name in inputs);
  if (!isSampling || !("steps" in inputs)) return node;
  const before = typeof inputs.steps === "number" && inputs.steps > 0 ? inputs.steps : null;
  const parts = ["start_at_step", "end_at_step"].flatMap((name) => {
    const at = inputs[name];
    return typeof at === "number" && before ? [[name, Math.round((Math.min(at, before) * steps) / before)]] : [];
  });
  return { ...node, inputs: { ...inputs, steps, ...Object.fromEntries(parts) } };
}

/** @param {unknown} value @returns {value is [string, number]} */
function isLink(value) {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "number";
}

/** @param {PromptNode} node @returns {string[]} the nodes that it takes something from */
function sourcesOf({ inputs }) {
  return Object.values(inputs)
    .filter(isLink)
    .map(([id]) => id);
}

/** @param {Prompt} prompt @param {string} target @returns {Set<string>} the target and all that leads to it */
function ancestors(prompt, target) {
  const found = new Set([target]);
  for (const id of found) {
    for (const source of sourcesOf(prompt[id])) if (source in prompt) found.add(source);
  }
  return found;
}

/**
 * How many links lie between a painter and a node at most; 0 for a painter, -1 without a way.
 * @param {Prompt} prompt @param {readonly string[]} painters
 */
function distances(prompt, painters) {
  const known = new Map(painters.map((id) => [id, 0]));
  /** @type {(id: string) => number} */
  const distance = (id) => {
    const before = known.get(id);
    if (before !== undefined) return before;
    known.set(id, -1); // also ends a circle
    const farthest = id in prompt ? Math.max(-1, ...sourcesOf(prompt[id]).map(distance)) : -1;
    const result = farthest < 0 ? -1 : farthest + 1;
    known.set(id, result);
    return result;
  };
  return distance;
}

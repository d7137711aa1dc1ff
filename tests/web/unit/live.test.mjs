/** Live's runs against a server that the tests play: what is asked of it, and what reaches the pane. */

import assert from "node:assert/strict";
import test from "node:test";

const PAINTER = { class_type: "MoGLEMaskPainter", inputs: {} };
const SAVE = { class_type: "SaveImage", inputs: { images: ["1", 0] }, _meta: { title: "Save" } };
const definition = { output_node: true, input: { required: { images: ["IMAGE"] } } };

globalThis.location ??= { protocol: "http:", host: "there" };
globalThis.LiteGraph = { registered_node_types: { SaveImage: { nodeData: definition } } };

/** The connection, which opens when it is asked to. */
class FakeSocket {
  static all = [];

  constructor(address) {
    this.address = address;
    FakeSocket.all.push(this);
    setImmediate(() => this.onopen());
  }

  tell(type, data) {
    this.onmessage({ data: JSON.stringify({ type, data }) });
  }

  close() {
    this.isClosed = true;
  }
}
globalThis.WebSocket = FakeSocket;

const { LiveRuns } = await import("../../../web/painter/node/live.mjs");

const json = (content, status = 200) => new Response(JSON.stringify(content), { status });

/** A server with a queue. `cancels`: by id, as 0.33; `refusal`: its answer to a prompt. */
function fakeServer({ cancels = true, refusal = null } = {}) {
  const server = { posts: [], pending: [], running: null, history: {} };
  const remove = (id) => (server.pending = server.pending.filter((one) => one !== id));
  server.fetchApi = async (address, { method = "GET", body } = {}) => {
    const content = body && JSON.parse(body);
    if (method === "POST") server.posts.push([address, content]);
    if (address === "/prompt" && refusal) return json(refusal, 400);
    if (address === "/prompt") server.pending.push(content.prompt_id);
    else if (address === "/queue" && content) content.delete.forEach(remove);
    else if (address === "/queue") {
      const items = (ids) => ids.filter(Boolean).map((id) => [0, id, {}]);
      return json({ queue_running: items([server.running]), queue_pending: items(server.pending) });
    } else if (address.startsWith("/jobs/")) {
      if (!cancels) return json({}, 405);
      remove(address.split("/")[2]);
      return json({ cancelled: true });
    } else if (address.startsWith("/history/")) {
      const id = address.split("/").at(-1);
      return json(id in server.history ? { [id]: server.history[id] } : {});
    } else if (address.startsWith("/view?")) return new Response(address);
    return json({});
  };
  /** The runs that were queued, by id. */
  server.queued = () => server.posts.filter(([address]) => address === "/prompt").map(([, content]) => content);
  return server;
}

/** Runs of a painter at a server, and what they reported. */
function live(server, prompt = { 1: PAINTER, 2: SAVE }, saved = () => Promise.resolve()) {
  const reports = [];
  const names = ["Targets", "Queue", "Progress", "Preview", "Picture", "Failure", "Rest"];
  const listener = Object.fromEntries(names.map((name) => [`on${name}`, (...given) => reports.push([name, ...given])]));
  const app = { graphToPrompt: async () => ({ output: prompt, workflow: { nodes: [] } }) };
  const runs = new LiveRuns(app, server, { id: 1, graph: { isRootGraph: true } }, { steps: () => 0 }, listener, saved);
  return {
    runs,
    reports,
    socket: FakeSocket.all.at(-1),
    sentences: () => reports.filter(([name]) => name === "Failure"),
  };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {() => boolean} isSo */
async function until(isSo) {
  for (let i = 0; i < 1000; i++) {
    if (isSo()) return;
    await pause(5);
  }
  assert.fail("it did not become so");
}

test("a stroke queues the whole prompt for its target at the back, and the picture comes back", async () => {
  const server = fakeServer();
  const { runs, reports, socket } = live(server);
  runs.touch();
  await until(() => server.pending.length === 1);
  const [queued] = server.queued();
  assert.match(queued.prompt_id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(socket.address.endsWith(`/ws?clientId=${queued.client_id}`));
  assert.deepEqual(queued.partial_execution_targets, ["2"]);
  assert.deepEqual(Object.keys(queued.prompt), ["1", "2"]);
  assert.equal(queued.prompt[2].class_type, "PreviewImage");
  assert.ok(!("front" in queued) && !("number" in queued));
  const about = { prompt_id: queued.prompt_id };
  socket.tell("execution_start", about);
  socket.tell("progress", { value: 2, max: 8, ...about });
  socket.tell("progress", { value: 5, max: 8, prompt_id: "another" });
  socket.tell("executed", { node: "1", output: { images: [{ filename: "mask.png" }] }, ...about });
  socket.tell("executed", { node: "2", output: { images: [{ filename: "a.png", type: "temp" }] }, ...about });
  socket.tell("execution_success", about);
  await until(() => reports.some(([name]) => name === "Picture"));
  const picture = reports.find(([name]) => name === "Picture")[1];
  assert.match(await picture.text(), /filename=a\.png.*type=temp/);
  assert.deepEqual(
    reports.map(([name]) => name).filter((name) => name !== "Picture"),
    ["Targets", "Queue", "Progress", "Rest"],
  );
  assert.equal(reports.find(([name]) => name === "Progress")[1], 0.25);
  runs.close();
  assert.ok(socket.isClosed);
});

test("previews are asked for until a run was short", async () => {
  const server = fakeServer();
  const { runs, socket } = live(server);
  const methods = [];
  for (const isSampled of [false, true, true]) {
    runs.touch();
    await until(() => server.pending.length === 1);
    const { prompt_id, extra_data } = server.queued().at(-1);
    methods.push(extra_data.preview_method);
    socket.tell("execution_start", { prompt_id });
    if (isSampled) socket.tell("progress", { value: 1, max: 8, prompt_id });
    socket.tell("execution_success", { prompt_id });
    server.pending.length = 0;
    await pause(20);
  }
  assert.deepEqual(methods, ["auto", "auto", "none"]); // what only came from the cache says nothing
  runs.close();
});

test("a run begins when the stroke is in the workflow", async () => {
  const server = fakeServer();
  let save = () => {};
  const saving = new Promise((resolve) => (save = () => resolve(undefined)));
  let isAsked = false;
  const { runs } = live(server, undefined, () => {
    isAsked = true;
    return saving;
  });
  const { app } = runs;
  let isSaved = false;
  const { graphToPrompt } = app;
  app.graphToPrompt = () => (assert.ok(isSaved), graphToPrompt());
  runs.touch();
  await until(() => isAsked);
  isSaved = true;
  save();
  await until(() => server.queued().length === 1);
  runs.close();
});

test("a newer stroke takes the waiting run from the queue, and nobody else's", async () => {
  const server = fakeServer();
  server.running = "somebody's";
  server.pending.push("another's");
  const { runs } = live(server);
  runs.touch();
  await until(() => server.pending.length === 2);
  const [first] = server.queued();
  runs.touch();
  await until(() => server.queued().length === 2);
  const [, second] = server.queued();
  assert.deepEqual(server.pending, ["another's", second.prompt_id]);
  assert.deepEqual(
    server.posts.map(([address]) => address),
    ["/prompt", `/jobs/${first.prompt_id}/cancel`, "/prompt"],
  );
  runs.close();
  await until(() => server.pending.length === 1);
  assert.deepEqual([server.running, server.pending], ["somebody's", ["another's"]]);
});

test("a run that somebody removed from the queue is over when the server is asked", async () => {
  const server = fakeServer();
  const { runs, reports } = live(server);
  runs.touch();
  await until(() => server.pending.length === 1);
  server.pending.length = 0;
  await until(() => reports.some(([name]) => name === "Rest"));
  runs.close();
});

test("a run whose messages were lost is found in the history", async () => {
  const server = fakeServer();
  const { runs, reports, sentences } = live(server);
  runs.touch();
  await until(() => server.pending.length === 1);
  const [id] = server.pending.splice(0);
  const messages = [["execution_error", { exception_message: "The mask is empty.\n" }]];
  server.history[id] = { outputs: {}, status: { messages } };
  await until(() => reports.some(([name]) => name === "Rest"));
  assert.deepEqual(sentences(), [["Failure", "The mask is empty."]]);
  runs.close();
});

test("a server that restarts gets the run again, and the lost one does not block it", async () => {
  const server = fakeServer();
  const { runs, socket, sentences } = live(server);
  runs.touch();
  await until(() => server.pending.length === 1);
  const [first] = server.pending.splice(0);
  socket.onclose();
  assert.equal(sentences().length, 1);
  await until(() => server.queued().length === 2);
  assert.notEqual(server.queued()[1].prompt_id, first);
  runs.close();
});

test("the sentence of a refused prompt comes first, then the node's title", async () => {
  const errors = [
    { type: "custom_validation_failed", message: "Custom validation failed", details: "painting - It is torn." },
  ];
  const server = fakeServer({ refusal: { error: { message: "no" }, node_errors: { 2: { errors } } } });
  const { runs, sentences } = live(server);
  runs.touch();
  await until(() => sentences().length === 1);
  assert.deepEqual(sentences(), [["Failure", "It is torn. (Save)"]]);
  runs.close();
});

test("without a node that shows the picture a sentence says so, and nothing is queued", async () => {
  const server = fakeServer();
  const { runs, sentences } = live(server, { 1: PAINTER });
  runs.touch();
  await until(() => sentences().length === 1);
  assert.deepEqual(server.posts, []);
  runs.close();
});

test("a server that cannot cancel by id finishes the run, and only a waiting one is removed", async () => {
  // Last: the page remembers what its server can do.
  const server = fakeServer({ cancels: false });
  const { runs, socket } = live(server);
  runs.touch();
  await until(() => server.pending.length === 1);
  const [first] = server.pending.splice(0);
  server.running = first;
  runs.touch();
  await pause(400);
  assert.equal(server.queued().length, 1, "it waits for the run");
  assert.ok(server.posts.every(([address]) => !address.includes("interrupt")));
  server.running = null;
  socket.tell("execution_success", { prompt_id: first });
  await until(() => server.queued().length === 2);
  runs.touch();
  await until(() => server.queued().length === 3);
  assert.equal(server.pending.length, 1);
  runs.close();
});

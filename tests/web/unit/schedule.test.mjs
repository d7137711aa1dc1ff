/** When Live runs, by a clock that the tests turn and runs that the tests end. */

import assert from "node:assert/strict";
import test from "node:test";

import { REST_MS, Schedule } from "../../../web/painter/node/schedule.mjs";

/** A schedule, its clock, and its runs in order. */
function workshop() {
  let now = 0;
  const clocks = new Set();
  const after = (ms, call) => {
    const clock = { at: now + ms, call };
    clocks.add(clock);
    return () => clocks.delete(clock);
  };
  const pass = (ms) => {
    now += ms;
    for (const clock of [...clocks].filter(({ at }) => at <= now)) {
      clocks.delete(clock);
      clock.call();
    }
  };
  const runs = [];
  const schedule = new Schedule((signal) => {
    return new Promise((resolve, reject) => runs.push({ signal, end: resolve, fail: reject }));
  }, after);
  return { schedule, pass, runs, clocks };
}

/** Until what follows the end of a run has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a run begins when the painter has rested for a quarter of a second", () => {
  const { schedule, pass, runs } = workshop();
  assert.equal(REST_MS, 250);
  schedule.touch();
  pass(249);
  assert.equal(runs.length, 0);
  schedule.touch();
  pass(249);
  assert.equal(runs.length, 0);
  pass(1);
  assert.equal(runs.length, 1);
  pass(10_000);
  assert.equal(runs.length, 1);
});

test("a newer stroke gives up the run at once, and the next one waits for its end", async () => {
  const { schedule, pass, runs } = workshop();
  schedule.touch();
  pass(250);
  schedule.touch();
  assert.ok(runs[0].signal.aborted);
  pass(250);
  assert.equal(runs.length, 1, "one run at a time");
  runs[0].end();
  await settled();
  assert.equal(runs.length, 2);
  assert.ok(!runs[1].signal.aborted);
});

test("a run that ends before the rest is over does not start the next one early", async () => {
  const { schedule, pass, runs } = workshop();
  schedule.touch();
  pass(250);
  schedule.touch();
  runs[0].end();
  await settled();
  assert.equal(runs.length, 1);
  pass(250);
  assert.equal(runs.length, 2);
});

test("a hundred quick strokes make one more run, however long the server takes to give up the first", async () => {
  const { schedule, pass, runs } = workshop();
  schedule.touch();
  pass(250);
  for (let i = 0; i < 100; i++) {
    schedule.touch();
    pass(i % 2 ? 300 : 20);
  }
  assert.equal(runs.length, 1);
  pass(250);
  runs[0].end();
  await settled();
  assert.equal(runs.length, 2);
  runs[1].end();
  await settled();
  pass(10_000);
  assert.equal(runs.length, 2);
});

test("a run that fails is over like any other", async () => {
  const { schedule, pass, runs } = workshop();
  schedule.touch();
  pass(250);
  runs[0].fail(new Error("the server is gone"));
  await settled();
  schedule.touch();
  pass(250);
  assert.equal(runs.length, 2);
});

test("after a stop nothing begins, until the next stroke", async () => {
  const { schedule, pass, runs, clocks } = workshop();
  schedule.touch();
  schedule.stop();
  assert.equal(clocks.size, 0);
  pass(1000);
  assert.equal(runs.length, 0);
  schedule.touch();
  pass(250);
  schedule.touch();
  pass(250);
  schedule.stop();
  runs[0].end();
  await settled();
  assert.equal(runs.length, 1);
  schedule.touch();
  pass(250);
  assert.equal(runs.length, 2);
});

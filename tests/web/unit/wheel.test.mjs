/** Which wheel events are a mouse's and zoom, and which are two fingers' and pan. */

import assert from "node:assert/strict";
import test from "node:test";

import { Wheel } from "../../../web/painter/editor/wheel.mjs";

/** What the events do, in turn. */
function done(...events) {
  const canvas = Object.assign(new EventTarget(), { getBoundingClientRect: () => ({ left: 0, top: 0 }) });
  const did = [];
  new Wheel(canvas, { zoom: () => did.push("zoom"), pan: () => did.push("pan") }, {});
  events.forEach(({ at = 0, ...event }) => {
    const given = new Event("wheel");
    Object.defineProperty(given, "timeStamp", { value: at });
    canvas.dispatchEvent(Object.assign(given, { deltaX: 0, deltaMode: 0, clientX: 0, clientY: 0, ...event }));
  });
  return did;
}

test("whole notches of a mouse zoom at any zoom of the page", () => {
  for (const deltaY of [100, 100 / 1.5, 100 / 1.1, 100 / 4, -100 / 2.5, 120]) {
    assert.deepEqual(done({ deltaY, wheelDeltaY: -120 * Math.sign(deltaY) }), ["zoom"], String(deltaY));
  }
  assert.deepEqual(done({ deltaY: 200 / 1.5, wheelDeltaY: -240 }), ["zoom"]);
});

test("two fingers pan, also where one step of the swipe looks like a notch", () => {
  assert.deepEqual(done({ deltaY: 7, wheelDeltaY: -21 }), ["pan"]);
  assert.deepEqual(done({ deltaY: 33.5, wheelDeltaY: -100 }), ["pan"]);
  assert.deepEqual(done({ deltaX: 12, deltaY: 40, wheelDeltaY: -120 }), ["pan"]);
  const swipe = [
    { deltaY: 7, wheelDeltaY: -21, at: 0 },
    { deltaY: 40, wheelDeltaY: -120, at: 16 },
  ];
  assert.deepEqual(done(...swipe), ["pan", "pan"]);
});

test("a browser without the old-style delta is judged by the new one", () => {
  assert.deepEqual(done({ deltaY: 100 }), ["zoom"]);
  assert.deepEqual(done({ deltaY: 66.67 }), ["pan"]);
});

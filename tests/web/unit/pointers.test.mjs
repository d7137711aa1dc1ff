/** Two fingers on the canvas take back what the first has begun, and nothing from before. */

import assert from "node:assert/strict";
import test from "node:test";

import { Pointers } from "../../../web/painter/editor/pointers.mjs";
import { blank } from "../../../web/painter/map/labelmap.mjs";
import { rectangle } from "../../../web/painter/map/raster.mjs";
import { Sheet } from "../../../web/painter/map/sheet.mjs";
import { Pen } from "../../../web/painter/tools/pen.mjs";

/** A canvas with fingers on it, one pixel of the map for each of its own, and two squares of hair and nose. */
function canvasOf(toolName) {
  const sheet = new Sheet(blank(64, 64));
  rectangle({ x: 8, y: 8 }, { x: 15, y: 15 }, sheet.pen(13));
  rectangle({ x: 40, y: 40 }, { x: 47, y: 47 }, sheet.pen(2));
  sheet.commit("squares");
  const classes = { isProtected: () => false };
  const studio = { sheet, classes, classId: 1, size: 4, pressure: false, reach: 1.5, zoom: () => 8, choose() {}, say() {} };
  const pen = new Pen(/** @type {any} */ (studio), { onPress() {}, onChange() {}, onTake() {} });
  pen.take(toolName);
  const ownerDocument = { activeElement: null };
  const box = () => ({ left: 0, top: 0, width: 64, height: 64 });
  const canvas = Object.assign(new EventTarget(), { ownerDocument, focus() {}, setPointerCapture() {}, getBoundingClientRect: box });
  const view = { toMap: ({ clientX, clientY }) => ({ x: clientX, y: clientY }) };
  new Pointers(canvas, pen, {}, { view, pan() {}, zoom() {}, turn() {} }, { isSpaceDown: false }, () => {});
  const send = (kind, clientX, clientY, pointerId = 1) => {
    const given = { clientX, clientY, pointerId, pointerType: "touch", button: 0, buttons: 1 };
    canvas.dispatchEvent(Object.assign(new Event(`pointer${kind}`), given));
  };
  return { sheet, pen, send };
}

/** @param {(kind: string, x: number, y: number, finger?: number) => void} send */
function tap(send, x, y, toX = x, toY = y) {
  send("down", x, y);
  send("move", toX, toY);
  send("up", toX, toY);
}

/** The first finger is down at a place and drags to another before the second comes. */
function pinch(send, from, to) {
  send("down", ...from);
  send("move", ...to);
  send("down", 30, 60, 2);
  send("move", 34, 60, 2);
  send("up", 34, 60, 2);
  send("up", ...to);
}

test("a pinch keeps the corners of a polygon", () => {
  const { pen, send } = canvasOf("polygon");
  for (const [x, y] of [[4, 4], [30, 4], [30, 30]]) tap(send, x, y);
  const corners = pen.tool.outline();
  pinch(send, [20, 50], [22, 52]);
  assert.deepEqual(pen.tool.outline(), corners);
  assert.equal(corners.length, 3);
});

test("a pinch keeps the region that is held, where it was moved to", () => {
  for (const [from, to] of [
    [[21, 13], [25, 20]], // on the region: a move
    [[60, 5], [61, 6]], // beside it: lets it go
    [[43, 43], [50, 50]], // on another region: holds that
  ]) {
    const { sheet, pen, send } = canvasOf("move");
    tap(send, 11, 11, 21, 13);
    const [ids, { pose, region }] = [sheet.map.ids.slice(), pen.transform];
    assert.equal(pose.dx, 10);
    pinch(send, from, to);
    assert.equal(pen.transform.region, region);
    assert.deepEqual(pen.transform.pose, pose);
    assert.deepEqual(sheet.map.ids, ids);
    assert.equal(sheet.history.steps.length, 1);
    tap(send, 60, 5);
    assert.equal(sheet.history.steps.length, 2);
    assert.deepEqual(sheet.map.ids, ids);
  }
});

test("a pinch takes back a stroke", () => {
  const { sheet, send } = canvasOf("brush");
  const ids = sheet.map.ids.slice();
  pinch(send, [20, 20], [30, 30]);
  assert.deepEqual(sheet.map.ids, ids);
  assert.equal(sheet.history.steps.length, 1);
});

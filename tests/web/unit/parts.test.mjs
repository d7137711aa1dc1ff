/** The library of parts asks for one part at a time. */

import assert from "node:assert/strict";
import test from "node:test";

import { PartsDialog } from "../../../web/painter/editor/parts.mjs";
import { blank } from "../../../web/painter/map/labelmap.mjs";
import { Sheet } from "../../../web/painter/map/sheet.mjs";

globalThis.ImageData ??= class {
  constructor(width, height) {
    this.data = new Uint8ClampedArray(4 * width * height);
  }
};

/** As much of an element as the dialog touches. */
function make(name, attributes, ...children) {
  const element = { name, attributes: { ...attributes }, children };
  element.setAttribute = (key, value) => (element.attributes[key] = value);
  element.getAttribute = (key) => element.attributes[key] ?? null;
  element.replaceChildren = (...others) => (element.children = others);
  element.getContext = () => null;
  return element;
}

test("a second face is asked for when the first is fitted", async () => {
  const asked = [];
  const fit = () => new Promise((_, reject) => asked.push(() => reject(new Error("It does not fit."))));
  const steps = { sheet: new Sheet(blank(32, 32)), pen: { settle() {} }, waitFor: (ask) => ask() };
  const dialog = new PartsDialog({ make, ask: () => ({ open: true }) }, steps, { distinct: false }, fit);
  dialog.open();
  while (dialog.gallery.children.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const [first, second] = dialog.gallery.children;
  first.attributes.onclick();
  second.attributes.onclick();
  assert.equal(asked.length, 1);
  assert.equal(dialog.gallery.getAttribute("aria-busy"), "true");
  asked[0]();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(dialog.problem.textContent, "It does not fit.");
  second.attributes.onclick();
  assert.equal(asked.length, 2);
});

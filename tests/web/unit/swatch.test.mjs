/** The square in a class's colour. */

import assert from "node:assert/strict";
import test from "node:test";

import { showClass } from "../../../web/painter/editor/swatch.mjs";
import { colours, css } from "../../../web/painter/map/palette.mjs";
import { TWINS } from "../../../web/painter/map/patterns.mjs";

/** @param {number} id @param {boolean} isDistinct */
function shown(id, isDistinct) {
  const names = new Set();
  const style = { backgroundColor: "" };
  const classList = { toggle: (name, is) => (is ? names.add(name) : names.delete(name)) };
  showClass(/** @type {any} */ ({ style, classList }), id, isDistinct);
  return { colour: style.backgroundColor, isTwin: names.has("twin") };
}

test("near twins of the official palette have an outline, in the safe colours none has", () => {
  for (let id = 0; id < 19; id++) {
    assert.deepEqual(shown(id, false), { colour: css(colours(false)[id]), isTwin: TWINS.includes(id) });
    assert.deepEqual(shown(id, true), { colour: css(colours(true)[id]), isTwin: false });
  }
});

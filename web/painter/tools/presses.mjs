/** Fill and eyedropper: what a single press does. */

import { regionAt, regionOf } from "../map/labelmap.mjs";
import { FLIPPED } from "../map/palette.mjs";
import { t } from "../map/words.mjs";

/** @typedef {import("../map/labelmap.mjs").LabelMap} LabelMap */
/** @typedef {import("../map/labelmap.mjs").Region} Region */
/** @typedef {import("./tool.mjs").Studio} Studio */
/** @typedef {import("./tool.mjs").Tool} Tool */

const nothing = () => {};

/**
 * A tool that acts when it is pressed, and only within the sheet.
 * @param {(studio: Studio, x: number, y: number) => void} act
 * @returns {Tool}
 */
function press(act) {
  return {
    down(studio, touch) {
      const [x, y] = [Math.floor(touch.x), Math.floor(touch.y)];
      if (x >= 0 && y >= 0 && x < studio.sheet.width && y < studio.sheet.height) act(studio, x, y);
    },
    drag: nothing,
    up: nothing,
    cancel: nothing,
  };
}

/**
 * @param {string} label
 * @param {(map: LabelMap, x: number, y: number) => Region} regionFor  the region to fill for a press at (x, y)
 */
function fill(label, regionFor) {
  return press((studio, x, y) => {
    const { sheet, classId } = studio;
    if (!sheet.paintable[sheet.base[y * sheet.width + x]]) studio.say(t("This class is protected."));
    const seeds = [{ x, id: classId }];
    // The other seed is the pointer's mirror image. The region itself is not mirrored: faces are not symmetric.
    if (sheet.mirror !== null) seeds.unshift({ x: sheet.mirror - 1 - x, id: FLIPPED[classId] });
    const fills = seeds
      .filter((seed) => seed.x >= 0 && seed.x < sheet.width)
      .map((seed) => ({ id: seed.id, region: regionFor(sheet.map, seed.x, y) }));
    for (const { id, region } of fills) sheet.layRegion(region, id);
    sheet.commit(label);
  });
}

export function fillTool() {
  return fill(t("fill"), regionAt);
}

export function fillAllTool() {
  return fill(t("fill class"), (map, x, y) => regionOf(map, map.ids[y * map.width + x]));
}

export function eyedropperTool() {
  return press((studio, x, y) => studio.choose(studio.sheet.map.ids[y * studio.sheet.width + x]));
}

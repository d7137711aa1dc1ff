/**
 * How long the painter's whole-sheet work takes, in ms of processor time (medians of 5), which other programs on the
 * machine do not lengthen:
 *
 *     node tests/bench/painter.mjs [SIDE ...]
 *
 * A face of the gallery is enlarged to SIDE x SIDE (512, 1024, 2048 and 4096 without an argument). "take" is the press
 * of the Move tool, "drag" one move of the pointer, "pack" what remains on the page while a worker deflates.
 */

import { readPainting, writePainting } from "../../web/painter/map/codec.mjs";
import { copyOf, resizePainting } from "../../web/painter/map/painting.mjs";
import { Sheet } from "../../web/painter/map/sheet.mjs";
import { STARTERS } from "../../web/painter/map/starters.mjs";
import { fillTool } from "../../web/painter/tools/presses.mjs";
import { Transform } from "../../web/painter/tools/transform.mjs";

const REPEATS = 5;
const sides = process.argv.slice(2).map(Number);
const face = await readPainting(STARTERS[1].painting);

/** @param {() => unknown} run */
async function timed(run) {
  const start = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

const touch = (x, y, more = {}) => ({ x, y, pressure: 1, shift: false, alt: false, ...more });

/** One measurement of each kind. */
async function measure(side) {
  const sheet = new Sheet(resizePainting(face, side, side));
  const studio = { sheet, classId: 2, size: 8, pressure: false, reach: 2, choose() {}, say() {} };
  const move = new Transform();
  const first = (id) => sheet.map.ids.indexOf(id);
  const [hair, skin] = [13, 1].map((id) => touch((first(id) % side) + 0.5, Math.floor(first(id) / side) + 0.5));
  const times = {};
  times["move: take"] = await timed(() => move.down(studio, hair));
  times["move: drag"] = await timed(() => move.drag(studio, touch(hair.x + side / 16, hair.y + side / 16)));
  times["move: apply"] = await timed(() => move.finish(studio));
  sheet.undo();
  move.down(studio, hair);
  move.nudge(studio, { sx: 1.1, angle: 0.2 });
  times["move: scale and turn"] = await timed(() => move.nudge(studio, { sx: 1.1, angle: 0.2 }));
  move.cancel(studio);
  times.fill = await timed(() => fillTool().down(studio, skin));
  times.undo = await timed(() => sheet.undo());
  times["pack: copies for the worker"] = await timed(() => structuredClone(copyOf(sheet.map)));
  times["pack: in the worker"] = await timed(() => writePainting(sheet.map));
  times.resize = await timed(() => sheet.replace(resizePainting(sheet.map, side / 2, side / 2), "resize"));
  times["resize back"] = await timed(() => sheet.replace(resizePainting(sheet.map, side, side), "resize"));
  return times;
}

for (const side of sides.length ? sides : [512, 1024, 2048, 4096]) {
  const runs = [];
  for (let i = 0; i < REPEATS; i++) runs.push(await measure(side));
  console.log(`${side} x ${side}`);
  for (const name of Object.keys(runs[0])) {
    const times = runs.map((one) => one[name]).sort((a, b) => a - b);
    console.log(`  ${name.padEnd(30)} ${times[REPEATS >> 1].toFixed(1).padStart(8)}`);
  }
}

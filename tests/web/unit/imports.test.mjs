/** The painter's imports go one way: map, tools, editor, node, painter.js. Imports of types count as imports. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { posix } from "node:path";
import test from "node:test";

const PAINTER = new URL("../../../web/painter/", import.meta.url);
const FOLDERS = ["map", "tools", "editor", "node"];
const ENTRY = "painter.js";
const IMPORT = /(?:^(?:import|export)\b[^;"]*?\bfrom |^import |\bimport\()"([^"]+)"/gm;

/** Every module's imports of other modules of the painter, by path from web/painter. */
function importsOf(sources) {
  return new Map(
    Object.entries(sources).map(([file, text]) => {
      const targets = [...text.matchAll(IMPORT)].map(([, target]) => posix.join(posix.dirname(file), target));
      return [file, targets.filter((target) => !target.startsWith("../"))];
    }),
  );
}

/** 0 for map up to 4 for painter.js. */
function layerOf(file) {
  return file === ENTRY ? FOLDERS.length : FOLDERS.indexOf(posix.dirname(file));
}

/** Imports of a later layer, and imports of files that are not there. */
function wrongImports(imports) {
  return [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => !imports.has(target) || layerOf(target) > layerOf(file))
      .map((target) => `${file} imports ${target}`),
  );
}

/** The first circle of imports, from a file back to itself; null without one. */
function circle(imports) {
  const done = new Set();
  const visit = (file, path) => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const target of imports.get(file) ?? []) {
      const result = visit(target, [...path, file]);
      if (result) return result;
    }
    done.add(file);
    return null;
  };
  for (const file of imports.keys()) {
    const result = visit(file, []);
    if (result) return result;
  }
  return null;
}

const files = readdirSync(PAINTER, { recursive: true }).filter((name) => /\.m?js$/.test(name));
const sources = Object.fromEntries(files.map((name) => [name, readFileSync(new URL(name, PAINTER), "utf8")]));
const imports = importsOf(sources);

test("every module is in one of the folders, and only painter.js is above them", () => {
  assert.deepEqual(
    files.filter((file) => layerOf(file) < 0),
    [],
  );
  assert.ok(FOLDERS.every((folder) => files.some((file) => file.startsWith(`${folder}/`))));
});

test("no module imports a later folder", () => {
  assert.deepEqual(wrongImports(imports), []);
});

test("no imports form a circle", () => {
  assert.equal(circle(imports), null);
});

test("only painter.js runs ComfyUI's scripts; other modules take its types at most", () => {
  const runs = files.filter((file) => /^import[^;]*\/scripts\//m.test(sources[file]));
  assert.deepEqual(runs, [ENTRY]);
});

test("the editor is imported by its window alone", () => {
  const users = [...imports].filter(([, targets]) => targets.includes("editor/editor.mjs")).map(([file]) => file);
  assert.deepEqual(users, ["editor/window.mjs"]);
});

test("these checks see a wrong import of each kind", () => {
  const bad = importsOf({
    "map/a.mjs": 'import {\n  x,\n} from "../tools/b.mjs";',
    "map/d.mjs": 'import "./gone.mjs";',
    "tools/b.mjs": '/** @typedef {import("./c.mjs").C} C */',
    "tools/c.mjs": 'export { b } from "./b.mjs";\nimport { app } from "../../../../scripts/app.js";',
  });
  assert.deepEqual(wrongImports(bad), ["map/a.mjs imports tools/b.mjs", "map/d.mjs imports map/gone.mjs"]);
  assert.deepEqual(circle(bad), ["tools/b.mjs", "tools/c.mjs", "tools/b.mjs"]);
});

/** The painting's text form, as the browser reads and writes it. */

import assert from "node:assert/strict";
import test from "node:test";

import { PaintingError, deflate, readPainting, toBase64, writePainting } from "../../../web/painter/map/codec.mjs";
import { STARTERS } from "../../../web/painter/map/starters.mjs";

const textOf = async (pixels, size = "16x16") => `mogle1:${size}:${toBase64(await deflate(pixels))}`;

test("what is written is read back", async () => {
  const ids = Uint8Array.from({ length: 32 * 16 }, (_, i) => (i * 7) % 19);
  const text = await writePainting({ width: 32, height: 16, ids });
  assert.match(text, /^mogle1:32x16:/);
  const planes = { pencil: null, isPainted: true, isDrawn: false };
  assert.deepEqual(await readPainting(` ${text}\n`), { width: 32, height: 16, ids, ...planes });
});

test("a pencil drawing is read back, with and without a map", async () => {
  const pencil = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (const isPainted of [true, false]) {
    const ids = new Uint8Array(256).fill(isPainted ? 7 : 0);
    const painting = { width: 16, height: 16, ids, pencil, isPainted, isDrawn: true };
    const text = await writePainting(painting);
    assert.match(text, isPainted ? /^mogle2:16x16:[^:]+:[^:]+$/ : /^mogle2:16x16::[^:]+$/);
    assert.deepEqual(await readPainting(text), painting);
  }
});

test("only what is painted or drawn is written", async () => {
  const sheet = { width: 16, height: 16, ids: new Uint8Array(256), pencil: new Uint8Array(256) };
  assert.equal(await writePainting({ ...sheet, isPainted: false, isDrawn: false }), "");
  assert.match(await writePainting({ ...sheet, isPainted: true, isDrawn: false }), /^mogle1:/);
  assert.match(await writePainting({ ...sheet, pencil: null, isPainted: true, isDrawn: true }), /^mogle2:/);
});

test("a newer version says what to update", async () => {
  await assert.rejects(readPainting("mogle3:16x16:AAAA:AAAA"), /has version 3; .*Update/);
});

test("an empty text is an empty painting", async () => {
  assert.equal(await readPainting(""), null);
  assert.equal(await readPainting(" \n"), null);
});

test("nonsense is refused in a sentence", async () => {
  const full = new Uint8Array(256);
  const wrong = [
    null,
    7,
    {},
    "a face",
    "mogle2:16x16:AAAA",
    "mogle2:16x16::",
    "mogle2:16x16:AAAA:",
    "mogle2:16x16::AAAA",
    "mogle1:16x16::AAAA",
    "mogle1:16x16:AAAA:AAAA",
    `mogle2:16x16::${(await textOf(new Uint8Array(255))).split(":")[2]}`,
    `mogle2:17x16::${(await textOf(full)).split(":")[2]}`,
    "mogle1:16x16:",
    "mogle1:16x16:AAAA",
    "mogle1:16x16:====",
    await textOf(full, "17x16"),
    await textOf(full, "0x16"),
    await textOf(full, "4112x16"),
    await textOf(new Uint8Array(255)),
    await textOf(new Uint8Array(257)),
    await textOf(full.fill(19)),
    (await textOf(new Uint8Array(256))).slice(0, -6),
  ];
  for (const value of wrong) {
    await assert.rejects(
      readPainting(value),
      (error) => error instanceof PaintingError && error.message.endsWith("."),
      String(value),
    );
  }
});

test("a bomb is not unpacked", async () => {
  const bomb = await textOf(new Uint8Array(1 << 27));
  const before = process.memoryUsage().rss;
  await assert.rejects(readPainting(bomb), PaintingError);
  assert.ok(process.memoryUsage().rss - before < 64 << 20);
});

test("the gallery's faces are paintings", async () => {
  assert.equal(STARTERS.length, 12);
  assert.equal(new Set(STARTERS.map(({ title }) => title)).size, 12);
  for (const { painting } of STARTERS) assert.equal((await readPainting(painting)).width, 512);
});

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
  assert.deepEqual(await readPainting(` ${text}\n`), { width: 32, height: 16, ids });
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

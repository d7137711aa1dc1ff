/** A worker: writes paintings as text, because deflating a large one would hold up the page. */

import { writePainting } from "../map/codec.mjs";

/** @typedef {{number: number, painting: import("../map/painting.mjs").Painting}} Order */

self.addEventListener("message", async (/** @type {MessageEvent<Order>} */ { data: { number, painting } }) => {
  try {
    self.postMessage({ number, text: await writePainting(painting) });
  } catch (error) {
    self.postMessage({ number, error: String(error) });
  }
});

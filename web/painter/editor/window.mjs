/**
 * The editor's window: a frame of its own over the whole page. Keys and pointers in a frame stay in it, so that
 * none of ComfyUI's shortcuts answers, and its styles and ours do not meet.
 */

import { Editor } from "./editor.mjs";
import { currentLanguage, t } from "../map/words.mjs";

/** One at a time. @type {Promise<void> | null} */
let current = null;

/**
 * Opens the editor; settled when it is closed.
 * @param {import("./editor.mjs").Commission} commission
 * @returns {Promise<void>}
 */
export function openEditor(commission) {
  current ??= edited(commission).finally(() => (current = null));
  return current;
}

/** @param {import("./editor.mjs").Commission} commission */
async function edited(commission) {
  const before = document.activeElement;
  // Tab must not lead out to the page behind, where Delete deletes nodes.
  const behind = [...document.body.children].filter((one) => one instanceof HTMLElement && !one.inert);
  const frame = document.createElement("iframe");
  frame.title = t("Mask Painter");
  frame.className = "mogle-painter-window";
  Object.assign(frame.style, {
    position: "fixed",
    inset: "0",
    width: "100%",
    height: "100%",
    border: "0",
    zIndex: "100000",
    colorScheme: "dark",
    background: "#14161b",
  });
  frame.srcdoc = "<!doctype html><html><head><meta charset='utf-8'></head><body></body></html>";
  const isLoaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  document.body.append(frame);
  setInert(behind, true);
  try {
    await isLoaded;
    const inside = /** @type {Document} */ (frame.contentDocument);
    inside.documentElement.lang = currentLanguage();
    inside.title = frame.title;
    await styled(inside);
    await new Promise((resolve) => {
      const onClose = () =>
        commission.onClose().then(
          () => resolve(undefined),
          () => resolve(undefined),
        );
      const editor = new Editor(inside, { ...commission, onClose });
      // For scripts in the console, and for the tests.
      Object.assign(/** @type {Window} */ (frame.contentWindow), { editor });
      frame.contentWindow?.focus();
      void editor.begin();
    });
  } finally {
    frame.remove();
    setInert(behind, false);
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  }
}

/** @param {Element[]} elements @param {boolean} isInert */
function setInert(elements, isInert) {
  for (const element of elements) element.toggleAttribute("inert", isInert);
}

/** @param {Document} inside */
function styled(inside) {
  const link = inside.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./painter.css", import.meta.url).href;
  return new Promise((resolve) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
    inside.head.append(link);
  });
}

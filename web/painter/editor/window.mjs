/**
 * The editor's window: a frame over the whole page. Keys and pointers stay in the frame, so they do not trigger
 * ComfyUI's shortcuts, and neither page's styles affect the other.
 */

import { Editor } from "./editor.mjs";
import { adoptTheme } from "./theme.mjs";
import { currentLanguage, t } from "../map/words.mjs";

/** Only one editor is open at a time. @type {Promise<void> | null} */
let current = null;

/**
 * Opens the editor; resolves when it is closed.
 * @param {import("./editor.mjs").Commission} commission
 * @returns {Promise<void>}
 */
export function openEditor(commission) {
  current ??= edit(commission).finally(() => (current = null));
  return current;
}

/** @param {import("./editor.mjs").Commission} commission */
async function edit(commission) {
  const focused = document.activeElement;
  // Tab must not leave the frame: in the page behind it, Delete deletes nodes.
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
    await addStyles(inside);
    adoptTheme(document, inside);
    frame.style.colorScheme = inside.documentElement.style.colorScheme || "dark";
    await new Promise((resolve) => {
      const onClose = () =>
        commission.onClose().then(
          () => resolve(undefined),
          () => resolve(undefined),
        );
      const editor = new Editor(inside, { ...commission, onClose });
      // For the console and the tests.
      Object.assign(/** @type {Window} */ (frame.contentWindow), { editor });
      frame.contentWindow?.focus();
      void editor.begin();
    });
  } finally {
    frame.remove();
    setInert(behind, false);
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  }
}

/** @param {Element[]} elements @param {boolean} isInert */
function setInert(elements, isInert) {
  for (const element of elements) element.toggleAttribute("inert", isInert);
}

/** @param {Document} inside */
function addStyles(inside) {
  const link = inside.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./painter.css", import.meta.url).href;
  return new Promise((resolve) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
    inside.head.append(link);
  });
}

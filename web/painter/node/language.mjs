/** Loads the painter's words in the language that ComfyUI's page is set to. */

import { ENGLISH, currentLanguage, setLanguage } from "../map/words.mjs";

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/api.js").ComfyApi} ComfyApi */

const SETTING = "Comfy.Locale";

/** Does nothing if the page's language is the current one. @param {ComfyApp} app @param {ComfyApi} api */
export async function loadLanguage(app, api) {
  const wanted = app.extensionManager?.setting?.get(SETTING);
  if (wanted === currentLanguage() || typeof wanted !== "string") return;
  const languages = wanted === ENGLISH ? {} : await allTranslations(api);
  const texts = languages[wanted]?.MoGLE?.painter;
  if (texts) setLanguage(wanted, texts);
  else setLanguage(ENGLISH, {});
}

/**
 * The translations of every pack, by language, as ComfyUI serves them. If the request fails, the painter stays English.
 * @param {ComfyApi} api
 * @returns {Promise<Record<string, {MoGLE?: {painter?: Record<string, string>}}>>}
 */
async function allTranslations(api) {
  try {
    return await (await api.fetchApi("/i18n")).json();
  } catch {
    return {};
  }
}

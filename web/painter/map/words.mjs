/**
 * The painter's words in the language of ComfyUI's page. English stands where it is said; every other language is
 * in `locales/LANGUAGE/main.json`, by the English.
 */

/** @typedef {import("../../../../scripts/app.js").ComfyApp} ComfyApp */
/** @typedef {import("../../../../scripts/api.js").ComfyApi} ComfyApi */

const ENGLISH = "en";
const SETTING = "Comfy.Locale";

let language = ENGLISH;
/** @type {Readonly<Record<string, string>>} */
let words = {};

/**
 * A text in the page's language; as it is where that language has none for it.
 * @param {string} english  with names in braces
 * @param {Record<string, unknown>} [given]  what is put for each name
 */
export function t(english, given = {}) {
  return (words[english] ?? english).replace(/\{(\w+)\}/g, (_, name) => String(given[name]));
}

/** The language that `t` speaks. */
export function spoken() {
  return language;
}

/** Learns the page's language, if it is another one by now. @param {ComfyApp} app @param {ComfyApi} api */
export async function learn(app, api) {
  const wanted = app.extensionManager?.setting?.get(SETTING);
  if (wanted === language || typeof wanted !== "string") return;
  const all = wanted === ENGLISH ? {} : await translations(api);
  const found = all[wanted]?.MoGLE?.painter;
  [language, words] = found ? [wanted, found] : [ENGLISH, {}];
}

/**
 * Of every language and every pack, as ComfyUI hands them on. English will do where it does not.
 * @param {ComfyApi} api
 * @returns {Promise<Record<string, {MoGLE?: {painter?: Record<string, string>}}>>}
 */
async function translations(api) {
  try {
    return await (await api.fetchApi("/i18n")).json();
  } catch {
    return {};
  }
}
